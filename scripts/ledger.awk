# SPDX-License-Identifier: Apache-2.0
#
# scripts/ledger.awk: reads the headers of the binary interface, in their plain style, and lists what is in them, a line
# each, fields apart by tabs:
#
#     grows|frozen  STRUCT                  a struct with struct_size, and one without
#     member        STRUCT  MEMBER  TYPE    the names of a function's arguments are left out
#     alias         NAME    TYPE
#     number|text   NAME                    a constant
#
#  (1) What is not understood ends the run: nothing is left out in silence.
#  (2) Types are void, char, double, integers of fixed width, and loci_*: no enum, bool, long or bit-field crosses.
#  (3) Comments, what is for C++ only, and inline functions are passed over. So are macros with arguments and those of
#      `apart` (names between spaces), which are source: initialisers, attributes, how a plugin was compiled.

function fail(what) {
    printf "ledger: %s: %s\n", FILENAME, what > "/dev/stderr"
    failed = 1
    exit 1
}

function trim(s) {
    gsub(/[ \t]+/, " ", s)
    sub(/^ /, "", s)
    sub(/ $/, "", s)
    return s
}

function known(type, bare) {
    bare = type
    gsub(/const|\*|\[[0-9]+\]/, " ", bare)
    bare = trim(bare)
    if (bare !~ /^(void|char|double|float|u?int(8|16|32|64)_t|loci_[a-z_]+)$/)
        fail("`" type "` is no type that may cross: fixed-width integers, double, char, void and loci_* do")
    return trim(type)
}

# "const loci_tensor *rows" -> "const loci_tensor *"
function argument(text, words, n, stars) {
    text = trim(text)
    gsub(/\*/, " * ", text)
    n = split(trim(text), words, " ")
    stars = ""
    base = words[1] == "const" ? 2 : 1
    if (n > base && words[n] ~ /^[a-zA-Z_0-9]+$/ && words[n] != "const")
        n--
    for (i = 1; i <= n; i++)
        stars = stars (words[i] == "*" ? (i > 1 && words[i - 1] != "*" ? " *" : "*") : (i > 1 && words[i - 1] != "*" ? " " : "") words[i])
    return known(stars)
}

