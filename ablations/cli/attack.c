/* `defeat attack SPEC`: patches that hide objects from a spec's trained networks, and what they do to the others. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ablations/behaviour/attack_sheet.h"
#include "ablations/behaviour/question.h"
#include "ablations/cli/attack_table.h"
#include "ablations/cli/running.h"
#include "ablations/run/store.h"
#include "ablations/sweep.h"
#include "core/base/file.h"

#define AT_RANDOM "random"
enum { NETWORKS = 64, ATTACKS = 128 };

struct attack_options {
    struct df_common_options common;
    struct df_attack_values values;
    struct df_texts on;
    struct df_list areas;
    int64_t images, pictures, jobs;
    int split;
    bool train, json;
    char baseline[DF_STRING_MAX];
};
static const df_option options_table[] = {
    DF_COMMON_OPTION_ROWS(struct attack_options, common),
    { "on", DF_TEXTS_OPTION(struct attack_options, on),
      .help = "whom to attack: a network ('teacher', a method's label), several at once ('teacher & none'), or 'random', the control; may "
              "be given "
              "again; not given: each network alone, and the control" },
    { "split", DF_CHOICE_OPTION(struct attack_options, split), .standard = DF_VALIDATION, .choices = "train|tune|validation",
      .help = "whose images" },
    { "images", DF_INT_OPTION(struct attack_options, images), .standard = 50, .max = 1e6,
      .help = "the first so many, or all that there are; 0: all" },
    DF_ATTACK_OPTION_ROWS(struct attack_options, values),
    { "areas", DF_REAL_LIST_OPTION(struct attack_options, areas), .min = 1e-6, .max = 1, .text = "",
      .help = "further areas, each network attacked alone: which of all hides half of the boxes?" },
    { "baseline", DF_STRING_OPTION(struct attack_options, baseline), .text = "",
      .help = "the student that the others are held against; none: the spec's" },
    { "pictures", DF_INT_OPTION(struct attack_options, pictures), .standard = 6, .max = 1000,
      .help = "images on each attack's sheet, a PNG of the first seed's networks; 0: no sheets" },
    { "train", DF_BOOL_OPTION(struct attack_options, train), .help = "train what is not there yet, as 'sweep' does" },
    { "jobs", DF_INT_OPTION(struct attack_options, jobs), .max = 1024, .when = "train=1",
      .help = "worker processes for that; 0: one per core" },
    { "json", DF_BOOL_OPTION(struct attack_options, json), .help = "one JSON object" },
    { 0 },
};

/* Who is attacked together; count 0: nobody, the control. */
struct attack {
    char *name;
    size_t count, network[DF_QUESTION_NETWORKS];
};
struct run {
    const struct attack_options *options;
    const struct df_spec *spec;
    size_t teachers, networks, attacks;
    char *name[NETWORKS];           /* the teachers, then the spec's lines */
    struct df_subject of[NETWORKS]; /* of the seed at work */
    struct attack attack[ATTACKS];
    double area[DF_LIST_MAX + 1];
    struct df_attack_study study;
    struct df_journal *known;
    char *folder;
};

/* ---- who ---- */

/* The teachers of a seed, in the order in which its cells name them: every line may have its own. */
static size_t teachers_of(const struct df_spec *spec, size_t seed, const struct df_cell_teacher *teacher[NETWORKS])
{
    size_t count = 0;

    for (size_t line = 0; line < spec->lines; line++) {
        const struct df_cell *cell = spec->cell[line * spec->seeds + seed];

        for (size_t t = 0; t < cell->teachers; t++) {
            size_t k = 0;

            while (k < count && teacher[k]->cell != cell->teacher[t].cell)
                k++;
            if (k == count && count < NETWORKS)
                teacher[count++] = &cell->teacher[t];
        }
    }
    return count;
}

