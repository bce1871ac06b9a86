/* SPDX-License-Identifier: Apache-2.0
 *
 * core/base: errors, counted memory, checked sizes, messages, growing text.
 *
 * A block of counted memory is what calloc gave, with a head just before the aligned pointer that the caller gets:
 *
 *     base ... padding ... | head {size, base} | p, a multiple of 64 ... p + size
 *
 *  (1) calloc, not aligned_alloc and memset: fresh pages are zero already, and large weights stay untouched until used.
 *  (2) Nothing is rounded up behind p + size, so that a sanitizer sees the first byte out of bounds. A block of size 0
 *      still owns one byte: p must lie inside what calloc gave, or a leak checker does not find it.
 *  (3) The counters are atomic; peak is raised by compare and swap. The numbers are exact for the bytes asked for and
 *      do not include heads.
 */
#include "core/base/base.h"

#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

/* ---- errors ---------------------------------------------------------------------------------------------------- */

/* msg := text, cut at a whole UTF-8 character with "..." behind it when it does not fit. */
static void set_msg(loci_error *err, const char *text, int wanted)
{
    size_t cap = sizeof err->msg, n = strlen(text);
    if (n >= cap || wanted < 0 || (size_t)wanted > n) {
        n = n < cap - 4 ? n : cap - 4;
        while (n > 0 && ((unsigned char)text[n] & 0xC0) == 0x80)
            n--;
        memcpy(err->msg, text, n);
        memcpy(err->msg + n, "...", 4);
        return;
    }
    memcpy(err->msg, text, n + 1);
}

/* The message is formatted aside first: its arguments may point into err->msg. */
static void fill(loci_error *err, loci_status code, const char *fmt, va_list args)
{
    char text[sizeof err->msg];
    int wanted = vsnprintf(text, sizeof text, fmt, args);
    if (wanted < 0)
        text[0] = '\0';
    if (LOCI_HAS(err, loci_error, code))
        err->code = code;
    if (LOCI_HAS(err, loci_error, where))
        err->where = NULL;
    if (LOCI_HAS(err, loci_error, msg))
        set_msg(err, text, wanted);
}

loci_status loci_fail(loci_error *err, loci_status code, const char *fmt, ...)
{
    va_list args;
    if (!err || (LOCI_HAS(err, loci_error, code) && err->code != LOCI_OK))
        return code;
    va_start(args, fmt);
    fill(err, code, fmt, args);
    va_end(args);
    return code;
}

loci_status loci_fail_in(loci_error *err, loci_status code, const char *fmt, ...)
{
    va_list args;
    if (!err)
        return code;
    va_start(args, fmt);
    if (LOCI_HAS(err, loci_error, msg) && err->code != LOCI_OK) {
        char text[2 * sizeof err->msg + 3];
        int n = vsnprintf(text, sizeof err->msg, fmt, args);
        size_t at = n < 0 ? 0 : strlen(text);
        (void)snprintf(text + at, sizeof text - at, ": %s", err->msg);
        set_msg(err, text, (int)strlen(text));
        err->code = code;
    } else {
        fill(err, code, fmt, args);
    }
    va_end(args);
    return code;
}

void loci_error_clear(loci_error *err)
{
    if (LOCI_HAS(err, loci_error, code))
        err->code = LOCI_OK;
    if (LOCI_HAS(err, loci_error, where))
        err->where = NULL;
    if (LOCI_HAS(err, loci_error, msg))
        err->msg[0] = '\0';
}

/* ---- memory ---------------------------------------------------------------------------------------------------- */

typedef struct head {
    size_t bytes;
    void *base;
} head;

enum { ALIGN = 64, LARGE = 4 << 20 };

static atomic_size_t held, peak;
static atomic_long fail_at; /* allocations until one fails; 0: none does */

static bool told_to_fail(void)
{
    long n = atomic_load(&fail_at);
    while (n > 0 && !atomic_compare_exchange_weak(&fail_at, &n, n - 1))
        ;
    return n == 1;
}

