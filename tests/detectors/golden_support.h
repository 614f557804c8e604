/* A detector against what torchvision says of it: state dict read as `defeat convert` does, expectations made by tests/golden/reference.py
 * (there: names, sketches). Everything is compared by norms: |found - expected| <= tolerance |expected|. */
#ifndef DF_TESTS_GOLDEN_SUPPORT_H
#define DF_TESTS_GOLDEN_SUPPORT_H
#include <math.h>
#include <stdio.h>

#include "core/nn/safetensors.h"
#include "tests/detectors/golden_cases.h"

enum { GOLDEN_GROUPS = 32, SKETCH = 16 };

struct golden_group {
    char name[32];
    size_t tensors;
    double worst, allowed;
};
struct golden {
    const struct golden_case *of;
    struct df_safetensors file;
    struct test_model model;
    struct test_batch *t;
    double tolerance;
    size_t groups;
    struct golden_group group[GOLDEN_GROUPS];
};

static struct golden golden_open(const struct golden_case *of, const char *device, double tolerance)
{
    struct golden g = { .of = of, .model = golden_model(of, device, true), .t = golden_batch(of), .tolerance = tolerance };
    struct df_error err;

    assert_ok(df_safetensors_open(&g.file, of->expected, &err));
    assert_ok(df_safetensors_load(&g.file, &err));
    return g;
}

static void golden_close(struct golden *g)
{
    for (size_t i = 0; i < g->groups; i++)
        print_message("  %-24s %4zu compared, largest difference %.1e (allowed %.1e)\n", g->group[i].name, g->group[i].tensors,
                      g->group[i].worst, g->group[i].allowed);
    df_safetensors_close(&g->file);
    test_batch_free(g->t);
    test_model_free(&g->model);
}

/* ---- comparing ---- */

/* An expected tensor, float64; free it. */
static double *golden_values(const struct golden *g, const char *name, size_t *count)
{
    const cJSON *tensor = cJSON_GetObjectItemCaseSensitive(g->file.header, name);
    const cJSON *offsets = cJSON_GetObjectItemCaseSensitive(tensor, "data_offsets");

    if (!tensor || strcmp(cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(tensor, "dtype")), "F64") != 0)
        fail_msg("'%s' has no float64 tensor '%s'", g->of->expected, name);

    const size_t begin = (size_t)cJSON_GetArrayItem(offsets, 0)->valuedouble, end = (size_t)cJSON_GetArrayItem(offsets, 1)->valuedouble;
    double *values = malloc(end - begin + 1);

    memcpy(values, g->file.data + begin, end - begin);
    *count = (end - begin) / sizeof *values;
    return values;
}

/* `difference` is relative; the group of "eval.grad.<name>" is "eval.grad", that of "train.neck3" is "train.neck". */
static void golden_note(struct golden *g, const char *name, double difference)
{
    const char *parts[] = { ".grad.", ".running." };
    struct golden_group *group = g->group;
    char key[32];
    size_t n;

    snprintf(key, sizeof key, "%s", name);
    for (size_t i = 0; i < 2; i++)
        if (strstr(key, parts[i]))
            strstr(key, parts[i])[strlen(parts[i]) - 1] = 0;
    for (n = strlen(key); n && key[n - 1] >= '0' && key[n - 1] <= '9'; n--)
        key[n - 1] = 0;
    while (group < g->group + g->groups && strcmp(group->name, key) != 0)
        group++;
    if (group == g->group + g->groups) {
        assert_true(g->groups < GOLDEN_GROUPS);
        g->groups++;
        memcpy(group->name, key, sizeof key);
    }
    group->tensors++;
    group->worst = difference > group->worst ? difference : group->worst;
    group->allowed = g->tolerance;
    if (!(difference <= g->tolerance))
        fail_msg("%s of %s on %s: relative difference %.3g, expected at most %.3g", name, g->of->detector, g->model.device->ops->name,
                 difference, g->tolerance);
}

static void golden_vector(struct golden *g, const char *name, const double *found, const double *expected, size_t n)
{
    double difference = 0, norm = 0;

    for (size_t i = 0; i < n; i++) {
        difference += (found[i] - expected[i]) * (found[i] - expected[i]);
        norm += expected[i] * expected[i];
    }
    golden_note(g, name, n && norm > 0 ? sqrt(difference / norm) : difference);
}

