/* `defeat convert`: there and back, for student and teacher, and what comes of it is taken by the other commands. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ablations/run/described.h"
#include "ablations/run/model.h"
#include "ablations/spec.h"
#include "core/base/file.h"
#include "core/nn/checkpoint.h"
#include "core/nn/state_dict.h"
#include "tests/ablations/cli/commands.h"

static struct df_error err;

static const char *path(const char *name)
{
    static char text[8][600];
    static int next;
    char *file = text[next++ % 8];

    snprintf(file, sizeof text[0], "%s/%s", df_test_folder(), name);
    return file;
}

/* A tiny spec with few images; teacher_file: its teacher is that file. */
static const char *write_spec(const char *from, const char *name, const char *teacher_file)
{
    const char *file = path(name);
    struct df_text text = DF_TEXT_INIT;
    cJSON *root, *data, *teacher;

    assert_ok(df_json_read(from, &root, &err));
    data = cJSON_GetObjectItem(root, "data");
    cJSON_SetNumberValue(cJSON_GetObjectItem(data, "train"), 16);
    cJSON_SetNumberValue(cJSON_GetObjectItem(data, "tune"), 2);
    cJSON_SetNumberValue(cJSON_GetObjectItem(data, "validation"), 3);
    teacher = cJSON_GetObjectItem(root, "teacher");
    if (teacher_file) {
        cJSON_DeleteItemFromObject(teacher, "schedule");
        cJSON_AddStringToObject(teacher, "file", teacher_file);
    }
    df_json_canonical(root, &text);
    assert_ok(df_file_write(file, text.data, text.length, &err));
    df_text_release(&text);
    cJSON_Delete(root);
    return file;
}

/* A network of the spec with weights of that seed, as checkpoint and as state dict; its hash. */
static uint64_t make_weights(const struct df_cell *cell, const struct df_network_options *network, const char *checkpoint,
                             const char *state)
{
    struct df_cell own = *cell;
    struct df_model model;

    own.network = *network;
    assert_ok(df_model_create(&own, 8, &model, &err));
    df_parameters_build(model.parameters, model.device, 9, false);
    assert_ok(df_checkpoint_write(checkpoint, (struct df_checkpoint){ .parameters = model.parameters }, &err));
    assert_ok(df_state_dict_write(state, model.parameters, &err));

    const uint64_t hash = df_parameters_hash(model.parameters);

    df_model_release(&model);
    return hash;
}

static uint64_t hash_of(const struct df_cell *cell, const struct df_network_options *network, const char *checkpoint)
{
    struct df_cell own = *cell;
    struct df_model model;

    own.network = *network;
    assert_ok(df_model_open(&own, 8, checkpoint, &model, &err));

    const uint64_t hash = df_parameters_hash(model.parameters);

    df_model_release(&model);
    return hash;
}

static void same_bytes(const char *a, const char *b)
{
    char *one, *other;
    size_t m, n;

    assert_ok(df_file_read(a, 0, &one, &m, &err));
    assert_ok(df_file_read(b, 0, &other, &n, &err));
    assert_int_equal(m, n);
    assert_memory_equal(one, other, n);
    free(one);
    free(other);
}

/* What a checkpoint that was converted says of itself: enough for predict to need no spec. */
static void check_description(const char *checkpoint, const struct df_cell *cell)
{
    struct df_described described;

    assert_ok(df_described_read(checkpoint, "cpu", &described, &err));
    assert_true(described.named && described.classes == 8);
    assert_string_equal(described.category[0].name, "disk");
    assert_ptr_equal(described.cell.detector, cell->detector);
    assert_memory_equal(&described.cell.network, &cell->network, sizeof cell->network);
    assert_int_equal(described.cell.canvas.divisor, cell->canvas.divisor);
    df_described_release(&described);
}

