/* trigger: the SQL that captures one table: its triggers, and the table in which they keep what REPLACE may delete. */
#ifndef TRIGGER_H
#define TRIGGER_H

#include "sql/unique.h"

/* A table's triggers are numbered: one of each kind, but of the last kind as many as trigger_count says. They are made
 * from the last number to the first. */
enum trigger_kind {
    TRIGGER_INSERT,  /* dx_i_ID: journals inserts */
    TRIGGER_DELETE,  /* dx_d_ID: journals deletes */
    TRIGGER_UNIQUE,  /* dx_q_ID: settles what an update of unique columns outside the key replaced */
    TRIGGER_KEY,     /* dx_k_ID: journals changes of key, and what they replaced */
    TRIGGER_COLLIDE, /* dx_b_ID: keeps the rows that an insert may replace */
    TRIGGER_MEET,    /* dx_c_ID: keeps the rows that an update may replace */
    TRIGGER_DOOM, /* dx_e_ID: where deletes cascade back: what was kept of a row in vain is no proof any more */
    TRIGGER_SETTLE, /* dx_s_ID: journals a kept row as deleted when it is found to be gone */
    TRIGGER_UPDATE  /* dx_u_ID, dx_u1_ID, ...: each journals updates of some of the columns outside the key */
};

/* How many triggers a table of these columns can have: the numbers are 0 to this less one. */
int trigger_count(const struct table *t);

/* "dx_i_7"; the caller frees. */
char *trigger_name(int number, int64_t id);

/* The CREATE TRIGGER statement for the layout with number `id` in dx_table, as sqlite_schema will hold it; NULL for one
 * that the table has no need of. The caller frees. */
char *trigger_sql(int number, const struct layout *l, const struct unique *u, int64_t id);

/* The CREATE TABLE statement of dx_replaced_ID. The caller frees. */
char *trigger_table_sql(const struct layout *l, int64_t id);

#endif
