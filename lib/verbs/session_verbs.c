/* session_verbs: see verbs/session_verbs.h. */
#include "verbs/session_verbs.h"

#include "base/file.h"
#include "base/mem.h"
#include "journal/applied_digests.h"
#include "journal/meta.h"
#include "session/exchange.h"
#include "session/serve.h"
#include "verbs/verb.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const char *site, *node_name, *db_name, *copy_of, *rows_text, *whole_text, *timeout_text, *rate_text,
    *latency_text, *feed_text;

static bool now, prove, only_send, only_fetch, leave, take;

static const struct cli_option serve_options[] = {
    {.name = "--site",
     .value = "DIR",
     .help = "where hq.db and docking/ are, an absolute path",
     .text = &site},
    {.name = "--node",
     .value = "NAME",
     .help = "whom this session is for; the client has no say in it",
     .text = &node_name},
    {0}};

static int serve_session(int argc, char **argv)
{
    (void)argc;
    (void)argv;
    if (site == NULL || node_name == NULL)
        return fail(ERR_USAGE, "--site and --node are needed");
    if (*site != '/')
        return fail(
            ERR_USAGE,
            "--site %s: not an absolute path; whose site is served does not depend on where this runs", site);
    int rc = serve(&(struct serve){.site = site,
                                   .node = node_name,
                                   .bin = cli_directory(),
                                   .in = STDIN_FILENO,
                                   .out = STDOUT_FILENO,
                                   .say = cli_say});
    return rc == 0 || err_code() == ERR_USAGE
               ? rc
               : (int)err_code(); /* stderr may lead to the node: it has got its message */
}

static const struct cli_option exchange_options[] = {
    {.name = "--db", .value = "DB", .help = "the copy; default: SPOOL without its -dx", .text = &db_name},
    {.name = "--copy",
     .value = "NODE",
     .help = "fetch the node's whole copy to SPOOL/inbox/snapshot.dx",
     .text = &copy_of},
    {.name = "--feed",
     .value = "FD",
     .help = "with --copy: write it to this descriptor, too, as it comes",
     .text = &feed_text},
    {.name = "--now", .help = "let the server merge and route before it answers", .flag = &now},
    {.name = "--prove",
     .help = "fetch the digests of what the copy should hold, to SPOOL/proof",
     .flag = &prove},
    {.name = "--whole",
     .value = "N,...",
     .help = "with --prove: the rows of these tables, too",
     .text = &whole_text},
    {.name = "--rows",
     .value = "N,...",
     .help = "with --prove: those of the rows of these tables of the digests, too",
     .text = &rows_text},
    {.name = "--send", .help = "only send", .flag = &only_send},
    {.name = "--fetch", .help = "only fetch", .flag = &only_fetch},
    {.name = "--leave",
     .help = "write all that the node has to say and to send to stdout, for a stick; nothing is read",
     .flag = &leave},
    {.name = "--take",
     .help = "read the server's answer to that, perhaps an older one, from stdin",
     .flag = &take},
    {.name = "--timeout",
     .value = "SECONDS",
     .help = "end when nothing comes for so long; default 60",
     .text = &timeout_text},
    {.name = "--limit-rate",
     .value = "BYTES",
     .help = "at most so many bytes a second in each direction",
     .text = &rate_text},
    {.name = "--if-latency",
     .value = "MS",
     .help = "do nothing (exit 7) when the server's first answer takes longer",
     .text = &latency_text},
    {0}};

/* Of a copy that is made again: its epoch, the newest archive applied, and which files of its package it has. */
static int read_former(struct db *db, struct standing *us)
{
    char *files = NULL, *was = NULL, *digest = NULL;
    int rc = meta_present(db) > 0
                 ? meta_get_text(db, "package_files", &files) || meta_get_text(db, "server", &was)
                 : 0;
    if (rc == 0 && was)
        rc = meta_get_int(db, "applied", &us->was_archive) ||
             applied_digests_digest(db, "changes", was, us->was_archive, &digest);
    snprintf(us->was, sizeof us->was, "%s", was ? was : "");
    snprintf(us->was_digest, sizeof us->was_digest, "%s", digest ? digest : "");
    free(digest);
    free(was);
    snprintf(us->files, sizeof us->files, "%s", files ? files : "-");
    free(files);
    return rc;
}

