/* SPDX-License-Identifier: Apache-2.0
 *
 * loci version: of the program, the ABI and the libraries.
 */
#ifdef HAVE_CONFIG_H
#include "config.h"
#endif
#include "cli/cli.h"
#include "core/train/machine.h"
#include <loci/plugin.h>
#include <string.h>

static loci_status run(const struct options *o, loci_error *err)
{
    char machine[512], abi[32];

    loci_machine_name(machine, sizeof machine);
    snprintf(abi, sizeof abi, "%d.draft.%d", LOCI_ABI_MAJOR, LOCI_ABI_DRAFT);
    if (o->json)
        return cli_print_json(json_pack("{s:s, s:s, s:s, s:s}", "version", PACKAGE_VERSION, "abi", abi, "machine",
                                        machine, "jansson", JANSSON_VERSION),
                              err);
    printf("loci %s, plugin ABI %s\n%s\njansson %s\n", PACKAGE_VERSION, abi, machine, JANSSON_VERSION);
    return LOCI_OK;
}

const struct verb verb_version = {"version", NULL, "version of the program, the ABI and the libraries",
                                  "Print versions.", NULL, NULL, run};
