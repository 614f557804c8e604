#include "ablations/tune.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ablations/spec_source.h"
#include "core/base/portable_math.h"

/* ---- the weights of a method ------------------------------------------------------------------------------------------------------- */

/* A method of the spec as cells: without axes it is one line, of the first variant as of every other. */
static const struct df_cell *cell_of(const struct df_spec *spec, size_t method) { return spec->cell[method * spec->seeds]; }

static df_status add_weight(struct df_tune_method *method, size_t distiller, const df_option *option, double start, struct df_error *err)
{
    if (method->weights == DF_SPEC_AXES_MAX)
        return df_fail(err, DF_ERR_UNSUPPORTED, "method '%s' has more than %d tunable weights [set one to 0 that is not to be tuned]",
                       method->label, DF_SPEC_AXES_MAX);
    method->weight[method->weights++] = (struct df_tune_weight){
        .distiller = distiller, .option = option->name, .start = start, .centre = start, .min = option->min, .max = option->max
    };
    return DF_OK;
}

static df_status find_weights(const struct df_cell *cell, struct df_tune_method *method, struct df_error *err)
{
    for (size_t d = 0; d < cell->distillers; d++) {
        const struct df_distiller_class *class = cell->distiller[d].class;
        cJSON *effective = df_options_write(class->options, cell->distiller[d].options);
        df_status status = DF_OK;

        for (const df_option *option = class->options; option->name && status == DF_OK; option++) {
            const cJSON *value = cJSON_GetObjectItemCaseSensitive(effective, option->name);

            if (value && value->valuedouble > 0 && df_distiller_tunes(class, option->name))
                status = add_weight(method, d, option, value->valuedouble, err);
        }
        cJSON_Delete(effective);
        DF_TRY(status);
    }
    return DF_OK;
}

static void name_weights(const struct df_cell *cell, struct df_tune_method *method)
{
    for (size_t i = 0; i < method->weights; i++) {
        struct df_tune_weight *weight = &method->weight[i];
        bool twice = false;

        for (size_t j = 0; j < method->weights; j++)
            twice |= j != i && strcmp(method->weight[j].option, weight->option) == 0;
        snprintf(weight->name, sizeof weight->name, "%s%s%s", twice ? cell->distiller[weight->distiller].class->name : "", twice ? "." : "",
                 weight->option);
    }
}

/* ---- trials ------------------------------------------------------------------------------------------------------------------------ */

/* What people write: 3 digits. */
static double rounded(double value)
{
    char text[32];

    snprintf(text, sizeof text, "%.3g", value);
    return df_parse_real(text, &value) ? value : 0;
}

static double value_at(const struct df_tune_weight *weight, double span, double x)
{
    const double value = weight->centre * df_pow(span, 2 * x - 1);

    return x == 0.5 ? weight->centre : fmin(fmax(rounded(value), weight->min), weight->max);
}

static bool was_tried(const struct df_tune_method *method, const double *value)
{
    for (size_t t = 0; t < method->trials; t++) {
        size_t same = 0;

        for (size_t w = 0; w < method->weights; w++)
            same += method->trial[t].value[w] == value[w];
        if (same == method->weights)
            return true;
    }
    return false;
}

/* The sequence's next point that is not there yet. */
static df_status add_trial(struct df_tune_method *method, double span, struct df_error *err)
{
    struct df_tune_trial trial = { .score = NAN };

    for (uint32_t last = method->next + 64 * DF_TUNE_TRIALS_MAX; method->next < last;) {
        for (size_t w = 0; w < method->weights; w++)
            trial.value[w] = value_at(&method->weight[w], span, df_sobol(method->next, w));
        method->next++;
        if (was_tried(method, trial.value))
            continue;
        method->trial = df_realloc(method->trial, (method->trials + 1) * sizeof *method->trial);
        method->trial[method->trials++] = trial;
        return DF_OK;
    }
    return df_fail(err, DF_ERR_UNSUPPORTED, "method '%s': no more than %zu different trials within a factor of %g [a larger span]",
                   method->label, method->trials, span);
}

