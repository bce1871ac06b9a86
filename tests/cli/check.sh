#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# loci check and loci list --deep from outside: what is printed, what is written, what the exit code says.
# shellcheck disable=SC2317 # facts are called by their names
# shellcheck source=tests/cli/lib.sh
. "$(dirname "$0")/lib.sh"

bad_so() { printf '%s/tests/bad/%s.so' "$LOCI_TEST_BUILD" "$1"; }

a_component_is_tested_by_name() {
    loci check memory/hebbian --level 1
    exits 0
    prints memory/hebbian 'pass    file.loads' 'pass    plan.grows' '0 failed'
    lacks out grad.inputs
    loci check device/cpu
    exits 0
    prints 'built-in: ' '0 failed'
}

a_file_is_tested_with_every_class_in_it() {
    loci check "$LOCI_TEST_BUILD/plugins/.all/mem_none.so" --level 1
    exits 0
    prints memory/zero memory/identity
    is 'lines of file.loads' "$(grep -c file.loads out)" 1
    is 'lines of life.create' "$(grep -c life.create out)" 2
}

several_are_tested_in_turn_and_one_failure_counts() {
    loci check memory/zero "$(bad_so plan_counts)" memory/identity --level 1 --only-failed
    exits 4
    prints 'plan.pure' 'mem_none.so: '
    says 'plan_counts.so: ' ' tests failed'
}

a_failure_says_what_and_how_to_repeat_it() {
    local command
    loci check "$(bad_so plan_shrinks)" --only-failed --level 1 --seed 7
    exits 4
    prints 'fail    plan.grows' 'bytes of host, and with less it asked for' "repeat: loci check $(bad_so plan_shrinks) --only plan.grows --seed 7"
    lacks out 'pass  '
    command=$(sed -n 's/^ *repeat: loci //p' out)
    # shellcheck disable=SC2086 # words of a command
    loci $command
    exits 4
    prints 'fail    plan.grows' '0 passed, 1 failed'
    mkdir "it's here"
    cp "$(bad_so plan_shrinks)" "it's here/a b.so"
    loci check "it's here/a b.so" --only plan.grows --set run.seed=3
    prints "repeat: loci check 'it'\\''s here/a b.so' --only plan.grows --seed 1 --set run.seed=3"
}

a_crash_is_a_failed_test_that_names_signal_and_call() {
    loci check "$(bad_so crash_in_create)" --level 1
    exits 4
    [ -n "${LOCI_TEST_SAN-}" ] || prints 'SIGSEGV: create'
    prints 'crash   life.create' 'skip    life.two           life.create failed' 'skip    plan.pure'
}

a_hang_is_a_failed_test_that_names_the_call() {
    loci check "$(bad_so hang_in_create)" --level 1 --limit 0.5
    exits 4
    prints 'timeout life.create        not back after 0.5 s: create'
}

a_plugin_that_ends_the_process_does_not_end_the_check() {
    loci check "$(bad_so exits_in_create)" --level 1
    exits 4
    prints 'the process ended with exit code 0: create'
}

what_is_no_plugin_is_refused_in_words() {
    loci check
    exits 2
    says 'check takes a plugin file or KIND/ID'
    loci check nowhere.so
    exits 4
    says 'nowhere.so is neither a plugin file nor KIND/ID'
    loci check memory/titanz
    exits 4
    says titans
    loci check memory/zero --level 4
    exits 2
    loci check memory/zero --limit never
    exits 2
    loci check memory/zero --only 'nothing.*'
    exits 2
    says 'no test was run'
    printf 'text\n' >text.so
    loci check text.so
    exits 4
    prints 'fail    file.header' 'is a text file' 'skip    file.loads'
}

a_config_chooses_what_is_tested() {
    printf '[memory.titans]\ndepth = 2\n' >deep.ini
    loci check memory/titans -c deep.ini --only 'life.declare'
    exits 0
    cp out deep
    loci check memory/titans --only 'life.declare'
    exits 0
    differ out deep
    loci check memory/titans --set memory.titans.depth=many --only 'life.*'
    exits 3
    says '[memory.titans] depth = many'
}

what_is_not_promised_is_skipped_and_said() {
    loci check compose/mac --set compose.mac.retrieval=literal --only 'class.promises'
    exits 0
    prints 'it promises gradients; it is not causal with this config: it may see the future'
    loci check compose/mac --set compose.mac.retrieval=literal --only 'cut.pieces'
    prints 'skip    cut.pieces' 'it does not promise streaming with this config'
    loci check compose/mac --only 'class.promises'
    prints 'it promises gradients, streaming, causality'
    lacks out 'not causal'
}

