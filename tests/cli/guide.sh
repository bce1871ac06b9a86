#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# The guide's pages run as they are printed. Every block marked `sh` of a page is executed, in order, in one folder per
# page that looks like the top of a built tree: etc/, include/, examples/, data/, build/loci. LOCI_SET makes the models
# small (it is stronger than files; --set in a block is stronger still, so that a page may fix what matters to it), and a
# text of our own stands where the King James Bible would be.
#
#     tests/cli/guide.sh [PAGE...]     some pages only: choose-a-backend
set -u
: "${LOCI_TEST_SRC:=$(cd "$(dirname "$0")/../.." && pwd)}" "${LOCI_TEST_BUILD:=$LOCI_TEST_SRC/build}"
: "${LOCI_COMMAND:=$LOCI_TEST_BUILD/loci}"
guide=$LOCI_TEST_SRC/docs/guide
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
unset LOCI_CPU LOCI_PLUGIN_PATH
export CC="${LOCI_TEST_CC:-cc}" NO_COLOR=1
export LOCI_SET='train.steps=3 train.batch=2 train.warmup=1 train.eval_tokens=256 train.eval_every=0 data.seq_tok=64
    train.eval_sequences=16 model.dim=16 mixer.mha.heads=2 memory.heads=2 compare.seeds=2'
failed=0 blocks=0

bad() {
    printf 'FAIL: %s\n' "$*"
    failed=$((failed + 1))
}

make_tree() { # make_tree FOLDER
    mkdir -p "$1/build" "$1/data"
    cp -R "$LOCI_TEST_SRC/etc" "$LOCI_TEST_SRC/include" "$1"
    [ ! -d "$LOCI_TEST_SRC/examples" ] || cp -R "$LOCI_TEST_SRC/examples" "$1"
    chmod -R u+w "$1"
    ln -s "$LOCI_COMMAND" "$1/build/loci"
    awk 'BEGIN { for (i = 0; i < 3000; i++) printf "%d. the bird of line %d sees %d stones.\n", i % 10, i * i % 97, i % 7 }' \
        >"$1/data/kjv.txt"
}

# Cut a page into block-NN files: the text between ```sh and ```.
cut_blocks() { # cut_blocks PAGE FOLDER
    awk -v to="$2" '/^```sh$/ { n++; on = 1; next } /^```/ { on = 0 }
        on { print >sprintf("%s/block-%02d", to, n) }' "$1"
}

run_page() { # run_page NAME
    local name=$1 at=$tmp/$1 block
    make_tree "$at"
    mkdir "$tmp/$name.blocks"
    cut_blocks "$guide/$name.md" "$tmp/$name.blocks"
    for block in "$tmp/$name.blocks"/block-*; do
        [ -e "$block" ] || {
            bad "$name has no command"
            return
        }
        blocks=$((blocks + 1))
        (cd "$at" && bash -e "$block" >out 2>err </dev/null) || {
            bad "$name, ${block##*/}: exit code $?"
            sed 's/^/    /' "$block"
            tail -n 4 "$at/err"
        }
        [ -s "$at/out" ] || bad "$name, ${block##*/} prints nothing"
        ! grep -qE 'Sanitizer|runtime error:' "$at/err" || bad "$name, ${block##*/}: a sanitizer objects: $(grep -m 1 -E 'Sanitizer|runtime error:' "$at/err")"
        cat "$at/out" >>"$at/said"
    done
}

says() { # says PAGE TEXT: a page that was run printed it
    [ ! -e "$tmp/$1/said" ] || grep -qF -- "$2" "$tmp/$1/said" || bad "$1 promises '$2', and no command prints it"
}

# Every page is reached from the first one.
for page in "$guide"/*.md; do
    name=$(basename "$page" .md)
    [ "$name" = README ] || grep -q "($name.md)" "$guide/README.md" || bad "README.md does not link to $name.md"
done

if [ $# -eq 0 ]; then
    # shellcheck disable=SC2046 # names of pages
    set -- $(cd "$guide" && printf '%s\n' *.md | sed 's/\.md$//' | grep -vx README)
fi
for name in "$@"; do
    run_page "$name"
done

# What the pages tell the reader to expect.
says choose-a-backend 'named at --set: attention.backend = ref'
says choose-a-backend 'exit code 4'
says choose-a-backend 'layers 2-3:'
says choose-a-backend 'guide-layers.ini:'
says compare-two-designs 'by head at the end'
says compare-two-designs 'exit code 6'
says compare-two-designs 'window'
says compare-two-designs 'chance'
says read-a-report 'report.html'
says read-a-report 'run runs/read/mag/seed-1: finished'
says read-a-report '"arms"'
says write-a-plugin 'memory/org.example.mine'
says write-a-plugin 'what to change where'
says write-a-plugin 'what_fades_at_once_holds_the_newest_pair ...passed'
says write-a-plugin 'k: the gradient is off by'
says write-a-plugin 'exit code 4: noticed'
says write-a-plugin 'passed, 0 failed'
says write-a-plugin 'grad.inputs'
says write-a-plugin 'source    Ba, Hinton'
says write-a-plugin 'the same bits'
says write-a-plugin 'safe: memory/org.example.safe'
says check-a-plugin 'exit code 4: noticed'
says check-a-plugin 'fail    grad.inputs'
says check-a-plugin 'it is not causal with this config'
says check-a-plugin 'hard.threads'

echo "$blocks blocks, $failed failures"
[ "$failed" -eq 0 ] && [ "$blocks" -gt 0 ]
