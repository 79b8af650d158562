# shellcheck shell=bash
# The root file system: one Debian for every guest, with OpenZFS's commands,
# and at the same time the place where the kernels' modules are compiled, so
# that the compiler does not depend on the machine.
# Uses $cache and $scratch of tests/vm/build.

root_packages=(
	# The commands of OpenZFS, its libraries for C and Python programs.
	zfsutils-linux libzfslinux-dev python3-pyzfs
	# What tests call.
	iproute2 kmod mount procps strace util-linux
	# The initramfs.
	busybox-static cpio
	# Compiling, in the guest and for the guest.
	bc bison flex gcc libc6-dev libelf-dev make xz-utils
)
# The image's size is the most it may hold; the file is sparse.
root_image_size=1G

root_build() {
	local versions
	versions=$(archive_version zfsutils-linux/bookworm-backports)
	mkdir "$scratch/root"
	stage "root file system" root_tree "$scratch/root/tree"
	stage "root image" root_image "$scratch/root/tree" "$scratch/root/root.ext4"
	publish root "$versions"
}

root_tree() {
	mkdir "$1"
	archive_sources bookworm bookworm-security bookworm-backports >"$scratch/sources"
	# One source of OpenZFS, or the solver mixes releases.
	cat >"$scratch/pin" <<-END
		Package: src:zfs-linux
		Pin: release n=bookworm-backports
		Pin-Priority: 990
	END
	# As an archive, because that works the same without root.
	env -u APT_CONFIG mmdebstrap --variant=minbase --format=tar \
		--include="$(IFS=, && echo "${root_packages[*]}")" \
		--setup-hook="copy-in $scratch/pin /etc/apt/preferences.d" \
		--aptopt='APT::Install-Recommends "false"' \
		--aptopt='Acquire::Languages "none"' \
		--dpkgopt='path-exclude=/usr/share/doc/*' \
		--dpkgopt='path-exclude=/usr/share/locale/*' \
		--dpkgopt='path-exclude=/usr/share/man/*' \
		bookworm - "$scratch/sources" |
		tar -x -C "$1" --exclude='./dev/*'
	echo zfsvol >"$1/etc/hostname"
	echo '127.0.0.1 localhost zfsvol' >"$1/etc/hosts"
}

root_image() {
	truncate -s "$root_image_size" "$2"
	as_root mke2fs -q -F -t ext4 -O ^has_journal -m 0 -d "$1" "$2"
}

# as_root COMMAND...: root, or what a user namespace gives of it, with mounts
# of its own that end with the command.
as_root() {
	local PATH=$PATH:/usr/sbin:/sbin
	if [ "$(id -u)" = 0 ]; then
		unshare --mount "$@"
	else
		unshare --mount --map-root-user "$@"
	fi
}

# root_run 'FOLDER PLACE'... -- COMMAND...: runs a command in the root's tree,
# with folders of the machine bound to places in it.
root_run() {
	local tree=$cache/root/tree binds=() bind
	while [ "$1" != -- ]; do
		read -r -a bind <<<"$1"
		mkdir -p "$tree${bind[1]}"
		binds+=("${bind[@]}")
		shift
	done
	shift
	# The script's own variables are meant, not ours.
	# shellcheck disable=SC2016
	as_root sh -ec '
		tree=$1
		shift
		mount --rbind /dev "$tree/dev"
		mount --rbind /proc "$tree/proc"
		while [ "$1" != -- ]; do
			mount --bind "$1" "$tree$2"
			shift 2
		done
		shift
		exec chroot "$tree" env -i HOME=/root LC_ALL=C \
			PATH=/usr/sbin:/usr/bin:/sbin:/bin nice -n 5 "$@"
	' sh "$tree" "${binds[@]}" -- "$@"
}
