/* SPDX-License-Identifier: Apache-2.0
 *
 * tests/cli/tensors: write a safetensors file (an npz, if OUT is called so) from words, so that the tests of the command
 * need no other tool. It shares no code with the library.
 *
 *     tensors OUT WORD...
 *
 *     NAME:DTYPE:SHAPE:VALUES   SHAPE as 2x3; DTYPE F64 F32 BF16 I32 I64 U8; VALUES `normal` or `unit` (the rows of the
 *                               last axis have length 1), `in:LO:HI`, or numbers: 1,2,3 (the last one repeats)
 *     @FILE:NAME[:AS[:FROM:TO]] a tensor of another such file, under another name, of its axis 1 [FROM, TO)
 *
 * Random numbers depend on the name and the element only.
 */
#include <jansson.h>
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MOST 64

struct tensor {
    char name[200], dtype[8];
    int ndim;
    long long shape[8];
    size_t bytes;
    char *data;
};

static void die(const char *what, const char *word)
{
    fprintf(stderr, "tensors: %s: %s\n", what, word);
    exit(1);
}

static size_t size_of(const char *dtype)
{
    return strstr(dtype, "64") ? 8 : strstr(dtype, "32") ? 4 : strstr(dtype, "16") ? 2 : 1;
}

static double uniform(uint64_t *x)
{
    uint64_t z = *x += UINT64_C(0x9E3779B97F4A7C15);

    z = (z ^ (z >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94D049BB133111EB);
    return ((double)((z ^ (z >> 31)) >> 11) + 0.5) * 0x1p-53;
}

/* Every number is a bf16 one, so that all types hold the same. */
static double coarse(double x)
{
    float f = (float)x;
    uint32_t bits;

    memcpy(&bits, &f, 4);
    bits = (bits + 0x7fff + (bits >> 16 & 1)) & 0xffff0000u;
    memcpy(&f, &bits, 4);
    return (double)f;
}

static void store(struct tensor *t, size_t i, double v)
{
    char *at = t->data + i * size_of(t->dtype);
    const float f = (float)v;
    uint32_t bits;

    memcpy(&bits, &f, 4);
    if (!strcmp(t->dtype, "F64"))
        memcpy(at, &v, 8);
    else if (!strcmp(t->dtype, "F32"))
        memcpy(at, &f, 4);
    else if (!strcmp(t->dtype, "BF16"))
        memcpy(at, &(uint16_t){(uint16_t)(bits >> 16)}, 2);
    else if (!strcmp(t->dtype, "I64"))
        memcpy(at, &(int64_t){(int64_t)v}, 8);
    else if (!strcmp(t->dtype, "I32"))
        memcpy(at, &(int32_t){(int32_t)v}, 4);
    else
        *(uint8_t *)at = (uint8_t)v;
}

static void make(struct tensor *t, const char *word)
{
    char shape[100], values[4000], *at = shape;
    double *x, lo, hi;
    size_t n = 1, row;
    uint64_t seed = 1;

    if (sscanf(word, "%199[^:]:%7[^:]:%99[^:]:%3999s", t->name, t->dtype, shape, values) != 4)
        die("not NAME:DTYPE:SHAPE:VALUES", word);
    for (t->ndim = 0; *at && t->ndim < 8; at += *at == 'x')
        n *= (size_t)(t->shape[t->ndim++] = strtoll(at, &at, 10));
    for (const char *c = t->name; *c; c++)
        seed = seed * 131 + (unsigned char)*c;
    x = calloc(n + 1, sizeof *x);
    row = t->ndim && t->shape[t->ndim - 1] ? (size_t)t->shape[t->ndim - 1] : 1;
    t->bytes = n * size_of(t->dtype);
    t->data = calloc(t->bytes + 1, 1);
    if (!x || !t->data)
        die("out of memory", word);
    at = values;
    for (size_t i = 0; i < n; i++) {
        if (!strcmp(values, "normal") || !strcmp(values, "unit"))
            x[i] = sqrt(-2 * log(uniform(&seed))) * cos(6.283185307179586 * uniform(&seed));
        else if (sscanf(values, "in:%lf:%lf", &lo, &hi) == 2)
            x[i] = lo + (hi - lo) * uniform(&seed);
        else
            x[i] = *at ? strtod(at, &at) : x[i - 1], at += *at == ',';
    }
    for (size_t i = 0; !strcmp(values, "unit") && i + row <= n; i += row) {
        double sum = 0;
        for (size_t j = 0; j < row; j++)
            sum += x[i + j] * x[i + j];
        for (size_t j = 0; j < row; j++)
            x[i + j] /= sqrt(sum);
    }
    for (size_t i = 0; i < n; i++)
        store(t, i, strpbrk(values, "ni") ? coarse(x[i]) : x[i]);
    free(x);
}

static void copy(struct tensor *t, const char *word)
{
    char path[400], name[200], as[200] = "", *text;
    long long from = 0, to = -1, begin;
    uint64_t head;
    const int n = sscanf(word, "@%399[^:]:%199[^:]:%199[^:]:%lld:%lld", path, name, as, &from, &to);
    FILE *f = n >= 2 ? fopen(path, "rb") : NULL;
    json_t *all, *one;
    size_t outer, row;

    if (!f || fread(&head, 8, 1, f) != 1 || !(text = calloc(head + 1, 1)) || fread(text, 1, head, f) != head)
        die("cannot be read", word);
    all = json_loads(text, 0, NULL);
    one = json_object_get(all, name);
    if (!one)
        die("no such tensor", word);
    snprintf(t->name, sizeof t->name, "%s", *as ? as : name);
    snprintf(t->dtype, sizeof t->dtype, "%s", json_string_value(json_object_get(one, "dtype")));
    t->ndim = (int)json_array_size(json_object_get(one, "shape"));
    row = size_of(t->dtype);
    for (int i = 0; i < t->ndim; i++) {
        t->shape[i] = json_integer_value(json_array_get(json_object_get(one, "shape"), (size_t)i));
        row *= i > 1 ? (size_t)t->shape[i] : 1;
    }
    begin = json_integer_value(json_array_get(json_object_get(one, "data_offsets"), 0));
    outer = t->ndim > 1 ? (size_t)t->shape[0] : 1;
    if (to < 0)
        to = t->ndim > 1 ? t->shape[1] : t->ndim ? t->shape[0] : 1;
    t->bytes = outer * (size_t)(to - from) * row;
    t->data = calloc(t->bytes + 1, 1);
    for (size_t i = 0; t->data && i < outer; i++) {
        const size_t width = t->ndim > 1 ? (size_t)t->shape[1] : (size_t)to;
        if (fseek(f, (long)(8 + head) + (long)begin + (long)((i * width + (size_t)from) * row), SEEK_SET) ||
            fread(t->data + i * (size_t)(to - from) * row, row, (size_t)(to - from), f) != (size_t)(to - from))
            die("cut off", word);
    }
    if (t->ndim > 1)
        t->shape[1] = to - from;
    json_decref(all);
    free(text);
    fclose(f);
}

/* ---- npz: a zip of npy files, stored ------------------------------------------------------------------------------ */

static uint32_t crc_of(const unsigned char *at, size_t n)
{
    uint32_t crc = 0xffffffff;

    while (n--) {
        crc ^= *at++;
        for (int i = 0; i < 8; i++)
            crc = crc >> 1 ^ (crc & 1 ? 0xedb88320 : 0);
    }
    return ~crc;
}

static void little(FILE *f, uint64_t x, int bytes)
{
    for (; bytes--; x >>= 8)
        fputc((int)(x & 255), f);
}

/* The head of an npy file, padded to 128 bytes, and its data. */
static char *npy_of(const struct tensor *t, size_t *n)
{
    const char kind = t->dtype[0] == 'F' ? 'f' : t->dtype[0] == 'I' ? 'i' : 'u';
    char head[129], shape[64] = "";
    char *all = calloc(128 + t->bytes, 1);

    if (!all || !strncmp(t->dtype, "BF", 2))
        die("has no such type in npy", t->name);
    for (int i = 0; i < t->ndim; i++)
        snprintf(shape + strlen(shape), sizeof shape - strlen(shape), "%lld, ", t->shape[i]);
    snprintf(head, sizeof head, "{'descr': '%s%c%zu', 'fortran_order': False, 'shape': (%s), }",
             size_of(t->dtype) == 1 ? "|" : "<", kind, size_of(t->dtype), shape);
    memcpy(all, "\x93NUMPY\1\0v\0", 10);
    memset(all + 10, ' ', 118);
    memcpy(all + 10, head, strlen(head));
    all[127] = '\n';
    memcpy(all + 128, t->data, t->bytes);
    *n = 128 + t->bytes;
    return all;
}

/* What an entry's two headers share. */
static void entry(FILE *f, const struct tensor *t, uint32_t crc, size_t n)
{
    little(f, 0, 8); /* flags, stored, time, date */
    little(f, crc, 4);
    little(f, n, 4);
    little(f, n, 4);
    little(f, strlen(t->name) + 4, 2);
    little(f, 0, 2);
}

static void write_npz(FILE *f, const struct tensor *all, int count)
{
    long at[MOST], directory;
    uint32_t crc[MOST];
    size_t size[MOST];

    for (int i = 0; i < count; i++) {
        char *bytes = npy_of(&all[i], &size[i]);
        crc[i] = crc_of((unsigned char *)bytes, size[i]);
        at[i] = ftell(f);
        fwrite("PK\3\4\24", 1, 5, f);
        fputc(0, f);
        entry(f, &all[i], crc[i], size[i]);
        fprintf(f, "%s.npy", all[i].name);
        fwrite(bytes, 1, size[i], f);
        free(bytes);
    }
    directory = ftell(f);
    for (int i = 0; i < count; i++) {
        fwrite("PK\1\2\24\0\24", 1, 7, f);
        fputc(0, f);
        entry(f, &all[i], crc[i], size[i]);
        little(f, 0, 10); /* comment, disk, attributes */
        little(f, (uint64_t)at[i], 4);
        fprintf(f, "%s.npy", all[i].name);
    }
    little(f, 0x06054b50, 4);
    little(f, 0, 4);
    little(f, (uint64_t)count, 2);
    little(f, (uint64_t)count, 2);
    little(f, (uint64_t)(ftell(f) - 12 - directory), 4);
    little(f, (uint64_t)directory, 4);
    little(f, 0, 2);
}

int main(int argc, char **argv)
{
    static struct tensor all[MOST];
    json_t *head = json_object();
    size_t at = 0;
    char *text;
    uint64_t n;
    FILE *f;

    if (argc < 2 || argc - 2 > MOST)
        die("wants OUT and up to 64 words", "");
    for (int i = 2; i < argc; i++) {
        struct tensor *t = &all[i - 2];
        json_t *shape = json_array();
        if (argv[i][0] == '@')
            copy(t, argv[i]);
        else
            make(t, argv[i]);
        for (int k = 0; k < t->ndim; k++)
            json_array_append_new(shape, json_integer(t->shape[k]));
        json_object_set_new(head, t->name,
                            json_pack("{s:s, s:o, s:[I, I]}", "dtype", t->dtype, "shape", shape, "data_offsets",
                                      (json_int_t)at, (json_int_t)(at + t->bytes)));
        at += t->bytes;
    }
    text = json_dumps(head, JSON_COMPACT | JSON_PRESERVE_ORDER);
    f = fopen(argv[1], "wb");
    if (!text || !f)
        die("cannot be written", argv[1]);
    n = strlen(text);
    if (strlen(argv[1]) > 4 && !strcmp(argv[1] + strlen(argv[1]) - 4, ".npz")) {
        write_npz(f, all, argc - 2);
    } else {
        fwrite(&n, 8, 1, f);
        fwrite(text, 1, n, f);
        for (int i = 2; i < argc; i++)
            fwrite(all[i - 2].data, 1, all[i - 2].bytes, f);
    }
    for (int i = 2; i < argc; i++)
        free(all[i - 2].data);
    if (fclose(f))
        die("cannot be written", argv[1]);
    free(text);
    json_decref(head);
    return 0;
}
