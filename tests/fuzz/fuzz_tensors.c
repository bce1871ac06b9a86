/* SPDX-License-Identifier: Apache-2.0
 *
 * tests/fuzz/fuzz_tensors: any bytes as a tensor file.
 *
 * Whatever is opened must not crash, must take no more memory than the bytes justify, and what was accepted must hold
 * what the readers promise: every tensor readable to its last byte, aligned, of the size that its shape says, found by
 * its name, and writable as safetensors that read back to the same.
 *
 *     clang -fsanitize=fuzzer,address -DLOCI_FUZZER ... && ./fuzz_tensors tests/fuzz/tensors
 *
 * Without LOCI_FUZZER it is a program: it takes files and folders (without arguments: the corpus beside it), tries each
 * file as it is, cut short, and in 20000 repeatable mutations in all.
 */
#include "core/tensor/file.h"

#include <dirent.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

enum { MUTATIONS = 20000, FILES_MAX = 1000, REWRITE_MAX = 64 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool truth, const char *what, const char *detail)
{
    if (!truth) {
        fprintf(stderr, "%s: %s\n", what, detail);
        abort();
    }
}

static volatile unsigned sum; /* so that no read is left out */

static void check_tensor(const loci_tensors *t, uint32_t i)
{
    const loci_named *x = loci_tensors_at(t, i);
    uint64_t bytes = 0;
    must(x->name && x->name[0] && strlen(x->name) <= LOCI_MAX_TENSOR_NAME, "a name out of bounds", "");
    must(loci_tensors_find(t, x->name) == x, "not found by its name", x->name);
    must(strcmp(loci_dtype_name(x->dtype), "?") != 0, "an unknown dtype", x->name);
    must(loci_shape_bytes(&bytes, x->dtype, x->ndim, x->shape) && bytes == x->bytes, "a wrong size", x->name);
    must((uintptr_t)x->data % 64 == 0, "not aligned", x->name);
    for (uint64_t b = 0; b < x->bytes; b++)
        sum += ((const unsigned char *)x->data)[b];
}

