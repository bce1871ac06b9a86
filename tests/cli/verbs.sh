#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# The command talks properly: help, suggestions, exit codes, data on standard output and words on standard error, one
# JSON document under --json; list, info, config and version say what design.md 5 promises.
# shellcheck disable=SC2016,SC2086,SC2317 # messages hold backquotes; lists are words; facts are called by their names
# shellcheck source=tests/cli/lib.sh
. "$(dirname "$0")/lib.sh"

verbs="train eval compare apply check bench list info explain inspect config new doctor version"

# The argp of glibc forgets a few bytes when it prints help or a usage error; LeakSanitizer would change the exit code.
forgive_argp() {
    export ASAN_OPTIONS="${ASAN_OPTIONS:+$ASAN_OPTIONS:}detect_leaks=0"
}

every_verb_has_help() {
    local verb
    forgive_argp
    loci --help
    exits 0
    for verb in $verbs; do
        prints "  $verb "
    done
    prints "exit codes:"
    for verb in $verbs; do
        loci "$verb" --help
        exits 0
        prints "loci $verb" --config --set --plugin-path --json --threads --quiet --verbose
        [ ! -s err ] || bad "help of $verb writes to standard error"
    done
}

a_wrong_word_is_a_usage_error_with_a_suggestion() {
    forgive_argp
    loci trian
    exits 2
    says 'did you mean `train`'
    loci xyzzy
    exits 2
    says 'xyzzy' 'loci --help'
    loci
    exits 2
    loci train --no-such-option
    exits 2
    loci train a.ini b.ini
    exits 2
    loci list surplus
    exits 2
    loci eval
    exits 2
    loci info titans
    exits 2
    says 'KIND/ID'
    loci inspect
    exits 2
    [ ! -s out ] || bad "a usage error writes to standard output"
}

version_names_program_abi_and_machine() {
    loci version --json
    exits 0
    is version "$(json out version | grep -c '^[0-9]*\.[0-9]')" 1
    is abi "$(json out abi | grep -cE '^[0-9]+\.draft\.[0-9]+$')" 1
    json out machine >/dev/null || bad "no machine"
    loci --version
    exits 0
    prints "loci $(json_version)"
}
json_version() {
    "$LOCI_COMMAND" version --json >v.json
    json v.json version
}

list_says_what_is_installed() {
    local id field
    loci list --json
    exits 0
    for id in attention/ref attention/cpu mixer/mha mixer/gla memory/zero memory/identity memory/titans memory/delta \
        memory/hebbian compose/mac compose/mag compose/mal compose/lmm compose/plain device/cpu; do
        is "list $id" "$(json out "id=$id" id)" "$id"
        for field in kind version abi path doc; do
            [ -n "$(json out "id=$id" "$field")" ] || bad "list: $id has no $field"
        done
        is "kind of $id" "$(json out "id=$id" kind)" "${id%/*}"
        [ "$id" = device/cpu ] || exists "$(json out "id=$id" path)"
    done
    loci list
    exits 0
    prints memory/titans attention/cpu
}

list_survives_a_reader_that_leaves() {
    local codes
    "$LOCI_COMMAND" list 2>err | head -n 1 >out
    codes=("${PIPESTATUS[@]}")
    last='loci list | head -1'
    sanitized
    case ${codes[0]} in
    0 | 141) ;;
    *) bad "loci list | head -1 ends with ${codes[0]}" ;;
    esac
    [ -s out ] || bad "head got nothing"
}

info_of_titans_has_keys_slots_gates_and_ports() {
    loci info memory/titans --json
    exits 0
    is id "$(json out id)" memory/titans
    is kind "$(json out kind)" memory
    is "default of mode" "$(json out keys name=mode default)" auto
    is "type of mode" "$(json out keys name=mode type)" enum
    has_all out '"chunk"'
    [ -n "$(json out keys name=mode doc)" ] || bad "the key mode has no doc"
    [ "$(json out slots '#')" -gt 0 ] || bad "no slots"
    [ "$(json out slots '*' shape | grep -c '^\[')" -eq "$(json out slots '#')" ] || bad "a slot has no shape"
    json out slots '*' role | grep -q state || bad "no slot is state"
    [ "$(json out gates '*' name | wc -l)" -ge 2 ] || bad "fewer than two gates"
    [ "$(json out gates '*' range 0 | wc -l)" -eq "$(json out gates '#')" ] || bad "a gate has no range"
    json out inputs '*' >ports || bad "no inputs"
    has_all ports q k v
    json out outputs '*' >ports || bad "no outputs"
    has_all ports y
}

