#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# A run that was stopped and goes on is a run that was never stopped; a checkpoint is whole or not used; a run's folder
# is protected from a second run, another config and other text.
# shellcheck disable=SC2016,SC2086,SC2317 # messages hold backquotes; lists are words; facts are called by their names
# shellcheck source=tests/cli/lib.sh
. "$(dirname "$0")/lib.sh"

at_step() { # RUN STEP: has the log come so far?
    grep -q '"event":"step","step":'"$2", "$1/log.jsonl"
}

long='--set train.batch=8 --set train.steps=300 --set train.eval_every=100 --set train.save_every=0'

# stop SIGNAL RUN STEP ARGUMENT...: train until the log has that step, send the signal, expect exit code 9. A machine
# that is busy with other things may be done before the signal comes: then $rc is 0.
stop() {
    local signal=$1 dir=$2 step=$3
    shift 3
    start train --set run.dir="$dir" "$@"
    await 20 at_step "$dir" "$step"
    kill "-$signal" "$pid" 2>/dev/null
    finish
    [ "$rc" -eq 0 ] && return
    exits 9
    says 'stopped at step' --resume
    is 'the step that was saved' "$(json "$(newest "$dir")/run.json" step)" "$(sed -n 's/.*stopped at step \([0-9]*\).*/\1/p' err)"
}

# A run of 300 steps, stopped by a signal near step 30 and near step 120, against one that was not.
stopped_twice_gives_the_bits_of_one_go() { # COMPOSITION SIGNAL SET...
    local arm=$1 signal=$2
    shift 2
    make_config c.ini "$arm"
    loci train -c c.ini $long --set run.dir=whole "$@"
    exits 0
    for _ in 1 2 3 4 5; do
        rm -rf parts
        stop "$signal" parts 30 -c c.ini $long "$@"
        [ "$rc" -eq 0 ] || break
    done
    exits 9
    stop "$signal" parts 120 --resume
    loci train --set run.dir=parts --resume
    exits 0
    says resuming
    same_bits whole/checkpoints/0000000300 parts/checkpoints/0000000300
    same whole/checkpoints/0000000300/state.safetensors parts/checkpoints/0000000300/state.safetensors
    is 'steps in the log' "$(json -l parts/log.jsonl event | grep -c step)" 300
    json -l whole/log.jsonl loss_nats >whole.losses
    json -l parts/log.jsonl loss_nats >parts.losses
    same whole.losses parts.losses
}

# A window, or attention reaches back to the first byte of the text.
carry="--set data.carry=yes --set mixer.mha.window_tok=16"

interrupted_runs_end_with_the_same_bits() { stopped_twice_gives_the_bits_of_one_go plain INT; }
so_do_terminated_ones_with_memory() { stopped_twice_gives_the_bits_of_one_go mac TERM; }
so_do_runs_of_a_task() {
    stopped_twice_gives_the_bits_of_one_go lmm INT --set data.source=task --set data.task=random-overwrite \
        --set data.seq_tok=96
}
so_do_runs_that_carry_state() { stopped_twice_gives_the_bits_of_one_go mag INT $carry; }
so_do_runs_that_accumulate_and_carry() {
    stopped_twice_gives_the_bits_of_one_go mal HUP $carry --set train.accumulate=2
}

a_run_under_nohup_survives_a_hang_up() {
    make_config c.ini plain
    env --ignore-signal=HUP "$LOCI_COMMAND" train -c c.ini $long --set run.dir=r >out 2>err </dev/null &
    pid=$!
    await 20 at_step r 10
    kill -HUP "$pid"
    finish
    exits 0
}

sigusr1_saves_and_goes_on() {
    make_config c.ini plain
    start train -c c.ini $long --set run.dir=r --set train.keep=10
    await 20 at_step r 10
    kill -USR1 "$pid"
    finish
    exits 0
    is checkpoints "$(find r/checkpoints -mindepth 1 -maxdepth 1 | wc -l)" 2
}

