/* commands.h: all commands, in the order of `perilune --help`. */
#ifndef CLI_COMMANDS_H
#define CLI_COMMANDS_H

#include "cli/command.h"

/* X(name): defined in cli/name.c as `const command command_name`. */
#define COMMANDS(X)                                                                                                    \
    X(run)                                                                                                             \
    X(resume)                                                                                                          \
    X(stop) X(runs) X(show) X(diff) X(tag) X(note) X(rm) X(gc) X(predict) X(export) X(plugins) X(data) X(doctor)

#define COMMANDS_DECLARE(name) extern const command command_##name;
COMMANDS(COMMANDS_DECLARE)
#undef COMMANDS_DECLARE

#endif
