#include "ablations/behaviour/evasion.h"

#include <math.h>
#include <stdlib.h>

double df_evasion_rate(const struct df_evasion *evasion)
{
    const size_t left = evasion->left < evasion->clean ? evasion->left : evasion->clean;

    return evasion->clean ? 1 - (double)left / (double)evasion->clean : (double)NAN;
}

double df_evasion_score(const struct df_evasion *evasion, struct df_patch_budget budget, bool within)
{
    const double rate = df_evasion_rate(evasion);

    if (evasion->clean && (!within || !evasion->use.changed))
        return 0;
    return (2 - (double)evasion->use.changed / (budget.area * (double)evasion->pixels)) * rate;
}

static int by_value(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

double df_evasion_area(const double *rate, size_t images, const double *area, size_t areas)
{
    double *least = df_malloc((images + 1) * sizeof *least), median;

    for (size_t i = 0; i < images; i++) {
        least[i] = INFINITY;
        for (size_t a = areas; a-- > 0;)
            if (rate[i * areas + a] >= 0.5)
                least[i] = area[a];
    }
    qsort(least, images, sizeof *least, by_value);
    median = images ? least[(images - 1) / 2] : (double)NAN;
    if (images && images % 2 == 0 && least[images / 2] != median)
        median = 0.5 * (median + least[images / 2]);
    free(least);
    return median;
}
