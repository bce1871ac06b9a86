#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# loci compare: arms however they are named, the table and its files, what is reused, what is refused. Two small arms, three
# seeds, eight steps; what the statistics mean is tests/unit's.
# shellcheck disable=SC2016,SC2086,SC2317 # messages hold backquotes; lists are words; facts are called by their names
# shellcheck source=tests/cli/lib.sh
. "$(dirname "$0")/lib.sh"

ends() { find "$1" -name log.jsonl -exec grep -l '"event":"end"' {} + | wc -l; }
values() { json "$1/compare.json" arms '*' values; }

# Everything but what a clock or an allocator says.
without_clocks() { grep -vE '"(tokens_per_s|peak_bytes)"' "$1/compare.json"; }

vary_makes_an_arm_of_each_value() {
    local f
    make_config c.ini mag
    loci compare -c c.ini --vary compose.backend=mac,mag,mal --set compare.seeds=3 --set run.dir=r
    exits 0
    prints mac mag mal uniform unigram bigram verdict 'report: ' ' ± '
    says 'parameters start equal' 'compose.backend: mac = mac, mag = mag, mal = mal' '[9/9] mal seed 3'
    exists r/compare.json r/report.html
    for f in mac mag mal; do
        exists r/$f/seed-1/log.jsonl r/$f/seed-3/checkpoints/0000000008
    done
    is names "$(json r/compare.json arms '*' name | tr '\n' ' ')" 'mac mag mal '
    is seeds "$(json r/compare.json seeds)" '[1,2,3]'
}

the_document_has_the_fields_of_the_design() {
    local i f mean
    make_config c.ini plain
    loci compare -c c.ini --vary train.lr=1e-4,1e-2 --set run.dir=r --json
    exits 0
    json out >/dev/null || bad 'compare --json: not one document'
    is document "$(json out)" "$(json r/compare.json)"
    is metric "$(json out metric)" valid_loss
    is better "$(json out better)" lower
    is arms "$(json out arms '#')" 2
    is pairs "$(json out pairs '#')" 1
    for i in 0 1; do
        for f in name parameters state_bytes peak_bytes tokens_per_s mean se n; do
            json out arms $i $f >/dev/null || bad "arm $i has no $f"
        done
        is n "$(json out arms $i n)" 3
        is values "$(json out arms $i values '#')" 3
        mean=$(json out arms $i values '*' | awk '{ s += $1 } END { printf "%.9f", s / NR }')
        near mean "$(json out arms $i mean)" "$mean" 1e-7
        holds 'numbers of an arm' "$(json out arms $i parameters) > 10000 && $(json out arms $i state_bytes) > 0 && \
            $(json out arms $i peak_bytes) > $(json out arms $i parameters) && $(json out arms $i tokens_per_s) > 0"
        is 'value of seed 2' "$(json out arms $i values 1)" \
            "$(json -l "r/$(json out arms $i name)/seed-2/log.jsonl" valid_loss_nats | tail -n 1)"
    done
    is a "$(json out pairs 0 a)" 1e-4
    is b "$(json out pairs 0 b)" 1e-2
    is verdict "$(json out pairs 0 verdict)" b
    holds 'the interval holds the difference' "$(json out pairs 0 ci95 0) < $(json out pairs 0 diff) && \
        $(json out pairs 0 diff) < $(json out pairs 0 ci95 1) && $(json out pairs 0 p) < 0.05"
    near uniform "$(json out baselines uniform)" 5.545177 1e-5
    holds baselines "$(json out baselines bigram) < $(json out baselines unigram) && $(json out baselines unigram) < 5.5"
}

the_report_stands_alone() {
    make_config c.ini plain
    loci compare -c c.ini --vary model.ffn=gelu,swiglu --set run.dir=r -q
    exits 0
    sed 's/xmlns[:a-z]*="[^"]*"//g' r/report.html >plain.html
    ! grep -nE 'https?://|<link|<script[^>]*src|<img[^>]*src="[^d]|@import|url\(' plain.html >found ||
        bad "the report refers to something outside: $(head -n 1 found | cut -c 1-200)"
    has_all r/report.html '<html' '</html>' '<svg' gelu swiglu model.ffn 'loci compare' bigram
    [ ! -s err ] || bad "compare -q writes to standard error: $(head -n 1 err)"
}

