# shellcheck shell=bash
# The kernels, and OpenZFS's modules for each.
# Uses $cache, $here and $scratch of tests/vm/build.

# In this order they find each other's symbols; since 2.2 it is only two.
zfs_modules=(spl zavl znvpair zunicode zcommon zlua icp zzstd zfs)
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

	mkdir -p "$scratch/$kind-$release/root/modules" "$scratch/$kind-$release/root/bin"
	stage "OpenZFS $version: unpack" archive_unpack "$scratch/zfs" "$package"
	mv "$scratch"/zfs/usr/src/zfs-* "$scratch/zfs/source"
	stage "OpenZFS $version: configure for $kind" "${kind}_run" "$scratch/zfs/source" \
		./configure --quiet --with-config=kernel "${linux_options[@]}"
	stage "OpenZFS $version: compile for $kind" "${kind}_run" "$scratch/zfs/source" \
		make -j"$(nproc)" -C module
	stage "OpenZFS $version: initramfs for $kind" initramfs "$kind" "$release"
	rm -rf "$scratch/zfs" "$scratch/$kind-$release/root"
	publish "$kind-$release" "$version-$(basename "$(realpath "$cache/$kind-linux")")"
}

# initramfs KIND RELEASE: busybox, the kernel's disk drivers, OpenZFS; the
# script that runs there comes from tests/vm/run.
initramfs() {
	local guest=$scratch/$1-$2 module file
	cp "$cache/root/tree/bin/busybox" "$guest/root/bin/"
	"$1_drivers" "$guest/root"
	for module in "${zfs_modules[@]}"; do
		file=$(find "$scratch/zfs/source/module" -name "$module.ko")
		[ -n "$file" ] || continue
		cp "$file" "$guest/root/modules/"
		if [ "$module" = spl ]; then
			echo "$module $spl_options"
		else
			echo "$module"
		fi >>"$guest/root/modules/order"
	done
	root_run "$guest /build" -- sh -ec '
		cd /build/root
		strip --strip-debug modules/*.ko
		find . | cpio --quiet -o -H newc >/build/initramfs.cpio
	'
	cp "$cache/$1-linux/kernel" "$guest/kernel"
}

# User-Mode Linux: Debian's kernel source with uml.config.

uml_linux_build() {
	local version
	version=$(archive_version linux-source-6.1)
	mkdir "$scratch/uml-linux"
	stage "Linux $version: unpack" uml_linux_source
	stage "Linux $version: configure for uml" uml_linux_configure
	stage "Linux $version: compile for uml" root_run "$scratch/uml-linux /build" -- \
		make ARCH=um -j"$(nproc)" -C /build/obj linux modules
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
	root_run "$scratch/uml-linux /build" -- make ARCH=um -C /build/source O=/build/obj \
		KCONFIG_ALLCONFIG=/build/uml.config allnoconfig
	if grep '^CONFIG_' "$here/uml.config" |
		grep -vxFf "$scratch/uml-linux/obj/.config"; then
		echo "kconfig dropped the lines above" && false
	fi
}

uml_linux_trim() {
	cd "$scratch/uml-linux"
	cp obj/linux kernel
	find source -mindepth 1 -maxdepth 1 \
		! -name arch ! -name include ! -name scripts ! -name Makefile -exec rm -r {} +
	find source/arch -mindepth 1 -maxdepth 1 ! -name um ! -name x86 -exec rm -r {} +
	find obj -name scripts -prune -o \
		\( -name '*.o' -o -name '*.a' -o -name vmlinux -o -name linux \) -exec rm {} +
}

uml_run() {
	root_run "$cache/uml-linux /build" "$1 /build-zfs" -- env ARCH=um \
		sh -ec 'cd /build-zfs; exec "$@"' sh "${@:2}"
}

uml_drivers() { :; }
