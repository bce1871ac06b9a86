/* SPDX-License-Identifier: Apache-2.0
 *
 * tests/unit/test_config: what may stand in a config file, what is refused, and in which words.
 */
#include "tests/unit/config_tools.h"

#include <fcntl.h>
#include <locale.h>
#define INI_HANDLER_LINENO 1
#include <ini.h>

/* ---- inih's traps ---------------------------------------------------------------------------------------------- */

static void reader__never_cuts_a_section_name(void)
{
    loci_conf *c;
    fresh();
    /* 48 bytes, which inih holds, and one more */
    c = conf_of("[memory.aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa]\nx-a = 1\n");
    loci_conf_free(c);
    READS("[run]\nseed = 2\n[memory.aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaab]\nx-a = 1\n",
          "t.ini:3: section name [memory.aaaaaaaaaaaaa...] has 49 bytes, the limit is 48");
}

static void reader__never_cuts_a_long_line(void)
{
    static char text[40000];
    char want[200];
    loci_conf *c;
    fresh();
    /* "name = xxx...": 16384 bytes are a line, 16385 are not; the line after either keeps its number */
    for (int over = 0; over <= 1; over++) {
        int n = 16384 - 7 + over;
        snprintf(text, sizeof text, "[run]\nname = %0*d\n[train]\nsteps = 0x\n", n, 7);
        snprintf(want, sizeof want, "t.ini:2: the line has 16385 bytes, the limit is 16384");
        if (over)
            says(text, strlen(text), false, want);
        else {
            c = conf_of(text);
            CU_ASSERT_EQUAL(strlen(loci_conf_str(c, -1, "run", "name")), 16377);
            CU_ASSERT(loci_conf_check(c, false, &ck_err) == LOCI_E_CONFIG);
            STR_IS(ck_err.msg,
                   "t.ini:4: [train] steps = 0x: not a whole number, which is digits and perhaps k, M or G");
            loci_conf_free(c);
        }
    }
}

static void reader__refuses_what_is_not_a_regular_file(void)
{
    loci_conf *c = NULL;
    loci_error err = LOCI_ERROR_INIT;
    fresh();
    CK_OK(loci_conf_new(&c, &ck_err));
    CU_ASSERT(loci_conf_file(c, ".", &err) == LOCI_E_IO);
    STR_IS(err.msg, ".: a folder, a config is a regular file");
    loci_error_clear(&err);
    CU_ASSERT_FATAL(mkfifo("pipe", 0600) == 0);
    CU_ASSERT(loci_conf_file(c, "pipe", &err) == LOCI_E_IO); /* and does not wait for a writer */
    STR_IS(err.msg, "pipe: not a regular file, a config is a regular file");
    loci_error_clear(&err);
    CU_ASSERT(loci_conf_file(c, "absent.ini", &err) == LOCI_E_IO);
    STR_IS(err.msg, "absent.ini: No such file or directory");
    loci_conf_free(c);
}

static void reader__refuses_bytes_that_are_not_text(void)
{
    fresh();
    READS("[run]\nname = a\0b\n", "t.ini:2: NUL byte in column 9, a config is plain text");
    READS("[run]\rseed = 1\r", "t.ini:1: carriage return in column 6, end lines with LF or CRLF");
    READS("[run]\nname = \xE9t\xE9\n", "t.ini:2: byte 0xE9 in column 8 is not UTF-8, save the text as UTF-8");
    READS("[run]\nname = \xC0\xAF\n", "t.ini:2: byte 0xC0 in column 8 is not UTF-8, save the text as UTF-8");
    READS("[run]\nname = \xED\xA0\x80\n", "t.ini:2: byte 0xED in column 8 is not UTF-8, save the text as UTF-8");
    READS("[run]\nname = \xF4\x90\x80\x80\n", "t.ini:2: byte 0xF4 in column 8 is not UTF-8, save the text as UTF-8");
    READS("[run]\nname = \xE2\x82", "t.ini:2: byte 0xE2 in column 8 is not UTF-8, save the text as UTF-8");
    READS("[run]\nname = \x1B[2J\n", "t.ini:2: control character 0x1B in column 8, a config is plain text");
    READS("# \xFF\n", "t.ini:1: byte 0xFF in column 3 is not UTF-8, save the text as UTF-8");
    CHECKS("[run]\nname = \xC3\xA9\xE2\x82\xAC\xF0\x9F\x98\x80\n", NULL);
}

