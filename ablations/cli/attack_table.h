/* What `defeat attack` prints of a study. */
#ifndef DF_ABLATIONS_CLI_ATTACK_TABLE_H
#define DF_ABLATIONS_CLI_ATTACK_TABLE_H
#include "ablations/behaviour/attack_study.h"
#include "core/base/text.h"

enum { DF_NO_ATTACK = -1 };
struct df_attack_names {
    const char *const *network; /* [networks]: the teachers, then the students */
    const char *const *attack;  /* [attacks] */
    size_t teachers, baseline;  /* networks */
    int of_teacher, at_random;  /* which attack is the first teacher's alone, which the control; DF_NO_ATTACK */
};
/* The sentence that answers, then the tables. */
void df_attack_text(const struct df_attack_study *study, const struct df_attack_names *names, struct df_text *out);
/* The same numbers as one JSON object, in full. */
void df_attack_json(const struct df_attack_study *study, const struct df_attack_names *names, struct df_text *out);
#endif
