/* The command line's parsing and its answers, on a table of our own. */
#include "ablations/cli/command.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/support/support.h"

struct options {
    int64_t jobs;
    bool dry_run, cache, few;
    double limit, min_gb;
    char only[DF_STRING_MAX];
};
static const df_option options_table[] = {
    { "jobs", DF_INT_OPTION(struct options, jobs), 2, 1, 64, "processes" },
    { "dry_run", DF_BOOL_OPTION(struct options, dry_run), 0, 0, 1, "list only" },
    { "cache", DF_BOOL_OPTION(struct options, cache), 1, 0, 1, "teacher cache" },
    { "limit", DF_REAL_OPTION(struct options, limit), 4, -10, 100, "GiB", .when = "cache=1" },
    { "min_gb", DF_REAL_OPTION(struct options, min_gb), 0, 0, 9, "GiB", .when = "dry_run=0&limit!=4" },
    { "only", DF_STRING_OPTION(struct options, only), .help = "pattern", .text = "" },
    { "few", DF_BOOL_OPTION(struct options, few), 0, 0, 1, "less output", .when = "jobs=1&dry_run=0 or dry_run=1&cache=1" },
    { 0 },
};

static struct options seen;
static int seen_count;
static char seen_first[64];

static int run(const void *values, int count, char *const *arguments)
{
    seen = *(const struct options *)values;
    seen_count = count;
    snprintf(seen_first, sizeof seen_first, "%s", count ? arguments[0] : "");
    return 7;
}

static int run_plain(const void *values, int count, char *const *arguments)
{
    (void)values;
    (void)arguments;
    return count;
}

static const struct df_command sweep = { .name = "sweep",
                                         .summary = "run every cell",
                                         .usage = "defeat sweep SPEC [--jobs N]",
                                         .example = "defeat sweep a.json --jobs 4",
                                         .options = options_table,
                                         .options_size = sizeof(struct options),
                                         .arguments_min = 1,
                                         .arguments_max = 2,
                                         .run = run };
static const struct df_command help = { .name = "help", .summary = "list", .usage = "defeat help", .run = run_plain };
static const struct df_command *const table[] = { &help, &sweep, NULL };

/* The words of a line, split at spaces. */
struct line {
    char text[256], *word[16];
    int count;
};

static struct line *split(const char *text)
{
    static struct line line;
    char *rest = line.text, *word;

    snprintf(line.text, sizeof line.text, "%s", text);
    line.count = 0;
    while ((word = strsep(&rest, " ")))
        line.word[line.count++] = word;
    return &line;
}

static df_status parse(const char *text, struct options *values, char **arguments, int *given, bool *wants_help, struct df_error *err)
{
    struct line *line = split(text);
    struct df_command_line parsed = { .values = values, .arguments = arguments };
    const df_status status = df_command_parse(&sweep, line->count, line->word, &parsed, err);

    *given = parsed.given;
    *wants_help = parsed.help;
    return status;
}

static void options_are_parsed_in_every_form(void **state)
{
    struct options o;
    char *arguments[16];
    struct df_error err;
    bool wants_help;
    int given;

    (void)state;
    assert_ok(parse("a.json", &o, arguments, &given, &wants_help, &err));
    assert_true(given == 1 && o.jobs == 2 && !o.dry_run && o.cache && o.limit == 4 && !o.only[0]);
    assert_ok(parse("--jobs 4 a.json --limit -2.5 b.json --dry-run", &o, arguments, &given, &wants_help, &err));
    assert_true(given == 2 && o.jobs == 4 && o.limit == -2.5 && o.dry_run && !wants_help);
    assert_string_equal(arguments[0], "a.json");
    assert_string_equal(arguments[1], "b.json");
    assert_ok(parse("a --jobs=8 --no-cache --dry-run=off --only=x=y", &o, arguments, &given, &wants_help, &err));
    assert_true(o.jobs == 8 && !o.cache && !o.dry_run);
    assert_string_equal(o.only, "x=y");
    assert_ok(parse("a --only --other=x", &o, arguments, &given, &wants_help, &err)); /* another program's */
    assert_string_equal(o.only, "--other=x");
    assert_ok(parse("a --jobs 1 --jobs 3 --cache", &o, arguments, &given, &wants_help, &err));
    assert_int_equal(o.jobs, 3); /* the last one counts */
    assert_ok(parse("a --dry-run --few", &o, arguments, &given, &wants_help, &err));
    assert_ok(parse("a --jobs 1 --few", &o, arguments, &given, &wants_help, &err));
    assert_true(o.few);
    assert_ok(parse("a -- --jobs", &o, arguments, &given, &wants_help, &err));
    assert_string_equal(arguments[1], "--jobs");
    assert_ok(parse("- -5", &o, arguments, &given, &wants_help, &err));
    assert_int_equal(given, 2);
    assert_ok(parse("--nonsense --help", &o, arguments, &given, &wants_help, &err));
    assert_true(wants_help);
    assert_ok(parse("a -- --help", &o, arguments, &given, &wants_help, &err));
    assert_false(wants_help);
}