static void reader__takes_crlf_a_bom_and_no_last_newline(void)
{
    loci_conf *c;
    fresh();
    c = conf_of("\xEF\xBB\xBF[run]\r\nseed = 7\r\n\r\n; note\r\nname = a b \t");
    CU_ASSERT_EQUAL(loci_conf_int(c, -1, "run", "seed"), 7);
    STR_IS(loci_conf_str(c, -1, "run", "name"), "a b");
    STR_IS(loci_conf_origin(c, -1, "run", "name"), "t.ini:5");
    loci_conf_free(c);
}

static void reader__refuses_indented_lines(void)
{
    fresh();
    READS("[run]\nname = a\n  b\n", "t.ini:3: indented line, a value is one line and a key starts in the first column");
    READS("[run]\nname = a\n\tseed = 4\n",
          "t.ini:3: indented line, a value is one line and a key starts in the first column");
    CHECKS("[run]\nname = a\n   # a comment\n   \t\n  ; another\n", NULL);
}

static void reader__keeps_semicolons_hashes_and_quotes(void)
{
    loci_conf *c;
    fresh();
    c = conf_of(
        "[run]\nname = x ;y # z\n[compare]\nvary = # t\ntune = \"q ; r\"\n[memory.titans]\nlabel = a=b:c [d]\n");
    STR_IS(loci_conf_str(c, -1, "run", "name"), "x ;y # z");
    STR_IS(loci_conf_str(c, -1, "compare", "vary"), "# t");
    STR_IS(loci_conf_str(c, -1, "compare", "tune"), "\"q ; r\"");
    STR_IS(loci_conf_str(c, -1, "memory.titans", "label"), "a=b:c [d]");
    loci_conf_free(c);
}

static void reader__refuses_lines_that_are_neither(void)
{
    fresh();
    READS("[run]\n=5\n", "t.ini:2: no key before '=', write key = value");
    READS("[run]\nseed\n", "t.ini:2: neither [section] nor key = value: seed");
    READS("[run]\nseed: 5\n", "t.ini:2: neither [section] nor key = value: seed: 5");
    READS("[run]\nhttps://example.org/?a=b\n", "t.ini:2: neither [section] nor key = value: https://example.org/?a=b");
    READS("[run\nseed = 1\n", "t.ini:1: section header without ']'");
    READS("[run] x\n", "t.ini:1: text behind a section header, one line holds one thing");
    READS("[run] ; x\n", "t.ini:1: text behind a section header, comments start a line of their own");
    READS("[]\n", "t.ini:1: section name []: letters, digits, '_', '-' and '+' in parts divided by single dots");
    READS("[memory..a]\n",
          "t.ini:1: section name [memory..a]: letters, digits, '_', '-' and '+' in parts divided by single dots");
    READS("[run]\nse.ed = 1\n", "t.ini:2: key `se.ed`: keys have letters, digits, '_' and '-' only");
    READS("seed = 1\n[run]\n", "t.ini:1: key `seed` before the first section, only include may stand there");
}

static void reader__reports_every_bad_line(void)
{
    fresh();
    READS("[run]\nseed\n[\nx = 1\n[train]\n=4\nsteps = 5\n a\n",
          "t.ini:2: neither [section] nor key = value: seed\n"
          "t.ini:3: section header without ']'\n"
          "t.ini:6: no key before '=', write key = value\n"
          "t.ini:8: indented line, a value is one line and a key starts in the first column");
    STR_IS(logged, "t.ini:2: neither [section] nor key = value: seed\n"
                   "t.ini:3: section header without ']'\n"
                   "t.ini:6: no key before '=', write key = value\n"
                   "t.ini:8: indented line, a value is one line and a key starts in the first column\n");
}

