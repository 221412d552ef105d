/* The floating-point state in which all of the engine's arithmetic happens: round to nearest, exceptions masked,
 * denormals flushed to zero on the way in and out (FTZ and DAZ): Adam's moments decay into denormals, which costs
 * 12 % of a step.  The state is per thread.  `fpu_enter` is called where a caller's thread comes into the engine, and
 * `fpu_leave` gives the caller its own state back. */
#ifndef BASE_FPU_H
#define BASE_FPU_H

/* Sets the engine's state and returns the caller's. */
unsigned fpu_enter(void);

/* Restores what fpu_enter returned. */
void fpu_leave(unsigned saved);

#endif
