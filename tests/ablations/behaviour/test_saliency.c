/* D-RISE against numpy (tests/golden/make_explain.py), and of detectors whose saliency is known. */
#include "ablations/behaviour/erasure.h"

#include <math.h>

#include "core/base/json.h"
#include "tests/ablations/behaviour/blind.h"

/* ---- against numpy -------------------------------------------------------------------------------------------------------------------- */

static cJSON *golden;

static int read_golden(void **state)
{
    struct df_error err = { 0 };

    (void)state;
    return df_json_read("tests/golden/explain.json", &golden, &err) == DF_OK ? 0 : -1;
}

static int free_golden(void **state)
{
    (void)state;
    cJSON_Delete(golden);
    return 0;
}

static double number(const cJSON *object, const char *name) { return cJSON_GetObjectItemCaseSensitive(object, name)->valuedouble; }
static bool is(const cJSON *object, const char *name) { return cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(object, name)); }

static size_t numbers(const cJSON *object, const char *name, double *out)
{
    size_t n = 0;
    const cJSON *item;

    cJSON_ArrayForEach(item, cJSON_GetObjectItemCaseSensitive(object, name)) out[n++] = item->valuedouble;
    return n;
}

/* A box's class scores are the mean colour in it; it is found where the largest is above the threshold. */
static size_t look_at_colours(const struct blind *blind, const struct df_batch *batch, size_t n, struct df_found *found,
                              float (*scores)[BLIND_CLASSES])
{
    size_t count = 0;

    for (size_t k = 0; k < blind->boxes; k++) {
        const float *b = blind->box[k];
        const size_t x0 = (size_t)b[0], y0 = (size_t)b[1], x1 = (size_t)b[2], y1 = (size_t)b[3];
        double sum[3] = { 0 }, most = 0;

        for (size_t y = y0; y < y1; y++)
            for (size_t x = x0; x < x1; x++)
                for (size_t c = 0; c < 3; c++)
                    sum[c] += blind_value(blind, batch, n, y, x, c);
        for (size_t c = 0; c < 3; c++) {
            scores[count][c] = (float)(sum[c] / (double)((x1 - x0) * (y1 - y0)));
            most = fmax(most, (double)scores[count][c]);
        }
        found[count] = (struct df_found){ .box = { b[0], b[1], b[2], b[3] }, .score = (float)most, .scores = scores[count] };
        count += most > blind->threshold;
    }
    return count;
}

struct golden_case {
    const cJSON *json;
    struct blind blind;
    struct blind_image image;
    float box[BLIND_FOUND][4];
    struct df_saliency_options saliency;
    struct df_erasure_options erasure;
    size_t h, w, targets;
    struct df_target target[2];
    float scores[2][BLIND_CLASSES];
};

static void open_options(struct golden_case *g)
{
    const cJSON *o = cJSON_GetObjectItemCaseSensitive(g->json, "options");

    g->saliency = (struct df_saliency_options){
        .mask = { .count = (int64_t)number(o, "count"),
                  .grid = (int64_t)number(o, "grid"),
                  .seed = (int64_t)number(o, "seed"),
                  .keep = number(o, "keep"),
                  .edges = strcmp(cJSON_GetObjectItemCaseSensitive(o, "edges")->valuestring, "nearest") == 0 ? DF_MASK_NEAREST
                                                                                                             : DF_MASK_BILINEAR,
                  .shift = is(o, "shift") },
        .centre = is(o, "centre"),
        .confidence = is(o, "confidence"),
    };
    g->erasure = (struct df_erasure_options){ (int64_t)number(o, "steps"), number(o, "blur") };
}

