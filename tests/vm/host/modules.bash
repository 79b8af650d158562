# shellcheck shell=bash
# The kernels, and OpenZFS's modules for each.
# Uses $cache, $here and $scratch of tests/vm/build.

# A failed assertion of OpenZFS stops the guest: the runner sees a panic, not a
# hang.
spl_options=spl_panic_halt=1

zfs_package() {
	case $1 in
	2.1) echo zfs-dkms/bookworm ;;
	2.3) echo zfs-dkms/bookworm-backports ;;
	2.4) echo zfs-dkms/trixie-backports ;;
	esac
}

# guest_build KIND RELEASE
guest_build() {
	local kind=$1 release=$2 package version
	package=$(zfs_package "$release")
	version=$(archive_version "$package")
	[ -e "$cache/$kind-linux" ] || "${kind}_linux_build"

	mkdir "$scratch/$kind-$release"
	stage "OpenZFS $version: unpack" archive_unpack "$scratch/zfs" "$package"
	mv "$scratch"/zfs/usr/src/zfs-* "$scratch/zfs/source"
	stage "OpenZFS $version: configure for $kind" "${kind}_run" "$scratch/zfs/source" \
		./configure --quiet --with-config=kernel \
		--with-linux=/usr/src/source --with-linux-obj=/usr/src/build
	stage "OpenZFS $version: compile for $kind" "${kind}_run" "$scratch/zfs/source" \
		make -j"$(nproc)" -C module
	stage "OpenZFS $version: initramfs for $kind" initramfs "$kind" "$release"
	rm -rf "$scratch/zfs"
	publish "$kind-$release" "$version-$(basename "$(realpath "$cache/$kind-linux")")"
}

# initramfs KIND RELEASE: busybox, the kernel's drivers, OpenZFS; the script
# that runs there comes from tests/vm/run.
initramfs() {
	local guest=$scratch/$1-$2 drivers="$1_drivers[@]"
	# depmod insists on a version; this one is only a folder's name.
	local modules=$guest/tree/lib/modules/6.1.0
	mkdir -p "$guest/root/bin" "$guest/root/modules" "$modules"
	cp "$cache/root/tree/bin/busybox" "$guest/root/bin/"
	find "$cache/$1-linux/modules" "$scratch/zfs/source/module" -name '*.ko' \
		-exec cp -t "$modules" {} +
	# modprobe knows in which order modules find each other's symbols.
	root_run "$guest /build" -- sh -ec '
		options=$1
		shift
		depmod -b /build/tree 6.1.0
		modprobe -d /build/tree -S 6.1.0 --show-depends -a "$@" zfs |
			awk "\$1 == \"insmod\" && !seen[\$2]++ { print \$2 }" >/build/order
		while read -r file; do
			module=$(basename "$file" .ko)
			strip --strip-debug -o "/build/root/modules/$module.ko" "$file"
			[ "$module" != spl ] || module="$module $options"
			echo "$module"
		done </build/order >/build/root/modules/order
		cd /build/root
		find . | cpio --quiet -o -H newc >/build/initramfs.cpio
	' sh "$spl_options" "${!drivers}"
	rm -r "$guest/root" "$guest/tree" "$guest/order"
	cp "$cache/$1-linux/kernel" "$guest/kernel"
}

# User-Mode Linux: Debian's kernel source with uml.config.

uml_linux_build() {
	local version
	version=$(archive_version linux-source-6.1)
	mkdir "$scratch/uml-linux"
	stage "Linux $version: unpack" uml_linux_source
	stage "Linux $version: configure for uml" uml_linux_configure
	stage "Linux $version: compile for uml" root_run "$scratch/uml-linux /usr/src" -- \
		make ARCH=um -j"$(nproc)" -C /usr/src/build linux modules
	stage "Linux $version: keep what modules need" uml_linux_trim
	publish uml-linux "$version"
}

uml_linux_source() {
	archive_unpack "$scratch/linux" linux-source-6.1
	mkdir "$scratch/uml-linux/source"
	tar -x -C "$scratch/uml-linux/source" --strip-components=1 \
		-f "$scratch"/linux/usr/src/linux-source-6.1.tar.xz
	rm -r "$scratch/linux"
}

uml_linux_configure() {
	cp "$here/uml.config" "$scratch/uml-linux/"
	root_run "$scratch/uml-linux /usr/src" -- make ARCH=um -C /usr/src/source O=/usr/src/build \
		KCONFIG_ALLCONFIG=/usr/src/uml.config allnoconfig
	if grep '^CONFIG_' "$here/uml.config" |
		grep -vxFf "$scratch/uml-linux/build/.config"; then
		echo "kconfig dropped the lines above" && false
	fi
}

uml_linux_trim() {
	cd "$scratch/uml-linux"
	mkdir modules
	cp build/linux kernel
	find source -mindepth 1 -maxdepth 1 \
		! -name arch ! -name include ! -name scripts ! -name Makefile -exec rm -r {} +
	find source/arch -mindepth 1 -maxdepth 1 ! -name um ! -name x86 -exec rm -r {} +
	find build -name scripts -prune -o -type f \
		\( -name '*.o' -o -name '*.a' -o -name vmlinux -o -name linux \) -exec rm {} +
}

uml_run() {
	root_run "$cache/uml-linux /usr/src" "$1 /build-zfs" -- env ARCH=um \
		sh -ec 'cd /build-zfs; exec "$@"' sh "${@:2}"
}


uml_drivers=()

# QEMU: Debian's own kernel for virtual machines, as it is.

qemu_linux_build() {
	local image version
	# The package without a version in its name depends on the current one.
	image=$(apt-cache depends linux-image-cloud-amd64/bookworm-security |
		awk '$1 == "Depends:" { print $2; exit }')
	version=$(archive_version "$image")
	mkdir "$scratch/qemu-linux"
	stage "Linux $version for qemu" qemu_linux_unpack "${image#linux-image-}"
	publish qemu-linux "$version"
}

qemu_linux_unpack() {
	local release=$1 folder=$scratch/qemu-linux
	archive_unpack "$folder" "linux-image-$release" "linux-headers-$release" \
		"linux-headers-${release%-cloud-amd64}-common" linux-kbuild-6.1
	mv "$folder/boot/vmlinuz-$release" "$folder/kernel"
	mv "$folder/lib/modules/$release/kernel" "$folder/modules"
	rm -r "${folder:?}/boot" "${folder:?}/lib" "$folder/usr/share"
	ln -s "linux-headers-$release" "$folder/usr/src/build"
	ln -s "linux-headers-${release%-cloud-amd64}-common" "$folder/usr/src/source"
}

qemu_run() {
	root_run "$cache/qemu-linux/usr/src /usr/src" \
		"$cache/qemu-linux/usr/lib/linux-kbuild-6.1 /usr/lib/linux-kbuild-6.1" \
		"$1 /build-zfs" -- sh -ec 'cd /build-zfs; exec "$@"' sh "${@:2}"
}

qemu_drivers=(virtio_pci virtio_blk overlay loop)