# The matrix product of a library may use the stack pointer for something else, where a signal handler would write over
# the heap: no handler may run on a thread that computes.
a_storm_of_signals_changes_nothing() {
    local n _
    local big='--set model.dim=128 --set train.batch=8 --set train.steps=40 --set train.save_every=0'
    make_config c.ini plain
    loci train -c c.ini $big --set run.dir=whole
    exits 0
    for _ in 1 2 3; do
        rm -rf r
        start train -c c.ini $big --set run.dir=r --threads 2
        await 20 at_step r 1
        n=0
        while [ $n -lt 50000 ] && kill -USR1 "$pid" 2>/dev/null; do
            n=$((n + 1))
        done
        finish
        exits 0
        same_bits whole/checkpoints/0000000040 r/checkpoints/0000000040
    done
}

resume_without_a_checkpoint_starts_at_0() {
    make_config c.ini plain
    loci train -c c.ini --set run.dir=whole
    loci train -c c.ini --set run.dir=r --resume
    exits 0
    same_bits whole/checkpoints/0000000008 r/checkpoints/0000000008
    mkdir cut
    cp whole/config.ini cut
    loci train -c c.ini --set run.dir=cut --resume
    exits 0
    same_bits whole/checkpoints/0000000008 cut/checkpoints/0000000008
}

resuming_a_finished_run_changes_nothing() {
    make_config c.ini plain
    loci train -c c.ini --set run.dir=r
    cp -r r before
    loci train -c c.ini --set run.dir=r --resume --json
    exits 0
    is 'last event' "$(json -l out event | tail -n 1)" end
    same r/log.jsonl before/log.jsonl
    same_bits r/checkpoints/0000000008 before/checkpoints/0000000008
}

a_folder_that_holds_a_run_is_refused() {
    make_config c.ini plain
    loci train -c c.ini --set run.dir=r
    cp -r r before
    loci train -c c.ini --set run.dir=r
    exits 3
    says --resume run.dir
    diff -r r before >/dev/null || bad 'the refused run changed the folder'
}

another_config_cannot_resume() {
    make_config c.ini plain
    loci train -c c.ini --set run.dir=r
    loci train -c c.ini --set run.dir=r --resume --set train.lr=1e-4
    exits 3
    says train.lr 0.003 0.0001
    loci train -c c.ini --set run.dir=r --resume --set mixer.mha.heads=4
    exits 3
    says mixer.mha.heads
    loci train -c c.ini --set run.dir=r --resume --threads 2 --set train.save_every=1 --set train.keep=5
    exits 0
}

other_text_cannot_resume() {
    make_config c.ini plain
    cp "$work/text" mine
    loci train -c c.ini --set run.dir=r --set data.train=mine
    exits 0
    make_text mine 99
    loci train -c c.ini --set run.dir=r --set data.train=mine --resume
    exits 5
    says data.train train.init
}

a_run_in_use_is_locked() {
    make_config c.ini plain
    start train -c c.ini --set run.dir=r --set train.steps=100000
    await 20 at_step r 5
    mkdir other
    (
        cd other || exit
        loci train -c ../c.ini --set run.dir=../r --set train.steps=100000 --resume
        exits 5
        says 'in use' run.dir
    )
    kill -INT "$pid"
    finish
    exits 9
}

# ---- broken checkpoints ---------------------------------------------------------------------------------------------

cut_tail() { truncate -s -1 "$1"; }
empty() { : >"$1"; }
not_json() { sed -i 's/"step": /"step": x/' "$1"; }
no_step() { sed -i '/"step": /d' "$1"; }
negative() { sed -i 's/"step": /"step": -/' "$1"; }
other_step() { sed -i 's/"step": 8/"step": 7/' "$1"; }
other_format() { sed -i 's/"format": 1/"format": 99/' "$1"; }
header_too_long() { printf '\377\377\377\377\377\377\377\177' | dd of="$1" conv=notrunc 2>/dev/null; }
gone() { rm "$1"; }

a_broken_checkpoint_is_refused_and_the_one_before_it_used() {
    local how file
    make_config c.ini plain
    loci train -c c.ini --set run.dir=whole
    while read -r how file; do
        rm -rf r
        cp -r whole r
        "$how" "r/checkpoints/0000000008/$file"
        loci eval r/checkpoints/0000000008
        [ "$how $file" = 'other_step run.json' ] || [ "$file" = optimizer.safetensors ] || exits 6
        loci eval r
        exits 0
        says 0000000008
        prints 'step 4'
        loci train -c c.ini --set run.dir=r --resume
        exits 0
        says 0000000008 'at step 4'
        same_bits whole/checkpoints/0000000008 r/checkpoints/0000000008
    done <<-'END'
	cut_tail model.safetensors
	cut_tail optimizer.safetensors
	empty model.safetensors
	header_too_long model.safetensors
	gone model.safetensors
	gone optimizer.safetensors
	not_json run.json
	no_step run.json
	negative run.json
	other_format run.json
	other_step run.json
	empty run.json
	gone run.json
	END
}

