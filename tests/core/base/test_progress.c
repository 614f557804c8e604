/* Progress under a clock of our own: when it speaks, what it says, where it is silent. */
#include "core/base/progress.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/base/file.h"
#include "core/base/progress_file.h"
#include "core/base/progress_internal.h"
#include "tests/support/support.h"

static double seconds;
static double fake_clock(void) { return seconds; }

struct capture {
    FILE *stream;
    char *data;
    size_t bytes;
};

static void start(struct capture *capture, bool terminal, int columns)
{
    capture->stream = open_memstream(&capture->data, &capture->bytes);
    assert_non_null(capture->stream);
    df_progress_inject(fake_clock, capture->stream, terminal, columns);
    df_progress_enable(true);
    seconds = 1000;
}

static size_t count(const char *text, char c)
{
    size_t n = 0;

    for (; *text; text++)
        n += *text == c;
    return n;
}

static void stop(struct capture *capture)
{
    df_progress_enable(false);
    df_progress_inject(NULL, NULL, false, 0);
    fclose(capture->stream);
    free(capture->data);
}

static void a_terminal_gets_a_bar_with_rate_and_eta(void **state)
{
    struct capture capture;
    struct df_progress *progress;

    (void)state;
    start(&capture, true, 100);
    progress = df_progress_new("train", "images", 1000);
    seconds += 0.4;
    df_progress_set(progress, 10, NULL);
    fflush(capture.stream);
    assert_int_equal(capture.bytes, 0); /* nothing before half a second */
    seconds += 9.6;
    df_progress_set(progress, 250, "loss 0.5");
    assert_string_equal(capture.data, "\rtrain [==========>                             ]  25 %  24 images/s  eta 31s  loss 0.5\033[K");
    df_progress_free(progress);
    assert_int_equal(capture.data[capture.bytes - 1], '\n');
    stop(&capture);
}

static void redraws_are_at_most_ten_a_second(void **state)
{
    struct capture capture;
    struct df_progress *progress;

    (void)state;
    start(&capture, true, 100);
    progress = df_progress_new("train", "steps", 10000);
    for (int i = 1; i <= 2000; i++) { /* two seconds */
        seconds += 0.001;
        df_progress_set(progress, i, NULL);
    }
    assert_in_range(count(capture.data, '\r'), 12, 16); /* 1.5 s of them */
    df_progress_free(progress);
    stop(&capture);
}

static void a_line_fits_the_terminal(void **state)
{
    struct capture capture;
    struct df_progress *progress;

    (void)state;
    start(&capture, true, 30);
    progress = df_progress_new("a label longer than the terminal is wide", "x", 10);
    seconds += 2;
    df_progress_set(progress, 5, "note");
    assert_string_equal(capture.data, "\ra label..s wide  50 %  eta 2s\033[K");
    df_progress_free(progress);
    stop(&capture);
}

/* What goes first where a line is too long, down to nothing but percent and ETA. */
static void a_narrow_line_keeps_percent_and_eta(void **state)
{
    static const struct {
        size_t columns;
        const char *line;
    } cases[] = { { 99, "DéFeat seed 1 [===================>                    ]  49 %  12.5 steps/s  eta 1m 05s  loss 0.25" },
                  { 67, "DéFeat seed 1 [===>    ]  49 %  12.5 steps/s  eta 1m 05s  loss 0.25" },
                  { 66, "DéFeat seed 1 [==========>          ]  49 %  eta 1m 05s  loss 0.25" },
                  { 58, "DéFeat seed 1 [======>      ]  49 %  eta 1m 05s  loss 0.25" },
                  { 42, "DéFeat seed 1  49 %  eta 1m 05s  loss 0.25" },
                  { 41, "DéFeat seed 1  49 %  eta 1m 05s" },
                  { 31, "DéFeat seed 1  49 %  eta 1m 05s" },
                  { 30, "DéFe..seed 1  49 %  eta 1m 05s" },
                  { 29, "DéFeat seed  49 %  eta 1m 05s" },
                  { 20, "Dé  49 %  eta 1m 05s" },
                  { 3, "  4" } };
    const struct df_progress_view view = {
        .label = "DéFeat seed 1", .unit = "steps", .note = "loss 0.25", .total = 200, .done = 99.5, .rate = 12.5, .eta = 65
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct df_text line = DF_TEXT_INIT;

        df_progress_line(&view, cases[i].columns, 0, &line);
        assert_true(df_text_columns(df_text_get(&line)) <= cases[i].columns);
        assert_string_equal(df_text_get(&line), cases[i].line);
        df_text_release(&line);
    }
}

