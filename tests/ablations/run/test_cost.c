/* Costs on paper: against formulas, against the same counts on a device that computes, and against a trainer's own step. */
#include "ablations/run/cache.h"
#include "ablations/run/cost.h"
#include "ablations/run/trainer.h"
#include "tests/ablations/run/tiny.h"

#define DEFEAT "{\"head\":\"decoupled\",\"adapt_init\":\"normal\",\"adapt_std\":0.01,\"normalise_teacher\":true,\"rounding\":\"cover\"}"

#define FASTER                                                                                                                             \
    "{\"anchor_size\":[13,23,40],\"rpn_batch\":40,\"rpn_pre_nms_train\":60,\"rpn_post_nms_train\":40,\"rpn_post_nms_test\":20,"            \
    "\"roi_size\":3,\"roi_canonical_size\":32,\"fc_width\":20,\"roi_batch\":12}"
#define NETWORK(widths)                                                                                                                    \
    "{\"depth\":0,\"blocks\":[1,1,1],\"widths\":" widths                                                                                   \
    ",\"stem_width\":8,\"stem\":\"small\",\"fpn_stages\":[2,3,4],\"fpn_channels\":8,\"extra\":\"none\"}"

static struct df_cell *taught(void)
{
    struct df_cell *cell = tiny_cell(TINY_STUDENT, TINY_SCHEDULE, "cpu", 3);

    tiny_add(cell, "defeat", DEFEAT, tiny_teacher("cpu"));
    return cell;
}

static struct df_cell *faster_cell(const char *network, const char *detector, const char *schedule)
{
    struct df_cell *cell = tiny_cell(network, schedule, "cpu", 0);

    free(cell->detector_options);
    cell->detector = df_detector_class_find("faster_rcnn", NULL);
    cell->detector_options = tiny_options(cell->detector->options, cell->detector->options_size, detector);
    return cell;
}

static struct df_cell *faster_taught(const char *student, const char *of_teacher, const char *detector, const char *options)
{
    struct df_cell *cell = faster_cell(student, detector, TINY_SCHEDULE), *teacher = faster_cell(of_teacher, detector, TINY_SCHEDULE);
    struct df_error err = { 0 };

    teacher->teacher_role = true;
    assert_ok(df_cell_seal(teacher, &err));
    tiny_add(cell, "defeat", options, teacher);
    return cell;
}

static void drop(struct df_cell *cell)
{
    df_cell_free(cell->teacher[0].cell);
    df_cell_free(cell);
}

static struct df_cost count(const struct df_cell *cell, size_t classes, size_t height, size_t width, bool compute)
{
    struct df_error err = { 0 };
    struct df_cost cost;

    assert_ok(df_cost_count(cell, (struct df_cost_images){ .height = height, .width = width, .classes = classes }, compute, &cost, &err));
    return cost;
}

/* Computing changes no count. */
static void dry_counts_are_those_of_a_computing_device(void **state)
{
    struct df_cell *cell = *state;
    const struct df_cost dry = count(cell, 5, 64, 96, false), wet = count(cell, 5, 64, 96, true);

    for (int p = 0; p < DF_COST_PARTS; p++) {
        assert_memory_equal(&dry.step[p], &wet.step[p], sizeof dry.step[p]);
        assert_memory_equal(&dry.image[p], &wet.image[p], sizeof dry.image[p]);
        assert_true(dry.image[p].bytes + dry.step[p].bytes > 0);
    }
    assert_close(dry.tape_image, wet.tape_image, 0, 0);
    assert_close(dry.teacher_tape, wet.teacher_tape, 0, 0);
    assert_memory_equal(&dry.record, &wet.record, sizeof dry.record);
}

static int one_stage(void **state)
{
    *state = taught();
    return 0;
}

static int two_stages(void **state)
{
    *state = faster_taught(NETWORK("[8,8,16]"), NETWORK("[8,16,24]"), FASTER, DEFEAT);
    return 0;
}

/* A distiller that cuts a crop for every positive: how much it does hangs on the labels. */
static int by_labels(void **state)
{
    struct df_cell *cell = tiny_cell(TINY_STUDENT, TINY_SCHEDULE, "cpu", 3), *teacher = tiny_classifier("cpu", "{\"size\":16}");

    tiny_add(cell, "kd_classifier", "{}", teacher);
    *state = cell;
    return 0;
}

static int drop_cell(void **state)
{
    drop(*state);
    return 0;
}

static struct df_cost_amount total(const struct df_cost *cost, size_t batch, bool teacher)
{
    struct df_cost_amount sum = { 0 };

    for (int p = 0; p < DF_COST_PARTS; p++) {
        const struct df_cost_amount part = df_cost_part(cost, (enum df_cost_part)p, batch);

        if (!df_cost_counts((enum df_cost_part)p, !teacher))
            continue;
        sum.flops += part.flops;
        sum.bytes += part.bytes;
        sum.copied += part.copied;
    }
    return sum;
}