static void reader__keeps_the_good_lines_and_drops_what_follows_a_bad_header(void)
{
    loci_conf *c = NULL;
    loci_error err = LOCI_ERROR_INIT;
    static const char text[] = "[run]\nseed = 5\n[tr ain]\nseed = 6\n[train]\nsteps = 9\n";
    fresh();
    CK_OK(loci_conf_new(&c, &ck_err));
    CU_ASSERT(loci_conf_text(c, "t.ini", text, strlen(text), &err) == LOCI_E_CONFIG);
    CU_ASSERT_EQUAL(loci_conf_int(c, -1, "run", "seed"), 5);
    CU_ASSERT_EQUAL(loci_conf_int(c, -1, "train", "steps"), 9);
    loci_conf_free(c);
}

static void reader__gives_up_on_a_flood_of_problems(void)
{
    static char text[4000];
    loci_conf *c = NULL;
    size_t lines = 0;
    fresh();
    CK_OK(loci_conf_new(&c, &ck_err));
    for (int i = 0; i < 1000; i++)
        strcat(text + i * 2, "?\n");
    CU_ASSERT(loci_conf_text(c, "t.ini", text, strlen(text), &ck_err) == LOCI_E_CONFIG);
    for (const char *s = logged; (s = strchr(s, '\n')); s++)
        lines++;
    CU_ASSERT_EQUAL(lines, 101);
    CK_TRUE(strlen(ck_err.msg) < sizeof ck_err.msg && strstr(ck_err.msg, " more)"), "%s", ck_err.msg);
    loci_conf_free(c);
}

static void reader__bounds_the_lines_of_a_config(void)
{
    loci_conf *c = NULL;
    loci_text t = {0};
    fresh();
    CK_OK(loci_conf_new(&c, &ck_err));
    loci_text_add(&t, "[run]\n");
    for (int i = 0; i < 4096; i++)
        loci_text_add(&t, "x-%d = 1\n", i);
    CU_ASSERT(loci_conf_text(c, "t.ini", t.at, t.len, &ck_err) == LOCI_E_CONFIG);
    STR_IS(ck_err.msg, "t.ini:4097: a config holds at most 4096 lines");
    loci_text_free(&t);
    loci_conf_free(c);
}

static void reader__leaves_inih_as_it_was(void)
{
    bool inline_comments = ini_allow_inline_comments, multiline = ini_allow_multiline, stack = ini_use_stack;
    int max = ini_max_line;
    fresh();
    loci_conf_free(conf_of("[run]\nseed = 3\n"));
    CU_ASSERT(ini_allow_inline_comments == inline_comments && ini_allow_multiline == multiline);
    CU_ASSERT(ini_use_stack == stack && ini_max_line == max);
}

/* ---- includes -------------------------------------------------------------------------------------------------- */

static void include__is_relative_to_its_file_and_weaker_than_it(void)
{
    loci_conf *c = NULL;
    char want[300];
    fresh();
    CU_ASSERT_FATAL(mkdir("etc", 0700) == 0 && mkdir("etc/part", 0700) == 0);
    put("etc/a.ini", "include = part/b.ini\ninclude = c.ini\n[run]\nseed = 1\n");
    put("etc/part/b.ini", "[run]\nseed = 2\nname = b\nthreads = 2\n[data]\ntrain = t.txt\n");
    put("etc/c.ini", "[run]\nseed = 3\nname = c\n");
    CK_OK(loci_conf_new(&c, &ck_err));
    CK_OK(loci_conf_file(c, "etc/a.ini", &ck_err));
    CK_OK(loci_conf_check(c, false, &ck_err));
    CU_ASSERT_EQUAL(loci_conf_int(c, -1, "run", "seed"), 1);
    STR_IS(loci_conf_str(c, -1, "run", "name"), "c");
    STR_IS(loci_conf_origin(c, -1, "run", "name"), "etc/c.ini:3");
    STR_IS(loci_conf_origin(c, -1, "run", "threads"), "etc/part/b.ini:4");
    snprintf(want, sizeof want, "%s/etc/part/t.txt", folder);
    STR_IS(loci_conf_str(c, -1, "data", "train"), want);
    loci_conf_free(c);
}

