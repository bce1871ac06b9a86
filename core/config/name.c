/* SPDX-License-Identifier: Apache-2.0
 *
 * core/config/name: how sections, keys and text are spelled.
 *
 *     [arm.NAME.layer.4-7.memory.titans]
 *      ^^^^^^^^ ^^^^^^^^^ ^^^^^^^^^^^^^
 *      arm      layers    section          the first two are optional, in this order
 */
#include "core/config/conf.h"

#include <limits.h>
#include <string.h>

/* The length of the UTF-8 character at s (RFC 3629: no overlong forms, no surrogates), or 0. */
static size_t utf8_len(const unsigned char *s, size_t n)
{
    size_t len = 0;

    if (s[0] < 0x80)
        len = 1;
    else if (s[0] >= 0xC2 && s[0] < 0xE0)
        len = 2;
    else if (s[0] >= 0xE0 && s[0] < 0xF0)
        len = 3;
    else if (s[0] >= 0xF0 && s[0] < 0xF5)
        len = 4;
    if (len == 0 || len > n)
        return 0;
    for (size_t i = 1; i < len; i++)
        if ((s[i] & 0xC0) != 0x80)
            return 0;
    if ((s[0] == 0xE0 && s[1] < 0xA0) || (s[0] == 0xED && s[1] > 0x9F))
        return 0;
    if ((s[0] == 0xF0 && s[1] < 0x90) || (s[0] == 0xF4 && s[1] > 0x8F))
        return 0;
    return len;
}

bool loci__text_ok(const char *s, size_t n, char *why, size_t room)
{
    for (size_t i = 0, len; i < n; i += len) {
        unsigned char b = (unsigned char)s[i];
        len = utf8_len((const unsigned char *)s + i, n - i);
        if (len == 0)
            snprintf(why, room, "byte 0x%02X in column %zu is not UTF-8, save the text as UTF-8", b, i + 1);
        else if (b == 0)
            snprintf(why, room, "NUL byte in column %zu, a config is plain text", i + 1);
        else if (b == '\r')
            snprintf(why, room, "carriage return in column %zu, end lines with LF or CRLF", i + 1);
        else if ((b < 0x20 && b != '\t') || b == 0x7F)
            snprintf(why, room, "control character 0x%02X in column %zu, a config is plain text", b, i + 1);
        else
            continue;
        return false;
    }
    return true;
}

static bool name_char(char ch)
{
    return (ch >= 'a' && ch <= 'z') || (ch >= 'A' && ch <= 'Z') || (ch >= '0' && ch <= '9') || ch == '_' || ch == '-';
}

bool loci__key_ok(const char *key, char *why, size_t room)
{
    char cut[80];
    size_t n = strlen(key);

    if (n == 0) {
        snprintf(why, room, "no key before '=', write key = value");
        return false;
    }
    if (n > LOCI_CONF_KEY) {
        snprintf(why, room, "key `%s` has %zu bytes, the limit is %d", loci__short(cut, 40, key), n, LOCI_CONF_KEY);
        return false;
    }
    for (size_t i = 0; i < n; i++)
        if (!name_char(key[i])) {
            snprintf(why, room, "key `%s`: keys have letters, digits, '_' and '-' only", key);
            return false;
        }
    return true;
}

/* A section's characters and dots; '+' so that an arm can be called a+b. */
static bool section_spelled(const char *s, size_t n)
{
    if (n == 0 || s[0] == '.' || s[n - 1] == '.')
        return false;
    for (size_t i = 0; i < n; i++)
        if ((!name_char(s[i]) && s[i] != '.' && s[i] != '+') || (s[i] == '.' && s[i + 1] == '.'))
            return false;
    return true;
}

/* "3" or "4-7", up to the dot. NULL: malformed. */
static const char *layers_parse(const char *s, int32_t *lo, int32_t *hi)
{
    int32_t v[2] = {0, 0};
    int k = 0;

    for (;; s++) {
        const char *begin = s;
        for (; *s >= '0' && *s <= '9'; s++)
            if ((v[k] = v[k] * 10 + (*s - '0')) >= LOCI_CONF_LAYERS)
                return NULL;
        if (s == begin)
            return NULL;
        if (k == 1 || *s != '-')
            break;
        k = 1;
    }
    *lo = v[0];
    *hi = v[k];
    return *s == '.' || *s == '\0' ? s : NULL;
}

