/* SPDX-License-Identifier: Apache-2.0
 *
 * The table kind/id -> file: who wins, what is shadowed, what an unknown name is answered, where is searched.
 */
#include "core/plugin/note.h"
#include "tests/bad/bad.h"

/* good.so under another id of the same length: every "momentum" in the file is exchanged. */
static const char *renamed(const bad_folder *f, const char *name, const char *id)
{
    size_t n;
    unsigned char *bytes = bad_bytes("good", &n);
    const char *path;
    for (size_t i = 0; i + 8 < n; i++)
        if (!memcmp(bytes + i, "momentum", 8))
            memcpy(bytes + i, id, 8);
    path = bad_write(f, name, bytes, n);
    free(bytes);
    return path;
}

static loci_registry *open_path(const char *folders, loci_error *err)
{
    loci_registry *r = NULL;
    if (loci_registry_new(&r, LOCI_OWNERSHIP_OFF, err) == LOCI_OK)
        loci_registry_path(r, folders, true, err);
    CK_TRUE(err->code == LOCI_OK, "%s", err->msg);
    return r;
}

static void registry__finds_by_note_and_not_by_file_name(void)
{
    loci_error ck_err = LOCI_ERROR_INIT;
    bad_folder f = bad_open();
    const loci_class *c;
    loci_registry *r;
    renamed(&f, "zzz.so", "org.ex-1");
    bad_copy(&f, "good", "aaa.so");
    bad_write(&f, "README", "not an object", 13);
    bad_write(&f, ".hidden.so", "not an object", 13);
    r = open_path(f.at, &ck_err);
    CU_ASSERT_EQUAL(loci_registry_n(r), 2);
    CU_ASSERT_STRING_EQUAL(loci_registry_entry(r, 0)->id, "momentum");
    CU_ASSERT_STRING_EQUAL(loci_registry_entry(r, 1)->id, "org.ex-1");
    CU_ASSERT_PTR_NULL(loci_registry_entry(r, 2));
    CU_ASSERT_PTR_NULL(loci_registry_entry(r, 1)->cls); /* scanning runs nothing */
    CK_OK(loci_registry_find(r, &c, "memory", "org.ex-1", NULL, &ck_err));
    CU_ASSERT_STRING_EQUAL(c->id, "org.ex-1");
    CU_ASSERT_PTR_NOT_NULL(loci_registry_entry(r, 1)->cls);
    CU_ASSERT_PTR_NULL(loci_registry_entry(r, 0)->cls); /* only what was asked for is loaded */
    loci_registry_free(r);
    bad_close(&f);
}

static void registry__earlier_folder_wins_and_says_what_it_shadows(void)
{
    loci_error ck_err = LOCI_ERROR_INIT;
    bad_folder a = bad_open(), b = bad_open();
    char both[160];
    const loci_class *c;
    loci_registry *r;
    bad_copy(&a, "good", "p.so");
    bad_copy(&b, "two_majors", "p.so"); /* the same class from another build */
    snprintf(both, sizeof both, "::%s//:%s", b.at, a.at);
    r = open_path(both, &ck_err);
    CU_ASSERT_EQUAL(loci_registry_n(r), 2);
    CU_ASSERT_STRING_EQUAL(loci_registry_entry(r, 0)->path, bad_path(&b, "p.so"));
    CU_ASSERT_PTR_NULL(loci_registry_entry(r, 0)->shadowed_by);
    CU_ASSERT_STRING_EQUAL(loci_registry_entry(r, 1)->shadowed_by, bad_path(&b, "p.so"));
    bad_listen();
    CK_OK(loci_registry_find(r, &c, "memory", "momentum", NULL, &ck_err));
    CK_OK(loci_registry_find(r, &c, "memory", "momentum", NULL, &ck_err));
    CU_ASSERT_PTR_EQUAL(c, loci_registry_entry(r, 0)->cls);
    CU_ASSERT_PTR_NULL(loci_registry_entry(r, 1)->cls);
    CU_ASSERT_EQUAL(bad_heard[0], '0' + LOCI_LOG_WARN);
    CU_ASSERT_PTR_EQUAL(strchr(bad_heard, '\n'), bad_heard + strlen(bad_heard) - 1); /* said once */
    has(bad_heard, bad_path(&a, "p.so"));
    has(bad_heard, "which shadows");
    loci_registry_free(r);
    bad_close(&a);
    bad_close(&b);
}

