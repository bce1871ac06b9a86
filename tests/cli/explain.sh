#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# `loci explain` says what would be chosen: winner, file, score and reason, the rivals' words, the place of every backend
# key, groups of equal layers, sizes that a training confirms, and warnings. It needs no data and writes nothing.
# shellcheck disable=SC2016,SC2086,SC2094,SC2317 # messages hold backquotes; lists are words; `json` reads one file and
# prints; facts are called by their names
# shellcheck source=tests/cli/lib.sh
. "$(dirname "$0")/lib.sh"

part() { # part LAYERS ROLE STEP...: of the saved document doc.json
    local entry=$1 role=$2
    shift 2
    json doc.json layers "$entry" parts "role=$role" "$@"
}
explain() {
    loci explain --json "$@"
    exits 0
    cp out doc.json
}

every_role_names_its_winner_and_where_it_was_chosen() {
    local role
    make_config c.ini mac
    explain -c c.ini --set mixer.backend=mha
    is 'the layers' "$(json doc.json layers '#')" 1
    for role in compose mixer attention memory; do
        exists "$(part 0 $role path)"
        [ "$(part 0 $role score)" -gt 0 ] || bad "$role: no score"
        [ -n "$(part 0 $role reason)" ] || bad "$role: no reason"
        [ "$(part 0 $role promises '#')" -gt 0 ] || bad "$role promises nothing"
    done
    is compose "$(part 0 compose id)" compose/mac
    is 'origin of compose' "$(part 0 compose origin)" c.ini:12
    is 'origin of mixer' "$(part 0 mixer origin)" --set
    is 'origin of attention' "$(part 0 attention origin)" default
    is 'attention was named as' "$(part 0 attention backend)" auto
    is attention "$(part 0 attention id)" attention/cpu
    is device "$(json doc.json device id)" device/cpu
    is 'path of the device' "$(json doc.json device path)" built-in
}

rivals_are_asked_also_when_one_is_named() {
    make_config c.ini mag
    explain -c c.ini --set attention.backend=ref
    is attention "$(part 0 attention id)" attention/ref
    [ "$(part 0 attention others id=cpu score)" -gt "$(part 0 attention score)" ] || bad 'the backend passed over has no higher score'
    [ -n "$(part 0 attention others id=cpu reason)" ] || bad 'the backend passed over gives no reason'
    part 0 memory others '*' id >others
    has_all others zero identity
    lacks others titans
    loci explain -c c.ini --set attention.backend=ref
    prints 'named at --set: attention.backend = ref' 'others: cpu (1'
}

keys_carry_their_origins() {
    make_config c.ini mag
    explain -c c.ini --set memory.titans.chunk=8
    is 'chunk' "$(part 0 memory keys key=chunk value)" 8
    is 'origin of chunk' "$(part 0 memory keys key=chunk origin)" --set
    is 'origin of heads' "$(part 0 memory keys key=heads origin)" c.ini:10
    is 'origin of mode' "$(part 0 memory keys key=mode origin)" default
    is 'mode is set' "$(part 0 memory keys key=mode set)" false
}

equal_layers_share_an_entry_and_others_do_not() {
    make_config c.ini mag
    printf '[layer.2.compose]\nbackend = plain\n[layer.2.memory]\nbackend = none\n' >layers.ini
    explain -c c.ini -c layers.ini --set model.layers=5
    is 'the entries' "$(json doc.json layers '*' first | paste -sd' ')" '0 2 3'
    is 'their ends' "$(json doc.json layers '*' last | paste -sd' ')" '1 2 4'
    is 'compose of layer 2' "$(part 1 compose id)" compose/plain
    is 'origin in layer 2' "$(part 1 compose origin)" layers.ini:2
    [ "$(json doc.json layers 1 state_bytes)" -lt "$(json doc.json layers 0 state_bytes)" ] || bad 'a layer without memory has as much state'
    loci explain -c c.ini -c layers.ini --set model.layers=5
    prints 'layers 0-1:' 'layer 2:' 'layers 3-4:'
}

