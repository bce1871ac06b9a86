/* SPDX-License-Identifier: Apache-2.0
 *
 * tests/bad: its summary is two lines.
 */
#define SUMMARY "a Hebbian memory\nwith momentum"
#include "../base.h"
