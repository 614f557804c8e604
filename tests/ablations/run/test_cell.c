/* The identity of a cell: its text, its hash, what belongs to it and what does not; the environment, which is what does not. */
#include "ablations/run/environment.h"
#include "core/base/hash.h"
#include "tests/ablations/run/tiny.h"

static struct df_cell *sealed(void)
{
    struct df_cell *cell = tiny_cell(TINY_STUDENT, TINY_SCHEDULE, "ref", 3);
    struct df_error err = { 0 };

    assert_ok(df_cell_seal(cell, &err));
    return cell;
}

static void id_is_the_hash_of_the_json(void **state)
{
    struct df_cell *cell = sealed();
    char hash[17];

    (void)state;
    assert_string_equal(cell->id, df_hash_text(hash, df_hash(cell->json.data, strlen(cell->json.data))));
    df_cell_free(cell);
}

/* The keys stand in the order that the header gives, and the text is JSON. */
static void json_has_the_order_of_the_contract(void **state)
{
    static const char *const keys[] = { "semantics", "role",    "data",       "canvas", "detector", "network",
                                        "schedule",  "teacher", "distillers", "seed",   "device" };
    struct df_cell *teacher = tiny_teacher("ref"), *cell = tiny_cell(TINY_STUDENT, TINY_SCHEDULE, "ref", 3);
    struct df_error err = { 0 };
    cJSON *root;

    (void)state;
    tiny_add(cell, "full_feature", "{\"w\":2.5}", teacher);
    assert_ok(df_cell_seal(cell, &err));
    assert_ok(df_json_parse(cell->json.data, cell->json.length, "cell", &root, &err));

    const cJSON *item = root->child;

    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++, item = item->next) {
        assert_non_null(item);
        assert_string_equal(item->string, keys[i]);
    }
    assert_null(item);
    assert_string_equal(cJSON_GetObjectItem(root, "role")->valuestring, "student");
    assert_string_equal(cJSON_GetObjectItem(root, "teacher")->valuestring, teacher->id);
    assert_string_equal(cJSON_GetObjectItem(root, "data")->child->string, "kind");

    const cJSON *distiller = cJSON_GetArrayItem(cJSON_GetObjectItem(root, "distillers"), 0);

    assert_string_equal(distiller->child->string, "name");
    assert_string_equal(distiller->child->valuestring, "full_feature");
    assert_true(cJSON_GetObjectItem(distiller, "w")->valuedouble == 2.5);
    cJSON_Delete(root);
    df_cell_free(cell);
    df_cell_free(teacher);
}

static void what_decides_numbers_changes_the_id(void **state)
{
    struct df_cell *plain = sealed(), *teacher = tiny_teacher("ref");
    struct df_error err = { 0 };

    (void)state;
    for (int k = 0; k < 8; k++) {
        struct df_cell *cell = tiny_cell(TINY_STUDENT, TINY_SCHEDULE, "ref", 3);

        switch (k) {
        case 0:
            cell->seed = 4;
            break;
        case 1:
            cell->network.depth = 50;
            break;
        case 2:
            snprintf(cell->device, sizeof cell->device, "cpu");
            break;
        case 3:
            cell->schedule.lr *= 2;
            break;
        case 4:
            cell->network.fpn_channels = 9;
            break;
        case 5:
            cell->canvas.divisor = 16;
            break;
        case 6:
            cell->teacher_role = true;
            break;
        default:
            tiny_add(cell, "full_feature", "{}", teacher);
            break;
        }
        assert_ok(df_cell_seal(cell, &err));
        assert_string_not_equal(cell->id, plain->id);
        df_cell_free(cell);
    }
    df_cell_free(teacher);
    df_cell_free(plain);
}

static void names_do_not_change_the_id(void **state)
{
    struct df_cell *plain = sealed(), *cell = tiny_cell(TINY_STUDENT, TINY_SCHEDULE, "ref", 3);
    struct df_data elsewhere = *cell->data;
    struct df_error err = { 0 };

    (void)state;
    snprintf(cell->label, sizeof cell->label, "another name");
    snprintf(cell->spec, sizeof cell->spec, "another-spec");
    elsewhere.base = "/elsewhere";
    cell->data = &elsewhere;
    cell->threads = 2; /* they move no bit */
    assert_ok(df_cell_seal(cell, &err));
    assert_string_equal(cell->id, plain->id);
    df_cell_free(cell);
    df_cell_free(plain);
}

