#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# Plugins as files: one dropped into a named folder is found and shadows, one that cannot be used is refused in words with
# exit code 4 and hurts nobody who did not ask for it.
# shellcheck disable=SC2016,SC2086,SC2317 # messages hold backquotes; lists are words; facts are called by their names
# shellcheck source=tests/cli/lib.sh
. "$(dirname "$0")/lib.sh"

# bad_plugin NAME FILE: tests/bad/NAME.so of the build tree, or compiled here when the tree has none.
bad_plugin() {
    local so=$LOCI_TEST_BUILD/tests/bad/$1.so
    if [ -e "$so" ]; then
        cp "$so" "$2"
    else
        compile_plugin "$LOCI_TEST_SRC/tests/bad/$1/plugin.c" "$2"
    fi
}

compile_plugin() { # SOURCE FILE OPTION...
    local from=$1 to=$2
    shift 2
    $LOCI_TEST_CC ${LOCI_TEST_SAN-} -std=c11 -O1 -fPIC -fvisibility=hidden -shared -Wl,-z,undefs \
        -I"$LOCI_TEST_SRC/include" -I"$LOCI_TEST_SRC/tests/bad" "$@" -o "$to" "$from" || bad "$from does not compile"
}

# A whole plugin whose class is called memory/$1, compiled once a name.
whole_plugin() {
    printf '#define ID "%s"\n#define NOTE "class=memory/%s\\n"\n#include "base.h"\n' "$1" "$1" >"$1.c"
    compile_plugin "$1.c" "$2"
}

a_plugin_dropped_into_a_named_folder_is_found() {
    make_config c.ini mag
    mkdir mine
    whole_plugin dropped mine/any_name.so
    loci list --json
    [ -z "$(json out id=memory/dropped id)" ] || bad 'it was there before'
    loci list --json --plugin-path "$PWD/mine"
    exits 0
    is path "$(json out id=memory/dropped path)" "$PWD/mine/any_name.so"
    loci info memory/dropped --json --plugin-path "$PWD/mine"
    exits 0
    is doc "$(json out doc)" 'a Hebbian memory with momentum, for tests'
    loci train -c c.ini --set run.dir=r --set memory.backend=dropped --plugin-path "$PWD/mine"
    exits 0
    loci eval r --plugin-path "$PWD/mine"
    exits 0
    loci eval r
    exits 4
    says dropped --plugin-path
    LOCI_PLUGIN_PATH=$PWD/mine loci eval r
    exits 0
    printf '[plugins]\npath = %s\n' "$PWD/mine" >where.ini
    loci train -c c.ini -c where.ini --set run.dir=s --set memory.backend=dropped
    exits 0
    same_bits r/checkpoints/0000000008 s/checkpoints/0000000008
}

the_earlier_folder_shadows_the_later() {
    make_config c.ini mag
    mkdir one two
    whole_plugin identity one/good.so
    cp one/good.so two/good.so
    loci list --json --plugin-path "$PWD/one:$PWD/two"
    exits 0
    is 'the first memory/identity' "$(json out id=memory/identity path)" "$PWD/one/good.so"
    json out '*' shadowed_by >by
    is 'shadows' "$(sort -u by)" "$PWD/one/good.so"
    is 'how many it shadows' "$(wc -l <by)" 2
    loci list --plugin-path "$PWD/two:$PWD/one"
    prints 'shadowed by'
    loci train -c c.ini --set run.dir=r --set memory.backend=identity --plugin-path "$PWD/one"
    exits 0
    says "$PWD/one/good.so"
}

a_relative_or_missing_folder_is_refused() {
    mkdir mine
    whole_plugin dropped mine/p.so
    loci info memory/dropped --plugin-path mine
    [ "$rc" -eq 4 ] || [ "$rc" -eq 3 ] || bad "a relative --plugin-path: exit code $rc"
    says relative
    loci info memory/dropped --plugin-path "$PWD/nowhere"
    exits 4
    says nowhere
}

a_missing_plugin_is_named_with_the_nearest() {
    make_config c.ini mag
    loci train -c c.ini --set run.dir=r --set memory.backend=titan
    exits 4
    says titan titans --plugin-path
    loci train -c c.ini --set run.dir=r --set mixer.backend=mag
    exits 4
    says mag mixer
    loci train -c c.ini --set run.dir=r --set memory.backend=org.example.ttt
    exits 4
    says org.example.ttt
    absent r
}