loci_status loci__place_parse(loci_conf *c, loci__place *out, const char *name, size_t n, char *why, size_t room)
{
    char s[LOCI_CONF_SECTION + 1];
    const char *rest = s;

    *out = (loci__place){NULL, "", -1, -1};
    if (n > LOCI_CONF_SECTION) {
        snprintf(why, room, "section name [%.20s...] has %zu bytes, the limit is %d", name, n, LOCI_CONF_SECTION);
        return LOCI_E_CONFIG;
    }
    memcpy(s, name, n);
    s[n] = '\0';
    if (!section_spelled(s, n)) {
        snprintf(why, room, "section name [%s]: letters, digits, '_', '-' and '+' in parts divided by single dots", s);
        return LOCI_E_CONFIG;
    }
    if (strcmp(s, "arm") == 0 || strncmp(s, "arm.", 4) == 0) {
        size_t len = s[3] ? strcspn(s + 4, ".") : 0;
        if (len == 0) {
            snprintf(why, room, "[arm] has no name, write [arm.NAME] or [arm.NAME.SECTION]");
            return LOCI_E_CONFIG;
        }
        if (!(out->arm = loci__conf_intern(c, s + 4, len)))
            return LOCI_E_NOMEM;
        if (s[4 + len] == '\0')
            return LOCI_OK;
        rest = s + 4 + len + 1;
    }
    if (strcmp(rest, "layer") == 0 || strncmp(rest, "layer.", 6) == 0) {
        const char *end = rest[5] ? layers_parse(rest + 6, &out->lo, &out->hi) : NULL;
        if (!end || *end == '\0') {
            snprintf(why, room, "section [%s]: write layer.N.SECTION or layer.N-M.SECTION, layers 0 to %d", s,
                     LOCI_CONF_LAYERS - 1);
            return LOCI_E_CONFIG;
        }
        if (out->lo > out->hi) {
            snprintf(why, room, "section [%s]: layers run from the lower to the higher, %d-%d", s, out->hi, out->lo);
            return LOCI_E_CONFIG;
        }
        rest = end + 1;
        if (!loci__section_by_layer(rest)) {
            snprintf(why, room, "section [%s]: layers differ in attention, mixer, memory and compose only, not in [%s]",
                     s, rest);
            return LOCI_E_CONFIG;
        }
    }
    if (strcmp(rest, "arm") == 0 || strncmp(rest, "arm.", 4) == 0) {
        snprintf(why, room, "section [%s]: an arm cannot hold an arm", s);
        return LOCI_E_CONFIG;
    }
    return (out->section = loci__conf_intern(c, rest, strlen(rest))) ? LOCI_OK : LOCI_E_NOMEM;
}

bool loci__place_text(char *room, size_t n, const loci__place *at)
{
    char layers[40] = "";
    int len;

    if (at->lo >= 0 && at->lo == at->hi)
        snprintf(layers, sizeof layers, "layer.%d.", at->lo);
    else if (at->lo >= 0)
        snprintf(layers, sizeof layers, "layer.%d-%d.", at->lo, at->hi);
    len = snprintf(room, n, "%s%s%s%s%s", at->arm ? "arm." : "", at->arm ? at->arm : "",
                   at->arm && at->section[0] ? "." : "", layers, at->section);
    return len <= LOCI_CONF_SECTION;
}

/* Those that differ by layer first. */
static const char *const kinds[] = {"attention", "mixer", "memory", "compose", "device"};

bool loci__section_by_layer(const char *section)
{
    for (size_t i = 0; i < 4; i++) {
        size_t n = strlen(kinds[i]);
        if (strncmp(section, kinds[i], n) == 0 && (section[n] == '\0' || section[n] == '.'))
            return true;
    }
    return false;
}

size_t loci__section_kind(const char *section)
{
    size_t n = strcspn(section, ".");

    for (size_t i = 0; section[n] && i < sizeof kinds / sizeof kinds[0]; i++)
        if (strlen(kinds[i]) == n && strncmp(section, kinds[i], n) == 0)
            return n;
    return 0;
}

unsigned loci__slip(const char *name, const char *known)
{
    size_t a = strlen(name), b = strlen(known);
    unsigned most = a >= 8 ? 3 : 2, d = loci_distance(name, known, most);

    return d <= most && 2 * d <= (a > b ? a : b) ? d : UINT_MAX;
}

const char *loci__short(char *room, size_t n, const char *s)
{
    size_t len = strlen(s);

    if (len <= n)
        return s;
    for (len = n; len && ((unsigned char)s[len] & 0xC0) == 0x80; len--)
        ;
    memcpy(room, s, len);
    memcpy(room + len, "...", 4);
    return room;
}
