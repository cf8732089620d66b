# Debian packages of another release or architecture, unpacked into a folder: through this machine's own apt settings
# (mirrors, proxies), without touching its list of packages or architectures. Sourced, never run.
# shellcheck shell=bash

# The release whose packages are taken: the first with current kernels for the boards, and QEMU beside older releases.
readonly DEBIAN_RELEASE=trixie

# apt_tree ARCH FOLDER: an apt of its own in FOLDER that knows no installed package. Sets APT_CONFIG.
apt_tree() {
    local arch=$1 folder
    mkdir -p "$2"/lists/partial "$2"/archives/partial
    folder=$(cd "$2" && pwd)
    sources >"$folder/sources.list"
    if [ ! -s "$folder/sources.list" ] && [ "$(id -u)" = 0 ]; then
        apt-get update -qq
        sources >"$folder/sources.list"
    fi
    [ -s "$folder/sources.list" ] || { echo "apt knows no mirror of Debian here; run \"apt-get update\"" >&2; return 1; }
    : >"$folder/status"
    cat >"$folder/apt.conf" <<END
APT::Architecture "$arch";
APT::Architectures { "$arch"; };
APT::Sandbox::User "root";
Acquire::Languages "none";
Dir::State "$folder";
Dir::State::lists "$folder/lists";
Dir::State::status "$folder/status";
Dir::Cache "$folder";
Dir::Cache::archives "$folder/archives";
Dir::Etc::sourcelist "$folder/sources.list";
Dir::Etc::sourceparts "-";
END
    export APT_CONFIG="$folder/apt.conf"
    # A list that is a day old knows everything that is needed, and spares the mirror.
    if [ -z "$(find "$folder/lists" -name '*_Packages*' -mmin -1440 2>/dev/null | head -n 1)" ]; then
        apt-get update -qq
    fi
}

# The mirrors that this machine has Debian from, with another release's name.
sources() {
    local keyring=/usr/share/keyrings/debian-archive-keyring.gpg
    # shellcheck disable=SC2016 # apt's own variables
    apt-get indextargets --format '$(ORIGIN) $(LABEL) $(REPO_URI) $(CODENAME)' 'Created-By: Packages' | sort -u |
        while read -r origin label uri suite; do
            [ "$origin" = Debian ] || continue
            case $label-$suite in
                Debian-Security-*) suite=$DEBIAN_RELEASE-security ;;
                Debian-*-updates) suite=$DEBIAN_RELEASE-updates ;;
                Debian-*-*) continue ;;
                Debian-*) suite=$DEBIAN_RELEASE ;;
                *) continue ;;
            esac
            echo "deb [signed-by=$keyring] $uri $suite main non-free-firmware"
        done | sort -u
}
