/* SPDX-License-Identifier: Apache-2.0
 *
 * tests/abi/assert.h: what the lines of a ledger (draft_N.inc) assert, in C11 and in C++11.
 *
 *  (1) A struct that grows has at least its size of that draft, which is the end of its last member then; a frozen one has
 *      exactly its size.
 *  (2) A member has its place, its size and its type; a function pointer's type is that of every argument.
 *  (3) Each broken line says which of the four words it breaks: size, place, type, constant.
 */
#ifndef LOCI_TESTS_ABI_ASSERT_H
#define LOCI_TESTS_ABI_ASSERT_H

#include <loci/device.h>
#include <loci/ops.h>
#include <loci/plugin.h>
#include <loci/scan.h>

#ifdef __cplusplus
#include <type_traits>
#define ASSERT(what, says) static_assert(what, says)
#define MEMBER_IS(type, member, ...) (std::is_same<decltype(type::member), __VA_ARGS__>::value)
#define SAME(type, ...) (std::is_same<type, __VA_ARGS__>::value)
#else
#define ASSERT(what, says) _Static_assert(what, says)
/* Pointers to both, as an array would decay. */
#define MEMBER_IS(type, member, ...) _Generic(&((type *)0)->member, __typeof__(__VA_ARGS__) * : 1, default : 0)
#define SAME(type, ...) _Generic((type *)0, __typeof__(__VA_ARGS__) * : 1, default : 0)
#endif

#define GROWS(type, bytes) ASSERT(sizeof(type) >= (bytes), "ledger: size of " #type);
#define FROZEN(type, bytes) ASSERT(sizeof(type) == (bytes), "ledger: size of " #type);
#define MEMBER(type, member, at, bytes, ...) \
    ASSERT(offsetof(type, member) == (at), "ledger: place of " #type "." #member); \
    ASSERT(sizeof(((type *)0)->member) == (bytes), "ledger: size of " #type "." #member); \
    ASSERT(MEMBER_IS(type, member, __VA_ARGS__), "ledger: type of " #type "." #member);
#define ALIAS(type, ...) ASSERT(SAME(type, __VA_ARGS__), "ledger: type of " #type);
#define NUMBER(name, value) ASSERT((name) == (value), "ledger: constant " #name);
#define TEXT(name, value) ASSERT(__builtin_strcmp(name, value) == 0, "ledger: constant " #name);

#endif
