#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# Slow. A run that is killed twenty times with signal 9, at moments drawn from a seed, and resumed each time, ends with the
# bits of a run that was left alone; no kill ever leaves a checkpoint that looks whole and is not. Saving often makes many
# of the kills hit a checkpoint that is being written.
#
# LOCI_KILL_SEED chooses other moments.
# shellcheck disable=SC2016,SC2086,SC2317 # messages hold backquotes; lists are words; facts are called by their names
# shellcheck source=tests/cli/lib.sh
. "$(dirname "$0")/lib.sh"

seed=${LOCI_KILL_SEED:-1}
sets='--set train.steps=2000 --set train.eval_every=500 --set train.save_every=5 --set data.seq_tok=16'

twenty_kills_leave_the_bits_of_one_go() { # COMPOSITION SET...
    local arm=$1 kills=0 tries=0 ms
    shift
    make_config c.ini "$arm"
    loci train -c c.ini $sets "$@" --set run.dir=whole
    exits 0
    RANDOM=$seed
    while [ $kills -lt 20 ] && [ $tries -lt 60 ]; do
        tries=$((tries + 1))
        ms=$((30 + RANDOM % 220))
        start train -c c.ini $sets "$@" --set run.dir=parts --resume
        sleep "0.$(printf %03d $ms)"
        kill -9 "$pid" 2>/dev/null
        finish 2>/dev/null
        case $rc in
        137) kills=$((kills + 1)) ;;
        0)
            bad "done after $kills kills: train.steps is too small for this machine"
            break
            ;;
        *)
            exits 137
            break
            ;;
        esac
        lacks err 'cannot be used'
    done
    is kills $kills 20
    loci train -c c.ini $sets "$@" --set run.dir=parts --resume
    exits 0
    says resuming
    lacks err 'cannot be used'
    same_bits whole/checkpoints/0000002000 parts/checkpoints/0000002000
    same whole/checkpoints/0000002000/state.safetensors parts/checkpoints/0000002000/state.safetensors
    is 'parts of checkpoints left over' "$(find parts/checkpoints -name '.*' | wc -l)" 0
    json -l whole/log.jsonl loss_nats >whole.losses
    json -l parts/log.jsonl loss_nats >parts.losses || bad 'a kill damages log.jsonl'
    same whole.losses parts.losses
}

twenty_kills_of_plain() { twenty_kills_leave_the_bits_of_one_go plain; }
twenty_kills_of_mac() { twenty_kills_leave_the_bits_of_one_go mac --threads 2; }
twenty_kills_of_mag_that_carries_state() { twenty_kills_leave_the_bits_of_one_go mag --set data.carry=yes; }

facts twenty_kills_of_plain twenty_kills_of_mac twenty_kills_of_mag_that_carries_state
