#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# loci generate: what decides an answer, what comes out byte for byte, how a terminal is treated, what is refused.
# shellcheck disable=SC2016,SC2086,SC2317 # messages hold backquotes; lists are words; facts are called by their names
# shellcheck source=tests/cli/lib.sh
. "$(dirname "$0")/lib.sh"

# ---- material -------------------------------------------------------------------------------------------------------

a_run() { # COMPOSITION [ARGUMENT...]: a model that has learned a little, in r
    local kind=$1
    shift
    make_config c.ini "$kind"
    loci train -c c.ini --set train.steps=60 --set data.seq_tok=16 --set train.lr=1e-2 --set run.dir=r "$@"
    exits 0
}

say() { # FILE ARGUMENT...: an answer of r into FILE
    local file=$1
    shift
    loci generate r --prompt 'the old king' --tokens 50 "$@"
    exits 0
    cp out "$file"
}

on_terminal() { # PIPED INPUT: as typed; what the terminal showed goes to ./screen
    rc=0
    last="loci generate $*"
    script -qec "$LOCI_COMMAND generate $*" /dev/null >screen 2>err || rc=$?
    sanitized
}

# ---- what decides an answer -----------------------------------------------------------------------------------------

seed_and_prompt_decide() {
    a_run mag
    say a
    say b
    same a b
    is 'length' "$(wc -c <a)" 50
    say c --threads 3
    same a c
    say d --seed 2
    differ a d
    say e --seed 2
    same d e
    say f --set run.seed=2
    same d f
    loci generate r --prompt 'the green king' --tokens 50
    differ a out
}

temperature_0_is_the_likeliest_whatever_the_seed() {
    a_run mag
    say a --temperature 0
    say b --temperature 0 --seed 9
    say c --top-k 1 --seed 3
    say d --top-p 1e-9 --seed 4
    same a b
    same a c
    same a d
    say e --temperature 3
    differ a e
}

# The prompt is fed in pieces of data.seq_tok, 16 here; where they end makes no difference, nor does feeding it by tokens.
the_cuts_of_the_prompt_make_no_difference() {
    local k n prompt='the old king sees the tree, and the bird is small. 7. the green'
    for k in mac mag mal lmm plain; do
        rm -rf r
        a_run $k
        loci generate r --tokens 40 --prompt "$prompt"
        exits 0
        cp out whole
        for n in 1 7 64; do
            loci generate r --tokens 40 --prompt "$prompt" --set data.seq_tok=$n
            exits 0
            same whole out
        done
    done
}

a_pipe_is_a_prompt() {
    a_run mag
    say a
    rc=0
    printf 'the old king' | "$LOCI_COMMAND" generate r --tokens 50 >piped 2>err || rc=$?
    exits 0
    same a piped
    # An answer goes on where a longer prompt would begin.
    rc=0
    { printf 'the old king' && head -c 20 a; } | "$LOCI_COMMAND" generate r --tokens 30 --temperature 0.8 >rest 2>err || rc=$?
    exits 0
    tail -c 30 a >want
    same want rest
}

# ---- what comes out -------------------------------------------------------------------------------------------------

bytes_come_out_raw_and_escaped_in_json() {
    local text
    a_run plain
    say a --temperature 50
    loci generate r --prompt 'the old king' --tokens 50 --temperature 50 --json
    exits 0
    json out ids '*' | awk '{ printf "%c", $1 }' >bytes
    same a bytes
    text=$(json out text)
    case $text in
    *'\x'*) ;;
    *) bad "50 random bytes without one that is no UTF-8: $text" ;;
    esac
    is tokens "$(json out tokens)" 50
    is prompt "$(json out prompt_tokens)" 12
    is seed "$(json out seed)" 1
    is ended "$(json out ended)" tokens
    is temperature "$(json out temperature)" 50.0
    holds 'a rate' "$(json out tokens_per_s) > 0 && $(json out prompt_tokens_per_s) > 0"
}

utf8_survives_json() {
    local text='€😀' # no byte comes twice
    awk -v text="$text" 'BEGIN { for (i = 0; i < 2000; i++) printf "%s", text }' >utf8
    a_run plain --set data.train="$PWD/utf8" --set train.steps=200
    loci generate r --prompt "$text" --tokens 14 --temperature 0
    exits 0
    printf '%s%s' "$text" "$text" >want
    same want out
    loci generate r --prompt "$text" --tokens 14 --temperature 0 --json
    exits 0
    is text "$(json out text)" "$(cat want)"
}

stop_ends_the_answer_before_its_text() { # four characters of what it says, where they come first
    local stop
    a_run mag --set train.steps=200
    say a --temperature 0 --tokens 120
    stop=$(awk -v RS='\001' '{ for (i = 8; i < length($0) - 4; i++)
                                   if ((s = substr($0, i, 4)) !~ /[\n\\]/) { print s; exit } }' a)
    is 'the length of a stop text' "${#stop}" 4
    awk -v RS='\001' -v s="$stop" '{ printf "%s", substr($0, 1, index($0, s) - 1) }' a >want
    loci generate r --prompt 'the old king' --temperature 0 --tokens 120 --stop "$stop"
    exits 0
    same want out
    loci generate r --prompt 'the old king' --temperature 0 --tokens 120 --stop "$stop" --json
    is ended "$(json out ended)" stop
    is tokens "$(json out tokens)" "$(wc -c <want)"
    # What only begins like the stop text is not kept back for good.
    loci generate r --prompt 'the old king' --temperature 0 --tokens 120 --stop "$stop"$'\001'
    same a out
}

