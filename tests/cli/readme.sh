#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# The commands of the README's tour run as they are printed: on the shipped configs, with LOCI_SET making the models small
# and a text of our own where the King James Bible would be. Files that the documents link to exist.
set -eu

tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
failed=0 seen=0
cd "$tmp"
unset LOCI_CPU LOCI_PLUGIN_PATH

# ---- links ----
find "$LOCI_TEST_SRC"/*.md "$LOCI_TEST_SRC/docs" -name '*.md' >documents
while read -r document; do
    sed -n 's/](\([^)#]*\))/\n@\1\n/gp' "$document" | sed -n 's/^@//p' >links
    while read -r link; do
        case $link in http*) continue ;; esac
        [ -e "$(dirname "$document")/$link" ] || {
            echo "FAIL: ${document#"$LOCI_TEST_SRC"/} links to $link, which does not exist"
            failed=$((failed + 1))
        }
    done <links
done <documents

# ---- the tour ----
cp -R "$LOCI_TEST_SRC/etc" etc
mkdir build data
ln -s "$LOCI_COMMAND" build/loci
awk 'BEGIN { for (i = 0; i < 2000; i++) printf "%d. the bird of line %d sees %d stones.\n", i % 10, i * i % 97, i % 7 }' >data/kjv.txt
LOCI_SET='train.steps=3 train.batch=2 train.warmup=1 train.eval_tokens=256 data.seq_tok=32 model.layers=1 model.dim=16
    mixer.mha.heads=2 memory.heads=2'
export LOCI_SET

sed -n '/^<!-- tour -->/,/^```$/p' "$LOCI_TEST_SRC/README.md" | sed -n '/^build\//s/ *# .*//p' >commands
while read -r command; do
    seen=$((seen + 1))
    sh -c "$command" >out 2>err </dev/null || {
        echo "FAIL: $command: exit code $?"
        tail -n 3 err
        failed=$((failed + 1))
    }
    [ -s out ] || {
        echo "FAIL: $command: prints nothing"
        failed=$((failed + 1))
    }
done <commands
[ -s runs/ab/report.html ] && [ -s runs/ab/compare.json ] || failed=$((failed + 1))

echo "$seen commands, $failed failures"
[ "$failed" -eq 0 ] && [ "$seen" -ge 10 ]