arms_may_stand_in_one_config() {
    make_config c.ini mag
    cat >arms.ini <<-'END'
	include = c.ini
	[arm.exact]
	[arm.frozen-4.memory.titans]
	mode = frozen
	chunk = 4
	END
    loci compare arms.ini --set compare.seeds=1 --set run.dir=r
    exits 0
    is names "$(json r/compare.json arms '*' name | tr '\n' ' ')" 'exact frozen-4 '
    says 'memory.titans.mode' 'memory.titans.chunk'
    is 'keys that differ' "$(json r/compare.json differ '*' key | sort | tr '\n' ' ')" 'memory.titans.chunk memory.titans.mode '
    is 'what starts equal' "$(json r/compare.json share_equal)" 1.0
    loci compare -c arms.ini --vary train.lr=1e-3,1e-2 --set run.dir=s
    exits 3
    says --vary 'arm.*'
    absent s
}

arms_may_be_files() {
    make_config first.ini plain
    make_config second.ini mag
    loci compare first.ini second.ini --set compare.seeds=1 --set run.dir=r
    exits 0
    is names "$(json r/compare.json arms '*' name | tr '\n' ' ')" 'first second '
    holds 'what starts equal' "$(json r/compare.json share_equal) > 0.5 && $(json r/compare.json share_equal) < 1"
    loci compare first.ini second.ini --vary train.lr=1e-3,1e-2 --set run.dir=s
    exits 3
    says 'differ in nothing else'
    mkdir sub
    cp second.ini sub/first.ini
    loci compare first.ini sub/first.ini --set run.dir=s
    exits 3
    says first
    loci compare first.ini --set run.dir=s
    exits 3
    says 'two arms'
    absent s
}

equal_names_start_equal() {
    make_config first.ini plain
    make_config second.ini mag
    loci compare first.ini second.ini --set compare.seeds=2 --set train.steps=0 --set run.dir=r
    exits 0
    differ r/first/seed-1/checkpoints/0000000000/model.safetensors r/first/seed-2/checkpoints/0000000000/model.safetensors
    loci compare first.ini second.ini --set compare.seeds=1 --set compose.backend=plain --set train.steps=0 --set run.dir=s
    exits 0
    same s/first/seed-1/checkpoints/0000000000/model.safetensors s/second/seed-1/checkpoints/0000000000/model.safetensors
    same r/first/seed-1/checkpoints/0000000000/model.safetensors s/second/seed-1/checkpoints/0000000000/model.safetensors
}

below_three_seeds_it_is_undecided() {
    make_config c.ini plain
    loci compare -c c.ini --vary train.lr=1e-4,1e-2 --set compare.seeds=2 --set run.dir=r --json
    exits 0
    is verdict "$(json out pairs 0 verdict)" undecided
    loci compare -c c.ini --vary train.lr=1e-4,1e-2 --set compare.seeds=2 --set run.dir=r
    exits 0
    prints undecided
    loci compare -c c.ini --vary train.lr=1e-4,1e-2 --set compare.seeds=1 --set run.dir=r --json
    exits 0
    is verdict "$(json out pairs 0 verdict)" undecided
    is 'se of one seed' "$(json out arms 0 se)" null
    loci compare -c c.ini --vary train.log_every=1,2 --set compare.seeds=3 --set run.dir=s --json
    exits 0
    is 'verdict between equals' "$(json out pairs 0 verdict)" undecided
    is 'difference of equals' "$(json out pairs 0 diff)" 0.0
}

an_added_seed_or_arm_reuses_finished_runs() {
    make_config c.ini plain
    loci compare -c c.ini --vary train.lr=1e-3,1e-2 --set compare.seeds=2 --set run.dir=r
    exits 0
    find r -name '*.safetensors' -exec stat -c '%n %i %Y' {} + | sort >before
    loci compare -c c.ini --vary train.lr=1e-3,1e-2 --set compare.seeds=3 --set run.dir=r
    exits 0
    is 'reused runs' "$(grep -c 'done before' err)" 4
    find r -name '*.safetensors' -not -path '*/seed-3/*' -exec stat -c '%n %i %Y' {} + | sort >after
    same before after
    is seeds "$(json r/compare.json arms 0 n)" 3
    loci compare -c c.ini --vary train.lr=1e-3,1e-2,3e-3 --set compare.seeds=3 --set run.dir=r
    exits 0
    is 'reused runs' "$(grep -c 'done before' err)" 6
    loci compare -c c.ini --vary train.lr=1e-3,1e-2,3e-3 --set compare.seeds=5,1 --set run.dir=r
    exits 0
    is seeds "$(json r/compare.json seeds)" '[5,1]'
    is 'reused runs' "$(grep -c 'done before' err)" 3
    loci compare -c c.ini --vary train.lr=1e-3,1e-2 --set compare.seeds=2 --set run.dir=r --set model.dim=16
    exits 3
    says model.dim
}

