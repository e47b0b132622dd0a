/* patch_verbs: see verbs/patch_verbs.h. */
#include "verbs/patch_verbs.h"

#include "device/patch.h"
#include "journal/meta.h"
#include "verbs/verb.h"

#include <stdio.h>
#include <string.h>

static const char *sign_key;

static const char *version, *target;

static bool withdraw;

static int stage_patch(int argc, char **argv)
{
    struct patch p = {0};
    bool change = argc == 2 || withdraw;
    if (target && strcmp(target, PATCH_HANDHELD) != 0)
        return fail(ERR_USAGE, "--for: " PATCH_HANDHELD " is all that there are patches for, not '%s'",
                    target);
    if (argc == 2 ? withdraw || !version || !target : version || target)
        return fail(ERR_USAGE, "FILE with --version V --for " PATCH_HANDHELD ", or --withdraw, or neither");
    struct db *db = change ? verb_open_router(argv[0]) : db_open(argv[0], DB_READ);
    int rc = db && meta_require(db) == 0 ? 0 : -1;
    if (rc == 0 && withdraw)
        rc = patch_withdraw(db);
    else if (rc == 0 && change)
        rc = patch_stage(db, argv[1], version, sign_key, &p);
    else if (rc == 0 && (rc = patch_staged(db, &p)) >= 0)
        rc = 0;
    if (rc == 0 && *p.version && change)
        cli_say("version %s staged, %lld bytes", p.version, (long long)p.bytes);
    else if (rc == 0 && *p.version)
        printf("%s %s %lld bytes, sha256 %s\n", PATCH_HANDHELD, p.version, (long long)p.bytes, p.digest);
    if (change)
        return verb_commit(db, rc);
    db_close(db);
    return rc;
}

static const struct cli_option patch_options[] = {
    {.name = "--version",
     .value = "V",
     .help = "the version that FILE, or the files in it, are",
     .text = &version},
    {.name = "--for", .value = "TARGET", .help = "handheld", .text = &target},
    {.name = "--withdraw", .help = "devices that have not installed it stay as they are", .flag = &withdraw},
    {.name = "--sign",
     .value = "KEY",
     .help = "sign it with this private key, as for ssh",
     .text = &sign_key},
    {0}};

const struct cli_verb patch_verb_patch = {
    .name = "patch",
    .operands = "DB [FILE]",
    .min = 1,
    .max = 2,
    .help =
        "stage a new version of the software of devices, a file or a directory; alone: print what is staged",
    .options = patch_options,
    .run = stage_patch};
