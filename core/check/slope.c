/* SPDX-License-Identifier: Apache-2.0
 *
 * core/check: see slope.h.
 */
#include "core/check/slope.h"

#include <math.h>

loci_status loci_slope_of(loci_slope *out, loci_line_fn f, void *arg, const double *steps, uint32_t n, double eps,
                          double near, double enough, loci_error *err)
{
    static const struct {
        double at, by;
    } points[] = {{-2, 1}, {-1, -8}, {1, 8}, {2, -1}};
    loci_status status = LOCI_OK;

    *out = (loci_slope){0};
    for (uint32_t s = 0; s < n; s++) {
        double sum = 0, most = 0;
        for (int i = 0; i < 4; i++) {
            double value = 0, size = 0;
            LOCI_TRY(f(arg, points[i].at * steps[s], &value, &size, err));
            sum += points[i].by * value;
            most = size > most ? size : most;
        }
        sum /= 12 * steps[s];
        if (s == 0 || fabs(sum - near) < fabs(out->value - near))
            *out = (loci_slope){sum, steps[s], 1.5 * eps * most / steps[s]};
        if (fabs(sum - near) <= enough)
            break;
    }
out:
    return status;
}
