/* SPDX-License-Identifier: Apache-2.0
 *
 * Run folders; see folder.h.
 */
#include "core/train/folder.h"
#include "core/config/diff.h"
#include "core/report/log.h"
#include "core/tensor/file.h"
#include "core/train/machine.h"
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

/* Keys that cannot change what a step computes. */
static bool harmless(const char *section, const char *key)
{
    static const char *const keys[] = {"run.threads",      "run.dir",         "run.max_memory",  "run.name",
                                       "train.save_every", "train.log_every", "train.eval_every", "train.keep",
                                       "train.on_nan",     "plugins.path",    "plugins.ownership"};
    char full[128];

    snprintf(full, sizeof full, "%s.%s", section, key);
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
        if (!strcmp(full, keys[i]))
            return true;
    return !strcmp(section, "compare");
}

static void note_difference(void *arg, const char *section, const char *key, const char *was, const char *is)
{
    loci_text *t = arg;

    if (!harmless(section, key))
        loci_text_add(t, "%s%s.%s was %s and is %s", t->len ? ", " : "", section, key, was ? was : "unset",
                      is ? is : "unset");
}

static loci_status same_config(const char *path, const char *now, loci_error *err)
{
    loci_status status = LOCI_OK;
    char *was = NULL;
    size_t n = 0;
    loci_text differs = {0};

    LOCI_TRY(loci_file_read(&was, &n, path, 1 << 24, err));
    LOCI_TRY(loci_conf_diff(was, now, note_difference, &differs, err));
    if (differs.len)
        status = loci_fail(err, LOCI_E_CONFIG,
                           "%s: the run was made with another config: %.300s: resume with the same, or start a new run "
                           "with train.init",
                           path, differs.at);
out:
    loci_text_free(&differs);
    loci_free(was);
    return status;
}

static loci_status lock(struct loci_run_folder *f, const char *dir, loci_error *err)
{
    char *path = loci_format("%s/lock", dir);

    if (!path)
        return loci_fail(err, LOCI_E_NOMEM, "out of memory");
    f->lock = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0644);
    loci_free(path);
    if (f->lock < 0)
        return loci_fail(err, LOCI_E_IO, "%s/lock: %s", dir, strerror(errno));
    if (flock(f->lock, LOCK_EX | LOCK_NB) != 0)
        return loci_fail(err, LOCI_E_IO, "%s is in use by another loci: wait for it, or choose another run.dir", dir);
    return LOCI_OK;
}

loci_status loci_folder_open(struct loci_run_folder *f, const char *dir, const loci_conf *conf, bool resume,
                             loci_error *err)
{
    loci_status status = LOCI_OK;
    char *path = loci_format("%s/config.ini", dir);
    loci_text now = {0};

    LOCI_TRY(path ? loci_folder_make(dir, err) : loci_fail(err, LOCI_E_NOMEM, "out of memory"));
    LOCI_TRY(lock(f, dir, err));
    LOCI_TRY(loci_conf_dump(&now, conf, false, err));
    f->existed = access(path, F_OK) == 0;
    if (f->existed && !resume) {
        status = loci_fail(err, LOCI_E_CONFIG, "%s holds a run already: continue it with --resume, or choose another "
                                               "folder with --set run.dir=DIR",
                           dir);
        goto out;
    }
    if (f->existed)
        LOCI_TRY(same_config(path, now.at, err));
    else
        LOCI_TRY(loci_file_write(path, now.at, now.len, err));
out:
    loci_text_free(&now);
    loci_free(path);
    return status;
}

void loci_folder_close(struct loci_run_folder *f)
{
    if (f->lock >= 0)
        close(f->lock);
    f->lock = -1;
}

static double real_or_nan(const json_t *x)
{
    return json_is_number(x) ? json_number_value(x) : NAN;
}

static loci_status find_end(void *arg, const json_t *line, uint64_t number, loci_error *err)
{
    loci_result *out = arg;
    const char *event = json_string_value(json_object_get(line, "event"));

    (void)number;
    (void)err;
    if (!event || strcmp(event, "end"))
        return LOCI_OK;
    out->step = json_integer_value(json_object_get(line, "step"));
    out->tokens = json_integer_value(json_object_get(line, "tokens"));
    out->loss = json_number_value(json_object_get(line, "loss_nats"));
    out->valid_loss = real_or_nan(json_object_get(line, "valid_loss_nats"));
    out->accuracy = real_or_nan(json_object_get(line, "accuracy"));
    out->tokens_per_s = json_number_value(json_object_get(line, "tokens_per_s"));
    out->parameters = (uint64_t)json_integer_value(json_object_get(line, "parameters"));
    out->state_bytes = (uint64_t)json_integer_value(json_object_get(line, "state_bytes"));
    out->peak_bytes = (uint64_t)json_integer_value(json_object_get(line, "peak_bytes"));
    out->causal = !json_is_false(json_object_get(line, "causal"));
    out->reused = true;
    return LOCI_OK;
}

bool loci_folder_finished(loci_result *out, const char *dir, int64_t steps, const loci_data *d)
{
    char *log = loci_format("%s/log.jsonl", dir);
    loci_saved saved;
    loci_error none = LOCI_ERROR_INIT;
    bool done = log && access(log, F_OK) == 0 && loci_joblog_each(log, find_end, out, &none) == LOCI_OK && out->reused &&
                out->step == steps && loci_checkpoint_latest(out->checkpoint, sizeof out->checkpoint, dir, &none) == LOCI_OK &&
                loci_checkpoint_facts(&saved, out->checkpoint, &none) == LOCI_OK && saved.step == steps &&
                saved.train_hash == d->train_hash && saved.valid_hash == d->valid_hash;

    if (!done)
        memset(out, 0, sizeof *out);
    loci_free(log);
    return done;
}

loci_status loci_folder_same_machine(const char *checkpoint, loci_error *err)
{
    char *path = loci_format("%s/run.json", checkpoint), *text = NULL, here[512];
    json_t *root = NULL;
    const char *there;
    size_t n = 0;
    loci_status status = path ? loci_file_read(&text, &n, path, 1 << 20, err) : LOCI_E_NOMEM;

    if (status == LOCI_OK)
        root = json_loadb(text, n, JSON_REJECT_DUPLICATES, NULL);
    there = json_string_value(json_object_get(root, "machine"));
    loci_machine_name(here, sizeof here);
    if (there && strcmp(there, here))
        loci_log(LOCI_LOG_WARN, "train", "this is %s, and the checkpoint is from %s: the numbers may differ in the last "
                                         "bits from a run that was never stopped",
                 here, there);
    json_decref(root);
    loci_free(text);
    loci_free(path);
    return status;
}