static double golden_sign(size_t i, size_t j)
{
    uint32_t x = (uint32_t)(SKETCH * i + j);

    x = (x ^ x >> 16) * 0x7FEB352DU;
    x = (x ^ x >> 15) * 0x846CA68BU;
    return x >> 31 ? -1 : 1;
}

/* The mean square of the differences of signed sums estimates the squared norm of the difference; the norm itself is compared too. */
static void golden_sketch(struct golden *g, const char *name, const double *found, size_t n)
{
    double sum[SKETCH] = { 0 }, square = 0, difference = 0;
    size_t count;
    double *expected = golden_values(g, name, &count);

    assert_int_equal(count, SKETCH + 1);
    for (size_t i = 0; i < n; i++) {
        square += found[i] * found[i];
        for (size_t j = 0; j < SKETCH; j++)
            sum[j] += golden_sign(i, j) * found[i];
    }
    for (size_t j = 0; j < SKETCH; j++)
        difference += (sum[j] - expected[j + 1]) * (sum[j] - expected[j + 1]) / SKETCH;
    difference = fmax(sqrt(difference), fabs(sqrt(square) - expected[0]));
    golden_note(g, name, expected[0] > 0 ? difference / expected[0] : difference);
    free(expected);
}

static double *golden_doubles(const struct golden *g, const df_real *data, size_t n)
{
    df_real *host = malloc(n * sizeof *host);
    double *wide = malloc(n * sizeof *wide);

    df_read(g->model.device, host, data, n * sizeof *host);
    for (size_t i = 0; i < n; i++)
        wide[i] = (double)host[i];
    free(host);
    return wide;
}

static void golden_tensor(struct golden *g, const char *name, const df_tensor *found)
{
    const size_t n = df_count(found->shape);
    double *wide = golden_doubles(g, found->data, n);

    golden_sketch(g, name, wide, n);
    free(wide);
}

/* Weights in PyTorch's order: [out,in,h,w]. */
static void golden_parameter(struct golden *g, const char *prefix, const struct df_parameter *p, const df_real *data)
{
    const size_t n = df_count(p->shape), c = p->kind == DF_VECTOR ? 1 : p->shape.c, cells = p->shape.h * p->shape.w;
    double *ours = golden_doubles(g, data, n), *theirs = malloc(n * sizeof *theirs), *to = theirs;
    char name[160];

    for (size_t o = 0; o < n / (c * cells); o++)
        for (size_t k = 0; k < c; k++)
            for (size_t q = 0; q < cells; q++)
                *to++ = ours[(o * cells + q) * c + k];
    snprintf(name, sizeof name, "%s.%s", prefix, p->name);
    golden_sketch(g, name, theirs, n);
    free(ours);
    free(theirs);
}

/* A deep network's gradient hangs on which ReLUs are open; float's noise turns a few over, whoever computes. What that comes to in PyTorch's own
 * float is in the file then, and ours may be twice as far off. */
static double golden_noise(const struct golden *g, const char *mode)
{
    char name[32];
    size_t n;
    double *noise, allowed;

    snprintf(name, sizeof name, "%s.float_noise", mode);
    noise = golden_values(g, name, &n);
    assert_int_equal(n, 1);
    allowed = 2 * *noise;
    free(noise);
    return allowed;
}

static void golden_gradients(struct golden *g, const char *mode)
{
    const double tolerance = g->tolerance;
    char prefix[16];

    if (g->of->float_noise)
        g->tolerance = golden_noise(g, mode);
    snprintf(prefix, sizeof prefix, "%s.grad", mode);
    for (size_t i = 0; i < g->model.parameters->count; i++)
        if (!g->model.parameters->items[i]->buffer)
            golden_parameter(g, prefix, g->model.parameters->items[i], g->model.parameters->items[i]->grad);
    g->tolerance = tolerance;
}

static void golden_running(struct golden *g)
{
    for (size_t i = 0; i < g->model.parameters->count; i++)
        if (g->model.parameters->items[i]->buffer)
            golden_parameter(g, "train.running", g->model.parameters->items[i], g->model.parameters->items[i]->value);
}

