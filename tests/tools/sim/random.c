/* random: see random.h.  splitmix64, by Sebastiano Vigna. */
#include "random.h"

static uint64_t state;

static uint64_t next_random(void)
{
    state += 0x9e3779b97f4a7c15u;
    uint64_t z = state;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

void random_seed(uint64_t seed)
{
    state = seed;
    next_random();
}

int below(int n)
{
    return (int)(next_random() % (uint64_t)n);
}

bool chance(int percent)
{
    return below(100) < percent;
}

const char *any(const char *const *list, int n)
{
    return list[below(n)];
}
