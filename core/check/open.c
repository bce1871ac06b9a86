/* SPDX-License-Identifier: Apache-2.0
 *
 * core/check: a context in which the component under test is the one that is chosen.
 *
 *  (1) What the user did not set is small: width 32, two threads. A composition that was given no memory gets one.
 *  (2) Where the user did not say run.device: on the device that comes in the component's file, or else on the cpu. A
 *      device that cannot be used here is a skip, unless it was asked for.
 *  (3) Which promises hold is known only once the component and its children stand; so only a test that requires one
 *      makes them.
 */
#include "core/check/open.h"
#include "core/model/tools.h"
#include "core/plugin/look.h"

#include <string.h>

static loci_status set(loci_check *c, const char *section, const char *key, const char *value, loci_error *err)
{
    char *text = loci_format("%s.%s=%s", section, key, value);
    loci_status status =
        text ? loci_conf_set(c->conf, text, "check", err) : loci_fail(err, LOCI_E_NOMEM, "out of memory");

    loci_free(text);
    return status;
}

static loci_status set_unless(loci_check *c, const char *section, const char *key, const char *value, loci_error *err)
{
    return loci_conf_is_set(c->conf, -1, section, key) ? LOCI_OK : set(c, section, key, value, err);
}

/* (2): *own is the device that the file brings and the user did not ask for. */
static loci_status choose_device(loci_check *c, bool *own, loci_error *err)
{
    loci_error unused = LOCI_ERROR_INIT;
    const char *id = "cpu";
    loci_look look = {0};
    loci_status status = LOCI_OK;

    *own = false;
    if (!strcmp(c->kind, "device") || loci_conf_is_set(c->conf, -1, "run", "device"))
        return LOCI_OK;
    if (strcmp(c->path, "built-in") != 0)
        (void)loci_look_at(&look, c->path, LOCI_OWNERSHIP_OFF, &unused);
    for (uint32_t i = 0; i < look.note.n; i++)
        if (!strcmp(look.note.classes[i].kind, "device")) {
            id = look.note.classes[i].id;
            *own = true;
        }
    status = set(c, "run", "device", id, err);
    loci_look_free(&look);
    return status;
}

/* (1) */
static loci_status choose(loci_check *c, loci_error *err)
{
    loci_status status;

    LOCI_TRY(set_unless(c, "run", "threads", "2", err));
    LOCI_TRY(set_unless(c, "model", "dim", "32", err));
    if (strcmp(c->path, "built-in") != 0)
        LOCI_TRY(set(c, "plugin.checked", "file", c->path, err));
    if (c->kind && strcmp(c->kind, "device") != 0)
        LOCI_TRY(set(c, c->kind, "backend", c->id, err));
    if (c->kind && !strcmp(c->kind, "compose"))
        LOCI_TRY(set_unless(c, "memory", "backend", "titans", err));
out:
    return status;
}

void loci_check_shape(loci_shape *out, const loci_check *c)
{
    const int64_t dim = loci_conf_int(c->conf, -1, "model", "dim");
    const int64_t heads = dim % 4 ? 1 : 4;

    *out = (loci_shape){.struct_size = sizeof *out,
                        .dim = dim,
                        .heads = heads,
                        .k_heads = heads,
                        .v_heads = heads,
                        .dk = dim / heads,
                        .dv = dim / heads,
                        .device = c->cx->device};
    out->dtype = !strcmp(loci_conf_str(c->conf, -1, "run", "dtype"), "f64") ? loci_f64 : loci_f32;
    out->acc = out->dtype;
}

/* (3) */
static loci_status ask_promises(loci_check *c, uint64_t needed, loci_error *err)
{
    loci_weights weights = {0};
    loci_node *node = NULL;
    loci_shape shape;
    loci_status status;
    const char *name;
    uint64_t cap;

    loci_check_shape(&shape, c);
    loci_stage("create, to ask for its promises");
    status = loci_node_new(&node, c->cx, &weights, c->kind, 0, 1, c->kind, &shape, 0, err);
    if (status == LOCI_OK)
        c->caps = loci_node_caps(node);
    loci_node_free(node);
    loci_weights_free(&weights, c->cx);
    for (uint32_t i = 0; status == LOCI_OK && (name = loci_cap_name(i, &cap)); i++)
        if (cap & needed & ~c->caps)
            return loci_check_skip(c, "it does not promise %s with this config", name);
    return status;
}

/* A device that says it is not here is skipped by the tests that would open it. */
static loci_status skip_absent(loci_check *c, const loci_check_test *test)
{
    loci_fit fit = {.struct_size = sizeof fit};
    loci_shape shape = {.struct_size = sizeof shape};
    loci_config config = {.struct_size = sizeof config};

    if (strcmp(c->kind, "device") != 0 || !strncmp(test->id, "fit.", 4) || !strcmp(test->id, "class.text"))
        return LOCI_OK;
    if (c->cls->fit(&c->cx->host, &config, &shape, &fit) != LOCI_OK || fit.score > 0)
        return LOCI_OK;
    return loci_check_skip(c, "%.*s", (int)sizeof fit.reason, fit.reason);
}

loci_status loci_check_open(loci_check *c, const loci_check_run *run, const loci_check_test *test, bool *asked_wrongly,
                            loci_error *err)
{
    loci_status status = loci_conf_clone(&c->conf, run->conf, err);
    loci_error why = LOCI_ERROR_INIT;
    bool own;

    if (status != LOCI_OK || !c->kind)
        return status;
    c->plugin_path = run->plugin_path;
    LOCI_TRY(choose(c, err));
    LOCI_TRY(choose_device(c, &own, err));
    loci_stage("loading it");
    status = loci_context_new(&c->cx, c->conf, run->plugin_path, run->allow_unknown, &why);
    if (status == LOCI_E_PLUGIN && own) { /* was it the device alone? */
        LOCI_TRY(set(c, "run", "device", "cpu", err));
        if (loci_context_new(&c->cx, c->conf, run->plugin_path, run->allow_unknown, err) == LOCI_OK)
            return loci_check_skip(c, "%s", why.msg);
        loci_error_clear(err);
    }
    if (status != LOCI_OK)
        status = loci_fail(err, status, "%s", why.msg);
    *asked_wrongly = status == LOCI_E_CONFIG;
    LOCI_TRY(status);
    LOCI_TRY(loci_registry_find(c->cx->registry, &c->cls, c->kind, c->id, NULL, err));
    LOCI_TRY(skip_absent(c, test));
    if (test->caps)
        LOCI_TRY(ask_promises(c, test->caps, err));
out:
    return status;
}

void loci_check_close(loci_check *c)
{
    loci_context_free(c->cx);
    loci_conf_free(c->conf);
    c->cx = NULL;
    c->conf = NULL;
}

static void say(loci_check *c, const char *fmt, va_list args)
{
    (void)vsnprintf(c->reply->text, sizeof c->reply->text, fmt, args);
}

loci_status loci_check_skip(loci_check *c, const char *fmt, ...)
{
    va_list args;

    va_start(args, fmt);
    say(c, fmt, args);
    va_end(args);
    c->reply->skipped = true;
    return LOCI_OK;
}

void loci_check_note(loci_check *c, const char *fmt, ...)
{
    va_list args;

    va_start(args, fmt);
    say(c, fmt, args);
    va_end(args);
}