info_names_the_tensors_of_apply() {
    loci info memory/titans --json --set memory.heads=2 --set memory.dk=8 --set memory.dv=4
    exits 0
    is 'shape of v' "$(json out ports name=v shape)" '["B","T",2,4]'
    is 'shape of a gate' "$(json out ports name=gate.eta shape)" '["B","T",2]'
    is 'range of a gate' "$(json out ports name=gate.alpha range)" '[0.0,1.0]'
    is 'shape of M' "$(json out ports name=state.M shape)" '["B",2,4,8]'
    is 'a rule has no front end' "$(json out layer)" false
    json out slots '*' name | grep -q '^front' && bad 'the rule alone has slots of a front end'
    loci info memory/titans --layer --json
    exits 0
    is 'input with a front end' "$(json out inputs '*')" x
    json out slots name=front.q.weight shape >/dev/null || bad 'no slot of the front end'
    is 'a weight is a slot' "$(json out ports name=param.front.q.weight role)" weight
    loci info memory/titans --set memory.titans.depth=2 --json
    json out slots '*' init | grep -qx rule || bad 'no state that the rule writes'
    loci info mixer/mha --json
    is 'rows of a cache' "$(json out ports name=state.k shape 1)" rows
    is 'a context is optional' "$(json out ports name=context needed)" false
    loci info mixer/gla --json
    json out ports name=context name >/dev/null && bad 'gla takes no context'
    loci info attention/ref --json
    is 'shape of bias' "$(json out ports name=bias shape)" '["B1","H1","T","S"]'
    is 'what --desc takes' "$(json out desc name=window_left default)" -1
    loci info attention/cpu --json
    is 'cpu serves every feature, too' "$(json out ports name=bias shape)" '["B1","H1","T","S"]'
    loci info mixer/mha --layer
    exits 2
    says 'front end'
    loci info memory/titans
    prints '[B, T, 4, 32]' 'loci info memory/titans --layer'
}

info_takes_the_doc_apart() {
    loci info attention/ref --json
    exits 0
    json out formula | grep -q '^o = softmax' || bad "no formula"
    json out cost | grep -q '4 T S d' || bad "no cost"
    json out source | grep -q '^Vaswani' || bad "no source"
    [ -n "$(json out use)" ] || bad "no use"
    json out formula | grep -q 'Cost:' && bad "the cost stands in the formula"
    json out caps '*' | grep -qx gradients || bad "no promise of the class"
    json out promises '*' | grep -qx gradients || bad "no promise with this config"
    loci info device/cpu --json
    exits 0
    is 'slots of a device' "$(json out slots '#')" 0
    loci info attention/ref
    prints 'source    Vaswani' 'promises  with this config: gradients'
}

info_follows_the_config() {
    loci info mixer/mha --json --set model.dim=64 --set mixer.mha.heads=4
    exits 0
    json out slots '*' shape >four
    loci info mixer/mha --json --set model.dim=64 --set mixer.mha.heads=4 --set mixer.mha.kv_heads=1
    exits 0
    json out slots '*' shape >one
    differ four one
}

info_describes_every_component_that_list_names() {
    local id
    "$LOCI_COMMAND" list --json 2>err >all.json
    json all.json '*' id >ids
    [ -s ids ] || bad "list names nothing"
    while read -r id; do
        loci info "$id" --json
        exits 0
        is "info $id" "$(json out id)" "$id"
        is "doc of $id" "$(json out doc)" "$(json all.json "id=$id" doc)"
        loci info "$id"
        exits 0
        prints "$id"
    done <ids
}

info_of_an_unknown_component_suggests_one() {
    loci info memory/titan
    exits 4
    says titans
    loci info mixture/mha
    exits 2
    says mixture
}

json_is_one_document_and_the_rest_is_on_standard_error() {
    local words
    make_config c.ini plain
    for words in "list" "version" "explain c.ini" "doctor c.ini" "info compose/mac" "info memory/titans" "config -c c.ini" "config -c c.ini --origins"; do
        loci $words --json -v
        exits 0
        json out >/dev/null || bad "loci $words --json: not one document"
    done
    loci train -c c.ini --set run.dir=r --json
    exits 0
    is "the last event" "$(json -l out event | tail -n 1)" end
    says 'plan: memory' 'select: attention'
    loci eval r --json
    exits 0
    json out loss_nats >/dev/null || bad "eval --json: not one document"
}

quiet_is_quiet() {
    make_config c.ini plain
    loci train -c c.ini --set run.dir=r -q
    exits 0
    [ ! -s err ] || bad "train -q writes to standard error: $(head -n 1 err)"
}

full_and_closed_outputs_are_noticed_and_harm_nothing() {
    make_config c.ini plain
    last='loci list >/dev/full'
    "$LOCI_COMMAND" list >/dev/full 2>err
    is 'exit of list to a full device' $? 5
    says 'standard output'
    "$LOCI_COMMAND" train -c c.ini --set run.dir=r --json >&- 2>&-
    is 'exit of train with closed outputs' $? 5
    json -l r/log.jsonl event >events || bad 'a closed output damages log.jsonl'
    is 'the last event' "$(tail -n 1 events)" end
    [ ! -s r/lock ] || bad 'what belongs on the closed outputs is in r/lock'
}

