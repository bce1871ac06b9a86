/* SPDX-License-Identifier: Apache-2.0
 *
 * loci apply: tensors of the file into the ports of the component.
 *
 *     NAME           an input, gate, weight (param.*) or state (state.*)
 *     d_NAME         the cotangent of an output; of the state after the run for d_state.*
 *
 *  (1) A number may be stored narrower than it is computed in, never wider: nothing is rounded on the way in.
 *  (2) Every tensor of the file must have a port, and every input that the op reads a tensor.
 */
#include "cli/apply.h"
#include "core/tensor/figures.h"
#include <math.h>
#include <string.h>

bool apply_uses(const struct apply *a, const loci_port *p)
{
    const bool kvg = !strcmp(p->name, "k") || !strcmp(p->name, "v") || p->role == LOCI_PORT_GATE;

    if (a->op == LOCI_OP_READ)
        return !kvg;
    if (a->op == LOCI_OP_WRITE)
        return p->role != LOCI_PORT_OUTPUT && strcmp(p->name, "q") != 0;
    return true;
}

void apply_note(json_t *list, const char *name, loci_dtype dtype, int32_t ndim, const int64_t *shape)
{
    json_t *s = json_array();

    for (int32_t i = 0; i < ndim; i++)
        json_array_append_new(s, json_integer((json_int_t)shape[i]));
    json_array_append_new(list,
                          json_pack("{s:s, s:s, s:o}", "name", name, "dtype", loci_dtype_name(dtype), "shape", s));
}

static loci_status check_dtype(const struct apply *a, const loci_named *t, const loci_port *p, loci_error *err)
{
    const bool is_float = t->dtype.code == LOCI_FLOAT || t->dtype.code == LOCI_BFLOAT;

    if (p->real ? is_float && (loci_dtype_is(t->dtype, p->dtype) || t->dtype.bits < p->dtype.bits) : !is_float)
        return LOCI_OK;
    if (p->real)
        return loci_fail(err, LOCI_E_CHECKPOINT,
                         "%s: `%s` is %s, and %s is computed with here (the type of the inputs says "
                         "so): store it as %s",
                         a->in, t->name, loci_dtype_name(t->dtype), loci_dtype_name(p->dtype),
                         loci_dtype_name(p->dtype));
    return loci_fail(err, LOCI_E_CHECKPOINT, "%s: `%s` is %s: whole numbers are wanted, store it as %s", a->in, t->name,
                     loci_dtype_name(t->dtype), loci_dtype_name(p->dtype));
}

/* Rows of a cache may be fewer than there is room for; of the component's own cache also more. */
static bool fits(const struct apply *a, const loci_named *t, const loci_port *p)
{
    const bool rows = p->cache, state = !strncmp(t->name, "state.", 6);

    if (t->ndim != p->ndim)
        return false;
    for (int32_t i = 0; i < p->ndim; i++)
        if (t->shape[i] != p->shape[i] &&
            !(rows && i == 1 && (t->shape[1] < p->shape[1] || loci_trial_rows(a->t, p, 0))))
            return false;
    return !rows || !state || !loci_trial_rows(a->t, p, 0) || t->shape[1] >= a->pos;
}

static loci_status check_shape(const struct apply *a, const loci_named *t, const loci_port *p, loci_error *err)
{
    loci_text got = {0}, want = {0};
    loci_status status = LOCI_OK;

    if (!fits(a, t, p)) {
        apply_shape(&got, t->ndim, t->shape);
        apply_shape(&want, p->ndim, p->shape);
        status = loci_fail(err, LOCI_E_CHECKPOINT,
                           "%s: `%s` is %s and must be %s for %s with these inputs and this config%s", a->in, t->name,
                           got.at ? got.at : "", want.at ? want.at : "", a->c.word,
                           p->cache ? "; of a cache at least the --pos rows that it holds" : "");
    }
    loci_text_free(&got);
    loci_text_free(&want);
    return status;
}

/* Whole numbers that the port's type cannot hold; gates outside of their range are said, not refused. */
static loci_status check_values(struct apply *a, const loci_named *t, const loci_port *p, const double *to,
                                loci_error *err)
{
    const double least = p->dtype.code == LOCI_UINT ? 0
                         : p->dtype.bits == 32      ? INT32_MIN
                                                    : -0x1p53,
                 most = p->dtype.code == LOCI_UINT ? 1
                        : p->dtype.bits == 32      ? INT32_MAX
                                                   : 0x1p53;
    const uint64_t n = loci_named_elements(t);
    loci_text warning = {0};

    for (uint64_t i = 0; !p->real && i < n; i++)
        if (!(loci_named_value(t, i) >= least && loci_named_value(t, i) <= most))
            return loci_fail(err, LOCI_E_CHECKPOINT, "%s: `%s` holds %.17g: from %.10g to %.10g is wanted", a->in,
                             t->name, loci_named_value(t, i), least, most);
    for (uint64_t i = 0; p->role == LOCI_PORT_GATE && to == p->value && i < n && !warning.len; i++)
        if (!(to[i] >= p->lo && to[i] < p->hi))
            loci_text_add(&warning, "`%s` holds %.10g, outside of [%g, %g): the component promises nothing there",
                          t->name, to[i], p->lo, p->hi);
    if (warning.at) {
        json_array_append_new(a->warnings, json_string(warning.at));
        loci_log(LOCI_LOG_WARN, "apply", "%s: %s", a->in, warning.at);
    }
    loci_text_free(&warning);
    return LOCI_OK;
}

