/* SPDX-License-Identifier: Apache-2.0
 *
 * tests/bad: it uses static thread-local storage, of which a process has little.
 */
#include "../base.h"

static __thread int turns __attribute__((tls_model("initial-exec")));
static int __attribute__((used)) next(void)
{
    return ++turns;
}
