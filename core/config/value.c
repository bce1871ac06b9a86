/* SPDX-License-Identifier: Apache-2.0
 *
 * core/config/value: text to values and back.
 *
 *  (1) Numbers are those of the C locale, whatever the locale of the process and of its threads.
 *  (2) Nothing is guessed: a value is the whole text, and what is left over is named. Text after a number that looks
 *      like a comment gets the sentence on comments.
 *  (3) The canonical text of a value parses to the same value.
 */
#include "core/config/conf.h"

#include <errno.h>
#include <math.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

static locale_t c_locale;
static pthread_once_t c_locale_once = PTHREAD_ONCE_INIT;

static void c_locale_make(void)
{
    c_locale = newlocale(LC_ALL_MASK, "C", (locale_t)0);
}

locale_t loci__c_locale(void)
{
    pthread_once(&c_locale_once, c_locale_make);
    return c_locale;
}

/* Does the text go on with what its author took for a comment? */
static bool has_comment(const char *s)
{
    for (; *s; s++)
        if ((s[0] == ' ' || s[0] == '\t') && (s[1] == ';' || s[1] == '#'))
            return true;
    return false;
}

static bool refuse(char *why, size_t room, const char *s, const char *what)
{
    snprintf(why, room, "%s", has_comment(s) ? "comments start a line of their own" : what);
    return false;
}

bool loci__int_parse(int64_t *out, const char *s, char *why, size_t room)
{
    const char *p = s;
    bool negative = *p == '-', fits = true;
    uint64_t v = 0;

    p += negative;
    if (*p < '0' || *p > '9')
        return refuse(why, room, s, "not a whole number");
    for (; *p >= '0' && *p <= '9'; p++)
        fits = fits && loci_mul(&v, v, 10) && loci_add(&v, v, (uint64_t)(*p - '0'));
    if (*p == 'k' || *p == 'M' || *p == 'G') {
        fits = fits && loci_mul(&v, v, UINT64_C(1) << (*p == 'k' ? 10 : *p == 'M' ? 20 : 30));
        p++;
    }
    if (*p)
        return refuse(why, room, s, "not a whole number, which is digits and perhaps k, M or G");
    if (!fits || v > INT64_MAX)
        return refuse(why, room, s, "does not fit 64 bits");
    *out = negative ? -(int64_t)v : (int64_t)v;
    return true;
}

bool loci__real_parse(double *out, const char *s, char *why, size_t room)
{
    char *end;
    double v;

    if (*s == '\0' || strspn(s, "+-.0123456789eE") != strlen(s)) /* no nan, inf, hexadecimal or blanks */
        return refuse(why, room, s, "not a number, which is like 0.1 or 1e-3");
    errno = 0;
    v = strtod_l(s, &end, loci__c_locale());
    if (*end || end == s)
        return refuse(why, room, s, "not a number, which is like 0.1 or 1e-3");
    if (!isfinite(v))
        return refuse(why, room, s, "too large for a real number");
    if (v == 0 && errno == ERANGE)
        return refuse(why, room, s, "too small for a real number, write 0");
    *out = v;
    return true;
}

void loci__real_text(char *out, size_t room, double v)
{
    locale_t before = uselocale(loci__c_locale());

    for (int digits = 15; digits <= 17; digits++) {
        snprintf(out, room, "%.*g", digits, v);
        if (strtod(out, NULL) == v)
            break;
    }
    uselocale(before);
}

void loci__range_text(char *out, size_t room, const loci_key *k)
{
    char lo[40], hi[40];

    out[0] = '\0';
    if ((k->type != LOCI_KEY_INT && k->type != LOCI_KEY_REAL) || (k->min == 0 && k->max == 0))
        return;
    loci__real_text(lo, sizeof lo, k->min);
    loci__real_text(hi, sizeof hi, k->max);
    if (isinf(k->max))
        snprintf(out, room, "%s or more", lo);
    else if (isinf(k->min))
        snprintf(out, room, "at most %s", hi);
    else
        snprintf(out, room, "%s to %s", lo, hi);
}

static void check_range(const loci_key *k, double v, char *why, size_t room)
{
    char range[100];

    if ((k->min != 0 || k->max != 0) && (v < k->min || v > k->max)) {
        loci__range_text(range, sizeof range, k);
        snprintf(why, room, "out of range, write %s", range);
    }
}

