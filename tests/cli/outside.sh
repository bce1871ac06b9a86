#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# examples/outside, as a stranger meets it: loci is installed into an empty folder, the environment is cleared, and the
# commands of the example's README are typed as they are written. What they compute is then looked at.
# shellcheck disable=SC2016,SC2086,SC2317 # messages hold backquotes; lists are words; facts are called by their names
# shellcheck source=tests/cli/lib.sh
. "$(dirname "$0")/lib.sh"

# A copy of the example in ./outside, its two plugins built with the installed headers alone.
build_outside() {
    [ -f "$LOCI_TEST_SRC/examples/outside/README.md" ] || skip 'examples/outside is not here'
    install_tree
    cp -r "$LOCI_TEST_SRC/examples/outside" outside
    chmod -R u+w outside
    cd outside || exit 1
    installed make >out 2>err || {
        bad 'make fails in examples/outside'
        tail -n 8 err | sed 's/^/      /'
    }
    plugins=$(installed_at mem_none.so '*')
    LOCI_COMMAND=$(installed_at loci '*/bin/*')/loci
}

# loci, installed, with the plugins of this folder before its own.
ours() {
    rc=0
    last="loci $*"
    installed env LOCI_PLUGIN_PATH="$PWD:$plugins" loci "$@" >out 2>err </dev/null || rc=$?
    sanitized
}

losses() { # RUN
    json -l "$1/log.jsonl" loss_nats
}

agree() { # RUN RUN TOLERANCE: the losses of every step
    losses "$1" >a.losses
    losses "$2" >b.losses
    is "losses of $1" "$(wc -l <a.losses)" "$(wc -l <b.losses)"
    [ "$(wc -l <a.losses)" -ge 20 ] || bad "$1 has $(wc -l <a.losses) losses"
    paste a.losses b.losses |
        awk -v t="$3" '{ d = $1 - $2; if (d < 0) d = -d; if (!(d <= t)) bad = 1 } END { exit bad }' ||
        bad "$1 and $2: losses are further apart than $3"
}

every_command_of_the_readme_runs() {
    build_outside
    rm -f ./*.so
    sed -n '/^```sh$/,/^```$/p' README.md | grep -v '^```' >commands
    [ "$(wc -l <commands)" -ge 9 ] || bad "$(wc -l <commands) commands in README.md"
    installed bash -e commands >out 2>err || {
        bad 'a command of README.md fails'
        tail -n 4 err | sed 's/^/      /'
    }
    exists mem_oja.so mem_oja_bare.so runs/ab/report.html
    exists runs/oja/checkpoints/0000000020 runs/bare/checkpoints/0000000020
    prints memory/org.example.oja memory/org.example.oja_bare beta_max
    is verdict "$(json runs/ab/compare.json pairs 0 verdict | grep -cE '^(a|b|undecided)$')" 1
    agree runs/oja runs/bare 1e-4
}

the_installed_tree_knows_both() {
    build_outside
    ours list --json
    exits 0
    is path "$(json out id=memory/org.example.oja path)" "$PWD/mem_oja.so"
    is path "$(json out id=memory/titans path)" "$plugins/mem_titans.so"
    ours info memory/org.example.oja -c try.ini --json
    exits 0
    is gate "$(json out gates 0 name)" beta
    near 'end of the range' "$(json out gates 0 range 1)" 0.4 1e-9
    is key "$(json out keys 0 name)" beta_max
}

# The same model in double: nothing but the order of sums is left between the two, and another step is seen.
they_are_one_rule_in_double() {
    build_outside
    for rule in oja oja_bare; do
        ours train -c try.ini --set run.dtype=f64 --set memory.backend=org.example.$rule --set run.dir=runs/$rule
        exits 0
    done
    agree runs/oja runs/oja_bare 1e-10
    ours train -c try.ini --set run.dtype=f64 --set memory.org.example.oja.beta_max=0.2 --set run.dir=runs/other
    exits 0
    losses runs/other >other.losses
    differ a.losses other.losses
    ours train -c try.ini --set run.dtype=f64 --set memory.backend=titans --set run.dir=runs/titans
    exits 0
    losses runs/titans >titans.losses
    differ a.losses titans.losses
}

threads_change_no_bit() {
    build_outside
    for rule in oja oja_bare; do
        for n in 1 4; do
            ours train -c try.ini --threads $n --set memory.backend=org.example.$rule --set run.dir=runs/$rule-$n
            exits 0
        done
        same_bits runs/$rule-1/checkpoints/0000000020 runs/$rule-4/checkpoints/0000000020
    done
}

killed_and_resumed_they_end_with_the_same_bits() {
    local more rule kills ms
    build_outside
    for rule in oja oja_bare; do
        more="-c try.ini --set memory.backend=org.example.$rule --set train.steps=600 --set train.save_every=3"
        more="$more --plugin-path $PWD:$plugins"
        kills=0
        ours train $more --set run.dir=runs/$rule-whole
        exits 0
        for ms in 150 250 350; do
            start train $more --resume --set run.dir=runs/$rule-parts
            sleep 0.$ms
            kill -9 "$pid" 2>/dev/null
            finish 2>/dev/null
            [ "$rc" -ne 137 ] || kills=$((kills + 1))
        done
        [ $kills -gt 0 ] || bad "$rule: done before it was killed"
        ours train $more --resume --set run.dir=runs/$rule-parts
        exits 0
        same_bits runs/$rule-whole/checkpoints/0000000600 runs/$rule-parts/checkpoints/0000000600
    done
}

facts every_command_of_the_readme_runs the_installed_tree_knows_both they_are_one_rule_in_double threads_change_no_bit \
    killed_and_resumed_they_end_with_the_same_bits
