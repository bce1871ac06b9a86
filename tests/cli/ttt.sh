#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# examples/ttt_linear, as a stranger left it: a rule that loci does not ship, written from the guide alone. It is built
# against an installed tree, tested by its own tests and by loci, and compared with a memory that loci ships.
# shellcheck disable=SC2016,SC2086,SC2317 # messages hold backquotes; lists are words; facts are called by their names
# shellcheck source=tests/cli/lib.sh
. "$(dirname "$0")/lib.sh"

id=org.example.ttt-linear

build_ttt() {
    [ -f "$LOCI_TEST_SRC/examples/ttt_linear/README.md" ] || skip 'examples/ttt_linear is not here'
    install_tree
    cp -r "$LOCI_TEST_SRC/examples/ttt_linear" ttt_linear
    chmod -R u+w ttt_linear
    cd ttt_linear || exit 1
    installed make >out 2>err || {
        bad 'make fails in examples/ttt_linear'
        tail -n 8 err | sed 's/^/      /'
    }
    LOCI_COMMAND=$(installed_at loci '*/bin/*')/loci
}

ours() {
    rc=0
    last="loci $*"
    installed env LOCI_PLUGIN_PATH="$PWD:$(installed_at mem_none.so '*')" loci "$@" >out 2>err </dev/null || rc=$?
    sanitized
}

every_command_of_the_readme_runs() {
    build_ttt
    rm -f ./*.so
    sed -n '/^```sh$/,/^```$/p' README.md | grep -v '^```' >commands
    [ "$(wc -l <commands)" -ge 7 ] || bad "$(wc -l <commands) commands in README.md"
    installed bash -e commands >out 2>err || {
        bad 'a command of README.md fails'
        tail -n 4 err | sed 's/^/      /'
    }
    exists mem_ttt_linear.so runs/ab/report.html runs/ttt/checkpoints/0000000020 runs/online/checkpoints/0000000020
    prints memory/$id minibatch_tok
    differ runs/ttt/checkpoints/0000000020/model.safetensors runs/online/checkpoints/0000000020/model.safetensors
    is verdict "$(json runs/ab/compare.json pairs 0 verdict | grep -cE '^(a|b|undecided)$')" 1
}

its_tests_are_those_of_new() {
    install_tree
    build_ttt
    ours new memory $id --dir fresh
    exits 0
    same fresh/test_host.h test_host.h
    same fresh/Makefile Makefile
    sed '/^#define DV DK$/d' test_ttt_linear.c >as_it_was.c
    same fresh/test_ttt_linear.c as_it_was.c
}

its_own_test_notices() {
    [ -n "$(find /usr/include /usr/local/include -path '*CUnit/Basic.h' 2>/dev/null)" ] || skip 'CUnit is not installed'
    local change
    build_ttt
    installed make check >said 2>&1 || bad 'make check fails as it is'
    for change in 's/dsd -= r\[i\]/dsd += r[i]/' 's/dzh\[i\] = -(r\[i\] \* x_zh + x\[i\] \* r_zh)/dzh[i] = -(r[i] * x_zh)/' \
        's/t->d.bias\[i\] += de;/t->d.bias[i] = de;/' 's/G->W\[i\] += G->W_batch\[i\];//' 's/t->pos %/(t->pos + 1) %/'; do
        cp ttt_linear.c right.c
        sed -i "$change" ttt_linear.c
        differ ttt_linear.c right.c
        ! installed make check >said 2>&1 || bad "make check does not see $change"
        mv right.c ttt_linear.c
        touch ttt_linear.c
    done
}

threads_and_pieces_change_nothing() {
    local n
    build_ttt
    for n in 1 4; do
        ours train -c try.ini --set data.train="$work/text" --threads $n --set run.dir=runs/$n
        exits 0
    done
    same_bits runs/1/checkpoints/0000000020 runs/4/checkpoints/0000000020
}

it_conforms() {
    build_ttt
    ours check "$PWD/mem_ttt_linear.so" --json
    exits 0
    is failed "$(json out failed)" 0
    holds 'tests that passed' "$(json out passed) >= 45"
}

facts every_command_of_the_readme_runs its_tests_are_those_of_new its_own_test_notices threads_and_pieces_change_nothing \
    it_conforms