an_interrupted_compare_goes_on() {
    make_config c.ini plain
    set -- -c c.ini --vary train.lr=1e-3,1e-2 --set train.steps=60 --set train.save_every=0 --set train.eval_every=0
    loci compare "$@" --set run.dir=whole
    exits 0
    for _ in 1 2 3 4 5; do
        rm -rf parts
        start compare "$@" --set run.dir=parts
        await 20 test -s parts/1e-3/seed-2/log.jsonl
        kill -INT "$pid" 2>/dev/null
        finish
        [ "$rc" -eq 0 ] || break
    done
    exits 9
    says 'same command goes on'
    absent parts/compare.json
    loci compare "$@" --set run.dir=parts
    exits 0
    says 'done before'
    is values "$(values parts)" "$(values whole)"
    without_clocks whole >whole.json
    without_clocks parts >parts.json
    same whole.json parts.json
}

the_values_do_not_depend_on_threads() {
    make_config c.ini mag
    loci compare -c c.ini --vary train.lr=1e-3,1e-2 --set compare.seeds=2 --set run.dir=one --threads 1
    loci compare -c c.ini --vary train.lr=1e-3,1e-2 --set compare.seeds=2 --set run.dir=four --threads 4
    exits 0
    is values "$(values four)" "$(values one)"
}

tune_picks_a_value_for_each_arm() {
    make_config c.ini plain
    set -- -c c.ini --vary model.ffn=gelu,swiglu --set 'compare.tune=train.lr: 1e-6, 1e-2' --set run.dir=r
    loci compare "$@" --set compare.seeds=2
    exits 0
    is tuned "$(json r/compare.json arms '*' tuned | tr -d ' ' | sort -u)" train.lr=1e-2
    prints 1e-2
    says 'not counted'
    grep -q '^lr = 0.01' r/gelu/seed-1/config.ini || bad 'the counted runs do not use the tuned value'
    is 'values counted' "$(json r/compare.json arms 0 n)" 2
    loci compare "$@" --set compare.seeds=3
    exits 0
    is 'values counted' "$(json r/compare.json arms 0 n)" 3
    is 'reused counted runs' "$(grep -c 'seed [12]: .*done before' err)" 4
    loci compare -c c.ini --vary model.ffn=gelu,swiglu --set compare.tune=train.lr --set run.dir=s
    exits 3
    says compare.tune
}

a_run_that_diverges_has_no_value() {
    make_config c.ini plain
    loci compare -c c.ini --vary train.weight_decay=0,100 --set train.lr=1000 --set train.clip=0 --set train.warmup=0 \
        --set train.steps=20 --set train.eval_every=0 --set run.dir=r --json
    exits 0
    is 'n of the arm that diverges' "$(json out arms 1 n)" 0
    is 'its values' "$(json out arms 1 values)" '[null,null,null]'
    is 'its mean' "$(json out arms 1 mean)" null
    is verdict "$(json out pairs 0 verdict)" undecided
    says 'not finite'
}

what_cannot_be_compared_is_refused() {
    make_config c.ini plain
    loci compare -c c.ini --vary train.lr=1e-3 --set run.dir=r
    exits 3
    loci compare -c c.ini --vary train.lr=1e-3,1e-3 --set run.dir=r
    exits 3
    loci compare -c c.ini --vary train.lrr=1,2 --set run.dir=r
    exits 3
    says lrr
    loci compare -c c.ini --vary train.lr --set run.dir=r
    [ "$rc" -eq 3 ] || [ "$rc" -eq 2 ] || bad "--vary without values: exit code $rc"
    loci compare -c c.ini --vary compose.backend=mag,nonsense --set run.dir=r
    exits 4
    says nonsense
    loci compare -c c.ini --vary train.lr=1e-3,1e-2 --set compare.seeds=0 --set run.dir=r
    exits 3
    loci compare -c c.ini --vary train.lr=1e-3,1e-2 --set compare.seeds=1,1 --set run.dir=r
    exits 3
    loci compare -c c.ini --vary train.lr=1e-3,1e-2 --set compare.metric=accuracy --set run.dir=r
    exits 3
    says metric
    absent r
}

facts vary_makes_an_arm_of_each_value the_document_has_the_fields_of_the_design the_report_stands_alone \
    arms_may_stand_in_one_config arms_may_be_files equal_names_start_equal below_three_seeds_it_is_undecided \
    an_added_seed_or_arm_reuses_finished_runs an_interrupted_compare_goes_on the_values_do_not_depend_on_threads \
    tune_picks_a_value_for_each_arm a_run_that_diverges_has_no_value what_cannot_be_compared_is_refused
