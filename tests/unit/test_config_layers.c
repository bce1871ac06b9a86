/* SPDX-License-Identifier: Apache-2.0
 *
 * tests/unit/test_config_layers: who wins, what arms change, and that a dump means the same.
 */
#include "tests/unit/config_tools.h"

/* ---- precedence ------------------------------------------------------------------------------------------------ */

static void layers__default_file_environment_set(void)
{
    loci_conf *c = NULL;
    fresh();
    put("a.ini", "[run]\nseed = 2\nthreads = 2\nname = a\ndtype = f64\n");
    put("b.ini", "[run]\nseed = 3\nthreads = 3\nname = b\n");
    setenv("LOCI_SET", " run.seed=4 \t run.threads=4\nrun.name=c ", 1);
    CK_OK(loci_conf_new(&c, &ck_err));
    CU_ASSERT_EQUAL(loci_conf_int(c, -1, "run", "seed"), 1);
    STR_IS(loci_conf_origin(c, -1, "run", "seed"), "default");
    CU_ASSERT(!loci_conf_is_set(c, -1, "run", "seed"));
    CK_OK(loci_conf_set(c, "run.seed=5", "--set", &ck_err)); /* the order of the calls does not matter between kinds */
    CK_OK(loci_conf_env(c, &ck_err));
    CK_OK(loci_conf_file(c, "a.ini", &ck_err));
    CK_OK(loci_conf_file(c, "b.ini", &ck_err));
    CK_OK(loci_conf_check(c, false, &ck_err));
    CU_ASSERT_EQUAL(loci_conf_int(c, -1, "run", "seed"), 5);
    CU_ASSERT_EQUAL(loci_conf_int(c, -1, "run", "threads"), 4);
    STR_IS(loci_conf_str(c, -1, "run", "name"), "c");
    STR_IS(loci_conf_str(c, -1, "run", "dtype"), "f64");
    STR_IS(loci_conf_origin(c, -1, "run", "seed"), "--set");
    STR_IS(loci_conf_origin(c, -1, "run", "threads"), "LOCI_SET");
    STR_IS(loci_conf_origin(c, -1, "run", "dtype"), "a.ini:5");
    CU_ASSERT(loci_conf_is_set(c, -1, "run", "dtype"));
    CK_OK(loci_conf_set(c, "run.seed = 6 ", "--set", &ck_err)); /* the later of two, blanks trimmed */
    CU_ASSERT_EQUAL(loci_conf_int(c, -1, "run", "seed"), 6);
    loci_conf_free(c);
}

static void layers__set_is_refused_in_these_words(void)
{
    static const struct {
        const char *set, *want;
    } bad[] = {
        {"seed", "--set: seed: write section.key=value"},
        {"seed=1", "--set: seed=1: write section.key=value"},
        {".seed=1", "--set: .seed=1: write section.key=value"},
        {"run.=1", "--set: no key before '=', write key = value"},
        {"run.a b=1", "--set: key `a b`: keys have letters, digits, '_' and '-' only"},
        {"run.name=a\nb", "--set: control character 0x0A in column 11, a config is plain text"},
        {"arm.x.seed=1", NULL},
        {"arm.x=1", "--set: [arm] has no name, write [arm.NAME] or [arm.NAME.SECTION]"},
        {"layer.3.train.lr=1", "--set: section [layer.3.train]: layers differ in attention, mixer, memory and compose "
                               "only, not in [train]"},
    };
    loci_conf *c = NULL;
    fresh();
    CK_OK(loci_conf_new(&c, &ck_err));
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        loci_error err = LOCI_ERROR_INIT;
        loci_status status = loci_conf_set(c, bad[i].set, "--set", &err);
        if (!bad[i].want) {
            CU_ASSERT(status == LOCI_E_CONFIG && strstr(err.msg, "arm.x.SECTION.key=value"));
            continue;
        }
        CU_ASSERT(status == LOCI_E_CONFIG);
        STR_IS(err.msg, bad[i].want);
    }
    CK_OK(loci_conf_set(c, "compare.vary=train.lr=1,2", "--set", &ck_err)); /* the first '=' ends the name */
    STR_IS(loci_conf_str(c, -1, "compare", "vary"), "train.lr=1,2");
    loci_conf_free(c);
}

