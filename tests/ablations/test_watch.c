/* When a sweep is over, as its workers' own words have it. */
#include "ablations/watch.h"

#include <math.h>

#include "tests/support/support.h"

static void cells_go_to_whoever_is_free_first(void **state)
{
    static const struct {
        double busy[3];
        size_t workers, waiting;
        double each, eta;
    } cases[] = {
        { { 30, 50 }, 2, 0, NAN, 50 },                              /* what runs */
        { { 0, 0 }, 2, 5, 10, 30 },                                 /* the fifth runs alone */
        { { 0, 0 }, 2, 6, 10, 30 },    { { 25, 0 }, 2, 2, 10, 25 }, /* both fit beside the long one */
        { { 25, 0 }, 2, 3, 10, 30 },   { { 5, 40, 0 }, 3, 4, 10, 40 }, { { 0.1 }, 1, 3, 0.1, 0.4 },
        { { 7 }, 1, 4, 0, 7 },         { { NAN, 3 }, 2, 1, 10, NAN }, /* nobody knows */
        { { 3, 3 }, 2, 1, NAN, NAN },
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const double eta = df_watch_eta(cases[i].busy, cases[i].workers, cases[i].waiting, cases[i].each);

        if (isnan(cases[i].eta) ? !isnan(eta) : !(fabs(eta - cases[i].eta) < 1e-6))
            fail_msg("case %zu: %g, expected %g", i, eta, cases[i].eta);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(cells_go_to_whoever_is_free_first) };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