static void registry__a_copy_of_the_same_build_is_no_warning(void)
{
    loci_error ck_err = LOCI_ERROR_INIT;
    bad_folder a = bad_open(), b = bad_open();
    const loci_class *c;
    loci_registry *r;
    bad_copy(&a, "good", "p.so");
    bad_copy(&b, "good", "p.so");
    r = open_path(a.at, &ck_err);
    CK_OK(loci_registry_path(r, b.at, true, &ck_err));
    bad_listen();
    CK_OK(loci_registry_find(r, &c, "memory", "momentum", NULL, &ck_err));
    CU_ASSERT_EQUAL(bad_heard[0], '0' + LOCI_LOG_INFO);
    has(bad_heard, "the same build");
    loci_registry_free(r);
    bad_close(&a);
    bad_close(&b);
}

static void registry__a_broken_winner_is_no_reason_to_fall_back(void)
{
    loci_error ck_err = LOCI_ERROR_INIT, err = LOCI_ERROR_INIT;
    bad_folder a = bad_open(), b = bad_open();
    const loci_class *c;
    loci_registry *r;
    bad_copy(&a, "newer_note", "p.so");
    bad_copy(&b, "good", "p.so");
    r = open_path(a.at, &ck_err);
    CK_OK(loci_registry_path(r, b.at, true, &ck_err));
    CU_ASSERT_EQUAL(loci_registry_find(r, &c, "memory", "momentum", "etc/mac.ini:4: memory.backend", &err),
                    LOCI_E_PLUGIN);
    CU_ASSERT_PTR_NULL(c);
    has(err.msg, "etc/mac.ini:4: memory.backend: ");
    has(err.msg, bad_path(&a, "p.so: built for plugin abi 1.draft.999"));
    CU_ASSERT_STRING_EQUAL(loci_registry_entry(r, 1)->shadowed_by, bad_path(&a, "p.so"));
    loci_registry_free(r);
    bad_close(&a);
    bad_close(&b);
}

static void registry__refuses_a_class_that_one_folder_holds_twice(void)
{
    loci_error ck_err = LOCI_ERROR_INIT, err = LOCI_ERROR_INIT;
    bad_folder f = bad_open();
    const loci_class *c;
    loci_registry *r;
    bad_copy(&f, "good", "a.so");
    bad_copy(&f, "good", "b.so");
    renamed(&f, "c.so", "harmless");
    r = open_path(f.at, &ck_err);
    CU_ASSERT_EQUAL(loci_registry_find(r, &c, "memory", "momentum", NULL, &err), LOCI_E_PLUGIN);
    has(err.msg, bad_path(&f, "a.so"));
    has(err.msg, bad_path(&f, "b.so"));
    has(err.msg, "both hold memory/momentum: remove one");
    CU_ASSERT_PTR_NOT_NULL(loci_registry_entry(r, 1)->broken);
    CU_ASSERT_PTR_NOT_NULL(loci_registry_entry(r, 2)->broken);
    CK_OK(loci_registry_find(r, &c, "memory", "harmless", NULL, &ck_err)); /* nobody else is hurt */
    loci_registry_free(r);
    bad_close(&f);
}

static void registry__counts_one_file_once(void)
{
    loci_error ck_err = LOCI_ERROR_INIT;
    bad_folder f = bad_open();
    char twice[160];
    loci_registry *r;
    bad_copy(&f, "good", "a.so");
    CU_ASSERT_EQUAL(symlink("a.so", bad_path(&f, "b.so")), 0);
    CU_ASSERT_EQUAL(link(bad_path(&f, "a.so"), bad_path(&f, "c.so")), 0);
    snprintf(twice, sizeof twice, "%s:%s/.", f.at, f.at);
    r = open_path(twice, &ck_err);
    CU_ASSERT_EQUAL(loci_registry_n(r), 1);
    CU_ASSERT_STRING_EQUAL(loci_registry_entry(r, 0)->path, bad_path(&f, "a.so"));
    loci_registry_free(r);
    bad_close(&f);
}

