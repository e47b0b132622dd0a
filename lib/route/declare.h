/* declare: the SQL that makes an object's table, with the columns that travel, and its indexes; and whether nodes have been
 * told of it. */
#ifndef DECLARE_H
#define DECLARE_H

#include "nodes/package.h"

/* CREATE TABLE, then the indexes by name, whose columns all travel. Free with declare_free. */
struct declaration {
    size_t n;
    char **sql;
};

/* Makes the tables dx_declared and dx_declared_sql, if not there. */
int declare_init(struct db *db);

int declare_object(struct db *db, const struct object *o, struct declaration *out);
void declare_free(struct declaration *d);

/* Whether it is another than that of the run before; fresh: the object is new, and so are those that nothing is known of. */
int declare_changed(struct db *db, const struct object *o, const struct declaration *d, bool fresh,
                    bool *changed);

/* The declaration last sent to the nodes, into *out, empty where it is not known; *known: whether one was ever sent.
 * Free with declare_free. */
int declare_before(struct db *db, const struct object *o, struct declaration *out, bool *known);

/* In the run's transaction: notes that nodes are told of it; an empty one, that the object is gone. */
int declare_store(struct db *db, const struct object *o, const struct declaration *d);

#endif
