/* site_conf: the configuration of a site, SITE/site.conf beside hq.db; dx-site.conf(5). Every entry has a default, and
 * without the file all have theirs. */
#ifndef SITE_CONF_H
#define SITE_CONF_H

#include "base/buf.h"
#include "sql/db.h"

/* What becomes of an upload that cannot be merged. */
enum site_bad_upload {
    BAD_SKIP, /* it stays, with those of its node after it; all others go on */
    BAD_STOP, /* the run ends there */
    BAD_HOLD  /* as skip, and the node is held until an operator releases it */
};

/* Limits are for each node, unless they say otherwise. Sizes are bytes. */
struct site_conf {
    char *path; /* of the file, also where there is none */

    /* [limits] */
    int64_t inbox_bytes, inbox_files;           /* of uploads that wait to be merged */
    int64_t file_bytes;                         /* of one file, in either direction */
    int64_t attachment_bytes, attachment_files; /* files of rows that wait to be taken into the store */
    int64_t numbers_ahead;     /* how far an upload's number may be beyond the newest merged */
    int64_t expanded_bytes;    /* of an upload, unpacked */
    int64_t expanded_ratio;    /* bytes unpacked for a byte packed; small uploads are let through */
    int64_t rows;              /* changes in one upload */
    int64_t value_bytes;       /* of one value */
    int64_t memory_bytes;      /* of a process that reads or merges an upload */
    int64_t cpu_seconds;       /* its processor time */
    int64_t quarantined_rows;  /* changes in quarantine */
    int64_t open_conflicts;    /* conflicts that are not resolved */
    int64_t sessions_per_hour; /* sessions begun */
    int64_t merges_per_hour;   /* uploads merged */
    int64_t idle_seconds;      /* without a byte from the other end of a session */

    /* [uploads] */
    int64_t bad_upload;            /* enum site_bad_upload */
    int64_t keep_days, keep_bytes; /* how long and how much of its acknowledged uploads a node keeps */

    /* [grace] */
    int64_t partial_days; /* a part of an upload that nobody goes on sending */
    int64_t unused_days;  /* a file of the store that no row names any more */
    int64_t silent_days;  /* a node without a session is named in reports */

    /* [site] */
    int64_t sign;  /* 1: uploads must be signed */
    int64_t group; /* 1: the directory's group reads and writes; 0: its owner alone */
    /* Files, relative to the site; "" for none. */
    char *signers, *revoked; /* for `sign`: who may sign uploads, and keys that may not any more */
    char *key;               /* signs archives for nodes */
    char *report;            /* a command that gets the report of a run on stdin; "" for none */
    char *metrics;           /* a file that gets the numbers of a run; "" for none */
};

/* Reads SITE/site.conf. -1 with file, line, reason and what is allowed there. Free with site_conf_free, also after a
 * failure. */
int site_conf_read(const char *site, struct site_conf *out);

/* The same for the site in which the database of that path lies, or an open one. */
int site_conf_beside(const char *path, struct site_conf *out);
int site_conf_of(struct db *db, struct site_conf *out);
void site_conf_free(struct site_conf *c);

/* Makes new files and directories of this process such as the site wants them: for the owner alone, or for the group,
 * too. */
void site_conf_umask(const struct site_conf *c);

/* Appends "name = value" of every entry, in sections, as it could stand in the file. */
void site_conf_print(const struct site_conf *c, struct buf *out);

/* Appends the value of one entry; sizes are in bytes. ERR_USAGE where there is no entry of that name. */
int site_conf_get(const struct site_conf *c, const char *name, struct buf *out);

/* The path of a file that an entry names: relative to the site unless absolute. The caller frees it. */
char *site_conf_path(const char *site, const char *name);

/* Appends a line for each thing at the site that is not as the configuration wants it: who else may read its files, a
 * file that it names and that is not there, sticks without signatures. 0, or -1 where it cannot be looked at. */
int site_conf_look(const char *site, const struct site_conf *c, struct buf *out);

/* Whether so many unpacked bytes are more than the ratio (0: none) allows for so many packed ones. Up to 64 MiB always
 * are allowed. */
bool site_conf_expands(int64_t ratio, int64_t packed, int64_t unpacked);

#endif
