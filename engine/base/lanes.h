/* Lanes: the engine's own threads.
 *
 * A lane is one thread that does pieces of work.  The calling thread is lane 0; a pool of L lanes owns L-1 threads.
 * A region (`lanes_run`) is a number of pieces.  Each lane begins with its own share (a contiguous run of pieces, so
 * that the same lane sees the same memory in the next region) and steals from the others when it is done.  Waiting
 * lanes spin briefly, then sleep on a futex.  How the pieces were cut may depend on sizes only, never on the
 * number of lanes: that is what makes results equal, bit for bit, at 1, 2 or 64 lanes.
 *
 * A `lanes_run` inside a piece runs its pieces inline on the lane it is called from.
 *
 * Thread rule: one region at a time per pool, always from the thread that opened the pool.
 */
#ifndef BASE_LANES_H
#define BASE_LANES_H

#include <stdint.h>

#include "base/error.h"

#define LANES_MAX 256

typedef struct lanes lanes;

/* One piece of work.  `lane` (0 .. count-1) names the scratch memory it may use.  A status other than 0 stops the
 * region: no piece above it is begun, those below it still run, and `lanes_run` returns the status of the lowest piece
 * that failed: the same one with any number of lanes. */
typedef int lanes_body(void *context, int64_t piece, int lane);

/* Opens a pool of `count` lanes (1 .. LANES_MAX).  Threads start at the first region that has use for them; where the
 * system then gives fewer, those there are do the work.  Signals are blocked in them.
 * Every lane runs with denormals flushed (see fpu.h). */
int lanes_open(int count, lanes **pool, error *e);

/* Joins the threads.  NULL is allowed.  After it, the process has no thread of this pool (needed before a fork). */
void lanes_close(lanes *pool);

int lanes_count(const lanes *pool);

/* Runs body(context, 0 .. pieces-1, lane) on all lanes and returns when all are done.  A NULL pool runs inline. */
int lanes_run(lanes *pool, int64_t pieces, lanes_body *body, void *context);

/* How many pieces a lane has done since the pool was opened (for tests and `--profile`). */
uint64_t lanes_done(const lanes *pool, int lane);

/* How many lanes this machine offers to this process (affinity mask and cgroup quota respected), at least 1. */
int lanes_available(void);

#endif
