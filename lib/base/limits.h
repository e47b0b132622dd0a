/* limits: how much memory and processor time this process may take for somebody else's bytes. Who reaches a limit ends by a
 * signal, so that the caller tells it from an error of the input: SIGKILL for memory, as where the system has none left,
 * SIGXCPU for time. A line on stderr says which. */
#ifndef LIMITS_H
#define LIMITS_H

#include <stdint.h>

/* For the rest of the process's life, and in programs that it starts. Limits that hold already are not raised. Memory is
 * what is allocated, not files that are mapped. Sanitizers reserve more address space than any limit: under them memory is
 * not limited. */
void limits_set(int64_t memory_bytes, int64_t cpu_seconds);

/* Memory is out: where it was limited, says so and ends the process; else returns. */
void limits_memory_out(void);

#endif