/* Bytes of a cache's first record. */
static size_t record_of(const char *cache)
{
    struct df_text text = DF_TEXT_INIT;
    struct df_error err = { 0 };
    size_t bytes = 0;

    assert_ok(df_cache_describe(cache, false, &text, &err));
    assert_int_equal(sscanf(strstr(df_text_get(&text), "pixels,"), "pixels, %zu bytes", &bytes), 1);
    df_text_release(&text);
    return bytes;
}

/* A batch of 5, scaled up from one and two, against a real trainer's second step with the teacher's cache. Its flops are the same numbers; it
 * also logs the loss and its terms (12 bytes each), and partial sums come in whole tiles: 1e-3. */
static void scaled_counts_are_those_of_a_step(void **state)
{
    struct df_cell *cell = taught();
    struct df_run_options options = tiny_run(tiny_out("step"));
    struct df_error err = { 0 };
    struct df_trainer *trainer;
    struct df_cost_amount step = { 0 };

    (void)state;
    options.cache = DF_CACHE_ON;
    assert_ok(df_cell_seal(cell, &err));
    assert_ok(df_prepare(cell, &options, &err));
    assert_ok(df_trainer_new(cell, &options, &trainer, &err));
    assert_ok(df_trainer_step(trainer, &err));

    struct df_device *device = trainer->student.model.device;
    const double before = device->flops;

    df_device_profile(device, true);
    assert_ok(df_trainer_step(trainer, &err));
    for (size_t i = 0; i < device->profile_count; i++)
        step.bytes += device->profile[i].bytes;

    const struct df_cost cost = count(cell, trainer->train->categories, 64, 64, false);
    const struct df_cost_amount sum = total(&cost, 5, false);

    assert_close(sum.flops, device->flops - before, 1e-12, 0);
    const double padding = 5 * 3 * (64 * 64 - 48 * 48); /* bytes that are not sent: an image that is counted fills its canvas */

    assert_close(sum.bytes + sum.copied, step.bytes + 2 * padding, 1e-3, 0);
    assert_close(cost.tape_step + 5 * cost.tape_image, (double)df_tape_used(trainer->student.tape), 1e-3, 0);
    assert_int_equal(cost.parameters + cost.adaptation,
                     df_parameters_trainable(trainer->student.model.parameters, 0, trainer->student.model.parameters->count));
    assert_int_equal(cost.record, record_of(df_teacher_cache(trainer->teacher[0])));
    df_trainer_free(trainer);
    drop(cell);
}

/* ---- formulas ---- */

/* Flops of a convolution that makes h x w pixels. */
static double conv(double h, double w, double in, double out, double kernel) { return 2 * h * w * in * out * kernel * kernel; }

static double resnet_body(const int blocks[4], double h, double w)
{
    double flops = conv(h / 2, w / 2, 3, 64, 7), in = 64;

    for (int k = 0; k < 4; k++) {
        const double stride = 4 << k, width = 64 << k, out = 4 * width, oh = h / stride, ow = w / stride;

        for (int b = 0; b < blocks[k]; b++) {
            const double s = b == 0 && k > 0 ? 2 : 1; /* of the 3x3 convolution */

            flops += conv(s * oh, s * ow, in, width, 1) + conv(oh, ow, width, width, 3) + conv(oh, ow, width, out, 1);
            flops += b == 0 ? conv(oh, ow, in, out, 1) : 0;
            in = out;
        }
    }
    return flops;
}

static double fpn(double h, double w)
{
    double flops = 0;

    for (int k = 0; k < 4; k++)
        flops += conv(h / (4 << k), w / (4 << k), 256 << k, 256, 1) + conv(h / (4 << k), w / (4 << k), 256, 256, 3);
    return flops;
}

/* torchvision's fasterrcnn_resnet50_fpn with `classes` besides background, on a canvas of whole P6 cells. */
static double rpn(double h, double w)
{
    double flops = 0;

    for (int k = 0; k < 5; k++)
        flops += conv(h / (4 << k), w / (4 << k), 256, 256, 3) + conv(h / (4 << k), w / (4 << k), 256, 3 * (1 + 4), 1);
    return flops;
}

static double box_head(double rows, double classes) { return 2 * rows * (49.0 * 256 * 1024 + 1024.0 * 1024 + 1024 * 5 * (classes + 1)); }

#define RESNET(depth) "{\"depth\":" #depth ",\"norm\":\"frozen\",\"fpn_stages\":[2,3,4,5],\"extra\":\"pool\"}"

