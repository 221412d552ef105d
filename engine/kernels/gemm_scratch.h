/* Memory that the kernels need within one call: packed operands, partial sums, padded images.  A training loop must
 * not allocate, and a call may come from any lane; so each thread keeps a few blocks that grow to the largest size ever
 * asked for and are freed when the thread ends.
 *
 * Thread rule: a block belongs to the thread that asked, until it asks for the same slot again. */
#ifndef KERNELS_GEMM_SCRATCH_H
#define KERNELS_GEMM_SCRATCH_H

#include <stdint.h>

/* Who uses a block.  CALL slots are taken by the thread that opens a region and read by all of its lanes, PIECE slots
 * are taken inside a piece.  A piece that runs on the calling thread must not take a CALL slot. */
typedef enum gemm_slot {
    SCRATCH_CALL_PARTS,   /* partial sums of chunks */
    SCRATCH_CALL_OPERAND, /* a packed operand, the weights of a convolution */
    SCRATCH_CALL_TABLE,   /* segments of a convolution */
    SCRATCH_PIECE_LEFT,   /* a copy of a block of the left operand */
    SCRATCH_PIECE_PANEL,  /* one panel of the right operand */
    SCRATCH_PIECE_SUM,    /* a block of the result before it is finished */
    SCRATCH_PIECE_IMAGE,  /* a padded image */
    SCRATCH_SLOTS
} gemm_slot;

/* At least `bytes` bytes, aligned to 64, contents undefined; NULL when the system has none (or bytes is negative). */
void *gemm_scratch(gemm_slot slot, int64_t bytes);

#endif
