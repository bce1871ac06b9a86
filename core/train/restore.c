/* SPDX-License-Identifier: Apache-2.0
 *
 * Finding and reading checkpoints. Nothing here runs code or trusts a size: tensors come through core/tensor, which has
 * checked them, and every name and shape is compared with the model's own.
 */
#include "core/train/restore.h"
#include "core/config/diff.h"
#include "core/tensor/file.h"
#include <dirent.h>
#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MOST_CONFIG_BYTES ((size_t)1 << 22)

/* ---- the folder of checkpoints ------------------------------------------------------------------------------------------ */

static bool is_step_name(const char *name)
{
    return strspn(name, "0123456789") == 10 && !name[10];
}

static int by_step_down(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

    return x < y ? 1 : x > y ? -1 : 0;
}

/* The steps saved below dir, newest first; *out is loci_free'd. */
loci_status loci_saved_steps(int64_t **out, size_t *n, const char *dir, loci_error *err)
{
    char *path = loci_format("%s/checkpoints", dir);
    DIR *d = path ? opendir(path) : NULL;
    struct dirent *e;
    size_t cap = 0;
    void *grown;
    loci_status status = LOCI_OK;

    *out = NULL;
    *n = 0;
    while (d && (e = readdir(d))) {
        if (!is_step_name(e->d_name))
            continue;
        if (*n == cap) {
            cap = cap ? 2 * cap : 16;
            grown = loci_realloc(*out, cap * sizeof **out);
            if (!grown) {
                status = loci_fail(err, LOCI_E_NOMEM, "out of memory while checkpoints are listed");
                break;
            }
            *out = grown;
        }
        (*out)[(*n)++] = strtoll(e->d_name, NULL, 10);
    }
    if (d)
        closedir(d);
    if (*n)
        qsort(*out, *n, sizeof **out, by_step_down);
    loci_free(path);
    return status;
}

loci_status loci_checkpoint_facts(loci_saved *out, const char *folder, loci_error *err)
{
    loci_status status = LOCI_OK;
    char *path = loci_format("%s/run.json", folder), *text = NULL;
    const char *train_hash = "", *valid_hash = "", *name;
    json_t *root = NULL, *loss = NULL, *valid = NULL, *accuracy = NULL;
    json_error_t je;
    json_int_t step = 0, tokens = 0;
    size_t n = 0;
    int format = 0;

    memset(out, 0, sizeof *out);
    snprintf(out->path, sizeof out->path, "%s", folder);
    LOCI_TRY(path ? loci_file_read(&text, &n, path, 1 << 20, err) : loci_fail(err, LOCI_E_NOMEM, "out of memory"));
    name = strrchr(folder, '/') ? strrchr(folder, '/') + 1 : folder;
    root = json_loadb(text, n, JSON_REJECT_DUPLICATES, &je);
    if (!root) {
        status = loci_fail(err, LOCI_E_CHECKPOINT, "%s:%d: not JSON: %s", path, je.line, je.text);
        goto out;
    }
    if (json_unpack_ex(root, &je, 0, "{s:i, s:I, s:I, s:F, s:o, s:o, s?o, s:{s:s, s:s}}", "format", &format, "step", &step,
                       "tokens", &tokens, "train_seconds", &out->train_seconds, "loss_nats", &loss, "valid_loss_nats", &valid,
                       "accuracy", &accuracy, "data",
                       "train_xxh64", &train_hash, "valid_xxh64", &valid_hash)) {
        status = loci_fail(err, LOCI_E_CHECKPOINT, "%s: %s", path, je.text);
        goto out;
    }
    if (is_step_name(name) && strtoll(name, NULL, 10) != step) {
        status = loci_fail(err, LOCI_E_CHECKPOINT, "%s says step %lld, and its folder says %s", path, (long long)step, name);
        goto out;
    }
    if (format != 1 || step < 0 || tokens < 0) {
        status = format != 1 ? loci_fail(err, LOCI_E_CHECKPOINT, "%s: format %d, and this version reads 1", path, format)
                             : loci_fail(err, LOCI_E_CHECKPOINT, "%s: a step or token count is negative", path);
        goto out;
    }
    out->step = step;
    out->tokens = tokens;
    out->loss = json_is_number(loss) ? json_number_value(loss) : NAN;
    out->valid_loss = json_is_number(valid) ? json_number_value(valid) : NAN;
    out->accuracy = json_is_number(accuracy) ? json_number_value(accuracy) : NAN;
    out->train_hash = strtoull(train_hash, NULL, 16);
    out->valid_hash = strtoull(valid_hash, NULL, 16);
out:
    json_decref(root);
    loci_free(text);
    loci_free(path);
    return status == LOCI_E_IO ? LOCI_E_CHECKPOINT : status;
}