static df_status name_networks(struct run *run, struct df_error *err)
{
    const struct df_cell_teacher *teacher[NETWORKS];
    const struct df_spec *spec = run->spec;

    if (spec->variants > 1)
        return df_fail(err, DF_ERR_UNSUPPORTED,
                       "'%s' has %zu variants, expected one: networks of several have no images in common "
                       "[--set variants=null, or a spec of one]",
                       spec->path, spec->variants);
    run->teachers = teachers_of(spec, 0, teacher);
    if (run->teachers + spec->lines > NETWORKS)
        return df_fail(err, DF_ERR_UNSUPPORTED, "'%s' has %zu teachers and %zu students, expected at most %d networks in all", spec->path,
                       run->teachers, spec->lines, NETWORKS);
    for (size_t s = 1; s < spec->seeds; s++)
        if (teachers_of(spec, s, teacher) != run->teachers)
            return df_fail(err, DF_ERR_UNSUPPORTED, "'%s': seeds of different numbers of teachers cannot be paired", spec->path);
    teachers_of(spec, 0, teacher);
    for (size_t t = 0; t < run->teachers; t++)
        run->name[run->networks++] = df_strdup(teacher[t]->name[0] ? teacher[t]->name : "teacher");
    for (size_t line = 0; line < spec->lines; line++) {
        const struct df_cell *cell = spec->cell[line * spec->seeds];
        struct df_text name = DF_TEXT_INIT;

        df_text_addf(&name, "%s%s%s", cell->label, cell->axes[0] ? " " : "", cell->axes);
        run->name[run->networks++] = name.data;
    }
    return DF_OK;
}

static const char *network_name(const void *table, size_t i)
{
    const struct run *run = table;

    return i < run->networks ? run->name[i] : NULL;
}

static df_status find_network(const struct run *run, const char *name, size_t *out, struct df_error *err)
{
    *out = df_find_name(network_name, run, name, "network", NULL, err);
    return *out == SIZE_MAX ? err->status : DF_OK;
}

/* ---- the attacks ---- */

static df_status add_attack(struct run *run, const char *name, struct attack **out, struct df_error *err)
{
    *out = NULL;
    for (size_t a = 0; a < run->attacks; a++)
        if (strcmp(run->attack[a].name, name) == 0)
            return df_fail(err, DF_ERR_USAGE, "attack: --on '%s' is there twice [remove one]", name);
    if (run->attacks == ATTACKS)
        return df_fail(err, DF_ERR_UNSUPPORTED, "attack: more than %d attacks", ATTACKS);
    *out = &run->attack[run->attacks++];
    **out = (struct attack){ .name = df_strdup(name) };
    return DF_OK;
}

static char *trimmed(const char *from, size_t length)
{
    while (length && from[0] == ' ') {
        from++;
        length--;
    }
    while (length && from[length - 1] == ' ')
        length--;

    char *out = df_calloc(length + 1, 1);

    memcpy(out, from, length);
    return out;
}

/* "teacher & none": names between ampersands. */
static df_status read_attack(struct run *run, const char *text, struct df_error *err)
{
    struct attack *attack;

    DF_TRY(add_attack(run, text, &attack, err));
    for (const char *at = text; at && strcmp(text, AT_RANDOM) != 0;) {
        const char *end = strchr(at, '&');
        char *name = trimmed(at, end ? (size_t)(end - at) : strlen(at));
        df_status status = DF_OK;

        if (attack->count == DF_QUESTION_NETWORKS - 1)
            status = df_fail(err, DF_ERR_UNSUPPORTED, "attack: --on '%s' is more than %d networks at once", text, DF_QUESTION_NETWORKS - 1);
        else
            status = find_network(run, name, &attack->network[attack->count], err);
        free(name);
        DF_TRY(status);
        attack->count++;
        at = end ? end + 1 : NULL;
    }
    return DF_OK;
}

