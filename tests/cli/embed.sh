#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# The library inside other programs: examples/embed and examples/python against an installed tree, as their READMEs say,
# and the structs of the Python binding against those of the header.
# shellcheck disable=SC2016,SC2086,SC2317 # messages hold backquotes; lists are words; facts are called by their names
# shellcheck source=tests/cli/lib.sh
. "$(dirname "$0")/lib.sh"

# A copy of an example in this folder, loci installed.
example() { # NAME
    [ -f "$LOCI_TEST_SRC/examples/$1/README.md" ] || skip "examples/$1 is not here"
    install_tree
    cp -r "$LOCI_TEST_SRC/examples/$1" example
    chmod -R u+w example
    cd example || exit 1
    libraries=$(installed_at libloci.so.0 '*')
}

as_installed() { # COMMAND...: with the library where the loader looks
    rc=0
    last=$*
    installed env LD_LIBRARY_PATH="$libraries" PYTHONDONTWRITEBYTECODE=1 "$@" >out 2>err </dev/null || rc=$?
    sanitized
}

commands_of_the_readme() { # the shell blocks, a command a line
    sed -n '/^```sh$/,/^```$/p' README.md | grep -v '^```'
}

python() {
    [ -z "${LOCI_TEST_SAN-}" ] || skip 'python is not built with the sanitizers of this library'
    python=$(python3 -c 'import sys; print(sys.executable)' 2>/dev/null) || skip 'python3 is not installed'
}

# ---- C --------------------------------------------------------------------------------------------------------------

every_command_of_the_c_readme_runs() {
    example embed
    commands_of_the_readme >commands
    [ "$(wc -l <commands)" -ge 5 ] || bad "$(wc -l <commands) commands in README.md"
    sed -i "s/^cc /cc ${LOCI_TEST_SAN-} /; s/^make\$/make CFLAGS='-std=c99 -O2 ${LOCI_TEST_SAN-}'/" commands
    as_installed bash -e commands
    exits 0
    prints 'step 60  loss' 'one way:     the ' 'another way: the ' 'saved runs/embed/checkpoints/0000000060'
    holds 'the loss fell' "$(sed -n 's/^valid \([0-9.]*\) .*/\1/p' out) < 4"
    is 'two ways' "$(sed -n 's/^\(one\|another\) way: *//p' out | sort -u | wc -l)" 2
    # The checkpoint is the command's: its evaluation gives the program's loss.
    near 'loss of eval' "$(sed -n 's/^loss \([0-9.]*\) nats.*/\1/p' out)" "$(sed -n 's/^valid \([0-9.]*\) .*/\1/p' out)" 1e-4
}

it_is_c99_and_cxx_without_a_warning() {
    local flags
    example embed
    flags=$(installed pkg-config --cflags --libs loci)
    case $flags in
    *-lloci*) ;;
    *) bad "pkg-config --libs says $flags" ;;
    esac
    installed $LOCI_TEST_CC -std=c99 -Wall -Wextra -pedantic -Werror ${LOCI_TEST_SAN-} -o one embed.c $flags -lm >out 2>err ||
        bad "not C99: $(head -n 3 err)"
    printf '#include <loci/loci.h>\nint main() { loci_settings *s = 0; loci_error e = LOCI_ERROR_INIT;\n%s\n%s\n' \
        'loci_engine_options o = {sizeof o, 0, LOCI_ENGINE_TRAIN, 0, 0}; (void)o;' \
        'int bad = loci_settings_new(&s, &e); loci_settings_free(s); return bad || loci_version()[0] != 48; }' >two.cc
    installed c++ -std=c++11 -Wall -Wextra -pedantic -Werror ${LOCI_TEST_SAN-} -o two two.cc $flags >out 2>err ||
        bad "not C++: $(head -n 3 err)"
    as_installed ./two
    exits 0
}

what_goes_wrong_is_one_line() {
    example embed
    as_installed make CFLAGS="-std=c99 ${LOCI_TEST_SAN-}"
    exits 0
    as_installed ./embed nowhere.txt
    exits 1
    is 'lines of the message' "$(wc -l <err)" 1
    says 'embed: ' 'nowhere.txt'
    as_installed env LOCI_PLUGIN_PATH=/nowhere ./embed embed.c
    exits 1
    says /nowhere
}

# ---- Python ---------------------------------------------------------------------------------------------------------

