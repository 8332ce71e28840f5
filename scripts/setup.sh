#!/bin/sh
# Installs what is missing to build, run and test, and says what it does. Debian 12; root or sudo.
#
#   setup.sh         what everything but the following needs
#   setup.sh arm     also what `make sanitize-arm` needs
set -eu

HERE=$(dirname "$0")
PACKAGES=""
NEEDS_BACKPORTS=""

say() {
    echo "setup: $*"
}

# Adds packages to the list if the command is not there.
need() {
    command=$1
    shift
    if ! command -v "$command" >/dev/null 2>&1; then
        say "missing: $command (package $*)"
        PACKAGES="$PACKAGES $*"
    fi
}

has_raspi4b() {
    command -v qemu-system-aarch64 >/dev/null 2>&1 && qemu-system-aarch64 -M help | grep -q '^raspi4b '
}

as_root() {
    if [ "$(id -u)" = 0 ]; then
        "$@"
    elif command -v sudo >/dev/null 2>&1; then
        sudo "$@"
    else
        say "this needs root, and sudo is not installed: $*"
        exit 1
    fi
}

# The distribution's own source as "type URI suite components signed-by", from either form of apt's source files.
find_base_source() {
    for file in /etc/apt/sources.list.d/*.sources; do
        [ -f "$file" ] || continue
        awk -v suite="$1" '
            function finish(    count, names, i) {
                if (types ~ /(^| )deb( |$)/ && enabled != "no") {
                    count = split(suites, names, " ")
                    for (i = 1; i <= count; i++) if (names[i] == suite && uri != "") { print uri "|" signed; exit }
                }
                types = suites = uri = signed = enabled = ""
            }
            /^#/ { next }
            /^[ \t]*$/ { finish(); next }
            /^Types:/ { sub(/^[^:]*:[ \t]*/, ""); types = $0 }
            /^Suites:/ { sub(/^[^:]*:[ \t]*/, ""); suites = $0 }
            /^URIs:/ { uri = $2 }
            /^Enabled:/ { enabled = $2 }
            /^Signed-By:/ { signed = $2 }
            END { finish() }' "$file"
    done | head -n 1
}

find_classic_source() {
    cat /etc/apt/sources.list /etc/apt/sources.list.d/*.list 2>/dev/null |
        awk -v suite="$1" '
            $1 == "deb" {
                signed = ""
                if (match($0, /\[[^]]*\]/)) {
                    options = substr($0, RSTART + 1, RLENGTH - 2)
                    if (match(options, /signed-by=[^ ]*/)) signed = substr(options, RSTART + 10, RLENGTH - 10)
                    sub(/\[[^]]*\]/, "")
                }
                if ($3 == suite) { print $2 "|" signed; exit }
            }'
}

# Lets apt see the backports of this release, next to where the release itself comes from.
add_backports() {
    . /etc/os-release
    suite="$VERSION_CODENAME-backports"
    if apt-cache policy 2>/dev/null | grep -q "n=$suite"; then
        say "apt knows $suite already"
        return
    fi
    source=$(find_base_source "$VERSION_CODENAME")
    [ -n "$source" ] || source=$(find_classic_source "$VERSION_CODENAME")
    if [ -z "$source" ]; then
        say "no apt source for $VERSION_CODENAME was found; add $suite by hand and run this again"
        exit 1
    fi
    uri=${source%%|*}
    key=${source#*|}
    [ -n "$key" ] || key=/usr/share/keyrings/debian-archive-keyring.gpg
    file=/etc/apt/sources.list.d/barellama-backports.sources
    say "adding $suite in $file"
    printf 'Types: deb\nURIs: %s\nSuites: %s\nComponents: main\nSigned-By: %s\n' "$uri" "$suite" "$key" |
        as_root tee "$file" >/dev/null
}

if has_raspi4b; then
    say "QEMU: $(qemu-system-aarch64 --version | head -n 1)"
else
    say "missing: a QEMU with the machine raspi4b (9.0 or later)"
    NEEDS_BACKPORTS=yes
fi
need cc gcc libc6-dev
need clang-19 clang-19
# libFuzzer and the sanitizers' runtimes.
if ! [ -f "$(clang-19 -print-file-name="libclang_rt.fuzzer-$(uname -m).a" 2>/dev/null)" ]; then
    say "missing: clang's runtime libraries"
    PACKAGES="$PACKAGES libclang-rt-19-dev"
fi
need ld.lld-19 lld-19
need llvm-objdump-19 llvm-19
need dtc device-tree-compiler
if ! python3 -c 'import venv, ensurepip' >/dev/null 2>&1; then
    say "missing: Python with venv"
    PACKAGES="$PACKAGES python3 python3-venv"
fi
if ! sh "$HERE/toolchain.sh" >/dev/null 2>&1; then
    say "missing: a Rust toolchain for the bare-metal targets; Debian's will be used"
    PACKAGES="$PACKAGES rustc-web cargo-web rust-web-src"
fi
if ! sh "$HERE/toolchain.sh" 2>/dev/null | grep '^BARE_CARGO := ' | grep -qv ' /usr/bin/cargo$'; then
    # Debian's compiler takes only its own clippy.
    need /usr/bin/cargo-clippy rust-web-clippy
fi
need rustfmt rustfmt-web
if [ "${1:-}" = arm ]; then
    need aarch64-linux-gnu-gcc gcc-aarch64-linux-gnu libc6-dev-arm64-cross
    need qemu-aarch64 qemu-user
    # Without rustup the standard library is compiled along.
    if command -v rustup >/dev/null 2>&1 && ! rustup target list --installed | grep -q '^aarch64-unknown-linux-gnu$'; then
        say "rustup target add aarch64-unknown-linux-gnu"
        rustup target add aarch64-unknown-linux-gnu
    fi
fi

if [ -n "$PACKAGES$NEEDS_BACKPORTS" ]; then
    if ! command -v apt-get >/dev/null 2>&1; then
        say "this is not Debian; please install what is listed above and run this again"
        exit 1
    fi
    export DEBIAN_FRONTEND=noninteractive
    [ -z "$NEEDS_BACKPORTS" ] || add_backports
    say "apt-get update"
    as_root apt-get update -qq
    if [ -n "$PACKAGES" ]; then
        say "apt-get install$PACKAGES"
        # The list is a list of words.
        # shellcheck disable=SC2086
        as_root apt-get install -y -qq --no-install-recommends $PACKAGES
    fi
    if [ -n "$NEEDS_BACKPORTS" ]; then
        . /etc/os-release
        say "apt-get install qemu-system-arm from $VERSION_CODENAME-backports"
        as_root apt-get install -y -qq --no-install-recommends -t "$VERSION_CODENAME-backports" qemu-system-arm
        has_raspi4b || { say "the QEMU that was installed has no raspi4b"; exit 1; }
    fi
fi

if ! toolchain=$(sh "$HERE/toolchain.sh"); then
    say "the newest rustc-web that apt offers is too old: Debian's security updates have a newer one; add their source"
    exit 1
fi
say "Rust for the board: $(echo "$toolchain" | sed -n 's/^BARE_TOOLCHAIN := //p')"
say "everything is there"