# refused FILE TEXT...: it is listed as broken with these words and hurts no run that does not ask for it. When its note
# can be read, asking for its class ends with exit code 4 and these words.
refused() {
    local file=$1 id
    shift
    rm -rf folder r
    mkdir folder
    cp "$file" folder/p.so
    loci list --json --plugin-path "$PWD/folder"
    exits 0
    has_all out '"broken"' "$@"
    id=$(json out "path=$PWD/folder/p.so" id)
    loci train -c c.ini --set run.dir=r --set train.steps=1 --plugin-path "$PWD/folder"
    exits 0
    [ -n "$id" ] || return 0
    loci train -c c.ini --set run.dir=s --set memory.backend=${id#*/} --plugin-path "$PWD/folder"
    exits 4
    says "$PWD/folder/p.so" "$@"
    absent s
    asked=$((asked + 1))
}

files_that_are_no_plugins_are_refused_in_words() {
    local n asked=0
    make_config c.ini mag
    : >empty
    refused empty empty
    echo 'int x;' >text
    refused text 'text file'
    bad_plugin good good.so
    for n in 3 20 64 1000 5000; do
        cp good.so cut.so
        truncate -s $n cut.so
        refused cut.so
    done
    echo 'int nothing(void); int nothing(void) { return 1; }' >n.c
    compile_plugin n.c other.so
    refused other.so 'no loci plugin'
    bad_plugin no_note no_note.so
    refused no_note.so note
    bad_plugin no_entry no_entry.so
    refused no_entry.so loci_plugin_v1
}

plugins_of_other_versions_are_refused_in_words() {
    local asked=0
    make_config c.ini mag
    bad_plugin newer_note newer.so
    refused newer.so draft.999 rebuild
    printf '#include <loci/plugin.h>\n#undef LOCI_ABI_NOTE\n#define LOCI_ABI_NOTE "abi=1.draft.0\\n"\n#include "base.h"\n' >old.c
    compile_plugin old.c old.so
    refused old.so draft.0 rebuild
    bad_plugin other_major major.so
    refused major.so loci_plugin_v2
    bad_plugin newer_struct struct.so
    refused struct.so draft.999
    bad_plugin wrong_magic magic.so
    refused magic.so LOCI_MAGIC
    holds 'some were asked for by name' "$asked >= 3"
}

plugins_that_promise_what_they_do_not_hold_are_refused_in_words() {
    local name
    local asked=0
    make_config c.ini mag
    while read -r name words; do
        bad_plugin $name $name.so
        refused $name.so $words
    done <<-'END'
	unnoted_class note
	absent_class forgotten
	no_forward forward
	bad_default many
	undefined_symbol p.so
	END
    holds 'all were asked for by name' "$asked == 5"
}

a_broken_file_is_never_replaced_by_another_of_that_name() {
    make_config c.ini mag
    mkdir mine
    compile_plugin "$LOCI_TEST_SRC/tests/bad/newer_note/plugin.c" mine/p.so -DID='"identity"' \
        -DNOTE='"class=memory/identity\n"'
    loci train -c c.ini --set run.dir=r --set memory.backend=identity --plugin-path "$PWD/mine"
    exits 4
    says "$PWD/mine/p.so"
}

# Whoever opens a stranger's checkpoint must not run code of the stranger's choice.
a_checkpoint_cannot_name_a_folder_of_plugins() {
    local loss
    make_config c.ini mag
    loci train -c c.ini --set run.dir=r --set memory.backend=identity
    loci eval r --json
    exits 0
    loss=$(json out loss_nats)
    mkdir mine
    whole_plugin identity mine/p.so
    sed -i "s|^path =.*|path = $PWD/mine|" r/checkpoints/0000000008/config.ini
    grep -q "^path = $PWD/mine" r/checkpoints/0000000008/config.ini ||
        printf '[plugins]\npath = %s\n' "$PWD/mine" >>r/checkpoints/0000000008/config.ini
    loci eval r/checkpoints/0000000008 --json
    lacks err "$PWD/mine/p.so"
    [ "$rc" -ne 0 ] || is 'loss with the plugins of the tree' "$(json out loss_nats)" "$loss"
    loci eval r/checkpoints/0000000008 --plugin-path "$PWD/mine"
    says "$PWD/mine/p.so" # or the check above is blind
}

a_named_backend_that_does_not_fit_is_refused() {
    make_config c.ini plain
    cat >picky.c <<-END
	#define ID "picky"
	#define NOTE "class=memory/picky\\n"
	#define FIT never
	#include "base.h"
	static loci_status never(const loci_host *h, const loci_config *c, const loci_shape *s, loci_fit *f)
	{
	    fit(h, c, s, f);
	    f->score = 0;
	    snprintf(f->reason, sizeof f->reason, "only on Sundays");
	    return LOCI_OK;
	}
	END
    mkdir mine
    compile_plugin picky.c mine/picky.so
    loci train -c c.ini --set run.dir=r --set compose.backend=mag --set memory.backend=picky --plugin-path "$PWD/mine"
    exits 4
    says picky 'only on Sundays'
    absent r
    loci train -c c.ini --set run.dir=r --set run.device=cuda
    [ "$rc" -eq 4 ] || [ "$rc" -eq 10 ] || bad "run.device = cuda without it: exit code $rc"
    says cuda
}

auto_prints_who_won_and_why_the_others_lost() {
    make_config c.ini plain
    loci train -c c.ini --set run.dir=r --set attention.backend=auto
    exits 0
    is 'lines on the choice' "$(grep -c 'select: attention' err)" 1
    says 'select: attention: ' 'score' 'not ref ('
    loci train -c c.ini --set run.dir=s --set attention.backend=cpu --set mixer.mha.softcap=30
    if [ "$rc" -eq 4 ]; then
        says softcap
        loci train -c c.ini --set run.dir=t --set mixer.mha.softcap=30
        exits 0
        says 'select: attention: ref' 'not cpu ('
    else
        exits 0
    fi
}

facts a_plugin_dropped_into_a_named_folder_is_found the_earlier_folder_shadows_the_later \
    a_relative_or_missing_folder_is_refused a_missing_plugin_is_named_with_the_nearest \
    files_that_are_no_plugins_are_refused_in_words plugins_of_other_versions_are_refused_in_words \
    plugins_that_promise_what_they_do_not_hold_are_refused_in_words \
    a_broken_file_is_never_replaced_by_another_of_that_name a_checkpoint_cannot_name_a_folder_of_plugins \
    a_named_backend_that_does_not_fit_is_refused \
    auto_prints_who_won_and_why_the_others_lost