static void count(size_t bytes)
{
    size_t now = atomic_fetch_add(&held, bytes) + bytes, high = atomic_load(&peak);
    while (now > high && !atomic_compare_exchange_weak(&peak, &high, now))
        ;
}

static head *head_of(void *p)
{
    return (head *)((char *)p - sizeof(head));
}

/* Rows of weights and states lie kilobytes apart: on pages of 4 KB each takes an entry of the TLB. So the kernel is
 * asked for pages of 2 MB before the memory is touched; where it does not know the word nothing is lost. */
static void ask_for_large_pages(void *base, size_t bytes)
{
#if defined(MADV_HUGEPAGE)
    const uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE), begin = ((uintptr_t)base + page - 1) / page * page;

    if (bytes >= LARGE)
        madvise((void *)begin, ((uintptr_t)base + bytes - begin) / page * page, MADV_HUGEPAGE);
#else
    (void)base, (void)bytes;
#endif
}

void *loci_alloc(size_t bytes)
{
    size_t extra = sizeof(head) + ALIGN - 1;
    char *base, *p;
    if (told_to_fail() || bytes > PTRDIFF_MAX - extra - 1 || !(base = calloc(1, extra + (bytes ? bytes : 1))))
        return NULL;
    ask_for_large_pages(base, bytes);
    p = base + sizeof(head);
    p += (ALIGN - (uintptr_t)p % ALIGN) % ALIGN;
    *head_of(p) = (head){bytes, base};
    count(bytes);
    return p;
}

void *loci_realloc(void *old, size_t bytes)
{
    size_t keep;
    void *p = loci_alloc(bytes);
    if (!p || !old)
        return p;
    keep = head_of(old)->bytes;
    memcpy(p, old, keep < bytes ? keep : bytes);
    loci_free(old);
    return p;
}

void loci_free(void *p)
{
    if (!p)
        return;
    atomic_fetch_sub(&held, head_of(p)->bytes);
    free(head_of(p)->base);
}

char *loci_strdup(const char *s)
{
    size_t n = strlen(s) + 1;
    char *copy = loci_alloc(n);
    return copy ? memcpy(copy, s, n) : NULL;
}

char *loci_format(const char *fmt, ...)
{
    char *text = NULL;
    va_list args;
    int n;
    va_start(args, fmt);
    n = vsnprintf(NULL, 0, fmt, args);
    va_end(args);
    if (n < 0 || !(text = loci_alloc((size_t)n + 1)))
        return NULL;
    va_start(args, fmt);
    (void)vsnprintf(text, (size_t)n + 1, fmt, args);
    va_end(args);
    return text;
}

size_t loci_memory_held(void)
{
    return atomic_load(&held);
}

size_t loci_memory_peak(void)
{
    return atomic_load(&peak);
}

void loci_memory_reset_peak(void)
{
    atomic_store(&peak, 0);
    count(0);
}

void loci_memory_fail_at(long n)
{
    atomic_store(&fail_at, n > 0 ? n : 0);
}

/* ---- sizes ----------------------------------------------------------------------------------------------------- */

bool loci_mul(uint64_t *out, uint64_t a, uint64_t b)
{
    uint64_t r;
    if (__builtin_mul_overflow(a, b, &r))
        return false;
    *out = r;
    return true;
}

bool loci_add(uint64_t *out, uint64_t a, uint64_t b)
{
    uint64_t r;
    if (__builtin_add_overflow(a, b, &r))
        return false;
    *out = r;
    return true;
}

/* ---- messages -------------------------------------------------------------------------------------------------- */

static pthread_mutex_t log_lock = PTHREAD_MUTEX_INITIALIZER; /* guards the pair, not the call: a sink may log */
static loci_log_fn log_fn;
static void *log_arg;

void loci_log_to(loci_log_fn fn, void *arg)
{
    pthread_mutex_lock(&log_lock);
    log_fn = fn;
    log_arg = arg;
    pthread_mutex_unlock(&log_lock);
}

