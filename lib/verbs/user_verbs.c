/* user_verbs: see verbs/user_verbs.h. */
#include "verbs/user_verbs.h"

#include "journal/meta.h"
#include "nodes/responsibility.h"
#include "verbs/verb.h"

#include <stdio.h>
#include <string.h>

static const char *package;

static const char *responsibility;

static void print_user(void *ctx, const struct responsibility_row *t)
{
    (void)ctx;
    printf("%-20s %-16s %s\n", t->name, t->of, t->active ? "active" : "ended");
}

static void print_responsibility(void *ctx, const struct responsibility_row *t)
{
    (void)ctx;
    printf("%-20s %s\n", t->name, t->of);
}

static void print_package(void *ctx, const struct responsibility_row *t)
{
    (void)ctx;
    printf("%-20s %-13s %s\n", t->name, t->published ? "published" : "not published",
           t->active ? "active" : "not active");
}

static int tell_all(const char *path, int (*each)(struct db *, responsibility_fn *, void *),
                    responsibility_fn *fn)
{
    struct db *db = db_open(path, DB_READ);
    int rc = db && meta_require(db) == 0 ? each(db, fn, NULL) : -1;
    db_close(db);
    return rc;
}

static int user_verb(int argc, char **argv)
{
    const char *verb = argv[0], *name = argc > 2 ? argv[2] : NULL;
    bool add = strcmp(verb, "add") == 0;
    if (strcmp(verb, "list") == 0)
        return tell_all(argv[1], responsibility_each_user, print_user);
    if (!add && strcmp(verb, "end") != 0)
        return fail(ERR_USAGE, "user %s: add, end or list expected", verb);
    if (name == NULL || (add && responsibility == NULL))
        return fail(ERR_USAGE,
                    name ? "user add: what does the user do? --responsibility NAME" : "user: which user?");
    struct db *db = verb_open_router(argv[1]);
    return db ? verb_commit(db, add ? responsibility_set_user(db, name, responsibility)
                                    : responsibility_end_user(db, name))
              : -1;
}

static int responsibility_verb(int argc, char **argv)
{
    const char *verb = argv[0], *name = argc > 2 ? argv[2] : NULL;
    if (strcmp(verb, "list") == 0)
        return tell_all(argv[1], responsibility_each, print_responsibility);
    if (strcmp(verb, "set") != 0)
        return fail(ERR_USAGE, "responsibility %s: set or list expected", verb);
    if (name == NULL || package == NULL)
        return fail(ERR_USAGE, "responsibility set: DB NAME --package P");
    struct db *db = verb_open_router(argv[1]);
    return db ? verb_commit(db, responsibility_set(db, name, package)) : -1;
}

static int package_verb(int argc, char **argv)
{
    const char *verb = argv[0], *name = argc > 2 ? argv[2] : NULL;
    bool publish = strcmp(verb, "publish") == 0, withdrawn = strcmp(verb, "withdraw") == 0;
    bool activate = strcmp(verb, "activate") == 0;
    if (strcmp(verb, "list") == 0)
        return tell_all(argv[1], responsibility_each_package, print_package);
    if (!publish && !withdrawn && !activate && strcmp(verb, "deactivate") != 0)
        return fail(ERR_USAGE, "package %s: publish, withdraw, activate, deactivate or list expected", verb);
    if (name == NULL)
        return fail(ERR_USAGE, "package %s: which package?", verb);
    struct db *db = verb_open_router(argv[1]);
    return db ? verb_commit(db, publish || withdrawn ? responsibility_publish(db, name, publish)
                                                     : responsibility_activate(db, name, activate))
              : -1;
}

static const struct cli_option user_options[] = {
    {.name = "--responsibility", .value = "NAME", .help = "what the user does", .text = &responsibility},
    {0}};

static const struct cli_option responsibility_options[] = {
    {.name = "--package", .value = "P", .help = "what users with it get", .text = &package}, {0}};

const struct cli_verb user_verb_user = {.name = "user",
                                        .operands = "add|end|list DB [USER]",
                                        .min = 2,
                                        .max = 3,
                                        .help = "register users with a responsibility, end them, list them",
                                        .options = user_options,
                                        .run = user_verb};

const struct cli_verb user_verb_responsibility = {.name = "responsibility",
                                                  .operands = "set|list DB [NAME]",
                                                  .min = 2,
                                                  .max = 3,
                                                  .help = "say which package users with a responsibility get",
                                                  .options = responsibility_options,
                                                  .run = responsibility_verb};

const struct cli_verb user_verb_package = {
    .name = "package",
    .operands = "publish|withdraw|activate|deactivate|list DB [PACKAGE]",
    .min = 2,
    .max = 3,
    .help = "whether new copies are made of a package, and whether its nodes are served",
    .run = package_verb};
