/* cli: see cli/cli.h. */
#define _GNU_SOURCE /* fopencookie */
#include "cli/cli.h"

#include "archive/head_read.h"
#include "base/clean.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/progress.h"
#include "journal/upgrade.h"
#include "session/handshake.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

bool cli_verbose;
static const char *program = "dx";

/* ---- progress ---- */

/* One line at the bottom of the terminal, drawn over and over. */
static struct {
    double start, drawn; /* seconds of the monotonic clock; drawn is 0 while no line stands there */
    double after;        /* seconds until it is drawn first */
    char text[512];      /* what was counted last */
} line;

static void word_progress(const struct progress *p)
{
    enum { BAR = 20 };
    static const char full[] = "####################", empty[] = "....................";
    size_t room = sizeof line.text;
    if (p->of > 0) {
        int part = p->bytes < p->of ? (int)(BAR * (double)p->bytes / (double)p->of) : BAR;
        snprintf(line.text, room, "%.24s [%.*s%.*s] %d%% of %.1f MB", p->name, part, full, BAR - part, empty,
                 (int)(100 * (double)p->bytes / (double)p->of), (double)p->of / 1e6);
    } else if (p->bytes)
        snprintf(line.text, room, "%.24s, %.1f MB", p->name, (double)p->bytes / 1e6);
    else if (p->rows)
        snprintf(line.text, room, "%.24s, %lld rows", p->name, (long long)p->rows);
    else if (p->waits && strncmp(line.text, p->name, strnlen(p->name, 24)) != 0)
        snprintf(line.text, room, "waiting for %.40s", p->name);
    else if (*line.text == 0)
        snprintf(line.text, room, "%.24s", p->name);
}

static void draw_progress(const struct progress *p)
{
    double at = clock_seconds();
    word_progress(p);
    if (at - line.start < line.after || at - line.drawn < 0.2)
        return;
    fprintf(stderr, "\r\033[K%s: %s, %.0f s", program, line.text, at - line.start);
    fflush(stderr);
    line.drawn = at;
}

static void clear_progress(void)
{
    if (line.drawn > 0)
        fputs("\r\033[K", stderr);
    line.drawn = 0;
}

/* What goes to the terminal by stdout begins on a line of its own. */
static ssize_t write_below(void *ctx, const char *p, size_t n)
{
    (void)ctx;
    clear_progress();
    fflush(stderr);
    return file_write(STDOUT_FILENO, p, n, "stdout") ? 0 : (ssize_t)n;
}

static void begin_lines(void)
{
    FILE *lines = fopencookie(NULL, "w", (cookie_io_functions_t){.write = write_below});
    if (lines == NULL)
        return;
    setvbuf(lines, NULL, _IOLBF, BUFSIZ);
    stdout = lines;
}

/* In a pipeline it is the last stage that shows how far all of it is. */
static void begin_progress(void)
{
    struct stat out;
    const char *after = getenv("DX_PROGRESS_AFTER");
    line.start = clock_seconds();
    line.after = after ? strtod(after, NULL) : 1;
    bool fed = fstat(STDOUT_FILENO, &out) == 0 && S_ISFIFO(out.st_mode);
    if (!isatty(STDERR_FILENO) || fed)
        return;
    progress_to(draw_progress);
    if (isatty(STDOUT_FILENO))
        begin_lines();
}

void cli_shows_progress(void)
{
    if (isatty(STDERR_FILENO))
        progress_to(draw_progress);
}

void cli_prints_lines(void)
{
    if (isatty(STDOUT_FILENO))
        progress_to(NULL);
}

/* ---- messages ---- */

/* Levels of syslog, as the journal of systemd takes them at the beginning of a line. */
#define ERROR   "<3>"
#define WARNING "<4>"
#define INFO    "<6>"

/* The level, where stderr is the journal, as sd-daemon(3) has it; else nothing. */
static const char *level(const char *name)
{
    unsigned long long device, inode;
    const char *stream = getenv("JOURNAL_STREAM");
    struct stat st;
    return stream && sscanf(stream, "%llu:%llu", &device, &inode) == 2 && fstat(STDERR_FILENO, &st) == 0 &&
                   st.st_dev == device && st.st_ino == inode
               ? name
               : "";
}

/* A message may hold names and values that a node has sent. */
static void print_clean(const char *name, const char *who, const char *text)
{
    struct buf b = {0};
    clean_text(&b, text, strlen(text));
    fprintf(stderr, "%s%s: %s\n", level(name), who, buf_text(&b));
    buf_free(&b);
}

static void print_failure(const char *who)
{
    struct buf b = {0};
    print_clean(ERROR, who, err_message());
    for (const char *at = err_lines(), *end; *at; at = *end ? end + 1 : end) {
        end = strchrnul(at, '\n');
        buf_clear(&b);
        clean_text(&b, at, (size_t)(end - at));
        fprintf(stderr, "%s%s\n", level(ERROR), buf_text(&b));
    }
    buf_free(&b);
}