static void layers__the_narrower_range_wins_then_the_stronger_then_the_later(void)
{
    loci_conf *c;
    fresh();
    c = conf_of(
        "[model]\nlayers = 12\n[layer.3.memory]\nheads = 3\n[memory]\nheads = 1\n[layer.2-5.memory]\nheads = 2\n"
        "[layer.4-7.memory]\nheads = 7\ndk = 16\n[layer.0-11.memory]\nheads = 9\ndv = 2\n");
    CK_OK(loci_conf_check(c, false, &ck_err));
    CU_ASSERT_EQUAL(loci_conf_int(c, -1, "memory", "heads"), 1);
    CU_ASSERT_EQUAL(loci_conf_int(c, 0, "memory", "heads"), 9);
    CU_ASSERT_EQUAL(loci_conf_int(c, 2, "memory", "heads"), 2);
    CU_ASSERT_EQUAL(loci_conf_int(c, 3, "memory", "heads"), 3);
    CU_ASSERT_EQUAL(loci_conf_int(c, 4, "memory", "heads"), 7); /* as wide as 2-5, said later */
    CU_ASSERT_EQUAL(loci_conf_int(c, 12, "memory", "heads"), 1);
    CU_ASSERT_EQUAL(loci_conf_int(c, 6, "memory", "dk"), 16);
    CU_ASSERT_EQUAL(loci_conf_int(c, 6, "memory", "dv"), 2);
    STR_IS(loci_conf_origin(c, 3, "memory", "heads"), "t.ini:4");
    CK_OK(loci_conf_set(c, "layer.2-5.memory.heads=5", "--set", &ck_err));
    CK_OK(loci_conf_set(c, "memory.heads=6", "--set", &ck_err));
    CU_ASSERT_EQUAL(loci_conf_int(c, 4, "memory", "heads"), 5);  /* stronger, as wide    */
    CU_ASSERT_EQUAL(loci_conf_int(c, 3, "memory", "heads"), 3);  /* weaker, but narrower */
    CU_ASSERT_EQUAL(loci_conf_int(c, 11, "memory", "heads"), 9); /* the same             */
    CU_ASSERT_EQUAL(loci_conf_int(c, -1, "memory", "heads"), 6);
    loci_conf_free(c);
}

static void layers__sections_are_refused_in_these_words(void)
{
    fresh();
    READS("[layer.3.model]\n",
          "t.ini:1: section [layer.3.model]: layers differ in attention, mixer, memory and compose "
          "only, not in [model]");
    READS("[layer.3.arm.a.memory]\n", "t.ini:1: section [layer.3.arm.a.memory]: layers differ in attention, mixer, "
                                      "memory and compose only, not in [arm.a.memory]");
    READS("[layer.7-4.memory]\n", "t.ini:1: section [layer.7-4.memory]: layers run from the lower to the higher, 4-7");
    READS("[layer.x.memory]\n[layer.3]\n[layer]\n",
          "t.ini:1: section [layer.x.memory]: write layer.N.SECTION or layer.N-M.SECTION, layers 0 to 4095\n"
          "t.ini:2: section [layer.3]: write layer.N.SECTION or layer.N-M.SECTION, layers 0 to 4095\n"
          "t.ini:3: section [layer]: write layer.N.SECTION or layer.N-M.SECTION, layers 0 to 4095");
    READS("[layer.4096.memory]\n[layer.1-2-3.memory]\n[layer.-1.memory]\n",
          "t.ini:1: section [layer.4096.memory]: write layer.N.SECTION or layer.N-M.SECTION, layers 0 to 4095\n"
          "t.ini:2: section [layer.1-2-3.memory]: write layer.N.SECTION or layer.N-M.SECTION, layers 0 to 4095\n"
          "t.ini:3: section [layer.-1.memory]: write layer.N.SECTION or layer.N-M.SECTION, layers 0 to 4095");
    READS("[arm]\n[arm.a]\nx = 1\n[arm.a.arm.b]\n",
          "t.ini:1: [arm] has no name, write [arm.NAME] or [arm.NAME.SECTION]\n"
          "t.ini:3: key `x` in [arm.a], an arm's keys stand in [arm.a.SECTION]\n"
          "t.ini:4: section [arm.a.arm.b]: an arm cannot hold an arm");
}

