/* metrics: a site's status as OpenMetrics text, for the textfile collector of node_exporter or any scraper. */
#ifndef METRICS_H
#define METRICS_H

#include "report/site_status.h"

/* Appends all families up to "# EOF". */
void metrics_print(const struct site_status *s, struct buf *out);

#endif