__attribute__((format(printf, 2, 0))) static void print(const char *name, const char *fmt, va_list ap)
{
    va_list again;
    va_copy(again, ap);
    int n = vsnprintf(NULL, 0, fmt, ap);
    char *text = mem_alloc((size_t)(n < 0 ? 0 : n) + 1);
    vsnprintf(text, (size_t)(n < 0 ? 0 : n) + 1, fmt, again);
    va_end(again);
    clear_progress();
    print_clean(name, program, text);
    free(text);
}

void cli_warn(const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    print(WARNING, fmt, ap);
    va_end(ap);
}

void cli_say(const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    if (cli_verbose)
        print(INFO, fmt, ap);
    va_end(ap);
}

int cli_number(const char *text, const char *what, int64_t *out)
{
    char *end;
    errno = 0;
    long long n = strtoll(text, &end, 10);
    if (errno || end == text || *end || n < 0)
        return fail(ERR_USAGE, "%s: '%s' is not a number from 0 on", what, text);
    *out = n;
    return 0;
}

static char directory[4096];

const char *cli_directory(void)
{
    return directory;
}

/* From the name we were called by, if it has a slash in it; else from the kernel. */
static void find_directory(const char *called)
{
    if (strchr(called, '/'))
        snprintf(directory, sizeof directory, "%s", called);
    else if (readlink("/proc/self/exe", directory, sizeof directory - 1) < 0)
        snprintf(directory, sizeof directory, "/usr/bin/");
    *strrchr(directory, '/') = 0;
}

int cli_archive_to_stdout(void)
{
    if (isatty(STDOUT_FILENO))
        return fail(
            ERR_USAGE,
            "an archive goes to stdout, which is a terminal; redirect it: > FILE.dx, or | dxpack cat");
    return 0;
}

enum { WIDTH = 80, OPTION_AT = 6, HELP_AT = 29 };

/* Prints the words from column `at` on, in lines of at most WIDTH columns; those after the first begin at column `next`. */
static void put_wrapped(FILE *out, const char *text, int at, int next)
{
    while (*text) {
        const char *end = text, *word = text;
        while (*word) { /* as many words as fit, one at least */
            size_t n = strcspn(word, " ");
            if (word > text && at + (word + n - text) > WIDTH)
                break;
            end = word + n;
            word = end + strspn(end, " ");
        }
        fprintf(out, "%.*s\n", (int)(end - text), text);
        text = end + strspn(end, " ");
        at = next;
        if (*text)
            fprintf(out, "%*s", next, "");
    }
}

static void help_options(const struct cli_option *o)
{
    for (; o && o->name; o++) {
        char left[64];
        snprintf(left, sizeof left, "%s%s%s", o->name, o->value ? " " : "", o->value ? o->value : "");
        printf("%*s%-*s ", OPTION_AT, "", HELP_AT - OPTION_AT - 1, left);
        put_wrapped(stdout, o->help,
                    (int)strlen(left) < HELP_AT - OPTION_AT ? HELP_AT : OPTION_AT + (int)strlen(left) + 1,
                    HELP_AT);
    }
}

/* The form of a verb, from column `at` on. */
static void synopsis(FILE *out, const struct cli_command *c, const struct cli_verb *v, int at)
{
    char form[256];
    snprintf(form, sizeof form, "%s%s%s%s%s%s", c->name, v->name ? " " : "", v->name ? v->name : "",
             v->options && v->options->name ? " [OPTION...]" : "", *v->operands ? " " : "", v->operands);
    put_wrapped(out, form, at, at + 4);
}

static void help_exits(const char *codes)
{
    static const char *const word[] = {"done",           "done and something to look at",
                                       "usage",          "refused input (nothing changed)",
                                       "system trouble", "stopped by a guard",
                                       "busy",           "sync again"};
    struct buf text = {0};
    for (const char *c = codes; *c; c++)
        buf_addf(&text, "%s %c %s", c == codes ? "Exit:" : ",", *c, word[*c - '0']);
    putchar('\n');
    buf_puts(&text, ".");
    put_wrapped(stdout, buf_text(&text), 0, 0);
    buf_free(&text);
}

static int help(const struct cli_command *c)
{
    printf("%s - %s\n\nusage:\n", c->name, c->help);
    for (size_t i = 0; i < c->nverb; i++) {
        printf("  ");
        synopsis(stdout, c, c->verb[i], 2);
        printf("%*s", OPTION_AT, "");
        put_wrapped(stdout, c->verb[i]->help, OPTION_AT, OPTION_AT);
        help_options(c->verb[i]->options);
    }
    printf("\n  -v tells what is done; --help, --version.\n");
    if (c->notes)
        printf("\n%s", c->notes);
    help_exits(c->exits);
    printf("See %s(1).\n", c->name);
    return 0;
}

static int misuse(const struct cli_command *c, const struct cli_verb *v, const char *what, const char *word)
{
    fprintf(stderr, "%s%s: %s%s%s%s\n", level(ERROR), c->name, what, *word ? " '" : "", word,
            *word ? "'" : "");
    if (v) {
        fputs("usage: ", stderr);
        synopsis(stderr, c, v, 7);
    }
    fprintf(stderr, "Try %s --help, or man %s.\n", c->name, c->name);
    return ERR_USAGE;
}