/* ---- arms ------------------------------------------------------------------------------------------------------ */

static const char arms_text[] = "[memory]\nbackend = titans\n[memory.titans]\nchunk = 8\n[arm.frozen-4.memory.titans]\n"
                                "chunk = 4\nmode = frozen\n[arm.exact]\n[arm.deep.layer.0.memory]\ndk = 3\n"
                                "[layer.0-1.memory]\ndk = 5\n";

static void arms__are_listed_in_order_of_first_mention(void)
{
    loci_conf *c;
    fresh();
    c = conf_of(arms_text);
    CU_ASSERT_EQUAL(loci_conf_n_arms(c), 3);
    STR_IS(loci_conf_arm_name(c, 0), "frozen-4");
    STR_IS(loci_conf_arm_name(c, 1), "exact");
    STR_IS(loci_conf_arm_name(c, 2), "deep");
    CU_ASSERT_PTR_NULL(loci_conf_arm_name(c, 3));
    loci_conf_free(c);
}

static void arms__have_no_effect_until_chosen(void)
{
    loci_conf *c, *a = NULL;
    fresh();
    c = conf_of(arms_text);
    CU_ASSERT_EQUAL(loci_conf_int(c, -1, "memory.titans", "chunk"), 8);
    CK_OK(loci_conf_arm(&a, c, "frozen-4", &ck_err));
    CU_ASSERT_EQUAL(loci_conf_int(a, -1, "memory.titans", "chunk"), 4);
    STR_IS(loci_conf_origin(a, -1, "memory.titans", "chunk"), "t.ini:6");
    STR_IS(loci_conf_str(a, -1, "memory.titans", "mode"), "frozen");
    CU_ASSERT_EQUAL(loci_conf_n_arms(a), 0);
    CK_OK(loci_conf_check(a, false, &ck_err));
    loci_conf_free(a);
    CK_OK(loci_conf_arm(&a, c, "exact", &ck_err));
    CU_ASSERT_EQUAL(loci_conf_int(a, -1, "memory.titans", "chunk"), 8);
    loci_conf_free(a);
    CK_OK(loci_conf_arm(&a, c, "deep", &ck_err));
    CU_ASSERT_EQUAL(loci_conf_int(a, 0, "memory", "dk"), 3);
    CU_ASSERT_EQUAL(loci_conf_int(a, 1, "memory", "dk"), 5);
    loci_conf_free(a);
    CU_ASSERT(loci_conf_arm(&a, c, "excat", &ck_err) == LOCI_E_CONFIG);
    STR_IS(ck_err.msg, "no arm `excat` in the config, did you mean `exact`?");
    loci_conf_free(c);
}

