/* Equal tuning without a run: which weights, the same number of trials for all, what is best, edges, and the specs that come of it. */
#include "ablations/tune.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/file.h"
#include "tests/support/support.h"

static struct df_error err;

/* No weight; one; two; a stack that has one name twice; a weight that is off and some that have no effect. */
#define METHODS                                                                                                                            \
    "{\"label\":\"none\"},"                                                                                                                \
    "{\"label\":\"one\",\"distillers\":[{\"name\":\"full_feature\",\"w\":8}]},"                                                            \
    "{\"label\":\"two\",\"distillers\":[{\"name\":\"defeat\",\"w_fg\":4}]},"                                                               \
    "{\"label\":\"stack\",\"distillers\":[{\"name\":\"defeat\",\"head\":\"decoupled\"},{\"name\":\"head_kl\",\"w_pos\":0.3}]},"            \
    "{\"label\":\"off\",\"distillers\":[{\"name\":\"defeat\",\"w_fg\":0,\"w_bg\":2}]}"
#define SPEC(data, methods, more)                                                                                                          \
    "{\"name\":\"t\",\"data\":{\"kind\":\"scenes\"" data                                                                                   \
    "},\"detector\":{\"kind\":\"retinanet\"},\"student\":{\"network\":{\"depth\":18}},"                                                    \
    "\"teacher\":{\"network\":{\"depth\":50}},\"methods\":[" methods "],\"seeds\":[0,1]" more "}"
enum { METHOD_COUNT = 5, TRIALS = 16 };
static const size_t weights_of[METHOD_COUNT] = { 0, 1, 2, 6, 1 };
static const int64_t seeds[] = { 100, 101 };

static struct df_spec *read_as(const char *name, const char *text)
{
    char *path = df_path_join(df_test_folder(), name);
    struct df_spec *spec;

    assert_ok(df_file_write(path, text, strlen(text), &err));
    assert_ok(df_spec_read(path, NULL, &spec, &err));
    free(path);
    return spec;
}

static struct df_spec *read_made(const char *name, cJSON *root)
{
    struct df_text text = DF_TEXT_INIT;

    df_json_pretty(root, &text);
    struct df_spec *spec = read_as(name, text.data);

    df_text_release(&text);
    cJSON_Delete(root);
    return spec;
}

/* ---- the sequence ------------------------------------------------------------------------------------------------------------------ */

/* Printed by scipy.stats.qmc.Sobol(8, scramble=False).random(64), rows 1, 5, 37 and 63. */
static void the_sequence_is_joe_and_kuos(void **state)
{
    static const struct {
        uint32_t index;
        double x[DF_SOBOL_AXES];
    } rows[] = {
        { 0, { 0 } },
        { 1, { 0.5, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5 } },
        { 5, { 0.875, 0.875, 0.125, 0.375, 0.875, 0.625, 0.875, 0.375 } },
        { 37, { 0.921875, 0.640625, 0.578125, 0.921875, 0.765625, 0.296875, 0.171875, 0.796875 } },
        { 63, { 0.015625, 0.796875, 0.359375, 0.453125, 0.859375, 0.140625, 0.578125, 0.140625 } },
    };

    (void)state;
    for (size_t r = 0; r < sizeof rows / sizeof *rows; r++)
        for (size_t a = 0; a < DF_SOBOL_AXES; a++)
            assert_true(df_sobol(rows[r].index, a) == rows[r].x[a]);
    for (size_t a = 0; a < DF_SOBOL_AXES; a++) {
        uint64_t seen = 0;

        for (uint32_t i = 0; i < 64; i++)
            seen |= (uint64_t)1 << (unsigned)(64 * df_sobol(i, a));
        assert_true(seen == UINT64_MAX); /* one in every 64th */
    }
}

/* ---- trials ------------------------------------------------------------------------------------------------------------------------ */

static struct df_tuning *tuning_of(const struct df_spec *spec, size_t trials)
{
    struct df_tuning *tuning;

    assert_ok(df_tuning_new(spec, (struct df_tuning_plan){ trials, 32, seeds, 2 }, &tuning, &err));
    return tuning;
}

static void check_distinct(const struct df_tune_method *method)
{
    for (size_t i = 0; i < method->trials; i++)
        for (size_t j = 0; j < i; j++)
            assert_true(memcmp(method->trial[i].value, method->trial[j].value, method->weights * sizeof(double)) != 0);
}

/* Lines of a label in the spec of the trials: what a sweep would run. */
static size_t lines_of(const struct df_spec *trials, const char *label)
{
    size_t n = 0;

    for (size_t i = 0; i < trials->count; i++)
        n += strcmp(trials->cell[i]->label, label) == 0;
    return n / trials->seeds;
}