static void faster_rcnn_costs_what_formulas_say(void **state)
{
    static const int r50[4] = { 3, 4, 6, 3 }, r152[4] = { 3, 8, 36, 3 };
    const double h = 128, w = 192, body = resnet_body(r50, h, w) + fpn(h, w), heads = rpn(h, w) + box_head(512, 80);
    struct df_cell *cell = faster_taught(RESNET(50), RESNET(152), "{}", "{}");

    (void)state;

    const struct df_cost cost = count(cell, 80, (size_t)h, (size_t)w, false);

    /* torchvision's 41755286 are for 91 classes with background, and without the frozen norms' 2 x 26560 scales and shifts */
    assert_int_equal(cost.parameters, 41755286 - (91 - 81) * 5 * 1025 + 2 * 26560);
    assert_close(cost.image[DF_COST_BODY].flops, body, 1e-12, 0);
    assert_close(cost.image[DF_COST_HEADS].flops, heads, 1e-12, 0);
    /* data and weights, but for the gradient of the pixels */
    assert_close(cost.image[DF_COST_BACKWARD].flops, 2 * (body + heads) - conv(h / 2, w / 2, 3, 64, 7), 1e-12, 0);
    /* only its neck is asked for; what a cache holds has the first stage's logits, too, never the second stage */
    assert_close(cost.image[DF_COST_TEACHER].flops, resnet_body(r152, h, w) + fpn(h, w), 1e-12, 0);
    assert_close(cost.record_flops, resnet_body(r152, h, w) + fpn(h, w) + rpn(h, w), 1e-12, 0);

    double adapt = 0;

    for (int k = 0; k < 5; k++)
        adapt += conv(h / (4 << k), w / (4 << k), 256, 256, 3);
    assert_close(cost.image[DF_COST_DISTILL].flops, adapt, 1e-12, 0);
    assert_close(cost.image[DF_COST_DISTILL_BACKWARD].flops, 2 * adapt, 1e-12, 0);
    for (int p = 0; p < DF_COST_PARTS; p++)
        assert_close(cost.step[p].flops, 0, 0, 0);
    /* necks and objectness: 5 levels of 256 channels, 3 anchors a cell; whole cache lines, and a head */
    assert_close((double)cost.record, (1536 + 384 + 96 + 24 + 6) * (256 + 3) * 4, 0, 1024);
    /* AdamW: value and both moments read and written, gradient read; gradient zeroed before, and read for its norm */
    assert_close(cost.step[DF_COST_UPDATE].bytes, 9.0 * 4 * (double)(cost.parameters + cost.adaptation), 1e-2, 0);
    drop(cell);
}

/* ---- what follows ---- */

static void a_stretch_is_the_distilled_work_over_the_plain(void **state)
{
    struct df_cost cost = { 0 };

    (void)state;
    for (int p = 0; p < DF_COST_PARTS; p++) /* every part its own digit, so that a wrong one shows */
        cost.image[p].flops = pow(10, p);
    cost.step[DF_COST_UPDATE].flops = 7;
    const double plain = 2 * (1 + 1e1 + 1e2 + 1e3 + 1e8) + 7, distilled = 2 * (1e6 + 1e7);

    cost.record_flops = 3e4;
    assert_close(df_cost_stretch(&cost, 2, 50, 30), 1 + (50 * distilled + 30 * 3e4) / (50 * plain), 1e-15, 0);
    cost.image[DF_COST_DISTILL].flops = cost.image[DF_COST_DISTILL_BACKWARD].flops = 0;
    assert_close(df_cost_stretch(&cost, 2, 50, 0), 1, 0, 0);
}

static void floors_are_the_larger_of_two(void **state)
{
    const struct df_cost_machine machine = { 100, 10 };
    struct df_cost cost = { 0 };

    (void)state;
    cost.image[DF_COST_BODY] = (struct df_cost_amount){ 200, 10, 1000 }; /* by its operations: 2 s */
    cost.image[DF_COST_TEACHER] = (struct df_cost_amount){ 100, 70, 0 }; /* by its traffic: 7 s */
    cost.step[DF_COST_UPDATE] = (struct df_cost_amount){ 0, 30, 0 };     /* once: 3 s */
    assert_close(df_cost_seconds(cost.image[DF_COST_BODY], machine), 2, 0, 1e-15);
    assert_close(df_cost_step_seconds(&cost, 4, machine, false), 4 * (2 + 7) + 3, 0, 1e-12);
    assert_close(df_cost_step_seconds(&cost, 4, machine, true), 4 * 2 + 3, 0, 1e-12);
}