static void arms__beat_what_was_set_before_and_yield_to_what_is_set_after(void)
{
    loci_conf *c, *a = NULL, *copy = NULL;
    fresh();
    c = conf_of(arms_text);
    CK_OK(loci_conf_set(c, "memory.titans.chunk=16", "--set", &ck_err));
    CK_OK(loci_conf_set(c, "memory.titans.rate=0.25", "--set", &ck_err));
    CK_OK(loci_conf_arm(&a, c, "frozen-4", &ck_err));
    CU_ASSERT_EQUAL(loci_conf_int(a, -1, "memory.titans", "chunk"), 4);
    CU_ASSERT_EQUAL(loci_conf_real(a, -1, "memory.titans", "rate"), 0.25);
    CK_OK(loci_conf_clone(&copy, a, &ck_err));
    CK_OK(loci_conf_set(copy, "memory.titans.chunk=32", "tune", &ck_err));
    CU_ASSERT_EQUAL(loci_conf_int(copy, -1, "memory.titans", "chunk"), 32);
    CU_ASSERT_EQUAL(loci_conf_int(a, -1, "memory.titans", "chunk"), 4); /* a clone is its own */
    loci_conf_free(a);
    loci_conf_free(copy);
    CK_OK(loci_conf_set(c, "arm.frozen-4.memory.titans.chunk=2", "--set", &ck_err));
    CK_OK(loci_conf_arm(&a, c, "frozen-4", &ck_err));
    CU_ASSERT_EQUAL(loci_conf_int(a, -1, "memory.titans", "chunk"), 2);
    loci_conf_free(a);
    loci_conf_free(c);
}

/* ---- asking ---------------------------------------------------------------------------------------------------- */

static void paths__are_relative_to_the_file_or_the_working_directory(void)
{
    loci_conf *c = NULL, *copy = NULL;
    char want[300], text[500];
    fresh();
    CU_ASSERT_FATAL(mkdir("etc", 0700) == 0);
    put("etc/a.ini",
        "[data]\ntrain = ./t.txt\nvalid = ../v.txt\n[run]\ndir = /abs/r\n[plugin.org.example.p]\nfile = p.so\n");
    CK_OK(loci_conf_new(&c, &ck_err));
    CK_OK(loci_conf_file(c, "./etc/a.ini", &ck_err));
    CK_OK(loci_conf_set(c, "train.init=w.st", "--set", &ck_err));
    CK_OK(loci_conf_check(c, false, &ck_err));
    snprintf(want, sizeof want, "%s/etc/t.txt", folder);
    STR_IS(loci_conf_str(c, -1, "data", "train"), want);
    snprintf(want, sizeof want, "%s/etc/../v.txt", folder);
    STR_IS(loci_conf_str(c, -1, "data", "valid"), want);
    STR_IS(loci_conf_str(c, -1, "run", "dir"), "/abs/r");
    snprintf(want, sizeof want, "%s/etc/p.so", folder);
    STR_IS(loci_conf_str(c, -1, "plugin.org.example.p", "file"), want);
    CU_ASSERT_FATAL(chdir("etc") == 0); /* where we go afterwards does not matter */
    CK_OK(loci_conf_clone(&copy, c, &ck_err));
    snprintf(want, sizeof want, "%s/w.st", folder);
    STR_IS(loci_conf_str(copy, -1, "train", "init"), want);
    loci_conf_free(copy);
    snprintf(text, sizeof text, "%s/etc/a.ini", folder);
    loci_conf_free(c);
    CK_OK(loci_conf_new(&c, &ck_err));
    CK_OK(loci_conf_file(c, text, &ck_err));
    snprintf(want, sizeof want, "%s/etc/t.txt", folder);
    STR_IS(loci_conf_str(c, -1, "data", "train"), want);
    loci_conf_free(c);
}