static void include__reports_a_circle_with_its_chain(void)
{
    loci_conf *c = NULL;
    fresh();
    put("a.ini", "include = b.ini\n[run]\nseed = 1\n");
    put("b.ini", "# b\ninclude = ./c.ini\n");
    put("c.ini", "include = b.ini\n");
    CK_OK(loci_conf_new(&c, &ck_err));
    CU_ASSERT(loci_conf_file(c, "a.ini", &ck_err) == LOCI_E_CONFIG);
    STR_IS(ck_err.msg, "./c.ini:1: include goes round in a circle: b.ini -> ./c.ini -> ./b.ini");
    loci_conf_free(c);
}

static void include__is_nested_eight_deep_and_no_deeper(void)
{
    loci_conf *c = NULL;
    char name[20], text[60];
    fresh();
    for (int i = 0; i < 11; i++) {
        snprintf(name, sizeof name, "%d.ini", i);
        snprintf(text, sizeof text, i < 10 ? "include = %d.ini\n[run]\nseed = 1\n" : "# %d\n", i + 1);
        put(name, text);
    }
    CK_OK(loci_conf_new(&c, &ck_err));
    CK_OK(loci_conf_file(c, "2.ini", &ck_err));
    CU_ASSERT(loci_conf_file(c, "1.ini", &ck_err) == LOCI_E_CONFIG);
    STR_IS(ck_err.msg, "9.ini:1: include = 10.ini: includes are nested deeper than 8");
    loci_conf_free(c);
}

static void include__is_limited_in_number(void)
{
    loci_conf *c = NULL;
    FILE *f;
    fresh();
    put("b.ini", "[run]\nseed = 1\n");
    f = fopen("a.ini", "w");
    CU_ASSERT_FATAL(f != NULL);
    for (int i = 0; i < 70; i++)
        fprintf(f, "include = b.ini\n");
    fclose(f);
    CK_OK(loci_conf_new(&c, &ck_err));
    CU_ASSERT(loci_conf_file(c, "a.ini", &ck_err) == LOCI_E_CONFIG);
    STR_IS(ck_err.msg, "a.ini:65: include = b.ini: more than 64 included files");
    loci_conf_free(c);
}

static void include__that_fails_names_its_line_and_the_rest_is_read(void)
{
    loci_conf *c = NULL;
    fresh();
    put("a.ini", "include = absent.ini\ninclude =\ninclude = b.ini\n[run]\nseed = 4\ninclude = b.ini\n");
    put("b.ini", "[run]\n?\n");
    CK_OK(loci_conf_new(&c, &ck_err));
    CU_ASSERT(loci_conf_file(c, "a.ini", &ck_err) == LOCI_E_CONFIG);
    STR_IS(ck_err.msg, "a.ini:2: include names no file\n"
                       "a.ini:1: include = absent.ini: No such file or directory\n"
                       "b.ini:2: neither [section] nor key = value: ?");
    CU_ASSERT_EQUAL(loci_conf_int(c, -1, "run", "seed"), 4);
    loci_error_clear(&ck_err);
    CU_ASSERT(loci_conf_check(c, false, &ck_err) == LOCI_E_CONFIG); /* include in a section is a key like any other */
    STR_IS(ck_err.msg, "a.ini:6: unknown key `include` in [run], loci config --help-config=run lists all");
    loci_conf_free(c);
}

/* ---- values ---------------------------------------------------------------------------------------------------- */

static void value__whole_numbers_have_binary_suffixes(void)
{
    static const struct {
        const char *text;
        int64_t v;
    } good[] = {{"0", 0},
                {"7", 7},
                {"4k", 4096},
                {"3M", 3145728},
                {"2G", INT64_C(1) << 31},
                {"9223372036854775807", INT64_MAX},
                {"8388607G", INT64_C(8388607) << 30}};
    static const char *const bad[] = {"",
                                      "x",
                                      "-",
                                      "1.5",
                                      "1e3",
                                      "4K",
                                      "4kk",
                                      "4 k",
                                      "0x10",
                                      "+1",
                                      "9223372036854775808",
                                      "9007199254740992k",
                                      "99999999999999999999999"};
    loci_conf *c = NULL;
    char set[80];
    fresh();
    CK_OK(loci_conf_new(&c, &ck_err));
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        snprintf(set, sizeof set, "run.max_memory=%s", good[i].text);
        CK_OK(loci_conf_set(c, set, "--set", &ck_err));
        CK_TRUE(loci_conf_int(c, -1, "run", "max_memory") == good[i].v, "%s", set);
    }
    CK_OK(loci_conf_check(c, false, &ck_err));
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        loci_error err = LOCI_ERROR_INIT;
        snprintf(set, sizeof set, "run.seed=%s", bad[i]);
        loci_conf_free(c);
        CK_OK(loci_conf_new(&c, &ck_err));
        CK_OK(loci_conf_set(c, set, "--set", &ck_err));
        CK_TRUE(loci_conf_check(c, false, &err) == LOCI_E_CONFIG, "%s was taken", set);
        CU_ASSERT_EQUAL(loci_conf_int(c, -1, "run", "seed"), 1); /* counts as not written */
    }
    loci_conf_free(c);
}

