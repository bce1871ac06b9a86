/* SPDX-License-Identifier: Apache-2.0
 *
 * tests/bad: one choice of a key was never tried by its author.
 */
#include <loci/plugin.h>

static const loci_key order = {.struct_size = sizeof order, .type = LOCI_KEY_ENUM, .name = "order", .def = "first",
                               .help = "Which table of factors is used.", .choices = "first|second|third"};
#define EXTRA_KEY &order
#define CREATE bad_create
#include "../base.h"

static loci_status bad_create(const loci_host *host, const loci_config *config, const loci_site *site,
                              const loci_shape *shape, loci_module **out, loci_error *err)
{
    static const double one = 1;
    static const double *const volatile tables[] = {&one, &one, NULL};
    const char *choice = config->get_str(config->ctx, "order");
    const double factor = *tables[*choice == 'f' ? 0 : *choice == 's' ? 1 : 2];

    LOCI_RETURN_IF(create(host, config, site, shape, out, err));
    (*out)->alpha_max *= factor;
    return LOCI_OK;
}
