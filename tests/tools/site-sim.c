/* site-sim: random histories of a whole site, run by its people through the scripts, in which databases are put back from
 * backups, files are lost, and schemas change.
 *
 *   site-sim [-S] [-n NODES] [-w WHAT] [-t SECONDS] FROM TO [DIR]     seeds FROM to TO-1; works in DIR (default: .)
 *     -S           a history that fails is not shrunk
 *     -n NODES     2 to so many (default 3)   -t SECONDS   no new history after that time
 *     -w WHAT      letters: r restores and losses, s changes of schemas, t second copies of a file, k commands that are
 *                  killed, l a node that lies, h a handheld beside each copy (default: rstk)
 *
 * A history is a schema, a package, nodes, and steps: transactions anywhere, sessions, the server's work, backups, and what
 * befalls a site. After a fault the people do what the messages say. At the end the faults stop: a bounded number of
 * sessions empties every queue, each copy is the server's view of its node, and every value that anybody wrote is on the
 * server, was overwritten or deleted by somebody who saw it, or lies in a conflict, a quarantine or a saved archive that a
 * message has named. The first history that fails is shrunk and printed with its seed; exit 1.
 *
 * A long run: (cd /dev/shm && nice site-sim 1 501), with build/bin and build/test in PATH; half a second to some seconds a
 * history. */
#include "base/mem.h"
#include "site/act.h"
#include "site/plot.h"
#include "site/settle.h"
#include "sync/files.h"
#include "sync/shrink.h"
#include "sync/stage.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* 0 when all was right at the end, -1 with `stage_trouble` when not. */
static int run_history(const struct history *h)
{
    struct place p = {.h = h};
    for (int s = 0; s < h->nstep; s++)
        p.lies |= h->step[s].kind == ACT_LIE;
    stage_trouble[0] = 0;
    int rc = act_begin(&p);
    for (int s = 0; rc == 0 && s < h->nstep; s++)
        if (!h->step[s].off && (rc = act_run(&p, &h->step[s]))) {
            char *why = mem_text(stage_trouble);
            stage_broke("step %d: %s", s, why);
            free(why);
        }
    rc = rc || settle(&p) || settle_compare(&p);
    place_free(&p);
    return rc ? -1 : 0;
}

static void tell(const struct history *h, const char *first)
{
    struct buf b = {0};
    files_schema(h, &b);
    files_package(h, 0, NULL, &b);
    printf("seed %llu: %s\nshrunk: %s\n\n%s\nnodes %d, references %s\n", (unsigned long long)h->seed, first,
           stage_trouble[0] ? stage_trouble : "(did not fail again)", buf_text(&b), h->nnode,
           h->enforced ? "enforced" : "not enforced");
    plot_tell(h);
    buf_free(&b);
}

static int usage(void)
{
    fprintf(stderr, "usage: site-sim [-S] [-n NODES] [-w WHAT] [-t SECONDS] FROM TO [DIR]\n");
    return 2;
}

static int what(const char *letters)
{
    return (strchr(letters, 'r') ? WITH_RESTORES : 0) | (strchr(letters, 's') ? WITH_SCHEMA : 0) |
           (strchr(letters, 't') ? WITH_TWINS : 0) | (strchr(letters, 'k') ? WITH_HURTS : 0) |
           (strchr(letters, 'l') ? WITH_LIES : 0) | (strchr(letters, 'h') ? WITH_DEVICES : 0);
}

int main(int argc, char **argv)
{
    int most_nodes = 3, with = what("rstk");
    time_t most_seconds = 1 << 30, begun = time(NULL);
    bool shrinks = true;
    for (int opt; (opt = getopt(argc, argv, "n:w:t:S")) != -1;) {
        if (opt == 'n')
            most_nodes = atoi(optarg);
        else if (opt == 'w')
            with = what(optarg);
        else if (opt == 't')
            most_seconds = atoi(optarg);
        else if (opt == 'S')
            shrinks = false;
        else
            return usage();
    }
    argc -= optind;
    argv += optind;
    if (argc < 2 || most_nodes < 2 || most_nodes > NODES)
        return usage();
    uint64_t seed = strtoull(argv[0], NULL, 10), from = seed, to = strtoull(argv[1], NULL, 10);
    if (argc > 2 && chdir(argv[2])) {
        perror(argv[2]);
        return 2;
    }
    for (; seed < to && time(NULL) - begun < most_seconds; seed++) {
        struct history *h = plot_site(seed, most_nodes, with);
        if (run_history(h)) {
            char *first = mem_text(stage_trouble);
            if (shrinks) {
                shrink(h, run_history);
                run_history(h);
            }
            tell(h, first);
            free(first);
            history_free(h);
            return 1;
        }
        history_free(h);
    }
    printf("%llu histories, every queue empty, every copy as the server sees it, every value accounted for\n",
           (unsigned long long)(seed - from));
    return 0;
}
