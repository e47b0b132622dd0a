/* random: chance for the simulators, the same for the same seed on every machine. */
#ifndef RANDOM_H
#define RANDOM_H

#include <stdbool.h>
#include <stdint.h>

/* Begins the sequence of a seed. */
void random_seed(uint64_t seed);

/* 0 to n - 1. */
int below(int n);

/* True in so many cases of a hundred. */
bool chance(int percent);

/* One of n texts; ANY("a", "b") of those given. */
const char *any(const char *const *list, int n);
#define ANY(...)                            \
    any((const char *const[]){__VA_ARGS__}, \
        (int)(sizeof((const char *const[]){__VA_ARGS__}) / sizeof(char *)))

#endif