static void rewrite(const loci_tensors *t)
{
    char path[64];
    loci_named list[REWRITE_MAX];
    uint32_t n = loci_tensors_n(t);
    loci_error err = LOCI_ERROR_INIT;
    loci_tensors *again = NULL;
    if (n > REWRITE_MAX)
        return;
    for (uint32_t i = 0; i < n; i++)
        list[i] = *loci_tensors_at(t, i);
    (void)snprintf(path, sizeof path, "/dev/shm/loci-fuzz-%ld", (long)getpid());
    if (access("/dev/shm", W_OK) != 0)
        return;
    must(loci_tensors_write(path, list, n, NULL, &err) == LOCI_OK, "cannot be written", err.msg);
    must(loci_tensors_open(&again, path, &err) == LOCI_OK, "cannot be read back", err.msg);
    (void)unlink(path);
    must(loci_tensors_n(again) == n, "tensors lost", "");
    for (uint32_t i = 0; i < n; i++) {
        const loci_named *x = loci_tensors_find(again, list[i].name);
        must(x && x->bytes == list[i].bytes && memcmp(x->data, list[i].data, x->bytes) == 0, "changed", list[i].name);
    }
    loci_tensors_close(again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static unsigned opened;
    loci_error err = LOCI_ERROR_INIT;
    loci_tensors *t = NULL;
    char path[64];
    loci_status status;
    int fd = memfd_create("fuzz", MFD_CLOEXEC);
    if (fd < 0 || write(fd, data, size) != (ssize_t)size)
        abort();
    (void)snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    loci_memory_reset_peak();
    status = loci_tensors_open(&t, path, &err);
    must(status <= LOCI_OK, "not a status", path);
    must((status == LOCI_OK) == (err.msg[0] == '\0'), "status and message disagree", err.msg);
    must(!strchr(err.msg, '\n') && !strchr(err.msg, '\033'), "a message with control characters", "");
    must(loci_memory_peak() <= 40 * size + 100000, "too much memory for a small file", err.msg);
    if (status == LOCI_OK) {
        for (uint32_t i = 0; i < loci_tensors_n(t); i++)
            check_tensor(t, i);
        if (opened++ % 8 == 0)
            rewrite(t);
        loci_tensors_close(t);
    }
    close(fd);
    must(loci_memory_held() == 0, "memory lost", "");
    return 0;
}

#ifndef LOCI_FUZZER
typedef struct file {
    uint8_t *data;
    size_t size;
} file;

static file files[FILES_MAX];
static unsigned n_files;
static uint64_t state = 1;

static size_t below(size_t n)
{
    state = state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return n ? (size_t)((state >> 20) % n) : 0;
}

/* Make the length of the header right again, or most inputs would die there: it ends with the last '}' or line end. */
static void repair(uint8_t *out, size_t n)
{
    bool npy = n > 12 && memcmp(out, "\x93NUMPY", 6) == 0;
    const uint8_t *end = n > 12 ? memrchr(out, npy ? '\n' : '}', n) : NULL;
    size_t lead = npy ? (out[6] == 1 ? 10 : 12) : 8, len = end ? (size_t)(end - out) + 1 : 0;
    if (len < lead || memcmp(out, "PK", 2) == 0)
        return;
    for (size_t i = npy ? 8 : 0, left = len - lead; i < lead; i++, left >>= 8)
        out[i] = (uint8_t)left;
}

/* A few changes of the kinds that break parsers: odd bytes, odd numbers, pieces doubled, removed or taken from
 * elsewhere. */
static size_t mutate(uint8_t *out, size_t cap, const file *from)
{
    static const char odd[] = "{}[]\":,0123456789-.eE\\u \xff\x80PK'()TF";
    static const uint64_t edges[] = {
        0, 1, 7, 0x7f, 0xff, 0xffff, 0x7fffffff, 0xffffffff, 1 + UINT64_C(0xffffffff), INT64_MAX, UINT64_MAX, 1 << 24};
    size_t n = from->size;
    memcpy(out, from->data, n);
    for (size_t changes = 1 + below(4); changes > 0; changes--) {
        size_t at = below(n), len = below(n - at < 24 ? n - at : 24), kind = below(8);
        const file *other = &files[below(n_files)];
        if (kind == 0 && n) {
            out[at] = (uint8_t)odd[below(sizeof odd - 1)];
        } else if (kind == 1 && n) {
            out[at] ^= (uint8_t)(1 << below(8));
        } else if (kind == 2 && n - at >= 8) {
            memcpy(out + at, &edges[below(sizeof edges / sizeof *edges)], below(2) ? 8 : 4);
        } else if (kind == 3) {
            memmove(out + at, out + at + len, n - at - len);
            n -= len;
        } else if (kind == 4 && below(2) && n + len <= cap) {
            memmove(out + at + len, out + at, n - at);
            n += len;
        } else if (kind >= 5 && n) { /* another digit, the commonest way to a wrong size */
            for (; at < n && (out[at] < '0' || out[at] > '9'); at++)
                ;
            if (at < n)
                out[at] = (uint8_t)('0' + below(10));
        } else if (other->size) {
            size_t from_at = below(other->size);
            len = len < other->size - from_at ? len : other->size - from_at;
            memcpy(out + at, other->data + from_at, len < n - at ? len : n - at);
        }
    }
    if (below(8))
        repair(out, n);
    return n;
}

static int load(const char *path)
{
    struct stat st;
    file *f = &files[n_files];
    FILE *in;
    int bad = 0;
    if (stat(path, &st) != 0 || n_files == FILES_MAX) {
        perror(path);
        return 1;
    }
    if (S_ISDIR(st.st_mode)) {
        struct dirent **list;
        int n = scandir(path, &list, NULL, alphasort);
        for (int i = 0; i < n; i++) {
            char name[4096];
            (void)snprintf(name, sizeof name, "%s/%s", path, list[i]->d_name);
            if (list[i]->d_name[0] != '.')
                bad |= load(name);
            free(list[i]);
        }
        if (n >= 0)
            free(list);
        return bad || n < 0;
    }
    in = fopen(path, "rb");
    f->size = (size_t)st.st_size;
    f->data = malloc(f->size + 1);
    n_files++;
    if (!in || !f->data || fread(f->data, 1, f->size, in) != f->size) {
        perror(path);
        bad = 1;
    }
    if (in)
        fclose(in);
    return bad;
}

int main(int argc, char **argv)
{
    const char *src = getenv("LOCI_TEST_SRC");
    char corpus[4096];
    unsigned long tried = 0;
    size_t cap = 0;
    uint8_t *copy;
    int bad = 0;

    (void)snprintf(corpus, sizeof corpus, "%s/tests/fuzz/tensors", src ? src : ".");
    if (argc < 2)
        bad = load(corpus);
    for (int i = 1; i < argc; i++)
        bad |= load(argv[i]);
    for (unsigned i = 0; i < n_files; i++)
        cap = files[i].size > cap ? files[i].size : cap;
    cap += 256;
    copy = malloc(cap);
    if (bad || !copy || n_files == 0)
        return 1;
    for (unsigned i = 0; i < n_files; i++) {
        LLVMFuzzerTestOneInput(files[i].data, files[i].size);
        for (size_t n = 0; n < files[i].size; n += 1 + files[i].size / 64, tried++)
            LLVMFuzzerTestOneInput(files[i].data, n);
    }
    for (unsigned i = 0; i < MUTATIONS; i++, tried++) {
        size_t n = mutate(copy, cap, &files[i % n_files]);
        LLVMFuzzerTestOneInput(copy, n);
    }
    printf("%lu inputs from %u files\n", tried + n_files, n_files);
    for (unsigned i = 0; i < n_files; i++)
        free(files[i].data);
    free(copy);
    return 0;
}
#endif
