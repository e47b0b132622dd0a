/* desk: the process of the server's end that may open the site's database and run its commands. The process that reads the
 * node's bytes has none of that; it asks here, by a number, for one of the things below. */
#ifndef DESK_H
#define DESK_H

#include "session/handshake.h"
#include "session/peer.h"

#include <time.h>

enum desk_task {
    DESK_MERGE = 1, /* merge the node's uploads, and route: dxcron */
    DESK_DIGEST, /* digests of what the node holds, if archive `number` brought it all: to the file `answer` */
    DESK_ROWS,   /* the same of the rows of table `row` of those: an archive of keys, to the file `answer` */
    DESK_WHOLE,  /* ... or with the rows themselves */
    DESK_PATCH,  /* the patch for handhelds: to the file `answer` */
    DESK_PACKAGE,  /* the files of the node's package: to the file `answer` */
    DESK_FILE,     /* of the store, by digest: DESK_FILE_... in `number` */
    DESK_SNAPSHOT, /* all that the node may see: to snapshot.dx; `fresh`: whatever is there */
    DESK_ACCEPT,   /* the copy that is offered reports back */
    DESK_LOG       /* the session is over: what to log */
};

enum {
    DESK_FILE_KNOWN, /* whether the node need not send it: it is here, and the node is known to have had it */
    DESK_FILE_SIZE,  /* its size, if the node may fetch it */
    DESK_FILE_OPEN   /* ... and its descriptor */
};

#define DESK_ANSWER ".answer" /* a file in the node's directory */

struct desk_request {
    enum desk_task task;
    int64_t number, row;
    struct peer_traffic traffic; /* DESK_LOG and all below */
    struct channel_count bytes;
    int64_t archive, upload, free;
    enum desk_task proof; /* DESK_DIGEST, DESK_ROWS or DESK_SNAPSHOT, if that was answered; 0 */
    int code;
    char release[HANDSHAKE_TEXT], why[512];
    struct standing copy; /* DESK_SNAPSHOT: what the copy says that is to be made again */
    char sha[SHA_HEX];    /* DESK_FILE */
};

struct desk_answer {
    int code;                     /* an exit code */
    struct standing standing;     /* of the server, now; not of DESK_FILE */
    int64_t size;                 /* DESK_FILE; -1: it is not here, or not for the node */
    enum handshake_former former; /* DESK_SNAPSHOT: whether the server is the one that the copy knew */
    char text[512];               /* the reason where the code is not 0, fit for the node */
};

struct desk {
    const char *site, *node; /* the site's directory, and the node */
    const char *bin;         /* where the commands of dx are */
    int dir;                 /* the node's directory, opened */
    int64_t idle;            /* of site.conf, as what follows */
    int64_t keep_days, keep_bytes;
    const char *key; /* signs snapshots; "" for none */
    time_t start;
    struct desk_files *files; /* while the desk serves */
};

/* How the server stands to the node. */
int desk_standing(const struct desk *d, struct standing *out);

/* Answers requests until the other process closes its end. *last says what to log, if it came to that. */
void desk_serve(struct desk *d, int socket, struct desk_request *last);

/* The asking side: 0, or -1. Only one request is open at a time. */
int desk_ask(int socket, const struct desk_request *r);
int desk_hear(int socket, struct desk_answer *out);

/* Asks for a file of the store and waits: the answer's size. fd, where it is not NULL, gets the descriptor; -1: none. */
int desk_file(int socket, int64_t what, const char *sha, int64_t *size, int *fd);

#endif
