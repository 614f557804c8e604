/* All checks of a distiller, over its options and over detectors. */
#include "distillers/check/check.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "distillers/check/bench.h"

static void (*told)(const char *what);

void df_distiller_check_watch(void (*begin)(const char *what)) { told = begin; }

static void begin(const char *check, const char *variant)
{
    char what[256];

    if (!told)
        return;
    snprintf(what, sizeof what, "%s%s%s%s", check, variant[0] ? " (" : "", variant, variant[0] ? ")" : "");
    told(what);
}

/* What needs_of adds is said by `needs`. */
static df_status check_needs(const struct df_distiller_class *class, const void *options, struct df_error *err)
{
    struct df_needs needs = { 0 };

    class->needs_of(options, &needs);
    for (size_t i = 0; i < needs.count; i++)
        if (!df_names_cover(class->needs, needs.name[i]))
            return df_fail(err, DF_ERR_CHECK, "needs_of adds '%s', which is not among the needs '%s'", needs.name[i], class->needs);
    return DF_OK;
}

/* Defaults written as JSON and read back are the defaults. */
static df_status check_options(const struct df_distiller_class *class, void *options, struct df_error *err)
{
    char *back = df_calloc(1, class->options_size);
    cJSON *json, *again;
    df_status status;

    df_options_standard(class->options, options);
    json = df_options_write(class->options, options);
    status = df_options_read(class->options, json, NULL, class->name, back, err);
    if (status == DF_OK) {
        again = df_options_write(class->options, back);
        if (!cJSON_Compare(json, again, true))
            status = df_fail(err, DF_ERR_CHECK, "options written and read back are not the same");
        cJSON_Delete(again);
    }
    if (status == DF_OK && class->needs_of)
        status = check_needs(class, options, err);
    cJSON_Delete(json);
    free(back);
    return status;
}

struct tally {
    struct df_text *report;
    size_t done, failed;
};

static void report(struct tally *tally, bool good, const char *variant, const char *text)
{
    tally->done++;
    tally->failed += !good;
    df_text_addf(tally->report, "%-4s %s%s%s\n", good ? "ok" : "FAIL", variant, variant[0] ? ": " : "", text);
}

/* All checks with these options on networks of one detector; each is reported for the defaults, else only what fails and one line. */
static void check_on(struct tally *tally, const struct df_distiller_class *class, const struct df_detector_class *detector,
                     struct df_device *device, void *options, const char *variant)
{
    struct df_error err = { 0 };
    struct df_bench bench = { .class = class, .detector = detector, .device = device, .options = options };
    char text[DF_CHECK_TEXT] = "";
    size_t failed = 0;
    begin("init", variant);
    df_status status = df_bench_init(&bench, &err);

    if (status != DF_OK) { /* no adaptation, perhaps */
        df_bench_release(&bench);
        bench.same_width = true;
        status = df_bench_init(&bench, &err);
    }
    if (status != DF_OK) {
        report(tally, false, variant, err.text);
        df_bench_release(&bench);
        return;
    }
    for (size_t i = 0; df_checks[i].name; i++) {
        begin(df_checks[i].name, variant);
        const bool good = df_checks[i].holds(&bench, text);

        failed += !good;
        if (!good || !variant[0])
            report(tally, good, variant, text);
        if (bench.wrong.status != DF_OK) /* the others would compute with it */
            break;
    }
    if (variant[0] && !failed)
        report(tally, true, variant, "all of these");
    df_bench_release(&bench);
}

/* On the detectors that have what these options need; a two-stage one only if it can make a difference. */
static void check_variant(struct tally *tally, const struct df_distiller_class *class, struct df_device *device, void *options,
                          const char *variant)
{
    const bool both = df_names_cover(class->needs, DF_NEEDS_CLASS_LOGITS) || df_names_cover(class->needs, df_bench_two_stage.class_logits);
    struct df_error err = { 0 };
    struct df_needs needs;
    char name[200];

    snprintf(name, sizeof name, "two-stage%s%s", variant[0] ? " " : "", variant);
    if (!both || df_distiller_needs(class, options, &df_bench_one_stage, &df_bench_one_stage, &needs, &err) == DF_OK)
        check_on(tally, class, &df_bench_one_stage, device, options, variant);
    if (both)
        check_on(tally, class, &df_bench_two_stage, device, options, name);
}

