#!/bin/sh
# Prints how QEMU can read the image of a card: `io_uring` if this PC lets it (containers often do not), else `threads`, QEMU's default.
#
#   aio.sh QEMU IMAGE
set -eu

if echo quit | "$1" -M none -display none -serial none -monitor stdio -drive "if=none,file=$2,format=raw,aio=io_uring" >/dev/null 2>&1; then
    echo io_uring
else
    echo threads
fi