static void value__is_refused_in_these_words(void)
{
    fresh();
    CHECKS("[train]\nsteps = 100 ; quick\n",
           "t.ini:2: [train] steps = 100 ; quick: comments start a line of their own");
    CHECKS("[train]\nlr = 0.1 # big\n", "t.ini:2: [train] lr = 0.1 # big: comments start a line of their own");
    CHECKS("[model]\ntied = no ; x\n", "t.ini:2: [model] tied = no ; x: comments start a line of their own");
    CHECKS("[run]\ndtype = f64 # x\n", "t.ini:2: [run] dtype = f64 # x: comments start a line of their own");
    CHECKS("[train]\nsteps = many\n", "t.ini:2: [train] steps = many: not a whole number");
    CHECKS("[train]\nlr = 0,1\n", "t.ini:2: [train] lr = 0,1: not a number, which is like 0.1 or 1e-3");
    CHECKS("[train]\nlr = nan\n", "t.ini:2: [train] lr = nan: not a number, which is like 0.1 or 1e-3");
    CHECKS("[train]\nclip = 1e999\n", "t.ini:2: [train] clip = 1e999: too large for a real number");
    CHECKS("[train]\neps = 1e-999\n", "t.ini:2: [train] eps = 1e-999: too small for a real number, write 0");
    CHECKS("[model]\nlayers = 0\n", "t.ini:2: [model] layers = 0: out of range, write 1 to 4096");
    CHECKS("[model]\nlayers = 5k\n", "t.ini:2: [model] layers = 5k: out of range, write 1 to 4096");
    CHECKS("[run]\nseed = -1\n", "t.ini:2: [run] seed = -1: out of range, write 0 or more");
    CHECKS("[train]\nbeta1 = 1.5\n", "t.ini:2: [train] beta1 = 1.5: out of range, write 0 to 1");
    CHECKS("[model]\ntied = true\n", "t.ini:2: [model] tied = true: write yes or no");
    CHECKS("[train]\nschedule = cosin\n", "t.ini:2: [train] schedule = cosin: not one of constant, cosine, linear, "
                                          "step, did you mean `cosine`?");
    CHECKS("[run]\ndevice = abacus\n", "t.ini:2: [run] device = abacus: not one of auto, cpu, cuda");
    CHECKS("[run]\norder = cuda,, cpu\n", "t.ini:2: [run] order = cuda,, cpu: an item of the list is empty, separate "
                                          "items by single commas");
    CHECKS("[run]\ndir = ~/runs\n", "t.ini:2: [run] dir = ~/runs: ~ is not expanded, write the path in full");
    CHECKS("[plugins]\npath = /a, b\n", "t.ini:2: [plugins] path = /a, b: `b` is not absolute, plugins are never "
                                        "searched by relative paths");
    CHECKS("[memory]\ngate_bias = theta=0.1, alpha\n",
           "t.ini:2: [memory] gate_bias = theta=0.1, alpha: `alpha` is not name=number");
    CHECKS("[compare]\nseeds = few\n", "t.ini:2: [compare] seeds = few: `few` is not a seed, write how many seeds or a "
                                       "comma list of them");
    CHECKS("[compare]\nseeds = 1, 2k\n", "t.ini:2: [compare] seeds = 1, 2k: `2k` is not a seed, write how many seeds "
                                         "or a comma list of them");
    CHECKS("[memory]\ngate_bias = theta=0.1, alpha = 1e-2\n[compare]\nseeds = 1, 4,9\n[plugins]\npath = /a, /b\n",
           NULL);
}

