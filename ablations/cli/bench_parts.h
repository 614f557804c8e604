/* `defeat bench`: the parts of a training step by the clock, beside their floor: what `defeat cost` counts of them at the rates that this
 * machine was measured to reach. */
#ifndef DF_ABLATIONS_CLI_BENCH_PARTS_H
#define DF_ABLATIONS_CLI_BENCH_PARTS_H
#include "ablations/run/cost.h"
#include "ablations/run/trainer.h"

enum df_bench_part {
    DF_BENCH_BATCH, /* data on the host; has no floor */
    DF_BENCH_FORWARD,
    DF_BENCH_LOSS,
    DF_BENCH_TEACH, /* live, or out of the cache */
    DF_BENCH_DISTILL,
    DF_BENCH_BACKWARD, /* of everything */
    DF_BENCH_UPDATE,
    DF_BENCH_PARTS
};

struct df_bench_parts {
    struct df_trainer *trainer;
    double now;                     /* when the last part was over */
    double seconds[DF_BENCH_PARTS]; /* a step, the mean */
    double floor[DF_BENCH_PARTS];   /* seconds a step */
    double step_floor, memory;      /* their sum; bytes that a student needs on the device with its teachers, on paper */
    size_t adaptation, teachers;    /* parameters: of the distillers, and of the teachers */
    bool live;                      /* its teachers run live */
};
/* Times the parts over some steps: the devices are waited for at each part's end and nowhere else. One that is interrupted fails. */
df_status df_bench_parts_time(struct df_bench_parts *parts, struct df_trainer *trainer, size_t steps, struct df_error *err);
/* Fills in the floors of a step on the canvas of the data's first image, and the sizes. */
df_status df_bench_parts_floor(struct df_bench_parts *parts, struct df_cost_machine machine, struct df_error *err);
/* step: seconds of a whole one, without waiting in between. */
void df_bench_parts_print(const struct df_bench_parts *parts, const char *label, double step);
void df_bench_parts_json(const struct df_bench_parts *parts, cJSON *side);
#endif
