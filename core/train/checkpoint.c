/* SPDX-License-Identifier: Apache-2.0
 *
 * Checkpoints: a folder that appears whole.
 *
 *   checkpoints/.STEP.part/   everything is written and synced here
 *   checkpoints/STEP/         one rename later; then it is read back and older ones are removed
 *
 * STEP has ten digits, so that names sort. model.safetensors depends on weights and names only. run.json holds the numbers
 * that a resumed run needs and the facts that explain a difference: plugins, versions, CPU.
 */
#include "core/train/train.h"
#include "core/config/diff.h"
#include "core/train/machine.h"
#include "core/train/restore.h"
#include "core/tensor/file.h"
#include <errno.h>
#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- writing ---------------------------------------------------------------------------------------------------------- */

/* Tensors of a device whose memory is the host's are written from where they lie, others from a copy: of the optimiser that
 * is twice the weights. */
struct list {
    loci_context *cx;
    loci_named *at;
    uint32_t n, cap;
};

static bool lies_here(const struct list *l)
{
    return l->cx->device.type == LOCI_CPU;
}

static loci_status list_add(struct list *l, char *name, const loci_tensor *t, loci_error *err)
{
    loci_status status = LOCI_OK;
    loci_named *e;
    void *host = NULL, *grown;

    if (l->n == l->cap) {
        uint32_t cap = l->cap ? 2 * l->cap : 64;
        grown = loci_realloc(l->at, cap * sizeof *l->at);
        if (grown)
            l->at = grown;
        if (!grown) {
            loci_free(name);
            return loci_fail(err, LOCI_E_NOMEM, "out of memory while a checkpoint is written");
        }
        l->cap = cap;
    }
    e = &l->at[l->n];
    memset(e, 0, sizeof *e);
    e->name = name;
    e->dtype = t->dtype;
    e->ndim = t->ndim;
    memcpy(e->shape, t->shape, (size_t)t->ndim * sizeof *e->shape);
    e->bytes = (uint64_t)loci_elements(t) * loci_dtype_bytes(t->dtype);
    host = lies_here(l) ? loci_ptr(t) : loci_alloc(e->bytes);
    if ((!host && e->bytes) || !name) {
        if (!lies_here(l))
            loci_free(host);
        loci_free(name);
        return loci_fail(err, LOCI_E_NOMEM, "out of memory while a checkpoint is written");
    }
    e->data = host;
    l->n++;
    if (!lies_here(l))
        LOCI_TRY(l->cx->device_class->down(l->cx->device_module, NULL, host, loci_ptr(t), e->bytes));
out:
    return status;
}

static void list_free(struct list *l)
{
    for (uint32_t i = 0; i < l->n; i++) {
        if (!lies_here(l))
            loci_free((void *)(uintptr_t)l->at[i].data);
        loci_free((void *)(uintptr_t)l->at[i].name);
    }
    loci_free(l->at);
    *l = (struct list){.cx = l->cx};
}

static loci_status add_state(void *arg, const char *name, const loci_tensor *t, loci_error *err)
{
    return list_add(arg, loci_strdup(name), t, err);
}

static loci_status write_list(struct list *l, const char *folder, const char *file, loci_error *err)
{
    char *path = loci_format("%s/%s", folder, file);
    const char *meta[] = {"format", "loci", NULL};
    loci_status status = path ? loci_tensors_write(path, l->at, l->n, meta, err)
                              : loci_fail(err, LOCI_E_NOMEM, "out of memory while a checkpoint is written");

    loci_free(path);
    list_free(l);
    return status;
}

static loci_status write_tensors(const char *folder, loci_model *m, loci_pass *pass, loci_error *err)
{
    loci_status status = LOCI_OK;
    struct list l = {.cx = m->cx};

    for (uint32_t i = 0; i < m->weights.n; i++)
        LOCI_TRY(list_add(&l, loci_strdup(m->weights.at[i]->name), &m->weights.at[i]->value.t, err));
    LOCI_TRY(write_list(&l, folder, "model.safetensors", err));
    for (uint32_t i = 0; i < m->weights.n && m->weights.memory[2]; i++) {
        LOCI_TRY(list_add(&l, loci_format("m.%s", m->weights.at[i]->name), &m->weights.at[i]->m.t, err));
        LOCI_TRY(list_add(&l, loci_format("v.%s", m->weights.at[i]->name), &m->weights.at[i]->v.t, err));
    }
    LOCI_TRY(write_list(&l, folder, "optimizer.safetensors", err));
    if (pass)
        LOCI_TRY(loci_pass_each_state(pass, add_state, &l, err));
    LOCI_TRY(write_list(&l, folder, "state.safetensors", err));
out:
    list_free(&l);
    return status;
}

static json_t *plugins_json(const loci_model *m)
{
    json_t *list = json_object();

    for (uint32_t i = 0; i < loci_registry_n(m->cx->registry); i++) {
        const loci_entry *e = loci_registry_entry(m->cx->registry, i);
        char id[300];
        if (!e->cls || e->shadowed_by)
            continue;
        snprintf(id, sizeof id, "%s/%s", e->kind, e->id);
        json_object_set_new(list, id, json_pack("{s:s, s:i, s:s}", "version", e->cls->version, "state_version",
                                                (int)e->cls->state_version, "build_id", e->build_id));
        for (uint32_t k = 0; k < m->cx->n_scores; k++)
            if (m->cx->scores[k].cls == e->cls)
                json_object_set_new(json_object_get(list, id), "score", json_integer(m->cx->scores[k].score));
    }
    return list;
}