/* Where the copy stands: its database is closed again before anything is heard from the other end. */
static int read_standing(const char *spool, struct standing *us, struct copy_files *files)
{
    *us = (struct standing){.release = DX_VERSION};
    if (copy_of)
        snprintf(us->node, sizeof us->node, "%s", copy_of);
    size_t n = strlen(spool);
    while (n > 1 && spool[n - 1] == '/')
        n--;
    if (copy_of && (db_name == NULL || !file_exists(db_name))) {
        snprintf(us->files, sizeof us->files, "-");
        return 0;
    }
    if (db_name == NULL && (n <= 3 || strncmp(spool + n - 3, "-dx", 3) != 0))
        return fail(ERR_USAGE, "%s: its name does not end with -dx; which database is it of? --db DB", spool);
    char *path = db_name ? mem_text(db_name) : mem_printf("%.*s", (int)n - 3, spool);
    struct db *db = db_open(path, DB_READ);
    int rc = db == NULL || db_begin_read(db) ? -1
             : copy_of                       ? read_former(db, us)
             : handshake_of_copy(db, us)     ? -1
                                             : 0;
    if (rc == 0 && !copy_of && copy_files_look(db, spool, true, files)) {
        cli_warn("%s; no files travel that rows name", err_message());
        copy_files_free(files);
    }
    db_close(db);
    free(path);
    return rc;
}

static int read_list(const char *text, const char *what, int64_t **list, size_t *n)
{
    int rc = 0;
    *n = 0;
    *list = NULL;
    if (text == NULL)
        return 0;
    for (char *word; rc == 0 && (word = conf_word(&text, ',')) != NULL; free(word)) {
        *list = mem_grow(*list, *n + 1, sizeof **list);
        rc = cli_number(word, what, &(*list)[(*n)++]);
    }
    return rc;
}

/* The pipe to who applies the copy while it comes. */
static int read_feed(struct exchange *x)
{
    struct stat st;
    int64_t fd = 0;
    if (feed_text == NULL)
        return 0;
    if (cli_number(feed_text, "--feed", &fd))
        return -1;
    if (!x->copy || x->half != EXCHANGE_BOTH || fd <= STDERR_FILENO || fd > INT_MAX || fstat((int)fd, &st) ||
        !S_ISFIFO(st.st_mode))
        return fail(ERR_USAGE, "--feed: with --copy, the number of a descriptor that is a pipe");
    x->feed = (int)fd;
    return 0;
}

static int read_numbers(struct exchange *x, int64_t **rows, int64_t **whole)
{
    int64_t timeout = 60;
    if ((timeout_text && cli_number(timeout_text, "--timeout", &timeout)) ||
        (rate_text && cli_number(rate_text, "--limit-rate", &x->rate)) ||
        (latency_text && cli_number(latency_text, "--if-latency", &x->latency)) ||
        read_list(rows_text, "--rows", rows, &x->nrow) || read_list(whole_text, "--whole", whole, &x->nwhole))
        return -1;
    if (read_feed(x))
        return -1;
    if (timeout < 1 || timeout > 86400)
        return fail(ERR_USAGE, "--timeout: from 1 to 86400 seconds");
    x->timeout = (double)timeout;
    x->row = *rows;
    x->whole = *whole;
    return 0;
}

