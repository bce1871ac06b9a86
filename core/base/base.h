/* SPDX-License-Identifier: Apache-2.0
 *
 * core/base: what every part of the library uses: errors that travel, memory that is counted, sizes that cannot wrap.
 *
 *  (1) The first function to decide that something is an error says so, with loci_fail; the others pass it up.
 *  (2) All memory of the library comes from loci_alloc, so that a run knows its peak and a test can make the n-th
 *      allocation fail.
 *  (3) Sizes that come from a file or a config go through loci_mul and loci_add.
 */
#ifndef LOCI_CORE_BASE_H
#define LOCI_CORE_BASE_H

#include <loci/plugin.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

/* Fill err (NULL is allowed) unless it holds an earlier failure, and return code. */
loci_status loci_fail(loci_error *err, loci_status code, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
/* Put "text: " before the message an inner function left. */
loci_status loci_fail_in(loci_error *err, loci_status code, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
void loci_error_clear(loci_error *err);

/* The one macro that hides a jump: a function has `loci_status status` and one label `out`. */
#define LOCI_TRY(call) \
    do { \
        status = (call); \
        if (status != LOCI_OK) \
            goto out; \
    } while (0)

/* Counted, zeroed, 64-byte aligned memory. NULL only when there is none (or a test says so); size 0 gives a pointer. */
void *loci_alloc(size_t bytes);
void *loci_realloc(void *old, size_t bytes); /* new bytes are zero */
void loci_free(void *p);                     /* accepts NULL       */
char *loci_strdup(const char *s);
char *loci_format(const char *fmt, ...) __attribute__((format(printf, 1, 2))); /* loci_free it */

/* Bytes held now, and the largest number held since the last reset. */
size_t loci_memory_held(void);
size_t loci_memory_peak(void);
void loci_memory_reset_peak(void);
/* Tests: let the n-th allocation from now fail (1: the next); 0: none. */
void loci_memory_fail_at(long n);

/* *out = a * b, a + b; false and *out untouched when that does not fit. */
bool loci_mul(uint64_t *out, uint64_t a, uint64_t b);
bool loci_add(uint64_t *out, uint64_t a, uint64_t b);
static inline uint64_t loci_align64(uint64_t n)
{
    return (n + 63) & ~UINT64_C(63);
}

/* Where messages go; the library prints nothing itself. level: LOCI_LOG_*. */
typedef void (*loci_log_fn)(void *arg, int32_t level, const char *module, const char *msg);
void loci_log_to(loci_log_fn fn, void *arg);
void loci_log(int32_t level, const char *module, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

/* Growing text, NUL-terminated; failed is set once memory ran out and later calls do nothing. */
typedef struct loci_text {
    char *at;
    size_t len, cap;
    bool failed;
} loci_text;
void loci_text_add(loci_text *t, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void loci_text_bytes(loci_text *t, const char *bytes, size_t n);
void loci_text_free(loci_text *t);

/* Edit distance of at most `most`, else most + 1. For "did you mean". */
unsigned loci_distance(const char *a, const char *b, unsigned most);

double loci_seconds(void); /* monotonic */

#endif
