/* make_verbs: see verbs/make_verbs.h. */
#include "verbs/make_verbs.h"

#include "archive/archive_jsonl.h"
#include "archive/head_read.h"
#include "archive/repack.h"
#include "archive/signature.h"
#include "base/file.h"
#include "base/mem.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { LEVEL = 3 };

static bool patch;

static const char *level_text;

static const char *key;

static const struct cli_option sign_options[] = {
    {.name = "--key", .value = "FILE", .help = "the private key, as for ssh", .text = &key},
    {.name = "--level", .value = "N", .help = "zstd level, 1 to 19 (default 3)", .text = &level_text},
    {0}};

static int get_level(int *level)
{
    int64_t n = LEVEL;
    if (level_text && cli_number(level_text, "--level", &n))
        return -1;
    if (n < 1 || n > 19)
        return fail(ERR_USAGE, "--level: from 1 to 19");
    *level = (int)n;
    return cli_archive_to_stdout();
}

static int sign(int argc, char **argv)
{
    const char *name;
    int level;
    if (key == NULL)
        return fail(ERR_USAGE, "--key FILE is missing: the private key to sign with");
    if (get_level(&level))
        return -1;
    int fd = dx_open_input(argc ? argv[0] : NULL, &name);
    return fd < 0 ? -1 : signature_add(fd, name, key, STDOUT_FILENO, level);
}

/* Options of make that set the head. */
static const char *head_path, *kind_text, *from, *to, *epoch, *package, *number, *after, *upto, *ack,
    *applied;

static const struct cli_option make_options[] = {
    {.name = "--head",
     .value = "FILE",
     .help = "begin with this dx.json: tables, kind and all",
     .text = &head_path},
    {.name = "--kind",
     .value = "KIND",
     .help = "changes (default), upload, snapshot, keys, rows",
     .text = &kind_text},
    {.name = "--from", .value = "NODE", .help = "the sender", .text = &from},
    {.name = "--to", .value = "NODE", .help = "the receiver", .text = &to},
    {.name = "--epoch", .value = "TEXT", .help = "epoch of the numbering", .text = &epoch},
    {.name = "--package", .value = "NAME", .help = "the package it is cut for", .text = &package},
    {.name = "--number", .value = "N", .help = "its number in the row", .text = &number},
    {.name = "--after", .value = "SEQ", .help = "begin of the journal range", .text = &after},
    {.name = "--upto", .value = "SEQ", .help = "end of the journal range", .text = &upto},
    {.name = "--ack", .value = "N", .help = "newest upload merged by the sender", .text = &ack},
    {.name = "--applied", .value = "N", .help = "newest download applied by the sender", .text = &applied},
    {.name = "--patch", .help = "patchset form: leave old values out", .flag = &patch},
    {.name = "--level", .value = "N", .help = "zstd level, 1 to 19 (default 3)", .text = &level_text},
    {0}};

static int load_head(struct dx_head *h)
{
    struct buf b = {0};
    dx_head_init(h, DX_CHANGES);
    if (head_path == NULL)
        return 0;
    int rc = file_load(head_path, DX_JSON_MAX, &b);
    if (rc == 0) {
        dx_head_free(h);
        rc = head_get(&b, head_path, h);
    }
    buf_free(&b);
    return rc;
}

static int set_kind(struct dx_head *h)
{
    if (kind_text == NULL)
        return 0;
    for (enum dx_kind k = DX_CHANGES; k <= DX_ROWS; k++)
        if (strcmp(kind_text, dx_kind_name(k)) == 0) {
            h->kind = k;
            return 0;
        }
    return fail(ERR_USAGE, "--kind: changes, upload, snapshot, keys or rows, not '%s'", kind_text);
}

static int set_head(struct dx_head *h)
{
    const struct {
        const char *value;
        char **text;
    } texts[] = {{from, &h->from}, {to, &h->to}, {epoch, &h->epoch}, {package, &h->package}};
    const struct {
        const char *value, *name;
        int64_t *number;
    } numbers[] = {{number, "--number", &h->number},
                   {after, "--after", &h->after},
                   {upto, "--upto", &h->upto},
                   {ack, "--ack", &h->ack},
                   {applied, "--applied", &h->applied}};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        if (texts[i].value)
            dx_head_set(texts[i].text, texts[i].value);
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
        if (numbers[i].value && cli_number(numbers[i].value, numbers[i].name, numbers[i].number))
            return -1;
    if (h->upto < h->after)
        return fail(ERR_USAGE, "--upto is before --after");
    return set_kind(h);
}

static int open_lines(const char *path, const char **name)
{
    *name = path && strcmp(path, "-") != 0 ? path : "stdin";
    if (path == NULL || strcmp(path, "-") == 0)
        return STDIN_FILENO;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    return fd < 0 ? fail_errno("%s: cannot open", path) : fd;
}

static int make(int argc, char **argv)
{
    struct dx_head h;
    const char *name;
    int level, in = -1;
    int rc = load_head(&h) || set_head(&h) || get_level(&level) ? -1 : 0;
    if (rc == 0)
        in = open_lines(argc ? argv[0] : NULL, &name);
    if (in >= 0)
        rc = lines_pack(in, name, &h, patch, STDOUT_FILENO, level);
    dx_head_free(&h);
    return in < 0 ? -1 : rc;
}

static const struct cli_option level_options[] = {
    {.name = "--level", .value = "N", .help = "zstd level, 1 to 19 (default 3)", .text = &level_text}, {0}};

static int join(int argc, char **argv)
{
    struct repack_input *in = mem_zero((size_t)argc, sizeof *in);
    int level, rc = get_level(&level);
    for (int i = 0; i < argc && rc == 0; i++) {
        in[i].fd = dx_open_input(argv[i], &in[i].name);
        rc = in[i].fd < 0 ? -1 : 0;
    }
    if (rc == 0)
        rc = repack_join(in, (size_t)argc, STDOUT_FILENO, level);
    free(in);
    return rc;
}

static int invert(int argc, char **argv)
{
    struct repack_input in;
    int level;
    if (get_level(&level))
        return -1;
    in.fd = dx_open_input(argc ? argv[0] : NULL, &in.name);
    return in.fd < 0 ? -1 : repack_invert(&in, STDOUT_FILENO, level);
}

const struct cli_verb make_verb_make = {"make",       "[FILE]", 0, 1, "JSON Lines into an archive",
                                        make_options, make};

const struct cli_verb make_verb_join = {"join",        "FILE...", 1, -1, "logs that follow on into one",
                                        level_options, join};

const struct cli_verb make_verb_invert = {
    "invert", "[FILE]", 0, 1, "the archive that takes this one back", level_options, invert};

const struct cli_verb make_verb_sign = {
    "sign", "[FILE]", 0, 1, "the archive with a signature as its last member", sign_options, sign};
