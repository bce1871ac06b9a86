#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# Slow. A component is one folder and one line: the commands of CONTRIBUTING.md in a copy of the tree, then autoreconf,
# configure, make, and two steps with it. Once more after the first build, where make alone has to notice the line.
# shellcheck disable=SC2016,SC2086,SC2317 # messages hold backquotes; lists are words; facts are called by their names
# shellcheck source=tests/cli/lib.sh
. "$(dirname "$0")/lib.sh"

copy_tree() {
    mkdir tree
    tar -C "$LOCI_TEST_SRC" --exclude='./build*' --exclude=./.git --exclude=./runs --exclude=./data \
        --exclude=autom4te.cache --exclude='*.o' --exclude='*.lo' --exclude=.libs --exclude=./config.status \
        --exclude=./config.h --exclude=./Makefile --exclude=./libtool -cf - . | tar -C tree -xf -
    chmod -R u+w tree
}

add_component() {
    grep -E '^(cp|sed|echo) .*mem_mine' "$LOCI_TEST_SRC/CONTRIBUTING.md" >commands
    is 'commands in CONTRIBUTING.md' "$(wc -l <commands)" 3
    (cd tree && bash -e ../commands) || bad 'the commands of CONTRIBUTING.md fail'
}

build() { # LOG COMMAND...: or show the end of its log
    local log=$PWD/$1
    shift
    "$@" >"$log" 2>&1 || {
        bad "$* fails"
        tail -n 15 "$log" | sed 's/^/      /'
    }
}

two_steps_with_it() {
    make_config c.ini mag
    LOCI_COMMAND=$PWD/tree/build/loci
    loci info memory/mine --json
    exits 0
    is id "$(json out id)" memory/mine
    loci train -c c.ini --set memory.backend=mine --set train.steps=2 --set run.dir=r
    exits 0
    is steps "$(json r/checkpoints/0000000002/run.json step)" 2
}

tools() {
    local tool
    for tool in autoreconf automake libtoolize make; do
        command -v $tool >/dev/null || skip "$tool is not installed"
    done
    [ -f "$LOCI_TEST_SRC/configure.ac" ] || skip 'there is no configure.ac'
}

one_folder_and_one_line_before_the_build() {
    tools
    copy_tree
    add_component
    build autoreconf.log env -C tree autoreconf -fi
    mkdir tree/build
    build configure.log env -C tree/build ../configure -q CC="$LOCI_TEST_CC"
    build make.log make -C tree/build -j2
    two_steps_with_it
}

one_folder_and_one_line_after_the_build() {
    tools
    copy_tree
    build autoreconf.log env -C tree autoreconf -fi
    mkdir tree/build
    build configure.log env -C tree/build ../configure -q CC="$LOCI_TEST_CC"
    build make.log make -C tree/build -j2
    add_component
    build again.log make -C tree/build -j2
    two_steps_with_it
}

facts one_folder_and_one_line_before_the_build one_folder_and_one_line_after_the_build
