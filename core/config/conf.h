/* SPDX-License-Identifier: Apache-2.0
 *
 * core/config/conf.h: what the files of this folder share, and nobody else.
 *
 * A config is a list of items, each one line that somebody wrote: where (arm, layers, section, key), what, by whom. It
 * is kept in the order of writing and never pruned; which item holds is decided when asked (loci__conf_winner).
 *
 *  (1) Names (sections, keys, arms) are interned: two equal names of one config are one pointer.
 *  (2) Strings live in the config's arena and die with it, so whatever a getter or a view returned stays valid.
 *  (3) An item is bound once its section's schema is known: `spec` is its key and either `why` says what is wrong with
 *      the value, or `value` holds it. Every mutator ends with loci__conf_bind, so that getters only look up.
 *  (4) An item whose value is wrong counts as not written; loci_conf_check is what tells the user.
 *
 *     lines.c    bytes -> checked lines -> inih -> items        name.c    spelling of names and text
 *     reader.c   files, includes, cycles                        value.c   text <-> values
 *     layers.c   the store, who wins, --set, arms               schema.c  keys, binding
 *     walk.c     effective values in order                      check.c, dump.c, help.c, view.c, core_keys.c
 */
#ifndef LOCI_CORE_CONFIG_CONF_H
#define LOCI_CORE_CONFIG_CONF_H

#include "core/config/config.h"
#include <locale.h>

#define LOCI_CONF_LINE 16384       /* bytes of a line, without its end                         */
#define LOCI_CONF_SECTION 48       /* bytes of a section name: inih cuts at 49 without a word  */
#define LOCI_CONF_KEY 64           /* bytes of a key                                           */
#define LOCI_CONF_PATH 4095        /* bytes of a path made absolute                            */
#define LOCI_CONF_LAYERS 4096      /* as the range of model.layers                             */
#define LOCI_CONF_BYTES (4u << 20) /* of a file                                                */
#define LOCI_CONF_ITEMS 4096       /* lines that say something: bounds every quadratic loop    */
#define LOCI_CONF_DEPTH 8          /* includes inside includes                                 */
#define LOCI_CONF_FILES 64         /* includes of one file, theirs counted too                 */
#define LOCI_CONF_PROBLEMS 100     /* bad lines after which a file is given up                 */

/* How strong a source is. What an arm says, or is said after the arm was chosen, is stronger by LOCI_CONF_ARM. */
#define LOCI_CONF_FROM_FILE 1
#define LOCI_CONF_FROM_ENV 2
#define LOCI_CONF_FROM_SET 3
#define LOCI_CONF_ARM 4

/* Where an item stands. lo = hi = -1: no layers. An arm's bare header has the section "". */
typedef struct loci__place {
    const char *arm, *section; /* arm NULL: none */
    int32_t lo, hi;
} loci__place;

typedef struct loci__value {
    int64_t i;
    double r;
    const char *text; /* canonical: what a dump writes */
} loci__value;

typedef struct loci__item {
    loci__place at;
    const char *key; /* NULL: the line is a section header */
    const char *raw;
    const char *origin;    /* "etc/mac.ini:12", "--set"                     */
    const char *dir;       /* what a relative path is relative to, or NULL  */
    uint32_t source, line; /* one source per file read or value set         */
    int32_t level;         /* LOCI_CONF_FROM_*, plus LOCI_CONF_ARM          */
    const loci_key *spec;
    const char *why;
    loci__value value;
} loci__item;

typedef struct loci__spec {
    const char *section;
    const loci_key **keys;
    loci__value *defs;
    uint32_t n;
    bool core;
} loci__spec;

struct loci_conf {
    struct loci__chunk *chunks; /* (2) */
    const char **names;         /* (1) */
    loci__item *items;
    loci__spec *specs;
    const char **arms;
    uint32_t n_names, n_items, n_specs, n_arms, n_sources;
    int32_t floor; /* level of what is set from now on: 0, or LOCI_CONF_ARM once an arm was chosen */
};

/* ---- name.c ---- */

/* The first thing in a line or value that no config may hold: NUL, CR, other controls, bytes that are not UTF-8. */
bool loci__text_ok(const char *s, size_t n, char *why, size_t room);
bool loci__key_ok(const char *key, char *why, size_t room);
/* Take "arm.NAME.layer.4-7.memory.titans" apart. LOCI_E_CONFIG: *why says what is wrong. */
loci_status loci__place_parse(loci_conf *c, loci__place *out, const char *name, size_t n, char *why, size_t room);
/* The name as it is written, "arm.NAME.layer.4-7.memory.titans"; false when it would be longer than a name may be. */
bool loci__place_text(char *room, size_t n, const loci__place *at);
/* May the layers of a model differ in it? */
bool loci__section_by_layer(const char *section);
/* "memory.titans" of a kind of class: the length of "memory", else 0. */
size_t loci__section_kind(const char *section);
/* Is `name` close enough to `known` to be a slip? The distance, or UINT_MAX. */
unsigned loci__slip(const char *name, const char *known);
/* At most n bytes of s for a message, marked when cut. */
const char *loci__short(char *room, size_t n, const char *s);