/* What came of it: for the script that called, on stdout; for people, on stderr. */
static int tell_exchange(const struct exchange *x, const struct exchanged *got, int rc)
{
    const struct peer_traffic *t = &got->traffic;
    if (got->restored)
        printf("restored %s %lld %lld\n", x->us->node, (long long)got->server.archive,
               (long long)got->server.upload);
    if (got->differs)
        printf("differs %s %lld %lld\n", x->us->node, (long long)got->server.archive,
               (long long)got->server.upload);
    if (got->again)
        printf("again %s\n", x->us->node);
    if (got->missing)
        printf("missing %s\n", x->us->node);
    if (*got->elsewhere)
        printf("elsewhere %s %s\n", x->us->node, got->elsewhere);
    if (rc == 0 && x->half != EXCHANGE_LEAVE)
        printf("%s %s %lld %lld %lld %lld\n", got->behind ? "behind" : "server", x->us->node,
               (long long)got->server.archive, (long long)got->server.upload,
               (long long)got->server.keep_days, (long long)got->server.keep_bytes);
    cli_say("%s: %lld files sent (%lld bytes), %lld received (%lld bytes)", x->us->node,
            (long long)t->sent_files, (long long)t->sent_bytes, (long long)t->fetched_files,
            (long long)t->fetched_bytes);
    if (got->merged == ERR_LOOK)
        cli_say("server: merged, with conflicts or files to look at there");
    else if (got->merged)
        cli_warn("the server could not merge now (its exit code is %d); it will later", got->merged);
    if (got->damaged)
        cli_warn("%zu files that rows name are damaged on the server, or came so, and were dropped; the next "
                 "session asks "
                 "for them again",
                 got->damaged);
    if (got->server.held && rc == 0)
        cli_warn("the server does not merge what was changed here from upload %lld on: an operator there has "
                 "to decide "
                 "(txnroute status); it is kept",
                 (long long)got->server.held);
    return rc ? -1 : got->merged || got->other || got->server.held ? ERR_LOOK : 0;
}

/* Behind a last word that ends with `=` the name of the node is put: --node=alice. To free. */
static char *add_node(int argc, char **argv, const char *node)
{
    char *last = argv[argc - 1];
    if (argc < 2 || *last == 0 || last[strlen(last) - 1] != '=')
        return NULL;
    return argv[argc - 1] = mem_printf("%s%s", last, node);
}

static int exchange_files(int argc, char **argv)
{
    struct standing us;
    struct exchanged got = {0};
    struct copy_files files = {0};
    int64_t *rows = NULL, *whole = NULL;
    struct exchange x = {.spool = argv[0],
                         .us = &us,
                         .files = &files,
                         .command = argc > 1 ? argv + 1 : NULL,
                         .now = now,
                         .prove = prove,
                         .copy = copy_of != NULL,
                         .half = leave  ? EXCHANGE_LEAVE
                                 : take ? EXCHANGE_TAKE
                                        : EXCHANGE_BOTH,
                         .send = !only_fetch && copy_of == NULL,
                         .fetch = !only_send,
                         .say = cli_say};
    char *last = NULL;
    if ((leave || take) && (argc > 1 || now || prove || (leave && take)))
        return fail(ERR_USAGE,
                    "--leave and --take are halves of a session by themselves: without COMMAND, --now and "
                    "--prove");
    int rc = read_numbers(&x, &rows, &whole) || read_standing(argv[0], &us, &files) ? -1 : 0;
    if (us.free == 0 && copy_of) { /* of a copy that there is, the database has given it */
        int64_t room = file_free(argv[0]);
        us.free = room > 0 ? room : 0;
    }
    if (rc == 0) {
        if (x.command)
            cli_shows_progress();
        last = add_node(argc, argv, us.node);
        rc = tell_exchange(&x, &got, exchange(&x, &got));
    }
    copy_files_free(&files);
    free(last);
    free(rows);
    free(whole);
    return rc;
}

const struct cli_verb session_verb_exchange = {
    "exchange",
    "SPOOL [-- COMMAND...]",
    1,
    -1,
    "a session as a node: the other end is stdin and stdout, or COMMAND, behind the = of which its name is "
    "put",
    exchange_options,
    exchange_files};

const struct cli_verb session_verb_serve = {
    "serve", "", 0, 0, "the server's end of a session, on stdin and stdout", serve_options, serve_session};