static void golden_anchors(struct golden *g, const struct df_detection_state *s)
{
    const double tolerance = g->tolerance;
    double *wide = malloc(s->anchors * 4 * sizeof *wide);

    for (size_t a = 0; a < s->anchors; a++) {
        const float side[4] = { s->anchor[a].x0, s->anchor[a].y0, s->anchor[a].x1, s->anchor[a].y1 };

        for (size_t k = 0; k < 4; k++)
            wide[4 * a + k] = (double)side[k];
    }
    g->tolerance = 1e-15; /* whole pixels: the same numbers; the norm's root is rounded */
    golden_sketch(g, "anchors", wide, s->anchors * 4);
    g->tolerance = tolerance;
    free(wide);
}

static void golden_maps(struct golden *g, const char *mode, const struct df_detection_state *s)
{
    char name[32];

    for (size_t k = strcmp(g->of->detector, "retinanet") == 0; k < DF_STAGES; k++) { /* torchvision's RetinaNet does not hand out C2 */
        snprintf(name, sizeof name, "%s.stage%zu", mode, k);
        golden_tensor(g, name, df_part(s, "backbone", k + 2)->tensor);
    }
    for (size_t l = 0; l < s->levels; l++) {
        snprintf(name, sizeof name, "%s.neck%zu", mode, l);
        golden_tensor(g, name, df_part(s, "neck", l)->tensor);
    }
    snprintf(name, sizeof name, "%s.logits", mode);
    golden_tensor(g, name, df_part_tensor(s, "logits"));
    snprintf(name, sizeof name, "%s.deltas", mode);
    golden_tensor(g, name, df_part_tensor(s, "deltas"));
}

/* Every term on its own, and that the loss is their sum. */
static df_tensor *golden_losses(struct golden *g, df_tape *tape, const char *mode, const struct df_detection_state *s,
                                const char *const *names, size_t count)
{
    struct df_loss_terms terms = { 0 };
    df_tensor *loss = g->model.detector->class->loss(g->model.detector, tape, s, &terms);
    char name[32];
    double *expected, sum = 0;
    size_t n;

    snprintf(name, sizeof name, "%s.losses", mode);
    expected = golden_values(g, name, &n);
    assert_int_equal(n, count);
    assert_int_equal(terms.count, count);
    for (size_t k = 0; k < count; k++) {
        const double found = df_item(tape, terms.term[k].value);

        assert_string_equal(terms.term[k].name, names[k]);
        golden_vector(g, name, &found, &expected[k], 1);
        sum += found;
    }
    assert_close(df_item(tape, loss), sum, 1e-6, 0);
    free(expected);
    return loss;
}

/* ---- boxes ---- */

struct golden_box {
    double side[4], score;
    int32_t label;
};

static double golden_apart(const struct golden_box *a, const struct golden_box *b)
{
    double most = 0;

    for (size_t k = 0; k < 4; k++)
        most = fmax(most, fabs(a->side[k] - b->side[k]));
    return most;
}

/* Of the logits of two scores: what a score's float noise is in does not depend on how near to 0 or 1 it is. */
static double golden_score_apart(const struct golden_box *a, const struct golden_box *b)
{
    return a->score == b->score ? 0 : fabs(log(a->score / (1 - a->score)) - log(b->score / (1 - b->score)));
}

/* One to one: every expected box has its nearest partner of the same label, which no other has, within 1e-4 of the image; the logits of
 * scores differ by less than half of what those of two expected ones do (of at least 50 expected ones: the scripts see to it). */
static void golden_pairs(struct golden *g, const char *name, struct golden_box *found, size_t found_count,
                         const struct golden_box *expected, size_t count)
{
    const double reach = 1e-4 * (double)(g->of->height > g->of->width ? g->of->height : g->of->width);
    double boxes[2] = { 0 }, scores[2] = { 0 };

    if (found_count != count)
        fail_msg("%s of %s: %zu boxes, expected %zu", name, g->of->detector, found_count, count);
    for (size_t i = 0; i < count; i++) {
        struct golden_box *best = NULL;

        for (size_t j = 0; j < count; j++)
            if (found[j].label == expected[i].label && (!best || golden_apart(&found[j], &expected[i]) < golden_apart(best, &expected[i])))
                best = &found[j];
        if (!best || !(golden_apart(best, &expected[i]) <= reach) || !(golden_score_apart(best, &expected[i]) <= g->of->score_tolerance))
            fail_msg("%s of %s: box %zu (%.3f %.3f %.3f %.3f, label %d, score %.6f) has no partner (the nearest is %.2g pixels and %.2g of "
                     "the score's logit away, allowed %.2g and %.2g)",
                     name, g->of->detector, i, expected[i].side[0], expected[i].side[1], expected[i].side[2], expected[i].side[3],
                     expected[i].label, expected[i].score, best ? golden_apart(best, &expected[i]) : INFINITY,
                     best ? golden_score_apart(best, &expected[i]) : INFINITY, reach, g->of->score_tolerance);
        for (size_t k = 0; k < 4; k++) {
            boxes[0] += (best->side[k] - expected[i].side[k]) * (best->side[k] - expected[i].side[k]);
            boxes[1] += expected[i].side[k] * expected[i].side[k];
        }
        scores[0] += (best->score - expected[i].score) * (best->score - expected[i].score);
        scores[1] += expected[i].score * expected[i].score;
        best->label = INT32_MIN; /* taken */
    }
    golden_note(g, name, fmax(sqrt(boxes[0] / boxes[1]), scores[1] > 0 ? sqrt(scores[0] / scores[1]) : 0));
}

