#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# `loci apply` runs one component on tensors from a file: numbers that are known by hand, streams that are the whole,
# names and shapes that `info` gives a script to drive it blind, and refusals that leave nothing behind.
# shellcheck disable=SC2016,SC2031,SC2046,SC2086,SC2206,SC2317 # messages hold backquotes; lists are words; facts are
# called by their names, in subshells
# shellcheck source=tests/cli/lib.sh
. "$(dirname "$0")/lib.sh"

tensors() {
    [ -x "$work/.tensors" ] ||
        $LOCI_TEST_CC -o "$work/.tensors" "$here/tensors.c" $(pkg-config --cflags --libs jansson 2>/dev/null || echo -ljansson) -lm ||
        exit 1
    "$work/.tensors" "$@" || bad "tensors $*"
}

apply() { # apply ID IN OUT WORDS...
    local id=$1 in=$2 out=$3
    shift 3
    loci apply "$id" --in="$in" --out="$out" "$@"
}

values() { # values FILE NAME: in one line
    "$LOCI_COMMAND" inspect "$1" --tensor="$2" --values 2>/dev/null | tr '\n' ',' | sed 's/,$//'
}

agree() { # agree A B TOLERANCE NAME...: relative RMS
    local a=$1 b=$2 most=$3 name rel
    shift 3
    "$LOCI_COMMAND" inspect --diff "$a" "$b" --json >diff.json 2>diff.err
    [ "$(json diff.json tensors 2>/dev/null)" ] || bad "$a and $b cannot be compared: $(head -n 1 diff.err)"
    for name in "$@"; do
        "$LOCI_COMMAND" inspect "$a" --tensor="$name" --json >/dev/null 2>&1 || bad "$a has no $name"
        rel=$(json diff.json differences "name=$name" relative_rms 2>/dev/null) || continue
        [ "$(json diff.json differences "name=$name" what)" = values ] || bad "$name of $a and $b is of another shape"
        holds "$name of $a and $b, relative RMS" "$rel <= $most"
    done
}

# ---- what is known by hand ------------------------------------------------------------------------------------------

attention_of_equal_scores_is_the_mean() {
    tensors in.st q:F64:1x2x1x2:0 k:F64:1x4x1x2:normal v:F64:1x4x1x1:1,2,3,6 d_o:F64:1x2x1x1:1
    apply attention/ref in.st out.st --grad
    exits 0
    is 'the mean of 1 2 3 6' "$(values out.st o)" 3,3
    is 'log 4' "$(values out.st lse)" 1.38629436,1.38629436
    is 'two quarters' "$(values out.st d_v)" 0.5,0.5,0.5,0.5
    apply attention/ref in.st out.st --desc=causal=1,offset=0
    is 'of 1, of 1 2' "$(values out.st o)" 1,1.5
    apply attention/ref in.st out.st --desc=causal=1,offset=2,window_left=1
    is 'of 2 3, of 3 6' "$(values out.st o)" 2.5,4.5
    apply attention/ref in.st out.st --desc=causal=1,offset=2,window_left=0,prefix=1
    is 'of 1 3, of 1 6' "$(values out.st o)" 2,3.5
}

tensors_of_a_descriptor_are_read() {
    tensors in.st q:F64:1x2x1x2:0 k:F64:1x4x1x2:normal v:F64:1x4x1x1:1,2,3,6 mask:U8:1x1x2x4:1,0,0,1,0,1,0,0
    apply attention/ref in.st out.st
    exits 0
    is mask "$(values out.st o)" 3.5,2
    tensors in.st q:F64:1x4x1x2:0 k:F64:1x4x1x2:normal v:F64:1x4x1x1:1,2,3,6 segment_ids:I64:1x4:7,7,8,8
    apply attention/ref in.st out.st
    is segment_ids "$(values out.st o)" 1.5,1.5,4.5,4.5
    tensors in.st q:F64:1x2x1x2:0 k:F64:1x4x1x2:normal v:F64:1x4x1x1:1,2,3,6 lengths:I32:1:3
    apply attention/cpu in.st out.st
    is lengths "$(values out.st o)" 2,2
    tensors in.st q:F64:1x1x2x2:0 k:F64:1x2x1x2:0 v:F64:1x2x1x1:1,3 bias:F64:1x2x1x2:0,0,1.0986122886681098,0
    apply attention/ref in.st out.st --grad
    is bias "$(values out.st o | awk -F, '{ printf "%.12f,%.12f", $1, $2 }')" 2.000000000000,1.500000000000
    is 'gradient of bias' "$(json_shape out.st d_bias)" '[1,2,1,2]'
    # the T5 table of Raffel et al.: 2 buckets, one direction: distance 0, and all others
    tensors in.st q:F64:1x1x1x2:0 k:F64:1x2x1x2:0 v:F64:1x2x1x1:1,3 table:F64:2x1:0,1.0986122886681098
    apply attention/ref in.st out.st --desc=offset=1
    is table "$(values out.st o | awk -F, '{ printf "%.12f", $1 }')" 1.500000000000
}
json_shape() {
    "$LOCI_COMMAND" inspect "$1" --tensor="$2" --json 2>/dev/null >shape.json
    json shape.json shape
}

