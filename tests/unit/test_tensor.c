/* SPDX-License-Identifier: Apache-2.0
 *
 * core/tensor: the readers of safetensors, npy and npz, the writer of safetensors, views. Files and folders:
 * test_file.c.
 *
 * The corpus tests/fuzz/tensors holds one file per rule of docs/design/files.md; a name says whether it must open.
 */
#include "tests/ck.h"
#include "tests/folder.h"
#include "core/tensor/file.h"

#include <dirent.h>
#include <jansson.h>
#include <sys/stat.h>
#include <unistd.h>

static loci_error ck_err = LOCI_ERROR_INIT;

/* A safetensors file of this header, `data` zero bytes behind it; length: what its lead says, -1 for the truth. */
static const char *put(const char *header, size_t data, int64_t length)
{
    const char *path = in_folder("x.safetensors");
    FILE *f = fopen(path, "wb");
    uint64_t n = length < 0 ? strlen(header) : (uint64_t)length;
    for (int i = 0; i < 8; i++)
        fputc((int)(n >> 8 * i & 0xff), f);
    fputs(header, f);
    for (size_t i = 0; i < data; i++)
        fputc(0, f);
    fclose(f);
    return path;
}

static loci_status open_and_close(const char *path)
{
    loci_tensors *t = NULL;
    loci_status status;
    loci_error_clear(&ck_err);
    status = loci_tensors_open(&t, path, &ck_err);
    CU_ASSERT_EQUAL(t != NULL, status == LOCI_OK);
    loci_tensors_close(t);
    return status;
}

/* ---- safetensors ------------------------------------------------------------------------------------------------- */

static void safetensors__round_trips_every_dtype(void)
{
    static const char *const names[] = {"F64",  "I64", "U64", "F32", "I32", "U32", "F16",
                                        "BF16", "I16", "U16", "I8",  "U8",  "BOOL"};
    static unsigned char data[13][6 * 8];
    loci_named in[13];
    loci_tensors *t = NULL;
    const char *const meta[] = {"format", "loci", "quote", "a \"b\" \n \xc3\xa4", NULL};
    for (unsigned i = 0; i < 13; i++) {
        in[i] = (loci_named){.name = names[i], .ndim = 2, .shape = {2, 3}, .data = data[i]};
        CU_ASSERT_TRUE_FATAL(loci_dtype_named(&in[i].dtype, names[i]));
        CU_ASSERT_STRING_EQUAL(loci_dtype_name(in[i].dtype), names[i]);
        in[i].bytes = 6 * loci_dtype_bytes(in[i].dtype);
        for (size_t b = 0; b < in[i].bytes; b++)
            data[i][b] = (unsigned char)ck_bits();
    }
    CK_OK(loci_tensors_write(in_folder("all.safetensors"), in, 13, meta, &ck_err));
    CK_OK(loci_tensors_open(&t, in_folder("all.safetensors"), &ck_err));
    CU_ASSERT_EQUAL(loci_tensors_n(t), 13);
    for (unsigned i = 0; i < 13; i++) {
        const loci_named *x = loci_tensors_find(t, names[i]);
        CU_ASSERT_PTR_NOT_NULL_FATAL(x);
        CU_ASSERT_TRUE(loci_dtype_is(x->dtype, in[i].dtype));
        CU_ASSERT_TRUE(x->ndim == 2 && x->shape[0] == 2 && x->shape[1] == 3 && x->bytes == in[i].bytes);
        CU_ASSERT_EQUAL(memcmp(x->data, in[i].data, x->bytes), 0);
        CU_ASSERT_EQUAL((uintptr_t)x->data % 64, 0);
    }
    CU_ASSERT_STRING_EQUAL(loci_tensors_meta(t, "quote"), meta[3]);
    CU_ASSERT_PTR_NULL(loci_tensors_meta(t, "absent"));
    CU_ASSERT_PTR_NULL(loci_tensors_find(t, "absent"));
    CU_ASSERT_PTR_NULL(loci_tensors_at(t, 13));
    loci_tensors_close(t);
}

