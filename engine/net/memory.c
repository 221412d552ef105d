/* Where each buffer of a plan lies.  One pass over buffers sorted by size; lifetimes are whole regions, because the
 * pieces of a region are at different operations at the same instant. */
#include "net/plan.h"

#include <stdlib.h>

#define ALIGN 64

static int overlaps(const buffer *a, const buffer *b)
{
    return a->first <= b->last && b->first <= a->last;
}

static int64_t rounded(int64_t bytes)
{
    return (bytes + ALIGN - 1) / ALIGN * ALIGN;
}

/* The lowest offset at which b fits between the placed ones that are alive with it.  `order` lists the placed ones
 * sorted by offset. */
static int64_t lowest_gap(const buffer *buffers, const int *order, int placed, const buffer *b)
{
    int64_t at = 0;
    for (int i = 0; i < placed; i++) {
        const buffer *p = &buffers[order[i]];
        if (!overlaps(p, b))
            continue;
        if (p->offset >= at + rounded(b->bytes))
            break;
        if (p->offset + rounded(p->bytes) > at)
            at = p->offset + rounded(p->bytes);
    }
    return at;
}

static int next_largest(const buffer *buffers, int n, const char *done)
{
    int best = -1;
    for (int i = 0; i < n; i++)
        if (!done[i] && (best < 0 || buffers[i].bytes > buffers[best].bytes))
            best = i;
    return best;
}

int64_t memory_lay_out(buffer *buffers, int n, int *order)
{
    int64_t total = 0;
    char *done = calloc((size_t)n + 1, 1);
    if (!done)
        return -1;
    for (int placed = 0; placed < n; placed++) {
        int which = next_largest(buffers, n, done), at = placed;
        buffer *b = &buffers[which];
        b->offset = lowest_gap(buffers, order, placed, b);
        while (at > 0 && buffers[order[at - 1]].offset > b->offset) {
            order[at] = order[at - 1];
            at--;
        }
        order[at] = which;
        done[which] = 1;
        if (b->offset + rounded(b->bytes) > total)
            total = b->offset + rounded(b->bytes);
    }
    free(done);
    return total;
}