static df_status draw_round(struct df_tuning *tuning, struct df_error *err)
{
    for (size_t m = 0; m < tuning->methods; m++) {
        struct df_tune_method *method = &tuning->method[m];
        const size_t until = method->weights ? method->trials + tuning->trials : 1;

        while (method->trials < until)
            DF_TRY(add_trial(method, tuning->span, err));
    }
    tuning->rounds++;
    return DF_OK;
}

df_status df_tuning_extend(struct df_tuning *tuning, struct df_error *err)
{
    for (size_t m = 0; m < tuning->methods; m++) {
        struct df_tune_method *method = &tuning->method[m];

        for (size_t w = 0; w < method->weights; w++)
            if (method->weight[w].edge)
                method->weight[w].centre = method->trial[method->best].value[w];
    }
    return draw_round(tuning, err);
}

/* ---- the beginning ----------------------------------------------------------------------------------------------------------------- */

static df_status check_spec(const struct df_spec *spec, struct df_error *err)
{
    const size_t methods = (size_t)cJSON_GetArraySize(cJSON_GetObjectItemCaseSensitive(spec->source, "methods"));
    struct df_dataset *tune;

    for (size_t line = 1; line < spec->variant[0].lines && spec->variant[0].lines != methods; line++)
        if (strcmp(cell_of(spec, line)->label, cell_of(spec, line - 1)->label) == 0)
            return df_fail(
                err, DF_ERR_USAGE,
                "%s: method '%s' has axes (%s, ...), but tuning chooses among trials of its own [give one value: where it starts]",
                spec->path, cell_of(spec, line)->label, cell_of(spec, line)->axes);
    for (size_t v = 0; v < spec->variants; v++) {
        DF_TRY(df_data_split(spec->cell[spec->variant[v].line * spec->seeds]->data, DF_TUNE, &tune, err));
        if (!tune->size)
            return df_fail(err, DF_ERR_USAGE, "%s/data: there is no tuning split, and validation is not for choosing [give it images]",
                           spec->path);
    }
    return DF_OK;
}

static df_status find_methods(struct df_tuning *tuning, struct df_error *err)
{
    const struct df_spec *spec = tuning->spec;
    size_t weights = 0;

    tuning->methods = spec->variant[0].lines;
    tuning->method = df_calloc(tuning->methods, sizeof *tuning->method);
    for (size_t m = 0; m < tuning->methods; m++) {
        struct df_tune_method *method = &tuning->method[m];
        const struct df_cell *cell = cell_of(spec, m);

        *method = (struct df_tune_method){ .label = cell->label, .best = SIZE_MAX, .next = 1 };
        DF_TRY(find_weights(cell, method, err));
        name_weights(cell, method);
        weights += method->weights;
    }
    return weights ? DF_OK : df_fail(err, DF_ERR_USAGE, "%s: no method has a weight that could be tuned", spec->path);
}

df_status df_tuning_new(const struct df_spec *spec, struct df_tuning_plan plan, struct df_tuning **out, struct df_error *err)
{
    struct df_tuning *tuning;

    *out = NULL;
    DF_ASSERT(plan.trials >= 1 && plan.trials <= DF_TUNE_TRIALS_MAX && plan.span > 1 && plan.seeds);
    DF_TRY(check_spec(spec, err));
    tuning = df_calloc(1, sizeof *tuning);
    *tuning = (struct df_tuning){ .spec = spec, .trials = plan.trials, .span = plan.span, .seeds = plan.seeds };
    tuning->seed = memcpy(df_malloc(plan.seeds * sizeof *plan.seed), plan.seed, plan.seeds * sizeof *plan.seed);

    df_status status = find_methods(tuning, err);

    if (status == DF_OK)
        status = draw_round(tuning, err);
    if (status == DF_OK)
        *out = tuning;
    else
        df_tuning_free(tuning);
    return status;
}

void df_tuning_free(struct df_tuning *tuning)
{
    if (!tuning)
        return;
    for (size_t m = 0; m < tuning->methods; m++)
        free(tuning->method[m].trial);
    free(tuning->method);
    free(tuning->seed);
    free(tuning);
}

/* ---- judging ----------------------------------------------------------------------------------------------------------------------- */