ids_go_in_and_out() {
    a_run mag
    loci generate r --prompt 'the' --tokens 12 --json
    json out ids '*' | tr '\n' ' ' | sed 's/ $//' >want
    echo >>want
    loci generate r --ids --prompt '116, 104 101' --tokens 12
    exits 0
    same want out
    loci generate r --ids --prompt '116 104 101' --tokens 12 --json
    exits 0
    json out text >/dev/null 2>&1 && bad 'numbers have a text'
    loci generate r --ids --prompt '116 1o4'
    exits 2
    says '`1o4` is not the number of a token'
    loci generate r --ids --prompt '116 256'
    exits 2
    says 'token 1 is 256'
}

# ---- settings and refusals ------------------------------------------------------------------------------------------

the_checkpoints_config_is_the_base() {
    a_run mag
    say a
    say b --set memory.titans.mode=sequential
    same a b # the same mathematics; argmax and draws agree
    say c --set attention.backend=ref
    same a c
    loci generate r/checkpoints/0000000060 --prompt 'the old king' --tokens 50
    same a out
    loci generate r --prompt x --set model.dim=48
    exits 6
    says 'does not match this model'
}

what_cannot_be_is_said() {
    a_run mac
    loci generate
    exits 2
    loci generate nowhere --prompt x
    exits 6
    says 'there is no such folder'
    loci generate r --prompt ''
    exits 2
    says 'an empty prompt'
    loci generate r
    exits 2 # standard input is empty
    says 'an empty prompt'
    loci generate r --prompt x --temperature hot
    exits 2
    says '--temperature takes a number from 0 to 1e+06, not `hot`'
    loci generate r --prompt x --temperature -1
    exits 2
    loci generate r --prompt x --top-p 1.5
    exits 2
    loci generate r --prompt x --top-k -1
    exits 2
    loci generate r --prompt x --tokens 0
    exits 2
    loci generate r --prompt x --set compose.mac.retrieval=literal
    exits 4
    says 'does not promise causality'
    is 'standard output' "$(wc -c <out)" 0
}

a_vocabulary_that_is_no_bytes_wants_ids() {
    a_run plain --set model.vocab=300
    loci generate r --prompt x
    exits 2
    says 'the 300 tokens of this model are not bytes' '--ids'
    loci generate r --ids --prompt '299 1' --tokens 5
    exits 0
    is numbers "$(wc -w <out)" 5
}

an_interrupt_ends_with_its_own_code() {
    a_run mag
    rm out
    start generate r --prompt 'the old king' --tokens 100000000
    await 10 test -s out
    kill -INT "$pid"
    finish
    exits 9
    says 'interrupted after'
    holds 'what was said is there' "$(wc -c <out) > 0"
}

# ---- a terminal -----------------------------------------------------------------------------------------------------

has_script() {
    command -v script >/dev/null || skip '`script` is not installed: no terminal can be had'
    export TERM=dumb
}

lines_are_answered_on_a_terminal_and_the_text_stays_in_mind() {
    has_script
    a_run mag
    say a --tokens 20
    say b --tokens 40
    { printf 'the old king\n' && sleep 1 && printf '\n' && sleep 1 && printf '/nonsense\n/reset\nthe old king\n' && sleep 1 &&
        printf '/quit\n'; } | on_terminal r --tokens 20
    exits 0
    # The second answer, to an empty line, goes on with the first; after /reset the first comes again.
    tr -d '\r' <screen | tr '\n' '~' >line
    tr '\n' '~' <a >first
    tail -c 20 b | tr '\n' '~' >second
    has_all line "$(cat first)" "$(cat second)" 'forget the text so far' '(forgotten)' '(20 tokens'
    is 'times the first answer came' "$(grep -oF -- "$(cat first)" line | wc -l)" 2
}

ctrl_c_ends_the_answer_and_not_the_conversation() {
    has_script
    a_run mag
    { printf 'the old king\n' && sleep 1 && printf '\003' && sleep 1 && printf '\003' && sleep 1 && printf '/quit\n'; } |
        on_terminal r --tokens 1000000
    exits 0
    has_all screen interrupted '/quit or Ctrl-D leaves'
}

json_on_a_terminal_wants_a_prompt() {
    has_script
    a_run mag
    on_terminal r --json </dev/null
    exits 2
    has_all screen '--json needs a prompt'
}

facts seed_and_prompt_decide temperature_0_is_the_likeliest_whatever_the_seed the_cuts_of_the_prompt_make_no_difference \
    a_pipe_is_a_prompt bytes_come_out_raw_and_escaped_in_json utf8_survives_json stop_ends_the_answer_before_its_text \
    ids_go_in_and_out the_checkpoints_config_is_the_base what_cannot_be_is_said a_vocabulary_that_is_no_bytes_wants_ids \
    an_interrupt_ends_with_its_own_code lines_are_answered_on_a_terminal_and_the_text_stays_in_mind \
    ctrl_c_ends_the_answer_and_not_the_conversation json_on_a_terminal_wants_a_prompt