/* Of a device its kind and what it does to a number, never which one it is. */
static void device_and_precision(void **state)
{
    static const char *const names[][2] = { { "cpu", "\"device\":\"cpu\"}" },
                                            { "cuda", "\"device\":\"cuda\"}" },
                                            { "cuda:1", "\"device\":\"cuda\"}" },
                                            { "cuda+tf32", "\"device\":\"cuda\",\"precision\":\"tf32\"}" } };

    (void)state;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        struct df_cell *cell = tiny_cell(TINY_STUDENT, TINY_SCHEDULE, names[i][0], 3);
        const char *expected = names[i][1]; /* the same in a build without the device */
        struct df_error err = { 0 };

        assert_ok(df_cell_seal(cell, &err));
        if (!strstr(cell->json.data, expected))
            fail_msg("%s: expected %s in %s", names[i][0], expected, cell->json.data);
        df_cell_free(cell);
    }
}

/* Of the first revision a class says nothing; a later one stands beside its name, and in no other place. */
static void revisions_stand_beside_the_names(void **state)
{
    static const char *const expected[] = { "\"data\":{\"kind\":\"scenes\",\"revision\":2,",
                                            "\"detector\":{\"kind\":\"retinanet\",\"revision\":3,",
                                            "{\"name\":\"full_feature\",\"revision\":2," };
    struct df_cell *teacher = tiny_teacher("ref");
    struct df_dataset_class dataset = *df_dataset_class_find("scenes", NULL);
    struct df_detector_class detector = *df_detector_class_find("retinanet", NULL);
    struct df_distiller_class distiller = *df_distiller_class_find("full_feature", NULL);
    char first[17] = "";

    (void)state;
    dataset.revision = distiller.revision = 2;
    detector.revision = 3;
    for (int k = -1; k < 4; k++) {
        struct df_cell *cell = tiny_cell(TINY_STUDENT, TINY_SCHEDULE, "ref", 3);
        struct df_distiller_class once = distiller;
        struct df_data revised = *cell->data;
        struct df_error err = { 0 };

        tiny_add(cell, "full_feature", "{}", teacher);
        once.revision = 1;
        revised.class = k == 0 ? &dataset : revised.class;
        cell->data = &revised;
        cell->detector = k == 1 ? &detector : cell->detector;
        cell->distiller[0].class = k == 2 ? &distiller : k == 3 ? &once : cell->distiller[0].class;
        assert_ok(df_cell_seal(cell, &err));
        for (int i = 0; i < 3; i++)
            assert_int_equal(strstr(cell->json.data, expected[i]) != NULL, i == k);
        if (k < 0)
            snprintf(first, sizeof first, "%s", cell->id);
        assert_int_equal(strcmp(first, cell->id) == 0, k < 0 || k == 3); /* a 1 that is said is the 0 that is not */
        df_cell_free(cell);
    }
    df_cell_free(teacher);
}

/* The values that are left out of identities are values; those of distillers: df_distiller_legal. */
static void absent_values_are_legal(void **state)
{
    const df_option *const common[] = { df_canvas_option_table, df_network_option_table, df_schedule_options };

    (void)state;
    assert_true(df_option_absent_is_legal(df_precision_option_table));
    for (size_t i = 0; i < sizeof common / sizeof *common; i++)
        for (const df_option *row = common[i]; row->name; row++)
            assert_true(df_option_absent_is_legal(row));
    for (size_t i = 0; df_detector_classes[i]; i++)
        for (const df_option *row = df_detector_classes[i]->options; row->name; row++)
            assert_true(df_option_absent_is_legal(row));
    for (size_t i = 0; df_dataset_classes[i]; i++)
        for (const df_option *row = df_dataset_classes[i]->options; row->name; row++)
            assert_true(df_option_absent_is_legal(row));
}

/* What is asked: no default, no hash, no semantics; names, seed and device always. */
static void what_is_asked(void **state)
{
    struct df_cell *teacher = tiny_teacher("ref"), *cell = tiny_cell(TINY_STUDENT, TINY_SCHEDULE, "ref", 3);
    struct df_text text = DF_TEXT_INIT;

    (void)state;
    tiny_add(cell, "full_feature", "{\"w\":2.5,\"norm\":\"batch\"}", teacher); /* batch: the default */
    cJSON *asked = df_cell_asked(cell);

    df_json_canonical(asked, &text);
    assert_non_null(strstr(text.data, "\"distillers\":[{\"name\":\"full_feature\",\"w\":2.5}],\"seed\":3,\"device\":\"ref\"}"));
    assert_non_null(strstr(text.data, "\"canvas\":{},\"detector\":{\"kind\":\"retinanet\",\"anchor_size\":[13,23,40]"));
    assert_null(strstr(text.data, "semantics"));
    assert_null(strstr(text.data, teacher->id));
    cJSON_Delete(asked);
    df_text_release(&text);
    df_cell_free(cell);
    df_cell_free(teacher);
}

