/* A small made-up journal for the tests of tables and plots: methods x seeds, some runs failed or missing. */
#ifndef DF_TESTS_RESULTS_SAMPLE_H
#define DF_TESTS_RESULTS_SAMPLE_H
#include "results/table.h"

enum { SAMPLE_LINES = 5, SAMPLE_SEEDS = 3, SAMPLE_SCORES = DF_TABLE_METRICS + 2 };

struct sample {
    struct df_journal journal;
    struct df_run_row row[SAMPLE_LINES * SAMPLE_SEEDS + 1];
    struct df_score score[SAMPLE_LINES * SAMPLE_SEEDS][SAMPLE_SCORES]; /* of row i: the table's metrics, then the classes */
    char id[SAMPLE_LINES * SAMPLE_SEEDS][17];
    struct df_table_request request;
    struct df_table_line_request line[SAMPLE_LINES];
    const char *run[SAMPLE_LINES * SAMPLE_SEEDS];
    int64_t seed[SAMPLE_LINES * SAMPLE_SEEDS];
};

/* mAP of (line, seed), percent. none, then: clearly above, inside the noise, one seed failed, two seeds missing. */
static const double sample_map[SAMPLE_LINES][SAMPLE_SEEDS] = {
    { 30, 31, 32 }, { 32, 33.1, 33.9 }, { 30.5, 30.5, 32.5 }, { 33, 29, 0 }, { 31.5, 0, 0 },
};

static inline void sample_fill(struct sample *s)
{
    static const char *const label[SAMPLE_LINES] = { "none", "DeFeat | 100% & {neck}_1", "full feature", "foreground",
                                                     "\xc3\xa9t\xc3\xa9 'quoted' \"x\" `ls`" };
    static const char *const axes[SAMPLE_LINES] = { "", "w_fg=4 w_bg=16", "", "w_fg=2 w_bg=8", "" };

    *s = (struct sample){ 0 };
    for (size_t l = 0; l < SAMPLE_LINES; l++) {
        for (size_t i = 0; i < SAMPLE_SEEDS; i++) {
            const size_t at = l * SAMPLE_SEEDS + i;
            struct df_run_row *row = &s->row[s->journal.runs];

            snprintf(s->id[at], sizeof s->id[at], "%016zx", at + 1);
            s->run[at] = s->id[at];
            s->seed[at] = (int64_t)(10 * i);
            if (l == 4 && i > 0)
                continue; /* missing */
            *row = (struct df_run_row){ .semantics = 2,
                                        .run = s->id[at],
                                        .spec = "s",
                                        .label = label[l],
                                        .axes = axes[l],
                                        .seed = (int64_t)(10 * i),
                                        .status = l == 3 && i == 2 ? "failed: out of luck" : "ok",
                                        .train_seconds = 60 + (double)(10 * l + i),
                                        .eval_seconds = 2,
                                        .revision = "r",
                                        .device = "cpu",
                                        .environment = "{\"isa\":\"avx2\"}",
                                        .started = "",
                                        .finished = "",
                                        .scores = { SAMPLE_SCORES, s->score[s->journal.runs] } };
            row->cell = l == 1 ? "{\"seed\":1,\"data\":{\"kind\":\"scenes\"},\"distillers\":[{\"name\":\"defeat\",\"w_fg\":4,\"w_bg\":16},{"
                                 "\"name\":\"defeat\",\"w_fg\":0.5}]}"
                               : "{\"seed\":2,\"data\":{\"kind\":\"scenes\",\"sizes\":[1,2]}}";
            for (size_t m = 0; m < DF_TABLE_METRICS; m++)
                row->scores.score[m] = (struct df_score){ df_table_metrics[m], "", m == 3 ? -1 : (sample_map[l][i] + (double)m) / 100 };
            row->scores.score[DF_TABLE_METRICS] = (struct df_score){ "AP", "disk", i == 0 ? 0.5 : 0.6 };
            row->scores.score[DF_TABLE_METRICS + 1] = (struct df_score){ "AP", "a=b", i == 0 ? 0.25 : -1 };
            s->journal.runs++;
        }
        s->line[l] = (struct df_table_line_request){
            .label = label[l], .axes = axes[l], .runs = SAMPLE_SEEDS, .run = s->run + l * SAMPLE_SEEDS, .seed = s->seed + l * SAMPLE_SEEDS
        };
    }
    /* a row of an older version */
    s->row[s->journal.runs] = s->row[0];
    s->row[s->journal.runs].run = "ffffffffffffffff";
    s->row[s->journal.runs++].semantics = 1;
    s->journal.run = s->row;
    s->request = (struct df_table_request){
        .title = "A & B: 100%_sure", .lines = SAMPLE_LINES, .line = s->line, .semantics = 2, .teacher = "teacher: 45.10 mAP"
    };
}
#endif
