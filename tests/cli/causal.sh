#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# A model that sees the future is built, and everywhere its loss is shown it is said that the loss is not comparable.
# shellcheck disable=SC2086,SC2317 # lists are words; facts are called by their names
# shellcheck source=tests/cli/lib.sh
. "$(dirname "$0")/lib.sh"

literal='--set compose.mac.segment_tok=16 --set compose.mac.retrieval=literal'
future='sees the future: its loss is not comparable'

train_and_eval_say_so() {
    make_config c.ini mac
    loci train -c c.ini $literal --set run.dir=r
    exits 0
    says "warning: layer.0.compose: compose/mac promises no causality with this config: the model $future"
    prints "the model $future"
    is start "$(json -l r/log.jsonl causal | head -n 1)" false
    is end "$(json -l r/log.jsonl causal | tail -n 1)" false
    loci train -c c.ini $literal --set run.dir=s --json
    exits 0
    is document "$(json -l out causal | tail -n 1)" false
    loci eval r
    exits 0
    says "$future"
    prints "$future"
    loci eval r --json
    is 'document of eval' "$(json out causal)" false
}

a_causal_model_says_nothing() {
    local retrieval
    make_config c.ini mac
    for retrieval in strict summary previous; do
        loci train -c c.ini --set compose.mac.segment_tok=16 --set compose.mac.retrieval=$retrieval --set run.dir=$retrieval --json
        exits 0
        lacks err future
        is $retrieval "$(json -l out causal | tail -n 1)" true
        is "log of $retrieval" "$(json -l $retrieval/log.jsonl causal | sort -u)" true
        loci eval $retrieval --json
        is "eval of $retrieval" "$(json out causal)" true
    done
}

a_comparison_marks_the_arm() {
    make_config c.ini mac
    loci compare -c c.ini --vary compose.mac.retrieval=strict,summary,previous,literal --set compose.mac.segment_tok=16 \
        --set compare.seeds=1 --set run.dir=r
    exits 0
    says "arm literal $future"
    is 'lines of the table and the verdict' "$(grep -c "$future" out)" 2
    prints "literal $future."
    is causal "$(json r/compare.json arms '*' causal | tr '\n' ' ')" 'true true true false '
    is 'places of the report' "$(grep -o "$future" r/report.html | wc -l)" 2
    loci compare -c c.ini --vary compose.mac.retrieval=strict,previous --set compose.mac.segment_tok=16 \
        --set compare.seeds=1 --set run.dir=q
    exits 0
    lacks out future
    lacks q/report.html "$future"
}

info_tells_the_promises_of_the_config() {
    loci info compose/mac --json
    exits 0
    is strict "$(json out promises)" '["gradients","streaming","causality"]'
    loci info compose/mac --set compose.mac.retrieval=literal --json
    exits 0
    is literal "$(json out promises)" '["gradients"]'
    loci info compose/mac --set compose.mac.retrieval=literal
    tr -s '\n ' ' ' <out >joined # the words, wherever the lines end
    has_all joined "promises with this config: gradients; not causality: a model with it $future"
    loci info mixer/mha
    tr -s '\n ' ' ' <out >joined
    has_all joined 'promises with this config: gradients, streaming, causality, a context other than its input'
}

literal_reads_whole_segments() {
    make_config c.ini mac
    loci train -c c.ini $literal --set run.dir=r --set data.carry=yes --set data.seq_tok=24
    exits 4
    says 'retrieval = literal cannot go on at token 24, inside a segment of 16' 'set retrieval = strict'
}

facts train_and_eval_say_so a_causal_model_says_nothing a_comparison_marks_the_arm \
    info_tells_the_promises_of_the_config literal_reads_whole_segments