static void open_case(int i, struct golden_case *g)
{
    double value[1024];
    const cJSON *item;

    *g = (struct golden_case){ .json = cJSON_GetArrayItem(cJSON_GetObjectItemCaseSensitive(golden, "cases"), i) };
    open_options(g);
    g->h = (size_t)number(golden, "height");
    g->w = (size_t)number(golden, "width");
    g->blind = (struct blind){ .canvas = blind_canvas(number(golden, "mean"), number(golden, "std")),
                               .look = look_at_colours,
                               .threshold = number(golden, "threshold") };
    cJSON_ArrayForEach(item, cJSON_GetObjectItemCaseSensitive(golden, "found"))
    {
        for (int k = 0; k < 4; k++)
            g->box[g->blind.boxes][k] = (float)cJSON_GetArrayItem(item, k)->valuedouble;
        g->blind.boxes++;
    }
    g->blind.box = (const float(*)[4])g->box;
    numbers(g->json, "image", value);
    blind_image_init(&g->image, &g->blind.canvas, (size_t)number(golden, "canvas"), g->h, g->w, value);
    cJSON_ArrayForEach(item, cJSON_GetObjectItemCaseSensitive(g->json, "targets"))
    {
        numbers(item, "box", value);
        g->target[g->targets].box = (struct df_box){ (float)value[0], (float)value[1], (float)value[2], (float)value[3] };
        numbers(item, "scores", value);
        for (size_t c = 0; c < BLIND_CLASSES; c++)
            g->scores[g->targets][c] = (float)value[c];
        g->target[g->targets].scores = g->scores[g->targets];
        g->targets++;
    }
}

static struct df_scene_asked asked_of(const struct golden_case *g)
{
    return (struct df_scene_asked){ &g->blind.canvas, &g->image.batch, g->targets, g->target };
}

/* The bits are the same, for Philox is; what is enlarged from them differs by float's rounding. */
static void masks_are_as_in_numpy(void **state)
{
    (void)state;
    for (int i = 0; i < 3; i++) {
        struct golden_case g;
        double expected[1024];
        float mask[1024];

        open_case(i, &g);
        const size_t n = numbers(g.json, "masks", expected), pixels = g.h * g.w;

        assert_int_equal(n, 3 * pixels);
        for (size_t k = 0; k < n; k++) {
            if (k % pixels == 0)
                df_mask_draw(&g.saliency.mask, k / pixels, g.h, g.w, mask);
            assert_close((double)mask[k % pixels], expected[k], 0, 1e-7);
        }
        free(g.image.batch.pixels);
    }
}

static void check_target(struct golden_case *g, size_t t, const float *weight, const double *halves)
{
    const cJSON *json = cJSON_GetArrayItem(cJSON_GetObjectItemCaseSensitive(g->json, "targets"), (int)t);
    const size_t pixels = g->h * g->w, masks = (size_t)g->saliency.mask.count;
    const struct df_answerer answerer = blind_answerer(&g->blind);
    const struct df_scene_asked asked = asked_of(g);
    double expected[1024], mean[512];
    const struct df_map map = { g->h, g->w, mean };
    struct df_erasure erasure;
    struct df_error err;

    assert_int_equal(numbers(json, "weight", expected), masks);
    for (size_t i = 0; i < masks; i++)
        assert_close((double)weight[i], expected[i], 1e-5, 1e-6); /* pixels, overlaps and scores are float */
    assert_int_equal(numbers(json, "halves", expected), 2 * pixels);
    for (size_t p = 0; p < 2 * pixels; p++)
        assert_close(halves[p], expected[p], 1e-5, 1e-5);
    for (size_t p = 0; p < pixels; p++)
        mean[p] = (halves[p] + halves[pixels + p]) / 2;
    assert_close(df_map_energy_in(&map, g->target[t].box), number(json, "energy"), 0, 1e-5);
    assert_int_equal(df_map_points_at(&map, g->target[t].box), is(json, "points"));
    assert_close(df_rank_correlation(halves, halves + pixels, pixels), number(json, "split_half"), 0, 1e-3); /* near ties may swap */
    assert_ok(df_erasure_measure(&g->erasure, &g->saliency, &answerer, &asked, t, &map, &erasure, &err));
    assert_close(erasure.deletion, number(json, "deletion"), 1e-5, 1e-6);
    assert_close(erasure.insertion, number(json, "insertion"), 1e-5, 1e-6);
}

static void saliency_is_as_in_numpy(void **state)
{
    (void)state;
    for (int i = 0; i < 3; i++) {
        struct golden_case g;
        float weight[128];
        double halves[2048];
        struct df_error err;

        open_case(i, &g);
        const struct df_answerer answerer = blind_answerer(&g.blind);
        const struct df_scene_asked asked = asked_of(&g);
        const size_t masks = (size_t)g.saliency.mask.count;

        assert_ok(df_saliency_ask(&g.saliency, &answerer, &asked, weight, &err));
        assert_int_equal(g.blind.asked, masks); /* both targets share the passes */
        df_saliency_halves(&g.saliency, weight, g.targets, g.h, g.w, halves);
        for (size_t t = 0; t < g.targets; t++)
            check_target(&g, t, weight + t * masks, halves + t * 2 * g.h * g.w);
        free(g.image.batch.pixels);
    }
}

