#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# Synthetic tasks from outside: every one trains, is evaluated and compared by accuracy, and the shipped configs of etc/recall
# run. What the sequences are made of is tests/unit/test_task.
# shellcheck disable=SC2016,SC2086,SC2317 # messages hold backquotes; lists are words; facts are called by their names
# shellcheck source=tests/cli/lib.sh
. "$(dirname "$0")/lib.sh"

tiny='--set run.threads=1 --set model.layers=1 --set model.dim=16 --set model.vocab=256 --set memory.heads=2
    --set mixer.mha.heads=2 --set data.source=task --set train.batch=2 --set train.warmup=1 --set train.eval_every=0
    --set train.save_every=2 --set train.eval_sequences=6'

every_task_trains_and_is_evaluated_by_its_right_answers() {
    local task
    for task in copy selective-copy mqar overwrite random-overwrite needle induction; do
        loci train $tiny --set data.task=$task --set task.mqar.vocab=128 --set data.seq_tok=96 --set train.steps=2 \
            --set run.dir=$task --json
        exits 0
        holds "$task: accuracy" "0 <= $(json -l out accuracy | tail -n 1) && $(json -l out accuracy | tail -n 1) <= 1"
        is "$task: logged" "$(json -l $task/log.jsonl accuracy | tail -n 1)" "$(json -l out accuracy | tail -n 1)"
        loci eval $task --json
        exits 0
        near "$task: accuracy" "$(json out accuracy)" "$(json -l $task/log.jsonl accuracy | tail -n 1)" 1e-9
        is "$task: sequences" "$(json out sequences)" 6
        is "$task: bits" "$(json out bits_per_byte)" null
        holds "$task: scores" "$(json out exact) >= 0 && $(json out by_position '#') > 0 && \
            $(json out by_distance '#') > 0 && $(json out by_depth '#') > 0"
        loci eval $task
        exits 0
        prints accuracy 'by order of the question' 'by depth of the answer'
    done
}

text_has_no_right_answers() {
    make_config c.ini plain
    loci train -c c.ini --set run.dir=r
    exits 0
    loci eval r --json
    is accuracy "$(json out accuracy)" null
    is by_depth "$(json out by_depth)" null
    near bits "$(json out bits_per_byte)" "$(awk -v n="$(json out loss_nats)" 'BEGIN { print n / log(2) }')" 1e-4
    loci compare -c c.ini --vary train.lr=1e-3,1e-2 --set compare.metric=accuracy --set run.dir=ab
    exits 3
    says accuracy data.source
}

threads_change_nothing() {
    local n
    for n in 1 3; do
        loci train $tiny --set data.task=mqar --set task.mqar.vocab=64 --set task.mqar.pairs=4 --set data.seq_tok=32 \
            --set train.steps=3 --set run.dir=t$n --set run.threads=$n
        exits 0
    done
    same t1/checkpoints/0000000003/model.safetensors t3/checkpoints/0000000003/model.safetensors
}

another_task_cannot_resume() {
    loci train $tiny --set data.task=copy --set data.seq_tok=32 --set train.steps=2 --set run.dir=r
    exits 0
    loci train $tiny --set data.task=copy --set data.seq_tok=32 --set task.copy.length=9 --set train.steps=4 --set run.dir=r \
        --resume
    holds 'refused' "$rc == 3 || $rc == 5"
    says task.copy
}

what_does_not_fit_is_refused_with_the_remedy() {
    loci train $tiny --set data.task=mqar --set data.seq_tok=128 --set run.dir=a
    exits 3
    says 'model.vocab = 256' 'task.mqar has 8192' 'set model.vocab = 8192'
    loci train $tiny --set data.task=needle --set data.seq_tok=64 --set task.needle.distance=100 --set run.dir=b
    exits 3
    says 'task.needle.distance = 100' 'data.seq_tok is 64'
    loci train $tiny --set data.task=copy --set data.carry=yes --set run.dir=c
    exits 3
    says 'data.carry = no'
    loci train $tiny --set data.task=sorting --set run.dir=d
    exits 3
    says '[data] task = sorting' random-overwrite
    absent a b c d
}

keys_of_tasks_describe_themselves() {
    local task
    for task in copy selective-copy mqar overwrite random-overwrite needle induction; do
        loci config --help-config=task.$task
        exits 0
        prints "[task.$task]"
    done
    prints vocab
}

accuracy_compares_arms_and_marks_what_did_not_take_off() {
    loci compare $tiny --set data.task=induction --set task.induction.vocab=8 --set data.seq_tok=16 --set train.steps=3 \
        --vary compose.backend=plain,lmm --set memory.backend=titans --set compare.metric=accuracy --set compare.seeds=2 \
        --set compare.take_off=1 --set run.dir=ab --json
    exits 0
    is better "$(json out better)" higher
    is metric "$(json out metric)" accuracy
    near chance "$(json out baselines chance)" 0.142857 1e-6
    is marks "$(json out arms 0 took_off)" '[false,false]'
    is n "$(json out arms 0 n)" 2
    loci compare $tiny --set data.task=induction --set task.induction.vocab=8 --set data.seq_tok=16 --set train.steps=3 \
        --vary compose.backend=plain,lmm --set memory.backend=titans --set compare.metric=accuracy --set compare.seeds=2 \
        --set compare.take_off=1 --set run.dir=ab
    exits 0
    prints accuracy chance 'did not take off' 'counted all the same'
    has_all ab/report.html 'did not take off' accuracy
}

shipped_experiments_run() {
    local f
    for f in "$LOCI_TEST_SRC"/etc/recall/*.ini; do
        case $f in */base.ini) continue ;; esac
        loci compare -c "$f" --set train.steps=2 --set train.batch=2 --set train.warmup=1 --set train.eval_sequences=4 \
            --set compare.seeds=1 --set run.dir="$PWD/$(basename "$f" .ini)"
        exits 0
        prints accuracy chance
    done
}

facts every_task_trains_and_is_evaluated_by_its_right_answers text_has_no_right_answers \
    threads_change_nothing another_task_cannot_resume \
    what_does_not_fit_is_refused_with_the_remedy keys_of_tasks_describe_themselves \
    accuracy_compares_arms_and_marks_what_did_not_take_off shipped_experiments_run
