/* SPDX-License-Identifier: Apache-2.0
 *
 * tests/simt/asan.h: is this a build with AddressSanitizer? It is told of the switches of stacks (fiber.cc), and of
 * what of the card's memory may be touched (rt_simt.c).
 */
#ifndef LOCI_SIMT_ASAN_H
#define LOCI_SIMT_ASAN_H

#if defined(__SANITIZE_ADDRESS__)
#define SIMT_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define SIMT_ASAN 1
#endif
#endif
#ifndef SIMT_ASAN
#define SIMT_ASAN 0
#endif

#if SIMT_ASAN
#include <sanitizer/asan_interface.h>
#else
#define ASAN_POISON_MEMORY_REGION(at, bytes) ((void)(at), (void)(bytes))
#define ASAN_UNPOISON_MEMORY_REGION(at, bytes) ((void)(at), (void)(bytes))
#endif

#endif
