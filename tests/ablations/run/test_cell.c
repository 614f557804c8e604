/* The identity of a cell: its text, its hash, what belongs to it and what does not. */
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
    static const char *const keys[] = { "semantics", "role",       "data", "canvas", "detector", "network", "schedule",
                                        "teacher",   "distillers", "seed", "device", "isa",      "threads" };
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
            cell->threads = 2;
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
    struct df_error err = { 0 };

    (void)state;
    snprintf(cell->label, sizeof cell->label, "another name");
    snprintf(cell->spec, sizeof cell->spec, "another-spec");
    cell->base = "/elsewhere";
    assert_ok(df_cell_seal(cell, &err));
    assert_string_equal(cell->id, plain->id);
    df_cell_free(cell);
    df_cell_free(plain);
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
        tiny_add(cell, "full_feature", "{}", NULL);
        snprintf(cell->teacher_file, sizeof cell->teacher_file, "%s", path);
        cell->teacher_network = cell->network;
        assert_ok(df_cell_seal(cell, &err));
        if (k == 0)
            snprintf(first, sizeof first, "%s", cell->id);
        assert_int_equal(strcmp(cell->id, first) == 0, k < 2);
        df_cell_free(cell);
    }
}

static void a_distiller_without_teacher_is_an_error(void **state)
{
    struct df_cell *cell = tiny_cell(TINY_STUDENT, TINY_SCHEDULE, "ref", 3);
    struct df_error err = { 0 };

    (void)state;
    tiny_add(cell, "full_feature", "{}", NULL);
    assert_fails(df_cell_seal(cell, &err), DF_ERR_USAGE, "needs a teacher");
    df_cell_free(cell);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(id_is_the_hash_of_the_json),
        cmocka_unit_test(json_has_the_order_of_the_contract),
        cmocka_unit_test(what_decides_numbers_changes_the_id),
        cmocka_unit_test(names_do_not_change_the_id),
        cmocka_unit_test(a_teacher_file_counts_by_its_contents),
        cmocka_unit_test(a_distiller_without_teacher_is_an_error),
    };

    return cmocka_run_group_tests_name("cell", tests, NULL, NULL);
}
