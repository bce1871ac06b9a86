/* SPDX-License-Identifier: Apache-2.0
 *
 * tests/bad: the ELF note was forgotten.
 */
#define NO_NOTE
#include "../base.h"
