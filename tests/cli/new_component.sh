#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# A component is one folder: the commands of CONTRIBUTING.md make one out of mem_none, it compiles with the public headers
# alone, and a run names it. new_tree.sh does the same inside a copy of the tree.
# shellcheck disable=SC2016,SC2086,SC2317 # messages hold backquotes; lists are words; facts are called by their names
# shellcheck source=tests/cli/lib.sh
. "$(dirname "$0")/lib.sh"

# plugins/mem_mine as CONTRIBUTING.md makes it, and its plugin mine/mem_mine.so.
make_mine() {
    mkdir plugins mine
    cp -r "$LOCI_TEST_SRC/plugins/mem_none" plugins/
    chmod -R u+w plugins
    grep -E '^(cp|sed) .*mem_mine' "$LOCI_TEST_SRC/CONTRIBUTING.md" >commands
    is 'commands in CONTRIBUTING.md' "$(wc -l <commands)" 2
    bash -e commands || bad 'the commands of CONTRIBUTING.md fail'
    rm -f plugins/mem_mine/test_*.c
    $LOCI_TEST_CC ${LOCI_TEST_SAN-} -std=c11 -Wall -Wextra -Werror -O1 -fPIC -fvisibility=hidden -shared -Wl,-z,defs \
        -I"$LOCI_TEST_SRC/include" -o mine/mem_mine.so plugins/mem_mine/*.c -lm || bad 'the copy does not compile'
}

a_copied_and_renamed_plugin_trains() {
    make_mine
    make_config c.ini mag
    loci list --json --plugin-path "$PWD/mine"
    exits 0
    is path "$(json out id=memory/mine path)" "$PWD/mine/mem_mine.so"
    loci info memory/mine --json --plugin-path "$PWD/mine"
    exits 0
    is id "$(json out id)" memory/mine
    loci train -c c.ini --set memory.backend=mine --set train.steps=2 --set run.dir=r --plugin-path "$PWD/mine"
    exits 0
    is steps "$(json r/checkpoints/0000000002/run.json step)" 2
    json r/checkpoints/0000000002/run.json plugins memory/mine build_id >/dev/null || bad 'run.json does not name it'
    loci eval r --plugin-path "$PWD/mine"
    exits 0
}

it_computes_what_the_original_computes() {
    make_mine
    make_config c.ini mal
    loci train -c c.ini --set memory.backend=zero --set run.dir=a
    loci train -c c.ini --set memory.backend=mine --set run.dir=b --plugin-path "$PWD/mine"
    exits 0
    same_bits a/checkpoints/0000000008 b/checkpoints/0000000008
    loci train -c c.ini --set memory.backend=identity --set run.dir=c
    loci train -c c.ini --set memory.backend=mine_too --set run.dir=d --plugin-path "$PWD/mine"
    exits 0
    same_bits c/checkpoints/0000000008 d/checkpoints/0000000008
    differ a/checkpoints/0000000008/model.safetensors c/checkpoints/0000000008/model.safetensors
}

it_is_compared_like_any_other() {
    make_mine
    make_config c.ini mag
    loci compare -c c.ini --vary memory.backend=zero,mine --set train.steps=2 --set compare.seeds=3 --set run.dir=r \
        --plugin-path "$PWD/mine"
    exits 0
    is 'difference of equals' "$(json r/compare.json pairs 0 diff)" 0.0
}

facts a_copied_and_renamed_plugin_trains it_computes_what_the_original_computes it_is_compared_like_any_other
