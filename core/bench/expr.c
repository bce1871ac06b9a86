/* SPDX-License-Identifier: Apache-2.0
 *
 * An expression as it stands in a formula: "2 N + 7 expansion dk (dk + dv) [depth = 2]".
 *
 *     sum      product { (+ | -) product }            product  power { [* | /] power }       side by side: times
 *     power    atom [ ^ atom ]                        [a = b]  1 or 0, also with < and > (Iverson's bracket)
 *     atom     number | name | (sum) | [sum (= | < | >) sum] | seen(sum)
 *
 * The value is NaN when the text is none, and when a name is unknown.
 */
#include "core/bench/impl.h"
#include <ctype.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define DEEPEST 32

struct reader {
    const char *at, *end;
    const loci_names *names;
    int depth;
};

static double sum(struct reader *r);

static char next(struct reader *r)
{
    while (r->at < r->end && isspace((unsigned char)*r->at))
        r->at++;
    return r->at < r->end ? *r->at : '\0';
}

static bool take(struct reader *r, char c)
{
    if (next(r) != c)
        return false;
    r->at++;
    return true;
}

static double bracket(struct reader *r)
{
    const double a = sum(r);
    const char sign = next(r);
    double b;

    if (!sign || !strchr("=<>", sign))
        return NAN;
    r->at++;
    b = sum(r);
    if (!take(r, ']') || isnan(a) || isnan(b))
        return NAN;
    return sign == '=' ? a == b : sign == '<' ? a < b : a > b;
}

static double number(struct reader *r)
{
    char text[32], *end;
    const size_t left = (size_t)(r->end - r->at), n = left < sizeof text - 1 ? left : sizeof text - 1;
    double x;

    memcpy(text, r->at, n);
    text[n] = '\0';
    text[strspn(text, "0123456789.")] = '\0'; /* no exponent: `2 e` is a product */
    x = strtod(text, &end);
    if (end == text)
        return NAN;
    r->at += end - text;
    return x;
}

static double name(struct reader *r)
{
    const char *from = r->at;
    size_t n;

    while (r->at < r->end && (isalnum((unsigned char)*r->at) || *r->at == '_'))
        r->at++;
    n = (size_t)(r->at - from);
    if (n == 4 && memcmp(from, "seen", 4) == 0) {
        double back;
        if (!take(r, '('))
            return NAN;
        back = sum(r);
        return take(r, ')') ? r->names->seen(r->names->arg, back) : NAN;
    }
    return r->names->value(r->names->arg, from, n);
}

static double atom(struct reader *r)
{
    const char c = next(r);
    double x = NAN;

    if (++r->depth > DEEPEST)
        return NAN;
    if (isdigit((unsigned char)c))
        x = number(r);
    else if (isalpha((unsigned char)c))
        x = name(r);
    else if (take(r, '(')) {
        x = sum(r);
        x = take(r, ')') ? x : NAN;
    } else if (take(r, '['))
        x = bracket(r);
    r->depth--;
    return x;
}

static double power(struct reader *r)
{
    const double x = atom(r);

    return take(r, '^') ? pow(x, atom(r)) : x;
}

static double product(struct reader *r)
{
    double x = power(r);

    for (char c = next(r); c && (isalnum((unsigned char)c) || strchr("([*/", c)) && !isnan(x); c = next(r))
        if (take(r, '/'))
            x /= power(r);
        else {
            (void)take(r, '*');
            x *= power(r);
        }
    return x;
}

static double sum(struct reader *r)
{
    double x = product(r);

    for (char c = next(r); (c == '+' || c == '-') && !isnan(x); c = next(r)) {
        r->at++;
        x += c == '+' ? product(r) : -product(r);
    }
    return x;
}

double loci__expr(const char *text, size_t n, const loci_names *names)
{
    struct reader r = {text, text + n, names, 0};
    const double x = sum(&r);

    return next(&r) == '\0' && isfinite(x) ? x : NAN;
}
