#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# loci new, as a stranger meets it: loci is installed into an empty folder, the environment is cleared, and every
# template is written, built in its three ways, loaded, tested and trained. So the templates cannot rot.
# shellcheck disable=SC2016,SC2086,SC2317 # messages hold backquotes; lists are words; facts are called by their names
# shellcheck source=tests/cli/lib.sh
. "$(dirname "$0")/lib.sh"

id=org.example.fresh-one

# loci, installed, with the plugins of this folder before its own.
fresh() {
    rc=0
    last="loci $*"
    installed env LOCI_PLUGIN_PATH="$PWD:$(installed_at mem_none.so '*')" loci "$@" >out 2>err </dev/null || rc=$?
    sanitized
}

try() { # COMMAND...: in the installed tree's environment; the end of what it says where it fails
    last="$*"
    installed "$@" >said 2>&1 || {
        bad "$* fails"
        tail -n 12 said | sed 's/^/      /'
    }
}

no_rust() {
    [ "$1" = rust ] && ! installed sh -c 'command -v rustc' >/dev/null
}

write() { # KIND LANG FORM: a folder of that template, and into it
    install_tree
    no_rust "$2" && skip 'rustc is not installed'
    [ "$2" != c++ ] || installed sh -c 'command -v ${CXX:-g++}' >/dev/null || skip 'there is no C++ compiler'
    fresh new "$1" $id --lang "$2" --form "$3" --json
    exits 0
    compile=$(json out compile)
    plugin=$(json out plugin)
    is folder "$(json out folder)" fresh_one
    cd fresh_one 2>/dev/null || {
        bad 'no folder fresh_one was written'
        exit 1
    }
    ! grep -nE '@[A-Z]+@' ./* .gitignore || bad 'a word of the template was not replaced'
    has_all README.md "$compile" "$id"
}

trains() { # KIND: 20 steps in both widths, on a text of ours
    local dtype
    for dtype in f32 f64; do
        fresh train -c try.ini --set data.train="$work/text" --set run.dir=runs/$dtype --set run.dtype=$dtype
        exits 0
        exists runs/$dtype/checkpoints/0000000020
    done
    holds 'float32 and float64 agree' "($(json -l runs/f32/log.jsonl loss_nats | tail -n 1) - $(json -l runs/f64/log.jsonl loss_nats | tail -n 1))^2 < 1e-6"
    fresh eval runs/f32 --threads 3
    exits 0
    fresh train -c try.ini --set data.train="$work/text" --set run.dir=runs/threads --threads 4
    exits 0
    same_bits runs/f32/checkpoints/0000000020 runs/threads/checkpoints/0000000020
}

# At the strictest level. What stands below a composition is the plainest there is, so that it is judged for itself.
conforms() { # KIND
    local below=
    [ "$1" != compose ] || below='--set attention.backend=ref'
    fresh check "$PWD/$plugin" --json $below
    exits 0
    is failed "$(json out failed)" 0
    holds 'tests that passed' "$(json out passed) >= 45"
}

whole() { # KIND LANG FORM
    write "$@"
    try make
    rm $plugin
    try bash -c "$compile"
    exists $plugin
    fresh list --json
    exits 0
    is path "$(json out id=$1/$id path)" "$PWD/$plugin"
    fresh info $1/$id
    exits 0
    prints "$1/$id" promises
    try make check
    grep -qE 'passed|skipped: CUnit' said || bad 'make check says neither what passed nor what it skipped'
    try make check CC=false # a compiler that finds no header
    has_all said 'skipped: CUnit is not installed'
    trains $1
    conforms $1
}

a_memory_in_c_is_whole() { whole memory c rule; }
a_memory_on_the_abi_is_whole() { whole memory c abi; }
a_memory_in_cpp_is_whole() { whole memory c++ rule; }
a_memory_in_rust_is_whole() { whole memory rust abi; }
a_mixer_is_whole() { whole mixer c abi; }
an_attention_is_whole() { whole attention c abi; }
a_composition_is_whole() { whole compose c abi; }

# One rule in three languages and two forms: in double nothing but the order of sums is left between them.
every_memory_is_the_same_rule() {
    local from=$PWD first='' n=0 lang form
    while read -r lang form; do
        cd "$from" || exit 1
        install_tree
        no_rust $lang && continue
        mkdir $lang-$form
        cd $lang-$form || exit 1
        write memory $lang $form
        try make
        fresh train -c try.ini --set data.train="$work/text" --set run.dtype=f64
        exits 0
        json -l runs/fresh_one/log.jsonl loss_nats >"$from/$lang-$form.losses"
        [ "$(wc -l <"$from/$lang-$form.losses")" -ge 20 ] || bad "$lang, $form: too few losses"
        first=${first:-$from/$lang-$form.losses}
        paste "$first" "$from/$lang-$form.losses" | awk '{ d = $1 - $2; if (!(d * d < 1e-20)) bad = 1 } END { exit bad }' ||
            bad "$lang, $form: another rule than the first"
        n=$((n + 1))
    done <<-END
	c rule
	c abi
	c++ rule
	rust abi
	END
    [ $n -ge 3 ] || bad "$n memories were compared"
}

# attention/ref is the oracle of the descriptor's everyday fields.
the_attention_is_that_of_ref() {
    local backend
    write attention c abi
    try make
    for backend in $id ref; do
        fresh train -c try.ini --set data.train="$work/text" --set run.dtype=f64 --set attention.backend=$backend \
            --set run.dir=runs/$backend
        exits 0
        json -l runs/$backend/log.jsonl loss_nats >$backend.losses
    done
    paste $id.losses ref.losses | awk '{ d = $1 - $2; if (!(d * d < 1e-20)) bad = 1 } END { exit bad || NR < 20 }' ||
        bad 'its losses are not those of ref'
    fresh train -c try.ini --set data.train="$work/text" --set mixer.mha.pos=alibi --set run.dir=runs/alibi
    exits 4
    says slopes
}

# ---- the tests notice ----

# A wrong sign, a lost term, a gradient that overwrites: `make check` of the folder fails.
the_folders_own_test_notices() { # that a change of the formula's adjoint is wrong
    [ -n "$(find /usr/include /usr/local/include -path '*CUnit/Basic.h' 2>/dev/null)" ] || skip 'CUnit is not installed'
    local change
    write memory c rule
    for change in 's/d->v\[i\] += s/d->v[i] -= s/' 's/d->k\[x\] -= 2 \* ds/d->k[x] -= ds/' 's/ds \* damp \* damp/ds * damp/' \
        's/g->M\[i \* t->r->dk + x\] += dy/g->M[i * t->r->dk + x] = dy/'; do
        cp fresh_one.c right.c
        sed -i "$change" fresh_one.c
        differ fresh_one.c right.c
        ! installed make check >said 2>&1 || bad "make check does not see $change"
        grep -q 'the gradient is off by' said || bad "$change: the test does not say which gradient"
        mv right.c fresh_one.c
        touch fresh_one.c
    done
    try make check
}

# ---- with autotools ----

autotools() { # LANG FORM
    local tool
    for tool in autoreconf automake libtoolize make; do
        command -v $tool >/dev/null || skip "$tool is not installed"
    done
    write memory "$@"
    try env ACLOCAL_PATH="$(installed_at loci.m4 '*/aclocal/*')" autoreconf -fi
    mkdir build
    cd build || exit 1
    try ../configure --with-loci-plugindir="$PWD/../plugins"
    try make
    try make check
    grep -qE 'PASS: +1|skipped: CUnit' said || bad 'make check says neither what passed nor what it skipped'
    try make install
    cd .. || exit 1
    is installed "$(ls plugins)" "$plugin"
    fresh info memory/$id --plugin-path "$PWD/plugins" --json
    exits 0
    is id "$(json out id)" memory/$id
}

autotools_build_and_install_it_in_c() {
    autotools c rule
    try env -C build make distcheck
    try env -C build make uninstall
    is left "$(ls plugins)" ''
    last='configure beside the sources'
    ! installed ./configure >said 2>&1 || bad 'configure writes over the plain Makefile'
    grep -q 'folder of its own' said || bad 'configure does not say where to go'
}
autotools_build_and_install_it_in_cpp() { autotools c++ rule; }
autotools_build_and_install_it_in_rust() { autotools rust abi; }

# ---- what is refused, and nothing half written ----

what_cannot_be_is_refused_with_a_remedy() {
    loci new
    exits 2
    says 'give a kind and a name'
    loci new memory
    exits 2
    loci new memory org.example.a b
    exits 2
    loci new memroy org.example.mine
    exits 2
    says 'attention, mixer, memory or compose'
    loci new memory mine
    exits 2
    says 'org.example.mine'
    for name in Org.example.mine org..mine org.example. .mine 'org.example.mi ne' 'org.example.mi/ne' "org.$(printf '%0200d' 0)"; do
        loci new memory "$name"
        exits 2
        says 'dots between words'
    done
    loci new memory org.example.2nd
    exits 2
    says 'must begin with a letter'
    loci new memory org.example.mine --lang fortran
    exits 2
    says memory-c-rule memory-rust-abi 'memory-c++-rule'
    loci new mixer org.example.mine --form rule
    exits 2
    says mixer-c-abi
    loci new memory org.example.mine --lang ../memory-c
    exits 2
    loci new memory org.example.loci --lang rust
    exits 2
    says 'another last word'
    loci new memory org.example.mine --dir ''
    exits 2
    loci new memory org.example.mine --dir nowhere/mine
    exits 5
    says nowhere/mine
    loci new memory org.example.mine --templates nowhere
    exits 5
    says nowhere
    rm -f out err
    is 'what was left behind' "$(ls -A)" ''
}

what_is_there_is_not_touched() {
    mkdir mine
    echo precious >mine/notes
    loci new memory org.example.mine
    exits 5
    says 'mine is there already' --dir
    is notes "$(cat mine/notes)" precious
    is 'files of the folder' "$(ls -A mine)" notes
    ln -s nowhere dangling
    loci new memory org.example.mine --dir dangling
    exits 5
    [ -L dangling ] || bad 'the link is gone'
    loci new memory org.example.mine --dir other/
    exits 0
    exists other/mine.c other/Makefile
    loci new memory org.example.mine --dir other
    exits 5
}

# A template that fails in the middle, a layer that is not there: no folder, whole or hidden.
a_failure_leaves_nothing() {
    cp -r "$LOCI_TEST_SRC/share/templates" t
    chmod -R u+w t
    head -c 2000000 /dev/zero | tr '\0' a >t/memory-c-rule/zz
    loci new memory org.example.mine --templates t
    exits 5
    says zz
    rm t/memory-c-rule/zz
    echo 'any c nowhere' >t/memory-c-rule/@LAYERS@
    loci new memory org.example.mine --templates t
    exits 5
    says t/nowhere
    rm -rf t out err
    is 'what was left behind' "$(ls -A)" ''
}

# Templates of one's own: layers, words within words, what is no word.
templates_of_ones_own_are_used() {
    mkdir -p t/base t/mixer-c-rule
    echo base >t/mixer-c-rule/@LAYERS@
    echo 'from base' >t/base/both
    echo 'from above' >t/mixer-c-rule/both
    echo '<@STEM@ of @KIND@>' >t/base/@WHO@
    echo '@WHO@ @NOBODY@ @lower@ a@b.c @ID@' >t/mixer-c-rule/@STEM@.txt
    loci new mixer org.example.my-own --templates t
    exits 0
    is both "$(cat my_own/both)" 'from above'
    is text "$(cat my_own/my_own.txt)" '<my_own of mixer> @NOBODY@ @lower@ a@b.c org.example.my-own'
    is files "$(find my_own -type f | LC_ALL=C sort | tr '\n' ' ')" 'my_own/both my_own/my_own.txt '
}

# loci.rs spells every offset: they are those of the headers.
the_ledger_of_rust_is_that_of_the_headers() {
    local rs=$LOCI_TEST_SRC/share/templates/rust/loci.rs
    {
        echo '#include <loci/plugin.h>'
        awk '/^layout! \{/ { on = 1; next }
            /^\}/ { on = 0 }
            on && /^    loci_/ { struct = $1; printf "_Static_assert(sizeof(%s) == %d, \"%s\");\n", $1, $2, $1 }
            on && /^        / {
                name = $1; sub(/^r#/, "", name); sub(/:$/, "", name); at = $NF; sub(/,$/, "", at)
                printf "_Static_assert(offsetof(%s, %s) == %d, \"%s.%s\");\n", struct, name, at, struct, name
            }' $rs
        awk '/^pub const (MAGIC|OK|E_|CPU|FLOAT|X_|SLOT_|INIT_|OP_|CAP_)/ {
            name = $3; sub(/:$/, "", name); value = $NF; sub(/;$/, "", value); gsub(/_/, "", value)
            printf "_Static_assert((long long)LOCI_%s == %s, \"%s\");\n", name, value, name }' $rs
        echo '_Static_assert((LOCI_MEM_Q | LOCI_MEM_K | LOCI_MEM_V) == 7, "MEM_QKV");'
    } >ledger.c
    [ "$(wc -l <ledger.c)" -gt 150 ] || bad "the ledger has $(wc -l <ledger.c) lines"
    $LOCI_TEST_CC -std=c11 -I"$LOCI_TEST_SRC/include" -fsyntax-only ledger.c 2>said || {
        bad 'the ledger is not that of the headers'
        grep error said | head -n 5
    }
    sed 's/offsetof(loci_run, state) == 12/offsetof(loci_run, state) == 13/' ledger.c >wrong.c
    ! $LOCI_TEST_CC -std=c11 -I"$LOCI_TEST_SRC/include" -fsyntax-only wrong.c 2>/dev/null || bad 'a wrong offset is not seen'
}

facts a_memory_in_c_is_whole a_memory_on_the_abi_is_whole a_memory_in_cpp_is_whole a_memory_in_rust_is_whole \
    a_mixer_is_whole an_attention_is_whole a_composition_is_whole every_memory_is_the_same_rule \
    the_attention_is_that_of_ref the_folders_own_test_notices autotools_build_and_install_it_in_c \
    autotools_build_and_install_it_in_cpp autotools_build_and_install_it_in_rust \
    what_cannot_be_is_refused_with_a_remedy what_is_there_is_not_touched a_failure_leaves_nothing \
    templates_of_ones_own_are_used the_ledger_of_rust_is_that_of_the_headers
