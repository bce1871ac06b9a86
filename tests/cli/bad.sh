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

# The test that a folder names, and expected WORD FILE: what stands behind the word, one a line.
named() { sed -n 1p "$1"; }
expected() { sed -n "s/^$1 //p" "$2"; }

judge() { # NAME
    local name=$1 expect=$LOCI_TEST_SRC/tests/bad/$1/expect wanted id limit=60 only='*'
    wanted=$(named "$expect")
    [ "${name#hang}" = "$name" ] || limit=1
    # What is caught by other tests is asked once, where nothing else objects to it.
    [ -z "${LOCI_TEST_SAN-}" ] || only=$wanted
    loci check "$LOCI_TEST_BUILD/tests/bad/$name.so" --limit "$limit" --only-failed --only "$only"
    exits 4
    failed_ids | grep -qxF "$wanted" || bad "$name is not caught by $wanted but by: $(failed_ids | tr '\n' ' ')"
    grep -E "^  [a-z]+ +$wanted " out | grep -qF -- "$(expected says "$expect")" ||
        bad "$name: $wanted does not say '$(expected says "$expect")': $(grep -E "^  [a-z]+ +$wanted " out | cut -c1-300)"
    for id in $(failed_ids); do
        [ "$id" = "$wanted" ] || expected also "$expect" | grep -qxF "$id" || bad "$name is also caught by $id"
    done
}

passes() { # FILE
    loci check "$1" --only-failed
    exits 0
    [ -z "$(failed_ids)" ] || bad "$(basename "$1") is right, and fails: $(failed_ids | tr '\n' ' ')"
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

every_folder_that_expects_something_names_a_test_and_its_message() {
    local expect name
    for expect in "$LOCI_TEST_SRC"/tests/bad/*/expect; do
        name=$(basename "$(dirname "$expect")")
        [ "$(expected says "$expect" | wc -l)" -eq 1 ] || bad "$name does not say what its message holds"
        loci check --list --only "$(named "$expect")"
        [ -s out ] || bad "$name names a test that does not exist"
    done
}

every_good_plugin_passes() {
    local file folder
    for file in "$LOCI_TEST_PLUGINS"/*.so; do
        passes "$file"
    done
    for folder in "$LOCI_TEST_SRC"/tests/bad/*/; do
        [ -e "$folder/expect" ] || passes "$LOCI_TEST_BUILD/tests/bad/$(basename "$folder").so"
    done
    loci check device/cpu
    exits 0
}

facts every_bad_plugin_is_caught_by_the_test_meant_for_it \
    every_folder_that_expects_something_names_a_test_and_its_message every_good_plugin_passes
