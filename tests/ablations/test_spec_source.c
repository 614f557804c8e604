/* Specs that extend others and are set from outside: what comes of it, that the ids do not show it, and what slips are told. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ablations/spec.h"
#include "ablations/spec_keys.h"
#include "ablations/spec_source.h"
#include "core/base/file.h"
#include "tests/support/support.h"

/* Writes a file under the test's folder; returns its path. */
static const char *file(const char *name, const char *text)
{
    static char path[8][600];
    static size_t next;
    char *out = path[next++ % 8];
    struct df_error err = { 0 };

    snprintf(out, sizeof path[0], "%s/%s", df_test_folder(), name);

    char *folder = df_path_folder(out);

    assert_ok(df_folder_make(folder, &err));
    assert_ok(df_file_write(out, text, strlen(text), &err));
    free(folder);
    return out;
}

/* The merged text of a file with these settings, ended by NULL. */
static char *source(const char *path, const char *const *set)
{
    struct df_texts texts = { 0 };
    struct df_text from = DF_TEXT_INIT, text = DF_TEXT_INIT;
    struct df_error err = { 0 };
    cJSON *root;

    while (set && set[texts.count]) {
        texts.text[texts.count] = set[texts.count];
        texts.count++;
    }
    assert_ok(df_spec_source_read(path, &texts, &root, &from, &err));
    df_json_canonical(root, &text);
    cJSON_Delete(root);
    df_text_release(&from);
    return text.data;
}

static void check_source(const char *path, const char *const *set, const char *expected)
{
    char *text = source(path, set);

    assert_string_equal(text, expected);
    free(text);
}

static df_status fails(const char *path, const char *set, struct df_error *err)
{
    const struct df_texts texts = { set != NULL, { set } };
    struct df_text from = DF_TEXT_INIT;
    cJSON *root;
    const df_status status = df_spec_source_read(path, &texts, &root, &from, err);

    df_text_release(&from);
    cJSON_Delete(root);
    return status;
}

static void members_are_put_over_what_is_extended(void **state)
{
    (void)state;
    file("a.json", "{\"name\":\"a\",\"title\":\"A\",\"schedule\":{\"epochs\":4,\"batch\":8},\"seeds\":[0,1],\"plots\":{\"heat\":[]}}");
    check_source(file("b.json", "{\"extends\":\"a.json\",\"name\":\"b\",\"schedule\":{\"epochs\":2},\"seeds\":[7],\"plots\":null}"), NULL,
                 "{\"name\":\"b\",\"schedule\":{\"batch\":8,\"epochs\":2},\"seeds\":[7]}");
    check_source(file("c.json", "{\"name\":\"c\",\"extends\":\"b.json\",\"schedule\":{\"batch\":null}}"), NULL,
                 "{\"seeds\":[7],\"name\":\"c\",\"schedule\":{\"epochs\":2}}");
}

/* A path stays where it was said, whoever extends the file that says it. */
static void paths_stay_relative_to_their_own_file(void **state)
{
    (void)state;
    file("deep/er/a.json", "{\"name\":\"a\",\"base\":\"data\",\"plugins\":[\"p.so\",\"/abs/q.so\"],\"student\":{\"file\":\"s\"},"
                           "\"teacher\":{\"file\":\"../t\"},\"variants\":[{\"teacher\":{\"file\":\"v\"}}]}");
    check_source(file("deep/b.json", "{\"extends\":\"er/a.json\"}"), NULL,
                 "{\"base\":\"er/data\",\"plugins\":[\"er/p.so\",\"/abs/q.so\"],\"student\":{\"file\":\"er/s\"},"
                 "\"teacher\":{\"file\":\"er/../t\"},\"variants\":[{\"teacher\":{\"file\":\"er/v\"}}]}");
    check_source(file("c.json", "{\"extends\":\"deep/b.json\",\"base\":\"mine\"}"), NULL,
                 "{\"plugins\":[\"deep/er/p.so\",\"/abs/q.so\"],\"student\":{\"file\":\"deep/er/s\"},"
                 "\"teacher\":{\"file\":\"deep/er/../t\"},\"variants\":[{\"teacher\":{\"file\":\"deep/er/v\"}}],\"base\":\"mine\"}");
    /* data that are read from files lie beside the file that names them; others have no folder */
    file("deep/coco.json", "{\"data\":{\"kind\":\"coco\"}}");
    file("deep/scenes.json", "{\"data\":{\"kind\":\"scenes\"}}");
    check_source(file("d.json", "{\"extends\":\"deep/coco.json\"}"), NULL, "{\"data\":{\"kind\":\"coco\"},\"base\":\"deep\"}");
    check_source(file("e.json", "{\"extends\":\"deep/scenes.json\"}"), NULL, "{\"data\":{\"kind\":\"scenes\"}}");
}

