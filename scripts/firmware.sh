#!/bin/sh
# Fetches the Raspberry Pi's boot files out of Debian's package raspi-firmware, without root and without installing it:
# firmware.sh DIRECTORY puts them into DIRECTORY. The package is in non-free-firmware, which many machines do not have among their
# sources: apt is asked with a list of its own, made from the Debian source that the machine uses.
# The files are the property of Broadcom and may be used with a Raspberry Pi only; their licence goes along.
set -eu

DIRECTORY=$1
PACKAGE=raspi-firmware
# For gpu_mem=16, as our config.txt asks, the cut-down pairs (cd) are read; the others are there for other settings.
FILES="bootcode.bin start.elf fixup.dat start_cd.elf fixup_cd.dat start4.elf fixup4.dat start4cd.elf fixup4cd.dat"

say() {
    echo "firmware: $*"
}

is_complete() {
    for file in $FILES; do
        [ -s "$DIRECTORY/$file" ] || return 1
    done
}

if is_complete; then
    exit 0
fi
for command in apt-get dpkg-deb; do
    if ! command -v $command >/dev/null 2>&1; then
        say "this needs $command: on another system take the files from a Raspberry Pi OS card and give FIRMWARE=dir" >&2
        exit 1
    fi
done

source=$(apt-get indextargets --format '$(REPO_URI)|$(CODENAME)' 'Created-By: Packages' 'Component: main' |
    grep -E '/debian/?\|[a-z]+$' | head -n 1)
if [ -z "$source" ]; then
    say "no Debian source is configured (see: apt-get indextargets): give FIRMWARE=dir" >&2
    exit 1
fi
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir -p "$work/lists/partial" "$work/cache/archives/partial"
echo "deb ${source%|*} ${source#*|} non-free-firmware" > "$work/sources.list"

# apt with lists and cache of its own; keys and proxies are those of the machine.
own_apt() {
    apt-get -qq -o Dir::Etc::SourceList="$work/sources.list" -o Dir::Etc::SourceParts=- \
        -o Dir::State::Lists="$work/lists" -o Dir::Cache="$work/cache" -o APT::Sandbox::User="$(id -un)" "$@"
}

say "fetching $PACKAGE from ${source%|*} (${source#*|} non-free-firmware, 5 MB)"
own_apt update
(cd "$work" && own_apt download "$PACKAGE")
dpkg-deb -x "$work"/"$PACKAGE"_*.deb "$work/package"
version=$(dpkg-deb -f "$work"/"$PACKAGE"_*.deb Version)

mkdir -p "$DIRECTORY"
for file in $FILES; do
    found=$(find "$work/package" -name "$file" -type f | head -n 1)
    if [ -z "$found" ]; then
        say "$PACKAGE $version has no $file" >&2
        exit 1
    fi
    cp "$found" "$DIRECTORY/$file"
done
cp "$work/package/usr/share/doc/$PACKAGE/copyright" "$DIRECTORY/LICENCE.broadcom"
say "$PACKAGE $version is in $DIRECTORY; it has no device trees, and barellama starts without one"