static void safetensors__written_files_are_sorted_aligned_and_repeatable(void)
{
    float a[3] = {1, 2, 3};
    double b[2] = {4, 5};
    unsigned char c = 6;
    loci_named one[] = {{"c", loci_u8, 0, {0}, &c, 1}, {"a", loci_f32, 1, {3}, a, 12}, {"b", loci_f64, 1, {2}, b, 16}};
    loci_named two[] = {one[2], one[0], one[1]};
    loci_tensors *t = NULL;
    char *text = NULL, *again = NULL;
    size_t n = 0, m = 0;
    CK_OK(loci_tensors_write(in_folder("1"), one, 3, NULL, &ck_err));
    CK_OK(loci_tensors_write(in_folder("2"), two, 3, NULL, &ck_err));
    CK_OK(loci_file_read(&text, &n, in_folder("1"), 10000, &ck_err));
    CK_OK(loci_file_read(&again, &m, in_folder("2"), 10000, &ck_err));
    CU_ASSERT_TRUE(n == m && memcmp(text, again, n) == 0);
    CU_ASSERT_EQUAL((8 + (unsigned char)text[0] + 256 * (unsigned char)text[1]) % 64, 0);
    CU_ASSERT_EQUAL(memcmp(text + n - 29, b, 16), 0);
    CU_ASSERT_EQUAL(memcmp(text + n - 13, a, 12), 0);
    loci_free(text);
    loci_free(again);
    CK_OK(loci_tensors_open(&t, in_folder("1"), &ck_err));
    CU_ASSERT_STRING_EQUAL(loci_tensors_at(t, 0)->name, "b");
    CU_ASSERT_STRING_EQUAL(loci_tensors_at(t, 2)->name, "c");
    loci_tensors_close(t);
}

#define T(dtype, shape, offsets) "{\"dtype\":\"" dtype "\",\"shape\":" shape ",\"data_offsets\":" offsets "}"