static void check_budget(const struct df_tuning *tuning, size_t rounds)
{
    struct df_spec *trials = read_made("trials.json", df_tuning_trials(tuning, "."));

    assert_int_equal(tuning->rounds, rounds);
    assert_string_equal(trials->name, "t-tune");
    assert_int_equal(trials->seeds, 2);
    assert_int_equal(trials->cell[1]->seed, 101);
    for (size_t m = 0; m < METHOD_COUNT; m++) {
        const struct df_tune_method *method = &tuning->method[m];

        assert_int_equal(method->weights, weights_of[m]);
        assert_int_equal(method->trials, m ? rounds * TRIALS : 1);
        assert_int_equal(lines_of(trials, method->label), method->trials);
        check_distinct(method);
    }
    df_spec_free(trials);
}

/* Every line gets the score of f. */
static void judge(struct df_tuning *tuning, double f(const struct df_tuning *tuning, size_t method, size_t trial))
{
    struct df_table table = { 0 };
    size_t line = 0;

    for (size_t m = 0; m < tuning->methods; m++)
        table.lines += tuning->method[m].trials;
    table.lines *= tuning->spec->variants;
    table.line = df_calloc(table.lines, sizeof *table.line);
    for (size_t v = 0; v < tuning->spec->variants; v++)
        for (size_t m = 0; m < tuning->methods; m++)
            for (size_t t = 0; t < tuning->method[m].trials; t++, line++) {
                table.line[line].expected = 2;
                table.line[line].metric[DF_TABLE_AP] = (struct df_interval){ .mean = f(tuning, m, t) + 5 * (double)v, .n = 2 };
            }
    assert_ok(df_tuning_judge(tuning, &table, &err));
    free(table.line);
}

/* Best in the middle: the start, which is the first trial. */
static double middle(const struct df_tuning *tuning, size_t method, size_t trial)
{
    (void)tuning;
    (void)method;
    return 30 - (double)trial;
}

/* The larger the first weight, the better; other methods: the start. */
static double grows_in_two(const struct df_tuning *tuning, size_t method, size_t trial)
{
    return method == 2 ? tuning->method[method].trial[trial].value[0] : middle(tuning, method, trial);
}

static void every_method_gets_the_same_number_of_trials(void **state)
{
    struct df_spec *spec = read_as("t.json", SPEC("", METHODS, ""));
    struct df_tuning *tuning = tuning_of(spec, TRIALS);
    double low = INFINITY, high = 0;

    (void)state;
    check_budget(tuning, 1);
    assert_string_equal(tuning->method[3].weight[2].name, "defeat.w_pos");
    assert_string_equal(tuning->method[3].weight[4].name, "head_kl.w_pos");
    assert_string_equal(tuning->method[3].weight[1].name, "w_bg");
    assert_string_equal(tuning->method[4].weight[0].name, "w_bg"); /* w_fg is off and stays off */
    for (size_t m = 1; m < METHOD_COUNT; m++)
        for (size_t w = 0; w < weights_of[m]; w++) {
            const struct df_tune_method *method = &tuning->method[m];

            assert_true(method->trial[0].value[w] == method->weight[w].start);
            for (size_t t = 0; t < TRIALS; t++) {
                const double ratio = method->trial[t].value[w] / method->weight[w].start;

                assert_true(ratio >= 1 / 32.2 && ratio <= 32.2);
            }
        }
    for (size_t t = 0; t < TRIALS; t++) { /* one weight: evenly over the logarithm, and far to both sides */
        low = fmin(low, tuning->method[1].trial[t].value[0]);
        high = fmax(high, tuning->method[1].trial[t].value[0]);
    }
    assert_close(low, 0.386, 0, 1e-12); /* 8 x 32^(2/16 - 1), three digits */
    assert_close(high, 166, 0, 1e-12);  /* 8 x 32^(2 15/16 - 1) */
    judge(tuning, grows_in_two);
    assert_true(df_tuning_at_edge(tuning));
    assert_ok(df_tuning_extend(tuning, &err));
    check_budget(tuning, 2); /* for all methods alike, at an edge or not */
    df_tuning_free(tuning);
    df_spec_free(spec);
}

static void an_option_s_range_is_kept(void **state)
{
    struct df_spec *spec =
        read_as("range.json", SPEC("", "{\"label\":\"high\",\"distillers\":[{\"name\":\"full_feature\",\"w\":9000}]}", ""));
    struct df_tuning *tuning = tuning_of(spec, TRIALS);
    size_t most = 0;

    (void)state;
    assert_int_equal(tuning->method[0].trials, TRIALS);
    check_distinct(&tuning->method[0]);
    for (size_t t = 0; t < TRIALS; t++) {
        assert_true(tuning->method[0].trial[t].value[0] <= 1e4);
        most += tuning->method[0].trial[t].value[0] == 1e4;
    }
    assert_int_equal(most, 1); /* all that lie above are one trial */
    df_tuning_free(tuning);
    df_spec_free(spec);
}

