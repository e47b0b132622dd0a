/* transition_tables: what changed in the tables that rules read, as two temporary tables each: the rows as they were at the one end
 * of a range of the journal (dx_o_TABLE), and as they are at the other (dx_n_TABLE). Only rows that came, went, or
 * changed in a column that some rule reads are in them, and of the columns only those are filled. */
#ifndef TRANSITION_TABLES_H
#define TRANSITION_TABLES_H

#include "sql/layout.h"

/* A table that rules may name; "dx_node" among them. */
struct relation {
    char *name;
    struct layout *layout; /* NULL for dx_node */
    size_t ncol;
    char **col;
    bool *read;                /* per column: some rule reads it */
    bool wanted;               /* images are needed at all: somebody called transition_read */
    bool captured;             /* in the journal */
    bool has_old, has_new;     /* after transition_fill: there are rows */
    bool *moved;               /* per column: it changed in some row that stayed */
    bool came, went;           /* rows came or went; rows went */
    char *broken;              /* why its images could not be filled, or NULL */
    bool both;                 /* of rows that stayed the old image is needed, too */
    char *old_name, *new_name; /* temp.dx_o_..., temp.dx_n_..., quoted for SQL */
};

/* The view of the nodes; a run reads rules/package_nodes.h in its place. */
#define IMAGE_NODE "dx_node"

struct transition_tables *transition_open(struct db *db);
void transition_close(struct transition_tables *im);

/* The relation of that name (as SQLite compares names), or NULL with *known false when there is no such table;
 * NULL with *known true on failure. Its image tables are there, empty. */
struct relation *transition_relation(struct transition_tables *im, const char *name, bool *known);

/* Some rule reads this column ("": none, but the rows). */
void transition_read(struct relation *r, const char *column);

/* Of rows that changed and stayed, the old image is asked for, beside the new one. */
void transition_both(struct relation *r);

/* From now on the relation of that table is broken: what changed in it the journal does not tell. */
void transition_break(struct transition_tables *im, const char *table, const char *why);

/* Fills the images of the range (after, upto] of the journal, as far as no relation is broken after it. Rows that no key
 * names, or a key of another type than the rowid, are in none: no table holds such a row, and an image must not give it
 * the key of another; those of dx_node are
 * filled by transition_nodes. */
int transition_fill(struct transition_tables *im, int64_t after, int64_t upto);

/* After transition_fill: whether anything of the table is in the range. */
bool transition_touched(const struct transition_tables *im, const char *table);

/* ... and the layout of its entries, where they are of one and stand in key order; else 0. */
int64_t transition_ordered(const struct transition_tables *im, const char *table);

/* Empties and fills the images of dx_node, by two SELECTs of (id, name, user, package, status). */
int transition_nodes(struct transition_tables *im, const char *old, const char *new);

#endif
