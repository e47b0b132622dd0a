/* plan_verbs: see verbs/plan_verbs.h. */
#include "verbs/plan_verbs.h"

#include "compare/diffscreen.h"
#include "compare/remote.h"
#include "verbs/verb.h"

#include <stdio.h>
#include <unistd.h>

static const char *conf_path;

static int serve(int argc, char **argv)
{
    (void)argc;
    return verb_tell_steps(serve_run(argv[0], STDIN_FILENO, STDOUT_FILENO));
}

static int keys(int argc, char **argv)
{
    struct conf *conf;
    (void)argc;
    if (cli_archive_to_stdout() || verb_load_conf(conf_path, &conf))
        return -1;
    int rc = diff_keys(argv[0], conf, STDOUT_FILENO, "stdout", verb_warn_line);
    conf_free(conf);
    return rc;
}

static void on_issue(void *ctx, enum diff_issue issue, const struct change *c, const struct val *other)
{
    static const char *const why[] = {
        "was to be sent and is gone now; left out until the next comparison",
        "was to be deleted and is back again; left out until the next comparison",
        "not inserted: another row has its user key, key"};
    int64_t *issues = ctx;
    ++*issues;
    cli_warn("%s: %s%s%s", change_show(c), why[issue], other ? " " : "",
             other ? vals_show(other, c->table->nkey) : "");
}

typedef int pass_fn(struct db *db, const struct diff_set *set, struct dx_reader *r,
                    const struct dx_head *head, int fd, const char *name, diff_issue_fn *issue, void *ctx);

/* stdin through `pass` to stdout, beside a snapshot of the database. */
static int pass_archive(const char *path, pass_fn *pass)
{
    const char *name;
    const struct dx_head *head;
    int64_t issues = 0;
    struct conf *conf = NULL;
    struct dx_reader *r = NULL;
    struct diff_set *set = NULL;
    int fd = cli_archive_to_stdout() ? -1 : dx_open_input(NULL, &name);
    if (fd < 0 || verb_load_conf(conf_path, &conf))
        return -1;
    struct db *db = db_open(path, DB_READ);
    int rc = db && db_begin_read(db) == 0 && (set = diff_set_of(db, conf)) ? 0 : -1;
    if (rc == 0) {
        r = dx_reader_open(fd, name);
        rc = r && dx_next(r, &head) > 0 ? pass(db, set, r, head, STDOUT_FILENO, "stdout", on_issue, &issues)
                                        : -1;
    }
    dx_reader_close(r);
    diff_set_free(set);
    db_close(db);
    conf_free(conf);
    return rc ? rc : issues ? ERR_LOOK : 0;
}

static int rows(int argc, char **argv)
{
    (void)argc;
    return pass_archive(argv[0], diff_rows);
}

static int screen(int argc, char **argv)
{
    (void)argc;
    return pass_archive(argv[0], diff_screen);
}

#define CONF                                                                                            \
    {                                                                                                   \
        "--conf", "FILE", "the objects, their columns and keys, as in a package.conf", NULL, &conf_path \
    }

static const struct cli_option only_conf[] = {CONF, {0}};

const struct cli_verb plan_verb_serve = {
    "serve", "DB", 1, 1, "answer on stdin and stdout for a sync at the other end", NULL, serve};

const struct cli_verb plan_verb_keys = {
    "keys", "DB", 1, 1, "write key and change key of every row as an archive", only_conf, keys};

const struct cli_verb plan_verb_rows = {
    "rows", "DB", 1, 1, "write the full rows that the plan on stdin asks for", only_conf, rows};

const struct cli_verb plan_verb_screen = {
    "screen",  "DB",  1, 1, "leave out of the rows on stdin the inserts whose user key another row of DB has",
    only_conf, screen};