static void view__gives_a_class_its_keys_for_one_layer(void)
{
    loci_config at0, at1;
    loci_conf *c;
    const char *label;
    fresh();
    c = conf_of("[memory.titans]\nchunk = 2k\nlabel = base\n[layer.1.memory.titans]\nchunk = 7\nrate = 0.125\n");
    CK_OK(loci_conf_view(&at0, c, 0, "memory.titans", &ck_err));
    CK_OK(loci_conf_view(&at1, c, 1, "memory.titans", &ck_err));
    label = at0.get_str(at0.ctx, "label");
    CU_ASSERT_EQUAL(at0.get_int(at0.ctx, "chunk"), 2048);
    CU_ASSERT_EQUAL(at1.get_int(at1.ctx, "chunk"), 7);
    CU_ASSERT_EQUAL(at0.get_real(at0.ctx, "rate"), 0.5);
    CU_ASSERT_EQUAL(at1.get_real(at1.ctx, "rate"), 0.125);
    STR_IS(at1.get_str(at1.ctx, "mode"), "exact");
    CK_OK(loci_conf_set(c, "memory.titans.label=other", "--set", &ck_err));
    CK_OK(loci_conf_set(c, "memory.titans.chunk=9", "--set", &ck_err));
    STR_IS(label, "base"); /* what a component was given does not change under it */
    CU_ASSERT_EQUAL(at0.get_int(at0.ctx, "chunk"), 2048);
    CU_ASSERT_EQUAL(at0.get_int(at0.ctx, "chnk"), 0);
    STR_IS(at0.get_str(at0.ctx, "chunk"), "");
    STR_IS(logged, "the class of [memory.titans] asks for the key `chnk`, which it does not declare as such\n"
                   "the class of [memory.titans] asks for the key `chunk`, which it does not declare as such\n");
    CU_ASSERT(loci_conf_view(&at0, c, 0, "memory.none", &ck_err) == LOCI_E_INTERNAL);
    loci_conf_free(c);
}

static void note_section(void *arg, const char *section)
{
    loci_text_add(arg, "%s ", section);
}
static void add_section(void *arg, const char *section)
{
    CU_ASSERT(loci_conf_schema(arg, section, titans_keys, 4, NULL) == LOCI_OK);
}

static void schema__unknown_sections_are_found_wherever_they_are_named(void)
{
    loci_conf *c;
    loci_text t = {0};
    fresh();
    c = conf_of(
        "[memory.a]\n[layer.1.mixer.b]\n[arm.x.compose.c]\n[arm.x.layer.0-1.memory.a]\n[memory.titans]\n[foo.d]\n"
        "[plugin.e]\n[attention.org.example.f]\n");
    loci_conf_unknown_sections(c, note_section, &t);
    STR_IS(t.at, "memory.a mixer.b compose.c attention.org.example.f ");
    loci_text_free(&t);
    loci_conf_unknown_sections(c, add_section, c); /* adding while they are visited */
    loci_conf_unknown_sections(c, note_section, &t);
    CU_ASSERT_PTR_NULL(t.at);
    loci_conf_free(c);
}

static void note_value(void *arg, const char *section, const char *key, const char *value, const char *origin)
{
    loci_text_add(arg, "%s.%s=%s (%s)\n", section, key, value, origin);
}

static void each__visits_what_differs_from_the_defaults(void)
{
    loci_conf *c;
    loci_text t = {0};
    fresh();
    c = conf_of("[train]\nsteps = 1000\nlr = 0.0010\nbatch = 1k\n[run]\nx-note = hi\n[layer.1.memory]\ndk = 0\n"
                "[arm.a.train]\nsteps = 5\n[layer.0-3.memory]\nconv = 2\n");
    CK_OK(loci_conf_each(c, note_value, &t));
    STR_IS(t.at,
           "run.x-note=hi (t.ini:6)\ntrain.batch=1024 (t.ini:4)\nlayer.0.memory.conv=2 (t.ini:12)\n"
           "layer.1.memory.conv=2 (t.ini:12)\nlayer.1.memory.dk=0 (t.ini:8)\nlayer.2-3.memory.conv=2 (t.ini:12)\n");
    loci_text_free(&t);
    loci_conf_free(c);
}

/* ---- dump and help --------------------------------------------------------------------------------------------- */

typedef struct same {
    const loci_conf *a, *b;
    int different;
} same;

static void compare_key(void *arg, const char *section, const loci_key *key)
{
    same *s = arg;
    if (strcmp(section, "plugin.ID") == 0)
        return;
    for (int layer = -1; layer < 12; layer++) {
        const char *a = loci_conf_str(s->a, layer, section, key->name);
        const char *b = loci_conf_str(s->b, layer, section, key->name);
        if (strcmp(a, b) != 0 && s->different++ == 0)
            printf("\n    layer %d [%s] %s: %s became %s\n", layer, section, key->name, a, b);
    }
}

