#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# The plugin attn_cuda from outside, on the card that tests/simt runs on the host: what it says where there is no driver,
# whole models trained, evaluated and continued on the device, and what crosses between host and card in a step.
# The device's memory cannot be touched by host code there (rt_simt.c), so a component that reads a tensor dies.
# shellcheck disable=SC2016,SC2317 # messages hold backquotes; facts are called by their names
# shellcheck source=tests/cli/lib.sh
. "$(dirname "$0")/../cli/lib.sh"

plugin=$LOCI_TEST_BUILD/tests/simt/.libs/attn_cuda.so
if [ ! -f "$plugin" ]; then
    echo "skipped: the plugin is not built for the host: a C++ compiler is missing"
    exit 77
fi
[ -z "${LOCI_TEST_SAN-}" ] || {
    echo "skipped: whole models on the card have not been tried with a sanitizer; its test programs run with one"
    exit 77
}
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

card() { # VERB ARGUMENT...: with the plugin of the host
    loci "$@" --plugin-path "$work/card"
}

losses() { # RUN: a line per step and the one of the evaluation
    sed -n 's/.*"event":"step".*"loss_nats":\([^,}]*\).*/\1/p; s/.*"event":"eval".*"valid_loss_nats":\([^,}]*\).*/\1/p' \
        "$1/log.jsonl"
}

alike() { # A B: the same numbers up to 1e-6 of their size, and as many
    paste "$1" "$2" | awk '
        NF != 2 { print "other lengths"; bad = 1 }
        { d = $1 - $2; if (d < 0) d = -d; if (!(d <= 1e-6 * $2)) { print $1, "is not", $2; bad = 1 } }
        END { exit bad || NR == 0 }' >why || bad "the losses differ: $(cat why)"
}

without_a_driver_explain_and_doctor_say_why_and_auto_goes_on() {
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

# What two more steps carry is what a step carries, twice: no tensor up or within memory, the losses and sums of squares
# down, lists staged.
a_step_copies_no_tensor() {
    local steps what times bytes
    config mac mha titans
    for steps in 1 3; do
        rm -f "c$steps"
        SIMT_COPIES=$PWD/c$steps card train -c c.ini --set run.dir="r$steps" --set run.device=cuda \
            --set train.steps="$steps"
        exits 0
    done
    while read -r what times bytes; do
        echo "$what: $times times, $bytes bytes in two steps" >>counts
        case $what in
        up) [ "$times" -eq 0 ] || bad "up: $times times, $bytes bytes" ;;
        down) [ $((bytes / (times + 1))) -le 512 ] || bad "down: $times times, $bytes bytes" ;;
        stage) [ "$times" -gt 0 ] || bad 'no list was staged' ;;
        esac
    done < <(paste -d' ' c3 c1 | awk '{ print $1, $2 - $5, $3 - $6 }')
    is 'kinds of copies' "$(wc -l <counts)" 5
}

facts without_a_driver_explain_and_doctor_say_why_and_auto_goes_on \
    without_a_driver_the_device_named_is_an_error_with_the_remedy the_device_passes_check models_train_as_on_the_cpu \
    attention_models_train_as_on_the_cpu a_run_goes_on_on_the_other_device a_step_copies_no_tensor
