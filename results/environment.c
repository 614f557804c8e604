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

static bool has_word(const char *text, const char *word, size_t length)
{
    for (const char *at = text; *at; at += at[0] == ' ') {
        const size_t n = strcspn(at, " ");

        if (n == length && memcmp(at, word, n) == 0)
            return true;
        at += n;
    }
    return false;
}

static bool has_all_words(const char *text, const char *words)
{
    while (*words) {
        const size_t n = strcspn(words, " ");

        if (!has_word(text, words, n))
            return false;
        words += n + (words[n] == ' ');
    }
    return true;
}

bool df_teachers_pair(const char *one, const char *other) { return has_all_words(one, other) || has_all_words(other, one); }

bool df_rows_share_teacher(const struct df_run_row *a, const struct df_run_row *b)
{
    char *one = teacher_of(a), *other = teacher_of(b);
    const bool share = df_teachers_pair(one, other);

    free(one);
    free(other);
    return share;
}

/* Run id or file of its teacher; of several all, in the order of their names. */
static char *named_by_cell(const cJSON *cell)
{
    const char *only = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(cell, "teacher"));
    struct df_text names = DF_TEXT_INIT;
    const cJSON *one;

    df_text_add(&names, only ? only : "");
    cJSON_ArrayForEach(one, cJSON_GetObjectItemCaseSensitive(cell, "teachers"))
    {
        const char *name = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(one, "teacher"));

        df_text_addf(&names, "%s%s", names.length ? " " : "", name ? name : "");
    }
    return names.data ? names.data : df_strdup("");
}

char *df_row_teacher(const struct df_run_row *row)
{
    char *teacher = teacher_of(row);
    cJSON *cell = NULL;

    if (!*teacher && df_json_parse(row->cell, strlen(row->cell), "cell", &cell, NULL) == DF_OK) {
        free(teacher);
        teacher = named_by_cell(cell);
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