/* ---- judging ----------------------------------------------------------------------------------------------------------------------- */

static double two_are_equal(const struct df_tuning *tuning, size_t method, size_t trial)
{
    (void)tuning;
    return method == 1 ? (trial == 3 || trial == 6 ? 40 : trial == 9 ? NAN : 20) : 30 - (double)trial;
}

static void the_first_of_the_best_is_chosen(void **state)
{
    struct df_spec *spec = read_as("t.json", SPEC("", METHODS, ""));
    struct df_tuning *tuning = tuning_of(spec, TRIALS);

    (void)state;
    judge(tuning, two_are_equal);
    assert_int_equal(tuning->method[1].best, 3);
    assert_true(isnan(tuning->method[1].trial[9].score));
    assert_int_equal(tuning->method[0].best, 0);
    assert_false(df_tuning_at_edge(tuning));
    df_tuning_free(tuning);
    df_spec_free(spec);
}

static void a_trial_that_lacks_a_run_is_none(void **state)
{
    struct df_spec *spec = read_as("t.json", SPEC("", "{\"label\":\"one\",\"distillers\":[{\"name\":\"full_feature\"}]}", ""));
    struct df_tuning *tuning = tuning_of(spec, 3);
    struct df_table_line line[3] = { { .expected = 2 }, { .expected = 2 }, { .expected = 2 } };
    struct df_table table = { .lines = 3, .line = line };

    (void)state;
    for (size_t t = 0; t < 3; t++)
        line[t].metric[DF_TABLE_AP] = (struct df_interval){ .mean = 10 + (double)t, .n = t == 2 ? 1 : 2 };
    assert_ok(df_tuning_judge(tuning, &table, &err));
    assert_int_equal(tuning->method[0].best, 1);
    for (size_t t = 0; t < 3; t++)
        line[t].metric[DF_TABLE_AP] = (struct df_interval){ .mean = NAN };
    assert_fails(df_tuning_judge(tuning, &table, &err), DF_ERR_CHECK, "method 'one': none of its 3 trials has a score");
    df_tuning_free(tuning);
    df_spec_free(spec);
}

/* The window of the weight at the edge moves there; others stay, and get points between those they had. */
static void an_edge_moves_its_window(void **state)
{
    struct df_spec *spec = read_as("t.json", SPEC("", METHODS, ""));
    struct df_tuning *tuning = tuning_of(spec, TRIALS);
    double first[2] = { 0, 0 }, second[2] = { 0, 0 };

    (void)state;
    judge(tuning, grows_in_two);
    const struct df_tune_method *two = &tuning->method[2], *one = &tuning->method[1];
    const double edge = two->trial[two->best].value[0];

    assert_true(two->weight[0].edge && !one->weight[0].edge);
    assert_ok(df_tuning_extend(tuning, &err));
    assert_true(two->weight[0].centre == edge && one->weight[0].centre == 8);
    for (size_t t = 0; t < 2 * TRIALS; t++) {
        double *to = t < TRIALS ? first : second;

        to[0] = fmax(to[0], one->trial[t].value[0]);
        to[1] = fmax(to[1], two->trial[t].value[0]);
    }
    assert_true(first[1] == edge && second[1] > 16 * edge && second[1] <= 32.2 * edge);
    assert_true(second[0] > first[0] && second[0] <= 8 * 32.2);
    judge(tuning, middle); /* the start, of whose weights there are smaller and larger values */
    assert_false(df_tuning_at_edge(tuning));
    df_tuning_free(tuning);
    df_spec_free(spec);
}

static void variants_are_judged_together(void **state)
{
    struct df_spec *spec =
        read_as("v.json", SPEC("", METHODS, ",\"variants\":[{\"label\":\"a\"},{\"label\":\"b\",\"data\":{\"context\":0}}]"));
    struct df_tuning *tuning = tuning_of(spec, 3);
    struct df_spec *trials = read_made("v-trials.json", df_tuning_trials(tuning, "."));

    (void)state;
    assert_int_equal(trials->lines, 2 * (1 + 4 * 3));
    judge(tuning, middle);
    assert_close(tuning->method[1].trial[0].score, 32.5, 0, 1e-12); /* 30 and 35 */
    df_spec_free(trials);
    df_tuning_free(tuning);
    df_spec_free(spec);
}

/* ---- what comes of it -------------------------------------------------------------------------------------------------------------- */

static double third(const struct df_tuning *tuning, size_t method, size_t trial)
{
    (void)tuning;
    (void)method;
    return trial == 2 ? 30 : 20;
}

