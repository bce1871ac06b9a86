/* SPDX-License-Identifier: Apache-2.0
 *
 * tests/bad: fit answers by turns: every asking lowers the score.
 */
#define FIT bad_fit
#include "../base.h"

static loci_status bad_fit(const loci_host *host, const loci_config *config, const loci_shape *s, loci_fit *out)
{
    static int turn;
    const loci_status status = fit(host, config, s, out);

    out->score -= out->score > 0 && turn < 40 ? turn++ : 0;
    return status;
}