/* dump(c), loaded, gives every key of every layer of every arm the value it has in c, and dumps to the same text. */
static void round_trip(const loci_conf *c)
{
    loci_text first = {0}, second = {0};
    loci_conf *back = NULL, *a = NULL, *b = NULL;
    same s = {c, NULL, 0};
    CK_OK(loci_conf_dump(&first, c, true, &ck_err));
    CK_OK(loci_conf_new(&back, &ck_err));
    CK_OK(know(back, &ck_err));
    CK_OK(loci_conf_text(back, "dump.ini", first.at, first.len, &ck_err));
    CK_OK(loci_conf_check(back, true, &ck_err));
    s.b = back;
    loci_conf_each_key(c, compare_key, &s);
    CU_ASSERT_EQUAL(loci_conf_n_arms(back), loci_conf_n_arms(c));
    for (uint32_t i = 0; i < loci_conf_n_arms(c); i++) {
        STR_IS(loci_conf_arm_name(back, i), loci_conf_arm_name(c, i));
        CK_OK(loci_conf_arm(&a, c, loci_conf_arm_name(c, i), &ck_err));
        CK_OK(loci_conf_arm(&b, back, loci_conf_arm_name(c, i), &ck_err));
        s.a = a;
        s.b = b;
        loci_conf_each_key(a, compare_key, &s);
        loci_conf_free(a);
        loci_conf_free(b);
    }
    CK_TRUE(s.different == 0, "%d values differ after\n%s", s.different, first.at);
    first.len = 0;
    loci_text_add(&first, "%s", "");
    CK_OK(loci_conf_dump(&first, c, false, &ck_err));
    CK_OK(loci_conf_dump(&second, back, false, &ck_err));
    CK_TRUE(strcmp(first.at, second.at) == 0, "the dump of the dump differs:\n%s\n%s", first.at, second.at);
    loci_text_free(&first);
    loci_text_free(&second);
    loci_conf_free(back);
}

static void dump__of_the_defaults_loads_to_the_defaults(void)
{
    loci_conf *c;
    fresh();
    c = conf_of("");
    round_trip(c);
    loci_conf_free(c);
}

static void dump__keeps_odd_strings_and_numbers(void)
{
    loci_conf *c;
    fresh();
    c = conf_of(
        "[run]\nname = ; a # b = [c] \"d\" \\e\ndir = a b;c\nseed = 9223372036854775807\nmax_memory = 3G\n"
        "x-free = =\n[train]\nlr = 0.1000000000000000055511151231257827\neps = 5e-324\nclip = 1.7976931348623157e308\n"
        "weight_decay = 0.30000000000000004\n[compare]\nvary = [x]\ntune = #\n[memory.titans]\nlabel = "
        "\xE2\x82\xAC\t|\n"
        "[memory.stranger]\nkey = value ;\n[plugin.a]\nfile = a.so\n[layer.1.memory.titans]\nlabel = ;\n");
    round_trip(c);
    loci_conf_free(c);
}

static void dump__of_overlapping_layers_means_the_same(void)
{
    loci_conf *c;
    loci_text t = {0};
    const char *at;
    fresh();
    c = conf_of("[layer.0-5.memory]\ndk = 8\nheads = 2\n[layer.2-7.memory]\ndv = 4\nheads = 3\n");
    CK_OK(loci_conf_set(c, "layer.0-5.memory.heads=5", "--set", &ck_err));
    CK_OK(loci_conf_set(c, "layer.2-5.mixer.backend=b", "--set", &ck_err));
    CK_OK(loci_conf_set(c, "layer.1-4.mixer.backend=a", "--set", &ck_err)); /* later, so 2 is an edge of nothing */
    CK_OK(loci_conf_dump(&t, c, false, &ck_err));
    at = strstr(t.at, "\n[layer.");
    CU_ASSERT_FATAL(at != NULL);
    STR_IS(
        at,
        "\n[layer.0-1.memory]\ndk = 8\nheads = 5\n\n[layer.2-5.memory]\ndk = 8\ndv = 4\nheads = 5\n"
        "\n[layer.6-7.memory]\ndv = 4\nheads = 3\n\n[layer.1-4.mixer]\nbackend = a\n\n[layer.5.mixer]\nbackend = b\n");
    loci_text_free(&t);
    round_trip(c);
    loci_conf_free(c);
}

