#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# `loci inspect` tells what is in a file, a checkpoint, a run; what gates and memories do; in what two models differ.
# shellcheck disable=SC2016,SC2086,SC2094,SC2317 # messages hold backquotes; lists are words; `json` reads one file and
# prints; facts are called by their names
# shellcheck source=tests/cli/lib.sh
. "$(dirname "$0")/lib.sh"

trained() { # trained NAME COMPOSITION WORDS...: a run of seconds
    local name=$1 compose=$2
    shift 2
    make_config "$name.ini" "$compose"
    loci train -c "$name.ini" --set run.dir="$name" -q "$@"
    exits 0
}

# An npy file of float64, 2 x 3: 1 2 3 / 4 0 -6
make_npy() {
    {
        printf '\223NUMPY\001\000v\000'
        printf '%-117s\n' "{'descr': '<f8', 'fortran_order': False, 'shape': (2, 3), }"
        printf '\0\0\0\0\0\0\360\77\0\0\0\0\0\0\0\100\0\0\0\0\0\0\10\100'
        printf '\0\0\0\0\0\0\20\100\0\0\0\0\0\0\0\0\0\0\0\0\0\0\30\300'
    } >"$1"
}

a_file_of_tensors_is_a_table() {
    make_npy x.npy
    loci inspect x.npy --json
    exits 0
    is name "$(json out tensors 0 name)" x
    is shape "$(json out tensors 0 shape '*' | paste -sd' ')" '2 3'
    is dtype "$(json out tensors 0 dtype)" F64
    is max_abs "$(json out tensors 0 max_abs)" 6.0
    near rms "$(json out tensors 0 rms)" 3.3166247903554 1e-12
    near zeros "$(json out tensors 0 zeros)" 0.16666666666667 1e-12
    loci inspect x.npy
    prints '2x3' '48 B' '17 %'
}

one_tensor_has_figures_a_histogram_and_its_values() {
    make_npy x.npy
    loci inspect x.npy --tensor=x
    exits 0
    prints 'F64, 2x3' 'min -6  max 4' 'not finite 0 of 6' '#'
    loci inspect x.npy --tensor=x --values
    printf '1,2,3\n4,0,-6\n' >want
    same out want
    loci inspect x.npy --tensor=x --values --json
    is 'the values' "$(json out values '*' | paste -sd' ')" '1.0 2.0 3.0 4.0 0.0 -6.0'
    is 'sum of the histogram' "$(json out histogram counts '*' | awk '{ s += $1 } END { print s }')" 6
    loci inspect x.npy --tensor=y
    exits 2
    says '`y`' 'did you mean `x`'
    loci inspect x.npy --values
    exits 2
}

a_number_that_is_not_finite_is_shouted() {
    make_npy x.npy
    printf '\0\0\0\0\0\0\370\177' | dd of=x.npy bs=1 seek=128 conv=notrunc 2>/dev/null
    loci inspect x.npy
    exits 0
    prints 'NOT FINITE' '1 not finite'
    loci inspect x.npy --json
    is 'not finite' "$(json out not_finite)" 1
}

a_run_tells_its_log_and_its_newest_checkpoint() {
    trained r mag
    loci inspect r --json
    exits 0
    cp out doc.json
    is finished "$(json doc.json log finished)" true
    is step "$(json doc.json log step)" 8
    is evaluations "$(json doc.json log evaluations)" 2
    is 'the checkpoint' "$(json doc.json checkpoint step)" 8
    tail -n 1 r/log.jsonl >end.json
    is parameters "$(json doc.json model elements)" "$(json end.json parameters)"
    is 'validation loss' "$(json doc.json log valid_loss_nats)" "$(json end.json valid_loss_nats)"
    holds 'the best is no worse' "$(json doc.json log best_valid_loss_nats) <= $(json doc.json log valid_loss_nats)"
    loci inspect r
    exits 0
    prints 'run r: finished, step 8' 'tokens/s' 'layer.0.memory' 'front.gate.alpha.bias' 'moments of'
    loci inspect "$(newest r)"
    exits 0
    prints 'step 8' 'embed.weight'
    lacks out 'run r'
}

a_carried_state_has_norms_by_stream_and_head() {
    trained r mag --set data.carry=yes
    loci inspect r --json
    json out state tensors '*' norms '#' >/dev/null || bad 'no norms'
    json out state tensors '*' name | grep -q '\.M$' || bad 'no state M'
    name=$(json out state tensors '*' name | grep '\.M$')
    is 'streams' "$(json out state tensors name="$name" norms '#')" 2
    is 'heads' "$(json out state tensors name="$name" norms 0 '#')" 2
    holds 'a norm' "$(json out state tensors name="$name" norms 1 1) > 1e-6"
    rms=$(json out state tensors name="$name" rms)
    json out state tensors name="$name" norms '*' '*' >norms
    near 'rms from the norms' "$(awk '{ s += $1 * $1 } END { print sqrt(s / 1024) }' norms)" "$rms" 1e-7
    loci inspect r
    prints 'norm by head, stream 1:'
}