an_empty_role_is_told() {
    make_config c.ini mag
    explain -c c.ini --set memory.backend=none
    is memory "$(part 0 memory id)" null
    loci explain -c c.ini --set memory.backend=none
    prints 'none, named at --set: memory.backend = none'
}

the_sizes_are_those_of_a_training() {
    make_config c.ini mac
    explain -c c.ini
    loci train -c c.ini --set run.dir=r --set train.steps=1 --json
    exits 0
    tail -n 1 out >end.json
    is parameters "$(json doc.json sizes parameters)" "$(json end.json parameters)"
    is 'state of a stream' "$(json doc.json sizes state_bytes)" "$(json end.json state_bytes)"
    is 'sum over layers' "$(json doc.json layers '*' state_bytes | paste -sd+ | sed 's/.*/$((&))/; s/^/echo /' | bash)" \
        "$(json end.json state_bytes)"
    says 'plan: memory'
    near 'the plan' "$(json doc.json sizes train_bytes)" \
        "$(sed -n 's/.*: \([0-9.]*\) MiB in all.*/\1/p' err | awk '{ print $1 * 1048576 }')" 200000
}

nothing_is_read_and_nothing_written() {
    make_config c.ini mac
    explain -c c.ini --set data.train=/nowhere
    absent runs r
}

an_arm_is_explained_by_name() {
    make_config c.ini mac
    printf '[arm.one.compose]\nbackend = mag\n[arm.two]\n' >>c.ini
    loci explain -c c.ini
    exits 0
    prints 'one, two' '--arm'
    explain -c c.ini --arm one
    is compose "$(part 0 compose id)" compose/mag
    loci explain -c c.ini --arm three
    exits 3
    says three
}

what_cannot_be_chosen_is_an_error_with_a_name() {
    make_config c.ini mac
    loci explain -c c.ini --set attention.backend=cup
    exits 4
    says '--set: attention.backend = cup' cpu
    loci explain -c c.ini --set memory.titans.mode=exakt
    exits 3
    says exakt
}

broken_and_shadowed_files_are_warned_of() {
    make_config c.ini mag
    mkdir mine
    cp -L "$LOCI_TEST_BUILD"/plugins/.all/mem_titans.so mine/
    printf 'no program' >mine/junk.so
    explain -c c.ini --plugin-path="$PWD/mine"
    json doc.json warnings '*' >warnings
    has_all warnings junk.so shadowed "$PWD/mine/mem_titans.so"
    is 'the memory comes from' "$(part 0 memory path)" "$PWD/mine/mem_titans.so"
    loci explain -c c.ini --plugin-path="$PWD/mine"
    prints junk.so
}

a_model_that_sees_the_future_is_called_so() {
    make_config c.ini mac
    explain -c c.ini
    is causal "$(json doc.json causal)" true
    explain -c c.ini --set compose.mac.retrieval=literal
    is causal "$(json doc.json causal)" false
    json doc.json warnings '*' | grep -q 'layer 0: compose/mac.*sees the future' || bad 'no warning of the future'
}

lines_are_short_enough() {
    loci explain -c "$LOCI_TEST_SRC/etc/mac.ini"
    exits 0
    awk 'length > 80 && !/^ *\/[^ ]*$/' out >long # a path is never broken
    [ ! -s long ] || bad "longer than 80 columns: $(head -n 1 long)"
}

facts every_role_names_its_winner_and_where_it_was_chosen rivals_are_asked_also_when_one_is_named \
    keys_carry_their_origins equal_layers_share_an_entry_and_others_do_not an_empty_role_is_told \
    the_sizes_are_those_of_a_training nothing_is_read_and_nothing_written an_arm_is_explained_by_name \
    what_cannot_be_chosen_is_an_error_with_a_name broken_and_shadowed_files_are_warned_of \
    a_model_that_sees_the_future_is_called_so lines_are_short_enough
