/* SPDX-License-Identifier: Apache-2.0
 *
 * loci inspect: what is in a file of tensors, a checkpoint or a run.
 *
 *  (1) Without --gates nothing is run and no plugin is loaded: files are read, within their limits.
 *  (2) One document is made, and printed either as it is or as text.
 */
#include "cli/inspect.h"
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const char *tensor, *text;
static bool values, diff, gates;

enum { KEY_TENSOR = 2000, KEY_VALUES, KEY_DIFF, KEY_GATES, KEY_TEXT };

static const struct argp_option options[] = {
    {"tensor", KEY_TENSOR, "NAME", 0, "One tensor: figures and a histogram", 1},
    {"values", KEY_VALUES, 0, 0, "With --tensor: its values, as CSV, a line for each row of the last axis", 1},
    {"diff", KEY_DIFF, 0, 0, "Compare two; ends with 0 when they are equal and with 6 when they differ", 1},
    {"gates", KEY_GATES, 0, 0, "Run one batch through a checkpoint and tell of its gates and memories instead", 1},
    {"text", KEY_TEXT, "FILE", 0, "With --gates: the text to read instead of the checkpoint's own", 1},
    {0}};

static error_t parse(int key, char *arg, struct argp_state *state)
{
    (void)state;
    switch (key) {
    case KEY_TENSOR:
        tensor = arg;
        return 0;
    case KEY_VALUES:
        values = true;
        return 0;
    case KEY_DIFF:
        diff = true;
        return 0;
    case KEY_GATES:
        gates = true;
        return 0;
    case KEY_TEXT:
        text = arg;
        gates = true;
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

bool inspect_is_file(const char *path)
{
    struct stat st;

    return stat(path, &st) == 0 && !S_ISDIR(st.st_mode);
}

/* ---- folders ---------------------------------------------------------------------------------------------------- */

static loci_status put_file(json_t *doc, const char *key, const char *folder, const char *file, bool norms, bool needed,
                            loci_error *err)
{
    char *path = loci_format("%s/%s", folder, file);
    json_t *one = NULL;
    loci_status status = path ? LOCI_OK : loci_fail(err, LOCI_E_NOMEM, "out of memory");

    if (path && (needed || access(path, F_OK) == 0))
        status = inspect_file(&one, path, norms, err);
    if (one)
        json_object_set_new(doc, key, one);
    loci_free(path);
    return status;
}

static loci_status folder_json(json_t *doc, const char *word, const struct options *o, loci_error *err)
{
    loci_status status = LOCI_OK;
    char *log = loci_format("%s/log.jsonl", word), *compare = loci_format("%s/compare.json", word), folder[4096];
    bool run = log && access(log, F_OK) == 0;
    json_t *part = NULL;
    loci_error why = LOCI_ERROR_INIT;

    if (run) {
        LOCI_TRY(inspect_log(&part, word, err));
        json_object_set_new(doc, "log", part);
    }
    status = cli_checkpoint(folder, sizeof folder, word, &why);
    if (status != LOCI_OK && run && !gates) { /* a run that has saved nothing yet */
        json_object_set_new(doc, "no_checkpoint", json_string(why.msg));
        status = LOCI_OK;
        goto out;
    }
    if (status != LOCI_OK) {
        if (compare && access(compare, F_OK) == 0)
            loci_fail(err, status, "%s holds a comparison: name one of its runs, as %s/ARM/seed-N", word, word);
        loci_fail(err, status, "%s", why.msg);
        goto out;
    }
    LOCI_TRY(inspect_facts(&part, folder, err));
    json_object_set_new(doc, "checkpoint", part);
    if (gates) {
        LOCI_TRY(inspect_gates(&part, folder, text, o, err));
        json_object_set_new(doc, "gates", part);
    } else {
        LOCI_TRY(put_file(doc, "model", folder, "model.safetensors", false, true, err));
        LOCI_TRY(put_file(doc, "state", folder, "state.safetensors", true, false, err));
        LOCI_TRY(put_file(doc, "optimizer", folder, "optimizer.safetensors", false, false, err));
    }
out:
    loci_free(log);
    loci_free(compare);
    return status;
}

static void print_folder(const json_t *doc)
{
    const json_t *optimizer = json_object_get(doc, "optimizer"), *state = json_object_get(doc, "state");
    char b[32];

    if (json_object_get(doc, "log"))
        inspect_print_log(json_object_get(doc, "log"));
    if (json_object_get(doc, "no_checkpoint"))
        cli_wrap("", 0, cli_text(doc, "no_checkpoint"));
    if (json_object_get(doc, "checkpoint"))
        inspect_print_facts(json_object_get(doc, "checkpoint"));
    if (json_object_get(doc, "model"))
        inspect_print_file(json_object_get(doc, "model"), "\n");
    if (json_array_size(json_object_get(state, "tensors")))
        inspect_print_file(state, "\n");
    if (optimizer)
        printf("\n%s: moments of %zu tensors, %s%s\n", cli_text(optimizer, "path"),
               json_array_size(json_object_get(optimizer, "tensors")) / 2,
               cli_bytes(b, (uint64_t)json_integer_value(json_object_get(optimizer, "bytes"))),
               json_integer_value(json_object_get(optimizer, "not_finite")) ? ", SOME NOT FINITE" : "");
    if (json_object_get(doc, "gates"))
        inspect_print_gates(json_object_get(doc, "gates"));
}

static loci_status whole(const char *word, const struct options *o, loci_error *err)
{
    loci_status status = LOCI_OK;
    json_t *doc = NULL;
    bool file = inspect_is_file(word);

    if (file && gates)
        return loci_fail(err, LOCI_E_ARG, "%s is a file: --gates needs a checkpoint or a run, which know their config",
                         word);
    if (file) {
        LOCI_TRY(inspect_file(&doc, word, false, err));
    } else {
        doc = json_object();
        LOCI_TRY(folder_json(doc, word, o, err));
    }
    if (o->json) {
        json_incref(doc);
        status = cli_print_json(doc, err);
    } else if (file) {
        inspect_print_file(doc, "");
    } else {
        print_folder(doc);
    }
out:
    json_decref(doc);
    return status;
}

static loci_status run(const struct options *o, loci_error *err)
{
    loci_status status = LOCI_OK;
    char folder[4096], *paths[3] = {NULL, NULL, NULL};

    if (o->n_words != (diff ? 2 : 1))
        return loci_fail(err, LOCI_E_ARG, "inspect takes %s, and %zu were given",
                         diff ? "two files, checkpoints or runs with --diff"
                              : "one file, checkpoint or run (two with --diff)",
                         o->n_words);
    if (values && !tensor)
        return loci_fail(err, LOCI_E_ARG, "--values prints one tensor: name it with --tensor");
    if (diff && (tensor || gates))
        return loci_fail(err, LOCI_E_ARG, "--diff goes with neither --tensor nor --gates");
    if (diff)
        return inspect_diff(o->words[0], o->words[1], o->json, err);
    if (!tensor)
        return whole(o->words[0], o, err);
    if (inspect_is_file(o->words[0]))
        return inspect_tensor(tensor, o->words, 1, values, o->json, err);
    LOCI_TRY(cli_checkpoint(folder, sizeof folder, o->words[0], err));
    paths[0] = loci_format("%s/model.safetensors", folder);
    paths[1] = loci_format("%s/state.safetensors", folder);
    paths[2] = loci_format("%s/optimizer.safetensors", folder);
    status = paths[0] && paths[1] && paths[2]
                 ? inspect_tensor(tensor, (const char *const *)paths, 3, values, o->json, err)
                 : loci_fail(err, LOCI_E_NOMEM, "out of memory");
out:
    for (int i = 0; i < 3; i++)
        loci_free(paths[i]);
    return status;
}

const struct verb verb_inspect = {
    "inspect", "PATH...", "what is in a checkpoint, a run or a file of tensors",
    "Show a safetensors, npy or npz file, a checkpoint folder, or a run folder: shapes, sizes, norms, and what is not "
    "finite. Only --gates runs anything: it reads one batch of validation text and tells what the gates did and how the "
    "memories grew.\v"
    "  loci inspect runs/mac\n"
    "  loci inspect runs/mac --gates\n"
    "  loci inspect runs/mac --tensor=norm.weight --values\n"
    "  loci inspect --diff runs/a runs/b",
    options, parse, run};
