/* SPDX-License-Identifier: Apache-2.0
 *
 * tests/simt/card.h: the device `cuda`, run by fibers, in place of the CPU device of tests/unit/host.h, which includes
 * this when CK_CARD is defined. So the tests of loci.ops/1 and loci.scan/1 are those of the CPU: what they call the
 * device memory of a call is ordinary memory, which kernels under the shim read as well.
 *
 * With CK_CARD_BLAS products are those of tests/simt/cublas.c, found by its name as cuBLAS would be, and a program that
 * never asked it for one fails. Every device that is opened runs in the next of the schedules. ck_on_card 0 gives the
 * CPU device again: the reference that float32 is judged by.
 */
#ifndef LOCI_SIMT_CARD_H
#define LOCI_SIMT_CARD_H

#include <loci/device.h>
#include "core/device/cpu.h"
#include "tests/simt/schedule.h"

extern const loci_class loci_device_cuda_class;
static int ck_on_card __attribute__((unused)) = 1;

#ifdef CK_CARD_BLAS
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static void ck_blas_used(void)
{
    void *blas = dlopen("libcublas_simt.so", RTLD_NOW | RTLD_NOLOAD);
    long (*products)(void) = blas ? (long (*)(void))dlsym(blas, "cublas_products") : NULL;

    if (products && products() > 0)
        return;
    fprintf(stderr, "card: no product went through cuBLAS\n");
    _exit(1);
}

/* Loaded by its path, it is then found by its name. */
static void ck_blas_load(void)
{
    char path[4096];

    snprintf(path, sizeof path, "%s/tests/simt/.libs/libcublas_simt.so", getenv("LOCI_TEST_BUILD"));
    if (!dlopen(path, RTLD_NOW | RTLD_LOCAL))
        fprintf(stderr, "card: %s\n", dlerror());
    atexit(ck_blas_used);
}
#endif

static inline loci_status ck_card_open(const loci_host *host, loci_module **dev, const loci_device_class **cls,
                                       int threads, loci_error *err)
{
    static int opened;
    int level;
    loci_status status = loci_cpu_level(&level, err); /* refuses what LOCI_CPU must not be */

    if (status != LOCI_OK || !ck_on_card)
        return status == LOCI_OK ? loci_cpu_open(dev, cls, threads, err) : status;
    *cls = loci_device_cuda_class.iface;
#ifdef CK_CARD_BLAS
    if (!opened)
        ck_blas_load();
#endif
    opened++;
    simt_schedule(opened % SIMT_SCHEDULES, (uint64_t)opened);
    return loci_device_cuda_class.create(host, NULL, NULL, NULL, dev, err);
}

static inline void ck_card_close(const loci_device_class *cls, loci_module *dev)
{
    if (cls == loci_device_cuda_class.iface)
        loci_device_cuda_class.destroy(dev);
    else
        loci_cpu_close(dev);
}

#endif