gates_are_looked_at_over_a_batch() {
    local gate
    trained r mag
    loci inspect r --gates --json
    exits 0
    cp out doc.json
    is 'gates' "$(json doc.json gates gates '*' gate | paste -sd' ')" 'alpha eta theta'
    for gate in alpha eta theta; do
        holds "$gate in order" "$(json doc.json gates gates gate=$gate min) <= $(json doc.json gates gates gate=$gate q05) &&
            $(json doc.json gates gates gate=$gate q05) <= $(json doc.json gates gates gate=$gate q50) &&
            $(json doc.json gates gates gate=$gate q50) <= $(json doc.json gates gates gate=$gate max) &&
            $(json doc.json gates gates gate=$gate min) > 0 && $(json doc.json gates gates gate=$gate max) < 1"
        is "values of $gate" "$(json doc.json gates gates gate=$gate n)" $((2 * 32 * 2))
    done
    holds 'half-life about 69' "$(json doc.json gates gates gate=alpha half_life_tok) > 40 &&
        $(json doc.json gates gates gate=alpha half_life_tok) < 120"
    is 'the last position' "$(json doc.json gates memory state=M positions '*' | tail -n 1)" 32.0
    is 'norms by head' "$(json doc.json gates memory state=M norms 0 '#')" 2
    loci inspect r --gates --set memory.titans.mode=sequential --json
    exits 0
    near 'the mean of theta, token by token' "$(json out gates gates gate=theta mean)" \
        "$(json doc.json gates gates gate=theta mean)" 1e-6
    loci inspect r --gates
    prints 'gates over 2 rows of 32 tokens' 'alpha' 'half of what is written is forgotten after' 'by head at the end'
}

the_loss_of_the_batch_is_that_of_an_evaluation() {
    trained r mac
    loci eval r --set train.eval_tokens=64 --json
    cp out eval.json
    loci inspect r --gates --json
    exits 0
    is 'tokens' "$(json out gates tokens)" "$(json eval.json tokens)"
    near 'the loss' "$(json out gates loss_nats)" "$(json eval.json loss_nats)" 1e-5
}

another_text_can_be_read() {
    trained r mag
    make_text other 7
    loci inspect r --gates --json
    cp out own.json
    loci inspect r --text other --json
    exits 0
    differ out own.json
    rm "$work/text"
    loci inspect r --gates
    exits 5
    loci inspect r --text other
    exits 0
    make_text "$work/text"
}

a_model_without_gates_says_so() {
    trained r plain
    loci inspect r --gates
    exits 0
    prints 'no memory of this model has gates'
}

equal_checkpoints_end_with_0_and_others_with_6() {
    trained a mag
    trained b mag
    trained c mag --set run.seed=2
    trained d plain
    loci inspect --diff a b
    exits 0
    lacks out 'rel rms'
    loci inspect --diff a c --json
    exits 6
    cp out doc.json
    is 'tensors' "$(json doc.json tensors)" "$(json doc.json differences '#')"
    json doc.json differences '*' relative_rms >rels
    sort -rg rels >sorted
    same rels sorted
    loci inspect --diff a d --json
    exits 6
    json out differences '*' what | sort | uniq -c >kinds
    has_all kinds 'only in a' values
    lacks kinds 'only in b' shape
    loci inspect --diff a/checkpoints/0000000004 "$(newest a)/model.safetensors"
    exits 6
    prints 'rel rms' 'embed.weight'
    loci inspect --diff a
    exits 2
}

broken_files_are_answered_with_a_sentence() {
    local file
    for file in "$LOCI_TEST_SRC"/tests/fuzz/tensors/bad-*; do
        loci inspect "$file"
        [ "$rc" -eq 6 ] || [ "$rc" -eq 4 ] || bad "$file: exit code $rc"
        is "lines about $file" "$(wc -l <err)" 1
    done
    trained r mag
    truncate -s 100 "$(newest r)/model.safetensors"
    loci inspect r # the one before it still reads whole
    exits 0
    prints 'step 4'
    loci inspect "$(newest r)"
    exits 6
    says model.safetensors
    loci inspect nothing
    exits 6
    says nothing
    mkdir empty
    loci inspect empty
    exits 6
    echo '{}' >empty/compare.json
    loci inspect empty
    exits 6
    says 'empty/ARM/seed-N'
    printf 'not a line of a log\n' >>r/log.jsonl
    loci inspect r
    exits 0
    says 'log.jsonl'
}

a_run_that_saved_nothing_tells_its_log() {
    trained r mag
    rm -r r/checkpoints
    loci inspect r
    exits 0
    prints 'run r: finished' checkpoint
    loci inspect r --gates
    exits 6
}

no_plugin_is_loaded_without_gates() {
    trained r mag
    printf '[memory]\nbackend = org.example.gone\n' >>"$(newest r)/config.ini"
    loci inspect r
    exits 0
    loci inspect r --gates
    [ "$rc" -ne 0 ] || bad 'a missing plugin is not missed'
}

facts a_file_of_tensors_is_a_table one_tensor_has_figures_a_histogram_and_its_values \
    a_number_that_is_not_finite_is_shouted a_run_tells_its_log_and_its_newest_checkpoint \
    a_carried_state_has_norms_by_stream_and_head gates_are_looked_at_over_a_batch \
    the_loss_of_the_batch_is_that_of_an_evaluation another_text_can_be_read a_model_without_gates_says_so \
    equal_checkpoints_end_with_0_and_others_with_6 broken_files_are_answered_with_a_sentence \
    a_run_that_saved_nothing_tells_its_log no_plugin_is_loaded_without_gates