/* Is s one of "a|b|c"? If not, *why lists them and the nearest. */
static void check_choice(const char *choices, const char *s, char *why, size_t room)
{
    char list[300], one[80];
    const char *near = NULL;
    size_t near_len = 0, at = 0;
    unsigned best = 1000, d;

    list[0] = '\0';
    for (const char *p = choices; p; p = strchr(p, '|') ? strchr(p, '|') + 1 : NULL) {
        size_t n = strcspn(p, "|");
        if (n == strlen(s) && strncmp(p, s, n) == 0)
            return;
        if (n < sizeof one) {
            memcpy(one, p, n);
            one[n] = '\0';
            if ((d = loci__slip(s, one)) < best) {
                best = d;
                near = p;
                near_len = n;
            }
        }
        if (at + n + 3 < sizeof list)
            at += (size_t)snprintf(list + at, sizeof list - at, "%s%.*s", at ? ", " : "", (int)n, p);
    }
    if (has_comment(s))
        refuse(why, room, s, "");
    else if (near)
        snprintf(why, room, "not one of %s, did you mean `%.*s`?", list, (int)near_len, near);
    else
        snprintf(why, room, "not one of %s", list);
}

static void check_list(const char *s, char *why, size_t room)
{
    for (bool more = *s != '\0'; more; more = *s++ == ',') {
        size_t n = strcspn(s, ","), blank = strspn(s, " \t");
        if (blank >= n)
            snprintf(why, room, "an item of the list is empty, separate items by single commas");
        s += n;
    }
}

static loci_status make_absolute(loci_conf *c, const char **out, const char *raw, const char *dir, char *why,
                                 size_t room)
{
    char *joined;

    *out = raw;
    if (raw[0] == '\0' || raw[0] == '/')
        return LOCI_OK;
    if (raw[0] == '~' && (raw[1] == '/' || raw[1] == '\0')) {
        snprintf(why, room, "~ is not expanded, write the path in full");
        return LOCI_OK;
    }
    if (!dir) {
        snprintf(why, room, "a relative path, but the working directory is not known, write the path in full");
        return LOCI_OK;
    }
    while (raw[0] == '.' && raw[1] == '/')
        raw += 1 + strspn(raw + 1, "/");
    joined = loci_format("%s%s%s", dir, dir[strlen(dir) - 1] == '/' ? "" : "/", raw);
    *out = joined ? loci__conf_string(c, joined, strlen(joined)) : NULL;
    loci_free(joined);
    if (!*out)
        return LOCI_E_NOMEM;
    if (strlen(*out) > LOCI_CONF_PATH)
        snprintf(why, room, "the absolute path has %zu bytes, the limit is %d", strlen(*out), LOCI_CONF_PATH);
    else
        (void)loci__text_ok(*out, strlen(*out), why, room);
    return LOCI_OK;
}

loci_status loci__value_parse(loci_conf *c, loci__value *out, const loci_key *k, const char *raw, const char *dir,
                              char *why, size_t room)
{
    char text[48] = "";

    *out = (loci__value){0, 0, raw};
    why[0] = '\0';
    switch (k->type) {
    case LOCI_KEY_INT:
        if (!loci__int_parse(&out->i, raw, why, room))
            return LOCI_OK;
        check_range(k, (double)out->i, why, room);
        snprintf(text, sizeof text, "%lld", (long long)out->i);
        break;
    case LOCI_KEY_REAL:
        if (!loci__real_parse(&out->r, raw, why, room))
            return LOCI_OK;
        check_range(k, out->r, why, room);
        loci__real_text(text, sizeof text, out->r);
        break;
    case LOCI_KEY_BOOL:
        out->i = strcmp(raw, "yes") == 0;
        if (!out->i && strcmp(raw, "no") != 0)
            refuse(why, room, raw, "write yes or no");
        break;
    case LOCI_KEY_ENUM:
        check_choice(k->choices, raw, why, room);
        break;
    case LOCI_KEY_LIST:
        check_list(raw, why, room);
        break;
    case LOCI_KEY_PATH:
        return make_absolute(c, &out->text, raw, dir, why, room);
    default:
        break;
    }
    if (text[0] && strcmp(text, raw) != 0)
        out->text = loci__conf_string(c, text, strlen(text));
    return out->text ? LOCI_OK : LOCI_E_NOMEM;
}
