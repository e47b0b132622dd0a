/* exchange: the node's end of a session: sends the uploads in SPOOL/outbox, and fetches what waits into SPOOL/inbox. It has
 * no database open. */
#ifndef EXCHANGE_H
#define EXCHANGE_H

#include "session/copy_files.h"
#include "session/handshake.h"
#include "session/peer.h"

/* A session whose halves are files, as on a stick: the node's flight is written without waiting for an answer, and the
 * answer to it is read later. */
enum exchange_half {
    EXCHANGE_BOTH,
    EXCHANGE_LEAVE, /* all that the node has to say and to send goes to stdout; nothing is read */
    EXCHANGE_TAKE   /* the server's answer, perhaps to an older flight, comes from stdin; nothing is sent */
};

struct exchange {
    enum exchange_half half;
    const char *spool;         /* LOCAL.db-dx: outbox/, inbox/, session.log */
    const struct standing *us; /* the copy's; or a node's name alone, to fetch its whole copy */
    char *const *command; /* starts the other end, which speaks on its stdin and stdout; NULL: ours are it */
    bool now;             /* the server is to merge and route before it answers */
    bool prove;           /* ... and to tell the digests of what the copy should hold, to SPOOL/proof */
    bool copy;            /* fetch the whole copy, to SPOOL/inbox/snapshot.dx */
    int feed;             /* with copy: the copy goes into this pipe, too, as it comes; 0: no pipe */
    const struct copy_files
        *files;         /* that rows name: what is missing is asked for, what waits is offered; NULL */
    bool send, fetch;   /* uploads are sent, downloads fetched */
    const int64_t *row; /* with prove: also digests of the rows of those tables, to SPOOL/rows-N.dx */
    size_t nrow;
    const int64_t *whole; /* with prove: also those rows themselves, to SPOOL/whole-N.dx */
    size_t nwhole;
    double timeout;                    /* seconds without a byte */
    int64_t rate;                      /* bytes a second; 0: no limit */
    int64_t latency;                   /* milliseconds the other end may take for its first word; 0: any */
    void (*say)(const char *fmt, ...); /* hears what holds the process; may be NULL */
};

struct exchanged {
    struct standing server; /* as it was at the end */
    struct peer_traffic traffic;
    int merged;     /* the exit code of the merge that was asked for; 0 */
    bool other;     /* copy: an upload made here is not the one that came there */
    size_t damaged; /* files of rows that came damaged, and were dropped */
    bool behind;    /* the server has more than it gave; it gives the rest when this is applied */
    bool differs; /* copy: the newest archive applied is not the one that the server made: it was restored */
    bool again;   /* the numbering of this copy is over: it has to be made once more */
    bool missing; /* an archive that it needs is lost there: refused, and only a new copy helps */
    char elsewhere[HANDSHAKE_SITE]; /* where the node is served now; "" */
    bool
        restored; /* the server is behind this copy, or does not know its numbering; server.archive and server.upload say where it is */
};

/* One session. -1 after fail(); then *out says how far it came. */
int exchange(const struct exchange *o, struct exchanged *out);

#endif