static loci_status write_run_json(const char *folder, const loci_saved *s, const loci_model *m, const loci_conf *conf,
                                  loci_error *err)
{
    loci_status status = LOCI_OK;
    char train_hash[32], valid_hash[32], machine[512];
    char *path = loci_format("%s/run.json", folder), *text = NULL;
    json_t *root = NULL;

    snprintf(train_hash, sizeof train_hash, "%016llx", (unsigned long long)s->train_hash);
    snprintf(valid_hash, sizeof valid_hash, "%016llx", (unsigned long long)s->valid_hash);
    loci_machine_name(machine, sizeof machine);
    root = json_pack("{s:i, s:I, s:I, s:f, s:o, s:o, s:o, s:{s:s, s:s, s:I}, s:{s:I}, s:s, s:s, s:i, s:o}", "format", 1, "step",
                     (json_int_t)s->step, "tokens", (json_int_t)s->tokens, "train_seconds", s->train_seconds,
                     "loss_nats", isfinite(s->loss) ? json_real(s->loss) : json_null(), "valid_loss_nats",
                     isfinite(s->valid_loss) ? json_real(s->valid_loss) : json_null(), "accuracy",
                     isfinite(s->accuracy) ? json_real(s->accuracy) : json_null(), "data", "train_xxh64",
                     train_hash, "valid_xxh64", valid_hash, "position", (json_int_t)s->tokens, "rng", "seed",
                     (json_int_t)loci_conf_int(conf, -1, "run", "seed"), "version", m->cx->host.version,
                     "machine", machine, "abi_draft", LOCI_ABI_DRAFT, "plugins", plugins_json(m));
    text = root ? json_dumps(root, JSON_INDENT(2) | JSON_REAL_PRECISION(17)) : NULL;
    if (!text || !path)
        status = loci_fail(err, LOCI_E_NOMEM, "out of memory while a checkpoint is written");
    else
        status = loci_file_write(path, text, strlen(text), err);
    free(text);
    json_decref(root);
    loci_free(path);
    return status;
}

static loci_status write_config(const char *folder, const loci_conf *conf, loci_error *err)
{
    loci_status status = LOCI_OK;
    loci_text text = {0}, kept = {0};
    char *path = loci_format("%s/config.ini", folder);

    LOCI_TRY(loci_conf_dump(&text, conf, false, err));
    LOCI_TRY(loci_conf_without_paths(&kept, text.at, err));
    LOCI_TRY(path && !kept.failed ? loci_file_write(path, kept.at, kept.len, err)
                                  : loci_fail(err, LOCI_E_NOMEM, "out of memory while a checkpoint is written"));
out:
    loci_text_free(&kept);
    loci_text_free(&text);
    loci_free(path);
    return status;
}

loci_status loci_checkpoint_write(loci_saved *s, const char *dir, loci_model *m, loci_pass *pass, const loci_conf *conf,
                                  int64_t keep, loci_error *err)
{
    loci_status status = LOCI_OK;
    char *part = loci_format("%s/checkpoints/.%010lld.part", dir, (long long)s->step);
    char *all = loci_format("%s/checkpoints", dir), *old = NULL;
    int64_t *steps = NULL;
    size_t n = 0;

    snprintf(s->path, sizeof s->path, "%s/checkpoints/%010lld", dir, (long long)s->step);
    LOCI_TRY(part && all ? loci_folder_make(all, err) : loci_fail(err, LOCI_E_NOMEM, "out of memory"));
    if (access(part, F_OK) == 0)
        LOCI_TRY(loci_folder_remove(part, err));
    LOCI_TRY(loci_folder_make(part, err));
    LOCI_TRY(write_tensors(part, m, pass, err));
    LOCI_TRY(write_config(part, conf, err));
    LOCI_TRY(write_run_json(part, s, m, conf, err));
    LOCI_TRY(loci_folder_sync(part, err));
    if (access(s->path, F_OK) == 0)
        LOCI_TRY(loci_folder_remove(s->path, err));
    if (rename(part, s->path) != 0) {
        status = loci_fail(err, LOCI_E_IO, "%s: cannot rename the new checkpoint: %s", s->path, strerror(errno));
        goto out;
    }
    LOCI_TRY(loci_folder_sync(all, err));
    LOCI_TRY(loci_checkpoint_whole(s->path, err));
    LOCI_TRY(loci_saved_steps(&steps, &n, dir, err));
    for (size_t i = 0, kept = 0; i < n; i++) {
        /* Folders of later steps are what a broken run left behind: they are replaced when this run gets there. */
        if (steps[i] > s->step || kept++ < (size_t)(keep > 0 ? keep : 1))
            continue;
        loci_free(old);
        old = loci_format("%s/%010lld", all, (long long)steps[i]);
        LOCI_TRY(old ? loci_folder_remove(old, err) : loci_fail(err, LOCI_E_NOMEM, "out of memory"));
    }
out:
    if (status != LOCI_OK && part && access(part, F_OK) == 0)
        loci_folder_remove(part, NULL);
    loci_free(steps);
    loci_free(old);
    loci_free(part);
    loci_free(all);
    return status;
}