static void keys_are_set_by_their_path(void **state)
{
    const char *path = file("s.json", "{\"device\":\"cpu\",\"schedule\":{\"epochs\":4},\"seeds\":[0,1],\"methods\":[{\"label\":\"none\"},"
                                      "{\"label\":\"D\",\"distillers\":[{\"name\":\"defeat\",\"w_fg\":1},{\"name\":\"head_kl\"}]}]}");

    (void)state;
    check_source(path, (const char *[]){ "schedule.epochs=0.5", "schedule.batch=8", "canvas.min_side=64", "device=ref", "seeds=[3]", NULL },
                 "{\"schedule\":{\"epochs\":0.5,\"batch\":8},\"methods\":[{\"label\":\"none\"},{\"label\":\"D\",\"distillers\":[{\"name\":"
                 "\"defeat\",\"w_fg\":1},{\"name\":\"head_kl\"}]}],\"canvas\":{\"min_side\":64},\"device\":\"ref\",\"seeds\":[3]}");
    check_source(path,
                 (const char *[]){ "methods.D.distillers.defeat.w_fg=[2,4]", "methods.1.distillers.1=null", "methods.0.label=n=o",
                                   "seeds.1=9", "schedule=null", NULL },
                 "{\"device\":\"cpu\",\"seeds\":[0,9],\"methods\":[{\"label\":\"n=o\"},{\"label\":\"D\",\"distillers\":[{\"name\":"
                 "\"defeat\",\"w_fg\":[2,4]}]}]}");
    check_source(path, (const char *[]){ "schedule.epochs=1", "schedule.epochs=2", "methods=null", "seeds=null", "device=\"5\"", NULL },
                 "{\"schedule\":{\"epochs\":2},\"device\":\"5\"}"); /* the last one counts; quoted, a number is a text */
}

/* Variants with values of their own leave nothing to set, unless one of them has none, or an object that takes it. */
static void what_every_variant_replaces_is_not_set_in_silence(void **state)
{
    const char *path = file("v.json", "{\"schedule\":{\"epochs\":4,\"batch\":8},\"variants\":["
                                      "{\"label\":\"a b\",\"schedule\":{\"epochs\":1,\"decay_at\":[1]},\"teacher\":null},"
                                      "{\"label\":\"c\",\"schedule\":{\"epochs\":2,\"batch\":4},\"teacher\":{}}]}");
    struct df_error err;

    (void)state;
    assert_fails(
        fails(path, "schedule.epochs=8", &err), DF_ERR_USAGE,
        "--set 'schedule.epochs=8': has no effect, for every variant has its own schedule.epochs: 'a b', 'c' [for one of them: --set "
        "'variants.a b.schedule.epochs=8']");
    assert_ok(fails(path, "variants.a b.schedule.epochs=8", &err)); /* its own cure */
    assert_ok(fails(path, "schedule.batch=2", &err));
    assert_ok(fails(path, "schedule.decay_at=[2]", &err));
    assert_ok(fails(path, "schedule={\"batch\":2}", &err));
    assert_ok(fails(path, "teacher.file=x", &err)); /* of c */
    assert_ok(fails(path, "epochs=2", &err));
    assert_fails(fails(file("one-variant.json", "{\"variants\":[{\"label\":\"a\",\"teacher\":null}]}"), "teacher.schedule.epochs=1", &err),
                 DF_ERR_USAGE, "every variant has its own teacher.schedule.epochs: 'a'");
}