static void memory_gives_the_largest_batch(void **state)
{
    const struct df_cost cost = { .tape_step = 5, .tape_image = 6, .live_record = 4, .teacher_tape = 7, .held = 20, .teacher_held = 3 };

    (void)state;
    assert_close(df_cost_memory(&cost, 3), 5 + 30 + 7 + 20 + 3, 0, 0);
    assert_int_equal(df_cost_largest_batch(&cost, 65), 3);
    assert_int_equal(df_cost_largest_batch(&cost, 64.9), 2);
    assert_int_equal(df_cost_largest_batch(&cost, 35), 0);
    assert_int_equal(df_cost_largest_batch(&cost, 20), 0);
}

/* Two teachers cost what each costs alone; a larger canvas is the teacher's own. */
static void teachers_add_up(void **state)
{
    struct df_cell *big = tiny_teacher("cpu"), *two = faster_cell(TINY_FASTER_NETWORK, TINY_FASTER_DETECTOR, TINY_SCHEDULE);
    struct df_cell *cell[3];

    (void)state;
    for (int k = 0; k < 3; k++) {
        cell[k] = tiny_cell(TINY_STUDENT, TINY_SCHEDULE, "cpu", 3);
        if (k != 1)
            tiny_add_by(cell[k], "head_kl", "{}", "big", big);
        if (k != 0)
            tiny_add_by(cell[k], "cwd", "{}", "two", two);
    }

    const struct df_cost one = count(cell[0], 8, 64, 96, false), other = count(cell[1], 8, 64, 96, false);
    const struct df_cost both = count(cell[2], 8, 64, 96, false);

    assert_true(one.image[DF_COST_TEACHER].flops > 0 && other.image[DF_COST_TEACHER].flops > 0);
    assert_close(both.image[DF_COST_TEACHER].flops, one.image[DF_COST_TEACHER].flops + other.image[DF_COST_TEACHER].flops, 1e-12, 0);
    assert_close(both.image[DF_COST_CACHED].copied, one.image[DF_COST_CACHED].copied + other.image[DF_COST_CACHED].copied, 1e-12, 0);
    assert_int_equal(both.record, one.record + other.record);
    assert_int_equal(both.largest_record, one.record > other.record ? one.record : other.record);
    assert_int_equal(both.teacher_parameters, one.teacher_parameters + other.teacher_parameters);
    assert_close(both.teacher_held, one.teacher_held + other.teacher_held, 1e-12, 0);

    two->network.fpn_stages = (struct df_list){ 3, { 3, 4, 5 } };
    two->network.blocks = (struct df_list){ 4, { 1, 1, 1, 1 } };
    two->network.widths = (struct df_list){ 4, { 8, 8, 16, 16 } };

    const struct df_cost_images large = { .height = 64, .width = 96, .classes = 8, .teacher = { [1] = { .height = 128, .width = 192 } } };
    struct df_error err = { 0 };
    struct df_cost cost;

    assert_fails(df_cost_count(cell[2], (struct df_cost_images){ 64, 96, 8, { { 0 } } }, false, &cost, &err), DF_ERR_UNSUPPORTED,
                 "'neck/0'");
    assert_ok(df_cost_count(cell[2], large, false, &cost, &err));
    assert_true(cost.image[DF_COST_TEACHER].flops > 3 * other.image[DF_COST_TEACHER].flops);
    assert_int_equal(cost.record, both.record); /* as many cells as before */
    for (int k = 0; k < 3; k++)
        df_cell_free(cell[k]);
    df_cell_free(two);
    df_cell_free(big);
}

static void cache_limit_is_exact(void **state)
{
    const struct df_cost cost = { .record = 200000, .largest_record = 128000 }; /* two caches, each within the limit */
    const double limit = 1e8;

    (void)state;
    for (size_t copies = 1; copies <= 2; copies++) {
        const size_t most = df_cost_cached_images(&cost, copies, limit);

        assert_true(most > 300);
        assert_true((double)df_cache_bytes(most * copies * cost.largest_record, most * copies) <= limit);
        assert_true((double)df_cache_bytes((most + 1) * copies * cost.largest_record, (most + 1) * copies) > limit);
    }
    assert_int_equal(df_cost_cached_images(&cost, 1, 1000), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        { "dry counts are those of a computing device: RetinaNet", dry_counts_are_those_of_a_computing_device, one_stage, drop_cell, NULL },
        { "the same: Faster R-CNN", dry_counts_are_those_of_a_computing_device, two_stages, drop_cell, NULL },
        { "the same: rows that are chosen by their labels", dry_counts_are_those_of_a_computing_device, by_labels, drop_cell, NULL },
        cmocka_unit_test(scaled_counts_are_those_of_a_step),
        cmocka_unit_test(faster_rcnn_costs_what_formulas_say),
        cmocka_unit_test(a_stretch_is_the_distilled_work_over_the_plain),
        cmocka_unit_test(floors_are_the_larger_of_two),
        cmocka_unit_test(memory_gives_the_largest_batch),
        cmocka_unit_test(teachers_add_up),
        cmocka_unit_test(cache_limit_is_exact),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