static void registry__a_broken_file_hurts_only_who_asks_for_it(void)
{
    loci_error ck_err = LOCI_ERROR_INIT, err = LOCI_ERROR_INIT;
    bad_folder f = bad_open();
    const loci_class *c;
    loci_registry *r;
    bad_write(&f, "a.so", "", 0);
    bad_copy(&f, "good", "b.so");
    r = open_path(f.at, &ck_err);
    CU_ASSERT_EQUAL(loci_registry_n(r), 2);
    CU_ASSERT_STRING_EQUAL(loci_registry_entry(r, 0)->id, "");
    has(loci_registry_entry(r, 0)->broken, "is empty");
    CK_OK(loci_registry_find(r, &c, "memory", "momentum", NULL, &ck_err));
    CU_ASSERT_EQUAL(loci_registry_find(r, &c, "memory", "lost", NULL, &err), LOCI_E_PLUGIN);
    has(err.msg, "1 file there cannot be used");
    has(err.msg, bad_path(&f, "a.so"));
    loci_registry_free(r);
    bad_close(&f);
}

static void registry__a_failed_load_is_remembered(void)
{
    loci_error ck_err = LOCI_ERROR_INIT;
    bad_folder f = bad_open();
    loci_registry *r;
    bad_copy(&f, "wrong_magic", "a.so");
    r = open_path(f.at, &ck_err);
    CU_ASSERT_PTR_NULL(loci_registry_entry(r, 0)->broken); /* not to be seen from outside */
    for (int i = 0; i < 2; i++) {
        loci_error err = LOCI_ERROR_INIT;
        const loci_class *c;
        CU_ASSERT_EQUAL(loci_registry_find(r, &c, "memory", "momentum", NULL, &err), LOCI_E_PLUGIN);
        has(err.msg, "LOCI_MAGIC");
        has(loci_registry_entry(r, 0)->broken, "LOCI_MAGIC");
    }
    loci_registry_free(r);
    bad_close(&f);
}

static void registry__notices_a_file_rebuilt_since_the_scan(void)
{
    loci_error ck_err = LOCI_ERROR_INIT, err = LOCI_ERROR_INIT;
    bad_folder f = bad_open();
    const loci_class *c;
    loci_registry *r;
    bad_copy(&f, "good", "a.so");
    r = open_path(f.at, &ck_err);
    renamed(&f, "new", "elsewise");
    CU_ASSERT_EQUAL(rename(bad_path(&f, "new"), bad_path(&f, "a.so")), 0);
    CU_ASSERT_EQUAL(loci_registry_find(r, &c, "memory", "momentum", NULL, &err), LOCI_E_PLUGIN);
    has(err.msg, "no longer holds memory/momentum");
    loci_registry_free(r);
    bad_close(&f);
}

static void registry__answers_an_unknown_id_with_the_nearest(void)
{
    loci_error ck_err = LOCI_ERROR_INIT;
    bad_folder f = bad_open();
    const loci_class *c;
    loci_registry *r;
    loci_error near = LOCI_ERROR_INIT, far = LOCI_ERROR_INIT, kind = LOCI_ERROR_INIT, other = LOCI_ERROR_INIT;
    bad_copy(&f, "good", "a.so");
    bad_copy(&f, "good", "twice.so"); /* named once all the same */
    r = open_path(f.at, &ck_err);
    CU_ASSERT_EQUAL(loci_registry_find(r, &c, "memory", "momentun", "x.ini:2: memory.backend", &near), LOCI_E_PLUGIN);
    has(near.msg, "x.ini:2: memory.backend: no memory is called 'momentun'; nearest: momentum;");
    has(near.msg, "--plugin-path");
    has(near.msg, f.at);
    CU_ASSERT_EQUAL(loci_registry_find(r, &c, "memory", "somewhere", NULL, &far), LOCI_E_PLUGIN);
    has(far.msg, "there are: momentum;");
    CU_ASSERT_EQUAL(loci_registry_find(r, &c, "mixer", "momentum", NULL, &other), LOCI_E_PLUGIN);
    has(other.msg, "there is memory/momentum");
    CU_ASSERT_EQUAL(loci_registry_find(r, &c, "memories", "momentum", NULL, &kind), LOCI_E_PLUGIN);
    has(kind.msg, "the kinds are attention, compose, device, memory, mixer");
    loci_registry_free(r);
    bad_close(&f);
}