function arguments(text, part, n, k, all) {
    if (text ~ /\(/)
        fail("an argument with parentheses: `" text "`")
    n = split(text, part, ",")
    all = ""
    for (k = 1; k <= n; k++)
        all = all (k > 1 ? ", " : "") argument(part[k])
    return all
}

# "void (*log)(const loci_host *, int32_t level)": leaves the name in `name`, returns "void (*)(const loci_host *, int32_t)".
function pointer(text, result) {
    result = trim(substr(text, 1, index(text, "(*") - 1))
    name = substr(text, index(text, "(*") + 2)
    args = substr(name, index(name, ")") + 1)
    name = trim(substr(name, 1, index(name, ")") - 1))
    args = trim(args)
    if (args !~ /^\(.*\)$/ || name !~ /^[a-z_0-9]+$/)
        fail("no pointer to a function: `" text "`")
    return known(result) (result ~ /\*$/ ? "" : " ") "(*)(" arguments(substr(args, 2, length(args) - 2)) ")"
}

function members(owner, text, part, n, k, d, piece, m, base, stars, array) {
    n = split(text, part, ";")
    if (trim(part[n]) != "")
        fail(owner ": something behind the last member: `" trim(part[n]) "`")
    for (k = 1; k < n; k++) {
        part[k] = trim(part[k])
        if (part[k] ~ /\(\*/) {
            type = pointer(part[k])
            print "member\t" owner "\t" name "\t" type
            continue
        }
        if (part[k] ~ /[:({]/)
            fail(owner ": `" part[k] "` is no plain member")
        m = split(part[k], piece, ",")
        if (!match(piece[1], /^(const )?[a-z_0-9]+/))
            fail(owner ": `" part[k] "` is no plain member")
        base = substr(piece[1], 1, RLENGTH)
        piece[1] = substr(piece[1], RLENGTH + 1)
        for (d = 1; d <= m; d++) {
            piece[d] = trim(piece[d])
            array = match(piece[d], /\[[0-9]+\]$/) ? substr(piece[d], RSTART) : ""
            if (array != "")
                piece[d] = substr(piece[d], 1, RSTART - 1)
            if (!match(piece[d], /[a-zA-Z_0-9]+$/))
                fail(owner ": `" part[k] "` is no plain member")
            name = substr(piece[d], RSTART)
            stars = trim(substr(piece[d], 1, RSTART - 1))
            if (stars !~ /^(\*|const| )*$/)
                fail(owner ": `" part[k] "` is no plain member")
            print "member\t" owner "\t" name "\t" known(base (stars == "" ? "" : " ") stars array)
        }
    }
}

# One declaration at file scope, its braces included.
function declaration(text, head, body) {
    text = trim(text)
    if (text == "" || text ~ /^static inline /)
        return
    if (text ~ /^(typedef )?struct [a-z_]+ \{.*\}( [a-z_]+)?$/) {
        head = text
        sub(/^(typedef )?struct /, "", head)
        head = substr(head, 1, index(head, " ") - 1)
        body = substr(text, index(text, "{") + 1)
        sub(/\}[a-z_ ]*$/, "", body)
        print (body ~ /(^|[ ,])struct_size *[,;]/ ? "grows" : "frozen") "\t" head
        members(head, body)
    } else if (text ~ /^typedef struct [a-z_]+ [a-z_]+$/)
        return
    else if (text ~ /^typedef .*\(\*/) {
        sub(/^typedef /, "", text)
        type = pointer(text)
        print "alias\t" name "\t" type
    } else if (text ~ /^typedef [a-z_0-9]+ [a-z_0-9]+$/) {
        split(text, word, " ")
        print "alias\t" word[3] "\t" known(word[2])
    } else
        fail("cannot be read: `" text "`")
}

function define(text, value) {
    sub(/^# *define +/, "", text)
    if (!match(text, /^[A-Za-z_0-9]+/))
        fail("cannot be read: `" text "`")
    name = substr(text, 1, RLENGTH)
    value = substr(text, RLENGTH + 1)
    if (value ~ /^\(/ || trim(value) == "" || index(apart, " " name " "))
        return
    print (value ~ /^ *"/ ? "text" : "number") "\t" name
}

function flush_file(at, depth, c, start) {
    while (match(code, /\/\*([^*]|\*+[^*\/])*\*+\//))
        code = substr(code, 1, RSTART - 1) " " substr(code, RSTART + RLENGTH)
    n_lines = split(code, line, "\n")
    rest = ""
    skip = 0
    for (l = 1; l <= n_lines; l++) {
        while (line[l] ~ /\\$/ && l < n_lines) {
            line[l + 1] = substr(line[l], 1, length(line[l]) - 1) " " line[l + 1]
            l++
        }
        if (line[l] ~ /^# *ifdef __cplusplus/)
            skip = 1
        else if (skip && line[l] ~ /^# *endif/)
            skip = 0
        else if (skip)
            continue
        else if (line[l] ~ /^# *define/)
            define(line[l])
        else if (line[l] !~ /^#/)
            rest = rest " " line[l]
    }
    depth = 0
    start = 1
    for (at = 1; at <= length(rest); at++) {
        c = substr(rest, at, 1)
        if (c == "{")
            depth++
        if (c == "}")
            depth--
        if (depth == 0 && (c == ";" || (c == "}" && substr(rest, start, at - start) ~ /^ *static inline/))) {
            declaration(substr(rest, start, at - start))
            start = at + 1
        }
    }
    if (trim(substr(rest, start)) != "")
        fail("does not end: `" trim(substr(rest, start)) "`")
    code = ""
}

{
    code = code $0 "\n"
}
END {
    if (!failed)
        flush_file()
}