static loci_status fill(struct apply *a, const loci_named *t, loci_port *p, double *to, loci_error *err)
{
    loci_status status = LOCI_OK;
    const uint64_t n = loci_named_elements(t);
    uint64_t row = 1;

    LOCI_TRY(check_shape(a, t, p, err));
    LOCI_TRY(check_dtype(a, t, p, err));
    for (int32_t i = 2; i < p->ndim; i++)
        row *= (uint64_t)p->shape[i];
    for (uint64_t i = 0; i < n; i++) {
        uint64_t at = i;
        if (p->cache && t->shape[1] != p->shape[1]) { /* row for row */
            const uint64_t r = i / row % (uint64_t)t->shape[1];
            if (r >= (uint64_t)p->shape[1])
                continue;
            at = (i / row / (uint64_t)t->shape[1] * (uint64_t)p->shape[1] + r) * row + i % row;
        }
        to[at] = loci_named_value(t, i);
    }
    LOCI_TRY(check_values(a, t, p, to, err));
    if (to == p->value)
        p->given = true;
    apply_note(a->read, t->name, t->dtype, t->ndim, t->shape);
out:
    return status;
}

/* Where a tensor of the file belongs; NULL: nowhere. */
static double *place(const struct apply *a, const char *name, loci_port **port)
{
    loci_port *p = loci_trial_find(a->t, name);

    *port = p;
    if (p && p->role != LOCI_PORT_OUTPUT)
        return p->value;
    *port = NULL;
    if (strncmp(name, "d_", 2))
        return NULL;
    p = loci_trial_find(a->t, name + 2);
    if (!p || !p->real || (p->role != LOCI_PORT_OUTPUT && p->role != LOCI_PORT_STATE))
        return NULL;
    *port = p;
    return p->role == LOCI_PORT_OUTPUT ? p->grad : p->end_grad;
}

static loci_status unknown(const struct apply *a, const char *name, loci_error *err)
{
    char nearest[600] = "", candidate[600];
    unsigned best = 1 + (unsigned)strlen(name) / 2;
    loci_text all = {0};
    loci_status status;

    for (uint32_t i = 0; i < loci_trial_n_ports(a->t); i++) {
        const loci_port *p = loci_trial_port(a->t, i);
        for (int d = 0; d < 2; d++) {
            loci_port *there;
            snprintf(candidate, sizeof candidate, "%s%.500s", d ? "d_" : "", p->name);
            if (!place(a, candidate, &there))
                continue;
            loci_text_add(&all, "%s%s", all.len ? " " : "", candidate);
            if (loci_distance(name, candidate, best) < best) {
                best = loci_distance(name, candidate, best);
                snprintf(nearest, sizeof nearest, "%.500s", candidate);
            }
        }
    }
    if (nearest[0])
        status = loci_fail(err, LOCI_E_CHECKPOINT, "%s: %s takes no `%s`: did you mean `%s`?", a->in, a->c.word, name,
                           nearest);
    else
        status = loci_fail(err, LOCI_E_CHECKPOINT, "%s: %s takes no `%s`; it takes %s", a->in, a->c.word, name,
                           all.at ? all.at : "");
    loci_text_free(&all);
    return status;
}

static const char *axes_of(const loci_port *p)
{
    return p->role == LOCI_PORT_GATE ? (p->ndim == 4 ? "B T H width" : "B T H")
           : p->ndim == 3            ? "B T D"
           : !strcmp(p->name, "v")   ? "B T H e"
                                     : "B T H d";
}

loci_status apply_read(struct apply *a, loci_error *err)
{
    loci_status status = LOCI_OK;

    for (uint32_t i = 0; i < loci_tensors_n(a->file); i++) {
        const loci_named *t = loci_tensors_at(a->file, i);
        loci_port *p;
        double *to = place(a, t->name, &p);
        LOCI_TRY(to ? fill(a, t, p, to, err) : unknown(a, t->name, err));
    }
    for (uint32_t i = 0; i < loci_trial_n_ports(a->t); i++) {
        const loci_port *p = loci_trial_port(a->t, i);
        if ((p->role == LOCI_PORT_INPUT || p->role == LOCI_PORT_GATE) && !p->given && apply_uses(a, p) &&
            strcmp(p->name, "positions")) {
            status = loci_fail(err, LOCI_E_CHECKPOINT, "%s: there is no `%s` [%s], which %s needs", a->in, p->name,
                               axes_of(p), a->c.word);
            goto out;
        }
    }
out:
    return status;
}
