/* Sums over ranks: in rank order, in double, the same bits everywhere; a rank that is alone changes nothing. */
#include <string.h>

#include "core/base/comm.h"
#include "tests/support/ranks.h"
#include "tests/support/support.h"

enum { RANKS = 3, COUNT = 9001 /* several pieces, the last not whole */ };

static double sums[RANKS][COUNT];
static df_real reals[RANKS][COUNT];
static int32_t gathered[RANKS][RANKS * 2];

/* 2^53 + 1 - 2^53: 0 in rank order, 1 in any other. */
static double given(size_t rank, size_t i) { return i % 2 ? (double)((rank + 1) * i) : rank == 0 ? 0x1p53 : rank == 1 ? 1 : -0x1p53; }

static void meet(struct df_comm *comm, void *context)
{
    const size_t rank = df_comm_rank(comm);
    const int32_t two[2] = { (int32_t)rank, 7 * (int32_t)rank };

    (void)context;
    for (size_t i = 0; i < COUNT; i++) {
        sums[rank][i] = given(rank, i);
        reals[rank][i] = (df_real)(rank == 1 ? 0x1p-30 : rank ? -1 : 1);
    }
    df_comm_sum(comm, sums[rank], COUNT);
    df_comm_sum_reals(comm, reals[rank], COUNT);
    df_comm_gather(comm, two, sizeof two, gathered[rank]);
}

static void test_ranks(void **state)
{
    (void)state;
    df_test_ranks(RANKS, meet, NULL);
    for (size_t i = 0; i < COUNT; i++) {
        assert_true(sums[0][i] == (i % 2 ? 6 * (double)i : 0));
        assert_true(reals[0][i] == (df_real)0x1p-30); /* in float it would be lost */
    }
    for (size_t r = 0; r < RANKS; r++) {
        assert_memory_equal(sums[r], sums[0], sizeof sums[0]);
        assert_memory_equal(reals[r], reals[0], sizeof reals[0]);
        for (int32_t k = 0; k < RANKS; k++)
            assert_true(gathered[r][2 * k] == k && gathered[r][2 * k + 1] == 7 * k);
    }
}

static void alone(struct df_comm *comm, void *context)
{
    double values[3] = { 0.1, -0.0, 3 };
    const double before[3] = { 0.1, -0.0, 3 };
    int *same = context;
    int32_t seven = 7, all = 0;

    df_comm_sum(comm, values, 3);
    df_comm_gather(comm, &seven, sizeof seven, &all);
    *same += memcmp(values, before, sizeof values) == 0 && all == 7 && df_comm_rank(comm) == 0 && df_comm_size(comm) == 1;
}

static void test_alone(void **state)
{
    int same = 0;

    (void)state;
    alone(NULL, &same);
    df_test_ranks(1, alone, &same);
    assert_int_equal(same, 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_ranks), cmocka_unit_test(test_alone) };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