static void value__numbers_do_not_depend_on_the_locale(void)
{
    static const char *const names[] = {"de_DE.UTF-8", "de_DE.utf8", "de_DE", "de_DE@euro"};
    const char *found = NULL;
    loci_text dump = {0};
    loci_conf *c;
    fresh();
    for (size_t i = 0; i < 4 && !found; i++)
        found = setlocale(LC_ALL, names[i]);
    if (!found && system("localedef -i de_DE -f UTF-8 ./de_DE.UTF-8 >/dev/null 2>&1") == 0) {
        setenv("LOCPATH", folder, 1);
        found = setlocale(LC_ALL, "de_DE.UTF-8");
    }
    unsetenv("LOCPATH");
    if (!found)
        CK_SKIP("no german locale");
    CU_ASSERT_EQUAL(localeconv()->decimal_point[0], ',');
    c = conf_of("[train]\nlr = 0.25\nclip = 1e-3\n");
    CU_ASSERT_EQUAL(loci_conf_real(c, -1, "train", "lr"), 0.25);
    CU_ASSERT_EQUAL(loci_conf_real(c, -1, "train", "clip"), 1e-3);
    CU_ASSERT_EQUAL(loci_conf_real(c, -1, "train", "beta2"), 0.95);
    CU_ASSERT(loci_conf_dump(&dump, c, false, NULL) == LOCI_OK && strstr(dump.at, "\nlr = 0.25\n"));
    setlocale(LC_ALL, "C");
    loci_text_free(&dump);
    loci_conf_free(c);
}

static loci_status gather(void *arg, const char *item, loci_error *err)
{
    loci_text_add(arg, "<%s>", item);
    return strcmp(item, "stop") == 0 ? loci_fail(err, LOCI_E_STOPPED, "stopped") : LOCI_OK;
}

static void value__lists_are_split_and_trimmed(void)
{
    loci_text t = {0};
    fresh();
    CK_OK(loci_conf_split(" a b,c ,\td", gather, &t, &ck_err));
    CK_OK(loci_conf_split("", gather, &t, &ck_err));
    CU_ASSERT(loci_conf_split("e, stop, f", gather, &t, &ck_err) == LOCI_E_STOPPED);
    STR_IS(t.at, "<a b><c><d><e><stop>");
    loci_text_free(&t);
}

/* ---- checking -------------------------------------------------------------------------------------------------- */

static void check__suggests_the_nearest_name(void)
{
    fresh();
    CHECKS("[train]\nstesp = 4\n", "t.ini:2: unknown key `stesp` in [train], did you mean `steps`?");
    CHECKS("[train]\nsteps_every = 4\n", "t.ini:2: unknown key `steps_every` in [train], did you mean `step_every`?");
    CHECKS("[compose]\nsegment = 4\n", "t.ini:2: unknown key `segment` in [compose], did you mean `segment` in "
                                       "[compose.mac]?");
    CHECKS("[compose.mag]\nsegmnt = 4\n", "t.ini:2: unknown key `segmnt` in [compose.mag], did you mean `segment` in "
                                          "[compose.mac]?");
    CHECKS("[memory]\nchunk = 4\n", "t.ini:2: unknown key `chunk` in [memory], did you mean `chunk` in "
                                    "[memory.titans]?");
    CHECKS("[train]\nfrobnicate = 4\n", "t.ini:2: unknown key `frobnicate` in [train], loci config --help-config=train "
                                        "lists all");
    CHECKS("[run]\nq = 4\n", "t.ini:2: unknown key `q` in [run], loci config --help-config=run lists all");
    CHECKS("[tain]\nsteps = 4\nlr = 1\n", "t.ini:1: unknown section [tain], did you mean [train]?");
    CHECKS("[titans]\nchunk = 4\n", "t.ini:1: unknown section [titans], did you mean [memory.titans]?");
    CHECKS("[memory.titan]\nchunk = 4\n", "t.ini:1: unknown section [memory.titan], did you mean [memory.titans]?");
    CHECKS("[memory.mac]\nsegment = 4\n", "t.ini:1: unknown section [memory.mac], did you mean [compose.mac]?");
    CHECKS("[quux]\n", "t.ini:1: unknown section [quux], loci config --help-config lists all");
    CHECKS("[arm.a.train]\nstesp = 4\n", "t.ini:2: unknown key `stesp` in [train], did you mean `steps`?");
}

