#!/bin/sh
# Finds the Rust toolchain for the bare-metal targets and prints it as Makefile variables.
#
# In this order: a rustup toolchain with both targets; a rustup toolchain with the source of core (build-std); Debian's
# rustc-web with rust-web-src (build-std). build-std is unstable, so RUSTC_BOOTSTRAP=1 unlocks it there, and only there.
set -eu

MINIMUM_MINOR=95
TARGETS="aarch64-unknown-none aarch64-unknown-none-softfloat"
DEBIAN_CARGO=/usr/bin/cargo
DEBIAN_RUSTC=/usr/bin/rustc

# Whether a rustc is 1.95 or later.
is_recent() {
    minor=$("$1" --version 2>/dev/null | sed -n 's/^rustc 1\.\([0-9]*\)\..*/\1/p')
    [ -n "$minor" ] && [ "$minor" -ge "$MINIMUM_MINOR" ]
}

has_targets() {
    for target in $TARGETS; do
        ls "$1/lib/rustlib/$target/lib/"libcore-*.rlib >/dev/null 2>&1 || return 1
    done
}

has_source() {
    [ -f "$1/lib/rustlib/src/rust/library/Cargo.lock" ] || [ -f "$1/lib/rustlib/src/rust/library/core/Cargo.toml" ]
}

# The linker that rustc brings along, or Debian's.
find_linker() {
    host=$("$2" -vV | sed -n 's/^host: //p')
    for linker in "$1/lib/rustlib/$host/bin/rust-lld" /usr/bin/ld.lld-19; do
        [ -x "$linker" ] && { echo "$linker"; return; }
    done
    return 1
}

# name, cargo, rustc, sysroot, bootstrap, flags
print_toolchain() {
    linker=$(find_linker "$4" "$3") || return 1
    echo "BARE_TOOLCHAIN := $1"
    echo "BARE_CARGO := $2"
    echo "BARE_RUSTC := $3"
    echo "BARE_BOOTSTRAP := $5"
    echo "BARE_FLAGS := $6"
    echo "BARE_LINKER := $linker"
    exit 0
}

BUILD_STD="-Zbuild-std=core,alloc"
host_cargo=$(command -v cargo || true)
host_rustc=$(command -v rustc || true)

if [ -n "$host_rustc" ] && [ -n "$host_cargo" ] && is_recent "$host_rustc"; then
    sysroot=$("$host_rustc" --print sysroot)
    version=$("$host_rustc" --version)
    if [ "$host_rustc" != "$DEBIAN_RUSTC" ]; then
        echo "HOST_CARGO := $host_cargo"
        if has_targets "$sysroot"; then
            print_toolchain "$version, installed targets" "$host_cargo" "$host_rustc" "$sysroot" "" ""
        fi
        if has_source "$sysroot"; then
            print_toolchain "$version, build-std" "$host_cargo" "$host_rustc" "$sysroot" 1 "$BUILD_STD"
        fi
    fi
fi

if [ -x "$DEBIAN_CARGO" ] && [ -x "$DEBIAN_RUSTC" ] && is_recent "$DEBIAN_RUSTC"; then
    sysroot=$("$DEBIAN_RUSTC" --print sysroot)
    if has_source "$sysroot"; then
        if [ "$host_rustc" = "$DEBIAN_RUSTC" ] || [ -z "$host_rustc" ] || ! is_recent "$host_rustc"; then
            echo "HOST_CARGO := env RUSTC=$DEBIAN_RUSTC $DEBIAN_CARGO"
        fi
        version=$("$DEBIAN_RUSTC" --version | cut -d' ' -f1-2)
        print_toolchain "Debian $version, build-std" "$DEBIAN_CARGO" "$DEBIAN_RUSTC" "$sysroot" 1 "$BUILD_STD"
    fi
fi

echo "toolchain.sh: no Rust 1.$MINIMUM_MINOR or later that can build for $TARGETS; run 'make setup'" >&2
exit 1
