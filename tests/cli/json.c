/* SPDX-License-Identifier: Apache-2.0
 *
 * tests/cli/json: read a JSON file strictly and print one value, so that the tests of the command need no other tool.
 *
 *     json FILE STEP...       FILE holds exactly one document
 *     json -l FILE STEP...    every line of FILE is one; prints the value of each line that has it
 *
 * A step is the key of an object, the index of an element, KEY=TEXT for the element whose KEY is TEXT, `*` for every
 * element in turn, or `#` for the number of elements. Text is printed as it is, everything else as JSON, one value a
 * line. Ends with 1 when the file is not JSON or has no such value.
 */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const json_t *element_with(const json_t *array, const char *step)
{
    const char *equals = strchr(step, '=');
    size_t i;
    json_t *e;

    json_array_foreach(array, i, e)
    {
        char key[64] = "";
        const char *text;
        snprintf(key, sizeof key, "%.*s", (int)(equals - step), step);
        text = json_string_value(json_object_get(e, key));
        if (text && !strcmp(text, equals + 1))
            return e;
    }
    return NULL;
}

static void print(const json_t *v)
{
    char *text = json_is_string(v) ? NULL : json_dumps(v, JSON_ENCODE_ANY | JSON_COMPACT | JSON_REAL_PRECISION(17));

    puts(text ? text : json_string_value(v));
    free(text);
}

/* How many values were printed. */
static int walk(const json_t *v, char **steps)
{
    const char *step = *steps;
    int printed = 0;

    if (!v)
        return 0;
    if (!step) {
        print(v);
        return 1;
    }
    if (!strcmp(step, "#")) {
        printf("%zu\n", json_is_array(v) ? json_array_size(v) : json_object_size(v));
        return 1;
    }
    if (!json_is_array(v))
        return walk(json_object_get(v, step), steps + 1);
    if (strchr(step, '='))
        return walk(element_with(v, step), steps + 1);
    if (strcmp(step, "*"))
        return walk(json_array_get(v, strtoul(step, NULL, 10)), steps + 1);
    for (size_t i = 0; i < json_array_size(v); i++)
        printed += walk(json_array_get(v, i), steps + 1);
    return printed;
}

static json_t *parse(const char *text, size_t n, const char *file, int line)
{
    json_error_t e;
    json_t *root = json_loadb(text, n, JSON_REJECT_DUPLICATES, &e);

    if (!root)
        fprintf(stderr, "json: %s:%d: %s\n", file, line + e.line - 1, e.text);
    return root;
}

int main(int argc, char **argv)
{
    int lines = argc > 1 && !strcmp(argv[1], "-l"), printed = 0, number = 1, failed = 0;
    const char *file = argc > 1 + lines ? argv[1 + lines] : "";
    FILE *f = fopen(file, "rb");
    char *text = NULL;
    size_t room = 0;
    ssize_t n;

    if (!f) {
        fprintf(stderr, "json: %s cannot be opened\n", file);
        return 1;
    }
    for (; !failed && (n = getdelim(&text, &room, lines ? '\n' : -1, f)) > 0; number++) {
        json_t *root = parse(text, (size_t)n, file, number);
        failed = !root;
        printed += walk(root, argv + 2 + lines);
        json_decref(root);
    }
    failed |= number == 1;
    free(text);
    fclose(f);
    return failed || (!printed && !lines);
}