/* The file's boxes, with scores and labels if there are any. */
static struct golden_box *golden_boxes(const struct golden *g, const char *name, const char *scores, const char *labels, size_t *count)
{
    size_t sides, n;
    double *side = golden_values(g, name, &sides), *score = scores ? golden_values(g, scores, &n) : NULL;
    double *label = labels ? golden_values(g, labels, &n) : NULL;
    struct golden_box *boxes = calloc(sides / 4 + 1, sizeof *boxes);

    *count = sides / 4;
    for (size_t i = 0; i < *count; i++) {
        memcpy(boxes[i].side, side + 4 * i, sizeof boxes[i].side);
        boxes[i].score = score ? score[i] : 0;
        boxes[i].label = label ? (int32_t)label[i] : 0;
    }
    free(side);
    free(score);
    free(label);
    return boxes;
}

static struct golden_box golden_box_of(struct df_box box)
{
    return (struct golden_box){ .side = { (double)box.x0, (double)box.y0, (double)box.x1, (double)box.y1 } };
}

/* Returns how many. */
static size_t golden_detections(struct golden *g, df_tape *tape, const char *prefix, const struct df_detection_state *s, size_t image)
{
    struct golden_box *found, *expected;
    char boxes[32], scores[32], labels[32];
    size_t count, n;
    const struct df_found *out = g->model.detector->class->predict(g->model.detector, tape, s, image, true, &n);

    found = calloc(n + 1, sizeof *found);
    for (size_t i = 0; i < n; i++) {
        const struct df_box b = out[i].box;

        assert_true(b.x1 <= (float)g->of->valid[image][1] && b.y1 <= (float)g->of->valid[image][0]);
        assert_true(out[i].score == out[i].scores[out[i].label]); /* what its row says of its class */
        found[i] = golden_box_of(b);
        found[i].score = (double)out[i].score;
        found[i].label = out[i].label;
        assert_true(i == 0 || found[i].score <= found[i - 1].score);
    }
    snprintf(boxes, sizeof boxes, "%sboxes%zu", prefix, image);
    snprintf(scores, sizeof scores, "%sscores%zu", prefix, image);
    snprintf(labels, sizeof labels, "%slabels%zu", prefix, image);
    expected = golden_boxes(g, boxes, scores, labels, &count);
    snprintf(boxes, sizeof boxes, "%sdetections%zu", prefix, image);
    golden_pairs(g, boxes, found, n, expected, count);
    free(found);
    free(expected);
    return n;
}

/* ---- RetinaNet ---- */

static const char *const golden_retinanet_terms[] = { "classification", "bbox_regression" };

/* A frozen network (fold) says the same, and has no gradients. */
static void golden_retinanet_case(const struct golden_case *of, const char *device, bool fold, double tolerance)
{
    struct golden g = golden_open(of, device, tolerance);
    const struct df_detector_class *class = g.model.detector->class;
    df_tape *tape = df_tape_new(g.model.device, !fold);
    struct df_detection_state s;
    df_tensor *loss;

    if (fold)
        class->fold(g.model.detector);
    df_detector_forward(g.model.detector, tape, &g.t->batch, DF_LABELS, &s);
    golden_anchors(&g, &s);
    golden_maps(&g, "eval", &s);
    loss = golden_losses(&g, tape, "eval", &s, golden_retinanet_terms, 2);
    for (size_t n = 0; n < of->images; n++)
        assert_true(golden_detections(&g, tape, "", &s, n) >= 50);
    if (!fold) {
        df_backward(tape, loss);
        golden_gradients(&g, "eval");
        df_tape_reset(tape);
        df_parameters_zero_grad(g.model.parameters);
        df_detector_forward(g.model.detector, tape, &g.t->batch, DF_TRAINING | DF_LABELS, &s);
        golden_maps(&g, "train", &s);
        df_backward(tape, golden_losses(&g, tape, "train", &s, golden_retinanet_terms, 2));
        golden_gradients(&g, "train");
        golden_running(&g);
    }
    df_tape_free(tape);
    golden_close(&g);
}

