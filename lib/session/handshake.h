/* handshake: where each of two ends of a session stands, what they tell each other of it, and whether they may go on.
 * It is looked at before anything moves. The same for every pairing: client and server, by connection or by stick. */
#ifndef HANDSHAKE_H
#define HANDSHAKE_H

#include "sql/db.h"

enum { HANDSHAKE_PROTOCOL = 2, HANDSHAKE_TEXT = 128, HANDSHAKE_SITE = 256 };

/* What one end knows. Texts are "" and numbers 0 where it does not know or has none. */
struct standing {
    char node[HANDSHAKE_TEXT];       /* whose session it is */
    char epoch[HANDSHAKE_TEXT];      /* of the numbering between them; "" for a copy still to be made */
    char was[HANDSHAKE_TEXT];        /* of a copy that is to be made again: the epoch that it has */
    int64_t was_archive;             /* ... the newest archive that it has applied */
    char was_digest[HANDSHAKE_TEXT]; /* ... and the digest of that */
    char digest[HANDSHAKE_TEXT];     /* of archive number `archive` */
    char package[HANDSHAKE_TEXT];    /* what the copy is cut for */
    char release[HANDSHAKE_TEXT];    /* of dx */
    char files[HANDSHAKE_TEXT];      /* digest of the package's files; a copy that has none yet says "-" */
    char patch[HANDSHAKE_TEXT];  /* digest of the patch for handhelds; a companion that has none says "-" */
    int64_t archive;             /* newest archive: server: made for the node; node: applied */
    int64_t upload;              /* newest upload: server: merged; node: acknowledged */
    int64_t sent;                /* node: newest upload made */
    int64_t timeout;             /* seconds for which it waits for a byte */
    int64_t free;                /* node: bytes free on its disk, for who looks after nodes */
    char before[HANDSHAKE_TEXT]; /* node: the epoch of another copy whose archives it takes, too (meta.h) */
    char offer[HANDSHAKE_TEXT];  /* server: the epoch of a copy that is offered (nodes/offer.h) */
    bool
        behind; /* server: there is more for the node than is in archives; a later run of the router gives it */
    int64_t
        held; /* server: the node's uploads wait from this number on until an operator decides; 0: they do not */
    char moved[HANDSHAKE_SITE];    /* server: where the node is served now; "" where that is here */
    char needs[HANDSHAKE_TEXT];    /* server: the least release of dx for the node's package; "": any */
    bool in_use;                   /* server: a copy in this numbering was given out */
    bool attachments;              /* server: rows of the node's package name files */
    int64_t keep_days, keep_bytes; /* server: how long the node is to keep uploads that were acknowledged */
};

/* How a server stands to a node, and a node's copy to its server. Refused (ERR_REFUSED): an unknown or ended node, a
 * database that is no copy. In texts that the node may read: no path in them. Of a node that was moved, `moved` is set
 * although it is refused. */
int handshake_of_server(struct db *db, const char *node, struct standing *out);
int handshake_of_copy(struct db *db, struct standing *out);

/* Whether the server is the one that a copy knew which is to be made again (standing.was and its archive): else it was
 * restored from a backup. */
enum handshake_former {
    FORMER_SAME,
    FORMER_UNKNOWN, /* the server does not know the epoch, which it has begun for the node */
    FORMER_DIFFERS  /* it has made another archive of that number, or none yet */
};
int handshake_former(struct db *db, const char *node, const struct standing *copy,
                     enum handshake_former *out);

/* The rest of a hello line: " node=alice epoch=... ", and back from its words; unknown names are passed over. */
void handshake_put(struct buf *out, const struct standing *s);
int handshake_get(char *const *word, size_t n, struct standing *out);

enum handshake_verdict {
    HANDSHAKE_GO,
    HANDSHAKE_REFUSED, /* with fail(): another node, another copy in use, a copy restored from a backup, an old release */
    HANDSHAKE_AGAIN, /* with fail(): the numbering is over, and no other copy is in use: it has to be made once more */
    HANDSHAKE_SERVER_RESTORED /* with fail(): the server is behind this copy: it was restored from a backup */
};

/* Whether a release, "1.10.2", is older than another; one that is no number is older than any. */
bool handshake_older(const char *release, const char *than);

/* Whether the two may go on. */
enum handshake_verdict handshake_check(const struct standing *node, const struct standing *server);

#endif
