/* sync-sim: random histories of a server and its clients, exchanged with faults, until every copy must be right.
 *
 *   sync-sim [-n CLIENTS] [-c] [-s] [-t SECONDS] FROM TO [DIR]     seeds FROM to TO-1; works in DIR (default: .)
 *     -n CLIENTS   3 to so many (default 8)   -c   integer keys collide    -s   no stage is hurt
 *     -t SECONDS   no new history after that time
 *
 * A history is a schema, a package, clients, and steps: transactions anywhere, and the stages of a synchronization run
 * with the real txnlog, txnroute and dxapply: uploads made, merged, routed, applied, copies made again, journals trimmed,
 * packages that allow less or more, conflicts that somebody decides.
 * Archives are lost, repeated, reordered, cut off, damaged, joined; a stage is killed at one of its durable steps or
 * after some microseconds, or runs out of disk. What is refused must change nothing. At the end all is exchanged
 * undisturbed; then each copy must be the server's view of its node, with nothing pending, the digests must say so
 * too, and every change made on a client must be found again: in the server's data, in its journal under what came
 * after it, in a conflict record, or in quarantine. The first history that fails is shrunk and printed with its seed;
 * exit 1. */
#include "base/err.h"
#include "base/mem.h"
#include "sync/compare.h"
#include "sync/files.h"
#include "sync/mail.h"
#include "sync/shrink.h"
#include "sync/stage.h"
#include "sync/step.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static int begin(struct run *r)
{
    struct buf schema = {0}, package = {0};
    files_schema(r->h, &schema);
    files_package(r->h, 0, NULL, &package);
    int rc = system("rm -rf docking up-* down-* spool-* snap-* *.db* p mail; mkdir docking p") ||
                     step_write_file("p/package.conf", &package)
                 ? stage_broke("cannot write here")
                 : 0;
    r->server.db = rc ? NULL : db_open("hq.db", DB_CREATE);
    if (rc == 0 &&
        (r->server.db == NULL || db_exec(r->server.db, "PRAGMA journal_mode = WAL") ||
         db_exec(r->server.db, "PRAGMA synchronous = OFF") || db_exec(r->server.db, buf_text(&schema)) ||
         (r->h->enforced && db_exec(r->server.db, "PRAGMA foreign_keys = ON"))))
        rc = stage_broke("%s", err_message());
    int made = rc ? 0 : RUN(NULL, NULL, NULL, "txnlog", "attach", "hq.db");
    made = rc || made ? made : RUN(NULL, NULL, NULL, "txnroute", "load", "hq.db", "p");
    if (made > 1) /* 1: it advises */
        rc = stage_surprise("txnroute load", made);
    for (int n = 0; rc == 0 && n < r->h->nnode; n++) {
        char *node = mem_printf("n%d", n), *user = mem_printf("u%d", n % USERS);
        int code =
            RUN(NULL, NULL, NULL, "txnroute", "node", "add", "hq.db", node, "--package", "p", "--user", user);
        rc = code ? stage_surprise("txnroute node add", code) : 0;
        free(node);
        free(user);
    }
    buf_free(&schema);
    buf_free(&package);
    return rc;
}

static void end(struct run *r)
{
    for (int n = SERVER; n < NODES; n++) {
        db_close(party_of(r, n)->db);
        party_forget(&party_of(r, n)->did);
        free(party_of(r, n)->cut);
    }
}

/* 0 when every copy was right, -1 with `trouble` when not. */
static int run_history(const struct history *h)
{
    struct run r = {.h = h};
    for (int n = 0; n < NODES; n++)
        r.client[n].stale = true;
    stage_trouble[0] = 0;
    int rc = begin(&r);
    for (int s = 0; rc == 0 && s < h->nstep; s++)
        if (!h->step[s].off && (rc = step_run(&r, &h->step[s]))) {
            char *why = mem_text(stage_trouble);
            stage_broke("step %d: %s", s, why);
            free(why);
        }
    rc = rc || step_settle(&r) || compare_all(&r);
    end(&r);
    return rc ? -1 : 0;
}

