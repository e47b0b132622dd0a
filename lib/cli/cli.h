/* cli: the face of every command: verbs, options, messages, exit codes. For cmd/ and lib/verbs/ only. */
#ifndef CLI_H
#define CLI_H

#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* One option. A flag sets *flag; one with a value sets *value (a later one wins). */
struct cli_option {
    const char *name;  /* "--json" or "-n" */
    const char *value; /* the value's name in the help, "SEQ"; NULL for a flag */
    const char *help;
    bool *flag;
    const char **text;
};

/* One verb: options up to a NULL name, operands as in the help. run returns an exit code, or -1 after fail(). */
struct cli_verb {
    const char *name;     /* NULL for a command with one verb only */
    const char *operands; /* "DB [TABLE...]" */
    int min, max;         /* operands; max -1: any number */
    const char *help;     /* one line */
    const struct cli_option *options;
    int (*run)(int argc, char **argv); /* the operands */
};

struct cli_command {
    const char *name;
    const char *help; /* one line: what the command is for */
    const struct cli_verb *const *verb;
    size_t nverb;
    const char *exits; /* the exit codes that it ends with, a digit each, as its page lists them */
    const char *notes; /* more text for --help, or NULL */
};

/* Runs the verb that the command line names and returns the exit code for main: --help, --version and misuse are
 * dealt with here, failures are printed as "NAME: message", stdout is flushed and checked. Global option -v sets
 * cli_verbose. Options may stand before or after operands; "--" ends them. */
int cli_main(const struct cli_command *c, int argc, char **argv);

/* The directory of this command, where its siblings are, whatever PATH is. */
const char *cli_directory(void);

extern bool cli_verbose;

/* On a terminal, stderr shows how far work has come that takes longer than a second; of a pipeline, its last stage does.
 * A verb that prints lines all the time says so: nothing is shown between them. */
void cli_prints_lines(void);

/* A verb whose stdout is read by a script and no next stage says so: it shows how far work has come. */
void cli_shows_progress(void);

/* Prints "NAME: text" on stderr; cli_say only with -v. Where stderr is the journal of systemd, a level stands before it:
 * warning, or of cli_say info. */
void cli_warn(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void cli_say(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* Reads a number from 0 on. -1 with ERR_USAGE naming `what` when it is none. */
int cli_number(const char *text, const char *what, int64_t *out);

/* Refuses (ERR_USAGE) to write an archive to a terminal. */
int cli_archive_to_stdout(void);

#endif