pages_are_the_keys_themselves() {
    tensors flat.st q:F64:2x3x4x8:normal k:F64:2x6x2x8:normal v:F64:2x6x2x4:normal lengths:I32:2:6,4 d_o:F64:2x3x4x4:normal
    tensors paged.st q:F64:2x3x4x8:normal k:F64:4x3x2x8:normal v:F64:4x3x2x4:normal lengths:I32:2:6,4 \
        d_o:F64:2x3x4x4:normal block_table:I32:2x2:0,1,2,3
    apply attention/ref flat.st flat.out --grad --desc=causal=1,offset=3
    exits 0
    apply attention/ref paged.st paged.out --grad --desc=causal=1,offset=3
    exits 0
    agree flat.out paged.out 1e-14 o lse d_q
    is 'k is made of blocks' "$(json_shape paged.out d_k)" '[4,3,2,8]'
    tensors paged.st q:F64:2x3x4x8:normal k:F64:4x3x2x8:normal v:F64:4x3x2x4:normal lengths:I32:2:6,4 block_table:I32:2x2:0,1,2,4
    apply attention/ref paged.st paged.out
    exits 6
    says 'block_table' 'block 4' '4'
}

rules_do_their_formula() {
    # M = (1 - alpha) M + theta v k', y = M q, with k = q = 1: 2; 2 / 2 + 3 / 2
    tensors in.st q:F64:1x2x1x1:1 k:F64:1x2x1x1:1 v:F64:1x2x1x1:2,3 gate.alpha:F64:1x2x1:0,0.5 gate.theta:F64:1x2x1:1,0.5
    apply memory/hebbian in.st out.st
    exits 0
    is y "$(values out.st y)" 2,2.5
    is M "$(values out.st state.M)" 2.5
    tensors in.st q:F64:1x1x1x1:1 state.M:F64:1x1x1x1:5
    apply memory/hebbian in.st out.st --op=read
    exits 0
    is 'what is read' "$(values out.st y)" 5
    is 'M is left' "$(values out.st state.M)" 5
    tensors in.st k:F64:1x1x1x1:1 v:F64:1x1x1x1:2 gate.alpha:F64:1x1x1:0.5 gate.theta:F64:1x1x1:1 state.M:F64:1x1x1x1:4 \
        d_state.M:F64:1x1x1x1:10
    apply memory/hebbian in.st out.st --op=write --grad --json
    exits 0
    is 'what is written' "$(values out.st state.M)" 4
    is 'gradient of M' "$(values out.st d_state.M)" 5
    is 'gradient of v' "$(values out.st d_v)" 10
    json out written name=y name >/dev/null && bad 'a write has no y'
    # delta: M = (1 - alpha) M - theta (M k - v) k'
    tensors in.st q:F64:1x1x1x1:1 k:F64:1x1x1x1:1 v:F64:1x1x1x1:2 gate.alpha:F64:1x1x1:0 gate.theta:F64:1x1x1:0.5 \
        state.M:F64:1x1x1x1:1
    apply memory/delta in.st out.st
    exits 0
    is 'half of the way from 1 to 2' "$(values out.st y)" 1.5
}

# ---- streams --------------------------------------------------------------------------------------------------------

rule_file() { # rule_file FILE TOKENS WORDS...: for titans
    local file=$1 n=$2
    shift 2
    tensors "$file" q:F64:2x${n}x2x4:unit k:F64:2x${n}x2x4:unit v:F64:2x${n}x2x3:normal gate.alpha:F64:2x${n}x2:in:0.01:0.5 \
        gate.eta:F64:2x${n}x2:in:0.01:0.9 gate.theta:F64:2x${n}x2:in:0.01:0.9 d_y:F64:2x${n}x2x3:normal "$@"
}

