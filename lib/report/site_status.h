/* site_status: how a site stands: its journal, its disk, and each node, read from the server database, the docking
 * directory and site.conf. Nothing is changed and no lock is taken. */
#ifndef SITE_STATUS_H
#define SITE_STATUS_H

#include "cli/fields.h"
#include "nodes/membership_log.h"
#include "nodes/node.h"
#include "route/outbox.h"
#include "route/set_aside.h"

#include <stdbool.h>

struct node_status {
    struct node node;
    const char *status;                    /* "active" or "ended" */
    struct membership_log_waiting waiting; /* archives made and not confirmed as applied */
    int64_t age;                           /* seconds since the oldest of them was made */
    int64_t aside;                         /* entries of the journal for which its archives are set aside */
    struct outbox_files outbox;            /* archives that are there */
    int64_t missing;                       /* archives not confirmed that are not in its outbox either */
    int64_t uploads, uploads_bytes;        /* uploads in its inbox that are not merged */
    int64_t blocked;                /* number of the upload that a run of dxcron has left unmerged; 0: none */
    int64_t blocked_time;           /* when that upload came */
    int64_t ends;                   /* when it ends, or ended, by its date; 0: no such date */
    char *moved;                    /* the server that it has now; NULL: none, or not yet */
    char *hold_reason;              /* why its uploads are held; NULL: they are not */
    int64_t conflicts, quarantined; /* not resolved; rows that could not be applied */
    int64_t session;                /* when its last session was; 0: never */
    int64_t session_exit;           /* its exit code */
    char *session_why;              /* why that is not 0; NULL when not known */
    char *release;                  /* of dx at the node, as of its last session; NULL when not known */
    int64_t disk;                   /* bytes of all files in DOCKING/NODE */
    int64_t free;                   /* bytes free where its copy is, as of its last session; -1: not known */
    int64_t attachments;            /* files of its rows that came and are not taken into the store */
    int64_t proof;                  /* when it was last compared with what it should hold; 0: not known */
    bool differs;                   /* ... and it was not that */
    bool behind, silent;            /* something waits for it; no session for silent_days */
    bool stuck; /* it needs a person: blocked, missing, its last session was refused, or it differs */
};

enum { SITE_STATUS_QUARANTINE = 1000 };

/* A row in quarantine. */
struct quarantine_line {
    int64_t id;
    char *node;          /* whose change it is; "" for one of the server's own */
    char *what, *reason; /* "insert of line 1" */
};

struct site_status {
    int64_t time;        /* when it was read */
    int64_t routed, end; /* positions in the journal: all up to `routed` is in the archives */
    int64_t journal;     /* entries in it */
    int64_t database;    /* bytes of the database and its WAL */
    int64_t free;        /* bytes free where the docking directory is */
    int64_t attachments; /* files that rows name and the store lacks; -1: not known */
    int64_t run;         /* when dxcron ran last; 0: never */
    int64_t success;     /* when it last ended with 0 or 1; 0: never, as far as its log tells */
    int64_t run_exit;    /* the exit code of its last run */
    int64_t silent_days; /* of site.conf */
    char *database_path, *docking;
    bool docking_missing; /* there is no such directory, but it was named, or archives wait for nodes */
    size_t n;
    struct node_status *node; /* by name */
    size_t naside;
    struct set_aside_line *set_aside; /* what runs of the router could not do */
    int64_t quarantined;              /* rows in quarantine ... */
    size_t nquarantine;
    struct quarantine_line *quarantine; /* ... the oldest of them, SITE_STATUS_QUARANTINE at most */
};

/* The fields of both, as status --json tells them; dx-json(5). */
extern const struct field site_status_fields[], node_status_fields[];

/* docking: the docking directory, or NULL for that of the last run. In the caller's read transaction. */
int site_status_read(struct db *db, const char *docking, struct site_status *s);
void site_status_free(struct site_status *s);

/* The same, but of the nodes only what site_status_missing tells. */
int site_status_read_missing(struct db *db, const char *docking, struct site_status *s);

/* Keeps the nodes that are behind, stuck or silent, those that need a person first, then by age. Their number. */
size_t site_status_behind(struct site_status *s);

/* Active nodes with archives that are neither confirmed nor in the outbox, a line each with what to do, appended. How many
 * nodes. */
size_t site_status_missing(const struct site_status *s, struct buf *out);

/* Those that need a person first, then by the age of what is not confirmed. */
void site_status_sort(struct site_status *s);

/* As one document, the nodes in "nodes"; as text within 80 columns. */
json_t *site_status_json(const struct site_status *s);
void site_status_text(const struct site_status *s, struct buf *out);

/* Appends what there is to look at, of one node: "upload 7 blocked since 3 d, 2 conflicts". Nothing: "". */
void site_status_remarks(const struct site_status *s, const struct node_status *n, struct buf *out);

/* Tells what needs a person and is not a remark of a node: the docking directory, the last run of dxcron, what runs have
 * set aside, rows in quarantine. what and why may be "", not both. */
typedef void site_status_need(void *ctx, const char *who, const char *what, const char *why);
void site_status_needs(const struct site_status *s, site_status_need *need, void *ctx);

#endif
