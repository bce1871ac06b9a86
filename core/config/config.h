/* SPDX-License-Identifier: Apache-2.0
 *
 * core/config: what the user asked for, with the place where they asked.
 *
 * A config is a stack of layers: defaults, files in the order given (with includes), the environment variable LOCI_SET,
 * and --set. The strongest layer that names a key wins, and every value remembers its origin ("etc/mac.ini:12",
 * "--set", "LOCI_SET", "default").
 *
 *  (1) Reading only parses. Meaning comes with schemas: tables of loci_key per section, added with
 *      loci_config_schema. Core sections are known from the start, [kind.id] sections when their class is.
 *  (2) loci_config_check reports every problem at once: unknown sections and keys (with the nearest name), values that
 *      do not parse or lie out of range, repeats in one file. After it succeeds the getters cannot fail.
 *  (3) Sections of layers: [layer.3.memory] and [layer.4-7.memory.titans] override [memory], [memory.titans] for those
 *      layers. The narrower range wins; of equal ranges the stronger layer, then the later one. Layers count from 0.
 *  (4) [arm.NAME.SECTION] is what an arm changes; it has no effect until loci_config_arm makes the arm's config.
 *  (5) A relative path (keys of type LOCI_KEY_PATH) is relative to the file that says it, in --set to the working
 *      directory, and is returned absolute.
 *  (6) Keys that begin with x- belong to the user and are never checked.
 */
#ifndef LOCI_CORE_CONFIG_H
#define LOCI_CORE_CONFIG_H

#include "core/base/base.h"

/* Types of core keys beyond those of loci/plugin.h. LIST: comma separated text, get_str gives it unsplit. */
#define LOCI_KEY_PATH 100
#define LOCI_KEY_LIST 101

typedef struct loci_conf loci_conf;

loci_status loci_conf_new(loci_conf **out, loci_error *err); /* core schemas are in */
void loci_conf_free(loci_conf *c);                           /* accepts NULL       */
loci_status loci_conf_clone(loci_conf **out, const loci_conf *c, loci_error *err);

/* Add layers. Each fails only when the source cannot be read or parsed at all lines; every bad line is reported, joined
 * by newlines in err->msg as far as it holds and all of them through loci_log. The good lines count nevertheless, so
 * that a check afterwards can report what else is wrong. A path is taken as named: links are not resolved. */
loci_status loci_conf_file(loci_conf *c, const char *path, loci_error *err);
/* The same for text in memory (a dump kept in a checkpoint). `name` stands in origins and messages; its folder is what
 * relative paths and includes are relative to. */
loci_status loci_conf_text(loci_conf *c, const char *name, const char *text, size_t n, loci_error *err);
/* "section.key=value"; origin is "--set" or the like. The last dot before '=' separates section and key. */
loci_status loci_conf_set(loci_conf *c, const char *assignment, const char *origin, loci_error *err);
/* LOCI_SET="a.b=c d.e=f"; ignored, with a warning, in a privileged process. */
loci_status loci_conf_env(loci_conf *c, loci_error *err);

/* Keys of section `section` ("memory.titans"), from a class. The keys must outlive the config. Adding the same again is
 * harmless. */
loci_status loci_conf_schema(loci_conf *c, const char *section, const loci_key *const *keys, uint32_t n,
                             loci_error *err);
/* Every section of the form KIND.ID that the config names (in any layer, layer range or arm), for which no schema is
 * known yet: call fn for each, so that the caller can load its class and add the schema. */
void loci_conf_unknown_sections(const loci_conf *c, void (*fn)(void *arg, const char *section), void *arg);
/* (2). LOCI_E_CONFIG with the first problem in err (and the count when there are more); each goes to loci_log as an
 * error. allow_unknown turns unknown names into warnings. */
loci_status loci_conf_check(const loci_conf *c, bool allow_unknown, loci_error *err);

/* The value that holds for a layer (-1: none, the plain section). The section's schema must be known and the key in it:
 * anything else is an assertion. int also reads a bool; str reads every type, in canonical text. Before a check has
 * succeeded, a value that does not parse counts as not written. Strings live as long as the config. [any thread, while
 * nobody changes the config] */
int64_t loci_conf_int(const loci_conf *c, int layer, const char *section, const char *key);
double loci_conf_real(const loci_conf *c, int layer, const char *section, const char *key);
bool loci_conf_bool(const loci_conf *c, int layer, const char *section, const char *key);
const char *loci_conf_str(const loci_conf *c, int layer, const char *section, const char *key);
/* "etc/mac.ini:12", "--set", "default" ... */
const char *loci_conf_origin(const loci_conf *c, int layer, const char *section, const char *key);
bool loci_conf_is_set(const loci_conf *c, int layer, const char *section, const char *key); /* somebody wrote it */
/* Is there a schema with that key? The one question that may be asked about anything. */
bool loci_conf_has(const loci_conf *c, const char *section, const char *key);

/* The ABI's view of one class's section for one layer, a copy of the values as they are now. `out` and what it points
 * to live as long as the config. */
loci_status loci_conf_view(loci_config *out, loci_conf *c, int layer, const char *section, loci_error *err);

/* Arms, in the order of first mention. loci_conf_arm: *out = c with the arm's sections laid over it and no arms left.
 * What the arm says beats what was set before (--set speaks for all arms) and yields to what is set on *out. */
uint32_t loci_conf_n_arms(const loci_conf *c);
const char *loci_conf_arm_name(const loci_conf *c, uint32_t i);
loci_status loci_conf_arm(loci_conf **out, const loci_conf *c, const char *name, loci_error *err);

/* The effective config as text that loads to the same values: every key of every known section that is relevant (core,
 * or a class that some backend key names) or set, layers and arms included, sections and keys sorted, numbers canonical
 * and paths absolute. Overlapping ranges of layers come out as disjoint ones. origins: a comment above each key. */
loci_status loci_conf_dump(loci_text *out, const loci_conf *c, bool origins, loci_error *err);
/* Every key of a section (NULL: all known sections): help, type, range, default; itself a config that loads. */
loci_status loci_conf_help(loci_text *out, const loci_conf *c, const char *section, loci_error *err);
/* Visit the effective non-default values in sorted order: section as written ("layer.3.memory", "train"), key, value,
 * origin. For comparing arms and for JSON. Arms themselves are not visited. Fails only for want of memory, before the
 * first visit. */
loci_status loci_conf_each(const loci_conf *c,
                           void (*fn)(void *arg, const char *section, const char *key, const char *value,
                                      const char *origin),
                           void *arg);
/* Known sections and keys. */
void loci_conf_each_key(const loci_conf *c, void (*fn)(void *arg, const char *section, const loci_key *key), void *arg);

/* Split a LIST value: calls fn with each trimmed item; stops on a failure. */
loci_status loci_conf_split(const char *list, loci_status (*fn)(void *arg, const char *item, loci_error *err),
                            void *arg, loci_error *err);

#endif