every_command_of_the_python_readme_runs() {
    python
    example python
    commands_of_the_readme >commands
    [ "$(wc -l <commands)" -ge 2 ] || bad "$(wc -l <commands) commands in README.md"
    sed -i "s|^python3|$python|" commands
    as_installed bash -e commands
    exits 0
    prints 'step 60  loss' 'saved runs/python/checkpoints/0000000060'
}

# Every struct of loci.py, member by member, against what a compiler makes of the header.
the_structs_of_python_are_those_of_the_header() {
    python
    example python
    cat >layout.py <<-'END'
	import ctypes, loci
	print("#include <loci/loci.h>\n#include <stdio.h>\nint main(void) {")
	for s in loci.STRUCTS:
	    n = s.__name__
	    print(f'printf("{n} %zu\\n", sizeof({n}));')
	    for f, _ in s._fields_:
	        print(f'printf("{n}.{f} %zu %zu\\n", offsetof({n}, {f}), sizeof((({n} *)0)->{f}));')
	print("return 0; }")
	with open("want", "w") as out:
	    for s in loci.STRUCTS:
	        print(s.__name__, ctypes.sizeof(s), file=out)
	        for f, _ in s._fields_:
	            print(f"{s.__name__}.{f}", getattr(s, f).offset, getattr(s, f).size, file=out)
	END
    as_installed $python layout.py
    exits 0
    cp out layout.c
    flags=$(installed pkg-config --cflags loci)
    installed $LOCI_TEST_CC -o layout layout.c $flags || bad 'layout.c does not compile'
    ./layout >got
    [ "$(wc -l <want)" -ge 60 ] || bad "only $(wc -l <want) lines"
    diff want got >difference || bad "$(head -n 5 difference)"
}

run_python() { # what comes on standard input, with helpers before it
    {
        cat <<-'END'
		import ctypes, gc, sys, loci
		INI = "[run]\nthreads = 1\n[model]\nlayers = 1\ndim = 16\n[mixer.mha]\nheads = 2\n[memory]\nbackend = titans\n" \
		      "heads = 2\n[compose]\nbackend = mag\n[data]\nseq_tok = 16\n[train]\nbatch = 2\nlr = 1e-2\nsteps = 20\n"
		def same(a, b): assert a == b, (a, b)
		END
        cat
    } >program.py
    as_installed $python program.py
    exits 0
    prints 'to the end'
}

streams_weights_and_errors_from_python() {
    python
    example python
    run_python <<-END
	e = loci.Engine(INI, set={"data.train": "$work/text"}, train=True)
	first = e.step()["loss_nats"]
	for _ in range(19): last = e.step()["loss_nats"]
	assert last < first - 0.3, (first, last)
	same(e.facts()["step"], 20)
	same(e.get("memory.titans.mode"), "auto")

	# A step on rows of ours, and what an evaluation says before and after it.
	rows = [list(b"the old king sees"), list(b"the green bird is")]
	x, y = [r[:-1] for r in rows], [r[1:] for r in rows]
	before = e.evaluate(x, y)
	same(before["tokens"], 32)
	for _ in range(5): e.step(x, y)
	assert e.evaluate(x, y)["loss_nats"] < before["loss_nats"]

	# A stream: pieces, single tokens, a clone and a saved state agree.
	s, t = e.stream(piece_tok=32), e.stream(piece_tok=32)
	whole = s.feed(b"the old king").tolist()
	for i, c in enumerate(b"the old king"):
	    row = t.feed(bytes([c])).tolist()[0]
	    assert max(abs(a - b) for a, b in zip(row, whole[i])) < 1e-3
	same(len(t), 12)
	twin, saved = t.clone(), t.save()
	want = t.feed(b" sees").tolist()
	same(twin.feed(b" sees").tolist(), want)
	u = e.stream(piece_tok=32)
	u.restore(saved)
	same(u.feed(b" sees").tolist(), want)
	same([t.draw(seed=i) for i in range(9)], [twin.draw(seed=i) for i in range(9)])
	same(t.draw(temperature=0), max(range(256), key=lambda i: want[-1][i]))

	# The weight itself: what is written counts.
	w = e.weights["norm.weight"]
	w.raw()[:] = [0.0] * 16
	assert all(v == 0 for v in u.feed(b"x").tolist()[0])
	assert any(v != 0 for v in e.gradients["norm.weight"].tolist())

	# A checkpoint is a model; what goes wrong has a code and a sentence.
	path = e.save("run")
	same(loci.Engine(checkpoint=path).weights["embed.weight"].tolist(), e.weights["embed.weight"].tolist())
	for wrong, code, words in (
	    (lambda: loci.Engine("[model]\ndin = 3\n"), -7, "dim"),
	    (lambda: loci.Engine("[mixer]\nbackend = nosuch\n"), -8, "nosuch"),
	    (lambda: s.feed([256]), -1, "token 0 is 256"),
	    (lambda: u.restore(saved[:-1]), -5, "cut"),
	    (lambda: loci.Engine(checkpoint="nowhere"), -11, "nowhere"),
	):
	    try:
	        wrong()
	    except loci.Error as error:
	        same(error.code, code)
	        assert words in str(error), error
	    else:
	        raise AssertionError(words)

	# Views outlive the names of what they show.
	del e, s, t, u, twin
	gc.collect()
	same(w.tolist(), [0.0] * 16)
	print("to the end")
	END
}