static void registry__searches_absolute_folders_only(void)
{
    loci_error ck_err = LOCI_ERROR_INIT, relative = LOCI_ERROR_INIT, missing = LOCI_ERROR_INIT;
    loci_registry *r;
    CK_OK(loci_registry_new(&r, LOCI_OWNERSHIP_OFF, &ck_err));
    CU_ASSERT_EQUAL(loci_registry_path(r, "/nonexistent:plugins", false, &relative), LOCI_E_PLUGIN);
    has(relative.msg, "the plugin folder 'plugins' is relative");
    CU_ASSERT_EQUAL(loci_registry_path(r, "/nonexistent", true, &missing), LOCI_E_PLUGIN);
    has(missing.msg, "/nonexistent cannot be searched: No such file");
    CK_OK(loci_registry_path(r, "/nonexistent", false, &ck_err));
    CK_OK(loci_registry_path(r, "", true, &ck_err));
    CK_OK(loci_registry_path(r, NULL, true, &ck_err));
    CU_ASSERT_EQUAL(loci_registry_n(r), 0);
    loci_registry_free(r);
}

static void registry__a_named_file_comes_before_every_folder(void)
{
    loci_error ck_err = LOCI_ERROR_INIT;
    bad_folder a = bad_open(), b = bad_open();
    const loci_class *c;
    loci_registry *r;
    bad_copy(&a, "good", "p.so");
    bad_copy(&b, "good", "q.so");
    r = open_path(a.at, &ck_err);
    CK_OK(loci_registry_path(r, b.at, true, &ck_err));
    CK_OK(loci_registry_load_file(r, bad_path(&b, "q.so"), &ck_err));
    CK_OK(loci_registry_load_file(r, bad_path(&b, "q.so"), &ck_err));
    CU_ASSERT_EQUAL(loci_registry_n(r), 2);
    CK_OK(loci_registry_find(r, &c, "memory", "momentum", NULL, &ck_err));
    CU_ASSERT_STRING_EQUAL(loci_registry_entry(r, 0)->path, bad_path(&b, "q.so"));
    CU_ASSERT_PTR_EQUAL(loci_registry_entry(r, 0)->cls, c);
    loci_registry_free(r);
    bad_close(&a);
    bad_close(&b);
}

/* ---- names and paths --------------------------------------------------------------------------------------------- */

static void note__is_read_line_by_line(void)
{
    loci_note n;
    loci_error ck_err = LOCI_ERROR_INIT;
    static const struct {
        const char *text, *part;
    } wrong[] = {{"class=memory/x\n", "has no line abi=1.draft.2"},
                 {"abi=1.draft.2\n", "names no class"},
                 {"abi=1.draft.2\nclass=memory/x\nclass=memory/x\n", "class=memory/x twice"},
                 {"abi=1.draft.2\nclass=spoon/x\n", "kind one of attention"},
                 {"abi=1.draft.2\nclass=memory\n", "a class is kind/id"},
                 {"abi=1.draft.2\nclass=memory/X\n", "an id is a-z"},
                 {"abi=1.draft.2\nclass=memory/\n", "an id is a-z"},
                 {"abi=1.draft.22\nclass=memory/x\n", "abi 1.draft.22, this host has 1.draft.2"},
                 {"abi=2.0\nclass=memory/x\n", "abi 2.0"},
                 {"abi=1.draft.2\nnonsense\nclass=memory/x\n", "the line 'nonsense'"}};
    CK_OK(loci_note_parse(&n, "abi=1.draft.2\nlater=unknown\nclass=memory/x\nclass=mixer/x", "/p", &ck_err));
    CU_ASSERT_EQUAL(n.n, 2);
    CU_ASSERT(loci_note_has(&n, "mixer", "x") && !loci_note_has(&n, "device", "x"));
    loci_note_free(&n);
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        loci_error err = LOCI_ERROR_INIT;
        CU_ASSERT_EQUAL(loci_note_parse(&n, wrong[i].text, "/p", &err), LOCI_E_PLUGIN);
        has(err.msg, wrong[i].part);
        loci_note_free(&n);
    }
}

