/* departure: when a node ends here, and which server it goes on with (dx_departure, made when the first row is put in). */
#ifndef DEPARTURE_H
#define DEPARTURE_H

#include "sql/db.h"

struct departure {
    int64_t time; /* seconds since 1970: from then on the node is not served here */
    char *site;   /* the server that it has then, as remotesync(1) takes one; "" where it has none */
};

/* Whether anything was ever noted: 1, 0, -1. */
int departure_present(struct db *db);

/* Notes it, in the place of what was noted before; in the caller's write transaction. A site that is neither
 * [user@]host:directory nor a directory from the root, of plain characters, is refused. */
int departure_set(struct db *db, int64_t node, int64_t time, const char *site);

/* Forgets what was noted. */
int departure_cancel(struct db *db, int64_t node);

/* What is noted of the node: 1, to free; 0 when nothing is; -1. */
int departure_find(struct db *db, int64_t node, struct departure *out);
void departure_free(struct departure *d);

/* Whether such a time has come. */
bool departure_due(const struct departure *d);

/* Whether a node can be moved to what the text names. A server names it to its nodes, and they show it to a person, who
 * gives it to remotesync(1): so it holds no character but letters, digits and . _ - / @ :, and neither a user, nor a host,
 * nor a directory in it begins with a dash. */
bool departure_is_site(const char *text);

#endif
