#!/bin/sh
# Adds up the results of `cargo test` runs and ends with one plain line: summary.sh LOG...
set -eu

status=0
for log in "$@"; do
    [ "$(cat "$log.status")" = 0 ] || status=1
done
totals=$(cat "$@" | awk '
    /^test result:/ {
        for (i = 1; i < NF; i++) {
            if ($(i + 1) == "passed;") passed += $i
            if ($(i + 1) == "failed;") failed += $i
        }
    }
    END { print passed + 0, failed + 0 }')
passed=${totals% *}
failed=${totals#* }
grep -h '^test .* FAILED$' "$@" || true
# A run that ended without a result (it did not compile, it was killed) is a failure too.
[ "$status" = 0 ] || [ "$failed" -gt 0 ] || failed=1
[ "$failed" = 0 ] || status=1
echo "$passed passed, $failed failed"
exit "$status"