static void slips_are_usage_errors_that_say_what_to_do(void **state)
{
    static const char *const cases[][2] = {
        { "a --jbos 4", "sweep: unknown option '--jbos' (did you mean '--jobs'? known here: --jobs, --dry-run" },
        { "a --dry_run", "unknown option '--dry_run' (did you mean '--dry-run'?" },
        { "a --few", "sweep: option '--few' has no effect here: it is read only when --jobs" },
        { "a --no-jobs", "unknown option '--no-jobs'" },
        { "a --no-dry-run=1", "unknown option '--no-dry-run'" },
        { "a -j 4", "unknown option '-j'" },
        { "a --jobs", "sweep: option '--jobs' needs a value, found the end" },
        { "a --jobs --dry-run", "sweep: option '--jobs' needs a value, found '--dry-run'" },
        { "a --jobs --other=x", "sweep: option '--jobs' needs a value, found '--other=x'" },
        { "a --only --limit=3", "sweep: option '--only' needs a value, found '--limit=3'" },
        { "a --only --other", "sweep: option '--only' needs a value, found '--other'" },
        { "a --jobs 0", "sweep: --jobs: found '0', expected an integer in 1..64" },
        { "a --jobs=", "--jobs: found '', expected an integer" },
        { "a --dry-run=perhaps", "--dry-run: found 'perhaps', expected true or false" },
        { "a --no-cache --limit 1", "sweep: option '--limit' has no effect here: it is read only when --cache is true (" },
        { "a --dry-run --limit 5 --min-gb 1",
          "sweep: option '--min-gb' has no effect here: it is read only when --dry-run is false and --limit is not 4 (drop it" },
        { "a b c", "sweep: unexpected argument 'c' (usage: defeat sweep SPEC [--jobs N])" },
        { "--dry-run", "sweep: found 0 of 1 arguments (usage: defeat sweep SPEC [--jobs N])" },
    };
    struct options o;
    char *arguments[16];
    struct df_error err;
    bool wants_help;
    int given;

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        assert_fails(parse(cases[i][0], &o, arguments, &given, &wants_help, &err), DF_ERR_USAGE, cases[i][1]);
}

/* The exit status of a line, with what it prints on stdout and stderr. */
static char printed[2][8192];

static int answer(const char *text)
{
    struct line *line = split(text);
    int kept[2], status;
    FILE *file[2];

    fflush(NULL);
    for (int i = 0; i < 2; i++) {
        file[i] = tmpfile();
        assert_non_null(file[i]);
        kept[i] = dup(i + 1);
        dup2(fileno(file[i]), i + 1);
    }
    status = df_command_main(table, line->count, line->word);
    fflush(NULL);
    for (int i = 0; i < 2; i++) {
        dup2(kept[i], i + 1);
        close(kept[i]);
        rewind(file[i]);
        printed[i][fread(printed[i], 1, sizeof printed[i] - 1, file[i])] = 0;
        fclose(file[i]);
    }
    return status;
}

static void commands_are_found_and_run(void **state)
{
    (void)state;
    assert_int_equal(answer("defeat sweep s.json --jobs 5 --only x"), 7); /* the command's own status */
    assert_true(seen.jobs == 5 && seen.cache && seen_count == 1);
    assert_string_equal(seen.only, "x");
    assert_string_equal(seen_first, "s.json");
    assert_int_equal(answer("defeat"), 2); /* nothing was asked for: the list, but as an error */
    assert_string_equal(printed[0], "");
    assert_non_null(strstr(printed[1], "commands:"));
    assert_int_equal(answer("defeat --help"), 0);
    assert_int_equal(answer("defeat swep s.json"), 2);
    assert_string_equal(printed[0], "");
    assert_string_equal(printed[1], "defeat: unknown command 'swep' (did you mean 'sweep'? 'defeat help' lists them)\n");
    assert_int_equal(answer("defeat zzzzzzz"), 2);
    assert_string_equal(printed[1], "defeat: unknown command 'zzzzzzz' ('defeat help' lists them)\n");
    assert_int_equal(answer("defeat sweep s.json --jbos 5"), 2);
    assert_non_null(strstr(printed[1], "did you mean '--jobs'?"));
}

static void help_goes_to_stdout_and_shows_the_table(void **state)
{
    struct df_text text = DF_TEXT_INIT;

    (void)state;
    assert_int_equal(answer("defeat sweep --help"), 0);
    assert_string_equal(printed[1], "");
    assert_non_null(strstr(printed[0], "usage: defeat sweep SPEC [--jobs N]\n"));
    assert_non_null(strstr(printed[0], "\n  --jobs     2      integer 1..64    processes\n"));
    assert_non_null(strstr(printed[0], "\n  --limit    4      number -10..100  GiB (when --cache is true)\n"));
    assert_non_null(strstr(printed[0], "example: defeat sweep a.json --jobs 4\n"));
    assert_null(strchr(printed[0], '\033')); /* not a terminal */
    df_command_list(table, false, &text);
    assert_non_null(strstr(text.data, "\n  help   list\n  sweep  run every cell\n"));
    df_text_clear(&text);
    df_command_list(table, true, &text);
    assert_non_null(strstr(text.data, "\033[1mcommands:\033[0m"));
    df_text_release(&text);
}

static void the_exit_status_tells_the_kind_of_error(void **state)
{
    static const df_status kinds[] = { DF_ERR_USAGE, DF_ERR_INTERRUPTED, DF_ERR_IO, DF_ERR_CHECK, DF_ERR_FORMAT };
    static const int expected[] = { 2, 130, 1, 1, 1 };
    struct df_error err;

    (void)state;
    for (size_t i = 0; i < 5; i++) {
        df_fail(&err, kinds[i], "message %zu of the test", i);
        assert_int_equal(df_command_fail(&err), expected[i]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(options_are_parsed_in_every_form),
        cmocka_unit_test(slips_are_usage_errors_that_say_what_to_do),
        cmocka_unit_test(commands_are_found_and_run),
        cmocka_unit_test(help_goes_to_stdout_and_shows_the_table),
        cmocka_unit_test(the_exit_status_tells_the_kind_of_error),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