static void slips_are_told(void **state)
{
    static const char *const sets[][2] = {
        { "schedule", "--set 'schedule': expected KEY=VALUE, such as schedule.epochs=8" },
        { "=4", "expected KEY=VALUE" },
        { "schedule.=4", "expected KEY=VALUE" },
        { ".epochs=4", "expected KEY=VALUE" },
        { "name.x=4", "'name' is neither an object nor a list and has no members" },
        { "methods.2.label=x", "the list has no element '2' (expected 0 to 1, or an element's label or name)" },
        { "methods.nobody.label=x", "the list has no element 'nobody'" },
        { "methods.5=null", "the list has no element '5'" },
        { "extends=a.json", "what a spec extends is said in its file" },
    };
    const char *path = file("slip.json", "{\"name\":\"s\",\"methods\":[{\"label\":\"a\"},{\"label\":\"b\"}]}");
    struct df_error err;

    (void)state;
    for (size_t i = 0; i < sizeof sets / sizeof *sets; i++)
        assert_fails(fails(path, sets[i][0], &err), DF_ERR_USAGE, sets[i][1]);
    assert_fails(fails(file("array.json", "[1]"), NULL, &err), DF_ERR_USAGE, "array.json: expected an object");
    assert_fails(fails(file("gone.json", "{\"extends\":\"no-such.json\"}"), NULL, &err), DF_ERR_NOT_FOUND,
                 "gone.json: /extends: cannot open");
    assert_fails(fails(file("number.json", "{\"extends\":3}"), NULL, &err), DF_ERR_USAGE, "extends");
    file("one.json", "{\"extends\":\"two.json\"}");
    assert_fails(fails(file("two.json", "{\"extends\":\"./one.json\"}"), NULL, &err), DF_ERR_USAGE, "extends itself: the spec extends '");
    file("f0.json", "{}");
    for (int i = 1; i < 9; i++) {
        char name[16], text[64];

        snprintf(name, sizeof name, "f%d.json", i);
        snprintf(text, sizeof text, "{\"extends\":\"f%d.json\"}", i - 1);
        path = file(name, text);
        if (i < 8)
            assert_int_equal(fails(path, NULL, &err), DF_OK); /* eight files */
    }
    assert_fails(fails(path, NULL, &err), DF_ERR_USAGE, "file 9 of those that extend each other (expected at most 8)");
}

#define WHOLE                                                                                                                              \
    "\"data\":{\"kind\":\"scenes\"},\"detector\":{\"kind\":\"retinanet\"},\"student\":{\"network\":{\"depth\":18}},"                       \
    "\"teacher\":{\"network\":{\"depth\":50}},\"methods\":[{\"label\":\"none\"},{\"label\":\"D\",\"distillers\":[{\"name\":\"defeat\","    \
    "\"w_fg\":%s}]}],\"seeds\":[0,1],\"schedule\":{\"epochs\":%s}}"

