#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# Each check is itself tested: every plugin of tests/bad is wrong in one way, and `loci check` must say so by the test that
# is meant for it and by no other (but those that `expect` allows). Every plugin of the build is right.
# shellcheck disable=SC2317 # facts are called by their names
# shellcheck source=tests/cli/lib.sh
. "$(dirname "$0")/lib.sh"
: "${LOCI_TEST_PLUGINS:=$LOCI_TEST_BUILD/plugins/.all}"

# Ids of the tests that failed, one a line.
failed_ids() {
    sed -nE 's/^  (fail|crash|timeout) +([a-z0-9_.]+) .*/\2/p' out | sort -u
}

# expected WORD FILE: what stands behind the word, one a line.
expected() { sed -n "s/^$1 //p" "$2"; }

judge() { # NAME
    local name=$1 expect=$LOCI_TEST_SRC/tests/bad/$1/expect wanted id limit=60 only='*'
    wanted=$(expected test "$expect")
    [ "${name#hang}" = "$name" ] || limit=1
    # What is caught by other tests is asked once, where nothing else objects to it.
    [ -z "${LOCI_TEST_SAN-}" ] || [ "$wanted" = pass ] || only=$wanted
    loci check "$LOCI_TEST_BUILD/tests/bad/$name.so" --limit "$limit" --only-failed --only "$only"
    if [ "$wanted" = pass ]; then
        exits 0
        [ -z "$(failed_ids)" ] || bad "$name is right, and fails: $(failed_ids | tr '\n' ' ')"
        return
    fi
    exits 4
    failed_ids | grep -qxF "$wanted" || bad "$name is not caught by $wanted but by: $(failed_ids | tr '\n' ' ')"
    grep -E "^  [a-z]+ +$wanted " out | grep -qF -- "$(expected says "$expect")" ||
        bad "$name: $wanted does not say '$(expected says "$expect")': $(grep -E "^  [a-z]+ +$wanted " out | cut -c1-300)"
    for id in $(failed_ids); do
        [ "$id" = "$wanted" ] || expected also "$expect" | grep -qxF "$id" || bad "$name is also caught by $id"
    done
}

every_bad_plugin_is_caught_by_the_test_meant_for_it() {
    local file name n=0
    for file in "$LOCI_TEST_SRC"/tests/bad/*/expect; do
        name=$(basename "$(dirname "$file")")
        [ -e "$LOCI_TEST_BUILD/tests/bad/$name.so" ] || bad "$name was not built: is it in tests/bad/local.mk?"
        judge "$name"
        n=$((n + 1))
    done
    [ "$n" -ge 30 ] || bad "there are only $n bad plugins"
}

every_folder_of_bad_plugins_says_what_it_expects() {
    local folder name
    for folder in "$LOCI_TEST_SRC"/tests/bad/*/; do
        name=$(basename "$folder")
        [ "$(expected test "$folder/expect" | wc -l)" -eq 1 ] || bad "$name does not name its test"
        [ "$(expected test "$folder/expect")" = pass ] || [ "$(expected says "$folder/expect" | wc -l)" -eq 1 ] ||
            bad "$name does not say what its message holds"
        loci check --list --only "$(expected test "$folder/expect")"
        [ "$(expected test "$folder/expect")" = pass ] || [ -s out ] || bad "$name names a test that does not exist"
    done
}

every_plugin_of_the_build_is_right() {
    local file
    for file in "$LOCI_TEST_PLUGINS"/*.so; do
        loci check "$file" --only-failed
        exits 0
        [ -z "$(failed_ids)" ] || bad "$(basename "$file") fails: $(failed_ids | tr '\n' ' ')"
    done
    loci check device/cpu
    exits 0
}

facts every_bad_plugin_is_caught_by_the_test_meant_for_it every_folder_of_bad_plugins_says_what_it_expects \
    every_plugin_of_the_build_is_right
