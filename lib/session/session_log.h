/* session_log: a line for each session, at both ends: SITE/docking/NODE/session.log and LOCAL.db-dx/session.log.
 *
 *   start=2026-01-31T12:00:00Z end=2026-01-31T12:00:02Z node=alice release=0.1.0 sent=2/13120 fetched=1/700
 *   bytes=14500/1200 archive=17 upload=5 free=81604378624 exit=0 why="..."
 *
 * on one line: files and bytes of files that went out and came in here, all bytes out and in, the newest archive and
 * upload as the handshake found them, the bytes free on the disk of a node, what it asked for as a proof (proof=), the exit code, and the reason where it is not 0. A file of more than a megabyte
 * is renamed to session.log.1 first, so that there are never more than two. */
#ifndef SESSION_LOG_H
#define SESSION_LOG_H

#include "session/peer.h"

#include <time.h>

struct session_line {
    time_t start;
    const char *node, *release; /* of the other end */
    struct peer_traffic traffic;
    struct channel_count bytes;
    int64_t archive, upload;
    int64_t free; /* bytes free on the disk of the other end; 0: not known */
    const char *
        proof; /* at the server: what was asked of it: "digests" of what the node should hold, then "rows" of those
                        * tables of which they differ, or a whole "copy"; NULL: none of these */
    int code;
    const char *why; /* one line; "" for none */
};

/* Appends the line to session.log below an opened directory. What cannot be written is left: the session is over. */
void session_log_add(int dir, const struct session_line *line);

/* Sessions that began in the last so many seconds, as far as the file below the directory tells. */
int64_t session_log_count(int dir, int64_t seconds);

#endif
