/* client_schema: the tables of a client's copy as its server declares them in the heads of archives. */
#ifndef CLIENT_SCHEMA_H
#define CLIENT_SCHEMA_H

#include "apply/apply_context.h"

/* Before anything else is done: whether the head of a download, or of a snapshot over a copy, speaks only of tables of this copy, and of those
 * that it declares. What else is in the database is the application's own (ERR_REFUSED). */
int client_schema_check(struct apply_context *w);

/* Before the first change of a download: adds the tables and columns that its head declares and captures them. What the
 * application had there already, by those names, counts as made here. Where a table is otherwise than it is here, or
 * something is no longer sent, the copy has to be made again (ERR_AGAIN, naming initsync). */
int client_schema_add(struct apply_context *w);

/* Before the first row of a snapshot over a copy, what it acknowledges being settled: the same, but a table that is
 * otherwise is made again in its place; the application's own columns stay. Changes made here that have no place any more,
 * of a column that is gone or under a key that is another now, are saved to options->save (a log) and leave the journal;
 * without a file to save them to it is refused (ERR_REFUSED). */
int client_schema_replace(struct apply_context *w);

/* After the last change of a snapshot: what of its columns is not here, as in a database made by hand, is not missed by the
 * downloads that follow, which otherwise ask for a new copy where a column is missing. */
int client_schema_note_absent(struct apply_context *w);

/* After the last change of either: the indexes, and those that could not be made before. A unique one that rows here violate
 * waits for the next archive (dx_index_due). */
int client_schema_indexes(struct apply_context *w);

/* Then, with the triggers back: capture knows the new indexes. */
int client_schema_attach(struct apply_context *w);

#endif