static void check__names_both_lines_of_a_repeat(void)
{
    loci_conf *c = NULL;
    fresh();
    CHECKS("[run]\nseed = 1\nseed = 2\n", "t.ini:3: `seed` in [run] repeats line 2, keep one of them");
    CHECKS("[run]\nseed = 1\n[train]\n[run]\nname = 2\n", "t.ini:4: section [run] repeats line 1, join them");
    CHECKS("[layer.1.memory]\ndk = 1\ndk = 1\n[arm.a.layer.1.memory]\ndk = 2\n[layer.0-1.memory]\ndk = 3\n",
           "t.ini:3: `dk` in [layer.1.memory] repeats line 2, keep one of them");
    put("a.ini", "[run]\nseed = 1\n");
    CK_OK(loci_conf_new(&c, &ck_err)); /* another file, another reading and --set override instead */
    CK_OK(loci_conf_file(c, "a.ini", &ck_err));
    CK_OK(loci_conf_file(c, "a.ini", &ck_err));
    CK_OK(loci_conf_set(c, "run.seed=2", "--set", &ck_err));
    CK_OK(loci_conf_set(c, "run.seed=3", "--set", &ck_err));
    CK_OK(loci_conf_check(c, false, &ck_err));
    loci_conf_free(c);
}

static void check__reports_everything_at_once(void)
{
    fresh();
    CHECKS("[run]\nsed = 1\n[train]\nsteps = x\nsteps = 3\n[foo]\na = 1\nb = 2\n",
           "t.ini:2: unknown key `sed` in [run], did you mean `seed`? (and 3 more)");
    STR_IS(logged, "t.ini:2: unknown key `sed` in [run], did you mean `seed`?\n"
                   "t.ini:4: [train] steps = x: not a whole number\n"
                   "t.ini:5: `steps` in [train] repeats line 4, keep one of them\n"
                   "t.ini:6: unknown section [foo], loci config --help-config lists all\n");
}

static void check__lets_the_user_keep_x_keys(void)
{
    fresh();
    CHECKS("[run]\nx-note = anything ; at all\nx-note2 =\n", NULL);
}

static void check__warns_of_a_class_that_is_not_installed(void)
{
    fresh();
    CHECKS("[memory.org.example.hippo]\nunknown = 1\n", NULL);
    STR_IS(logged,
           "warning: t.ini:1: no class memory.org.example.hippo is known, section [memory.org.example.hippo] has "
           "no effect\n");
}

static void check__allow_unknown_turns_names_into_warnings_but_not_values(void)
{
    loci_conf *c;
    fresh();
    c = conf_of("[foo]\na = 1\n[run]\nsed = 1\n");
    CK_OK(loci_conf_check(c, true, &ck_err));
    STR_IS(logged, "warning: t.ini:1: unknown section [foo], loci config --help-config lists all\n"
                   "warning: t.ini:4: unknown key `sed` in [run], did you mean `seed`?\n");
    CK_OK(loci_conf_set(c, "run.seed=x", "--set", &ck_err));
    CU_ASSERT(loci_conf_check(c, true, &ck_err) == LOCI_E_CONFIG);
    STR_IS(ck_err.msg, "--set: [run] seed = x: not a whole number");
    loci_conf_free(c);
}

static void check__warns_of_layers_that_do_not_exist(void)
{
    loci_conf *c;
    fresh();
    c = conf_of("[model]\nlayers = 4\n[layer.2-4.memory]\ndk = 8\n[layer.3.mixer]\nbackend = mha\n");
    CK_OK(loci_conf_check(c, false, &ck_err));
    STR_IS(logged, "warning: t.ini:3: layer 4 does not exist, model.layers is 4 and layers count from 0\n");
    loci_conf_free(c);
}