/* Do all files of a checkpoint open? */
loci_status loci_checkpoint_whole(const char *folder, loci_error *err)
{
    static const char *const files[] = {"model.safetensors", "optimizer.safetensors", "state.safetensors"};
    loci_status status = LOCI_OK;
    loci_saved saved;

    LOCI_TRY(loci_checkpoint_facts(&saved, folder, err));
    for (int i = 0; i < 3; i++) {
        char *path = loci_format("%s/%s", folder, files[i]);
        status = path ? loci_tensors_check(path, err) : loci_fail(err, LOCI_E_NOMEM, "out of memory");
        loci_free(path);
        LOCI_TRY(status);
    }
out:
    return status;
}

loci_status loci_checkpoint_latest(char *path, size_t n, const char *dir, loci_error *err)
{
    int64_t *steps = NULL;
    size_t count = 0;
    loci_status status = loci_saved_steps(&steps, &count, dir, err);

    path[0] = '\0';
    for (size_t i = 0; status == LOCI_OK && i < count && !path[0]; i++) {
        loci_error why = LOCI_ERROR_INIT;
        snprintf(path, n, "%s/checkpoints/%010lld", dir, (long long)steps[i]);
        if (loci_checkpoint_whole(path, &why) != LOCI_OK) {
            loci_log(LOCI_LOG_WARN, "checkpoint", "%s cannot be used (%s); the one before it is tried", path, why.msg);
            path[0] = '\0';
        }
    }
    loci_free(steps);
    if (status == LOCI_OK && !path[0])
        return loci_fail(err, LOCI_E_CHECKPOINT, "%s holds no checkpoint", dir);
    return status;
}

loci_status loci_checkpoint_find(char *out, size_t n, const char *folder, loci_error *err)
{
    char *probe = loci_format("%s/model.safetensors", folder);
    bool direct = probe && access(probe, F_OK) == 0;

    loci_free(probe);
    if (access(folder, F_OK) != 0)
        return loci_fail(err, LOCI_E_CHECKPOINT, "%s: there is no such folder: give a checkpoint or a run", folder);
    if (!direct)
        return loci_checkpoint_latest(out, n, folder, err);
    if (strlen(folder) >= n)
        return loci_fail(err, LOCI_E_CHECKPOINT, "the path of a checkpoint has %zu bytes, and %zu is the most: %.80s...",
                         strlen(folder), n - 1, folder);
    memcpy(out, folder, strlen(folder) + 1);
    return LOCI_OK;
}

loci_status loci_checkpoint_config(loci_conf *c, const char *path, loci_error *err)
{
    loci_status status = LOCI_OK;
    char *text = NULL;
    size_t n = 0;
    loci_text kept = {0};

    LOCI_TRY(loci_file_read(&text, &n, path, MOST_CONFIG_BYTES, err));
    if (strlen(text) != n) {
        status = loci_fail(err, LOCI_E_CHECKPOINT, "%s: a NUL byte in a config", path);
        goto out;
    }
    LOCI_TRY(loci_conf_without_paths(&kept, text, err));
    status = loci_conf_text(c, path, kept.at ? kept.at : "", kept.len, err);
out:
    loci_text_free(&kept);
    loci_free(text);
    return status;
}

/* ---- reading ------------------------------------------------------------------------------------------------------------ */