/* Each rule with what its message must say. */
static void safetensors__says_what_is_wrong(void)
{
    static const struct {
        const char *header, *says;
        size_t data;
        int64_t length;
        loci_status status;
    } cases[] = {
        {"{}", "its header would have 16777217 bytes", 0, 16777217, LOCI_E_CHECKPOINT},
        {"{}", "its header would have 3 bytes, of 10 in the file", 0, 3, LOCI_E_CHECKPOINT},
        {"[]", "does not begin with {", 0, -1, LOCI_E_CHECKPOINT},
        {"{\"a\":{\"b\":[[]]}}", "nested deeper than 3", 0, -1, LOCI_E_CHECKPOINT},
        {"{\"a\":" T("U8", "[1]", "[0,1]") ",\"a\":" T("U8", "[1]", "[0,1]") "}", "stands twice", 1, -1,
         LOCI_E_CHECKPOINT},
        {"{\"a\":" T("U8", "[4]", "[0,4]") ",\"b\":" T("U8", "[4]", "[8,12]") "}",
         "tensor b: begins at 8, the bytes before "
         "it end at 4: a hole",
         12, -1, LOCI_E_CHECKPOINT},
        {"{\"a\":" T("U8", "[4]", "[0,4]") ",\"b\":" T("U8", "[4]", "[2,6]") "}", "an overlap", 6, -1,
         LOCI_E_CHECKPOINT},
        {"{\"a\":" T("U8", "[4]", "[0,4]") ",\"b\":" T("U8", "[0]", "[2,2]") "}", "an overlap", 4, -1,
         LOCI_E_CHECKPOINT},
        {"{\"a\":" T("U8", "[4]", "[0,4]") "}", "1 bytes behind the last tensor", 5, -1, LOCI_E_CHECKPOINT},
        {"{\"a\":" T("U8", "[8]", "[0,8]") "}", "its bytes end at 8, the file's at 4", 4, -1, LOCI_E_CHECKPOINT},
        {"{\"a\":" T("F32", "[2]", "[0,4]") "}", "8 bytes by dtype and shape, 4 by data_offsets", 4, -1,
         LOCI_E_CHECKPOINT},
        {"{\"a\":" T("U8", "[4294967300]", "[0,4]") "}", "4294967300 bytes by dtype", 4, -1, LOCI_E_CHECKPOINT},
        {"{\"a\":" T("F32", "[4611686018427387904,4]", "[0,0]") "}", "overflows", 0, -1, LOCI_E_CHECKPOINT},
        {"{\"a\":" T("U8", "[9223372036854775807,9223372036854775807,0]", "[0,0]") "}", "overflows", 0, -1,
         LOCI_E_CHECKPOINT},
        {"{\"a\":" T("U8", "[-4]", "[0,4]") "}", "dimension 0 is not a count", 4, -1, LOCI_E_CHECKPOINT},
        {"{\"a\":" T("U8", "[4]", "[-4,0]") "}", "not two ascending counts", 4, -1, LOCI_E_CHECKPOINT},
        {"{\"a\":" T("U8", "[4]", "[4,0]") "}", "not two ascending counts", 4, -1, LOCI_E_CHECKPOINT},
        {"{\"a\":" T("U8", "[1.5]", "[0,1]") "}", "dimension 0 is not a count", 1, -1, LOCI_E_CHECKPOINT},
        {"{\"a\":" T("U8", "[18446744073709551616]", "[0,1]") "}", "too big integer", 1, -1, LOCI_E_CHECKPOINT},
        {"{\"a\":" T("U8", "[1,1,1,1,1,1,1,1,1]", "[0,1]") "}", "9 dimensions, the limit is 8", 1, -1,
         LOCI_E_CHECKPOINT},
        {"{\"a\":" T("F12", "[1]", "[0,1]") "}", "dtype is none of", 1, -1, LOCI_E_UNSUPPORTED},
        {"{\"a\":{\"dtype\":\"U8\",\"shape\":[1],\"offsets\":[0,1]}}", "none of dtype, shape, data_offsets", 1, -1,
         LOCI_E_CHECKPOINT},
        {"{\"a\":{\"dtype\":1,\"shape\":[1],\"data_offsets\":[0,1]}}", "dtype as text", 1, -1, LOCI_E_CHECKPOINT},
        {"{\"a\":7}", "tensor a: its entry is not of dtype, shape and data_offsets", 0, -1, LOCI_E_CHECKPOINT},
        {"{\"__metadata__\":{\"a\":1}}", "something other than text", 0, -1, LOCI_E_CHECKPOINT},
        {"{\"\":" T("U8", "[1]", "[0,1]") "}", "an empty name", 1, -1, LOCI_E_CHECKPOINT},
        {"{\"\\u001b[31m\":" T("U8", "[1]", "[0,1]") "}", "a control character", 1, -1, LOCI_E_CHECKPOINT},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        loci_status status = open_and_close(put(cases[i].header, cases[i].data, cases[i].length));
        CK_TRUE(status == cases[i].status && strstr(ck_err.msg, cases[i].says), "%s: wanted \"%s\", got %d \"%s\"",
                cases[i].header, cases[i].says, (int)status, ck_err.msg);
    }
}

static void safetensors__takes_scalars_empty_tensors_and_no_tensors(void)
{
    loci_tensors *t = NULL;
    const loci_named *s;
    CU_ASSERT_EQUAL(open_and_close(put("{}", 0, -1)), LOCI_OK);
    CK_OK(loci_tensors_open(&t, put("{\"z\":" T("F32", "[0,5]", "[4,4]") ",\"s\":" T("F32", "[]", "[0,4]") "}", 4, -1),
                            &ck_err));
    s = loci_tensors_find(t, "s");
    CU_ASSERT_TRUE(s && s->ndim == 0 && s->bytes == 4);
    CU_ASSERT_EQUAL(loci_tensors_find(t, "z")->bytes, 0);
    loci_tensors_close(t);
}

/* What the file says about sizes is checked before memory is asked for. */
static void safetensors__a_small_file_cannot_ask_for_much_memory(void)
{
    size_t before = loci_memory_held();
    loci_memory_reset_peak();
    CU_ASSERT_NOT_EQUAL(open_and_close(put("{\"a\":" T("F32", "[1099511627776]", "[0,4398046511104]") "}", 4, -1)),
                        LOCI_OK);
    CU_ASSERT_NOT_EQUAL(open_and_close(put("{}", 0, 16777216)), LOCI_OK);
    CU_ASSERT_NOT_EQUAL(open_and_close(put("{}", 0, INT64_MAX)), LOCI_OK);
    CU_ASSERT_TRUE(loci_memory_peak() - before < 10000);
}