/* ---- detectors whose saliency is known ---------------------------------------------------------------------------------------------------- */

enum { SIDE = 32, PIXELS = SIDE * SIDE, MASKS = 400, CELL_Y = 20, CELL_X = 9 };
static const float one_box[1][4] = { { 4, 12, 16, 28 } };
static const float one_hot[BLIND_CLASSES] = { 0, 1, 0 };
static const struct df_target one_target = { { 4, 12, 16, 28 }, one_hot };

static size_t say_always(const struct blind *blind, const struct df_batch *batch, size_t n, struct df_found *found,
                         float (*scores)[BLIND_CLASSES])
{
    (void)batch;
    (void)n;
    memcpy(scores[0], one_hot, sizeof one_hot);
    found[0] = (struct df_found){ .box = { blind->box[0][0], blind->box[0][1], blind->box[0][2], blind->box[0][3] },
                                  .score = 1,
                                  .scores = scores[0] };
    return 1;
}

static size_t say_nothing(const struct blind *blind, const struct df_batch *batch, size_t n, struct df_found *found,
                          float (*scores)[BLIND_CLASSES])
{
    (void)blind, (void)batch, (void)n, (void)found, (void)scores;
    return 0;
}

/* Finds the object as far as one pixel is bright, beside two boxes that are elsewhere or of another class. `threshold` other than 0: in the
 * opposite order. */
static size_t see_one_cell(const struct blind *blind, const struct df_batch *batch, size_t n, struct df_found *found,
                           float (*scores)[BLIND_CLASSES])
{
    static const float other[BLIND_CLASSES] = { 0.9f, 0.1f, 0 };
    const float seen = (float)blind_value(blind, batch, n, CELL_Y, CELL_X, 0), half = 8 * (1 - seen);
    const struct df_found say[3] = { { .box = { 4 + half, 12, 16 + half, 28 }, .score = 0.5f },
                                     { .box = { 0, 0, 8, 8 }, .score = 0.9f },
                                     { .box = { 4, 12, 16, 28 }, .score = 0.4f } };

    for (size_t k = 0; k < 3; k++) {
        const size_t to = blind->threshold != 0 ? 2 - k : k;

        found[to] = say[k];
        memcpy(scores[to], k == 2 ? other : one_hot, sizeof one_hot);
        found[to].scores = scores[to];
    }
    return 3;
}

static const struct df_saliency_options known = {
    .mask = { .count = MASKS, .grid = 8, .seed = 3, .keep = 0.5, .edges = DF_MASK_BILINEAR, .shift = true }, .centre = true
};

/* The map of a blind detector over a white image; weight: its weights. */
static void ask_known(struct blind *blind, const struct df_saliency_options *options, float *weight, double *map)
{
    double white[PIXELS * 3], *halves = df_malloc(2 * PIXELS * sizeof *halves);
    struct blind_image image;
    struct df_error err;

    blind->canvas = blind_canvas(0.4, 0.2);
    blind->box = one_box;
    for (size_t i = 0; i < PIXELS * 3; i++)
        white[i] = 255;
    blind_image_init(&image, &blind->canvas, SIDE, SIDE, SIDE, white);

    const struct df_answerer answerer = blind_answerer(blind);

    assert_ok(df_saliency_ask(options, &answerer, &(struct df_scene_asked){ &blind->canvas, &image.batch, 1, &one_target }, weight, &err));
    df_saliency_halves(options, weight, 1, SIDE, SIDE, halves);
    for (size_t p = 0; p < PIXELS; p++)
        map[p] = (halves[p] + halves[PIXELS + p]) / 2;
    free(image.batch.pixels);
    free(halves);
}

/* The map is the mean mask over p; centred it is nothing. */
static void a_constant_detector_maps_the_masks(void **state)
{
    static double map[PIXELS], sum[PIXELS];
    static float weight[MASKS], mask[PIXELS];
    struct blind blind = { .look = say_always };
    struct df_saliency_options plain = known;

    (void)state;
    plain.centre = false;
    ask_known(&blind, &plain, weight, map);
    for (size_t i = 0; i < MASKS; i++) {
        assert_true(weight[i] == 1);
        df_mask_draw(&plain.mask, i, SIDE, SIDE, mask);
        for (size_t p = 0; p < PIXELS; p++)
            sum[p] += (double)mask[p];
    }
    for (size_t p = 0; p < PIXELS; p++)
        assert_close(map[p], sum[p] / (MASKS * 0.5), 1e-12, 0);
    ask_known(&blind, &known, weight, map);
    for (size_t p = 0; p < PIXELS; p++)
        assert_close(map[p], 0, 0, 1e-12);
}