/* ---- Faster R-CNN ---- */

static const char *const golden_faster_terms[] = { "loss_objectness", "loss_rpn_box_reg", "loss_classifier", "loss_box_reg" };

static bool golden_padding(struct df_box box) { return box.x0 == 0 && box.y0 == 0 && box.x1 == 0 && box.y1 == 0; }

/* Proposals of every image, then padding. */
static void golden_proposals(struct golden *g, const struct df_detection_state *s)
{
    const size_t rows = s->rois.count / s->batch;

    for (size_t n = 0; n < s->batch; n++) {
        struct golden_box *found = calloc(rows, sizeof *found), *expected;
        char name[32];
        size_t count;

        snprintf(name, sizeof name, "proposals%zu", n);
        expected = golden_boxes(g, name, NULL, NULL, &count);
        assert_true(count > 0 && count <= rows);
        for (size_t r = 0; r < rows; r++) {
            assert_int_equal(s->rois.image[n * rows + r], n);
            assert_int_equal(golden_padding(s->rois.box[n * rows + r]), r >= count);
            found[r] = golden_box_of(s->rois.box[n * rows + r]);
        }
        golden_pairs(g, name, found, count, expected, count);
        free(found);
        free(expected);
    }
}

/* The RoI head on boxes that are not its own, with a padding row behind every image's: those see zeros, whatever their image. */
static void golden_given(struct golden *g, df_tape *tape, const struct df_detection_state *s)
{
    const size_t columns = s->classes + 1;
    size_t total, images, rows = 0, at = 0, counted, n;
    double *side = golden_values(g, "given", &total), *count = golden_values(g, "given.count", &images);
    double *labels = golden_values(g, "given.labels", &counted), *logits, *deltas;
    struct df_detection_state given;
    struct df_box *box = calloc(total / 4 + images, sizeof *box);
    uint32_t *image = calloc(total / 4 + images, sizeof *image);

    for (size_t k = 0; k < images; k++)
        for (size_t i = 0; i <= (size_t)count[k]; i++, rows++) {
            const double *b = side + 4 * at;

            image[rows] = (uint32_t)k;
            if (i < (size_t)count[k]) {
                box[rows] = (struct df_box){ (float)b[0], (float)b[1], (float)b[2], (float)b[3] };
                at++;
            }
        }
    assert_int_equal(at * 4, total);
    g->model.detector->class->run_head(g->model.detector, tape, s,
                                       &(struct df_rois){ rows, df_tape_device_copy(tape, box, rows * sizeof *box),
                                                          df_tape_device_copy(tape, image, rows * sizeof *image) },
                                       &given);
    assert_ptr_equal(df_part_tensor(&given, "logits"), df_part_tensor(s, "logits"));

    const df_real *given_label = test_host(&given, "roi/label"), *given_logits = df_part_tensor(&given, "roi/logits")->data;

    assert_int_equal(given.rois.count, rows);
    logits = golden_doubles(g, given_logits, rows * columns);
    deltas = golden_doubles(g, df_part_tensor(&given, "roi/deltas")->data, rows * 4 * columns);
    n = 0;
    for (size_t r = 0; r < rows; r++) { /* padding rows leave the arrays */
        assert_int_equal(given.rois.image[r], image[r]);
        if (golden_padding(box[r])) {
            assert_int_equal(given_label[r], -2);
            assert_memory_equal(given_logits + r * columns, given_logits + (rows - 1) * columns, columns * sizeof(df_real));
            continue;
        }
        assert_int_equal(given_label[r], (int)labels[n]);
        memmove(logits + n * columns, logits + r * columns, columns * sizeof *logits);
        memmove(deltas + n * 4 * columns, deltas + r * 4 * columns, 4 * columns * sizeof *deltas);
        n++;
    }
    free(labels);
    free(side);
    side = golden_values(g, "given.logits", &total);
    assert_int_equal(total, n * columns);
    golden_vector(g, "given.logits", logits, side, total);
    free(side);
    side = golden_values(g, "given.deltas", &total);
    golden_vector(g, "given.deltas", deltas, side, total);
    free(side);
    free(count);
    free(logits);
    free(deltas);
    free(box);
    free(image);
}

