#!/bin/sh
# Builds the image once more from a copy of the sources in another directory and compares: reproducible.sh IMAGE
set -eu

image=$1
copy=$(mktemp -d)
trap 'rm -rf "$copy"' EXIT
git ls-files -z --cached --others --exclude-standard | tar --null --files-from=- --create --file=- |
    tar --extract --file=- --directory="$copy"
env -u CARGO_TARGET_DIR -u MAKEFLAGS -u MAKELEVEL make --directory="$copy" image >"$copy/build.log" 2>&1 ||
    { tail -n 40 "$copy/build.log"; exit 1; }
sha256sum "$image" "$copy/.work/kernel8.img"
cmp "$image" "$copy/.work/kernel8.img"
echo "the image is the same in both directories"