pieces_are_the_whole() {
    local id
    rule_file in.st 11 d_state.M:F64:2x2x3x4:normal state.S:F64:2x2x3x4:normal
    apply memory/titans in.st whole.st --grad --set memory.titans.chunk=4
    exits 0
    apply memory/titans in.st pieces.st --grad --set memory.titans.chunk=4 --pieces=3,1,7 --json
    exits 0
    is pieces "$(json out pieces '*' | paste -sd' ')" '3 1 7'
    agree whole.st pieces.st 1e-12 y state.M state.S d_q d_k d_v d_gate.alpha d_gate.eta d_gate.theta d_state.M d_state.S
    tensors x.st x:F64:2x11x16:normal d_y:F64:2x11x16:normal
    for id in memory/titans memory/delta mixer/mha mixer/gla compose/mac compose/mag compose/mal compose/plain; do
        apply $id x.st whole.st --grad $([ ${id%/*} != memory ] || echo --layer) --set compose.mac.segment_tok=4
        exits 0
        apply $id x.st pieces.st --grad $([ ${id%/*} != memory ] || echo --layer) --set compose.mac.segment_tok=4 --pieces=1
        exits 0
        agree whole.st pieces.st 1e-12 y d_x
    done
}

a_run_goes_on_from_its_state() {
    local id layer
    tensors x.st x:F64:2x11x16:normal
    tensors first.st @x.st:x:x:0:5
    for id in memory/titans mixer/mha mixer/gla compose/mac compose/mag compose/plain; do
        layer=$([ ${id%/*} != memory ] || echo --layer)
        apply $id x.st whole.out $layer --set compose.mac.segment_tok=4 --set mixer.mha.heads=2
        exits 0
        apply $id first.st first.out $layer --set compose.mac.segment_tok=4 --set mixer.mha.heads=2 --json
        exits 0
        tensors second.st @x.st:x:x:5:11 $(json out written '*' name | grep -E '^(state|param)\.' | sed 's/^/@first.out:/')
        apply $id second.st second.out $layer --set compose.mac.segment_tok=4 --set mixer.mha.heads=2 --pos=5
        exits 0
        tensors rest.st @whole.out:y:y:5:11
        agree rest.st second.out 1e-12 y
    done
    tensors second.st @x.st:x:x:5:11
    apply mixer/mha second.st no.out --pos=5
    exits 2
    says 'give state.k'
    absent no.out
}

# ---- weights and types ----------------------------------------------------------------------------------------------

weights_come_from_the_seed_or_the_file() {
    tensors x.st x:F64:1x5x16:normal d_y:F64:1x5x16:normal
    apply memory/delta x.st a.st --layer --seed=3 --grad --json
    exits 0
    is seed "$(json out seed)" 3
    tensors with.st @x.st:x @x.st:d_y $(json out written '*' name | grep '^param\.' | sed 's/^/@a.st:/')
    apply memory/delta with.st b.st --layer --seed=4 --grad --json
    exits 0
    agree a.st b.st 0 y d_x grad.front.q.weight
    json out written '*' name | grep -q '^param\.' && bad 'a weight that was read is written again'
    apply memory/delta x.st c.st --layer --seed=4
    "$LOCI_COMMAND" inspect --diff a.st c.st --json >diff.json 2>err
    json diff.json differences name=y name >/dev/null || bad 'another seed gives the same y'
}

seeds_give_what_a_model_begins_with() {
    make_config c.ini mag
    loci train -c c.ini --set run.dir=run --set train.steps=1 --set train.lr=0 --set train.save_every=1 -q
    exits 0
    tensors x.st x:F32:1x3x32:normal
    apply mixer/mha x.st y.st -c c.ini
    exits 0
    tensors a.st @y.st:param.q.weight:w
    tensors b.st @"$(newest run)"/model.safetensors:layer.0.mixer.q.weight:w
    same a.st b.st
}

types_are_those_of_the_file() {
    local dtype
    for dtype in F64 F32 BF16; do
        tensors $dtype.in q:$dtype:1x4x2x8:normal k:$dtype:1x4x2x8:normal v:$dtype:1x4x2x8:normal d_o:$dtype:1x4x2x8:normal
        apply attention/ref $dtype.in $dtype.out --desc=causal=1 --grad --json
        exits 0
        is 'dtype' "$(json out dtype)" $dtype
        is 'dtype of o' "$(json out written name=o dtype)" $dtype
        is 'dtype of lse' "$(json out written name=lse dtype)" $([ $dtype = F64 ] && echo F64 || echo F32)
    done
    tensors x.st x:BF16:1x4x16:normal
    apply mixer/mha x.st y.st
    exits 4
    says 'float32 or float64'
    absent y.st
}

npy_and_npz_are_read_too() {
    local words='q:F64:1x3x2x4:unit k:F64:1x3x2x4:unit v:F64:1x3x2x4:normal gate.alpha:F64:1x3x2:0.25 gate.theta:F64:1x3x2:0.5'
    tensors in.st $words
    tensors in.npz $words
    apply memory/delta in.st a.st
    exits 0
    apply memory/delta in.npz b.st
    exits 0
    same a.st b.st
    {
        printf '\223NUMPY\001\000v\000'
        printf '%-117s\n' "{'descr': '<f8', 'fortran_order': False, 'shape': (1, 2, 4), }"
        head -c 64 /dev/zero
    } >x.npy
    apply mixer/mha x.npy y.st --set mixer.mha.heads=1
    exits 0
    is y "$(values y.st y)" 0,0,0,0,0,0,0,0
}

# ---- blind ----------------------------------------------------------------------------------------------------------

# A file of what the ports of info say: B = 2, T = S = 5, H = Hk = Hv = 2, d = e = 4; every optional tensor that is a real.
blind() { # blind FILE: from ports in ./info.json
    local n i name role shape dtype words=()
    n=$(json info.json ports '#')
    for ((i = 0; i < n; i++)); do
        name=$(json info.json ports $i name)
        role=$(json info.json ports $i role)
        dtype=$(json info.json ports $i dtype)
        shape=$(json info.json ports $i shape '*' | sed 's/^B1*$/2/; s/^[TS]$/5/; s/^H[kv1]*$/2/; s/^[den]$/4/; s/^rows$/5/' | paste -sdx)
        case $role in
        input) [ "$(json info.json ports $i gradient)" = false ] || words+=("$name:$dtype:$shape:normal") ;;
        gate) words+=("$name:$dtype:$shape:in:0.1:0.9") ;;
        weight) words+=("param.${name#param.}:$dtype:$shape:normal") ;;
        output) words+=("d_$name:$dtype:$shape:normal") ;;
        state) [ "$dtype" = I32 ] || words+=("d_$name:$dtype:$shape:normal") ;;
        esac
    done
    tensors "$1" "${words[@]}"
}

info_is_enough_to_drive_it() {
    local id form name n=0
    "$LOCI_COMMAND" list --json 2>err >all.json
    for id in $(json all.json '*' id); do
        for form in '' --layer; do
            [ -z "$form" ] || [ ${id%/*} = memory ] || continue
            [ ${id%/*} != device ] || continue
            loci info $id $form --json --set model.dim=16 --set memory.heads=2 --set mixer.mha.heads=2
            exits 0
            cp out info.json
            blind in.st
            apply $id in.st out.st $form --grad --json --set memory.heads=2 --set mixer.mha.heads=2
            exits 0
            for name in $(json info.json ports '*' name); do
                case $(json info.json ports name=$name role),$(json info.json ports name=$name gradient) in
                output,*) json out written name=$name name ;;
                input,true | gate,true | state,true) json out written name=d_$name name ;;
                weight,true) json out written name=grad.${name#param.} name ;;
                *) true ;;
                esac >/dev/null || bad "$id $form: nothing of $name is written"
            done
            n=$((n + 1))
        done
    done
    [ $n -ge 15 ] || bad "only $n components were driven"
}

# ---- refusals -------------------------------------------------------------------------------------------------------

refused() { # refused CODE TEXT -- WORDS...: of an apply that must leave nothing
    local code=$1 text=$2
    shift 3
    rm -f no.st
    loci apply "$@" --out=no.st
    exits $code
    says "$text"
    absent no.st
    [ -z "$(find . -name '.no.st*')" ] || bad "$last leaves a temporary file"
    [ ! -s out ] || bad "$last writes to standard output"
}

what_is_wrong_is_named_and_nothing_is_written() {
    rule_file in.st 5
    refused 6 'did you mean `gate.alpha`' -- memory/titans --in=$(renamed gate.alpha gate.alhpa)
    refused 6 'did you mean `d_y`' -- memory/titans --in=$(renamed d_y d_yy)
    refused 6 'no `v`' -- memory/titans --in=$(without v)
    refused 6 'no `gate.eta`' -- memory/titans --in=$(without gate.eta)
    refused 6 '`k` is [2, 4, 2, 4]' -- memory/titans --in=$(with k k:F64:2x4x2x4:unit)
    refused 6 'T is 5 in `q`' -- memory/titans --in=$(with k k:F64:2x4x2x4:unit)
    refused 6 '`gate.eta` is [2, 5, 2, 3]' -- memory/titans --in=$(with gate.eta gate.eta:F64:2x5x2x3:in:0:0.5)
    refused 6 '`q` is I32' -- memory/titans --in=$(with q q:I32:2x5x2x4:1)
    refused 6 '`k` is F64' -- memory/titans --in=$(with q q:F32:2x5x2x4:1)
    refused 4 'titans' -- memory/titan --in=in.st
    refused 2 'KIND/ID' -- titans --in=in.st
    refused 5 'missing.st' -- memory/titans --in=missing.st
    head -c 200 in.st >cut.st
    refused 6 'cut.st' -- memory/titans --in=cut.st
    refused 2 '--pieces' -- memory/titans --in=in.st --pieces=3,0
    refused 2 '--op' -- memory/titans --in=in.st --op=erase
    refused 2 '--pos' -- memory/titans --in=in.st --pos=-1
    refused 2 '--desc' -- memory/titans --in=in.st --desc=causal=1
    refused 3 'seed' -- memory/titans --in=in.st --seed=many
    tensors x.st x:F64:2x5x16:normal
    refused 6 'model.dim = 32' -- mixer/mha --in=x.st --set model.dim=32
    refused 2 'front end' -- mixer/mha --in=x.st --layer
    refused 2 '`softcap`' -- attention/ref --in=x.st --desc=sofcap=1
    refused 2 '`softcap`' -- mixer/mha --in=x.st --desc=softcap=1
    refused 2 'whole number' -- mixer/mha --in=x.st --desc=window_left=1.5
    tensors x.st x:F64:2x5x16:normal context:F64:2x3x16:normal
    refused 4 'no context' -- mixer/gla --in=x.st
    refused 6 'no `context`' -- compose/plain --in=x.st
    tensors a.st q:F64:1x2x3x4:normal k:F64:1x2x2x4:normal v:F64:1x2x2x4:normal
    refused 6 '3 heads of `q`' -- attention/ref --in=a.st
    tensors a.st q:F64:1x2x2x4:normal k:F64:1x2x2x4:normal v:F64:1x2x2x4:normal lengths:I32:1:3
    refused 6 '`lengths` holds 3' -- attention/cpu --in=a.st
    refused 2 'one call' -- attention/ref --in=a.st --pieces=1
    loci apply memory/titans --in=in.st --out=no.npz
    exits 2
    says safetensors
    loci apply memory/titans --in=in.st
    exits 2
    says '--out'
}
renamed() { # renamed FROM TO: a copy of in.st
    with $1 @in.st:$1:$2
}
without() {
    with $1
}
with() { # with NAME [WORD]: a copy of in.st with another NAME
    local name words=()
    for name in q k v gate.alpha gate.eta gate.theta d_y; do
        [ $name = $1 ] || words+=(@in.st:$name)
    done
    tensors changed.st "${words[@]}" ${2-}
    echo changed.st
}

a_result_is_replaced_whole_or_not_at_all() {
    rule_file in.st 5
    apply memory/titans in.st out.st
    exits 0
    cp out.st before.st
    apply memory/titans "$(without v)" out.st
    exits 6
    same out.st before.st
    apply memory/titans in.st no/such/folder/out.st
    exits 5
}

gates_outside_of_their_range_are_a_warning() {
    rule_file in.st 5
    apply memory/titans "$(with gate.alpha gate.alpha:F64:2x5x2:0,1.5,0.5)" out.st --json
    exits 0
    says '`gate.alpha` holds 1.5, outside of [0, 1)'
    json out warnings 0 | grep -q gate.alpha || bad 'the document has no warning'
}

what_was_done_is_told() {
    rule_file in.st 5
    apply memory/titans in.st out.st
    exits 0
    says 'read in.st: ' 'q F64 [2,5,2,4]' 'wrote out.st: y F64 [2,5,2,3]'
    [ ! -s out ] || bad 'words on standard output'
    apply memory/titans in.st out.st -q
    [ ! -s err ] || bad '-q is not quiet'
    apply memory/titans in.st out.st --json -q
    is id "$(json out id)" memory/titans
    is op "$(json out op)" step
    is 'shape of q' "$(json out read name=q shape)" '[2,5,2,4]'
    is 'shape of y' "$(json out written name=y shape)" '[2,5,2,3]'
}

facts attention_of_equal_scores_is_the_mean tensors_of_a_descriptor_are_read pages_are_the_keys_themselves \
    rules_do_their_formula pieces_are_the_whole a_run_goes_on_from_its_state weights_come_from_the_seed_or_the_file \
    seeds_give_what_a_model_begins_with types_are_those_of_the_file npy_and_npz_are_read_too info_is_enough_to_drive_it \
    what_is_wrong_is_named_and_nothing_is_written a_result_is_replaced_whole_or_not_at_all \
    gates_outside_of_their_range_are_a_warning what_was_done_is_told