# What a consumer does with a capsule, done by hand: no package is needed to see that it is one.
capsules_are_those_of_dlpack() {
    python
    example python
    run_python <<-'END'
	get = ctypes.pythonapi.PyCapsule_GetPointer
	get.argtypes, get.restype = [ctypes.py_object, ctypes.c_char_p], ctypes.c_void_p
	rename = ctypes.pythonapi.PyCapsule_SetName
	rename.argtypes = [ctypes.py_object, ctypes.c_char_p]
	e = loci.Engine(INI)
	w = e.weights["embed.weight"]
	same(w.__dlpack_device__(), (1, 0))
	used = b"used_dltensor"
	for struct, name, how in ((loci._Managed, b"dltensor", {}), (loci._Versioned, b"dltensor_versioned", {"max_version": (1, 1)})):
	    capsule = w.__dlpack__(**how)
	    same(len(loci._lent), 1)
	    m = struct.from_address(get(capsule, name))
	    same((m.tensor.data + m.tensor.byte_offset, m.tensor.ndim, m.tensor.shape[0], m.tensor.shape[1]), (w.address, 2, 256, 16))
	    same((m.tensor.dtype.code, m.tensor.dtype.bits, m.tensor.dtype.lanes, m.tensor.strides[0]), (2, 32, 1, 16))
	    rename(capsule, used)  # taken: the consumer calls the deleter, the capsule does not
	    del capsule
	    gc.collect()
	    same(len(loci._lent), 1)
	    ctypes.CFUNCTYPE(None, ctypes.c_void_p)(m.deleter)(ctypes.addressof(m))
	    same(len(loci._lent), 0)
	    capsule = w.__dlpack__(**how)  # not taken: it cleans up after itself
	    del capsule
	    gc.collect()
	    same(len(loci._lent), 0)
	try:
	    w.__dlpack__(copy=True)
	except BufferError:
	    print("to the end")
	END
}

numpy_sees_weights_without_a_copy() {
    python
    $python -c 'import numpy' 2>/dev/null || skip 'numpy is not installed'
    example python
    run_python <<-'END'
	import numpy
	e = loci.Engine(INI)
	w = e.weights["embed.weight"]
	for view in (numpy.from_dlpack(w), numpy.asarray(w)):
	    same((view.shape, view.dtype.str, view.ctypes.data), ((256, 16), "<f4", w.address))
	    same(view.tolist(), w.tolist())
	numpy.asarray(w)[3, 5] = 42
	same(w.tolist()[3][5], 42)
	if numpy.lib.NumpyVersion(numpy.__version__) >= "2.1.0":
	    numpy.from_dlpack(w)[3, 6] = 43
	    same(w.tolist()[3][6], 43)
	logits = numpy.array(e.stream().feed(b"abc"))
	same(logits.shape, (3, 256))
	view = numpy.from_dlpack(w)
	del e, w
	gc.collect()
	same(float(view[3, 5]), 42)
	del view
	gc.collect()
	same(len(loci._lent), 0)
	print("to the end")
	END
}

facts every_command_of_the_c_readme_runs it_is_c99_and_cxx_without_a_warning what_goes_wrong_is_one_line \
    every_command_of_the_python_readme_runs the_structs_of_python_are_those_of_the_header \
    streams_weights_and_errors_from_python capsules_are_those_of_dlpack numpy_sees_weights_without_a_copy