/* Of one line in every variant; NAN where a run is missing. */
static double score_of(const struct df_spec *spec, const struct df_table *table, size_t line)
{
    const size_t lines = table->lines / spec->variants;
    double sum = 0;

    for (size_t v = 0; v < spec->variants; v++) {
        const struct df_table_line *at = &table->line[v * lines + line];

        sum += at->metric[DF_TABLE_AP].n == at->expected ? at->metric[DF_TABLE_AP].mean : NAN;
    }
    return sum / (double)spec->variants;
}

static void find_best(struct df_tune_method *method)
{
    method->best = SIZE_MAX;
    for (size_t t = 0; t < method->trials; t++) {
        const double score = method->trial[t].score;

        if (!isnan(score) && (method->best == SIZE_MAX || score > method->trial[method->best].score))
            method->best = t;
    }
}

static void find_edges(struct df_tune_method *method)
{
    for (size_t w = 0; w < method->weights; w++) {
        const double best = method->trial[method->best].value[w];
        bool smaller = false, larger = false;

        for (size_t t = 0; t < method->trials; t++) {
            smaller |= method->trial[t].value[w] < best;
            larger |= method->trial[t].value[w] > best;
        }
        method->weight[w].edge = !smaller || !larger;
    }
}

df_status df_tuning_judge(struct df_tuning *tuning, const struct df_table *table, struct df_error *err)
{
    size_t line = 0;

    for (size_t m = 0; m < tuning->methods; m++) {
        struct df_tune_method *method = &tuning->method[m];

        for (size_t t = 0; t < method->trials; t++)
            method->trial[t].score = score_of(tuning->spec, table, line++);
        find_best(method);
        if (method->best == SIZE_MAX)
            return df_fail(err, DF_ERR_CHECK, "method '%s': none of its %zu trials has a score", method->label, method->trials);
        find_edges(method);
    }
    DF_ASSERT(line * tuning->spec->variants == table->lines);
    return DF_OK;
}

bool df_tuning_at_edge(const struct df_tuning *tuning)
{
    bool edge = false;

    for (size_t m = 0; m < tuning->methods; m++)
        for (size_t w = 0; w < tuning->method[m].weights; w++)
            edge |= tuning->method[m].weight[w].edge;
    return edge;
}

/* ---- specs ------------------------------------------------------------------------------------------------------------------------- */

static void set_member(cJSON *object, const char *key, cJSON *value)
{
    if (cJSON_GetObjectItemCaseSensitive(object, key))
        cJSON_ReplaceItemInObjectCaseSensitive(object, key, value);
    else
        cJSON_AddItemToObject(object, key, value);
}

/* The spec under another name; what an earlier tuning said of it goes. */
static cJSON *copy_spec(const struct df_tuning *tuning, const char *ending, const char *folder)
{
    cJSON *root = cJSON_Duplicate(tuning->spec->source, 1);
    struct df_text name = DF_TEXT_INIT;

    df_text_addf(&name, "%s%s", tuning->spec->name, ending);
    set_member(root, "name", cJSON_CreateString(name.data));
    cJSON_DeleteItemFromObjectCaseSensitive(root, "tuned");
    df_spec_move_paths(root, folder);
    df_text_release(&name);
    return root;
}

static cJSON *method_json(const cJSON *root, size_t method)
{
    return cJSON_GetArrayItem(cJSON_GetObjectItemCaseSensitive(root, "methods"), (int)method);
}

static cJSON *distiller_json(const cJSON *root, size_t method, size_t distiller)
{
    return cJSON_GetArrayItem(cJSON_GetObjectItemCaseSensitive(method_json(root, method), "distillers"), (int)distiller);
}

/* All values that were tried of a weight, in the order of the trials. */
static cJSON *values_json(const struct df_tune_method *method, size_t weight)
{
    cJSON *list = cJSON_CreateArray();

    for (size_t t = 0; t < method->trials; t++)
        cJSON_AddItemToArray(list, cJSON_CreateNumber(method->trial[t].value[weight]));
    return list;
}

static cJSON *seeds_json(const struct df_tuning *tuning)
{
    cJSON *list = cJSON_CreateArray();

    for (size_t s = 0; s < tuning->seeds; s++)
        cJSON_AddItemToArray(list, cJSON_CreateNumber((double)tuning->seed[s]));
    return list;
}