/* Written whole, extended, set: the same cells. */
static void the_ids_do_not_show_how_a_spec_was_written(void **state)
{
    static const char *const words[] = { "schedule.epochs=3", "methods.D.distillers.defeat.w_fg=2" };
    const struct df_texts set = { 2, { words[0], words[1] } };
    const struct df_spec_overrides overrides = { .set = &set };
    struct df_spec *whole, *extending, *changed, *other;
    char text[1024];
    struct df_error err = { 0 };

    (void)state;
    snprintf(text, sizeof text, "{\"name\":\"whole\"," WHOLE, "2", "3");
    assert_ok(df_spec_read(file("whole.json", text), NULL, &whole, &err));
    snprintf(text, sizeof text, "{\"name\":\"other\"," WHOLE, "4", "5");
    const char *base = file("other.json", text);

    assert_ok(df_spec_read(base, NULL, &other, &err));
    assert_ok(df_spec_read(base, &overrides, &changed, &err));
    assert_ok(df_spec_read(file("sub/extending.json",
                                "{\"name\":\"extending\",\"extends\":\"../other.json\",\"schedule\":{\"epochs\":3},\"methods\":[{\"label\":"
                                "\"none\"},{\"label\":\"D\",\"distillers\":[{\"name\":\"defeat\",\"w_fg\":2}]}]}"),
                           NULL, &extending, &err));
    assert_int_equal(whole->count, 4);
    for (size_t i = 0; i < whole->count; i++) {
        assert_string_equal(changed->cell[i]->id, whole->cell[i]->id);
        assert_string_equal(extending->cell[i]->id, whole->cell[i]->id);
        assert_string_not_equal(other->cell[i]->id, whole->cell[i]->id);
    }
    df_spec_free(whole);
    df_spec_free(extending);
    df_spec_free(changed);
    df_spec_free(other);
    /* a fault that stands in the other file is told with its name */
    snprintf(text, sizeof text, "{\"name\":\"bad\"," WHOLE, "4", "-5");
    file("bad.json", text);
    assert_fails(df_spec_read(file("good.json", "{\"name\":\"good\",\"extends\":\"bad.json\"}"), NULL, &other, &err), DF_ERR_USAGE,
                 "bad.json')");
    assert_non_null(strstr(err.text, "good.json/schedule: /epochs: found -5"));
    /* a name is every file's own: its results are in the folder of that name */
    assert_fails(df_spec_read(file("nameless.json", "{\"extends\":\"whole.json\"}"), NULL, &other, &err), DF_ERR_USAGE, "name");
}

/* Every key that a spec of the project uses is in its section's help, and every row of an option table. */
static void help_tells_every_key(void **state)
{
    (void)state;
    for (int s = 0; s < DF_SPEC_SECTIONS; s++) {
        const struct df_spec_section *section = &df_spec_section[s];
        struct df_text text = DF_TEXT_INIT;
        const char *name, *summary;
        const df_option *options = section->options;
        char line[96];

        df_spec_help((enum df_spec_sections)s, &text);
        assert_true(section->keys || section->options);
        for (const struct df_spec_key *key = section->keys; key && key->name; key++) {
            snprintf(line, sizeof line, "\n  %s ", key->name);
            assert_non_null(strstr(text.data, line));
            assert_true(key->type[0] && key->standard[0]);
        }
        for (size_t i = 0; options || (section->kind && (options = section->kind(i, &name, &summary))); i++, options = NULL)
            for (; options->name; options++) {
                snprintf(line, sizeof line, "\n  %s ", options->name);
                assert_non_null(strstr(text.data, line));
            }
        df_text_release(&text);
    }
    struct df_text schedule = DF_TEXT_INIT;

    df_spec_help(DF_SPEC_SCHEDULE, &schedule);
    assert_non_null(strstr(schedule.data, "\n  epochs "));
    assert_non_null(strstr(schedule.data, "number"));
    assert_non_null(strstr(schedule.data, "(when "));
    df_text_release(&schedule);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(members_are_put_over_what_is_extended),
        cmocka_unit_test(paths_stay_relative_to_their_own_file),
        cmocka_unit_test(keys_are_set_by_their_path),
        cmocka_unit_test(what_every_variant_replaces_is_not_set_in_silence),
        cmocka_unit_test(slips_are_told),
        cmocka_unit_test(the_ids_do_not_show_how_a_spec_was_written),
        cmocka_unit_test(help_tells_every_key),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
