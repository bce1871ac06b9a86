/* SPDX-License-Identifier: Apache-2.0
 *
 * The command: find the verb, parse the options that all verbs share, run it, turn its status into a message and an exit
 * code.
 */
#ifdef HAVE_CONFIG_H
#include "config.h"
#endif
#include "cli/cli.h"
#include "core/tensor/file.h"
#include <errno.h>
#include <fcntl.h>
#include <locale.h>
#include <pthread.h>
#include <semaphore.h>
#include <string.h>
#include <unistd.h>

static const struct verb *const verbs[] = {
    &verb_train, &verb_eval, &verb_generate, &verb_compare, &verb_apply, &verb_check,  &verb_bench,  &verb_list,
    &verb_info,  &verb_explain, &verb_inspect, &verb_config,  &verb_new,   &verb_doctor, &verb_version};
#define N_VERBS (sizeof verbs / sizeof *verbs)

volatile sig_atomic_t cli_stop, cli_save;

static int exit_of(loci_status s)
{
    switch (s) {
    case LOCI_OK:
        return EXIT_IS_OK;
    case LOCI_E_CONFIG:
        return EXIT_IS_CONFIG;
    case LOCI_E_PLUGIN:
    case LOCI_E_UNSUPPORTED:
        return EXIT_IS_PLUGIN;
    case LOCI_E_IO:
    case LOCI_E_DATA:
        return EXIT_IS_DATA;
    case LOCI_E_CHECKPOINT:
    case LOCI_E_STATE:
        return EXIT_IS_CHECKPOINT;
    case LOCI_E_NUMERIC:
        return EXIT_IS_NUMERIC;
    case LOCI_E_NOMEM:
        return EXIT_IS_MEMORY;
    case LOCI_E_STOPPED:
        return EXIT_IS_STOPPED;
    case LOCI_E_DEVICE:
        return EXIT_IS_DEVICE;
    case LOCI_E_ARG:
        return EXIT_IS_USAGE;
    default:
        return EXIT_IS_INTERNAL;
    }
}

static void usage(FILE *to)
{
    fprintf(to, "loci: sequence models whose attention, memory and composition are plugins\n\n"
                "usage: loci VERB [options]\n\nverbs:\n");
    for (size_t i = 0; i < N_VERBS; i++)
        fprintf(to, "  %-9s %s\n", verbs[i]->name, verbs[i]->summary);
    fprintf(to, "\n`loci VERB --help` explains one. Every verb takes -c FILE, --set section.key=value, --plugin-path DIRS,\n"
                "--threads N, --json, -q and -v.\n\n"
                "exit codes: 0 done, 1 a defect of loci, 2 usage, 3 config, 4 plugin, 5 data or files, 6 checkpoint,\n"
                "7 a number that is not finite, 8 out of memory, 9 interrupted and saved, 10 device\n");
}

/* ---- options ------------------------------------------------------------------------------------------------------------- */

enum { KEY_SET = 1000, KEY_PATH, KEY_THREADS, KEY_JSON, KEY_UNKNOWN };

static const struct argp_option common[] = {
    {"config", 'c', "FILE", 0, "Read a config; several are laid over each other, the last wins", 90},
    {"set", KEY_SET, "SECTION.KEY=VALUE", 0, "Set one key; stronger than every file", 90},
    {"plugin-path", KEY_PATH, "DIRS", 0, "Folders to look for plugins first, separated by colons", 90},
    {"threads", KEY_THREADS, "N", 0, "Threads to use (run.threads); the numbers do not depend on it", 90},
    {"json", KEY_JSON, 0, 0, "Write one JSON document on standard output", 90},
    {"quiet", 'q', 0, 0, "Only warnings and errors", 90},
    {"verbose", 'v', 0, 0, "Also what is tried and passed over", 90},
    {"allow-unknown", KEY_UNKNOWN, 0, 0, "Unknown sections and keys are warnings", 90},
    {0}};

struct parsing {
    struct options *o;
    const struct verb *verb;
    int argc;
};