static void dump__of_any_arms_and_layers_means_the_same(void)
{
    static const char *const arms[] = {"", "", "arm.a.", "arm.b-2."};
    static const char *const keys[] = {"memory.dk", "memory.heads", "memory.titans.chunk", "mixer.backend"};
    char set[200];
    fresh();
    for (int round = 0; round < 300; round++) {
        loci_conf *c = conf_of("[arm.z]\n");
        int n = 1 + (int)(ck_bits() % 12);
        for (int i = 0; i < n; i++) {
            int lo = (int)(ck_bits() % 10), hi = lo + (int)(ck_bits() % 4);
            int at = snprintf(set, sizeof set, "%s", arms[ck_bits() % 4]);
            if (ck_bits() % 4)
                at += snprintf(set + at, sizeof set - (size_t)at, "layer.%d-%d.", lo, hi);
            snprintf(set + at, sizeof set - (size_t)at, "%s=%d", keys[ck_bits() % 4], 1 + (int)(ck_bits() % 99));
            CK_OK(loci_conf_set(c, set, "--set", &ck_err));
        }
        round_trip(c);
        loci_conf_free(c);
    }
}

static void dump__shows_classes_that_something_chooses(void)
{
    loci_conf *c;
    loci_text t = {0};
    fresh();
    c = conf_of("[layer.1.memory]\nbackend = titans\n");
    CK_OK(loci_conf_dump(&t, c, true, &ck_err));
    CU_ASSERT_PTR_NOT_NULL(strstr(t.at, "\n[memory.titans]\n# default\nchunk = 64\n"));
    CU_ASSERT_PTR_NULL(strstr(t.at, "[compose.mac]"));
    CU_ASSERT_PTR_NOT_NULL(strstr(t.at, "\n[layer.1.memory]\n# t.ini:2\nbackend = titans\n"));
    loci_text_free(&t);
    loci_conf_free(c);
}

static void help__is_a_config_of_the_defaults(void)
{
    loci_conf *c, *d = NULL;
    loci_text t = {0};
    same s = {0};
    fresh();
    c = conf_of("");
    CK_OK(loci_conf_help(&t, c, NULL, &ck_err));
    CK_OK(loci_conf_new(&d, &ck_err));
    CK_OK(know(d, &ck_err));
    CK_OK(loci_conf_text(d, "help.ini", t.at, t.len, &ck_err));
    CK_OK(loci_conf_check(d, false, &ck_err));
    s.a = c;
    s.b = d;
    loci_conf_each_key(c, compare_key, &s);
    CU_ASSERT_EQUAL(s.different, 0);
    t.len = 0;
    CK_OK(loci_conf_help(&t, c, "memory.titans", &ck_err));
    STR_IS(t.at,
           "[memory.titans]\n# How.\n# one of exact, frozen\nmode = exact\n# Tokens.\n# whole number, 1 to 65536\n"
           "chunk = 64\n# Rate.\n# number, 0 to 1\nrate = 0.5\n# Label.\n# text\nlabel =\n");
    CU_ASSERT(loci_conf_help(&t, c, "trian", &ck_err) == LOCI_E_CONFIG);
    STR_IS(ck_err.msg, "no section [trian] is known, did you mean [train]?");
    loci_text_free(&t);
    loci_conf_free(c);
    loci_conf_free(d);
}

/* ---- memory ---------------------------------------------------------------------------------------------------- */

static void ignore_value(void *arg, const char *section, const char *key, const char *value, const char *origin)
{
    (void)arg, (void)section, (void)key, (void)value, (void)origin;
}

