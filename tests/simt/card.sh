#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# The plugin attn_cuda from outside, on the card that tests/simt runs on the host: what it says where there is no driver,
# whole models trained, evaluated and continued on the device, and what crosses between host and card in a step.
# The device's memory cannot be touched by host code there (rt_simt.c), so a component that reads a tensor dies.
# LOCI_CARD_PLUGIN=FILE: that plugin, on the card that it finds; what only the host's can show is skipped.
# shellcheck disable=SC2016,SC2317 # messages hold backquotes; facts are called by their names
# shellcheck source=tests/cli/lib.sh
. "$(dirname "$0")/../cli/lib.sh"

plugin=${LOCI_CARD_PLUGIN:-$LOCI_TEST_BUILD/tests/simt/.libs/attn_cuda.so}
# Losses on both devices, relative: a card's library of products sums in its own order.
near=${LOCI_CARD_PLUGIN:+1e-4} near=${near:-1e-6}
if [ ! -f "$plugin" ]; then
    echo "skipped: the plugin is not built for the host: a C++ compiler is missing"
    exit 77
fi
mkdir "$work/card" && cp "$plugin" "$work/card" # a folder of plugins and nothing else

config() { # COMPOSE MIXER MEMORY
    cp "$LOCI_TEST_SRC/README.md" text
    cat >c.ini <<END
[run]
threads = 1
[model]
layers = 1
dim = 32
[compose]
backend = $1
[mixer]
backend = $2
[mixer.mha]
heads = 2
[memory]
backend = $3
heads = 2
[memory.titans]
chunk = 4
[data]
train = text
seq_tok = 16
valid_fraction = 0.02
[train]
steps = 3
batch = 2
log_every = 1
eval_every = 100
END
}

host_only() {
    [ -z "${LOCI_CARD_PLUGIN-}" ] || skip 'the card of the host alone shows this'
}

card() { # VERB ARGUMENT...: with the plugin of the host
    loci "$@" --plugin-path "$work/card"
}

losses() { # RUN: a line per step and the one of the evaluation
    sed -n 's/.*"event":"step".*"loss_nats":\([^,}]*\).*/\1/p; s/.*"event":"eval".*"valid_loss_nats":\([^,}]*\).*/\1/p' \
        "$1/log.jsonl"
}

alike() { # A B: the same numbers but for rounding, and as many
    paste "$1" "$2" | awk -v near="$near" '
        NF != 2 { print "other lengths"; bad = 1 }
        { d = $1 - $2; if (d < 0) d = -d; if (!(d <= near * $2)) { print $1, "is not", $2; bad = 1 } }
        END { exit bad || NR == 0 }' >why || bad "the losses differ: $(cat why)"
}

without_a_driver_explain_and_doctor_say_why_and_auto_goes_on() {
    host_only
    export SIMT_CARD=none
    config lmm none identity
    card explain -c c.ini --set mixer.backend=gla
    exits 0
    prints 'device       cpu' 'others: cuda (0: no NVIDIA driver is loaded)'
    card doctor
    says 'device cuda: not used: no NVIDIA driver is loaded'
    card train -c c.ini --set mixer.backend=gla --set run.dir=r
    exits 0
    says 'device cuda: not used: no NVIDIA driver is loaded'
}

without_a_driver_the_device_named_is_an_error_with_the_remedy() {
    local what
    host_only
    config lmm gla identity
    for what in 'none:no NVIDIA driver is loaded' 'old:the card is older than compute capability 8.0'; do
        export SIMT_CARD=${what%%:*}
        card train -c c.ini --set run.dir=r --set run.device=cuda
        exits 4
        says '--set: run.device = cuda, but' "${what#*:}" 'run.device = auto goes on without it'
    done
}

the_device_passes_check() {
    card check device/cuda
    exits 0
}

passes_check() { # KIND/ID PATTERN: its tensors on the card
    card check "$1" --device cuda --only-failed --limit 600 --only "$2"
    exits 0
}

# Every feature of attention, at every level; of the others what takes seconds. LOCI_SIMT_LONG (card_check.sh): all of
# them, minutes each.
components_pass_check_on_the_device() {
    passes_check attention/cuda '*'
    if [ -n "${LOCI_SIMT_LONG-}" ]; then
        for what in memory/titans memory/delta mixer/gla mixer/mha compose/mac compose/mag; do passes_check "$what" '*'; done
        return
    fi
    passes_check memory/delta 'hard.[gs]*'
    passes_check memory/titans grad.inputs
    passes_check mixer/gla cut.rows
    passes_check mixer/mha state.dirty
    passes_check mixer/mha hard.tokens
    passes_check compose/mag grad.inputs
}

the_device_of_its_own_file_is_where_attention_is_checked() {
    card check attention/cuda --only attn.plain
    exits 0
    prints '1 passed'
    host_only
    SIMT_CARD=none card check attention/cuda --only attn.plain
    prints 'skip' 'no NVIDIA driver is loaded'
    SIMT_CARD=none card check attention/cuda --only attn.plain --device cuda
    prints 'fail' 'no NVIDIA driver is loaded'
    exits 4
}

