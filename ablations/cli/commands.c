/* All commands, in the order of the help: one line each. */
#include "ablations/cli/command.h"

#define COMMANDS(X)                                                                                                                        \
    X(help)                                                                                                                                \
    X(version)                                                                                                                             \
    X(data)                                                                                                                                \
    X(train)                                                                                                                               \
    X(distill)                                                                                                                             \
    X(eval)                                                                                                                                \
    X(predict)                                                                                                                             \
    X(explain)                                                                                                                             \
    X(marker)                                                                                                                              \
    X(diff)                                                                                                                                \
    X(sweep)                                                                                                                               \
    X(tune)                                                                                                                                \
    X(prepare)                                                                                                                             \
    X(run)                                                                                                                                 \
    X(task)                                                                                                                                \
    X(status)                                                                                                                              \
    X(table)                                                                                                                               \
    X(compare)                                                                                                                             \
    X(power)                                                                                                                               \
    X(effects)                                                                                                                             \
    X(attack)                                                                                                                              \
    X(claims)                                                                                                                              \
    X(report)                                                                                                                              \
    X(plot)                                                                                                                                \
    X(journal)                                                                                                                             \
    X(clean)                                                                                                                               \
    X(distillers)                                                                                                                          \
    X(bench)                                                                                                                               \
    X(cost)                                                                                                                                \
    X(inspect)                                                                                                                             \
    X(convert)

#define DECLARE(name) extern const struct df_command df_command_##name;
#define LIST(name)    &df_command_##name,
COMMANDS(DECLARE)
const struct df_command *const df_commands[] = { COMMANDS(LIST) NULL };
