/* shrink: see shrink.h. */
#include "shrink.h"

#include <time.h>

void shrink(struct history *h, shrink_run *run)
{
    time_t until = time(NULL) + 60;
    for (int size = h->nstep / 2; size > 0 && time(NULL) < until; size /= 2)
        for (int from = h->nstep - size; from > -size && time(NULL) < until; from -= size) {
            bool was[STEPS], any_on = false;
            for (int s = 0; s < h->nstep; s++) {
                bool in = s >= from && s < from + size;
                was[s] = h->step[s].off;
                any_on |= in && !was[s];
                h->step[s].off |= in;
            }
            if (!any_on || run(h))
                continue;
            for (int s = 0; s < h->nstep; s++)
                h->step[s].off = was[s];
        }
    for (int s = 0; s < h->nstep; s++) {
        enum hurt hurt = h->step[s].hurt;
        int damage = h->step[s].damage;
        h->step[s].hurt = HURT_NOT;
        h->step[s].damage = 0;
        if (h->step[s].off || (hurt == HURT_NOT && damage < 70) || (time(NULL) < until && run(h)))
            continue;
        h->step[s].hurt = hurt;
        h->step[s].damage = damage;
    }
}
