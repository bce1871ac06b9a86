/* SPDX-License-Identifier: Apache-2.0
 *
 * core/config/task_keys: the keys of the synthetic tasks, a table each. The defaults are the published definitions where
 * there are any; docs/design/tasks.md has the formulas and the sources.
 */
#include "core/config/keys.h"

#include <math.h>

#define MOST_TOKENS (1 << 28) /* as model.vocab */

const loci_key loci__task_copy[2] = {
    INT("symbols", "8", 1, MOST_TOKENS, "Tokens that are copied; a blank and a delimiter come on top."),
    INT("length", "10", 1, 1 << 20, "Symbols to remember."),
};

const loci_key loci__task_selective_copy[2] = {
    INT("vocab", "16", 3, MOST_TOKENS, "Tokens: the noise 0, the symbols, the marker last."),
    INT("length", "16", 1, 1 << 20, "Symbols to remember, scattered in the noise."),
};

#define FILLERS(def) \
    ENUM("fillers", def, "random|zero", "What stands where nothing is asked: any token of the vocabulary, or token 0.")
#define POWER \
    REAL("power", "0.01", 1e-6, 1, "Exponent a of the power law of distances: slot i has weight a i^(a - 1).")

const loci_key loci__task_mqar[4] = {
    INT("vocab", "8192", 4, MOST_TOKENS, "Tokens: the lower half keys, the upper half values."),
    INT("pairs", "16", 1, 1 << 20, "Key-value pairs, each asked for once."),
    FILLERS("random"),
    POWER,
};

const loci_key loci__task_overwrite[4] = {
    INT("vocab", "128", 4, MOST_TOKENS, "Tokens: the lower half keys, the upper half values."),
    INT("pairs", "8", 1, 1 << 20, "Key-value pairs; half of the keys are written a second time."),
    FILLERS("zero"),
    POWER,
};

const loci_key loci__task_random_overwrite[5] = {
    INT("vocab", "128", 4, MOST_TOKENS, "Tokens: the lower half keys, the upper half values."),
    INT("pairs", "8", 1, 1 << 20, "Key-value pairs written first."),
    INT("writes", "0", 0, 1 << 20, "Writes to random keys after them; 0 is twice the pairs."),
    FILLERS("zero"),
    POWER,
};

const loci_key loci__task_needle[7] = {
    INT("vocab", "256", 4, MOST_TOKENS, "Tokens: needles' keys, their values, then the words of the haystack."),
    INT("keys", "16", 1, MOST_TOKENS, "Tokens that can begin a needle."),
    INT("values", "64", 1, MOST_TOKENS, "Tokens that a needle's value is made of."),
    INT("length", "4", 1, 1 << 16, "Tokens of a value."),
    ENUM("haystack", "chain", "chain|sentences|random",
         "chain: each word has four successors; sentences: fifty of eight words recur; random: any word."),
    INT("distance", "0", 0, 1 << 24, "Fewest tokens between the needle and the question."),
    REAL("depth", "-1", -1, 1,
         "Where the needle lies: 0 at the beginning, 1 as near to the question as distance allows; below 0: anywhere."),
};

const loci_key loci__task_induction[1] = {
    INT("vocab", "16", 2, MOST_TOKENS, "Tokens, the last one the mark."),
};
