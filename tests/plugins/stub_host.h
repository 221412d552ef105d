/* A host small enough to be seen through, for testing plugins without the engine: it opens a built plugin with dlopen,
 * fills in options from a text, keeps the last message, and does `map` with libm in double.  It is independent of the
 * engine on purpose, so that a wrong kernel cannot hide a wrong plugin.  Failures of the stub itself fail the test.
 *
 * Thread rule: one thread. */
#ifndef TESTS_STUB_HOST_H
#define TESTS_STUB_HOST_H

#include "perilune/plugin.h"

#define STUB_OPTS 256 /* room for an options struct */

typedef struct stub_head {
    PLN_DESCRIPTOR;
} stub_head;

/* The table to pass to plugins. */
const pln_host *stub_host(void);

/* What was said last through fail(); "" after stub_forget(). */
const char *stub_message(void);
void stub_forget(void);

/* The descriptor of a type, from the plugin file that the build's index names.  Never unloaded. */
const void *stub_find(uint32_t kind, const char *name);

/* Calls f for every built-in type of a kind. */
void stub_each(uint32_t kind, void (*f)(const void *descriptor));

/* Fills opts[STUB_OPTS], beginning with the declared defaults, from "momentum=0.9 nesterov=true"; words without "=" are
 * skipped. */
void stub_options(const void *descriptor, const char *text, void *opts);

/* A contiguous tensor or slot of the given shape; the list ends with 0. */
pln_tensor stub_tensor(uint32_t dtype, void *data, const int64_t *shape);
pln_slot stub_slot(uint32_t dtype, const int64_t *shape);
#define SHAPE(...) ((const int64_t[PLN_RANK + 1]){__VA_ARGS__})

#endif