/* ---- value.c ---- */

locale_t loci__c_locale(void); /* NULL only when there is no memory, which loci_conf_new has excluded */
bool loci__int_parse(int64_t *out, const char *s, char *why, size_t room);
bool loci__real_parse(double *out, const char *s, char *why, size_t room);
/* The shortest of 15, 16 and 17 digits that reads back as v. */
void loci__real_text(char *out, size_t room, double v);
/* "1 to 8", "0 or more", "" */
void loci__range_text(char *out, size_t room, const loci_key *k);
/* LOCI_OK with why[0] set when the value is wrong; another status only for want of memory. */
loci_status loci__value_parse(loci_conf *c, loci__value *out, const loci_key *k, const char *raw, const char *dir,
                              char *why, size_t room);

/* ---- layers.c ---- */

void *loci__conf_take(loci_conf *c, size_t bytes);
const char *loci__conf_string(loci_conf *c, const char *s, size_t n);
const char *loci__conf_intern(loci_conf *c, const char *s, size_t n);
/* Append; the strings are the arena's. */
loci_status loci__conf_add(loci_conf *c, const loci__item *item, loci_error *err);
/* NULL: the default holds. arm: as if that arm (an interned name) were chosen. layered: items with layers only. */
const loci__item *loci__conf_winner(const loci_conf *c, const char *arm, int layer, bool layered, const char *section,
                                    const char *key);
/* Does a hold rather than b, both covering the layer? b may be NULL. */
bool loci__item_beats(const loci__item *a, const loci__item *b);
/* Has it a value that counts (4)? The text of it. */
bool loci__item_counts(const loci__item *item);
const char *loci__item_text(const loci__item *item);

/* ---- schema.c ---- */

loci_status loci__conf_core(loci_conf *c, loci_error *err);
loci_status loci__conf_bind(loci_conf *c, loci_error *err);
const loci__spec *loci__spec_find(const loci_conf *c, const char *section);
const loci_key *loci__spec_key(const loci__spec *spec, const char *key, uint32_t *index);

/* ---- core_keys.c ---- */

extern const struct loci__core {
    const char *section;
    const loci_key *keys;
    uint32_t n;
} loci__core_sections[];
extern const uint32_t loci__core_count;
/* What a core value must be beyond its type and range. */
bool loci__core_ok(const char *section, const char *key, const char *text, char *why, size_t room);

/* ---- check.c: several problems, one answer ---- */

typedef struct loci__problems {
    loci_text text; /* the first ones, a line each */
    uint32_t n;
} loci__problems;
void loci__problem(loci__problems *p, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* LOCI_OK, or LOCI_E_CONFIG with the first problem or (all) as many as the message holds; p is empty afterwards. */
loci_status loci__problems_end(loci__problems *p, bool all, loci_error *err);
loci_status loci__nomem(loci_error *err);
/* The known section that was probably meant, or NULL. */
const char *loci__near_section(const loci_conf *c, const char *section);

/* ---- lines.c ---- */

typedef struct loci__include {
    struct loci__include *next;
    const char *file, *origin;
} loci__include;
/* One text, as it is read. */
typedef struct loci__text_source {
    loci_conf *conf;
    loci__problems *problems;
    const char *name, *dir; /* for origins; for relative paths */
    const char *bytes;
    size_t n;
    loci__include *includes; /* out, in order */
} loci__text_source;
loci_status loci__lines_read(loci__text_source *src, loci_error *err);

/* ---- walk.c ---- */

typedef struct loci__seen {
    const char *section; /* as written: "layer.3.memory", "arm.a.train"            */
    const char *key;     /* NULL: the section begins                               */
    const char *value, *origin;
    bool set;     /* somebody said it                                              */
    bool differs; /* ... and it is not the default, or it stands in layers         */
} loci__seen;
typedef void (*loci__visit)(void *arg, const loci__seen *seen);
/* Every effective value: sections by name, then those of layers, cut where they overlap so that each layer is named
 * once; keys by name. arm: only what the arm says, over the base that a walk without arm shows. */
loci_status loci__conf_walk(const loci_conf *c, const char *arm, loci__visit fn, void *fn_arg, loci_error *err);

#endif
