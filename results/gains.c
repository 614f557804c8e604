#include "results/gains.h"

#include <string.h>

static size_t find_name(const char *const *names, size_t count, const char *name)
{
    size_t i = 0;

    while (i < count && strcmp(names[i], name) != 0)
        i++;
    return i;
}

static void add_name(const char **names, size_t *count, size_t most, const char *name)
{
    if (find_name(names, *count, name) == *count && *count < most)
        names[(*count)++] = name;
}

static bool is_gain(const struct df_table *table, size_t l)
{
    const struct df_table_line *line = &table->line[l];

    return line->variant[0] && l != line->baseline && line->difference.n > 0 && strcmp(line->axes, line->variant) == 0;
}

void df_gains_find(const struct df_table *table, struct df_gains *out)
{
    *out = (struct df_gains){ 0 };
    for (size_t l = 0; l < table->lines; l++) {
        if (table->line[l].variant[0])
            add_name(out->variant, &out->variants, DF_GAINS_VARIANTS, table->line[l].variant);
        if (is_gain(table, l))
            add_name(out->method, &out->methods, DF_GAINS_METHODS, table->line[l].label);
    }
}

bool df_gains_place(const struct df_gains *gains, const struct df_table *table, size_t l, size_t *variant, size_t *method)
{
    if (!is_gain(table, l))
        return false;
    *variant = find_name(gains->variant, gains->variants, table->line[l].variant);
    *method = find_name(gains->method, gains->methods, table->line[l].label);
    return *variant < gains->variants && *method < gains->methods;
}
