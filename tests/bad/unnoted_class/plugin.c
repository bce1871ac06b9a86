/* SPDX-License-Identifier: Apache-2.0
 *
 * tests/bad: the class was renamed, the note was not.
 */
#define ID "renamed"
#include "../base.h"
