/* target: what every fuzz target is: one function, called with any bytes at all. It returns 0, or aborts. */
#ifndef TARGET_H
#define TARGET_H

#include <stddef.h>
#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#endif