a_component_is_measured_on_the_device() {
    card bench attention --backend cuda --set run.device=cuda -B 1 -H 1 -T 16 -D 16 --pass forward,backward --seconds=0.01
    exits 0
    prints 'attention/cuda' forward backward
}

train_alike() { # ARGUMENT...: on both devices
    rm -rf on off
    card train -c c.ini --set run.dir=on --set run.device=cuda "$@"
    exits 0
    card train -c c.ini --set run.dir=off --set run.device=cpu "$@"
    exits 0
    losses on >on.loss
    losses off >off.loss
    alike on.loss off.loss
}

models_train_as_on_the_cpu() {
    config lmm gla identity
    train_alike --set compose.backend=lmm --set memory.backend=titans
    train_alike --set compose.backend=lmm --set memory.backend=titans --set memory.titans.mode=frozen
    train_alike --set compose.backend=lmm --set memory.backend=titans --set memory.titans.depth=2 \
        --set memory.titans.mode=frozen
    train_alike --set compose.backend=lmm --set memory.backend=delta
    train_alike --set compose.backend=mag --set memory.backend=hebbian
}

attention_models_train_as_on_the_cpu() {
    local compose
    config mac mha titans
    for compose in mac mag mal; do
        train_alike --set compose.backend="$compose"
        json on/log.jsonl >/dev/null 2>&1 || :
    done
    card explain -c c.ini --set run.device=cuda
    prints 'device       cuda' cuda
}

a_run_goes_on_on_the_other_device() {
    config mag gla delta
    card train -c c.ini --set run.dir=r --set run.device=cuda
    exits 0
    card eval r --set run.device=cuda
    exits 0
    cp out on
    card eval r --set run.device=cpu
    exits 0
    same on out
    card generate r --set run.device=cuda --prompt='The ' --tokens=6 --temperature=0
    exits 0
    cp out on
    card generate r --set run.device=cpu --prompt='The ' --tokens=6 --temperature=0
    same on out
}

counts() { # FILE ARGUMENT...: a command with the plugin of the host; what it copied
    rm -f "$1"
    SIMT_COPIES=$PWD/$1 card "${@:2}"
    exits 0
}

# What the longer of two runs copies beyond the shorter: no tensor up, down what is named, lists staged.
copies_no_tensor() { # LONG SHORT WHAT MOST: bytes down at a time
    local what times bytes
    is "kinds of copies of $3" "$(paste -d' ' "$1" "$2" | wc -l)" 5
    while read -r what times bytes; do
        case $what in
        up) [ "$times" -eq 0 ] || bad "$3: up: $times times, $bytes bytes" ;;
        down) [ "$bytes" -le $((times * $4)) ] || bad "$3: down: $times times, $bytes bytes" ;;
        stage) [ "$times" -gt 0 ] || bad "$3: no list was staged" ;;
        esac
    done < <(paste -d' ' "$1" "$2" | awk '{ print $1, $2 - $5, $3 - $6 }')
}

# Every component, in one model or another: what two more steps carry, and four more tokens. Down come the losses of rows
# and sums of squares, and the logits of a token that is chosen.
a_step_copies_no_tensor() {
    local models='mac mha titans|mag gla delta|mal mha hebbian|lmm gla titans --set memory.titans.depth=2
        lmm gla identity|lmm gla zero|plain mha zero' model word n
    host_only
    while read -r model; do
        read -ra word <<<"$model"
        config "${word[@]:0:3}"
        for n in 1 3; do
            rm -rf "r$n"
            counts "c$n" train -c c.ini --set run.dir="r$n" --set run.device=cuda --set train.steps="$n" "${word[@]:3}"
        done
        copies_no_tensor c3 c1 "training of $model" 512
        for n in 2 6; do
            counts "c$n" generate r1 --set run.device=cuda --prompt='The ' --tokens="$n" --temperature=0
        done
        copies_no_tensor c6 c2 "generation by $model" 1024
    done < <(tr '|' '\n' <<<"$models")
    loci list
    while read -r word; do
        [[ " ${models//[|$'\n']/ } " == *" ${word#*/} "* ]] || bad "$word is in none of the models"
    done < <(grep -oE '^(compose|mixer|memory)/[^ ]+' out)
}

facts without_a_driver_explain_and_doctor_say_why_and_auto_goes_on \
    without_a_driver_the_device_named_is_an_error_with_the_remedy the_device_passes_check \
    components_pass_check_on_the_device the_device_of_its_own_file_is_where_attention_is_checked \
    a_component_is_measured_on_the_device models_train_as_on_the_cpu \
    attention_models_train_as_on_the_cpu a_run_goes_on_on_the_other_device a_step_copies_no_tensor
