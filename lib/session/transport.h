/* transport: a command that leads to the other end of a session: ssh, or the other end itself. */
#ifndef TRANSPORT_H
#define TRANSPORT_H

#include <sys/types.h>

struct transport {
    pid_t pid; /* 0: none, the descriptors are ours */
    int in, out;
};

/* Starts the command, or, NULL, takes stdin and stdout. It ends when we do. 0, or -1. */
int transport_open(struct transport *t, char *const *command);

/* Closes its descriptors and waits so long for its end. Its exit code; -1 when it has not ended. */
int transport_close(struct transport *t, double seconds);

#endif