/* Value k of a row as text: of a choice, a bool, or a list ("least", "least,most"); false: there are no more. */
static bool value_at(const df_option *row, size_t k, char *text, size_t bytes)
{
    const bool list = row->type == DF_OPTION_INT_LIST || row->type == DF_OPTION_REAL_LIST;
    const char *choices = row->type == DF_OPTION_BOOL ? "false|true" : row->type == DF_OPTION_CHOICE ? row->choices : "";

    if (list) {
        snprintf(text, bytes, k ? "%g,%g" : "%g", row->min, row->max);
        return k < 2 && row->min < row->max;
    }
    for (; k && choices; k--)
        choices = strchr(choices, '|') ? strchr(choices, '|') + 1 : NULL;
    snprintf(text, bytes, "%.*s", choices ? (int)strcspn(choices, "|") : 0, choices ? choices : "");
    return text[0];
}

static bool has_effect(const df_option *table, const df_option *row, const void *options)
{
    const char *const set[] = { row->name, NULL };

    return df_options_check(table, options, set, "", NULL) == DF_OK;
}

/* Sets at most `depth` other options so that row has an effect. */
static bool enable(const df_option *table, const df_option *row, size_t bytes, void *options, int depth)
{
    char *kept, value[64];
    bool enabled = has_effect(table, row, options);

    if (enabled || !depth)
        return enabled;
    kept = df_malloc(bytes);
    memcpy(kept, options, bytes);
    for (const df_option *other = table; other->name && !enabled; other++) {
        for (size_t k = 0; other != row && !enabled && value_at(other, k, value, sizeof value); k++) {
            memcpy(options, kept, bytes);
            if (has_effect(table, other, options) && df_options_set(table, other->name, value, "", options, NULL) == DF_OK)
                enabled = enable(table, row, bytes, options, depth - 1);
        }
    }
    if (!enabled)
        memcpy(options, kept, bytes);
    free(kept);
    return enabled;
}

/* Every other value of every choice, bool or list, one at a time, over the defaults and what it depends on. */
static void check_choices(struct tally *tally, const struct df_distiller_class *class, struct df_device *device, void *options)
{
    enum { MOST_CONDITIONS = 2 };
    const df_option *table = class->options;
    char name[64], variant[160];

    for (const df_option *row = table; row->name; row++) {
        const bool list = row->type == DF_OPTION_INT_LIST || row->type == DF_OPTION_REAL_LIST;

        for (size_t k = 0; value_at(row, k, name, sizeof name); k++) {
            if (!list && (double)k == row->standard)
                continue;
            df_options_standard(table, options);
            snprintf(variant, sizeof variant, "%s=%s", row->name, name);
            if (!enable(table, row, class->options_size, options, MOST_CONDITIONS))
                report(tally, false, variant, "no two other options give it an effect");
            else if (df_options_set(table, row->name, name, class->name, options, NULL) == DF_OK)
                check_variant(tally, class, device, options, variant);
        }
    }
}

df_status df_distiller_check(const struct df_distiller_class *class, struct df_device *device, struct df_text *out, struct df_error *err)
{
    struct df_error reason = { 0 };

    begin("contract", "");
    const bool legal = df_distiller_legal(class, &reason) == DF_OK;
    struct tally tally = { .report = out };
    void *options;

    report(&tally, legal, "", legal ? "contract: name, texts, option table" : reason.text);
    if (!legal)
        return df_fail(err, DF_ERR_CHECK, "distiller '%s': %s", class->name ? class->name : "", reason.text);
    options = df_calloc(1, class->options_size);
    begin("options", "");
    const df_status status = check_options(class, options, &reason);

    report(&tally, status == DF_OK, "", status == DF_OK ? "options: read back as written" : reason.text);
    if (status == DF_OK) {
        check_variant(&tally, class, device, options, "");
        check_choices(&tally, class, device, options);
    }
    free(options);
    if (tally.failed)
        return df_fail(err, DF_ERR_CHECK, "distiller '%s': %zu of %zu checks failed", class->name, tally.failed, tally.done);
    return DF_OK;
}
