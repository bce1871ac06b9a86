/* SPDX-License-Identifier: Apache-2.0
 *
 * examples/outside/oja_bare.c through the tests of oja.c: the two are one rule.
 */
#define OUTSIDE_ID "org.example.oja_bare"
#include "tests/unit/test_outside.c"
