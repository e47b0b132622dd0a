/* fence: takes from a process what it does not need to read a stranger's bytes: programs, processes, sockets, and all
 * files but those below some directories. What the kernel does not have is left out. */
#ifndef FENCE_H
#define FENCE_H

#include <stddef.h>
#include <stdint.h>

/* For the rest of the process's life. It may read and write below the opened directories, and write no file of more
 * than file_bytes. Returns what holds now, for people: "landlock, seccomp"; "nothing" where the kernel has none. */
const char *fence_raise(const int *directory, size_t n, int64_t file_bytes);

#endif
