/* commands.h: all commands, in the order of `perilune --help`. */
#ifndef CLI_COMMANDS_H
#define CLI_COMMANDS_H

#include "cli/command.h"

/* X(name): defined in cli/name.c as `const command command_name`. */
#define COMMANDS(X) X(run) X(runs) X(show) X(predict)

#define COMMANDS_DECLARE(name) extern const command command_##name;
COMMANDS(COMMANDS_DECLARE)
#undef COMMANDS_DECLARE

#endif
