/* SPDX-License-Identifier: Apache-2.0
 *
 * core/config/core_keys: the keys of loci itself. Plugins bring theirs.
 *
 * A key is its default, its range, its unit (in the help) and a sentence; help, checking and the dump all read this
 * one table.
 */
#include "core/config/keys.h"

#include <math.h>
#include <string.h>

#define BILLION 1e9

static const loci_key run_keys[] = {
    INT("seed", "1", 0, INFINITY, "Seed of weights, data order and every other random number."),
    ENUM("device", "auto", "auto|cpu|cuda", "Where to compute; auto takes the first of `order` that works."),
    LIST("order", "cuda, cpu", "Devices that auto tries, best first."),
    INT("threads", "0", 0, 1024, "CPU threads; 0 is one per core. Results do not depend on it."),
    PATH("dir", "Folder of the run: checkpoints, log, report. Empty is runs/NAME."),
    ENUM("dtype", "f32", "f32|f64", "Type of weights and activations."),
    ENUM("compute", "f32", "f32|bf16",
         "bf16: operands of matrix products are rounded to bfloat16 on the way in, sums, weights and everything else "
         "stay "
         "f32. Faster where the processor has AMX."),
    INT("max_memory", "0", 0, INFINITY, "Bytes a run may hold; 0 is what the machine has."),
    STR("name", "", "What the run is called; empty is the stem of the config file."),
};

static const loci_key plugins_keys[] = {
    LIST("path", "", "Folders searched for plugins before the installed ones, absolute, strongest first."),
    ENUM("ownership", "warn", "check|warn|off", "What to do about plugin files that others could have changed."),
};

static const loci_key plugin_keys[] = {
    PATH("file", "The file that holds the plugin, for one that is in no searched folder."),
};

static const loci_key model_keys[] = {
    INT("layers", "2", 1, LOCI_CONF_LAYERS, "Number of blocks."),
    INT("dim", "128", 1, 1 << 20, "Width D of the model."),
    INT("vocab", "256", 1, 1 << 28, "Number of tokens; 256 is bytes."),
    ENUM("ffn", "swiglu", "gelu|swiglu|none", "Feed-forward network after each composition."),
    REAL("ffn_mult", "0", 0, 64,
         "Hidden width of the feed-forward network over dim; 0 is 4 for gelu, and for swiglu 8/3 with the width "
         "rounded up to a multiple of 16."),
    REAL("norm_eps", "1e-5", 1e-20, 1, "Added to the mean square in a normalisation."),
    BOOL("tied", "yes", "One matrix for embedding and output."),
    REAL("init_std", "0.02", 0, 10, "Standard deviation of initial weights."),
    BOOL("residual_scale", "yes", "Divide initial weights that write into the residual stream by sqrt(2 layers)."),
};

static const loci_key attention_keys[] = {
    STR("backend", "auto", "Id of the attention class; auto takes the one that fits best."),
};
static const loci_key mixer_keys[] = {
    STR("backend", "mha", "Id of the mixer class."),
};
static const loci_key compose_keys[] = {
    STR("backend", "plain", "Id of the composition class, which joins mixer and memory in a layer."),
};
static const loci_key memory_keys[] = {
    STR("backend", "none", "Id of the memory class, or none."),
    INT("heads", "4", 1, 65536, "Heads H, each with a state of its own."),
    INT("dk", "0", 0, 65536, "Width of keys and queries per head; 0 is dim / heads."),
    INT("dv", "0", 0, 65536, "Width of values per head; 0 is dk."),
    INT("conv", "4", 0, 64, "Taps of the causal convolution on q, k and v; 0 is none."),
    BOOL("silu", "yes", "SiLU after the convolution."),
    ENUM("qk_norm", "l2", "l2|none", "Normalisation of queries and keys per head."),
    BOOL("out_norm", "yes", "RMS normalisation of the read-out per head."),
    ENUM("out_gate", "silu", "silu|none", "Gate on the read-out, computed from the input."),
    BOOL("out_proj", "yes", "Project the heads back to dim; no needs heads * dv = dim."),
    STR("gate_bias", "", "Initial gate values that override the class's: name=value, after the activation."),
};

static const loci_key data_keys[] = {
    ENUM("source", "text", "text|task", "Where sequences come from: the bytes of a text, or a synthetic task."),
    ENUM("task", "mqar", "copy|selective-copy|mqar|overwrite|random-overwrite|needle|induction",
         "For source = task: which one; section [task.NAME] has its keys."),
    INT("seq_tok", "256", 1, 1 << 24, "Tokens of a training sequence."),
    PATH("train", "Text file to train on."),
    PATH("valid", "Text file to validate on; empty is the end of the training text."),
    REAL("valid_fraction", "0.1", 0, 0.9, "Share of the training text kept for validation when there is no other."),
    BOOL("carry", "no", "Hand the state on from one sequence of a document to the next."),
};