static void schema__may_come_after_the_file(void)
{
    static const char text[] = "[memory.late]\nchunk = 4k\nrate = 2\n";
    loci_conf *c = NULL;
    fresh();
    CK_OK(loci_conf_new(&c, &ck_err));
    CK_OK(loci_conf_text(c, "t.ini", text, strlen(text), &ck_err));
    CU_ASSERT(!loci_conf_has(c, "memory.late", "chunk"));
    CK_OK(loci_conf_schema(c, "memory.late", titans_keys, 4, &ck_err));
    CK_OK(loci_conf_schema(c, "memory.late", titans_keys, 4, &ck_err)); /* again is harmless */
    CU_ASSERT_EQUAL(loci_conf_int(c, -1, "memory.late", "chunk"), 4096);
    CU_ASSERT(loci_conf_check(c, false, &ck_err) == LOCI_E_CONFIG);
    STR_IS(ck_err.msg, "t.ini:3: [memory.late] rate = 2: out of range, write 0 to 1");
    loci_error_clear(&ck_err);
    CU_ASSERT(loci_conf_schema(c, "memory.late", mac_keys, 1, &ck_err) == LOCI_E_PLUGIN);
    STR_IS(ck_err.msg, "section [memory.late] is described twice, differently");
    loci_conf_free(c);
}

static void schema__with_a_bad_default_is_refused(void)
{
    static const loci_key bad = {sizeof(loci_key), LOCI_KEY_INT, "n", "9", "N.", NULL, 1, 8};
    static const loci_key *const keys[] = {&bad}, *const twice[] = {&key_chunk, &key_chunk};
    loci_conf *c = NULL;
    fresh();
    CK_OK(loci_conf_new(&c, &ck_err));
    CU_ASSERT(loci_conf_schema(c, "memory.bad", keys, 1, &ck_err) == LOCI_E_PLUGIN);
    STR_IS(ck_err.msg, "section [memory.bad]: the default n = 9: out of range, write 1 to 8");
    loci_error_clear(&ck_err);
    CU_ASSERT(loci_conf_schema(c, "memory.bad", twice, 2, &ck_err) == LOCI_E_PLUGIN);
    STR_IS(ck_err.msg, "section [memory.bad]: key `chunk` is described twice");
    loci_conf_free(c);
}

#define TESTS(X) \
    X(reader__never_cuts_a_section_name) \
    X(reader__never_cuts_a_long_line) \
    X(reader__refuses_what_is_not_a_regular_file) \
    X(reader__refuses_bytes_that_are_not_text) \
    X(reader__takes_crlf_a_bom_and_no_last_newline) \
    X(reader__refuses_indented_lines) \
    X(reader__keeps_semicolons_hashes_and_quotes) \
    X(reader__refuses_lines_that_are_neither) \
    X(reader__reports_every_bad_line) \
    X(reader__keeps_the_good_lines_and_drops_what_follows_a_bad_header) \
    X(reader__gives_up_on_a_flood_of_problems) \
    X(reader__bounds_the_lines_of_a_config) \
    X(reader__leaves_inih_as_it_was) \
    X(include__is_relative_to_its_file_and_weaker_than_it) \
    X(include__reports_a_circle_with_its_chain) \
    X(include__is_nested_eight_deep_and_no_deeper) \
    X(include__is_limited_in_number) \
    X(include__that_fails_names_its_line_and_the_rest_is_read) \
    X(value__whole_numbers_have_binary_suffixes) \
    X(value__is_refused_in_these_words) \
    X(value__numbers_do_not_depend_on_the_locale) \
    X(value__lists_are_split_and_trimmed) \
    X(check__suggests_the_nearest_name) \
    X(check__names_both_lines_of_a_repeat) \
    X(check__reports_everything_at_once) \
    X(check__lets_the_user_keep_x_keys) \
    X(check__warns_of_a_class_that_is_not_installed) \
    X(check__allow_unknown_turns_names_into_warnings_but_not_values) \
    X(check__warns_of_layers_that_do_not_exist) \
    X(schema__may_come_after_the_file) \
    X(schema__with_a_bad_default_is_refused)
CK_MAIN("config", TESTS)
