#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# `loci bench`: every thing it measures gives rows with the members that docs/design/json.md fixes and numbers that can
# be; lists multiply; what makes no sense is refused in words. No fact depends on how fast the machine is.
# shellcheck disable=SC2016,SC2086,SC2094,SC2317 # messages hold backquotes; lists are words; `json` reads one file and
# prints; facts are called by their names
# shellcheck source=tests/cli/lib.sh
. "$(dirname "$0")/lib.sh"

members='what backend dtype pass B H kv_heads T D M N K causal window_tok threads machine seconds p10_seconds p90_seconds
    least_seconds most_seconds cpu_seconds samples calls gflops peak_gflops fraction gflops_per_cpu_s
    peak_gflops_per_cpu_s cpu_fraction peak bytes_per_s read_bytes_per_s read_fraction triad_bytes_per_s
    state_bytes tokens_per_s'

bench() {
    loci bench "$@" --seconds=0.02 --threads=2 --json
    exits 0
    cp out doc.json
}
row() { # ROW MEMBER
    json doc.json "$1" "$2"
}
sane() { # ROW: the spread is in order, and nothing is faster than the peak measured beside it
    holds "row $1: its times are in order" \
        "0 < $(row $1 least_seconds) && $(row $1 least_seconds) <= $(row $1 p10_seconds) && $(row $1 p10_seconds) <= $(row $1 seconds) && $(row $1 seconds) <= $(row $1 p90_seconds) && $(row $1 p90_seconds) <= $(row $1 most_seconds)"
    holds "row $1: samples" "$(row $1 samples) >= 1 && $(row $1 calls) >= $(row $1 samples)"
}
below_peak() { # ROW
    sane "$1"
    holds "row $1: below the peak" "0 < $(row $1 fraction) && $(row $1 fraction) <= 1.1"
    near "row $1: the fraction is that of its own numbers" \
        "$(row $1 fraction)" "$(awk "BEGIN { print $(row $1 gflops) / $(row $1 peak_gflops) }")" 1e-4
}

every_row_has_the_members_of_the_document() {
    local name
    bench attention --backend=ref -H 2 -T 32 -D 16
    is 'the rows' "$(json doc.json '#')" 1
    for name in $members; do
        grep -q "\"$name\":" doc.json || bad "the row has no member $name"
    done
    is what "$(row 0 what)" attention
    is backend "$(row 0 backend)" ref
    is dtype "$(row 0 dtype)" f32
    is pass "$(row 0 pass)" forward
    is causal "$(row 0 causal)" true
    is threads "$(row 0 threads)" 2
    is kv_heads "$(row 0 kv_heads)" 2
    loci version
    has_all out "$(row 0 machine)"
    case $(row 0 peak) in
    'f32 fma, ref' | 'f32 fma, avx2' | 'f32 fma, avx512') ;;
    *) bad "the peak is of '$(row 0 peak)'" ;;
    esac
    below_peak 0
}

lists_make_a_row_of_every_combination() {
    local i
    bench attention --backend=ref,cpu --pass=forward,backward -H 2 -T 32,64 -D 16
    is 'the rows' "$(json doc.json '#')" 8
    is 'row 0' "$(row 0 backend) $(row 0 pass) $(row 0 T)" 'ref forward 32'
    is 'row 3' "$(row 3 backend) $(row 3 pass) $(row 3 T)" 'ref backward 64'
    is 'row 6' "$(row 6 backend) $(row 6 pass) $(row 6 T)" 'cpu backward 32'
    for i in 0 1 2 3 4 5 6 7; do below_peak $i; done
}

only_visible_pairs_are_work() { # 64 tokens, 2 heads of 16: 64 operations a pair and head
    bench attention --backend=ref -H 2 -T 64 -D 16
    near causal "$(awk "BEGIN { print $(row 0 gflops) * $(row 0 seconds) * 1e9 }")" $((64 * 65 / 2 * 2 * 64)) 1
    bench attention --backend=ref -H 2 -T 64 -D 16 --full
    near full "$(awk "BEGIN { print $(row 0 gflops) * $(row 0 seconds) * 1e9 }")" $((64 * 64 * 2 * 64)) 1
    is causal "$(row 0 causal)" false
    bench attention --backend=ref -H 2 -T 64 -D 16 --window=8 --pass=backward
    near window "$(awk "BEGIN { print $(row 0 gflops) * $(row 0 seconds) * 1e9 }")" $(((36 + 56 * 8) * 2 * 160)) 1
    is window_tok "$(row 0 window_tok)" 8
}

