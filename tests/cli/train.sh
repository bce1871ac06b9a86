#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# loci train and eval: what a run leaves, what decides its numbers, and how each thing that can go wrong is said.
# Stopping and going on is resume.sh.
# shellcheck disable=SC2016,SC2086,SC2317 # messages hold backquotes; lists are words; facts are called by their names
# shellcheck source=tests/cli/lib.sh
. "$(dirname "$0")/lib.sh"

# ---- what a run leaves ----------------------------------------------------------------------------------------------

a_run_leaves_the_files_of_the_design() {
    local c f
    make_config c.ini mag
    loci train -c c.ini --set run.dir=r
    exits 0
    exists r/config.ini r/log.jsonl
    for c in r/checkpoints/0000000004 r/checkpoints/0000000008; do
        for f in model.safetensors optimizer.safetensors state.safetensors config.ini run.json; do
            exists $c/$f
        done
    done
    is 'folders of checkpoints' "$(find r/checkpoints -mindepth 1 -maxdepth 1 | wc -l)" 2
    loci config -c r/config.ini
    exits 0
    same out r/config.ini
    # A checkpoint names no place of plugins: that section alone is missing from its config.
    awk '/^\[/ { keep = !/^\[plugins\]/ } keep' r/config.ini >want
    awk '/^\[/ { keep = 1 } keep' r/checkpoints/0000000008/config.ini >got
    same want got
    prints 'dim = 32' "train = $work/text"
}

without_run_dir_the_folder_is_runs_and_the_name() {
    make_config tiny.ini plain
    loci train -c tiny.ini --set train.steps=1
    exits 0
    exists runs/tiny/checkpoints/0000000001
    loci train -c tiny.ini --set train.steps=1 --set run.name=other
    exits 0
    exists runs/other/checkpoints/0000000001
}

the_log_has_every_step_once() {
    local first last_loss
    make_config c.ini plain
    loci train -c c.ini --set run.dir=r --json
    exits 0
    is events "$(json -l r/log.jsonl event | tr '\n' ' ')" 'start step step step step eval step step step step eval end '
    json -l r/log.jsonl loss_nats >losses
    first=$(head -n 1 losses)
    last_loss=$(tail -n 1 losses)
    holds 'the loss starts near ln 256' "$first > 5 && $first < 6.2"
    holds 'the loss falls' "$last_loss < $first - 0.1"
    is 'the last line of --json' "$(json -l out event | tail -n 1)" end
    tail -n 1 out >end.json
    is step "$(json end.json step)" 8
    is loss "$(json end.json loss_nats)" "$(json -l r/log.jsonl loss_nats | tail -n 1)"
    is valid "$(json end.json valid_loss_nats)" "$(json -l r/log.jsonl valid_loss_nats | tail -n 1)"
    holds 'the end line has its numbers' "$(json end.json tokens_per_s) > 0 && $(json end.json parameters) > 10000 && \
        $(json end.json state_bytes) > 0 && $(json end.json peak_bytes) > 4 * $(json end.json parameters)"
    exists "$(json end.json checkpoint)/model.safetensors" "$(json end.json run)/log.jsonl"
}

a_checkpoint_says_what_made_it() {
    make_config c.ini mag
    loci train -c c.ini --set run.dir=r --set run.seed=7
    cp r/checkpoints/0000000008/run.json out
    is step "$(json out step)" 8
    is tokens "$(json out tokens)" 512
    is seed "$(json out rng seed)" 7
    is 'data position' "$(json out data position)" 512
    is fingerprint "$(json out data train_xxh64 | grep -cE '^[0-9a-f]{16}$')" 1
    json out machine >/dev/null || bad 'no machine'
    for id in mixer/mha memory/titans compose/mag; do
        json out plugins $id version >/dev/null || bad "no version of $id"
        is "build-id of $id" "$(json out plugins $id build_id | grep -cE '^[0-9a-f]{16,}$')" 1
    done
    json out plugins attention/cpu score >/dev/null || json out plugins attention/ref score >/dev/null ||
        bad 'run.json has no score of the attention that was chosen'
}

weights_depend_on_names_and_seed_only() {
    make_config c.ini plain
    loci train -c c.ini --set run.dir=a --set train.steps=0
    exits 0
    loci train -c c.ini --set run.dir=b --set train.steps=0 --set train.lr=1 --set data.seq_tok=16
    loci train -c c.ini --set run.dir=c --set train.steps=0 --set run.seed=2
    same a/checkpoints/0000000000/model.safetensors b/checkpoints/0000000000/model.safetensors
    differ a/checkpoints/0000000000/model.safetensors c/checkpoints/0000000000/model.safetensors
}

# ---- what decides the numbers ---------------------------------------------------------------------------------------

