/* extract_report: what each object of an extract is and costs: its filter, the rows that the device holds then, what of it
 * is in the archives, and the time that the router took for it. */
#ifndef EXTRACT_REPORT_H
#define EXTRACT_REPORT_H

#include "nodes/package.h"

struct extract_cost {
    char *object, *table, *filter;
    int64_t rows;           /* that the device holds with it */
    int64_t changes, bytes; /* in the archives; bytes before compression */
    double seconds;
};

/* A zeroed one is empty and ready. */
struct extract_report {
    size_t n;
    struct extract_cost *cost; /* parents first */
};

/* The object, its filter in words and its rows; a second time they take the place of those before. */
void extract_report_object(struct extract_report *r, const struct object *o, const char *filter,
                           int64_t rows);

/* The router took so long for the object. */
void extract_report_took(struct extract_report *r, const struct object *o, double seconds);

/* Reads the archives from the descriptor's start. -1 when they are not sound. */
int extract_report_read(struct extract_report *r, int fd);

void extract_report_free(struct extract_report *r);

#endif