a_run_whose_checkpoints_are_all_broken_is_refused_by_eval() {
    make_config c.ini plain
    loci train -c c.ini --set run.dir=r
    empty r/checkpoints/0000000004/model.safetensors
    empty r/checkpoints/0000000008/model.safetensors
    loci eval r
    exits 6
    says 'no checkpoint'
}

what_was_saved_last_is_kept_though_broken_ones_are_newer() {
    local c step
    make_config c.ini plain
    loci train -c c.ini $long --set train.batch=32 --set train.save_every=100 --set train.keep=4 --set run.dir=r
    for c in 200 300; do
        empty r/checkpoints/0000000$c/run.json
    done
    start train -c c.ini $long --set train.batch=32 --set run.dir=r --resume --set train.keep=1
    await 20 in_the_middle r
    kill -INT "$pid"
    finish
    exits 9
    loci eval r
    exits 0
    step=$(sed -n 's/.*, step \([0-9]*\)$/\1/p' out)
    holds 'the step that was saved last is evaluated' "${step:-0} > 100 && ${step:-0} < 300"
}
in_the_middle() { at_step "$1" 110 && ! at_step "$1" 300; }

a_checkpoint_of_another_model_does_not_fit() {
    make_config c.ini plain
    loci train -c c.ini --set run.dir=r
    loci eval r --set model.dim=64
    exits 6
    says shape
    loci eval r --set model.layers=2
    exits 6
    says layer.1
}

# ---- what leaves a checkpoint ---------------------------------------------------------------------------------------

init_starts_a_new_run_from_weights() {
    local from loss
    make_config c.ini plain
    loci train -c c.ini --set run.dir=r
    loss=$(json -l r/log.jsonl valid_loss_nats | tail -n 1)
    for from in r/checkpoints/0000000008 r r/checkpoints/0000000008/model.safetensors; do
        loci train -c c.ini --set run.dir=new --set train.steps=0 --set train.init="$from" --json
        exits 0
        is "loss of a run that begins from $from" "$(tail -n 1 out >end && json end valid_loss_nats)" "$loss"
        same r/checkpoints/0000000008/model.safetensors new/checkpoints/0000000000/model.safetensors
        rm -rf new
    done
    loci train -c c.ini --set run.dir=new --set train.init=nowhere
    [ "$rc" -eq 5 ] || [ "$rc" -eq 6 ] || bad "train.init = nowhere: exit code $rc"
    says nowhere
}

a_checkpoint_names_plugins_but_never_their_paths() {
    make_config c.ini plain
    mkdir mine
    cp "$("$LOCI_COMMAND" list --json 2>err >l.json && json l.json id=attention/ref path)" mine/
    printf '[plugins]\npath = %s\n' "$PWD/mine" >where.ini
    loci train -c c.ini -c where.ini --set run.dir=r
    exits 0
    if grep -rn "$PWD/mine" r/checkpoints >found; then
        bad "a path of plugins is in $(head -n 1 found | cut -c 1-200)"
    fi
}

facts interrupted_runs_end_with_the_same_bits so_do_terminated_ones_with_memory so_do_runs_of_a_task so_do_runs_that_carry_state \
    so_do_runs_that_accumulate_and_carry a_run_under_nohup_survives_a_hang_up sigusr1_saves_and_goes_on a_storm_of_signals_changes_nothing \
    resume_without_a_checkpoint_starts_at_0 resuming_a_finished_run_changes_nothing \
    a_folder_that_holds_a_run_is_refused another_config_cannot_resume other_text_cannot_resume a_run_in_use_is_locked \
    a_broken_checkpoint_is_refused_and_the_one_before_it_used \
    a_run_whose_checkpoints_are_all_broken_is_refused_by_eval \
    what_was_saved_last_is_kept_though_broken_ones_are_newer a_checkpoint_of_another_model_does_not_fit \
    init_starts_a_new_run_from_weights a_checkpoint_names_plugins_but_never_their_paths
