/* SPDX-License-Identifier: Apache-2.0
 *
 * core/check: tests of fit: a question, asked of every class of a kind before anything is made.
 */
#include "core/check/ledger.h"
#include "core/check/open.h"
#include "core/check/words.h"
#include "core/model/node_impl.h"

#include <string.h>

/* One answer, checked for its form. */
static loci_status ask(loci_fit *fit, const loci_check *c, const loci_ledger *l, const loci_config *config,
                       const loci_shape *shape, const char *what, loci_error *err)
{
    loci_shape lent = *shape;
    loci_status status;
    char of[100];

    *fit = (loci_fit){.struct_size = sizeof *fit};
    loci_stage("fit%s%s", *what ? ", " : "", what);
    status = c->cls->fit(&l->host, config, &lent, fit);
    if (status != LOCI_OK)
        return loci_fail(err, LOCI_E_PLUGIN,
                         "fit returned %d: it answers LOCI_OK and a score of 0 with the reason (%s)", (int)status,
                         what);
    if (fit->score < 0 || fit->score > 299)
        return loci_fail(err, LOCI_E_PLUGIN, "fit gives the score %d: 0 to 299 is expected", (int)fit->score);
    snprintf(of, sizeof of, "the reason of fit (score %d)", (int)fit->score);
    if (memcmp(&lent, shape, sizeof lent) != 0)
        return loci_fail(err, LOCI_E_PLUGIN, "fit changed the shape it was asked about");
    return loci_words_line(fit->reason, sizeof fit->reason, of, err);
}

loci_status loci_check_fit_pure(loci_check *c, loci_error *err)
{
    loci_ledger *l = loci_ledger_new(c->cx);
    loci_config config;
    loci_shape shape;
    loci_fit fit, again;
    loci_status status;

    if (!l)
        return loci_fail(err, LOCI_E_NOMEM, "out of memory");
    LOCI_TRY(loci_node_config(c->cx, 0, c->cls, &config, err));
    loci_check_shape(&shape, c);
    l->closed = true;
    LOCI_TRY(ask(&fit, c, l, &config, &shape, "", err));
    for (int i = 0; i < 3; i++) {
        LOCI_TRY(ask(&again, c, l, &config, &shape, "again", err));
        if (again.score != fit.score || strcmp(again.reason, fit.reason) != 0)
            LOCI_TRY(loci_fail(err, LOCI_E_PLUGIN, "fit said %d (%.150s) and then %d (%.150s) of the same shape",
                               (int)fit.score, fit.reason, (int)again.score, again.reason));
    }
    LOCI_TRY(loci_ledger_balanced(l, "fit", err));
    loci_check_note(c, "score %d: %s", (int)fit.score, fit.reason);
out:
    loci_ledger_free(l);
    return status;
}

loci_status loci_check_fit_declines(loci_check *c, loci_error *err)
{
    static const struct {
        const char *name;
        loci_dtype dtype;
        int32_t device;
    } odd[] = {{"dtype int32", {LOCI_INT, 32, 1}, 0},
               {"dtype uint8", {LOCI_UINT, 8, 1}, 0},
               {"dtype float of 8 bits", {LOCI_FLOAT, 8, 1}, 0},
               {"a dtype with code 200", {200, 32, 1}, 0},
               {"a device of type 77", {LOCI_FLOAT, 32, 1}, 77}};
    loci_ledger *l = loci_ledger_new(c->cx);
    loci_config config;
    loci_shape shape;
    loci_fit fit;
    loci_status status;

    if (!l)
        return loci_fail(err, LOCI_E_NOMEM, "out of memory");
    LOCI_TRY(loci_node_config(c->cx, 0, c->cls, &config, err));
    for (size_t i = 0; i < sizeof odd / sizeof *odd; i++) {
        loci_check_shape(&shape, c);
        shape.dtype = odd[i].dtype;
        if (odd[i].device)
            shape.device.type = odd[i].device;
        LOCI_TRY(ask(&fit, c, l, &config, &shape, odd[i].name, err));
        if (fit.score > 0)
            LOCI_TRY(loci_fail(err, LOCI_E_PLUGIN,
                               "fit takes %s with the score %d (%.200s): it must decline what it cannot know",
                               odd[i].name, (int)fit.score, fit.reason));
    }
out:
    loci_ledger_free(l);
    return status;
}