static void parts_stand_below_in_columns(void **state)
{
    const struct df_progress_view part[] = {
        { .label = "none seed 10", .unit = "steps", .note = "loss 2", .total = 10, .done = 5, .eta = 7 },
        { .label = "the teacher", .elapsed = 4, .eta = NAN },
    };
    struct capture capture;
    struct df_progress *progress;

    (void)state;
    start(&capture, true, 60);
    progress = df_progress_new("sweep", "cells", 4);
    seconds += 1;
    df_progress_parts(progress, 90, part, 2);
    df_progress_set(progress, 1, "2 running");
    assert_string_equal(capture.data, "\rsweep        [===>           ]  25 %  eta 1m 30s  2 running\033[K\n"
                                      "none seed 10 [===========>          ]  50 %  eta 7s  loss 2\033[K\n"
                                      "the teacher   4s\033[K");
    size_t before = capture.bytes;

    seconds += 1;
    df_progress_parts(progress, NAN, part, 1);
    df_progress_set(progress, 2, ""); /* from the first line on, and nothing is left of the third */
    assert_string_equal(capture.data + before, "\r\033[2Asweep        [=================>                ]  50 %  2s\033[K\n"
                                               "none seed 10 [===========>          ]  50 %  eta 7s  loss 2\033[J");
    before = capture.bytes;
    df_progress_clear_line();
    assert_string_equal(capture.data + before, "\r\033[1A\033[J");
    df_progress_free(progress);
    stop(&capture);
}

static void another_process_reads_what_the_bar_shows(void **state)
{
    static const char left[] = "1 2 3 4 5\tsteps\ta\tb\n";
    struct df_progress_view view;
    struct capture capture;
    struct df_progress *progress;
    char *path = df_path_join(df_test_folder(), "progress");

    (void)state;
    assert_false(df_progress_read(path, &view));
    start(&capture, true, 60);
    df_progress_enable(false); /* as in a worker: the file has it all the same */
    df_progress_tell(path);
    progress = df_progress_new("a\tb", "steps", 40);
    seconds += 2;
    df_progress_set(progress, 10, "loss 0.5");
    assert_true(df_progress_read(path, &view));
    assert_string_equal(view.label, "a\\x09b");
    assert_string_equal(view.unit, "steps");
    assert_string_equal(view.note, "loss 0.5");
    assert_true(view.done == 10 && view.total == 40 && view.rate == 5 && view.eta == 6 && view.elapsed == 2);
    df_progress_free(progress);
    df_progress_untell();
    assert_false(df_file_exists(path));
    assert_int_equal(df_file_write(path, left, sizeof left - 1, NULL), DF_OK);
    assert_false(df_progress_read(path, &view)); /* of a process that was killed */

    int held;

    assert_int_equal(df_lock(path, true, &held, NULL), DF_OK);
    assert_true(df_progress_read(path, &view));
    assert_int_equal(pwrite(held, "1 2 3 4 5\tsteps\ta", 18, 0), 18); /* met half done */
    assert_int_equal(ftruncate(held, 18), 0);
    assert_false(df_progress_read(path, &view));
    df_unlock(held);
    free(path);
    stop(&capture);
}

