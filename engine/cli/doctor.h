/* doctor.h: what `perilune doctor` finds out, one file a part.  Each part adds findings; the command prints them.
 * Thread rule: one thread. */
#ifndef CLI_DOCTOR_H
#define CLI_DOCTOR_H

#include "base/error.h"
#include "cli/command.h"

enum {
    FINDING_GOOD,
    FINDING_NOTE, /* worth knowing, nothing is broken */
    FINDING_BAD   /* the verdict is "not ready" */
};

typedef struct finding {
    int level;
    char what[32], found[768], wanted[160]; /* found: "3.40.1"; wanted: "3.37 or newer", or "" */
} finding;

typedef struct findings {
    finding *list;
    int count, room, failed; /* failed: out of memory */
} findings;

void finding_add(findings *f, int level, const char *what, const char *wanted, const char *format, ...)
    ERROR_FORMAT(5, 6);

/* The parts. */
void doctor_libraries(findings *f);
void doctor_machine(findings *f);
void doctor_speed(findings *f);
void doctor_plugins(findings *f, const char *folders);
void doctor_data(findings *f);
void doctor_places(findings *f, const char *database);
void doctor_training(findings *f, const char *folders);

#endif
