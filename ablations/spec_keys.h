/* The keys of a spec: of every object its section. The reader accepts what stands here and in the option tables, `defeat help spec` prints it. */
#ifndef DF_ABLATIONS_SPEC_KEYS_H
#define DF_ABLATIONS_SPEC_KEYS_H
#include "core/base/option.h"

/* What is not one option: objects, lists, names, what depends on more than one object. */
struct df_spec_key {
    const char *name, *type, *standard; /* standard: its default; "required" */
    const char *help, *when;            /* when: it has an effect; NULL: always */
};
/* Keys that depend on "kind" or "name": the i-th kind's option table; NULL behind the last. */
typedef const df_option *df_spec_kind(size_t i, const char **name, const char **summary);

struct df_spec_section {
    const char *name, *summary;
    const struct df_spec_key *keys; /* ends with a row whose name is NULL; NULL: none */
    const df_option *options;       /* NULL: none */
    df_spec_kind *kind;             /* NULL: the keys are always the same */
};
enum df_spec_sections {
    DF_SPEC_ROOT,
    DF_SPEC_DATA,
    DF_SPEC_CANVAS,
    DF_SPEC_DETECTOR,
    DF_SPEC_NETWORK,
    DF_SPEC_SCHEDULE,
    DF_SPEC_STUDENT,
    DF_SPEC_TEACHER,
    DF_SPEC_METHODS,
    DF_SPEC_DISTILLERS,
    DF_SPEC_VARIANTS,
    DF_SPEC_PLOTS,
    DF_SPEC_SECTIONS
};
extern const struct df_spec_section df_spec_section[DF_SPEC_SECTIONS];

/* Fails unless every member of the object is a key of the section (whose keys must be all there are); names the nearest. */
df_status df_spec_only(enum df_spec_sections section, const cJSON *object, const char *where, struct df_error *err);
/* All keys of a section, aligned, with default, type, range, meaning and condition. */
void df_spec_help(enum df_spec_sections section, struct df_text *out);
#endif