a_profile_says_where_the_time_goes() {
    make_config c.ini mag
    bench train -c c.ini --profile
    holds 'the share of products' "0 < $(json doc.json 0 profile products share) && $(json doc.json 0 profile products share) < 1"
    holds 'calls of products' "$(json doc.json 0 profile products calls) >= $(json doc.json 0 profile products runs)"
    holds 'what waits' "0 <= $(json doc.json 0 profile wait share) && $(json doc.json 0 profile wait share) < 1"
    loci bench train -c c.ini --seconds=0.02 --profile -q
    exits 0
    has_all out '  products ' '  wait '
    loci bench gemm --profile
    exits 2
    says 'bench gemm: --profile is for a component or a model, and not for --csv'
}

a_decode_counts_bytes() { # of 2 key heads, 64 keys of 16 channels, twice; and q and o of 4 heads
    bench attention --backend=cpu --pass=decode -H 4 --kv-heads=2 -T 64 -D 16
    near bytes "$(awk "BEGIN { print $(row 0 bytes_per_s) * $(row 0 seconds) }")" $((4 * 16 * (2 * 2 * 64 + 2 * 4))) 1
    holds 'the bandwidth' "$(row 0 read_bytes_per_s) > 0 && $(row 0 read_fraction) > 0"
    sane 0
}

float64_has_a_peak_of_its_own() {
    bench attention --backend=ref --dtype=f32,f64 -H 1 -T 32 -D 16
    is dtypes "$(row 0 dtype) $(row 1 dtype)" 'f32 f64'
    case $(row 1 peak) in f64*) ;; *) bad "the peak of float64 is of '$(row 1 peak)'" ;; esac
    below_peak 1
    differ <(row 0 peak_gflops) <(row 1 peak_gflops)
}

memories_mixers_and_compositions_are_measured() {
    bench memory --backend=delta,titans --pass=forward,backward,decode -H 2 -T 32 -D 16
    is 'the rows' "$(json doc.json '#')" 6
    for i in 0 1 2 3 4 5; do sane $i; done
    near tokens "$(awk "BEGIN { print $(row 0 tokens_per_s) * $(row 0 seconds) }")" 32 0.001
    near 'tokens of a decode' "$(awk "BEGIN { print $(row 2 tokens_per_s) * $(row 2 seconds) }")" 1 0.001
    near 'operations of a memory' "$(awk "BEGIN { print $(row 0 gflops) * $(row 0 seconds) * 1e9 }")" $((32 * 2 * 7 * 256)) 1
    bench memory --backend=zero -H 2 -T 32 -D 16
    is 'what a class does not count is not counted' "$(row 0 gflops)" null
    bench memory --layer --backend=delta -T 32
    sane 0
    bench mixer --backend=mha,gla --pass=forward,backward,decode -T 32
    for i in 0 1 2 3 4 5; do sane $i; done
    bench compose --backend=plain,mac,mag,mal --pass=forward,backward -T 32
    for i in 0 1 2 3 4 5 6 7; do sane $i; done
}

models_are_measured() {
    make_config c.ini mag
    bench train -c c.ini
    sane 0
    is 'batch and length are the config'\''s' "$(row 0 B) $(row 0 T) $(row 0 D)" '2 32 32'
    near tokens "$(awk "BEGIN { print $(row 0 tokens_per_s) * $(row 0 seconds) }")" 64 0.001
    absent runs
    bench decode -c c.ini --backend=plain,mag -T 40
    is 'the rows' "$(json doc.json '#')" 2
    is compositions "$(row 0 backend) $(row 1 backend)" 'plain mag'
    sane 0
    sane 1
    holds 'a decode reads its weights and its state' "$(row 0 bytes_per_s) * $(row 0 seconds) > $(row 0 state_bytes) + 1"
}

