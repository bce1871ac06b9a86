/* SPDX-License-Identifier: Apache-2.0
 *
 * loci inside a program: train a small model on a text, let it go on with the text's beginning, save it.
 *
 *     embed TEXT [STEPS]
 *
 *  (1) Settings are INI text, here a literal; loci_settings_file reads one from a file.
 *  (2) loci_engine_step does what a step of `loci train` does, to the bit, so the loop is ours and the numbers are
 * theirs. (3) A stream remembers the text it was fed. Its clone goes another way from the same place. (4) The saved
 * folder is a checkpoint like any other: `loci eval runs/embed`, `loci generate runs/embed`.
 */
#include <loci/loci.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char config[] = "[model]\nlayers = 1\ndim = 32\n"
                             "[compose]\nbackend = mag\n"
                             "[mixer.mha]\nheads = 2\nwindow_tok = 16\n"
                             "[memory]\nbackend = titans\nheads = 2\n"
                             "[data]\nseq_tok = 64\n"
                             "[train]\nbatch = 4\nlr = 1e-2\nwarmup = 10\n";

static loci_error err = LOCI_ERROR_INIT;

/* Programs that live longer pass the status on; this one ends. */
static void must(loci_status status)
{
    if (status == LOCI_OK)
        return;
    fprintf(stderr, "embed: %s\n", err.msg);
    exit(1);
}

static void hear(void *arg, int32_t level, const char *module, const char *msg)
{
    (void)arg;
    if (level <= LOCI_LOG_WARN)
        fprintf(stderr, "%s: %s\n", module, msg);
}

static loci_engine *open_engine(const char *text, int steps)
{
    loci_engine_options options = {sizeof options, 0, LOCI_ENGINE_TRAIN, NULL, NULL};
    loci_settings *s = NULL;
    loci_engine *e = NULL;
    char line[4200];

    must(loci_settings_new(&s, &err));
    must(loci_settings_text(s, "embed", config, strlen(config), &err));
    snprintf(line, sizeof line, "data.train=%s", text);
    must(loci_settings_set(s, line, &err));
    snprintf(line, sizeof line, "train.steps=%d", steps);
    must(loci_settings_set(s, line, &err));
    must(loci_engine_open(&e, s, &options, &err));
    loci_settings_free(s); /* the engine has its own copy */
    return e;
}

static void train(loci_engine *e, int steps)
{
    loci_measure m;
    int i;

    m.struct_size = sizeof m;
    for (i = 1; i <= steps; i++) {
        must(loci_engine_step(e, NULL, &m, &err));
        if (i % 20 == 0 || i == steps)
            printf("step %d  loss %.4f nats\n", i, m.loss_nats);
    }
    must(loci_engine_evaluate(e, NULL, &m, &err));
    printf("valid %.4f nats over %lld bytes\n", m.loss_nats, (long long)m.tokens);
}

/* Draw n bytes from where the stream is. */
static void go_on(loci_stream *s, const loci_tensor *logits, uint64_t seed, int n)
{
    loci_sampling how = {sizeof how, 0, 0.8, 0.95, 0};
    int32_t token;
    int i;

    how.seed = seed;
    for (i = 0; i < n; i++) {
        must(loci_draw(&token, logits, &how, (uint64_t)loci_stream_tokens(s), &err));
        putchar(token);
        must(loci_stream_feed(s, &token, 1, &logits, &err));
    }
    putchar('\n');
}

static void stream(loci_engine *e)
{
    static const char beginning[] = "the ";
    loci_stream *s = NULL, *twin = NULL;
    const loci_tensor *logits;
    int32_t tokens[sizeof beginning];
    size_t i, n = sizeof beginning - 1;

    for (i = 0; i < n; i++)
        tokens[i] = (unsigned char)beginning[i];
    must(loci_stream_open(&s, e, NULL, &err));
    must(loci_stream_prefill(s, tokens, (int64_t)n - 1, NULL, &err));
    must(loci_stream_clone(&twin, s, &err));
    must(loci_stream_feed(s, tokens + n - 1, 1, &logits, &err));
    printf("one way:     %s", beginning);
    go_on(s, logits, 1, 40);
    must(loci_stream_feed(twin, tokens + n - 1, 1, &logits, &err));
    printf("another way: %s", beginning);
    go_on(twin, logits, 2, 40);
    loci_stream_close(twin);
    loci_stream_close(s);
}

int main(int argc, char **argv)
{
    int steps = argc > 2 ? atoi(argv[2]) : 100;
    char checkpoint[4096];
    loci_engine *e;

    if (argc < 2 || steps < 1) {
        fprintf(stderr, "usage: embed TEXT [STEPS]\n");
        return 2;
    }
    loci_on_log(hear, NULL);
    printf("loci %s\n", loci_version());
    e = open_engine(argv[1], steps);
    train(e, steps);
    stream(e);
    must(loci_engine_save(e, "runs/embed", checkpoint, sizeof checkpoint, &err));
    printf("saved %s\n", checkpoint);
    loci_engine_close(e);
    return 0;
}
