/* SPDX-License-Identifier: Apache-2.0
 *
 * plugins/attn_cuda/rt: all that the device asks of the CUDA runtime.
 *
 *  (1) rt_cuda.c is the runtime itself, linked statically: the plugin loads where there is no driver, and rt_probe says
 *      in words what is missing. tests/simt/rt_simt.c is the same on the host, for tests.
 *  (2) A function returns NULL, or what the runtime says of a failure: a text that is never freed.
 *  (3) Kernels are launched by gpu.h. Work goes into `stream` in order. NULL is the default stream, on which a host
 * that names none computes.
 */
#ifndef LOCI_ATTN_CUDA_RT_H
#define LOCI_ATTN_CUDA_RT_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct rt_card {
    char name[128];
    int major, minor; /* compute capability */
    int processors;   /* streaming multiprocessors */
    uint64_t memory;
} rt_card;

/* The card of ordinal 0, which the device then is. */
const char *rt_probe(rt_card *card);

/* Device memory, 64-byte aligned. *p is NULL after a failure. */
const char *rt_malloc(void **p, uint64_t bytes);
void rt_free(void *p);
/* Host memory that the card reads by itself. */
const char *rt_pinned(void **p, uint64_t bytes);
void rt_unpin(void *p);

const char *rt_zero(void *stream, void *dst, uint64_t bytes);
const char *rt_copy(void *stream, void *dst, const void *src, uint64_t bytes);     /* within the device */
const char *rt_up(void *stream, void *dst, const void *src, uint64_t bytes);       /* src may change after the return */
const char *rt_stage(void *stream, void *dst, const void *pinned, uint64_t bytes); /* returns at once */
const char *rt_down(void *stream, void *dst, const void *src, uint64_t bytes);     /* has finished when it returns */
const char *rt_wait(void *stream);

/* What a launch that gave e says; NULL for 0. */
const char *rt_error(int e);

/* A mark in a stream, and waiting until the card has passed it. */
const char *rt_mark_new(void **mark);
void rt_mark_free(void *mark);
const char *rt_mark(void *mark, void *stream);
const char *rt_mark_wait(void *mark);

#ifdef __cplusplus
}
#endif
#endif
