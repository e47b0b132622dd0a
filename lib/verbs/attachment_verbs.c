/* attachment_verbs: see verbs/attachment_verbs.h. */
#include "verbs/attachment_verbs.h"

#include "base/mem.h"
#include "journal/meta.h"
#include "session/copy_files.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *opt_request;

static bool opt_missing, opt_json;

/* Where a file is added: the directory of a copy's; at the server, the site's store. */
static char *files_directory(const char *path, bool copy)
{
    const char *slash = strrchr(path, '/');
    return copy            ? mem_printf("%s-dx", path)
           : slash == NULL ? mem_text("files")
                           : mem_printf("%.*s/files", (int)(slash - path), path);
}

static int add_files(const char *path, bool copy, int n, char **file)
{
    char sha[SHA_HEX];
    int64_t size;
    int rc = 0;
    char *directory = files_directory(path, copy);
    for (int i = 0; rc == 0 && i < n; i++) {
        rc = copy ? copy_files_add(directory, file[i], sha, &size)
                  : copy_files_put(directory, file[i], NULL, sha, &size);
        if (rc == 0)
            printf("%s %lld %s\n", sha, (long long)size, file[i]);
    }
    free(directory);
    return rc;
}

static void print_file(const struct copy_file *f)
{
    if (opt_json)
        printf("{\"digest\": \"%s\", \"state\": \"%s\", \"size\": %lld, \"here\": %lld}\n", f->sha,
               copy_file_state_name(f->state), (long long)f->size, (long long)f->at);
    else
        printf("%s %12lld %s\n", f->sha, (long long)f->size, copy_file_state_name(f->state));
}

static int list_files(struct db *db, const char *path)
{
    struct copy_files files;
    char *spool = mem_printf("%s-dx", path);
    bool moves = false;
    int rc = copy_files_look(db, spool, opt_missing, &files);
    for (size_t i = 0; rc == 0 && i < files.n; i++) {
        bool move = files.file[i].state == COPY_FILE_MISSING || files.file[i].state == COPY_FILE_WAITS;
        moves |= move;
        if (!opt_missing || move)
            print_file(&files.file[i]);
    }
    copy_files_free(&files);
    free(spool);
    return rc ? -1 : opt_missing && moves ? ERR_LOOK : 0;
}

static int files(int argc, char **argv)
{
    char *node = NULL;
    struct db *db = db_open(argv[0], opt_request ? DB_WRITE : DB_READ);
    int rc = db && meta_require(db) == 0 ? meta_get_text(db, "node", &node) : -1;
    if (rc == 0 && node == NULL && argc == 1)
        rc = fail(ERR_REFUSED, "%s is no copy; `txnroute files --missing` lists what a server's store lacks",
                  argv[0]);
    if (rc == 0 && opt_request)
        rc = db_begin_write(db) || copy_files_request(db, opt_request) || db_commit(db) ? -1 : 0;
    if (rc == 0 && argc > 1)
        rc = add_files(argv[0], node != NULL, argc - 1, argv + 1);
    else if (rc == 0 && !opt_request)
        rc = list_files(db, argv[0]);
    free(node);
    db_close(db);
    return rc;
}

#define OPTION_JSON                                            \
    {                                                          \
        .name = "--json", .help = "as JSON", .flag = &opt_json \
    }

static const struct cli_option files_options[] = {
    {.name = "--missing", .help = "list only what is to come or to go (exit 1)", .flag = &opt_missing},
    {.name = "--request",
     .value = "ID",
     .help = "ask for the file of the row with this key, or of this digest",
     .text = &opt_request},
    OPTION_JSON,
    {0}};

const struct cli_verb attachment_verb_files = {
    "files",
    "DB [FILE...]",
    1,
    -1,
    "list the files that rows name, and where they are; add a FILE, and print its digest",
    files_options,
    files};