/* ---- telling ---- */

static void tell_step(const struct sim_step *s, int number)
{
    static const char *const words[] = {"",
                                        "txnlog upload",
                                        "merge an upload of",
                                        "txnroute run",
                                        "apply a download to",
                                        "txnlog trim",
                                        "txnroute node set",
                                        "txnroute extract and apply",
                                        "txnroute load with another permission",
                                        "dxapply resolve"};
    static const char *const hurts[] = {"", "stopped at durable step", "killed after microseconds",
                                        "with the disk full at byte"};
    char *db = party_database(s->node);
    printf("%3d  ", number);
    if (s->kind == STEP_SQL) {
        printf("%s:", db);
        for (int i = 0; i < STATEMENTS && s->sql[i]; i++)
            printf("%s %s;\n", i ? "        " : "", s->sql[i]);
    } else
        printf("%s %s", words[s->kind], db);
    if (s->kind == STEP_USER)
        printf(" --user u%d", s->place % USERS);
    if (s->kind == STEP_MERGE || s->kind == STEP_APPLY)
        printf(", %s, %s", s->which < 70 ? "the next" : "any",
               ((const char *const[]){"whole", "twice", "with the one after it", "cut off",
                                      "one bit flipped"})[mail_damage(s)]);
    if (s->hurt)
        printf(", %s %d", hurts[s->hurt], s->at);
    printf("%s", s->kind == STEP_SQL ? "" : "\n");
    free(db);
}

static void tell(const struct history *h, const char *first)
{
    struct buf b = {0};
    files_schema(h, &b);
    files_package(h, 0, NULL, &b);
    printf("seed %llu: %s\nshrunk: %s\n\n%s\nclients %d, references %s\n", (unsigned long long)h->seed, first,
           stage_trouble[0] ? stage_trouble : "(did not fail again)", buf_text(&b), h->nnode,
           h->enforced ? "enforced" : "not enforced");
    for (int s = 0; s < h->nstep; s++)
        if (!h->step[s].off)
            tell_step(&h->step[s], s);
    buf_free(&b);
}

static int usage(void)
{
    fprintf(stderr, "usage: sync-sim [-n CLIENTS] [-c] [-s] [-t SECONDS] FROM TO [DIR]\n");
    return 2;
}

int main(int argc, char **argv)
{
    int most_nodes = NODES;
    bool colliding = false, smooth = false;
    time_t most_seconds = 1 << 30;
    for (int opt; (opt = getopt(argc, argv, "n:cst:")) != -1;) {
        if (opt == 'n')
            most_nodes = atoi(optarg);
        else if (opt == 't')
            most_seconds = atoi(optarg);
        else if (opt == 'c')
            colliding = true;
        else if (opt == 's')
            smooth = true;
        else
            return usage();
    }
    argc -= optind;
    argv += optind;
    if (argc < 2 || most_nodes < 3 || most_nodes > NODES)
        return usage();
    uint64_t from = strtoull(argv[0], NULL, 10), to = strtoull(argv[1], NULL, 10);
    if (argc > 2 && chdir(argv[2])) {
        perror(argv[2]);
        return 2;
    }
    time_t begun = time(NULL);
    uint64_t seed = from;
    for (; seed < to && time(NULL) - begun < most_seconds; seed++) {
        struct history *h = history_make(seed, most_nodes, colliding, smooth);
        if (run_history(h)) {
            char *first = mem_text(stage_trouble);
            shrink(h, run_history);
            run_history(h);
            tell(h, first);
            free(first);
            history_free(h);
            return 1;
        }
        history_free(h);
    }
    printf("%llu histories, every copy as the server sees it, every change accounted for\n",
           (unsigned long long)(seed - from));
    return 0;
}
