/* plot: what happens in a history of site-sim. */
#ifndef PLOT_SITE_H
#define PLOT_SITE_H

#include "../sync/history.h"

/* Kinds of steps beside STEP_SQL. */
enum act {
    ACT_SESSION = 100,
    ACT_CRON,
    ACT_INITSYNC,
    ACT_BACK_UP,
    ACT_RESTORE,
    ACT_LOSE,     /* docking/, a node's directory in it, or one file */
    ACT_TWIN,     /* a copy of a client's file, or of a device's, is used beside it */
    ACT_PUT_BACK, /* archives that initsync saved, into the server */
    ACT_USER,
    ACT_RESOLVE,
    ACT_ADD,    /* a column, by ALTER TABLE */
    ACT_REMAKE, /* a table: created, copied, dropped, renamed */
    ACT_DROP,   /* a column, by ALTER TABLE or by making the table again */
    ACT_RETYPE,
    ACT_TABLE,   /* a table is added */
    ACT_PACKAGE, /* a package that allows or sends less or more */
    ACT_PAIR,    /* a node gets a handheld */
    ACT_DEVICE,  /* ... which is synchronized: by companionsync, or by integratedsync */
    ACT_PATCH,   /* a new version of the devices' software is staged */
    ACT_LIE      /* node 0 sends whatever it likes */
};

/* What a history may have. */
enum {
    WITH_RESTORES = 1,
    WITH_SCHEMA = 2,
    WITH_HURTS = 4,
    WITH_TWINS = 8,
    WITH_LIES = 16,
    WITH_DEVICES = 32
};

/* The history of a seed, with 2 to most_nodes nodes. To be freed with history_free. */
struct history *plot_site(uint64_t seed, int most_nodes, int with);

/* In words, for a person. */
void plot_tell(const struct history *h);

#endif