products_startup_and_calls_are_measured() {
    bench gemm -M 64 -N 48 -K 32
    sane 0
    near operations "$(awk "BEGIN { print $(row 0 gflops) * $(row 0 seconds) * 1e9 }")" $((2 * 64 * 48 * 32)) 1
    is T "$(row 0 T)" null
    bench startup
    sane 0
    case $(row 0 backend) in *' classes') ;; *) bad "startup loads '$(row 0 backend)'" ;; esac
    bench call
    sane 0
    holds 'an empty call is timed by the dozen' "$(row 0 calls) > $(row 0 samples)"
}

the_instruction_set_is_said_and_capped() {
    LOCI_CPU=ref bench attention --backend=ref -H 1 -T 16 -D 16
    is peak "$(row 0 peak)" 'f32 fma, ref'
    holds 'a peak' "$(row 0 peak_gflops) > 0"
}

csv_has_a_head_and_as_many_fields_in_each_line() {
    local name
    loci bench attention --backend=ref,cpu -H 1 -T 16 -D 16 --seconds=0.02 --csv -q
    exits 0
    is lines "$(wc -l <out)" 3
    head -n 1 out | tr , '\n' >names
    for name in $members; do
        grep -qx "$name" names || bad "the head has no $name"
    done
    sed 's/"[^"]*"/x/g' out | awk -F, 'NR == 1 { n = NF } NF != n { exit 1 }' || bad 'lines differ in their number of fields'
    is 'standard error of -q' "$(wc -c <err)" 0
}

the_table_says_what_the_machine_can_do() {
    loci bench attention --backend=cpu -H 1 -T 16 -D 16 --seconds=0.02 --threads=1
    exits 0
    says 'bench: 1 thread, ' 'GFLOP/s in f32' 'GB/s'
    prints 'attention/cpu' 'B1 H1 T16 D16' 'GFLOP/s' 'p10 to p90'
}

what_makes_no_sense_is_refused() {
    loci bench
    exits 2
    says 'bench measures one thing: attention, memory'
    loci bench speed
    exits 2
    says '`speed` is nothing to measure'
    loci bench attention -M 3
    exits 2
    says 'bench attention: -M is for gemm'
    loci bench gemm --backend=cpu
    exits 2
    says '--backend is for a component or a model'
    loci bench attention -T 5,,6
    exits 2
    says '-T=5,,6: an item of the list is empty'
    loci bench attention -T 0
    exits 2
    says '-T=0: a number from 1 to'
    loci bench attention --pass=sideways
    exits 2
    says 'forward, backward and decode are known'
    loci bench attention --dtype=f8
    exits 2
    says '--dtype=f8: f32, f64 and bf16 are known'
    loci bench attention --seconds=never
    exits 2
    says '--seconds=never'
    loci bench attention -H 6 --kv-heads=4
    exits 2
    says 'must divide'
    loci bench attention --json --csv
    exits 2
    loci bench compose --backend=mag --pass=decode -T 32
    exits 4
    says '`loci bench decode` times a model'
    loci bench attention --backend=nobody
    exits 4
    says 'nobody' '--backend'
    loci bench memory
    exits 2
    says 'memory.backend is none' '--backend'
    loci bench train --dtype=bf16
    exits 3
    says '--dtype' 'dtype = bf16'
}

a_row_that_fails_leaves_those_before_it() {
    loci bench attention --backend=ref,nobody -H 1 -T 16 -D 16 --seconds=0.02 --json
    exits 4
    cp out doc.json
    is 'the rows' "$(json doc.json '#')" 1
    sane 0
}

ctrl_c_ends_with_what_is_there() {
    start bench attention --backend=ref -H 1 -T 16,32 -D 16 --seconds=3600 --csv
    await 30 grep -q 'bench: ' err
    kill -INT "$pid"
    finish
    exits 9
    says 'stopped while measuring'
}

facts every_row_has_the_members_of_the_document lists_make_a_row_of_every_combination only_visible_pairs_are_work \
    a_profile_says_where_the_time_goes a_decode_counts_bytes float64_has_a_peak_of_its_own memories_mixers_and_compositions_are_measured \
    models_are_measured products_startup_and_calls_are_measured the_instruction_set_is_said_and_capped \
    csv_has_a_head_and_as_many_fields_in_each_line the_table_says_what_the_machine_can_do what_makes_no_sense_is_refused \
    a_row_that_fails_leaves_those_before_it ctrl_c_ends_with_what_is_there