cJSON *df_tuning_trials(const struct df_tuning *tuning, const char *folder)
{
    cJSON *root = copy_spec(tuning, "-tune", folder);
    struct df_text title = DF_TEXT_INIT;

    df_text_addf(&title, "%s: %zu trials of the weights of every method, for the tuning split", tuning->spec->name,
                 tuning->trials * tuning->rounds);
    set_member(root, "title", cJSON_CreateString(title.data));
    set_member(root, "seeds", seeds_json(tuning));
    for (size_t m = 0; m < tuning->methods; m++) {
        const struct df_tune_method *method = &tuning->method[m];

        for (size_t w = 0; w < method->weights; w++)
            set_member(distiller_json(root, m, method->weight[w].distiller), method->weight[w].option, values_json(method, w));
        if (method->weights)
            set_member(method_json(root, m), "axes", cJSON_CreateString("together"));
    }
    df_text_release(&title);
    return root;
}

/* ---- the report -------------------------------------------------------------------------------------------------------------------- */

/* With two decimals; NAN is null. */
static cJSON *score_json(double score) { return isnan(score) ? cJSON_CreateNull() : cJSON_CreateNumber(round(score * 100) / 100); }

static cJSON *weight_json(const struct df_tune_method *method, size_t w)
{
    cJSON *object = cJSON_CreateObject();

    cJSON_AddStringToObject(object, "name", method->weight[w].name);
    cJSON_AddNumberToObject(object, "start", method->weight[w].start);
    cJSON_AddNumberToObject(object, "chosen", method->trial[method->best].value[w]);
    cJSON_AddBoolToObject(object, "edge", method->weight[w].edge);
    return object;
}

static cJSON *report_method(const struct df_tune_method *method)
{
    cJSON *object = cJSON_CreateObject(), *weights;
    size_t failed = 0;

    for (size_t t = 0; t < method->trials; t++)
        failed += isnan(method->trial[t].score) != 0;
    cJSON_AddStringToObject(object, "label", method->label);
    cJSON_AddNumberToObject(object, "trials", (double)method->trials);
    cJSON_AddNumberToObject(object, "failed", (double)failed);
    cJSON_AddItemToObject(object, "map_start", score_json(method->trial[0].score));
    cJSON_AddItemToObject(object, "map", score_json(method->trial[method->best].score));
    weights = cJSON_AddArrayToObject(object, "weights");
    for (size_t w = 0; w < method->weights; w++)
        cJSON_AddItemToArray(weights, weight_json(method, w));
    return object;
}

cJSON *df_tuning_report(const struct df_tuning *tuning)
{
    cJSON *object = cJSON_CreateObject(), *methods;

    cJSON_AddStringToObject(object, "spec", tuning->spec->name);
    cJSON_AddStringToObject(object, "rule",
                            "highest mean AP on the tuning split; Sobol points over the logarithms of the weights, around their start");
    cJSON_AddNumberToObject(object, "trials", (double)tuning->trials);
    cJSON_AddNumberToObject(object, "rounds", (double)tuning->rounds);
    cJSON_AddNumberToObject(object, "span", tuning->span);
    cJSON_AddItemToObject(object, "seeds", seeds_json(tuning));
    methods = cJSON_AddArrayToObject(object, "methods");
    for (size_t m = 0; m < tuning->methods; m++)
        cJSON_AddItemToArray(methods, report_method(&tuning->method[m]));
    return object;
}

cJSON *df_tuning_chosen(const struct df_tuning *tuning, const char *folder)
{
    cJSON *root = copy_spec(tuning, "-tuned", folder);

    for (size_t m = 0; m < tuning->methods; m++) {
        const struct df_tune_method *method = &tuning->method[m];

        for (size_t w = 0; w < method->weights; w++)
            set_member(distiller_json(root, m, method->weight[w].distiller), method->weight[w].option,
                       cJSON_CreateNumber(method->trial[method->best].value[w]));
    }
    cJSON_AddItemToObject(root, "tuned", df_tuning_report(tuning));
    return root;
}
