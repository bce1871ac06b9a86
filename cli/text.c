/* SPDX-License-Identifier: Apache-2.0
 *
 * Text for a person: paragraphs of at most 80 columns, and places of text in JSON documents.
 */
#include "cli/cli.h"
#include "core/model/node.h"
#include <string.h>

enum { COLUMNS = 80 };

/* Columns of n bytes of UTF-8. */
static int columns(const char *text, size_t n)
{
    int wide = 0;

    for (size_t i = 0; i < n; i++)
        wide += ((unsigned char)text[i] & 0xc0) != 0x80;
    return wide;
}

void cli_wrap(const char *first, int indent, const char *text)
{
    int at = columns(first, strlen(first));
    bool begun = false;

    printf("%s%*s", first, at < indent ? indent - at : 0, "");
    at = at < indent ? indent : at;
    while (*text) {
        size_t n = strcspn(text, " \n");
        int wide = columns(text, n);
        if (n && begun && at + 1 + wide > COLUMNS) {
            printf("\n%*s", indent, "");
            at = indent;
            begun = false;
        }
        if (n) {
            printf("%s%.*s", begun ? " " : "", (int)n, text);
            at += wide + begun;
            begun = true;
        }
        text += n;
        if (*text == '\n') {
            printf("\n%*s", indent, "");
            at = indent;
            begun = false;
        }
        text += *text != '\0';
    }
    putchar('\n');
}

const char *cli_text(const json_t *object, const char *key)
{
    const char *s = json_string_value(json_object_get(object, key));

    return s ? s : "";
}

json_t *cli_or_null(const char *text)
{
    return text && *text ? json_string(text) : json_null();
}

json_t *cli_promises(uint64_t caps)
{
    json_t *all = json_array();
    const char *name;
    uint64_t cap;

    for (uint32_t i = 0; (name = loci_cap_name(i, &cap)); i++)
        if (caps & cap)
            json_array_append_new(all, json_string(name));
    return all;
}
