/* SPDX-License-Identifier: Apache-2.0
 *
 * core/tensor: JSON from files that nobody vouches for: see json.h, whose numbers the comments cite.
 *
 * The scan of (1) knows strings, escapes and brackets and nothing else. It is not a parser: text that is wrong in other
 * ways passes it and fails in jansson. It may only err towards refusing, and counts brackets that jansson would count.
 */
#include "core/tensor/json.h"

#include <math.h>
#include <string.h>

enum { DEPTH_CAP = 64, DENSE = 12 };

static loci_status scan(const char *text, size_t n, unsigned depth, size_t items, const char *what, loci_error *err)
{
    size_t commas[DEPTH_CAP + 1] = {0};
    bool array[DEPTH_CAP + 1] = {false}, quoted = false;
    size_t opened = 0;
    unsigned at = 0;
    depth = depth < DEPTH_CAP ? depth : DEPTH_CAP;
    for (size_t i = 0; i < n; i++) {
        char c = text[i];
        if (quoted) {
            if (c == '\\')
                i++;
            else if (c == '"')
                quoted = false;
        } else if (c == '"') {
            quoted = true;
        } else if (c == '{' || c == '[') {
            if (items && ++opened > n / DENSE + DENSE)
                return loci_fail(err, LOCI_E_CHECKPOINT, "%s: too many objects and arrays for %zu bytes", what, n);
            if (++at > depth)
                return loci_fail(err, LOCI_E_CHECKPOINT, "%s: nested deeper than %u at byte %zu", what, depth, i);
            commas[at] = 0;
            array[at] = c == '[';
        } else if ((c == '}' || c == ']') && at > 0) {
            at--;
        } else if (c == ',' && array[at] && items && ++commas[at] >= items) {
            return loci_fail(err, LOCI_E_CHECKPOINT, "%s: an array of more than %zu elements at byte %zu", what, items,
                             i);
        }
    }
    return LOCI_OK;
}

/* (4) */
static void make_plain(char *s)
{
    for (; *s; s++)
        if ((unsigned char)*s < 0x20 || (unsigned char)*s > 0x7e)
            *s = '?';
}

loci_status loci_json_read(json_t **out, const char *text, size_t n, unsigned depth, size_t items, const char *what,
                           loci_error *err)
{
    json_error_t e;
    loci_status status;
    *out = NULL;
    status = scan(text, n, depth, items, what, err);
    if (status != LOCI_OK)
        return status;
    memset(&e, 0, sizeof e);
    *out = json_loadb(text, n, JSON_REJECT_DUPLICATES, &e);
    if (!*out) {
        make_plain(e.text);
        if (json_error_code(&e) == json_error_out_of_memory || !e.text[0])
            return loci_fail(err, LOCI_E_NOMEM, "%s: no memory to parse %zu bytes of json", what, n);
        if (json_error_code(&e) == json_error_duplicate_key)
            return loci_fail(err, LOCI_E_CHECKPOINT, "%s: a key stands twice: %s", what, e.text);
        return loci_fail(err, LOCI_E_CHECKPOINT, "%s: not json: %s at byte %d", what, e.text, e.position);
    }
    if (!json_is_object(*out)) {
        json_decref(*out);
        *out = NULL;
        return loci_fail(err, LOCI_E_CHECKPOINT, "%s: a json object is wanted", what);
    }
    return LOCI_OK;
}

json_t *loci_json_real(double x)
{
    return isfinite(x) ? json_real(x) : json_null();
}
