/* membership: which rows each node holds, as of the router's position: for each object a table of key -> audience, a set of
 * nodes. */
#ifndef MEMBERSHIP_H
#define MEMBERSHIP_H

#include "nodes/audience.h"
#include "nodes/node.h"
#include "nodes/package.h"
#include "sql/layout.h"

/* Columns in the key of a table that is routed: as many arguments as SQLite passes to a function. */
enum { MEMBER_KEY_MAX = 127 };

/* Makes the tables of router, nodes and packages, if not there. */
int membership_init(struct db *db);

/* Whether the object's rows are all held by every node and so none is named. */
bool membership_whole(const struct object *o);

/* Makes the table of what is held of an object, dx_member_ID (key, audience), if it is not there. key: the key's value,
 * or key_pack of several; where the table's key is its rowid, so it is here, which makes a move a third of the work.
 * Should the table's key be that no longer, what is held is forgotten: a table made again has lost its triggers, so that
 * routing begins again as well. */
int membership_make(struct db *db, const struct object *o);

/* Drops it. */
int membership_drop(struct db *db, int64_t object);

/* Runs the SQL that an expression over dx_object gives for each object, those that are gone among them. */
int membership_each(struct db *db, const char *expression);

/* Whether the node holds the row: 1, 0, -1. key is key_pack of the row's key. */
int membership_holds(struct db *db, const struct node *n, const struct object *o, const struct val *key);

/* The same for many rows of one object; node and object must outlive it. */
struct membership_asker *membership_asker_open(struct db *db, const struct node *n, const struct object *o);
int membership_ask(struct membership_asker *a, const struct val *key);
void membership_asker_close(struct membership_asker *a);

/* Appends a SELECT of the object's sent columns (in o->sent order) of all rows that the node holds, in key order.
 * It may call SQL functions that membership_functions has given to the connection. */
int membership_select(struct db *db, const struct node *n, const struct object *o, struct buf *sql);

/* How many rows of the object the node holds. When they are more than `enough` (-1: never), *rows is any number above
 * that: the cost is that of the rows that nodes hold, or of `enough` where every node holds all. */
int membership_count(struct db *db, const struct node *n, const struct object *o, int64_t enough,
                     int64_t *rows);

/* Appends SQL for the packed key (key_pack) of table alias `alias`, made of the columns of t's key or of those named:
 * the column itself (without its affinity), or dx_key(a, b). */
void membership_key(struct buf *sql, const struct table *t, const char *alias);
void membership_key_of(struct buf *sql, char *const *column, size_t n, const char *alias);

/* Appends SQL that finds rows of `alias` by a packed key: alias.a = dx_part(KEY, 0) AND ... */
void membership_where(struct buf *sql, const struct table *t, const char *alias, const char *key);

/* Gives the connection dx_key(a, b, ...) and dx_part(key, i, n). */
int membership_functions(struct db *db);

#endif
