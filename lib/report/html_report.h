/* html_report: a site as one HTML page that needs nothing else: no script, no file. What needs a person comes first. */
#ifndef HTML_REPORT_H
#define HTML_REPORT_H

#include "report/site_status.h"

/* Appends the page. `site` is its title. In the caller's read transaction; the nodes are put in another order. */
int html_report(struct db *db, const char *site, struct site_status *s, struct buf *out);

#endif