any_number_of_threads_gives_the_same_bits() {
    local n arm
    for arm in plain mac; do
        make_config $arm.ini $arm
        for n in 1 2 4; do
            loci train -c $arm.ini --threads $n --set run.dir=$arm$n --set data.carry=yes
            exits 0
        done
        for n in 2 4; do
            same_bits ${arm}1/checkpoints/0000000008 $arm$n/checkpoints/0000000008
            same ${arm}1/checkpoints/0000000008/state.safetensors $arm$n/checkpoints/0000000008/state.safetensors
        done
    done
}

accumulation_makes_a_larger_batch() {
    make_config c.ini plain
    loci train -c c.ini --set run.dir=a --set train.batch=4 --json
    loci train -c c.ini --set run.dir=b --set train.batch=2 --set train.accumulate=2 --json
    exits 0
    is tokens "$(json b/checkpoints/0000000008/run.json tokens)" "$(json a/checkpoints/0000000008/run.json tokens)"
    near 'loss of 1 x 4 and 2 x 2 rows' "$(json -l a/log.jsonl loss_nats | tail -n 1)" \
        "$(json -l b/log.jsonl loss_nats | tail -n 1)" 1e-4
}

rates() { # SCHEDULE SET...: the learning rates of ten steps, one a line
    local name=$1
    shift
    loci train -c c.ini --set run.dir="$name" --set train.schedule="${name%-*}" --set train.steps=10 \
        --set train.lr=1e-3 --set train.warmup=2 --set train.eval_every=0 "$@"
    exits 0
    json -l "$name/log.jsonl" lr >"$name.lr"
    is "steps of $name" "$(wc -l <"$name.lr")" 10
}
rate() { sed -n "$2p" "$1.lr"; }

schedules_follow_their_formulas() {
    local step
    make_config c.ini plain
    rates constant
    rates linear --set train.lr_min=0.2
    rates cosine --set train.lr_min=0.1
    rates step --set train.step_every=4 --set train.step_gamma=0.5 --set train.lr_min=0
    rates step-floor --set train.step_every=2 --set train.step_gamma=0.5 --set train.lr_min=0.4
    for step in constant linear cosine step; do
        near "$step: warm-up" "$(rate $step 1)" 5e-4 1e-9
        near "$step: peak" "$(rate $step 3)" 1e-3 1e-9
    done
    near 'constant at the end' "$(rate constant 10)" 1e-3 1e-9
    near 'linear in the middle' "$(rate linear 7)" 6e-4 1e-9
    near 'cosine in the middle' "$(rate cosine 7)" 5.5e-4 1e-9
    near 'step before its fall' "$(rate step 6)" 1e-3 1e-9
    near 'step after its fall' "$(rate step 7)" 5e-4 1e-9
    near 'step ends no lower than lr_min' "$(rate step-floor 10)" 4e-4 1e-9
}

float64_trains_and_agrees() {
    make_config c.ini mag
    loci train -c c.ini --set run.dir=a
    loci train -c c.ini --set run.dir=b --set run.dtype=f64
    exits 0
    near 'first loss in f32 and f64' "$(json -l a/log.jsonl loss_nats | head -n 1)" \
        "$(json -l b/log.jsonl loss_nats | head -n 1)" 1e-4
}

# ---- eval -----------------------------------------------------------------------------------------------------------

eval_takes_a_checkpoint_or_a_run() {
    make_config c.ini plain
    loci train -c c.ini --set run.dir=r
    loci eval r/checkpoints/0000000008 --json
    exits 0
    cp out one
    loci eval r --json
    exits 0
    same out one
    is 'loss of eval' "$(json out loss_nats)" "$(json -l r/log.jsonl valid_loss_nats | tail -n 1)"
    is tokens "$(json out tokens)" 1024
    is accuracy "$(json out accuracy)" null
    near bits "$(json out bits_per_byte)" "$(awk "BEGIN { print $(json out loss_nats) / log(2) }")" 1e-4
    loci eval nowhere
    exits 6
    says nowhere
}

another_mode_evaluates_alike() {
    local arm mode loss
    for arm in mag mac mal lmm; do
        make_config $arm.ini $arm
        loci train -c $arm.ini --set run.dir=$arm
        exits 0
        loci eval $arm --json
        loss=$(json out loss_nats)
        for mode in exact sequential; do
            loci eval $arm --json --set memory.titans.mode=$mode
            exits 0
            near "$arm, $mode" "$loss" "$(json out loss_nats)" 1e-4
        done
        loci eval $arm --json --set memory.titans.mode=frozen --set memory.titans.chunk=16
        exits 0
        [ "$(json out loss_nats)" != "$loss" ] || bad "$arm: frozen chunks of 16 change nothing: is the mode taken?"
    done
}