static void safetensors__a_million_brackets_are_refused_without_recursion(void)
{
    char *header = malloc(1000001);
    memset(header, '[', 1000000);
    header[0] = '{';
    header[1000000] = '\0';
    CU_ASSERT_EQUAL(open_and_close(put(header, 0, -1)), LOCI_E_CHECKPOINT);
    CU_ASSERT_PTR_NOT_NULL(strstr(ck_err.msg, "nested deeper"));
    free(header);
}

static void safetensors__names_have_at_most_512_bytes(void)
{
    char name[514];
    loci_named x = {name, loci_u8, 0, {0}, "x", 1};
    memset(name, 'n', 513);
    name[513] = '\0';
    loci_error_clear(&ck_err);
    CU_ASSERT_EQUAL(loci_tensors_write(in_folder("long"), &x, 1, NULL, &ck_err), LOCI_E_ARG);
    name[512] = '\0';
    loci_error_clear(&ck_err);
    CK_OK(loci_tensors_write(in_folder("long"), &x, 1, NULL, &ck_err));
    CU_ASSERT_EQUAL(open_and_close(in_folder("long")), LOCI_OK);
}

static void safetensors__writes_nothing_that_it_would_not_read(void)
{
    static const float f[4] = {0};
    const loci_named bad[] = {
        {"", loci_f32, 1, {4}, f, 16},
        {"a\nb", loci_f32, 1, {4}, f, 16},
        {"a", loci_f32, 1, {4}, f, 12},
        {"a", loci_f32, 1, {-4}, f, 16},
        {"a", loci_f32, 9, {4}, f, 16},
        {"a", {7, 3, 1}, 1, {4}, f, 16},
        {"a\xff", loci_f32, 1, {4}, f, 16},
        {"a", loci_f32, 1, {4}, NULL, 16},
        {"__metadata__", loci_f32, 1, {4}, f, 16},
    };
    const loci_named twice[] = {{"a", loci_f32, 1, {4}, f, 16}, {"a", loci_f32, 1, {4}, f, 16}};
    const char *const meta[] = {"k", "v", "k", "w", NULL}, *const not_text[] = {"k", "\xc0\x80", NULL};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        loci_error_clear(&ck_err);
        CK_TRUE(loci_tensors_write(in_folder("never"), &bad[i], 1, NULL, &ck_err) == LOCI_E_ARG, "case %zu", i);
    }
    CU_ASSERT_EQUAL(loci_tensors_write(in_folder("never"), twice, 2, NULL, NULL), LOCI_E_ARG);
    CU_ASSERT_EQUAL(loci_tensors_write(in_folder("never"), twice, 1, meta, NULL), LOCI_E_ARG);
    CU_ASSERT_EQUAL(loci_tensors_write(in_folder("never"), twice, 1, not_text, NULL), LOCI_E_ARG);
    CU_ASSERT_EQUAL(loci_tensors_write(in_folder("never"), twice, LOCI_MAX_TENSORS + 1, NULL, NULL), LOCI_E_ARG);
    CU_ASSERT_NOT_EQUAL(access(in_folder("never"), F_OK), 0);
}

static void safetensors__many_tensors_are_found_by_name(void)
{
    enum { N = 20000 };
    loci_named *list = calloc(N, sizeof *list);
    char(*names)[24] = calloc(N, sizeof *names);
    loci_tensors *t = NULL;
    for (int i = 0; i < N; i++) {
        (void)snprintf(names[i], sizeof names[i], "layer.%d.w", (i * 7919) % N);
        list[i] = (loci_named){names[i], loci_u8, 0, {0}, names[i] + 6, 1};
    }
    CK_OK(loci_tensors_write(in_folder("many"), list, N, NULL, &ck_err));
    CK_OK(loci_tensors_open(&t, in_folder("many"), &ck_err));
    for (int i = 0; i < N; i++) {
        const loci_named *x = loci_tensors_find(t, names[i]);
        CU_ASSERT_TRUE_FATAL(x && *(const char *)x->data == names[i][6]);
    }
    loci_tensors_close(t);
    free(list);
    free(names);
}

