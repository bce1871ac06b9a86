/* SPDX-License-Identifier: Apache-2.0
 *
 * What the files of `loci doctor` share: a list of findings.
 */
#ifndef LOCI_CLI_DOCTOR_H
#define LOCI_CLI_DOCTOR_H

#include "cli/cli.h"

enum finding { IS_OK, IS_WARN, IS_FAIL };

struct doctor {
    json_t *findings; /* [{area, what, state, text, remedy}] */
    int n[3];
    loci_status worst; /* of the first that failed */
};

/* area: "machine", "libraries" ...; what: "memory". remedy: NULL with IS_OK. code: of IS_FAIL. */
void doctor_finds(struct doctor *d, const char *area, const char *what, enum finding f, loci_status code,
                  const char *remedy, const char *fmt, ...) __attribute__((format(printf, 7, 8)));
#define FINE(d, area, what, ...) doctor_finds(d, area, what, IS_OK, LOCI_OK, NULL, __VA_ARGS__)
#define WARN(d, area, what, remedy, ...) doctor_finds(d, area, what, IS_WARN, LOCI_OK, remedy, __VA_ARGS__)
#define FAIL(d, area, what, code, remedy, ...) doctor_finds(d, area, what, IS_FAIL, code, remedy, __VA_ARGS__)

void doctor_machine(struct doctor *d);     /* processor, memory, floating point, locale */
void doctor_libraries(struct doctor *d);   /* what is compiled in, what is found         */
void doctor_accelerator(struct doctor *d); /* CUDA: toolkit, driver, nodes               */

#endif
