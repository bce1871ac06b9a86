/* SPDX-License-Identifier: Apache-2.0
 *
 * core/check: see words.h.
 *
 *  (1) Lower case is asked of the first word only, and only where its second letter is lower case too: names (SiLU, K,
 *      T = 5, MHA) begin as they are written.
 *  (2) An unknown code is read as LOCI_E_INTERNAL, so a positive one is as wrong as it looks.
 */
#include "core/check/words.h"

#include <ctype.h>
#include <string.h>

loci_status loci_words_line(const char *text, size_t room, const char *what, loci_error *err)
{
    const size_t n = text ? strnlen(text, room) : 0;

    if (!n)
        return loci_fail(err, LOCI_E_PLUGIN, "%s is empty", what);
    if (n == room)
        return loci_fail(err, LOCI_E_PLUGIN, "%s has no end within its %zu bytes", what, room);
    for (size_t i = 0; i < n; i++)
        if (iscntrl((unsigned char)text[i]))
            return loci_fail(err, LOCI_E_PLUGIN, "%s is more than one line: `%.*s`", what, (int)i, text);
    if (isspace((unsigned char)text[0]) || isspace((unsigned char)text[n - 1]))
        return loci_fail(err, LOCI_E_PLUGIN, "%s begins or ends with a space: `%.200s`", what, text);
    return LOCI_OK;
}

loci_status loci_words_check(const loci_error *said, loci_status status, const char *what, loci_error *err)
{
    const char *m = said->msg;
    size_t n;
    char of[200];

    if (status > 0)
        return loci_fail(err, LOCI_E_PLUGIN, "%s returned %d: a status is 0 or a negative LOCI_E_* (2)", what,
                         (int)status);
    if (!m[0])
        return loci_fail(err, LOCI_E_PLUGIN, "%s failed with status %d and no message: fill the loci_error", what,
                         (int)status);
    snprintf(of, sizeof of, "%.150s failed, and its message", what);
    if (said->code != status)
        return loci_fail(err, LOCI_E_PLUGIN, "%s returned %d and left %d in the loci_error: `%.200s`", what,
                         (int)status, (int)said->code, m);
    if (loci_words_line(m, sizeof said->msg, of, err) != LOCI_OK)
        return LOCI_E_PLUGIN;
    n = strlen(m);
    if (m[n - 1] == '.' && (n < 3 || strncmp(m + n - 3, "...", 3) != 0))
        return loci_fail(err, LOCI_E_PLUGIN, "%s ends with a full stop: `%.200s`", of, m);
    if (isupper((unsigned char)m[0]) && islower((unsigned char)m[1])) { /* (1) */
        size_t word = 1;
        while (islower((unsigned char)m[word]))
            word++;
        if (!m[word] || strchr(" ,:;", m[word]))
            return loci_fail(err, LOCI_E_PLUGIN, "%s begins with a capital: `%.200s`", of, m);
    }
    return LOCI_OK;
}