/* All that a command does to a config. */
static loci_status whole_life(loci_error *err)
{
    loci_conf *c = NULL, *a = NULL, *copy = NULL;
    loci_text t = {0};
    loci_config view;
    loci_error first = LOCI_ERROR_INIT;
    loci_status status;
    LOCI_TRY(loci_conf_new(&c, err));
    LOCI_TRY(loci_conf_file(c, "a.ini", err));
    LOCI_TRY(loci_conf_env(c, err));
    LOCI_TRY(loci_conf_set(c, "layer.1.memory.dk=4", "--set", err));
    LOCI_TRY(know(c, err));
    LOCI_TRY(loci_conf_check(c, false, err));
    LOCI_TRY(loci_conf_view(&view, c, 1, "memory.titans", err));
    LOCI_TRY(loci_conf_dump(&t, c, true, err));
    LOCI_TRY(loci_conf_help(&t, c, NULL, err));
    LOCI_TRY(loci_conf_each(c, ignore_value, NULL));
    LOCI_TRY(loci_conf_clone(&copy, c, err));
    LOCI_TRY(loci_conf_arm(&a, copy, "x", err));
    status = loci_conf_text(c, "bad.ini", "?\n[arm]\n", 8, &first); /* reporting needs memory too */
    if (status == LOCI_E_CONFIG)
        status = strstr(first.msg, "bad.ini:2") ? LOCI_OK : LOCI_E_INTERNAL;
out:
    loci_text_free(&t);
    loci_conf_free(a);
    loci_conf_free(copy);
    loci_conf_free(c);
    return status;
}

static void memory__may_run_out_anywhere(void)
{
    size_t held;
    long n = 0;
    loci_status status;
    fresh();
    put("a.ini", "include = b.ini\n[memory.titans]\nchunk = 4k\nrate = 0.10\n[data]\ntrain = x\n[arm.x.run]\nseed = 5\n"
                 "[arm.y]\n[layer.0-1.memory]\ndk = 2\n");
    put("b.ini", "[run]\nseed = 1\nname = b\n");
    setenv("LOCI_SET", "run.threads=1", 1);
    held = loci_memory_held();
    do {
        loci_error err = LOCI_ERROR_INIT;
        logged[0] = '\0';
        loci_memory_fail_at(++n);
        status = whole_life(&err);
        loci_memory_fail_at(0);
        CK_TRUE(status == LOCI_OK || status == LOCI_E_NOMEM, "allocation %ld: status %d: %s", n, status, err.msg);
        CK_TRUE(loci_memory_held() == held, "allocation %ld: %zu bytes are left", n, loci_memory_held() - held);
    } while (status != LOCI_OK && n < 10000);
    CK_TRUE(n > 50 && n < 10000, "%ld allocations", n);
}

#define TESTS(X) \
    X(layers__default_file_environment_set) \
    X(layers__set_is_refused_in_these_words) \
    X(layers__the_narrower_range_wins_then_the_stronger_then_the_later) \
    X(layers__sections_are_refused_in_these_words) \
    X(arms__are_listed_in_order_of_first_mention) \
    X(arms__have_no_effect_until_chosen) \
    X(arms__beat_what_was_set_before_and_yield_to_what_is_set_after) \
    X(paths__are_relative_to_the_file_or_the_working_directory) \
    X(view__gives_a_class_its_keys_for_one_layer) \
    X(schema__unknown_sections_are_found_wherever_they_are_named) \
    X(each__visits_what_differs_from_the_defaults) \
    X(dump__of_the_defaults_loads_to_the_defaults) \
    X(dump__keeps_odd_strings_and_numbers) \
    X(dump__of_overlapping_layers_means_the_same) \
    X(dump__of_any_arms_and_layers_means_the_same) \
    X(dump__shows_classes_that_something_chooses) \
    X(help__is_a_config_of_the_defaults) \
    X(memory__may_run_out_anywhere)
CK_MAIN("config layers", TESTS)
