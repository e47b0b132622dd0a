/* serve: the server's end of a session: takes a node's uploads into its inbox, and gives it what waits in its outbox. */
#ifndef SERVE_H
#define SERVE_H

#include <stdbool.h>

/* One session on these descriptors, for that node of the site. `bin` is the directory of dx's commands. -1 after fail(),
 * which the node has got a message about, as far as it may know the reason. *fence says what holds
 * the process that reads the node's bytes (session/fence.h); `say` gets that, if it is not NULL. */
struct serve {
    const char *site, *node, *bin;
    int in, out;
    void (*say)(const char *fmt, ...);
};
int serve(const struct serve *s);

#endif
