#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# Swapping a component needs a config, no compiler: one checkpoint evaluates with either attention to the same loss, every
# composition trains from one config, and layers may differ.
# shellcheck disable=SC2016,SC2086,SC2317 # messages hold backquotes; lists are words; facts are called by their names
# shellcheck source=tests/cli/lib.sh
. "$(dirname "$0")/lib.sh"

both_attentions_evaluate_a_checkpoint_alike() {
    local arm loss words
    for arm in plain mac mag mal; do
        make_config $arm.ini $arm
        loci train -c $arm.ini --set run.dir=$arm
        exits 0
        loci eval $arm --json --set attention.backend=cpu
        exits 0
        loss=$(json out loss_nats)
        for words in '' '--set data.seq_tok=50' '--threads 3'; do
            loci eval $arm --json --set attention.backend=cpu $words
            exits 0
            loss=$(json out loss_nats)
            loci eval $arm --json --set attention.backend=ref $words
            exits 0
            near "$arm with ref and cpu $words" "$(json out loss_nats)" "$loss" 1e-4
        done
    done
}

both_attentions_train_alike() {
    make_config c.ini plain
    loci train -c c.ini --set run.dir=cpu --set attention.backend=cpu
    exits 0
    loci train -c c.ini --set run.dir=ref --set attention.backend=ref
    exits 0
    near 'loss after training' "$(json -l cpu/log.jsonl valid_loss_nats | tail -n 1)" \
        "$(json -l ref/log.jsonl valid_loss_nats | tail -n 1)" 1e-3
}

auto_says_who_won_and_why() {
    make_config c.ini plain
    loci train -c c.ini --set run.dir=r
    exits 0
    says 'select: attention' cpu score 'not ref'
    loci train -c c.ini --set run.dir=s --set attention.backend=ref
    exits 0
    lacks err 'not cpu'
}

every_composition_and_memory_trains() {
    local arm memory
    for arm in mac mag mal lmm plain; do
        make_config $arm.ini $arm
        for memory in titans delta hebbian zero identity; do
            loci train -c $arm.ini --set run.dir=$arm-$memory --set memory.backend=$memory --set train.steps=2
            exits 0
        done
    done
}

modes_of_a_mixer_evaluate_a_checkpoint_alike() {
    local arm loss words
    for arm in plain mag mal; do
        make_config $arm.ini $arm
        loci train -c $arm.ini --set run.dir=$arm --set mixer.backend=gla --set mixer.gla.chunk=5
        exits 0
        loci eval $arm --json
        exits 0
        loss=$(json out loss_nats)
        for words in mode=sequential mode=parallel 'chunk=16 --threads 3'; do
            loci eval $arm --json --set mixer.gla.$words
            exits 0
            near "$arm of gla with $words" "$(json out loss_nats)" "$loss" 1e-4
        done
    done
    make_config mac.ini mac
    loci train -c mac.ini --set run.dir=m --set mixer.backend=gla
    exits 4
    says mixer/gla context
}

layers_may_differ() {
    make_config c.ini mag
    cat >layers.ini <<-'END'
	include = c.ini
	[model]
	layers = 4
	[layer.0.compose]
	backend = plain
	[layer.1.compose]
	backend = mac
	[layer.3.attention]
	backend = ref
	[layer.2-3.mixer.mha]
	window_tok = 8
	[layer.3.memory.titans]
	mode = sequential
	END
    loci train -c layers.ini --set run.dir=r --set train.steps=3
    exits 0
    loci eval r
    exits 0
    grep -q layer.0.memory r/checkpoints/0000000003/model.safetensors && bad 'layer 0 has a memory'
    grep -q layer.1.memory r/checkpoints/0000000003/model.safetensors || bad 'layer 1 has no memory'
    loci train -c layers.ini --set run.dir=s --set layer.1.compose.backend=nonsense
    exits 4
    says nonsense
}

facts both_attentions_evaluate_a_checkpoint_alike both_attentions_train_alike auto_says_who_won_and_why \
    every_composition_and_memory_trains modes_of_a_mixer_evaluate_a_checkpoint_alike layers_may_differ