# ---- config ---------------------------------------------------------------------------------------------------------

config_round_trips() {
    local from
    make_config mag.ini mag
    cat >layers.ini <<-'END'
	include = mag.ini
	[model]
	layers = 3
	[layer.1.compose]
	backend = plain
	[layer.0-1.mixer.mha]
	window_tok = 8
	[memory.titans]
	mode = frozen
	chunk = 4
	END
    for from in mag.ini layers.ini "$LOCI_TEST_SRC"/etc/*.ini; do
        loci config -c "$from" --dump
        exits 0
        cp out dump.ini
        loci config -c dump.ini --dump
        exits 0
        same out dump.ini
    done
    loci config -c layers.ini
    prints '[layer.1.compose]' 'mode = frozen'
}

several_files_are_laid_over_each_other() {
    make_config one.ini plain
    printf '[model]\nlayers = 5\n' >two.ini
    loci config -c one.ini -c two.ini
    exits 0
    prints 'layers = 5' 'dim = 32'
    loci config -c one.ini two.ini
    exits 0
    prints 'layers = 5' 'dim = 32'
    LOCI_SET='model.layers=6' loci config -c one.ini -c two.ini
    prints 'layers = 6'
    LOCI_SET='model.layers=6' loci config -c one.ini --set model.layers=7
    prints 'layers = 7'
}

origins_name_file_and_line() {
    make_config one.ini plain
    loci config -c one.ini --set model.layers=4 --threads 3 --origins
    exits 0
    prints 'one.ini:5' '--set' '--threads' default
    loci config -c one.ini --set model.layers=4 --json
    is 'origin of model.dim' "$(json out model dim origin)" one.ini:5
    is 'value of model.dim' "$(json out model dim value)" 32
    is 'origin of model.layers' "$(json out model layers origin)" --set
    is 'origin of model.vocab' "$(json out model vocab origin)" default
}

help_config_explains_every_key() {
    loci config --help-config
    exits 0
    prints '[train]' 'lr' '[memory.titans]' 'mode' '[mixer.mha]' 'window_tok' '[compare]' 'seeds'
    loci config --help-config=memory.titans
    exits 0
    prints mode chunk
    lacks out 'eval_every'
}

an_unknown_key_is_refused_with_place_and_suggestion() {
    make_config c.ini plain
    printf '[train]\nstps = 3\n' >bad.ini
    loci train -c c.ini -c bad.ini --set run.dir=r
    exits 3
    says 'bad.ini:2' 'stps' 'did you mean `steps`'
    absent r
    loci train -c c.ini --set train.learning=1 --set run.dir=r
    exits 3
    says '--set' 'learning'
    loci train -c c.ini --set mixer.mha.haeds=1 --set run.dir=r
    exits 3
    says 'haeds' 'did you mean `heads`'
    loci config -c c.ini -c bad.ini --allow-unknown
    exits 0
    says 'warning' 'bad.ini:2'
}

all_errors_of_a_config_come_in_one_run() {
    cat >bad.ini <<-'END'
	[model]
	layers = many
	dim = -4
	[trane]
	steps = 1
	[train]
	schedule = cosin
	lr = 1e-3x
	[memory.titans]
	mode = exakt
	END
    loci train -c bad.ini --set memory.backend=titans
    exits 3
    says bad.ini:2 bad.ini:3 bad.ini:4 bad.ini:7 bad.ini:8 bad.ini:10 cosine exact
}

a_config_that_cannot_be_read_is_refused() {
    loci config -c nothing.ini
    [ "$rc" -ne 0 ] || bad "a missing config is taken"
    says nothing.ini
    printf '[model\nlayers = 1\n' >broken.ini
    loci config -c broken.ini
    exits 3
    says broken.ini:1
    printf 'include = a.ini\n' >a.ini
    loci config -c a.ini
    exits 3
    says a.ini circle
    loci config --set nonsense
    [ "$rc" -ne 0 ] || bad "--set nonsense is taken"
    says nonsense
}

facts every_verb_has_help a_wrong_word_is_a_usage_error_with_a_suggestion version_names_program_abi_and_machine \
    list_says_what_is_installed list_survives_a_reader_that_leaves info_of_titans_has_keys_slots_gates_and_ports \
    info_names_the_tensors_of_apply \
    info_takes_the_doc_apart \
    info_follows_the_config info_describes_every_component_that_list_names info_of_an_unknown_component_suggests_one \
    json_is_one_document_and_the_rest_is_on_standard_error quiet_is_quiet \
    full_and_closed_outputs_are_noticed_and_harm_nothing config_round_trips several_files_are_laid_over_each_other \
    origins_name_file_and_line help_config_explains_every_key an_unknown_key_is_refused_with_place_and_suggestion \
    all_errors_of_a_config_come_in_one_run a_config_that_cannot_be_read_is_refused