static error_t parse_common(int key, char *arg, struct argp_state *state)
{
    struct parsing *p = state->input;
    struct options *o = p->o;

    switch (key) {
    case 'c':
        o->configs[o->n_configs++] = arg;
        return 0;
    case KEY_SET:
        o->sets[o->n_sets++] = arg;
        return 0;
    case KEY_PATH:
        o->plugin_path = arg;
        return 0;
    case KEY_THREADS:
        o->threads = arg;
        return 0;
    case KEY_JSON:
        o->json = true;
        return 0;
    case 'q':
        o->level = LOCI_LOG_WARN;
        return 0;
    case 'v':
        o->level = LOCI_LOG_DEBUG;
        return 0;
    case KEY_UNKNOWN:
        o->allow_unknown = true;
        return 0;
    case ARGP_KEY_ARG:
        if (!p->verb->words)
            argp_error(state, "`loci %s` takes no argument `%s`", p->verb->name, arg);
        o->words[o->n_words++] = arg;
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static error_t parse_own(int key, char *arg, struct argp_state *state)
{
    struct parsing *p = state->input;

    if (key == ARGP_KEY_INIT) {
        state->child_inputs[0] = p;
        return 0;
    }
    return p->verb->parse ? p->verb->parse(key, arg, state) : ARGP_ERR_UNKNOWN;
}

static const struct argp common_argp = {common, parse_common, NULL, NULL, NULL, NULL, NULL};

static loci_status parse_and_run(const struct verb *v, int argc, char **argv, struct options *o, loci_error *err)
{
    static const struct argp_option none[] = {{0}};
    const struct argp_child children[] = {{&common_argp, 0, "For every verb:", 90}, {0}};
    struct argp argp = {v->options ? v->options : none, parse_own, v->words, v->help, children, NULL, NULL};
    struct parsing p = {o, v, argc};
    char name[64];

    snprintf(name, sizeof name, "loci %s", v->name);
    argv[0] = name;
    argp_err_exit_status = EXIT_IS_USAGE;
    argp_parse(&argp, argc, argv, 0, NULL, &p);
    return v->run(o, err);
}

/* ---- messages and signals -------------------------------------------------------------------------------------------------- */

/* What is only informative is said once: a comparison makes the same choices for every run. */
static bool said_before(const char *msg)
{
    static uint64_t said[256];
    static size_t n;
    uint64_t h = loci_hash(msg, strlen(msg), 0);

    for (size_t i = 0; i < n && i < 256; i++)
        if (said[i] == h)
            return true;
    said[n++ % 256] = h;
    return false;
}

/* An error that the library has reported in full and then returned is printed once. */
static char reported[512];

static void print_log(void *arg, int32_t level, const char *module, const char *msg)
{
    const struct options *o = arg;

    if (level > o->level || (level >= LOCI_LOG_INFO && said_before(msg)))
        return;
    cli_clear_line();
    if (level == LOCI_LOG_ERROR && !reported[0])
        snprintf(reported, sizeof reported, "%s", msg);
    if (level <= LOCI_LOG_WARN)
        fprintf(stderr, "loci: %s%s\n", level == LOCI_LOG_WARN ? "warning: " : "", msg);
    else
        fprintf(stderr, "%s: %s\n", module, msg);
}

static void on_signal(int sig)
{
    if (sig == SIGUSR1) {
        cli_save = 1;
        return;
    }
    if (cli_stop)
        _exit(128 + sig);
    cli_stop = sig;
}

static sem_t waits; /* posted once the thread has begun: a fork must not meet it on its way, holding a lock */

static void *wait_for_signals(void *arg)
{
    const sigset_t *set = arg;
    int sig;

    sem_post(&waits);
    for (;;)
        if (sigwait(set, &sig) == 0)
            on_signal(sig);
    return NULL;
}

/* Signals are taken by a thread that does nothing else: no handler ever runs on a thread that computes, whose stack
 * pointer a kernel may be using for something else. */
static loci_status catch_signals(loci_error *err)
{
    static const int signals[] = {SIGINT, SIGTERM, SIGHUP, SIGUSR1};
    static sigset_t set;
    pthread_t thread;

    sigemptyset(&set);
    for (size_t i = 0; i < sizeof signals / sizeof *signals; i++) {
        struct sigaction was;
        if (signals[i] == SIGHUP && sigaction(SIGHUP, NULL, &was) == 0 && was.sa_handler == SIG_IGN)
            continue; /* nohup stays in force */
        signal(signals[i], SIG_DFL);
        sigaddset(&set, signals[i]);
    }
    signal(SIGPIPE, SIG_DFL);
    if (sem_init(&waits, 0, 0) != 0)
        return loci_fail(err, LOCI_E_INTERNAL, "no semaphore can be had: %s", strerror(errno));
    if (pthread_sigmask(SIG_BLOCK, &set, NULL) != 0 || pthread_create(&thread, NULL, wait_for_signals, &set) != 0)
        return loci_fail(err, LOCI_E_NOMEM, "no thread for signals can be started");
    pthread_detach(thread);
    while (sem_wait(&waits) != 0 && errno == EINTR)
        ;
    return LOCI_OK;
}

/* A closed standard stream must not become the number of the next file that is opened. What stands in for it fails on
 * the first read or write, as a closed one does. */
static void hold_streams(void)
{
    for (int fd = 0; fd < 3; fd++)
        if (fcntl(fd, F_GETFD) == -1)
            (void)!open("/dev/null", fd == 0 ? O_WRONLY : O_RDONLY);
}

static const struct verb *find_verb(const char *name)
{
    const char *nearest = NULL;
    unsigned best = 3;

    for (size_t i = 0; i < N_VERBS; i++) {
        unsigned d = loci_distance(name, verbs[i]->name, 3);
        if (d == 0)
            return verbs[i];
        if (d < best) {
            best = d;
            nearest = verbs[i]->name;
        }
    }
    fprintf(stderr, "loci: unknown verb `%s`", name);
    if (nearest)
        fprintf(stderr, ": did you mean `%s`?\n", nearest);
    else
        fprintf(stderr, "; `loci --help` lists them\n");
    return NULL;
}

int main(int argc, char **argv)
{
    struct options o = {.level = LOCI_LOG_INFO};
    const struct verb *v;
    loci_error err = LOCI_ERROR_INIT;
    loci_status status;

    hold_streams();
    setlocale(LC_CTYPE, "");
    if (argc < 2) {
        usage(stderr);
        return EXIT_IS_USAGE;
    }
    if (!strcmp(argv[1], "--help") || !strcmp(argv[1], "-h") || !strcmp(argv[1], "help")) {
        usage(stdout);
        return EXIT_IS_OK;
    }
    v = !strcmp(argv[1], "--version") || !strcmp(argv[1], "-V") ? &verb_version : find_verb(argv[1]);
    if (!v)
        return EXIT_IS_USAGE;
    o.configs = loci_alloc((size_t)argc * sizeof *o.configs);
    o.sets = loci_alloc((size_t)argc * sizeof *o.sets);
    o.words = loci_alloc((size_t)argc * sizeof *o.words);
    if (!o.configs || !o.sets || !o.words)
        return EXIT_IS_MEMORY;
    loci_log_to(print_log, &o);
    status = catch_signals(&err);
    if (status == LOCI_OK)
        status = parse_and_run(v, argc - 1, argv + 1, &o, &err);
    cli_clear_line();
    if (status != LOCI_OK && !(reported[0] && !strncmp(err.msg, reported, strlen(reported))))
        fprintf(stderr, "loci: %s\n", err.msg[0] ? err.msg : "an error without a message; please report it");
    if (fflush(stdout) != 0 && status == LOCI_OK) {
        fprintf(stderr, "loci: standard output: %s\n", strerror(errno));
        status = LOCI_E_IO;
    }
    loci_free(o.configs);
    loci_free(o.sets);
    loci_free(o.words);
    return exit_of(status);
}