static void the_chosen_spec_has_the_best_weights_and_says_why(void **state)
{
    struct df_spec *spec = read_as("t.json", SPEC("", METHODS, ",\"tuned\":{\"spec\":\"old\"}"));
    struct df_tuning *tuning = tuning_of(spec, 5);

    (void)state;
    judge(tuning, third);
    tuning->method[0].best = 0; /* its only trial */

    cJSON *root = df_tuning_chosen(tuning, ".");
    const cJSON *tuned = cJSON_GetObjectItemCaseSensitive(root, "tuned"), *methods = cJSON_GetObjectItemCaseSensitive(tuned, "methods");
    const cJSON *two = cJSON_GetArrayItem(methods, 2), *weight = cJSON_GetArrayItem(cJSON_GetObjectItemCaseSensitive(two, "weights"), 0);

    assert_string_equal(cJSON_GetObjectItemCaseSensitive(tuned, "spec")->valuestring, "t");
    assert_int_equal(cJSON_GetObjectItemCaseSensitive(two, "trials")->valuedouble, 5);
    assert_true(cJSON_GetObjectItemCaseSensitive(two, "map")->valuedouble == 30);
    assert_true(cJSON_GetObjectItemCaseSensitive(two, "map_start")->valuedouble == 20);
    assert_true(cJSON_GetObjectItemCaseSensitive(weight, "start")->valuedouble == 4);
    assert_true(cJSON_GetObjectItemCaseSensitive(weight, "chosen")->valuedouble == tuning->method[2].trial[2].value[0]);
    struct df_spec *chosen = read_made("chosen.json", root), *trials = read_made("t-trials.json", df_tuning_trials(tuning, "."));

    assert_string_equal(chosen->name, "t-tuned");
    assert_int_equal(chosen->count, spec->count);
    assert_string_equal(chosen->cell[1]->id, spec->cell[1]->id); /* none is the same run */
    for (size_t i = 2; i < chosen->count; i++)
        assert_string_not_equal(chosen->cell[i]->id, spec->cell[i]->id);
    trials->cell[2 * (1 + 5 + 2)]->seed = 0; /* method 2, trial 2 */
    assert_ok(df_cell_seal(trials->cell[2 * (1 + 5 + 2)], &err));
    assert_string_equal(trials->cell[2 * (1 + 5 + 2)]->id, chosen->cell[2 * 2]->id);
    df_spec_free(trials);
    df_spec_free(chosen);
    df_tuning_free(tuning);
    df_spec_free(spec);
}

static void what_cannot_be_tuned_is_told(void **state)
{
    static const char *const texts[][2] = {
        { SPEC("", "{\"label\":\"a\",\"distillers\":[{\"name\":\"defeat\",\"w_fg\":[1,2]}]}", ""), "method 'a' has axes (w_fg=2" },
        { SPEC("", "{\"label\":\"none\"},{\"label\":\"off\",\"distillers\":[{\"name\":\"full_feature\",\"w\":0}]}", ""),
          "no method has a weight" },
        { SPEC("", "{\"label\":\"many\",\"distillers\":[{\"name\":\"fgd\"},{\"name\":\"mimic\"},{\"name\":\"head_kl\"}]}", ""),
          "method 'many' has more than 8 tunable weights" },
    };
    struct df_tuning *tuning;

    (void)state;
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        struct df_spec *spec = read_as("bad.json", texts[i][0]);

        assert_fails(df_tuning_new(spec, (struct df_tuning_plan){ 4, 32, seeds, 2 }, &tuning, &err),
                     i == 2 ? DF_ERR_UNSUPPORTED : DF_ERR_USAGE, texts[i][1]);
        assert_null(tuning);
        df_spec_free(spec);
    }

    static const int64_t images[DF_SPLITS] = { [DF_TRAIN] = 64, [DF_VALIDATION] = 8 };
    struct df_spec *spec = read_as("t.json", SPEC("", METHODS, ""));

    df_data_resize(spec->cell[0]->data, images);
    assert_fails(df_tuning_new(spec, (struct df_tuning_plan){ 4, 32, seeds, 2 }, &tuning, &err), DF_ERR_USAGE, "there is no tuning split");
    df_spec_free(spec);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_sequence_is_joe_and_kuos),     cmocka_unit_test(every_method_gets_the_same_number_of_trials),
        cmocka_unit_test(an_option_s_range_is_kept),        cmocka_unit_test(the_first_of_the_best_is_chosen),
        cmocka_unit_test(a_trial_that_lacks_a_run_is_none), cmocka_unit_test(an_edge_moves_its_window),
        cmocka_unit_test(variants_are_judged_together),     cmocka_unit_test(the_chosen_spec_has_the_best_weights_and_says_why),
        cmocka_unit_test(what_cannot_be_tuned_is_told),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