static void environment_says_what_the_machine_adds(void **state)
{
    struct df_cell *cell = sealed();
    struct df_text plain = DF_TEXT_INIT, taught = DF_TEXT_INIT, expected = DF_TEXT_INIT;
    struct df_device *device;
    struct df_error err = { 0 };
    cJSON *object;

    (void)state;
    assert_ok(df_device_open("ref", &device, &err));
    cell->threads = 3;
    df_run_environment(cell, device, NULL, &plain); /* no card: it is none */
    df_run_environment(cell, NULL, "0123456789abcdef", &taught);
    df_text_add_bytes(&expected, plain.data, plain.length - 1);
    df_text_add(&expected, ",\"teacher\":\"0123456789abcdef\"}");
    assert_string_equal(taught.data, expected.data);
    assert_ok(df_json_parse(plain.data, plain.length, "environment", &object, &err));
    assert_string_equal(cJSON_GetObjectItem(object, "isa")->valuestring, df_device_identity("ref").isa);
    assert_int_equal(cJSON_GetObjectItem(object, "threads")->valueint, 3);
    assert_string_equal(cJSON_GetObjectItem(object, "compiler")->valuestring, df_run_compiler());
    for (const char *const *name = (const char *const[]){ "libjpeg-turbo", "libpng", NULL }; *name; name++)
        assert_true(strchr("0123456789", cJSON_GetObjectItem(object, *name)->valuestring[0]) != NULL);
    assert_null(cJSON_GetObjectItem(object, "card"));
    cJSON_Delete(object);
    df_device_close(device);
    df_text_release(&plain);
    df_text_release(&taught);
    df_text_release(&expected);
    df_cell_free(cell);
}

static void a_teacher_file_counts_by_its_contents(void **state)
{
    char first[17] = "", path[600];
    struct df_error err = { 0 };

    (void)state;
    for (int k = 0; k < 3; k++) {
        struct df_cell *cell = tiny_cell(TINY_STUDENT, TINY_SCHEDULE, "ref", 3);
        FILE *file;

        snprintf(path, sizeof path, "%s/teacher-%d", df_test_folder(), k);
        file = fopen(path, "w");
        fputs(k == 2 ? "other" : "weights", file);
        fclose(file);

        struct df_cell *given = tiny_given("ref", &cell->network, path);

        tiny_add(cell, "full_feature", "{}", given);
        assert_ok(df_cell_seal(cell, &err));
        if (k == 0)
            snprintf(first, sizeof first, "%s", cell->id);
        assert_int_equal(strcmp(cell->id, first) == 0, k < 2);
        assert_null(strstr(df_text_get(&cell->json), "teacher_detector")); /* the student's: not said again */
        assert_null(strstr(df_text_get(&cell->json), "teacher_canvas"));
        assert_null(strstr(df_text_get(&cell->json), "teacher_classes"));
        given->canvas.fixed = true;
        given->canvas.canvas_height = given->canvas.canvas_width = 64;
        given->classes = 80;
        assert_ok(df_cell_seal(cell, &err));
        assert_string_not_equal(cell->id, first);
        assert_non_null(strstr(df_text_get(&cell->json), "\"teacher_canvas\":{"));
        assert_non_null(strstr(df_text_get(&cell->json), "\"teacher_classes\":80"));
        df_cell_free(given);
        df_cell_free(cell);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(id_is_the_hash_of_the_json),
        cmocka_unit_test(json_has_the_order_of_the_contract),
        cmocka_unit_test(what_decides_numbers_changes_the_id),
        cmocka_unit_test(names_do_not_change_the_id),
        cmocka_unit_test(device_and_precision),
        cmocka_unit_test(revisions_stand_beside_the_names),
        cmocka_unit_test(absent_values_are_legal),
        cmocka_unit_test(what_is_asked),
        cmocka_unit_test(environment_says_what_the_machine_adds),
        cmocka_unit_test(a_teacher_file_counts_by_its_contents),
    };

    return cmocka_run_group_tests_name("cell", tests, NULL, NULL);
}