static const loci_key train_keys[] = {
    INT("steps", "1000", 0, BILLION, "Optimiser steps of the whole run."),
    INT("batch", "8", 1, 1 << 20, "Sequences of a micro-batch."),
    ENUM(
        "recompute", "none", "none|layer",
        "layer: keep the input of each layer only and compute the rest again in the backward (gradient checkpointing); "
        "a third more work, the same bits, less memory."),
    INT("accumulate", "1", 1, 1 << 20, "Micro-batches of a step."),
    REAL("lr", "1e-3", 0, 1000, "Learning rate at its peak."),
    REAL("lr_min", "0.1", 0, 1, "Where the schedule ends, as a fraction of lr."),
    ENUM("schedule", "cosine", "constant|cosine|linear|step", "How the learning rate falls after the warm-up."),
    INT("warmup", "100", 0, BILLION, "Steps in which the learning rate rises from 0."),
    INT("step_every", "0", 0, BILLION, "For schedule = step: steps between two falls; 0 is never."),
    REAL("step_gamma", "0.1", 0, 1, "For schedule = step: the factor of each fall."),
    REAL("beta1", "0.9", 0, 1, "AdamW: decay of the mean of gradients."),
    REAL("beta2", "0.95", 0, 1, "AdamW: decay of the mean of squares."),
    REAL("eps", "1e-8", 0, 1, "AdamW: added to the root of the mean of squares."),
    REAL("weight_decay", "0.1", 0, 100, "AdamW: decoupled decay, times the learning rate."),
    REAL("clip", "1.0", 0, INFINITY, "Largest norm of all gradients together; 0 is off."),
    INT("eval_every", "200", 0, BILLION, "Steps between validations; 0 is only at the end."),
    INT("eval_tokens", "65536", 1, INFINITY, "Most tokens of a validation."),
    INT("eval_sequences", "0", 0, BILLION, "Most sequences of a validation; 0 is as many as eval_tokens hold."),
    INT("save_every", "500", 0, BILLION, "Steps between checkpoints; 0 is only at the end."),
    INT("log_every", "10", 0, BILLION, "Steps between log lines; 0 is only at the end."),
    INT("keep", "2", 1, 100000, "Checkpoints kept, the newest."),
    ENUM("on_nan", "stop", "stop|skip", "What to do when a loss or gradient is not finite."),
    PATH("init", "Checkpoint, run or safetensors file to take the initial weights from."),
};

static const loci_key compare_keys[] = {
    STR("seeds", "3", "A number N: N seeds from run.seed on. A comma list: these seeds."),
    STR("vary", "", "section.key=a,b,c: an arm for each value."),
    ENUM("metric", "valid_loss", "valid_loss|train_loss|accuracy", "What arms are compared by; accuracy is of tasks."),
    REAL("take_off", "0.1", 0, 1,
         "For metric = accuracy: a seed that ends below chance + take_off (1 - chance) is marked as one that did not take "
         "off. It counts all the same."),
    STR("tune", "", "section.key: a, b, c: values tried for each arm, on a seed of their own, before it is compared."),
    BOOL("baselines", "yes", "Report what trivial predictors reach."),
};

/* clang-format off */
const struct loci__core loci__core_sections[] = {
    SECTION("run", run_keys),         SECTION("plugins", plugins_keys),     SECTION("plugin.ID", plugin_keys),
    SECTION("model", model_keys),     SECTION("attention", attention_keys), SECTION("mixer", mixer_keys),
    SECTION("memory", memory_keys),   SECTION("compose", compose_keys),     SECTION("data", data_keys),
    SECTION("train", train_keys),     SECTION("compare", compare_keys),
    SECTION("task.copy", loci__task_copy),
    SECTION("task.selective-copy", loci__task_selective_copy),
    SECTION("task.mqar", loci__task_mqar),
    SECTION("task.overwrite", loci__task_overwrite),
    SECTION("task.random-overwrite", loci__task_random_overwrite),
    SECTION("task.needle", loci__task_needle),
    SECTION("task.induction", loci__task_induction),
};
/* clang-format on */
const uint32_t loci__core_count = sizeof loci__core_sections / sizeof loci__core_sections[0];

typedef struct flaw {
    char *why;
    size_t room;
} flaw;

static loci_status folder_absolute(void *arg, const char *item, loci_error *err)
{
    flaw *f = arg;
    char cut[80];

    (void)err;
    if (item[0] != '/')
        snprintf(f->why, f->room, "`%s` is not absolute, plugins are never searched by relative paths",
                 loci__short(cut, 60, item));
    return item[0] == '/' ? LOCI_OK : LOCI_E_CONFIG;
}

static loci_status gate_value(void *arg, const char *item, loci_error *err)
{
    flaw *f = arg;
    char cut[80], wrong[200];
    const char *equals = strchr(item, '=');
    double v;

    (void)err;
    if (equals && equals > item && loci__real_parse(&v, equals + 1 + strspn(equals + 1, " \t"), wrong, sizeof wrong))
        return LOCI_OK;
    snprintf(f->why, f->room, "`%s` is not name=number", loci__short(cut, 60, item));
    return LOCI_E_CONFIG;
}

static loci_status seed_number(void *arg, const char *item, loci_error *err)
{
    flaw *f = arg;
    char cut[80], wrong[200];
    int64_t v;

    (void)err; /* no suffixes here: the key is text, and 2k seeds are not what anybody means */
    if (strspn(item, "0123456789") == strlen(item) && loci__int_parse(&v, item, wrong, sizeof wrong))
        return LOCI_OK;
    snprintf(f->why, f->room, "`%s` is not a seed, write how many seeds or a comma list of them",
             loci__short(cut, 60, item));
    return LOCI_E_CONFIG;
}

bool loci__core_ok(const char *section, const char *key, const char *text, char *why, size_t room)
{
    static const struct {
        const char *section, *key;
        loci_status (*item)(void *arg, const char *item, loci_error *err);
    } rules[] = {
        {"plugins", "path", folder_absolute},
        {"memory", "gate_bias", gate_value},
        {"compare", "seeds", seed_number},
    };
    flaw f = {why, room};

    for (size_t i = 0; i < sizeof rules / sizeof rules[0]; i++)
        if (strcmp(section, rules[i].section) == 0 && strcmp(key, rules[i].key) == 0)
            return loci_conf_split(text, rules[i].item, &f, NULL) == LOCI_OK;
    return true;
}
