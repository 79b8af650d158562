# shellcheck shell=bash
# Debian's archives as the guests see them: suites named explicitly, apt state
# of our own, so that neither the machine's release nor its pins matter.
# Uses $scratch, say, stage and die of the script that reads this.

debian_keyring=/usr/share/keyrings/debian-archive-keyring.gpg

# archive_sources SUITE...: source lines, from the mirrors that this machine
# itself uses for Debian, or from Debian's own names.
archive_sources() {
	local main security suite
	main=$(archive_mirror Debian)
	security=$(archive_mirror Debian-Security)
	for suite; do
		case $suite in
		*-security) echo "deb [signed-by=$debian_keyring] ${security:-http://deb.debian.org/debian-security} $suite main contrib" ;;
		*) echo "deb [signed-by=$debian_keyring] ${main:-http://deb.debian.org/debian} $suite main contrib" ;;
		esac
	done
}

archive_mirror() {
	env -u APT_CONFIG apt-get indextargets \
		--format '$(LABEL) $(ORIGIN) $(REPO_URI)' 2>/dev/null |
		awk -v label="$1" '$1 == label && $2 == "Debian" { print $3; exit }'
}

archive_open() {
	local apt=$scratch/apt
	mkdir -p "$apt/lists/partial" "$apt/cache/archives/partial"
	: >"$apt/status"
	archive_sources bookworm bookworm-security bookworm-backports \
		trixie-backports >"$apt/sources.list"
	# The rest of the machine's apt configuration (proxies) stays in force.
	cat >"$apt/apt.conf" <<-END
		Dir::Etc::sourcelist "$apt/sources.list";
		Dir::Etc::sourceparts "/dev/null";
		Dir::Etc::preferences "/dev/null";
		Dir::Etc::preferencesparts "/dev/null";
		Dir::State::lists "$apt/lists";
		Dir::State::status "$apt/status";
		Dir::Cache "$apt/cache";
		APT::Architecture "amd64";
		APT::Sandbox::User "root";
	END
	export APT_CONFIG=$apt/apt.conf
	stage "package lists" apt-get -q update --error-on=any
}

# archive_version PACKAGE[/SUITE]: the version that would be downloaded.
archive_version() {
	local uri
	uri=$(apt-get -q download --print-uris "$1" | tail -n 1) || true
	[ -n "$uri" ] || die "Debian's archives do not have $1 (mirror: $(archive_mirror Debian))"
	# 'URI' NAME_VERSION_ARCHITECTURE.deb SIZE HASH, with : written %3a.
	echo "$uri" | awk '{ split($2, part, "_"); gsub("%3a", ":", part[2]); print part[2] }'
}

# archive_unpack DIR PACKAGE[/SUITE]...: the files of packages, not installed.
archive_unpack() {
	local folder=$1 package
	shift
	mkdir -p "$folder" "$scratch/debs"
	(cd "$scratch/debs" && apt-get -q download "$@")
	for package in "$scratch"/debs/*.deb; do
		dpkg-deb -x "$package" "$folder"
	done
	rm -r "$scratch/debs"
}
