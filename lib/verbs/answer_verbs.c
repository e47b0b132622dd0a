/* answer_verbs: see verbs/answer_verbs.h. */
#include "verbs/answer_verbs.h"

#include "base/file.h"
#include "compare/resolve.h"
#include "compare/view.h"
#include "verbs/verb.h"

#include <stdio.h>
#include <unistd.h>

enum { WIDTH = 80 };

static bool as_json;

static int with_base(const char *path, bool write, int (*fn)(struct base *b))
{
    struct base *b = file_exists(path) ? base_open(path, write) : NULL;
    if (b == NULL)
        return file_exists(path) ? -1 : fail(ERR_SYSTEM, "%s: no such file", path);
    int rc = fn(b);
    base_close(b);
    return rc;
}

static bool any_conflict;

static int count_one(void *ctx, const struct base_conflict *c)
{
    (void)ctx;
    (void)c;
    any_conflict = true;
    return 0;
}

static int print_lists(struct base *b)
{
    int rc = as_json ? view_base_json(b, stdout) : view_base_conflicts(b, WIDTH, stdout);
    if (rc == 0 && !as_json)
        rc = view_issues(b, verb_warn_line);
    if (rc == 0)
        rc = base_each_conflict(b, count_one, NULL);
    return rc ? rc : any_conflict ? ERR_LOOK : 0;
}

static int conflicts(int argc, char **argv)
{
    (void)argc;
    return with_base(argv[0], false, print_lists);
}

static int take_answers(struct base *b)
{
    int64_t n = 0;
    int rc = isatty(STDIN_FILENO) ? resolve_ask(b, stdin, stdout, WIDTH, &n) : resolve_lines(b, stdin, &n);
    if (rc == 0)
        cli_say("%lld answers; the next run heeds them", (long long)n);
    return rc;
}

static int resolve(int argc, char **argv)
{
    (void)argc;
    return with_base(argv[0], true, take_answers);
}

static const struct cli_option json_option[] = {{"--json", NULL, "as JSON Lines", &as_json, NULL}, {0}};

const struct cli_verb answer_verb_conflicts = {
    "conflicts", "BASE",   1, 1, "show what waits for an answer, and what was left alone",
    json_option, conflicts};

const struct cli_verb answer_verb_resolve = {
    "resolve", "BASE", 1, 1, "answer conflicts, on a terminal or as JSON Lines on stdin", NULL, resolve};