static void note__ids_are_words_joined_by_dots(void)
{
    char longest[LOCI_MAX_ID + 1];
    memset(longest, 'a', sizeof longest);
    longest[LOCI_MAX_ID] = 0;
    CU_ASSERT(loci_id_ok("titans") && loci_id_ok("a-b_9") && loci_id_ok("org.example.ttt"));
    CU_ASSERT(!loci_id_ok("") && !loci_id_ok(".a") && !loci_id_ok("a.") && !loci_id_ok("a..b"));
    CU_ASSERT(!loci_id_ok("A") && !loci_id_ok("a/b") && !loci_id_ok("a b") && !loci_id_ok(longest));
    CU_ASSERT(loci_id_ok(longest + 1));
    CU_ASSERT_STRING_EQUAL(loci_kind_short("loci.memory/1"), "memory");
    CU_ASSERT_STRING_EQUAL(loci_kind_long("compose"), "loci.compose/1");
    CU_ASSERT(!loci_kind_short("loci.memory/2") && !loci_kind_long("spoon") && !loci_kind_long(NULL));
}

static void paths__the_build_tree_counts_only_with_its_marker(void)
{
    char exe[PATH_MAX], plugins[PATH_MAX + 64];
    char *without, *with, *slash;
    ssize_t n = readlink("/proc/self/exe", exe, sizeof exe - 1);
    CU_ASSERT_FATAL(n > 0);
    exe[n] = 0;
    slash = strrchr(exe, '/');
    *slash = 0;
    if (strrchr(exe, '/') && !strcmp(strrchr(exe, '/'), "/.libs"))
        *strrchr(exe, '/') = 0;
    snprintf(plugins, sizeof plugins, "%s/plugins/.all", exe);
    if (access(plugins, F_OK) == 0)
        CK_SKIP("%s exists", plugins);
    if (access(exe, W_OK))
        CK_SKIP("%s cannot be written", exe);
    without = loci_plugin_default_path();
    CU_ASSERT_PTR_NULL(strstr(without, plugins));
    snprintf(plugins, sizeof plugins, "%s/plugins", exe);
    mkdir(plugins, 0755);
    snprintf(plugins, sizeof plugins, "%s/plugins/.all", exe);
    mkdir(plugins, 0755);
    with = loci_plugin_default_path();
    CU_ASSERT_STRING_EQUAL(with, without); /* the folder alone is not enough */
    loci_free(with);
    snprintf(plugins, sizeof plugins, "%s/plugins/.all/.loci-build-tree", exe);
    fclose(fopen(plugins, "w"));
    with = loci_plugin_default_path();
    remove(plugins);
    *strrchr(plugins, '/') = 0;
    remove(plugins);
    CK_TRUE(!strncmp(with, plugins, strlen(plugins)), "%s does not begin with %s", with, plugins);
    CU_ASSERT_PTR_NOT_NULL(strstr(with, without)); /* what configure said comes behind */
    *strrchr(plugins, '/') = 0;
    rmdir(plugins);
    loci_free(with);
    loci_free(without);
}

static void paths__the_environment_is_read_when_it_says_something(void)
{
    setenv("LOCI_PLUGIN_PATH", "/a:/b", 1);
    CU_ASSERT_STRING_EQUAL(loci_plugin_env_path(), "/a:/b");
    setenv("LOCI_PLUGIN_PATH", "", 1);
    CU_ASSERT_PTR_NULL(loci_plugin_env_path());
    unsetenv("LOCI_PLUGIN_PATH");
    CU_ASSERT_PTR_NULL(loci_plugin_env_path());
}

#define TESTS(X) \
    X(registry__finds_by_note_and_not_by_file_name) \
    X(registry__earlier_folder_wins_and_says_what_it_shadows) \
    X(registry__a_copy_of_the_same_build_is_no_warning) \
    X(registry__a_broken_winner_is_no_reason_to_fall_back) \
    X(registry__refuses_a_class_that_one_folder_holds_twice) \
    X(registry__counts_one_file_once) \
    X(registry__a_broken_file_hurts_only_who_asks_for_it) \
    X(registry__a_failed_load_is_remembered) \
    X(registry__notices_a_file_rebuilt_since_the_scan) \
    X(registry__answers_an_unknown_id_with_the_nearest) \
    X(registry__searches_absolute_folders_only) \
    X(registry__a_named_file_comes_before_every_folder) \
    X(note__is_read_line_by_line) \
    X(note__ids_are_words_joined_by_dots) \
    X(paths__the_build_tree_counts_only_with_its_marker) \
    X(paths__the_environment_is_read_when_it_says_something)
CK_MAIN("registry", TESTS)
