#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# `loci doctor` finds what is wrong, says what to do, goes on, and ends with the code of the first failure.
# shellcheck disable=SC2016,SC2086,SC2094,SC2317 # messages hold backquotes; lists are words; `json` reads one file and
# prints; facts are called by their names
# shellcheck source=tests/cli/lib.sh
. "$(dirname "$0")/lib.sh"

state() { json out findings "what=$1" state; }

a_machine_in_order_ends_with_0() {
    local what
    loci doctor --json
    exits 0
    is failures "$(json out failures)" 0
    for what in processor kernels memory 'floating point' locale 'matrix products' 'index of runs' plots json nvidia \
        run.dir disk default; do
        json out findings "what=$what" state >/dev/null || bad "nothing about $what"
    done
    is 'all findings are counted' "$(json out findings '#')" \
        "$(($(json out ok) + $(json out warnings) + $(json out failures)))"
    json out findings '*' remedy | grep -cv '^null$' >told || :
    is 'a remedy for each that is not ok' "$(cat told)" "$(($(json out warnings) + $(json out failures)))"
    loci doctor
    exits 0
    prints 'processor' ' ok, '
    awk 'length > 80 && !/\/[^ ]*$/' out >long
    [ ! -s long ] || bad "longer than 80 columns: $(head -n 1 long)"
}

a_cap_that_is_no_cap_fails_with_usage() {
    LOCI_CPU=avx9 loci doctor --json
    exits 2
    is kernels "$(state kernels)" fail
    is 'it goes on' "$(state disk | grep -cE 'ok|warn')" 1
    LOCI_CPU=ref loci doctor --json
    exits 0
    is 'a cap' "$(state kernels)" warn
}

a_variable_that_nobody_reads_is_a_warning() {
    LOCI_PLUGINPATH=/x LOCI_XYZ=1 loci doctor --json
    exits 0
    is 'a slip' "$(json out findings what=LOCI_PLUGINPATH remedy)" 'did you mean LOCI_PLUGIN_PATH'
    is 'a stranger' "$(json out findings what=LOCI_XYZ remedy)" 'unset it'
    LOCI_SET=model.dim=8 loci doctor --json
    is LOCI_SET "$(state LOCI_SET)" ok
}

a_missing_plugin_folder_fails_with_plugin() {
    loci doctor --plugin-path=/no/such/folder --json
    exits 4
    is 'the folder' "$(state --plugin-path)" fail
}

a_broken_plugin_is_a_warning_that_names_it() {
    mkdir mine
    printf 'no program' >mine/junk.so
    cp -L "$LOCI_TEST_BUILD"/plugins/.all/mem_none.so mine/
    loci doctor --plugin-path="$PWD/mine" --json
    exits 0
    is broken "$(state broken)" warn
    json out findings what=broken text | grep -q junk.so || bad 'the broken file is not named'
    json out findings what=--plugin-path text | grep -q ': 2 components' || bad 'the components of the folder are not counted'
    json out findings what=shadowed text | grep -q memory/ || bad 'nothing is told of what is shadowed'
}

permissions_follow_the_policy() {
    local how
    mkdir -m 777 mine
    cp -L "$LOCI_TEST_BUILD"/plugins/.all/mem_none.so mine/
    for how in off warn check; do
        loci doctor --plugin-path="$PWD/mine" --set plugins.ownership=$how --json
        case $how in
        off)
            exits 0
            json out findings what=permissions state >/dev/null && bad 'permissions are judged although the policy is off'
            ;;
        warn)
            exits 0
            is permissions "$(state permissions)" warn
            ;;
        check)
            exits 4
            is permissions "$(state permissions)" fail
            json out findings what=permissions text | grep -q 'chmod go-w' || bad 'no remedy in the words'
            ;;
        esac
    done
}

a_config_that_is_wrong_fails_and_the_rest_is_looked_at() {
    printf '[train]\nstps = 1\n' >bad.ini
    loci doctor bad.ini --json
    exits 3
    is config "$(state bad.ini)" fail
    is 'plugins are looked at' "$(json out findings area=plugins state)" ok
    loci doctor nothing.ini --json
    [ "$rc" -ne 0 ] || bad 'a missing config is fine'
    json out >/dev/null || bad 'no document'
}

data_and_the_folder_of_runs_are_tried() {
    make_config c.ini mag
    loci doctor c.ini --json
    exits 0
    is data.train "$(state data.train)" ok
    loci doctor c.ini --set data.train=/no/text --json
    exits 5
    is data.train "$(state data.train)" fail
    [ "$(id -u)" -ne 0 ] || return 0 # root may write anywhere
    mkdir -m 555 locked
    loci doctor c.ini --set run.dir=locked/r --json
    exits 5
    is run.dir "$(state run.dir)" fail
}

nothing_is_left_behind() {
    make_config c.ini mag
    loci doctor c.ini
    exits 0
    is 'the files here' "$(find . -type f | sort | paste -sd' ')" './c.ini ./err ./out'
}

facts a_machine_in_order_ends_with_0 a_cap_that_is_no_cap_fails_with_usage a_variable_that_nobody_reads_is_a_warning \
    a_missing_plugin_folder_fails_with_plugin a_broken_plugin_is_a_warning_that_names_it permissions_follow_the_policy \
    a_config_that_is_wrong_fails_and_the_rest_is_looked_at data_and_the_folder_of_runs_are_tried nothing_is_left_behind