an_evaluation_that_was_stopped_is_no_result() {
    make_config c.ini plain
    loci train -c c.ini --set run.dir=r --set train.steps=1
    make_text one 5
    for _ in 1 2 3 4 5 6; do cat one one one one one >two && mv two one; done
    start eval r --set data.train="$PWD/one" --set train.eval_tokens=1000000000
    sleep 0.5
    kill -INT "$pid"
    finish
    [ "$rc" -ne 0 ] || bad "interrupted, and yet: $(cat out)"
}

# ---- what can go wrong ----------------------------------------------------------------------------------------------

diverge='--set train.lr=1000 --set train.weight_decay=100 --set train.clip=0 --set train.warmup=0 --set train.schedule=constant'

a_number_that_is_not_finite_stops_with_plugin_layer_and_step() {
    make_config c.ini plain
    loci train -c c.ini --set run.dir=r --set train.steps=30 $diverge
    exits 7
    says 'not finite' step 'layer.0' mixer/mha on_nan
    lacks r/log.jsonl '"event":"end"'
}

on_nan_skip_goes_on() {
    make_config c.ini plain
    loci train -c c.ini --set run.dir=r --set train.steps=30 $diverge --set train.on_nan=skip
    exits 0
    says 'is skipped'
    exists r/checkpoints/0000000030
    loci train -c c.ini --set run.dir=s --set train.steps=300 --set train.eval_every=0 $diverge --set train.on_nan=skip
    exits 7
}

# The last weight of a checkpoint becomes a NaN, so that the loss is one before anything was learned.
poison() {
    local file=$1/model.safetensors
    printf '\000\000\300\177' | dd of="$file" bs=1 seek=$(($(stat -c %s "$file") - 4)) conv=notrunc 2>dd.err
}

a_loss_that_is_not_finite_is_never_logged_as_a_number() {
    make_config c.ini plain
    loci train -c c.ini --set run.dir=r --set train.steps=0
    poison r/checkpoints/0000000000
    loci train -c c.ini --set run.dir=s --set train.init=r/checkpoints/0000000000
    exits 7
    says 'step 1' 'loss is not finite'
    loci train -c c.ini --set run.dir=t --set train.init=r/checkpoints/0000000000 --set train.on_nan=skip --json
    exits 0
    is 'losses of skipped steps' "$(json -l t/log.jsonl loss_nats | sort -u)" null
}

missing_and_short_texts_are_refused_with_a_remedy() {
    make_config c.ini plain
    : >empty
    head -c 20 "$work/text" >short
    loci train -c c.ini --set run.dir=r --set data.train=nothing.txt
    exits 5
    says nothing.txt data.train
    loci train -c c.ini --set run.dir=r --set data.train=empty
    exits 5
    says data.train
    loci train -c c.ini --set run.dir=r --set data.train=short
    exits 5
    says 'data.train has 18 bytes' data.seq_tok
    loci train -c c.ini --set run.dir=r --set data.valid=short
    exits 5
    says data.valid
    loci train -c c.ini --set run.dir=r --set data.valid_fraction=0
    exits 5
    says data.valid_fraction
    loci train --set run.dir=r
    exits 5
    says 'data.train='
    absent r
}

a_model_too_large_is_refused_before_step_0() {
    make_config c.ini plain
    loci train -c c.ini --set run.dir=r --set model.dim=65536 --set model.layers=200
    exits 8
    says 'plan: memory' MiB model.dim
    loci train -c c.ini --set run.dir=r --set run.max_memory=100000
    exits 8
    says run.max_memory
    loci train -c c.ini --set run.dir=r --set model.dim=1048576 --set model.layers=4096 --set model.vocab=268435456
    exits 8
    absent r
}

what_does_not_fit_together_is_refused_by_name() {
    make_config c.ini mag
    loci train -c c.ini --set run.dir=r --set model.vocab=100
    exits 3
    says model.vocab 256
    loci train -c c.ini --set run.dir=r --set compose.backend=lmm --set memory.backend=none
    exits 3
    says lmm memory
    loci train -c c.ini --set run.dir=r --set train.schedule=sometimes
    exits 3
    says cosine
    loci train -c c.ini --set run.dir=r --set train.lr=-1
    exits 3
    says '[train] lr = -1'
    absent r
}

facts a_run_leaves_the_files_of_the_design without_run_dir_the_folder_is_runs_and_the_name the_log_has_every_step_once \
    a_checkpoint_says_what_made_it weights_depend_on_names_and_seed_only any_number_of_threads_gives_the_same_bits \
    accumulation_makes_a_larger_batch schedules_follow_their_formulas float64_trains_and_agrees \
    eval_takes_a_checkpoint_or_a_run another_mode_evaluates_alike an_evaluation_that_was_stopped_is_no_result \
    a_number_that_is_not_finite_stops_with_plugin_layer_and_step on_nan_skip_goes_on \
    a_loss_that_is_not_finite_is_never_logged_as_a_number missing_and_short_texts_are_refused_with_a_remedy \
    a_model_too_large_is_refused_before_step_0 what_does_not_fit_together_is_refused_by_name