static df_status list_attacks(struct run *run, struct df_error *err)
{
    const struct df_texts *on = &run->options->on;
    struct attack *attack;

    for (size_t i = 0; i < on->count; i++)
        DF_TRY(read_attack(run, on->text[i], err));
    for (size_t k = 0; k < run->networks && !on->count; k++) {
        DF_TRY(add_attack(run, run->name[k], &attack, err));
        attack->network[attack->count++] = k;
    }
    return on->count ? DF_OK : add_attack(run, AT_RANDOM, &attack, err);
}

static int rising(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

/* The areas that are tried, each once: the attacks' own among them. */
static void list_areas(struct run *run)
{
    const struct df_list *asked = &run->options->areas;
    size_t n = 0, kept = 0;

    run->area[n++] = run->options->values.area;
    for (size_t i = 0; i < asked->count; i++)
        run->area[n++] = asked->value[i];
    qsort(run->area, n, sizeof *run->area, rising);
    for (size_t i = 0; i < n; i++)
        if (i == 0 || run->area[i] != run->area[kept - 1])
            run->area[kept++] = run->area[i];
    run->study.area = run->area;
    run->study.areas = kept;
}

/* ---- one seed ---- */

/* All of them are shown the spec's images, whatever a teacher has learnt. */
static df_status open_network(struct run *run, const struct df_cell *cell, struct df_subject *out, struct df_error *err)
{
    struct df_error why = { 0 };
    struct df_text command = DF_TEXT_INIT;
    const df_status status =
        df_subject_open_on(cell, run->spec->cell[0]->data, (enum df_split)run->options->split, NULL, run->options->common.out, out, &why);

    if (status == DF_ERR_NOT_FOUND) {
        df_common_command(&run->options->common, "sweep", run->spec->path, &command);
        df_fail(err, status, "%s [to make them: %s; or attack --train]", why.text, df_text_get(&command));
        df_text_release(&command);
    } else if (status != DF_OK) {
        df_fail(err, status, "%s", why.text);
    }
    return status;
}

static df_status open_networks(struct run *run, size_t seed, struct df_error *err)
{
    const struct df_cell_teacher *teacher[NETWORKS];
    const struct df_spec *spec = run->spec;

    teachers_of(spec, seed, teacher);
    for (size_t k = 0; k < run->networks; k++) {
        const size_t line = k - run->teachers;

        DF_TRY(open_network(run, k < run->teachers ? teacher[k]->cell : spec->cell[line * spec->seeds + seed], &run->of[k], err));
    }
    return DF_OK;
}

static void close_networks(struct run *run)
{
    for (size_t k = 0; k < run->networks; k++)
        df_subject_close(&run->of[k]);
}

static size_t count_images(const struct run *run)
{
    const size_t asked = (size_t)run->options->images, size = run->of[0].images->size;

    return asked && asked < size ? asked : size;
}

static df_status draw_sheet(struct run *run, const struct df_attack_case *what, size_t a, struct df_error *err)
{
    struct df_subject *network[NETWORKS];
    const struct df_attack_sheet sheet = { .what = what,
                                           .networks = run->networks,
                                           .network = network,
                                           .name = (const char *const *)run->name,
                                           .pictures = (size_t)run->options->pictures };
    char *folder = df_store_pictures(run->folder), name[32];
    df_status status = df_folder_make(folder, err);

    for (size_t k = 0; k < run->networks; k++)
        network[k] = &run->of[k];
    snprintf(name, sizeof name, "sheet-%02zu.png", a);

    char *path = df_path_join(folder, name);

    if (status == DF_OK)
        status = df_attack_sheet_write(&sheet, path, err);
    if (status == DF_OK)
        fprintf(stderr, "picture: %s (patches for %s)\n", path, what->name);
    free(path);
    free(folder);
    return status;
}

/* An attack's patches, and what every network says of them. */
static df_status run_attack(struct run *run, size_t seed, size_t a, size_t images, struct df_error *err)
{
    const struct attack *attack = &run->attack[a];
    struct df_subject *target[DF_QUESTION_NETWORKS];
    struct df_attack_case what = { .values = &run->options->values,
                                   .attacked = attack->count,
                                   .target = target,
                                   .draw = run->spec->cell[seed]->seed,
                                   .name = attack->name,
                                   .split = (enum df_split)run->options->split,
                                   .images = images,
                                   .out = run->options->common.out };

    for (size_t i = 0; i < attack->count; i++)
        target[i] = &run->of[attack->network[i]];
    DF_TRY(df_attack_make(&what, err));
    for (size_t k = 0; k < run->networks; k++) {
        what.judged = &run->of[k];
        DF_TRY(df_attack_judge(&what, run->known, df_attack_told_of(&run->study, seed, a, k), err));
    }
    return seed == 0 && run->options->pictures ? draw_sheet(run, &what, a, err) : DF_OK;
}

/* The network that an attack is on alone, at every area, judged by itself. */
static df_status run_areas(struct run *run, size_t seed, const struct attack *attack, size_t images, struct df_error *err)
{
    struct df_subject *self = &run->of[attack->network[0]];

    for (size_t i = 0; i < run->study.areas; i++) {
        struct df_attack_values values = run->options->values;
        const struct df_attack_case what = { .values = &values,
                                             .attacked = 1,
                                             .target = &self,
                                             .name = attack->name,
                                             .judged = self,
                                             .split = (enum df_split)run->options->split,
                                             .images = images,
                                             .out = run->options->common.out };

        values.area = run->area[i];
        DF_TRY(df_attack_make(&what, err));
        DF_TRY(df_attack_judge(&what, run->known, df_attack_own_of(&run->study, seed, attack->network[0], i), err));
    }
    return DF_OK;
}

/* The rows that are there: read anew, for a row may be asked for twice. */
static df_status read_known(struct run *run, struct df_error *err)
{
    df_journal_free(run->known);
    run->known = NULL;
    return df_store_read(run->folder, &run->known, err);
}

static df_status run_seed(struct run *run, size_t seed, struct df_error *err)
{
    DF_TRY(open_networks(run, seed, err));
    DF_TRY(read_known(run, err));

    const size_t images = count_images(run);

    for (size_t a = 0; a < run->attacks; a++)
        DF_TRY(run_attack(run, seed, a, images, err));
    DF_TRY(read_known(run, err));
    for (size_t a = 0; a < run->attacks; a++)
        if (run->attack[a].count == 1)
            DF_TRY(run_areas(run, seed, &run->attack[a], images, err));
    return DF_OK;
}

/* ---- all ---- */

static df_status find_baseline(const struct run *run, size_t *out, struct df_error *err)
{
    const char *asked = run->options->baseline;

    if (!asked[0]) {
        *out = run->teachers + run->spec->variant[0].baseline;
        return DF_OK;
    }
    DF_TRY(find_network(run, asked, out, err));
    if (*out < run->teachers)
        return df_fail(err, DF_ERR_USAGE, "attack: --baseline '%s' is a teacher, expected a student", asked);
    return DF_OK;
}

static int find_attack(const struct run *run, size_t count, size_t network)
{
    for (size_t a = 0; a < run->attacks; a++)
        if (run->attack[a].count == count && (!count || run->attack[a].network[0] == network))
            return (int)a;
    return DF_NO_ATTACK;
}

static df_status print(const struct run *run, struct df_error *err)
{
    const char *attack[ATTACKS];
    struct df_attack_names names = { .network = (const char *const *)run->name,
                                     .attack = attack,
                                     .teachers = run->teachers,
                                     .of_teacher = run->teachers ? find_attack(run, 1, 0) : DF_NO_ATTACK,
                                     .at_random = find_attack(run, 0, 0) };
    struct df_text text = DF_TEXT_INIT;

    DF_TRY(find_baseline(run, &names.baseline, err));
    for (size_t a = 0; a < run->attacks; a++)
        attack[a] = run->attack[a].name;
    (run->options->json ? df_attack_json : df_attack_text)(&run->study, &names, &text);
    printf("%s%s", df_text_get(&text), run->options->json ? "\n" : "");
    df_text_release(&text);
    return DF_OK;
}

static df_status train(const struct df_spec *spec, const struct attack_options *options, struct df_error *err)
{
    const char **pass = df_common_pass(&options->common);
    struct df_sweep_options with = { .jobs = (size_t)options->jobs, .program = "/proc/self/exe", .pass = pass };
    struct df_sweep_summary summary;

    df_common_run(&options->common, &with.run);

    const df_status status = df_sweep(spec, &with, &summary, err);

    free(pass);
    DF_TRY(status);
    if (summary.failed || summary.left)
        return df_fail(err, DF_ERR_CHECK, "%zu of the %zu cells of '%s' failed, %zu are left: their networks cannot be attacked",
                       summary.failed, summary.selected, spec->path, summary.left);
    return DF_OK;
}

static df_status run_all(struct run *run, struct df_error *err)
{
    size_t baseline;

    DF_TRY(name_networks(run, err));
    DF_TRY(list_attacks(run, err));
    DF_TRY(find_baseline(run, &baseline, err));
    list_areas(run);
    if (run->options->train)
        DF_TRY(train(run->spec, run->options, err));
    run->study.seeds = run->spec->seeds;
    run->study.attacks = run->attacks;
    run->study.networks = run->networks;
    run->study.told = df_calloc(run->study.seeds * run->attacks * run->networks, sizeof *run->study.told);
    run->study.own = df_calloc(run->study.seeds * run->networks * run->study.areas, sizeof *run->study.own);
    run->folder = df_store_question_folder(run->options->common.out, run->spec->name, DF_ATTACK_QUESTION);
    for (size_t s = 0; s < run->study.seeds; s++) {
        const df_status status = run_seed(run, s, err);

        close_networks(run);
        DF_TRY(status);
    }
    DF_TRY(df_store_make_tables(run->folder, false, err));
    return print(run, err);
}

static df_status attack_spec(struct df_spec *spec, const void *values, struct df_error *err)
{
    struct run *run = df_calloc(1, sizeof *run);

    run->options = values;
    run->spec = spec;

    df_status status = df_attack_check(&run->options->values, err);

    if (status == DF_OK)
        status = run_all(run, err);
    for (size_t k = 0; k < run->networks; k++)
        free(run->name[k]);
    for (size_t a = 0; a < run->attacks; a++)
        free(run->attack[a].name);
    df_attack_study_release(&run->study);
    df_journal_free(run->known);
    free(run->folder);
    free(run);
    return status;
}

static int run(const void *values, int count, char *const *arguments)
{
    const struct attack_options *options = values;

    (void)count;
    return df_running_spec(&options->common, arguments[0], attack_spec, values);
}

const struct df_command df_command_attack = {
    .name = "attack",
    .summary = "patches that hide objects from a spec's networks, and whether students inherit what their teacher falls for",
    .usage = "defeat attack SPEC [--on NETWORK]... [--images N] [--area A] [--areas A,B] [--train] [--json]",
    .example = "defeat attack ablations/specs/attack.json --train",
    .notes =
        "Patches are made with the slopes of the attacked networks alone, within a share of an image's pixels and a number of regions, and "
        "every "
        "network of the same seed judges them: what is hidden, against patches of the same size at random, and against the baseline. "
        "Images on "
        "which a network finds nothing without the patch are left out of its means, and counted. Patched images, rows and sheets lie in "
        "OUT/SPEC.attack; the same command goes on where it stopped.",
    .options = options_table,
    .options_size = sizeof(struct attack_options),
    .arguments_min = 1,
    .arguments_max = 1,
    .run = run,
};