static const struct cli_option *find_option(const struct cli_verb *v, const char *word, size_t n)
{
    for (const struct cli_option *o = v->options; o && o->name; o++)
        if (strlen(o->name) == n && strncmp(o->name, word, n) == 0)
            return o;
    return NULL;
}

/* Short options in one word, "-nv": flags all of them, of which there are more than one. Whether it is that. */
static bool take_bundle(const struct cli_verb *v, const char *word)
{
    size_t n = strlen(word);
    for (int pass = 0; pass < 2; pass++)
        for (size_t i = 1; i < n; i++) {
            const char one[] = {'-', word[i], 0};
            const struct cli_option *o = find_option(v, one, 2);
            if (n < 3 || word[1] == '-' || (word[i] != 'v' && (o == NULL || o->value)))
                return false;
            if (pass && word[i] == 'v')
                cli_verbose = true;
            else if (pass)
                *o->flag = true;
        }
    return true;
}

/* Takes the options out of argv, leaving the operands. Their number, or -1 after a message. */
static int take_options(const struct cli_command *c, const struct cli_verb *v, int argc, char **argv)
{
    int n = 0;
    bool only_operands = false;
    for (int i = 0; i < argc; i++) {
        char *word = argv[i];
        if (only_operands || word[0] != '-' || word[1] == 0) {
            argv[n++] = word;
            continue;
        }
        if (strcmp(word, "--") == 0 || strcmp(word, "-v") == 0) {
            only_operands |= word[1] == '-';
            cli_verbose |= word[1] == 'v';
            continue;
        }
        if (take_bundle(v, word))
            continue;
        const char *equals = strncmp(word, "--", 2) == 0 ? strchr(word, '=') : NULL;
        const struct cli_option *o = find_option(v, word, equals ? (size_t)(equals - word) : strlen(word));
        if (o == NULL || (equals && o->value == NULL))
            return misuse(c, v, "unknown option", word), -1;
        if (o->value == NULL)
            *o->flag = true;
        else if (equals)
            *o->text = equals + 1;
        else if (i + 1 < argc)
            *o->text = argv[++i];
        else
            return misuse(c, v, "a value is missing after", word), -1;
    }
    argv[n] = NULL;
    return n;
}

static const struct cli_verb *find_verb(const struct cli_command *c, const char *word)
{
    for (size_t i = 0; i < c->nverb; i++)
        if (c->verb[i]->name == NULL || (word && strcmp(c->verb[i]->name, word) == 0))
            return c->verb[i];
    return NULL;
}

/* Whether the verb has an option of that name: then it is not the one that all commands have. */
static bool has_option(const struct cli_verb *v, const char *word)
{
    return v && find_option(v, word, strlen(word));
}

/* The code for main, once what was printed has really left. */
static int finish(int code)
{
    if (fflush(stdout) || ferror(stdout)) {
        fprintf(stderr, "%s%s: stdout: cannot write: %s\n", level(ERROR), program, strerror(errno));
        return ERR_SYSTEM;
    }
    return code;
}

/* What a command makes, databases, archives and directories, is not for others on the machine. A stricter mask stays, and
 * one that lets the group in but not others. */
static void keep_private(void)
{
    mode_t before = umask(077);
    if ((before & 007) == 007)
        umask(before);
}

int cli_main(const struct cli_command *c, int argc, char **argv)
{
    program = c->name;
    keep_private();
    find_directory(argv[0]);
    for (int i = 1; i < argc && strcmp(argv[i], "--") != 0; i++) {
        if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0)
            return finish(help(c));
        if (strcmp(argv[i], "--version") == 0 && !(i > 1 && has_option(find_verb(c, argv[1]), argv[i]))) {
            printf("%s (dx) %s, archive format %d, protocol %d, table format %d\n", c->name, DX_VERSION,
                   DX_FORMAT, HANDSHAKE_PROTOCOL, UPGRADE_FORMAT);
            return finish(0);
        }
    }
    while (argc > 1 && strcmp(argv[1], "-v") == 0) {
        cli_verbose = true;
        argc--;
        argv++;
    }
    const struct cli_verb *v = find_verb(c, argc > 1 ? argv[1] : NULL);
    if (v == NULL)
        return misuse(c, NULL, argc > 1 ? "no such verb" : "a verb is missing", argc > 1 ? argv[1] : "");
    int skip = v->name ? 2 : 1;
    int n = take_options(c, v, argc - skip, argv + skip);
    if (n < 0)
        return ERR_USAGE;
    if (n < v->min || (v->max >= 0 && n > v->max))
        return misuse(c, v, n < v->min ? "an operand is missing" : "too many operands", "");
    begin_progress();
    int code = v->run(n, argv + skip);
    clear_progress();
    if (code < 0) {
        print_failure(c->name);
        code = (int)err_code();
    }
    return finish(code);
}