void loci_log(int32_t level, const char *module, const char *fmt, ...)
{
    char brief[1024], *text = brief;
    loci_log_fn fn;
    va_list args;
    void *arg;
    int n;
    pthread_mutex_lock(&log_lock);
    fn = log_fn;
    arg = log_arg;
    pthread_mutex_unlock(&log_lock);
    if (!fn)
        return;
    va_start(args, fmt);
    n = vsnprintf(brief, sizeof brief, fmt, args);
    va_end(args);
    if (n < 0)
        return;
    if ((size_t)n >= sizeof brief && (text = loci_alloc((size_t)n + 1))) {
        va_start(args, fmt);
        (void)vsnprintf(text, (size_t)n + 1, fmt, args);
        va_end(args);
    }
    fn(arg, level, module, text ? text : brief); /* out of memory: the first kilobyte is better than silence */
    if (text != brief)
        loci_free(text);
}

/* ---- growing text ---------------------------------------------------------------------------------------------- */

/* Room for n more bytes and the NUL. */
static bool make_room(loci_text *t, size_t n)
{
    uint64_t want;
    size_t cap = t->cap ? t->cap : 64;
    char *at;
    if (t->failed)
        return false;
    if (!loci_add(&want, t->len, n) || !loci_add(&want, want, 1) || want > PTRDIFF_MAX) {
        t->failed = true;
        return false;
    }
    if (want <= t->cap)
        return true;
    while (cap < want)
        cap *= 2;
    at = loci_realloc(t->at, cap);
    if (!at) {
        t->failed = true;
        return false;
    }
    t->at = at;
    t->cap = cap;
    return true;
}

void loci_text_add(loci_text *t, const char *fmt, ...)
{
    va_list args;
    int n;
    va_start(args, fmt);
    n = vsnprintf(NULL, 0, fmt, args);
    va_end(args);
    if (n < 0) {
        t->failed = true;
        return;
    }
    if (!make_room(t, (size_t)n))
        return;
    va_start(args, fmt);
    (void)vsnprintf(t->at + t->len, (size_t)n + 1, fmt, args);
    va_end(args);
    t->len += (size_t)n;
}

void loci_text_bytes(loci_text *t, const char *bytes, size_t n)
{
    if (!make_room(t, n))
        return;
    if (n > 0)
        memcpy(t->at + t->len, bytes, n);
    t->len += n;
    t->at[t->len] = '\0';
}

void loci_text_free(loci_text *t)
{
    loci_free(t->at);
    *t = (loci_text){0};
}

/* ---- the rest -------------------------------------------------------------------------------------------------- */

static unsigned least(unsigned a, unsigned b)
{
    return a < b ? a : b;
}

/* Levenshtein's distance, one row of the table at a time: row[j] is the distance of a's first i characters and b's
 * first j. A row whose smallest entry is above `most` ends it. */
unsigned loci_distance(const char *a, const char *b, unsigned most)
{
    unsigned small[128], *row = small, result = most + 1;
    size_t na = strlen(a), nb = strlen(b);
    if ((na > nb ? na - nb : nb - na) > most)
        return result;
    if (nb >= sizeof small / sizeof *small && !(row = loci_alloc((nb + 1) * sizeof *row)))
        return result;
    for (size_t j = 0; j <= nb; j++)
        row[j] = (unsigned)j;
    for (size_t i = 1; i <= na; i++) {
        unsigned corner = row[0], best = row[0] = (unsigned)i;
        for (size_t j = 1; j <= nb; j++) {
            unsigned swap = corner + (a[i - 1] != b[j - 1]);
            corner = row[j];
            row[j] = least(swap, least(row[j], row[j - 1]) + 1);
            best = least(best, row[j]);
        }
        if (best > most)
            goto out;
    }
    if (row[nb] <= most)
        result = row[nb];
out:
    if (row != small)
        loci_free(row);
    return result;
}

double loci_seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}
