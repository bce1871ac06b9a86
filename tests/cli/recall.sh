#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# Slow, some fifteen minutes: the experiments of etc/recall tell the mechanisms apart. Only relations of means over three
# seeds are asserted; docs/design/tasks.md says where they come from, etc/recall/README.md what was measured.
# shellcheck disable=SC2016,SC2086,SC2317 # messages hold backquotes; lists are words; facts are called by their names
# shellcheck source=tests/cli/lib.sh
. "$(dirname "$0")/lib.sh"

# measure NAME: run etc/recall/NAME.ini; then `mean ARM` is an accuracy.
measure() {
    loci compare -c "$LOCI_TEST_SRC/etc/recall/$1.ini" --set run.dir="$PWD/r" --json
    exits 0
    is better "$(json out better)" higher
}
mean() {
    local i n
    n=$(json out arms '#')
    for ((i = 0; i < n; i++)); do
        [ "$(json out arms $i name)" = "$1" ] && json out arms $i mean
    done
}

error_correcting_rules_beat_additive_ones_and_exact_chunks_frozen_ones() {
    measure random-overwrite
    holds 'exact against frozen-4' "$(mean exact) >= $(mean frozen-4) - 0.01"
    holds 'frozen-4 against frozen-16' "$(mean frozen-4) >= $(mean frozen-16) + 0.02"
    holds 'frozen-16 against hebbian' "$(mean frozen-16) >= $(mean hebbian) + 0.01"
    holds 'all against attention without positions' "$(mean hebbian) >= $(mean attention) + 0.1"
    holds 'exact recalls' "$(mean exact) >= 0.95"
}

a_list_recalls_what_a_state_of_fixed_size_cannot_hold() {
    measure mqar
    holds softmax "$(mean softmax) >= 0.99"
    holds 'gated delta' "$(mean gated-delta) < $(mean softmax)"
    holds linear "$(mean linear) < $(mean softmax)"
}

memory_finds_the_needle_behind_the_window() {
    local arm
    measure needle
    holds 'the window alone guesses' "$(mean window) <= 2 / 16"
    for arm in lmm mag mac mal; do
        holds "$arm" "$(mean $arm) >= 0.5"
    done
}

facts error_correcting_rules_beat_additive_ones_and_exact_chunks_frozen_ones \
    a_list_recalls_what_a_state_of_fixed_size_cannot_hold memory_finds_the_needle_behind_the_window
