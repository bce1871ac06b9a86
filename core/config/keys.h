/* SPDX-License-Identifier: Apache-2.0
 *
 * core/config/keys.h: how the keys of loci itself are written down, and the tables that stand in a file of their own.
 */
#ifndef LOCI_CORE_CONFIG_KEYS_H
#define LOCI_CORE_CONFIG_KEYS_H

#include "core/config/conf.h"

/* clang-format off */
#define HEAD(type, name, def, help) sizeof(loci_key), LOCI_KEY_##type, name, def, help
#define INT(name, def, min, max, help) {HEAD(INT, name, def, help), NULL, min, max}
#define REAL(name, def, min, max, help) {HEAD(REAL, name, def, help), NULL, min, max}
#define BOOL(name, def, help) {HEAD(BOOL, name, def, help), NULL, 0, 0}
#define ENUM(name, def, choices, help) {HEAD(ENUM, name, def, help), choices, 0, 0}
#define STR(name, def, help) {HEAD(STR, name, def, help), NULL, 0, 0}
#define PATH(name, help) {HEAD(PATH, name, "", help), NULL, 0, 0}
#define LIST(name, def, help) {HEAD(LIST, name, def, help), NULL, 0, 0}
#define SECTION(name, keys) {name, keys, sizeof keys / sizeof keys[0]}
/* clang-format on */

/* task_keys.c: of core/data's tasks. */
extern const loci_key loci__task_copy[2], loci__task_selective_copy[2], loci__task_mqar[4], loci__task_overwrite[4],
    loci__task_random_overwrite[5], loci__task_needle[7], loci__task_induction[1];

#endif
