/* file: reading and writing whole, replacing atomically, and locks. */
#ifndef FILE_H
#define FILE_H

#include "base/buf.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* Reads up to n bytes, less only at the end of the file. Returns the count, or -1. `name` is for the message. */
ssize_t file_read(int fd, void *p, size_t n, const char *name);

/* Reads what there is now, waiting only when there is nothing: 1 to n, 0 at the end of the file, -1. */
ssize_t file_read_some(int fd, void *p, size_t n, const char *name);

/* Writes all n bytes. 0, or -1. */
int file_write(int fd, const void *p, size_t n, const char *name);

/* Reads a whole file of at most `max` bytes, appending to out. -1 if it cannot be read or is longer. */
int file_load(const char *path, size_t max, struct buf *out);

/* A file that replaces `path` as a whole or not at all: written under a temporary name in the same directory,
 * synced, renamed, and the directory synced. What a killed process left of it is removed. NULL / -1 on failure. */
struct file_new *file_new_open(const char *path);
int file_new_fd(const struct file_new *f);
int file_new_commit(struct file_new *f); /* frees f in any case; on failure nothing is replaced */
int file_new_sync(struct file_new *f);   /* all but the rename: content and close are safe after it */
void file_new_abort(struct file_new *f); /* removes the temporary file; NULL is fine */

/* Removes what killed processes left in the directory of files that were to replace others. */
void file_sweep(const char *directory);

/* Writes and syncs a directory's entries (after a rename in it). */
int file_sync_directory(const char *directory);

/* Writes and syncs all that waits for the file system on which fd is: cheaper than hundreds of single syncs. What
 * failed since fd was opened is reported. `name` is for the message. */
int file_sync_system(int fd, const char *name);

/* Creates a file that is not there: nothing is followed and nothing is overwritten. What stands under the name, a link that
 * somebody has laid there too, is removed first. The descriptor, to read and write; -1 with errno set. */
int file_create(const char *path);

/* Makes a directory and its missing parents; existing ones are fine. */
int file_make_directory(const char *path);

/* Joins with a slash; the caller frees. */
char *file_join(const char *directory, const char *name);
bool file_exists(const char *path);

/* Free bytes on the path's file system, as df(1) shows them to this user; -1 when they are unknown. */
int64_t file_free(const char *path);

/* Takes an exclusive lock (flock) on `path`, made when absent so that only its owner and group can open it, and writes who
 * holds it there. -1 with ERR_BUSY and the holder's name if another process has it. Returns the descriptor; file_unlock, or
 * the end of the process, frees it. */
int file_lock(const char *path, const char *holder);
void file_unlock(int fd);

#endif