static void elsewhere_plain_lines_every_ten_seconds(void **state)
{
    struct capture capture;
    struct df_progress *progress;

    (void)state;
    start(&capture, false, 0);
    progress = df_progress_new("cache", "images", 400);
    for (int i = 1; i <= 35; i++) {
        seconds += 1;
        df_progress_set(progress, 10 * i, NULL);
    }
    assert_int_equal(count(capture.data, '\n'), 3);
    assert_int_equal(count(capture.data, '\r') + count(capture.data, '\033'), 0);
    assert_non_null(strstr(capture.data, "cache:  25 %  10 images/s  eta 30s\n"));
    df_progress_free(progress);
    stop(&capture);
}

static void work_found_done_does_not_count_as_fast(void **state)
{
    struct capture capture;
    struct df_progress *progress;

    (void)state;
    start(&capture, true, 100);
    progress = df_progress_new("sweep", "cells", 100);
    df_progress_set(progress, 90, NULL); /* resumed */
    seconds += 10;
    df_progress_set(progress, 91, NULL);
    assert_non_null(strstr(capture.data, "0.1 cells/s  eta 1m 30s"));
    df_progress_free(progress);
    stop(&capture);
}

static void a_warning_gets_a_line_of_its_own(void **state)
{
    struct capture capture;
    struct df_progress *progress;

    (void)state;
    start(&capture, true, 100);
    progress = df_progress_new("train", "steps", 10);
    seconds += 1;
    df_progress_set(progress, 1, NULL);
    df_progress_clear_line();
    assert_string_equal(capture.data + capture.bytes - 4, "\r\033[K");
    const size_t before = capture.bytes;

    df_progress_clear_line();
    assert_int_equal(capture.bytes, before); /* nothing to clear any more */
    df_progress_free(progress);
    stop(&capture);
}

static void silent_when_off_or_short_or_without_total(void **state)
{
    struct capture capture;
    struct df_progress *progress;

    (void)state;
    start(&capture, true, 100);
    progress = df_progress_new("blink", "x", 10);
    seconds += 0.3;
    df_progress_set(progress, 10, NULL);
    df_progress_free(progress);
    df_progress_enable(false);
    progress = df_progress_new("off", "x", 10);
    seconds += 30;
    df_progress_set(progress, 5, NULL);
    df_progress_free(progress);
    fflush(capture.stream);
    assert_int_equal(capture.bytes, 0);
    df_progress_enable(true);
    progress = df_progress_new("count", "files", 0);
    df_progress_set(progress, 0, NULL);
    seconds += 2;
    df_progress_set(progress, 6, NULL);
    assert_string_equal(capture.data, "\rcount: 6 files  3 files/s  2s\033[K");
    df_progress_free(progress);
    df_progress_free(NULL);
    stop(&capture);
}

static void durations(void **state)
{
    static const struct {
        double seconds;
        const char *text;
    } cases[] = { { 0, "0s" },          { 12.4, "12s" },    { 59.6, "1m 00s" }, { 200, "3m 20s" },
                  { 3599.6, "1h 00m" }, { 3720, "1h 02m" }, { -5, "0s" },       { 1e300, "1000000h 00m" } };
    char buffer[24];

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        assert_string_equal(df_duration_text(buffer, cases[i].seconds), cases[i].text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_terminal_gets_a_bar_with_rate_and_eta),
        cmocka_unit_test(redraws_are_at_most_ten_a_second),
        cmocka_unit_test(a_line_fits_the_terminal),
        cmocka_unit_test(a_narrow_line_keeps_percent_and_eta),
        cmocka_unit_test(parts_stand_below_in_columns),
        cmocka_unit_test(another_process_reads_what_the_bar_shows),
        cmocka_unit_test(elsewhere_plain_lines_every_ten_seconds),
        cmocka_unit_test(work_found_done_does_not_count_as_fast),
        cmocka_unit_test(a_warning_gets_a_line_of_its_own),
        cmocka_unit_test(silent_when_off_or_short_or_without_total),
        cmocka_unit_test(durations),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
