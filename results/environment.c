#include "results/environment.h"

#include <stdlib.h>
#include <string.h>

#include "core/base/hash.h"

void df_environment_split(const struct df_run_row *row, struct df_text *machine, struct df_text *teacher)
{
    cJSON *object = NULL;

    if (df_json_parse(row->environment, strlen(row->environment), "environment", &object, NULL) == DF_OK && cJSON_IsObject(object)) {
        cJSON *hash = cJSON_DetachItemFromObjectCaseSensitive(object, "teacher");

        df_text_add(teacher, cJSON_IsString(hash) ? hash->valuestring : "");
        df_json_canonical(object, machine);
        cJSON_Delete(hash);
    }
    cJSON_Delete(object);
}

static char *teacher_of(const struct df_run_row *row)
{
    struct df_text machine = DF_TEXT_INIT, teacher = DF_TEXT_INIT;

    df_environment_split(row, &machine, &teacher);
    df_text_release(&machine);
    return teacher.data ? teacher.data : df_strdup("");
}

bool df_rows_share_teacher(const struct df_run_row *a, const struct df_run_row *b)
{
    char *one = teacher_of(a), *other = teacher_of(b);
    const bool share = !*one || !*other || strcmp(one, other) == 0;

    free(one);
    free(other);
    return share;
}

char *df_row_teacher(const struct df_run_row *row)
{
    char *teacher = teacher_of(row);
    cJSON *cell = NULL;

    if (!*teacher && df_json_parse(row->cell, strlen(row->cell), "cell", &cell, NULL) == DF_OK) {
        const char *named = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(cell, "teacher"));

        free(teacher);
        teacher = df_strdup(named ? named : "");
    }
    cJSON_Delete(cell);
    return teacher;
}

bool df_rows_share_machine(const struct df_run_row *a, const struct df_run_row *b)
{
    struct df_text one = DF_TEXT_INIT, other = DF_TEXT_INIT, teacher = DF_TEXT_INIT;
    const bool cuda = strncmp(a->device, "cuda", 4) == 0 || strncmp(b->device, "cuda", 4) == 0;

    df_environment_split(a, &one, &teacher);
    df_environment_split(b, &other, &teacher);
    const bool share = !cuda || (strcmp(a->device, b->device) == 0 && strcmp(df_text_get(&one), df_text_get(&other)) == 0);

    df_text_release(&one);
    df_text_release(&other);
    df_text_release(&teacher);
    return share;
}

char *df_environment_hash(const struct df_run_row *row, char buffer[17])
{
    return df_hash_text(buffer, df_hash(row->environment, strlen(row->environment)));
}