static void student_case(const char *from, const char *name)
{
    const char *spec_path = write_spec(from, name, NULL), *checkpoint = path("student.safetensors"), *state_dict = path("student.pt");
    const char *converted = path("converted.safetensors"), *back = path("back.pt"), *results = path("results.json");
    const char *bare = path("bare.safetensors");
    struct df_spec *spec;
    uint64_t hash;

    assert_ok(df_spec_read(spec_path, NULL, &spec, &err));
    hash = make_weights(spec->cell[0], &spec->cell[0]->network, checkpoint, state_dict);
    assert_int_equal(command((const char *[]){ "convert", spec_path, state_dict, converted, NULL }), 0);
    assert_true(hash_of(spec->cell[0], &spec->cell[0]->network, converted) == hash);
    check_description(converted, spec->cell[0]);
    assert_int_equal(command((const char *[]){ "convert", spec_path, state_dict, bare, "--no-describe", NULL }), 0);
    assert_true(hash_of(spec->cell[0], &spec->cell[0]->network, bare) == hash);

    struct df_described none;

    assert_fails(df_described_read(bare, "cpu", &none, &err), DF_ERR_FORMAT, "predict SPEC --cell K --checkpoint");
    assert_int_equal(command((const char *[]){ "convert", spec_path, converted, back, "--to", "torch", NULL }), 0);
    same_bytes(back, state_dict);
    assert_int_equal(command((const char *[]){ "inspect", converted, NULL }), 0);
    assert_int_equal(command((const char *[]){ "predict", spec_path, "--cell", "0", "--checkpoint", converted, "--limit", "2", "--output",
                                               results, NULL }),
                     0);
    assert_true(df_file_exists(results));
    unlink(results);
    assert_int_equal(command((const char *[]){ "convert", spec_path, state_dict, converted, "--to", "torch", "--classes", "id", NULL }), 2);
    assert_int_equal(command((const char *[]){ "convert", spec_path, state_dict, converted, "--network", "teacher", NULL }), 1);
    assert_int_equal(command((const char *[]){ "convert", spec_path, path("none"), converted, NULL }), 1);
    assert_int_equal(command((const char *[]){ "convert", spec_path, state_dict, converted, "--variant", "none", NULL }), 2);
    df_spec_free(spec);
}

static void students_there_and_back(void **state)
{
    (void)state;
    student_case("ablations/specs/tiny.json", "retinanet.json");
    student_case("ablations/specs/faster-tiny.json", "faster.json");
}

/* The spec names a file that is not there yet: convert makes it, and then the spec can be used. */
static void a_teacher_that_the_spec_waits_for(void **state)
{
    const char *teacher = path("teacher.safetensors"), *spec_path = write_spec("ablations/specs/tiny.json", "teacher.json", teacher);
    const char *state_dict = path("teacher.pt"), *results = path("results.json");
    const struct df_spec_overrides later = { .unread = true };
    const struct df_cell *taught;
    struct df_spec *spec;
    uint64_t hash;

    (void)state;
    assert_fails(df_spec_read(spec_path, NULL, &spec, &err), DF_ERR_NOT_FOUND, "teacher.safetensors");
    assert_ok(df_spec_read(spec_path, &later, &spec, &err));
    taught = spec->variant[0].first;
    assert_non_null(strstr(df_text_get(&taught->json), "\"teacher\":\"file:\""));
    hash = make_weights(taught, &taught->teacher[0].cell->network, path("unused.safetensors"), state_dict);
    assert_int_equal(command((const char *[]){ "convert", spec_path, state_dict, teacher, "--network", "teacher", NULL }), 0);
    assert_true(hash_of(taught, &taught->teacher[0].cell->network, teacher) == hash);
    df_spec_free(spec);
    assert_ok(df_spec_read(spec_path, NULL, &spec, &err));
    assert_null(strstr(df_text_get(&spec->variant[0].first->json), "\"teacher\":\"file:\""));
    df_spec_free(spec);
    assert_int_equal(command((const char *[]){ "predict", spec_path, "--teacher", "--limit", "2", "--output", results, NULL }), 0);
    assert_true(df_file_exists(results));
}

/* scenes number their categories 1 to 8: of a network for nine classes, the first is left out. */
static void classes_by_category_id(void **state)
{
    const char *spec_path = write_spec("ablations/specs/tiny.json", "classes.json", NULL), *state_dict = path("nine.pt"),
               *converted = path("eight.safetensors");
    struct df_spec *spec;
    struct df_model nine, eight;
    const struct df_parameter *theirs, *ours;

    (void)state;
    assert_ok(df_spec_read(spec_path, NULL, &spec, &err));
    assert_ok(df_model_create(spec->cell[0], 9, &nine, &err));
    df_parameters_build(nine.parameters, nine.device, 9, false);
    assert_ok(df_state_dict_write(state_dict, nine.parameters, &err));
    assert_int_equal(command((const char *[]){ "convert", spec_path, state_dict, converted, NULL }), 1);
    assert_int_equal(command((const char *[]){ "convert", spec_path, state_dict, converted, "--classes", "id", NULL }), 0);
    assert_ok(df_model_open(spec->cell[0], 8, converted, &eight, &err));
    theirs = df_parameters_find(nine.parameters, "head.classification_head.cls_logits.weight");
    ours = df_parameters_find(eight.parameters, "head.classification_head.cls_logits.weight");
    assert_int_equal(ours->shape.n / 8, theirs->shape.n / 9);
    for (size_t row = 0; row < ours->shape.n; row++) {
        const size_t columns = df_count(ours->shape) / ours->shape.n, from = row / 8 * 9 + row % 8 + 1;

        assert_memory_equal(ours->value + row * columns, theirs->value + from * columns, columns * sizeof(df_real));
    }
    df_model_release(&nine);
    df_model_release(&eight);
    df_spec_free(spec);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(students_there_and_back),
        cmocka_unit_test(a_teacher_that_the_spec_waits_for),
        cmocka_unit_test(classes_by_category_id),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
