/* seal_verbs: see verbs/seal_verbs.h. */
#include "verbs/seal_verbs.h"

#include "base/process.h"

#include <stdio.h>
#include <unistd.h>

static const char *key, *recipients;

static const struct cli_option seal_options[] = {
    {.name = "--to", .value = "FILE", .help = "the receivers' public keys, a line each", .text = &recipients},
    {0}};

static const struct cli_option unseal_options[] = {
    {.name = "--key", .value = "FILE", .help = "the private key", .text = &key}, {0}};

/* age(1) encrypts and decrypts as a filter. */
static int run_age(const char *direction, const char *option, const char *file, int argc, char **argv)
{
    const char *args[] = {"age", direction, option, file, argc ? argv[0] : "-", NULL};
    struct buf err = {0};
    if (cli_archive_to_stdout())
        return -1;
    if (access(file, R_OK))
        return fail_errno("%s: cannot read", file);
    int status = process_filter(args, &err);
    if (status > 0)
        status = fail(ERR_REFUSED, "%s", process_first_line(&err));
    buf_free(&err);
    return status;
}

static int seal(int argc, char **argv)
{
    if (recipients == NULL)
        return fail(ERR_USAGE, "--to FILE is missing: the public keys of those who may read it");
    return run_age("-e", "-R", recipients, argc, argv);
}

static int unseal(int argc, char **argv)
{
    if (key == NULL)
        return fail(ERR_USAGE, "--key FILE is missing: the private key of one of the receivers");
    return run_age("-d", "-i", key, argc, argv);
}

const struct cli_verb seal_verb_seal = {"seal",       "[FILE]", 0, 1, "encrypt for the way, with age",
                                        seal_options, seal};

const struct cli_verb seal_verb_unseal = {"unseal",       "[FILE]", 0, 1, "decrypt what was sealed",
                                          unseal_options, unseal};
