#!/bin/sh
# Fuzzes the parsers with LLVM's libFuzzer, which Debian's libclang-rt-19-dev has; rustc's stable coverage pass guides it.
# ggml's C is compiled with the address and undefined-behaviour sanitizers.
#
#   fuzz.sh short                 every target, a fixed number of runs (tests/fuzz/targets.txt); fails if one crashes
#   fuzz.sh long TARGET MINUTES   one target; what it finds stays in .work/fuzz/TARGET
#   fuzz.sh arm                   ggml's C for Arm over the inputs of `blocks`, with GCC's sanitizers, in QEMU's user mode; by hand: what it
#                                 needs is installed by `setup.sh arm`
#   fuzz.sh minimise TARGET       the fewest inputs of .work/fuzz/TARGET and the corpus that reach the same code become the corpus
#
# HOST_CARGO and TARGET_DIR, for `arm` also BARE_CARGO and BARE_RUSTC, come from the Makefile. JOBS: how many targets at once in `short`.
set -eu

HERE=$(cd "$(dirname "$0")/.." && pwd)
FUZZ=$HERE/tests/fuzz
KEPT=$HERE/.work/fuzz
ARCHITECTURE=$(uname -m)
TRIPLE=$ARCHITECTURE-unknown-linux-gnu
# Inputs that take longer than this many seconds are failures, like those that crash.
TIMEOUT_S=20
# Benches are made once and kept; a small quarantine keeps the process small.
export ASAN_OPTIONS=detect_leaks=0:quarantine_size_mb=16:abort_on_error=1
# The arenas and images of the benches are below 100 MB.
RSS_MB=2048

field() {
    sed -n "s/^$1  *\([0-9]*\)  *\([0-9]*\)\$/\\$2/p" "$FUZZ/targets.txt"
}

names() {
    sed -n 's/^\([a-z_]*\)  *[0-9].*/\1/p' "$FUZZ/targets.txt"
}

build() {
    CUSTOM_LIBFUZZER_PATH=$(clang-19 -print-file-name="libclang_rt.fuzzer-$ARCHITECTURE.a")
    [ -f "$CUSTOM_LIBFUZZER_PATH" ] || { echo "fuzz: libFuzzer is not installed; run 'make setup'" >&2; exit 1; }
    export CUSTOM_LIBFUZZER_PATH
    name=$(echo "$TRIPLE" | tr 'a-z-' 'A-Z_')
    export "CARGO_TARGET_${name}_RUSTFLAGS=-Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
-Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
-Cllvm-args=-sanitizer-coverage-trace-compares -Clinker=clang-19 -Clink-arg=-fsanitize=address,undefined"
    export BARELLAMA_SANITIZE=address,undefined,fuzzer-no-link
    # HOST_CARGO may be a command with arguments.
    # shellcheck disable=SC2086
    (cd "$HERE" && CARGO_TARGET_DIR=$TARGET_DIR $HOST_CARGO build --quiet ${LOCKED:-} --profile fuzz --target "$TRIPLE" \
        -p barellama-fuzz --bin fuzz --features libfuzzer)
}

# target, then what goes to libFuzzer
fuzz() {
    target=$1
    shift
    mkdir -p "$KEPT/$target" "$KEPT/crashes" "$FUZZ/corpus/$target"
    dictionary=$FUZZ/dictionaries/$target.dict
    BARELLAMA_FUZZ_TARGET=$target "$TARGET_DIR/$TRIPLE/fuzz/fuzz" -max_len="$(field "$target" 1)" -timeout=$TIMEOUT_S \
        -rss_limit_mb=$RSS_MB -artifact_prefix="$KEPT/crashes/$target-" $([ -f "$dictionary" ] && echo "-dict=$dictionary") \
        "$@" "$FUZZ/corpus/$target"
}

# The intact inputs that code writes.
seeds() {
    mkdir -p "$2"
    BARELLAMA_FUZZ_TARGET=$1 BARELLAMA_FUZZ_SEEDS=$2 "$TARGET_DIR/$TRIPLE/fuzz/fuzz" -runs=0 >/dev/null 2>&1
}

short_one() {
    target=$1
    scratch=$(mktemp -d)
    seeds "$target" "$scratch"
    log=$KEPT/$target.log
    mkdir -p "$KEPT"
    if fuzz "$target" -seed=1 -runs="$(field "$target" 2)" "$scratch" >"$log" 2>&1; then
        echo "fuzz: $target: $(sed -n 's/^Done \([0-9]*\) runs in \([0-9]*\) second.*/\1 runs in \2 s/p' "$log")," \
            "$(grep -o 'cov: [0-9]*' "$log" | tail -n 1)"
        rm -rf "$scratch"
    else
        cat "$log"
        echo "fuzz: $target FAILED; the input is in $KEPT/crashes: put it into tests/fuzz/corpus/$target when it is mended"
        rm -rf "$scratch"
        return 1
    fi
}

case ${1:-} in
    short)
        build
        names | xargs -n 1 -P "${JOBS:-2}" sh "$0" short-one
        ;;
    short-one)
        short_one "$2"
        ;;
    long)
        [ -n "$(field "${2:-}" 1)" ] || { echo "fuzz: TARGET is one of: $(names | tr '\n' ' ')" >&2; exit 2; }
        build
        mkdir -p "$KEPT/$2"
        seeds "$2" "$KEPT/$2"
        fuzz "$2" -max_total_time=$((${3:-10} * 60)) -print_final_stats=1 "$KEPT/$2"
        ;;
    arm)
        cargo=$HOST_CARGO
        build_std=
        if ! ls "$(rustc --print sysroot 2>/dev/null)"/lib/rustlib/aarch64-unknown-linux-gnu/lib/libstd-*.rlib >/dev/null 2>&1; then
            # The standard library is compiled along, out of the source that the board's toolchain has.
            cargo="env RUSTC=$BARE_RUSTC RUSTC_BOOTSTRAP=1 $BARE_CARGO"
            build_std=-Zbuild-std
            # Tests unwind; with the workspace's `abort` cargo would compile the library twice and mix the two.
            export CARGO_PROFILE_DEV_PANIC=unwind
        fi
        export CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_LINKER=aarch64-linux-gnu-gcc
        export CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_RUSTFLAGS="-Clink-arg=-lasan -Clink-arg=-lubsan"
        # Its allocator has to come before the C library's, whatever the order in which rustc links.
        export CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_RUNNER="qemu-aarch64 -L /usr/aarch64-linux-gnu -E LD_PRELOAD=libasan.so.8"
        export BARELLAMA_CLANG=aarch64-linux-gnu-gcc BARELLAMA_SANITIZE=address,undefined
        # shellcheck disable=SC2086
        (cd "$HERE" && CARGO_TARGET_DIR=$TARGET_DIR $cargo test --quiet ${LOCKED:-} $build_std \
            --target aarch64-unknown-linux-gnu -p barellama-ggml-sys)
        ;;
    minimise)
        build
        new=$(mktemp -d)
        BARELLAMA_FUZZ_TARGET=$2 "$TARGET_DIR/$TRIPLE/fuzz/fuzz" -merge=1 -max_len="$(field "$2" 1)" -timeout=$TIMEOUT_S \
            "$new" "$FUZZ/corpus/$2" "$KEPT/$2"
        rm -rf "$FUZZ/corpus/$2"
        mv "$new" "$FUZZ/corpus/$2"
        ;;
    *)
        sed -n 's/^# \{0,1\}//p' "$0" | sed -n '2,11p'
        exit 2
        ;;
esac