static loci_status load_one(loci_context *cx, const loci_tensors *file, const char *path, const char *name,
                            const loci_tensor *to, loci_text *wrong, loci_error *err)
{
    const loci_named *e = loci_tensors_find(file, name);
    bool same = e && e->ndim == to->ndim && loci_dtype_is(e->dtype, to->dtype);

    for (int32_t i = 0; same && i < e->ndim; i++)
        same = e->shape[i] == to->shape[i];
    if (!same) {
        loci_text_add(wrong, "%s%s %s", wrong->len ? ", " : "", name, e ? "differs in shape or type" : "is missing");
        return LOCI_OK;
    }
    if (e->bytes && cx->device_class->up(cx->device_module, NULL, loci_ptr(to), e->data, e->bytes) != LOCI_OK)
        return loci_fail(err, LOCI_E_DEVICE, "%s: %s could not be copied to the device", path, name);
    return LOCI_OK;
}

static loci_status finish_load(const char *path, loci_text *wrong, loci_error *err)
{
    loci_status status = LOCI_OK;

    if (wrong->len)
        status = loci_fail(err, LOCI_E_CHECKPOINT, "%s does not match this model: %.300s: use the config it was made with",
                           path, wrong->at);
    loci_text_free(wrong);
    return status;
}

static loci_status load_weights(const char *folder, const char *file, const char *prefix, size_t offset, loci_model *m,
                                loci_error *err)
{
    loci_status status = LOCI_OK;
    char *path = folder ? loci_format("%s/%s", folder, file) : loci_strdup(file), *name = NULL;
    loci_tensors *t = NULL;
    loci_text wrong = {0};

    LOCI_TRY(path ? loci_tensors_open(&t, path, err) : loci_fail(err, LOCI_E_NOMEM, "out of memory"));
    for (uint32_t i = 0; i < m->weights.n; i++) {
        const loci_view *v = (const loci_view *)(const void *)((const char *)m->weights.at[i] + offset);
        loci_free(name);
        name = loci_format("%s%s", prefix, m->weights.at[i]->name);
        LOCI_TRY(name ? load_one(m->cx, t, path, name, &v->t, &wrong, err) : loci_fail(err, LOCI_E_NOMEM, "out of memory"));
    }
    for (uint32_t i = 0; i < loci_tensors_n(t) && !*prefix; i++)
        if (!loci_weights_find(&m->weights, loci_tensors_at(t, i)->name))
            loci_text_add(&wrong, "%s%s is not in the model", wrong.len ? ", " : "", loci_tensors_at(t, i)->name);
    LOCI_TRY(finish_load(path, &wrong, err));
out:
    loci_text_free(&wrong);
    loci_tensors_close(t);
    loci_free(name);
    loci_free(path);
    return status == LOCI_E_IO ? LOCI_E_CHECKPOINT : status;
}

struct state_load {
    loci_context *cx;
    const loci_tensors *file;
    const char *path;
    loci_text wrong;
};

static loci_status load_state(void *arg, const char *name, const loci_tensor *t, loci_error *err)
{
    struct state_load *l = arg;

    return load_one(l->cx, l->file, l->path, name, t, &l->wrong, err);
}

loci_status loci_checkpoint_weights(const char *file, loci_model *m, loci_error *err)
{
    return load_weights(NULL, file, "", offsetof(loci_weight, value), m, err);
}

loci_status loci_checkpoint_read(loci_saved *out, const char *folder, loci_model *m, loci_pass *pass, bool optimiser,
                                 loci_error *err)
{
    loci_status status = LOCI_OK;
    struct state_load l = {.cx = m->cx};
    loci_tensors *t = NULL;
    char *path = NULL;

    LOCI_TRY(loci_checkpoint_facts(out, folder, err));
    LOCI_TRY(load_weights(folder, "model.safetensors", "", offsetof(loci_weight, value), m, err));
    if (optimiser) {
        LOCI_TRY(load_weights(folder, "optimizer.safetensors", "m.", offsetof(loci_weight, m), m, err));
        LOCI_TRY(load_weights(folder, "optimizer.safetensors", "v.", offsetof(loci_weight, v), m, err));
    }
    if (pass) {
        path = loci_format("%s/state.safetensors", folder);
        LOCI_TRY(path ? loci_tensors_open(&t, path, err) : loci_fail(err, LOCI_E_NOMEM, "out of memory"));
        l.file = t;
        l.path = path;
        LOCI_TRY(loci_pass_each_state(pass, load_state, &l, err));
        LOCI_TRY(finish_load(path, &l.wrong, err));
    }
out:
    loci_text_free(&l.wrong);
    loci_tensors_close(t);
    loci_free(path);
    return status;
}