/* ---- npy, npz, the corpus ------------------------------------------------------------------------------------------
 */

static const char *corpus(const char *name)
{
    static char path[4096];
    const char *src = getenv("LOCI_TEST_SRC");
    (void)snprintf(path, sizeof path, "%s/tests/fuzz/tensors/%s", src ? src : ".", name);
    return path;
}

static void corpus__every_good_file_opens_and_every_bad_one_is_refused(void)
{
    DIR *dir = opendir(corpus(""));
    int good = 0, bad = 0;
    CU_ASSERT_PTR_NOT_NULL_FATAL(dir);
    for (struct dirent *e; (e = readdir(dir));) {
        loci_status status;
        if (e->d_name[0] == '.')
            continue;
        status = open_and_close(corpus(e->d_name));
        if (strncmp(e->d_name, "good-", 5) == 0) {
            good++;
            CK_TRUE(status == LOCI_OK, "%s: %s", e->d_name, ck_err.msg);
        } else {
            bad++;
            CK_TRUE((status == LOCI_E_CHECKPOINT || status == LOCI_E_UNSUPPORTED) && strstr(ck_err.msg, e->d_name),
                    "%s: %d %s", e->d_name, (int)status, ck_err.msg);
        }
    }
    closedir(dir);
    CU_ASSERT_TRUE(good >= 14 && bad >= 71);
}

static void npy__is_named_after_its_file(void)
{
    loci_tensors *t = NULL;
    const loci_named *x;
    CK_OK(loci_tensors_open(&t, corpus("good-v1.npy"), &ck_err));
    x = loci_tensors_find(t, "good-v1");
    CU_ASSERT_PTR_NOT_NULL_FATAL(x);
    CU_ASSERT_TRUE(x->ndim == 2 && x->shape[0] == 2 && x->shape[1] == 3 && loci_dtype_is(x->dtype, loci_f32));
    for (int i = 0; i < 6; i++)
        CU_ASSERT_EQUAL(((const float *)x->data)[i], (float)i + 1);
    loci_tensors_close(t);
}

static void npz__has_its_arrays_by_name(void)
{
    loci_tensors *t = NULL;
    const loci_named *x;
    CK_OK(loci_tensors_open(&t, corpus("good-savez.npz"), &ck_err));
    CU_ASSERT_EQUAL(loci_tensors_n(t), 2);
    x = loci_tensors_find(t, "sub/b");
    CU_ASSERT_TRUE_FATAL(x && x->bytes == 4);
    CU_ASSERT_EQUAL(memcmp(x->data, "wxyz", 4), 0);
    x = loci_tensors_find(t, "a");
    CU_ASSERT_TRUE(x && x->bytes == 24 && ((const float *)x->data)[5] == 6);
    loci_tensors_close(t);
}