static void a_detector_of_one_cell_peaks_there(void **state)
{
    static double map[PIXELS];
    static float weight[MASKS];
    struct blind blind = { .look = see_one_cell };
    size_t order[PIXELS];

    (void)state;
    ask_known(&blind, &known, weight, map);
    df_map_order(&(struct df_map){ SIDE, SIDE, map }, order);
    assert_in_range(order[0] / SIDE, CELL_Y - 2, CELL_Y + 2); /* a cell of the grid is 4 pixels */
    assert_in_range(order[0] % SIDE, CELL_X - 2, CELL_X + 2);
    assert_true(df_map_points_at(&(struct df_map){ SIDE, SIDE, map }, one_target.box));
    assert_false(df_map_points_at(&(struct df_map){ SIDE, SIDE, map }, (struct df_box){ 0, 0, 8, 8 }));
}

static void the_order_of_detections_does_not_matter(void **state)
{
    static double map[2][PIXELS];
    static float weight[2][MASKS];
    struct blind blind[2] = { { .look = see_one_cell }, { .look = see_one_cell, .threshold = 1 } };

    (void)state;
    for (int k = 0; k < 2; k++)
        ask_known(&blind[k], &known, weight[k], map[k]);
    assert_memory_equal(weight[0], weight[1], sizeof weight[0]);
    assert_memory_equal(map[0], map[1], sizeof map[0]);
}

static void no_detection_weighs_nothing(void **state)
{
    static double map[PIXELS];
    static float weight[MASKS];
    struct blind blind = { .look = say_nothing };

    (void)state;
    ask_known(&blind, &known, weight, map);
    for (size_t i = 0; i < MASKS; i++)
        assert_true(weight[i] == 0);
    for (size_t p = 0; p < PIXELS; p++)
        assert_true(map[p] == 0);
    assert_close(df_map_energy_in(&(struct df_map){ SIDE, SIDE, map }, one_target.box), 12.0 * 16 / PIXELS, 0, 1e-12);
    assert_true(df_rank_correlation(map, map, PIXELS) == 0);
}

static void a_seed_is_a_stream(void **state)
{
    static float a[PIXELS], b[PIXELS], c[PIXELS], d[PIXELS];
    struct df_mask_options other = known.mask;

    (void)state;
    other.seed++;
    df_mask_draw(&known.mask, 7, SIDE, SIDE, a);
    df_mask_draw(&known.mask, 7, SIDE, SIDE, b);
    df_mask_draw(&known.mask, 8, SIDE, SIDE, c);
    df_mask_draw(&other, 7, SIDE, SIDE, d);
    assert_memory_equal(a, b, sizeof a);
    assert_memory_not_equal(a, c, sizeof a);
    assert_memory_not_equal(a, d, sizeof a);
}

static void ranks_take_ties_in_the_middle(void **state)
{
    const double a[] = { 1, 2, 2, 4, 5 }, b[] = { 10, 30, 20, 20, 50 }, falling[] = { 5, 4, 3, 2, 1 };

    (void)state;
    /* ranks 1, 2.5, 2.5, 4, 5 and 1, 4, 2.5, 2.5, 5: products of the deviations 4, -0.5, 0.25, -0.5, 4 over 9.5 */
    assert_close(df_rank_correlation(a, b, 5), 7.25 / 9.5, 1e-14, 0);
    assert_close(df_rank_correlation(a, a, 5), 1, 1e-14, 0);
    assert_true(df_rank_correlation(a, falling, 5) < -0.9);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(masks_are_as_in_numpy),
        cmocka_unit_test(saliency_is_as_in_numpy),
        cmocka_unit_test(a_constant_detector_maps_the_masks),
        cmocka_unit_test(a_detector_of_one_cell_peaks_there),
        cmocka_unit_test(the_order_of_detections_does_not_matter),
        cmocka_unit_test(no_detection_weighs_nothing),
        cmocka_unit_test(a_seed_is_a_stream),
        cmocka_unit_test(ranks_take_ties_in_the_middle),
    };

    return cmocka_run_group_tests(tests, read_golden, free_golden);
}