json_is_one_document() {
    loci check memory/zero --level 1 --json --seed 9
    exits 0
    is plugin "$(basename "$(json out plugin)")" mem_none.so
    is failed "$(json out failed)" 0
    is 'tests' "$(json out tests '*' id | wc -l)" "$(($(json out passed) + $(json out skipped)))"
    is 'status of file.loads' "$(json out tests id=file.loads status)" pass
    is 'level of plan.pure' "$(json out tests id=plan.pure level)" 1
    is 'seed' "$(json out tests id=plan.pure seed)" 9
    is 'of' "$(json out tests id=plan.pure of)" memory/zero
    loci check "$(bad_so plan_counts)" --level 1 --json
    exits 4
    is 'status of plan.pure' "$(json out tests id=plan.pure status)" fail
    is 'failed' "$(json out failed)" "$(json out tests '*' status | grep -cE 'fail|crash|timeout')"
    [ -n "$(json out tests id=plan.pure message)" ] || bad 'a failure without a message'
    loci check memory/zero memory/identity --json
    exits 2
}

junit_holds_the_same_results() {
    loci check "$(bad_so untidy_text)" --level 1 --junit r.xml
    exits 4
    has_all r.xml '<testsuites name=' '<testsuite name="file" tests="7" failures="0"' '<testsuite name="memory/momentum"' \
        '<testcase name="class.text" classname="memory/momentum"' '<failure message="its summary is more than one line'
    [ "$(grep -c '<testcase ' r.xml)" -eq "$(grep -cE '^  (pass|fail|skip|crash|timeout) ' out)" ] ||
        bad 'r.xml has other tests than were printed'
    if command -v xmllint >/dev/null; then
        xmllint --noout r.xml || bad 'r.xml is not well-formed'
    fi
    loci check memory/zero --level 1 --junit nowhere/r.xml
    exits 5
    says nowhere/r.xml
}

tests_are_listed_with_what_they_do() {
    loci check --list
    exits 0
    prints '1  file.header' 'a complete shared object' '3  hard.threads'
    loci check --list --level 1
    lacks out hard.threads
    loci check --list --json
    exits 0
    is 'level of hard.threads' "$(json out id=hard.threads level)" 3
    is 'kinds of file.loads' "$(json out id=file.loads kinds '*')" file
}

every_test_stands_in_the_guide() {
    local id
    loci check --list --json
    exits 0
    json out '*' id >ids
    while read -r id; do
        has_all "$LOCI_TEST_SRC/docs/guide/check-a-plugin.md" "| \`$id\` |" "| $(json out "id=$id" does) |"
    done <ids
    [ "$(grep -cE '^[|] [123] [|] .[a-z]+[.][a-z0-9_]+. [|]' "$LOCI_TEST_SRC/docs/guide/check-a-plugin.md")" -eq "$(wc -l <ids)" ] ||
        bad 'the guide has tests that do not exist'
}

tests_can_run_in_this_process() {
    loci check memory/zero --in-process --level 1
    exits 0
    prints '0 failed'
}

an_interruption_ends_it() {
    start check "$(bad_so hang_in_create)" --only life.create
    sleep 0.5
    kill -INT "$pid"
    finish
    exits 9
    says 'interrupted in life.create: create'
}

a_deep_list_looks_into_every_file_and_survives() {
    mkdir mine
    cp "$(bad_so crash_at_load)" "$(bad_so wrong_magic)" "$(bad_so good)" "$(bad_so truncated)" mine
    loci list --deep --plugin-path "$PWD/mine"
    exits 0
    prints 'memory/titans' 'crash_at_load.so: ' 'its start-up code' 'instead of LOCI_MAGIC' truncated
    loci list --deep --json --plugin-path "$PWD/mine"
    exits 0
    is 'state of titans' "$(json out id=memory/titans probe state)" ok
    [ -n "$(json out id=memory/titans doc)" ] || bad 'memory/titans has no text'
    json out '*' probe state | sort | uniq -c | sed 's/^ *//' >states
    has_all states '1 crash' refused ok
}

facts a_component_is_tested_by_name a_file_is_tested_with_every_class_in_it \
    several_are_tested_in_turn_and_one_failure_counts a_failure_says_what_and_how_to_repeat_it \
    a_crash_is_a_failed_test_that_names_signal_and_call a_hang_is_a_failed_test_that_names_the_call \
    a_plugin_that_ends_the_process_does_not_end_the_check what_is_no_plugin_is_refused_in_words \
    a_config_chooses_what_is_tested what_is_not_promised_is_skipped_and_said json_is_one_document \
    junit_holds_the_same_results tests_are_listed_with_what_they_do every_test_stands_in_the_guide tests_can_run_in_this_process \
    an_interruption_ends_it a_deep_list_looks_into_every_file_and_survives