static void foreign_files__are_refused_with_the_remedy(void)
{
    static const struct {
        const char *name, *says;
    } cases[] = {
        {"bad-compressed.npz", "use numpy.savez in place of savez_compressed"},
        {"bad-other-entry.npz", "save it as safetensors"},
        {"bad-object.npy", "python objects, which hold code"},
        {"bad-big-endian.npy", "astype('<f4')"},
        {"bad-fortran.npy", "numpy.ascontiguousarray"},
        {"bad-pickle.pkl", "a python pickle, which holds code"},
        {"bad-gguf.gguf", "convert it to safetensors"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        CU_ASSERT_EQUAL(open_and_close(corpus(cases[i].name)), LOCI_E_UNSUPPORTED);
        CK_TRUE(strstr(ck_err.msg, cases[i].says) != NULL, "%s: %s", cases[i].name, ck_err.msg);
    }
}

static void open__refuses_what_is_no_regular_file(void)
{
    CU_ASSERT_EQUAL(open_and_close(in_folder("absent")), LOCI_E_IO);
    CU_ASSERT_EQUAL(open_and_close(in_folder(".")), LOCI_E_IO);
    CU_ASSERT_EQUAL(open_and_close("/dev/zero"), LOCI_E_IO);
    CU_ASSERT_PTR_NOT_NULL(strstr(ck_err.msg, "not a regular file"));
    CU_ASSERT_EQUAL(mkfifo(in_folder("fifo"), 0600), 0);
    CU_ASSERT_EQUAL(open_and_close(in_folder("fifo")), LOCI_E_IO); /* and does not wait for a writer */
}

/* ---- running out of memory ------------------------------------------------------------------------------------------
 */

/* Let each allocation in turn fail: a status, nothing lost, and success once all are granted. jansson calls some of its
 * own failures malformed text (json.h). */
static void torture(const char *what, bool jansson_too, loci_status (*run)(loci_error *err))
{
    size_t held = loci_memory_held();
    loci_status status;
    long n = 0;
    do {
        loci_error err = LOCI_ERROR_INIT;
        loci_memory_fail_at(++n);
        status = run(&err);
        loci_memory_fail_at(0);
        CK_TRUE(status == LOCI_OK || status == LOCI_E_NOMEM || (jansson_too && status == LOCI_E_CHECKPOINT),
                "%s: allocation %ld: %d %s", what, n, (int)status, err.msg);
        CK_TRUE((status == LOCI_OK) == (err.msg[0] == '\0'), "%s: allocation %ld: message \"%s\"", what, n, err.msg);
        CK_TRUE(loci_memory_held() == held, "%s: allocation %ld: memory lost", what, n);
    } while (status != LOCI_OK && n < 10000);
    CK_TRUE(n > 3, "%s: only %ld allocations", what, n);
}

static loci_status open_it(const char *path, loci_error *err)
{
    loci_tensors *t = NULL;
    loci_status status = loci_tensors_open(&t, path, err);
    loci_tensors_close(t);
    return status;
}

static loci_status open_safetensors(loci_error *err)
{
    return open_it(corpus("good-plain.safetensors"), err);
}

static loci_status open_npy(loci_error *err)
{
    return open_it(corpus("good-v1.npy"), err);
}

static loci_status open_npz(loci_error *err)
{
    return open_it(corpus("good-savez.npz"), err);
}

static loci_status write_safetensors(loci_error *err)
{
    static const float f[4] = {0};
    const loci_named list[] = {{"a", loci_f32, 2, {2, 2}, f, 16}, {"b", loci_f32, 1, {4}, f, 16}};
    const char *const meta[] = {"k", "v", NULL};
    return loci_tensors_write(in_folder("torture"), list, 2, meta, err);
}

static void torture_all(bool jansson_too)
{
    torture("open safetensors", jansson_too, open_safetensors);
    torture("open npy", jansson_too, open_npy);
    torture("open npz", jansson_too, open_npz);
    torture("write safetensors", jansson_too, write_safetensors);
}

static void memory__every_allocation_may_fail(void)
{
    json_malloc_t old_malloc;
    json_free_t old_free;
    torture_all(false);
    json_get_alloc_funcs(&old_malloc, &old_free);
    json_set_alloc_funcs(loci_alloc, loci_free);
    torture_all(true);
    json_set_alloc_funcs(old_malloc, old_free);
}

/* ---- views ---- */

static void view__is_row_major(void)
{
    loci_view v;
    const loci_device cpu = {LOCI_CPU, 0};
    loci_tensor *t = loci_view_set(&v, &v, cpu, loci_f32, 3, (int64_t[]){2, 3, 4});
    CU_ASSERT_TRUE(t->strides[0] == 12 && t->strides[1] == 4 && t->strides[2] == 1);
    CU_ASSERT_EQUAL(loci_elements(t), 24);
    t = loci_view_set(&v, NULL, cpu, loci_bf16, 2, (int64_t[]){0, 5});
    CU_ASSERT_TRUE(t->strides[0] == 5 && loci_elements(t) == 0);
    t = loci_view_set(&v, &v, cpu, loci_f64, 0, NULL);
    CU_ASSERT_EQUAL(loci_elements(t), 1);
}

static void shape_bytes__never_wrap(void)
{
    uint64_t n = 7;
    CU_ASSERT_TRUE(loci_shape_bytes(&n, loci_f32, 2, (int64_t[]){3, 5}) && n == 60);
    CU_ASSERT_TRUE(loci_shape_bytes(&n, loci_f32, 0, NULL) && n == 4);
    CU_ASSERT_TRUE(loci_shape_bytes(&n, loci_f32, 2, (int64_t[]){0, INT64_MAX / 4}) && n == 0);
    CU_ASSERT_FALSE(loci_shape_bytes(&n, loci_f32, 1, (int64_t[]){INT64_MAX}));
    CU_ASSERT_FALSE(loci_shape_bytes(&n, loci_u8, 3, (int64_t[]){INT64_MAX, INT64_MAX, 0}));
    CU_ASSERT_FALSE(loci_shape_bytes(&n, loci_u8, 1, (int64_t[]){-1}));
    CU_ASSERT_FALSE(loci_shape_bytes(&n, loci_u8, 9, (int64_t[]){1, 1, 1, 1, 1, 1, 1, 1, 1}));
    CU_ASSERT_FALSE(loci_shape_bytes(&n, loci_u8, -1, NULL));
}

static void the_folder_of_these_tests__can_be_removed(void)
{
    (void)in_folder("");
    CK_OK(loci_folder_remove(folder, &ck_err));
    CU_ASSERT_NOT_EQUAL(access(folder, F_OK), 0);
    CU_ASSERT_EQUAL(loci_memory_held(), 0);
}

/* loci_tensors_check reads in pieces of a MiB: here one and a bit. */
static void check__says_what_open_says_and_keeps_nothing(void)
{
    const size_t bytes = (1 << 20) + 4096;
    char *zeros = calloc(1, bytes);
    loci_named x = {.name = "x", .dtype = loci_f32, .ndim = 1, .shape = {(int64_t)bytes / 4}, .bytes = bytes, .data = zeros};
    loci_tensors *t = NULL;

    CU_ASSERT_PTR_NOT_NULL_FATAL(zeros);
    CK_OK(loci_tensors_write(in_folder("checked"), &x, 1, NULL, &ck_err));
    CK_OK(loci_tensors_check(in_folder("checked"), &ck_err));
    CU_ASSERT_EQUAL(truncate(in_folder("checked"), (off_t)bytes), 0);
    CU_ASSERT_EQUAL(loci_tensors_open(&t, in_folder("checked"), NULL), LOCI_E_CHECKPOINT);
    CU_ASSERT_EQUAL(loci_tensors_check(in_folder("checked"), NULL), LOCI_E_CHECKPOINT);
    CU_ASSERT_EQUAL(truncate(in_folder("checked"), 8), 0);
    CU_ASSERT_EQUAL(loci_tensors_check(in_folder("checked"), NULL), LOCI_E_CHECKPOINT);
    CU_ASSERT_EQUAL(loci_tensors_check(in_folder("nowhere"), NULL), LOCI_E_IO);
    free(zeros);
}

#define TESTS(X) \
    X(check__says_what_open_says_and_keeps_nothing) \
    X(safetensors__round_trips_every_dtype) \
    X(safetensors__written_files_are_sorted_aligned_and_repeatable) \
    X(safetensors__says_what_is_wrong) \
    X(safetensors__takes_scalars_empty_tensors_and_no_tensors) \
    X(safetensors__a_small_file_cannot_ask_for_much_memory) \
    X(safetensors__a_million_brackets_are_refused_without_recursion) \
    X(safetensors__names_have_at_most_512_bytes) \
    X(safetensors__writes_nothing_that_it_would_not_read) \
    X(safetensors__many_tensors_are_found_by_name) \
    X(corpus__every_good_file_opens_and_every_bad_one_is_refused) \
    X(npy__is_named_after_its_file) \
    X(npz__has_its_arrays_by_name) \
    X(foreign_files__are_refused_with_the_remedy) \
    X(open__refuses_what_is_no_regular_file) \
    X(memory__every_allocation_may_fail) \
    X(view__is_row_major) \
    X(shape_bytes__never_wrap) \
    X(the_folder_of_these_tests__can_be_removed)

CK_MAIN("tensor", TESTS)