/* Sampled proposals, labels and targets; then the head on the very boxes that torchvision had sampled. */
static void golden_sampled(struct golden *g, df_tape *tape, const char *mode, const struct df_detection_state *s,
                           struct df_detection_state *out)
{
    const size_t rows = s->rois.count / s->batch;
    struct df_box *box = calloc(s->rois.count, sizeof *box);
    char name[32], labels[32], targets[32];
    size_t positives = 0;

    for (size_t n = 0; n < s->batch; n++) {
        struct golden_box *found = calloc(rows, sizeof *found), *expected;
        double *target, *own = calloc(rows, 4 * sizeof *own), *theirs = calloc(rows, 4 * sizeof *theirs);
        size_t count, sides;

        snprintf(name, sizeof name, "%s.sampled%zu", mode, n);
        snprintf(labels, sizeof labels, "%s.sampled_labels%zu", mode, n);
        snprintf(targets, sizeof targets, "%s.sampled_targets%zu", mode, n);
        expected = golden_boxes(g, name, NULL, labels, &count);
        target = golden_values(g, targets, &sides);
        assert_true(count <= rows);
        for (size_t i = 0; i < count; i++) {
            const size_t r = n * rows + i;
            const double *b = expected[i].side;

            box[r] = (struct df_box){ (float)b[0], (float)b[1], (float)b[2], (float)b[3] };
            found[i] = golden_box_of(s->rois.box[r]);
            found[i].label = (int32_t)test_host(s, "roi/label")[r];
            assert_int_equal(found[i].label, expected[i].label); /* in the same order */
            for (size_t k = 0; found[i].label >= 0 && k < 4; k++) {
                own[4 * i + k] = (double)test_host(s, "roi/target")[4 * r + k];
                theirs[4 * i + k] = target[4 * i + k];
            }
            positives += found[i].label >= 0;
        }
        for (size_t i = count; i < rows; i++)
            assert_int_equal(test_host(s, "roi/label")[n * rows + i], -2);
        golden_pairs(g, name, found, count, expected, count);
        golden_vector(g, targets, own, theirs, 4 * count);
        free(found);
        free(expected);
        free(target);
        free(own);
        free(theirs);
    }
    assert_true(positives > 0);
    g->model.detector->class->run_head(
        g->model.detector, tape, s,
        &(struct df_rois){ s->rois.count, df_tape_device_copy(tape, box, s->rois.count * sizeof *box), s->rois.image }, out);
    free(box);
}

static void golden_faster_case(const struct golden_case *of, const char *device, bool fold, double tolerance)
{
    struct golden g = golden_open(of, device, tolerance);
    const struct df_detector_class *class = g.model.detector->class;
    df_tape *tape = df_tape_new(g.model.device, !fold);
    struct df_detection_state s, fed;

    if (fold)
        class->fold(g.model.detector);
    df_detector_forward(g.model.detector, tape, &g.t->batch, 0, &s);
    assert_true(!df_parts_find(&s.parts, "label") && !df_parts_find(&s.parts, "roi/label"));
    golden_anchors(&g, &s);
    golden_maps(&g, "eval", &s);
    golden_proposals(&g, &s);
    for (size_t n = 0; n < of->images; n++)
        assert_true(golden_detections(&g, tape, "", &s, n) >= 50);
    golden_given(&g, tape, &s);
    for (int training = 0; !fold && training < 2; training++) {
        const char *mode = training ? "train" : "eval";

        df_tape_reset(tape);
        df_parameters_zero_grad(g.model.parameters);
        df_detector_forward(g.model.detector, tape, &g.t->batch, (training ? DF_TRAINING : 0) | DF_LABELS, &s);
        golden_maps(&g, mode, &s);
        golden_losses(&g, tape, mode, &s, golden_faster_terms, 4);
        golden_sampled(&g, tape, mode, &s, &fed);
        df_backward(tape, golden_losses(&g, tape, mode, &fed, golden_faster_terms, 4));
        golden_gradients(&g, mode);
    }
    if (!fold)
        golden_running(&g);
    df_tape_free(tape);
    golden_close(&g);
}
#endif
