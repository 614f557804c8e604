/* Classifier-to-detector distillation: rows that learn an object imitate what an image classifier says of that object's crop, and their boxes are
 * moved until what the classifier sees in them is what it sees in the object's (Guo, Alvarez, Salzmann, NeurIPS 2021, arXiv:2106.05209).
 *   L = w T^2/P sum_i D(q_g(i), p_i) + w_boxes/P sum_i [ |a4(c(b_i)) - a4(c(b*_i))| + |a8(f(c(b_i))) - a8(f(c(b*_i)))| ]
 *   i: positive rows (anchors, RoIs), g(i) the object that row i learns, P their number, at least 1
 *   softmax heads     D = sum_k q (log q - log p), p = softmax(z/T) over the classes and background, q = softmax(t/T), 0 for background
 *   kl_bce            D = 1/K sum_k [ q log(q/p) + (1-q) log((1-q)/(1-p)) ], p = sigmoid(z/T), q = sigmoid(t/T)
 *   kl_ce             D = sum_k q' (log q' - log p'), q' and p' those sigmoids, divided by their sums over k
 *   z [N,1,A,K] or [R,1,1,K+1], t [N,1,W,K] of the image's objects
 *   b_i the row's decoded box, b*_i its object's; c(b) [S,S,3] the classifier's crop of the image, f its first layer; ak: averages over k x k
 *   parts; |.|: mean over parts and channels. The gradient of the second part runs through f, the crop's samples and the decoding.
 * Written from the description of the authors' code (NVlabs/DICOD, whose licence forbids more). Deviates: 1e-10 is added to the probabilities of kl_ce
 * alone, the others are exact; kl_bce without the swap of the labelled class's two outcomes, which moves no KL. A RoI's object is the one that it
 * overlaps most. b* is the object's box itself, not its decoded target; all crops of a batch are made at once, theirs 256 at a time. */
#include <string.h>

#include "core/base/portable_math.h"
#include "core/geometry/box.h"
#include "core/nn/losses.h"
#include "core/nn/ops.h"
#include "distillers/common.h"

enum { KL_BCE, KL_CE };
struct kd_classifier_options {
    double w, temperature, w_boxes;
    int sigmoid;
    bool boxes;
};
#define O struct kd_classifier_options
static const df_option kd_classifier_options[] = {
    { "w", DF_REAL_OPTION(O, w), .standard = 0.4, .max = 1e4, .help = "weight" },
    { "temperature", DF_REAL_OPTION(O, temperature), .standard = 2, .min = 0.01, .max = 100, .help = "logits are divided by it" },
    { "sigmoid", DF_CHOICE_OPTION(O, sigmoid), .standard = KL_BCE, .choices = "kl_bce|kl_ce",
      .help = "one-stage detectors, whose classes are independent: each class's two outcomes, or the classes in proportion" },
    { "boxes", DF_BOOL_OPTION(O, boxes), .standard = 1, .absent = "false",
      .help = "what the classifier sees in the predicted boxes is compared with what it sees in the objects'; it then runs in every step" },
    { "w_boxes", DF_REAL_OPTION(O, w_boxes), .standard = 0.15, .max = 1e4, .when = "boxes=1", .help = "weight of that" },
    { 0 },
};
#undef O

static bool over_rois(const struct df_detector_class *detector) { return strcmp(detector->class_logits, "roi/logits") == 0; }

static void kd_classifier_needs(const void *values, struct df_needs *needs)
{
    const struct kd_classifier_options *options = values;

    df_needs_add(needs, DF_OBJECT_LOGITS);
    if (options->boxes)
        df_needs_add(needs, DF_OBJECT_NETWORK);
}

static df_status kd_classifier_init(struct df_distiller_setup *setup, struct df_error *err)
{
    const struct kd_classifier_options *options = setup->options;

    if (over_rois(setup->detector) && options->sigmoid != KL_BCE)
        return df_fail(err, DF_ERR_USAGE,
                       "kd_classifier: 'sigmoid' has no effect on detector '%s', whose classes are a softmax [remove it]",
                       setup->detector->name);
    return DF_OK;
}

/* The student's rows. */
struct rows {
    df_tensor *z;
    const df_real *label;     /* >= 0: a positive */
    const df_real *matched;   /* which object of its image an anchor learns; NULL: RoIs */
    const struct df_box *roi; /* [count], else */
    size_t count, columns;    /* columns: K, or K + 1 */
};

static const struct df_box *boxes_of(df_tape *tape, const struct df_rois *rois)
{
    struct df_box *box = df_tape_host(tape, rois->count * sizeof *box);

    df_read(df_tape_device(tape), box, rois->box, rois->count * sizeof *box);
    return box;
}

static struct rows rows_of(df_tape *tape, const struct df_detection_state *student)
{
    const bool rois = over_rois(student->detector->class);
    df_tensor *z = df_part_tensor(student, rois ? "roi/logits" : "logits");

    return (struct rows){ .z = z,
                          .label = df_part_host(tape, df_part(student, rois ? "roi/label" : "label", DF_NO_LEVEL)),
                          .matched = rois ? NULL : df_part_host(tape, df_part(student, "matched", DF_NO_LEVEL)),
                          .roi = rois ? boxes_of(tape, &student->rois) : NULL,
                          .count = df_pixels(z->shape),
                          .columns = z->shape.c };
}

/* The object of image n that row r learns. */
static size_t object_of(const struct rows *rows, const struct df_batch *images, size_t n, size_t r)
{
    const struct df_ground_truth *truth = &images->truth[n];
    size_t best = 0;

    if (rows->matched)
        return (size_t)rows->matched[r];
    for (size_t g = 1; g < truth->count; g++)
        if (df_box_iou(truth->boxes[g], rows->roi[r]) > df_box_iou(truth->boxes[best], rows->roi[r]))
            best = g;
    return best;
}

/* q: what a row is to say. */
typedef void soft_fn(const df_real *t, size_t classes, double temperature, df_real *q);

static double largest(const df_real *t, size_t classes)
{
    double most = (double)t[0];

    for (size_t k = 1; k < classes; k++)
        most = (double)t[k] > most ? (double)t[k] : most;
    return most;
}

static void soft_logits(const df_real *t, size_t classes, double temperature, df_real *q)
{
    (void)temperature;
    memcpy(q, t, classes * sizeof *q);
}

static void soft_probabilities(const df_real *t, size_t classes, double temperature, df_real *q)
{
    const double most = largest(t, classes);
    double sum = 0;

    for (size_t k = 0; k < classes; k++)
        sum += df_exp(((double)t[k] - most) / temperature);
    for (size_t k = 0; k < classes; k++)
        q[k] = (df_real)(df_exp(((double)t[k] - most) / temperature) / sum);
}

static double sigmoid(double x) { return 1 / (1 + df_exp(-x)); }

static void soft_proportions(const df_real *t, size_t classes, double temperature, df_real *q)
{
    double sum = 1e-12;

    for (size_t k = 0; k < classes; k++)
        sum += sigmoid((double)t[k] / temperature);
    for (size_t k = 0; k < classes; k++)
        q[k] = (df_real)(sigmoid((double)t[k] / temperature) / sum);
}

/* What positives learn, [as z]; the others get zeros. */
struct targets {
    df_real *q;
    uint8_t *use;
    size_t positives;
};

static struct targets targets_of(df_tape *tape, const struct rows *rows, const struct df_detection_state *student, const struct df_part *t,
                                 soft_fn *soft, double temperature)
{
    const size_t classes = t->shape.c, background = rows->columns - classes, each = rows->count / student->batch;
    const df_real *said = df_part_host(tape, t);
    struct targets targets = { df_tape_host(tape, rows->count * rows->columns * sizeof *said), df_tape_host(tape, rows->count), 0 };

    memset(targets.q, 0, rows->count * rows->columns * sizeof *targets.q);
    for (size_t r = 0; r < rows->count; r++) {
        targets.use[r] = rows->label[r] >= 0;
        if (!targets.use[r])
            continue;

        const size_t n = r / each;

        soft(said + (n * t->shape.w + object_of(rows, student->images, n, r)) * classes, classes, temperature,
             targets.q + r * rows->columns + background);
        targets.positives++;
    }
    return targets;
}

/* sum of q log(q + eps) */
static double negative_entropy(const df_real *q, size_t n, double eps)
{
    double sum = 0;

    for (size_t i = 0; i < n; i++)
        sum += q[i] > 0 ? (double)q[i] * df_log((double)q[i] + eps) : 0;
    return sum;
}

static df_tensor *constant(df_tape *tape, double value)
{
    const df_real x = (df_real)value;

    return df_tensor_from(tape, (df_shape){ 1, 1, 1, 1 }, &x);
}

static df_tensor *softmax_loss(df_tape *tape, const struct rows *rows, const struct targets *targets, double temperature, double norm)
{
    df_tensor *q = df_tensor_from(tape, rows->z->shape, targets->q), *z = df_scale(tape, rows->z, 1 / temperature);
    const double constant_part = negative_entropy(targets->q, df_count(rows->z->shape), 0) / norm;

    return df_add(tape, df_soft_cross_entropy(tape, z, q, norm), constant(tape, constant_part));
}

static df_tensor *proportions_loss(df_tape *tape, const struct rows *rows, const struct targets *targets, double temperature, double norm)
{
    enum { CLASSES = 8, ALL = 15 }; /* axes */
    const double eps = 1e-10;
    df_tensor *q = df_tensor_from(tape, rows->z->shape, targets->q), *p = df_sigmoid(tape, df_scale(tape, rows->z, 1 / temperature));

    p = df_div(tape, p, df_add(tape, df_sum(tape, p, CLASSES), constant(tape, 1e-12)));
    p = df_sum(tape, df_mul(tape, q, df_log_op(tape, df_add(tape, p, constant(tape, eps)))), ALL);
    return df_add(tape, df_scale(tape, p, -1 / norm), constant(tape, negative_entropy(targets->q, df_count(rows->z->shape), eps) / norm));
}

/* ---- boxes ---- */

/* What crops are cut from: boxes, and their images. */
struct places {
    size_t count;
    df_tensor *boxes; /* [count,1,1,4] */
    uint32_t *image;
    uint32_t *object; /* of predicted boxes: the object that each is compared with, counted over the batch */
};

/* The objects of a batch, image by image. */
static struct places objects_of(df_tape *tape, const struct df_batch *images)
{
    struct places all = { 0 };
    df_real *corners;

    for (size_t n = 0; n < images->n; n++)
        all.count += images->truth[n].count;
    corners = df_tape_host(tape, all.count * 4 * sizeof *corners);
    all.image = df_tape_host(tape, all.count * sizeof *all.image);
    for (size_t n = 0, at = 0; n < images->n; n++)
        for (size_t g = 0; g < images->truth[n].count; g++, at++) {
            const struct df_box box = images->truth[n].boxes[g];

            memcpy(corners + 4 * at, (const df_real[]){ box.x0, box.y0, box.x1, box.y1 }, 4 * sizeof *corners);
            all.image[at] = (uint32_t)n;
        }
    all.boxes = df_tensor_from(tape, (df_shape){ all.count, 1, 1, 4 }, corners);
    return all;
}

/* The boxes that positive rows predict, those of a RoI for the class that it learns. */
static struct places predicted_of(df_tape *tape, const struct rows *rows, const struct targets *targets,
                                  const struct df_detection_state *student)
{
    const struct df_detector *detector = student->detector;
    const size_t classes = rows->matched ? 1 : rows->columns, each = rows->count / student->batch;
    df_tensor *deltas = df_part_tensor(student, rows->matched ? "deltas" : "roi/deltas");
    struct places all = { .image = df_tape_host(tape, targets->positives * sizeof *all.image),
                          .object = df_tape_host(tape, targets->positives * sizeof *all.object) };
    uint32_t *delta = df_tape_host(tape, targets->positives * sizeof *delta), first = 0;
    struct df_box *from = df_tape_host(tape, targets->positives * sizeof *from);

    for (size_t r = 0, n = 0; r < rows->count; r++) {
        for (; n < r / each; n++)
            first += (uint32_t)student->images->truth[n].count;
        if (!targets->use[r])
            continue;
        delta[all.count] = (uint32_t)(r * classes + (rows->matched ? 0 : 1 + (size_t)rows->label[r]));
        from[all.count] = rows->matched ? student->anchor[r % each] : rows->roi[r];
        all.image[all.count] = (uint32_t)n;
        all.object[all.count++] = first + (uint32_t)object_of(rows, student->images, n, r);
    }
    deltas = df_reshape(tape, deltas, (df_shape){ rows->count * classes, 1, 1, 4 });
    all.boxes = df_box_corners(tape, df_take_rows(tape, deltas, delta, all.count), from,
                               rows->matched ? detector->delta_weights : detector->roi_delta_weights);
    return all;
}

/* 1/norm sum_i mean |ak(p_i) - ak(g_object(i))| */
static df_tensor *distance(df_tape *tape, df_tensor *p, df_tensor *g, const struct places *predicted, size_t k, double norm)
{
    enum { ALL = 15 }; /* axes */
    const size_t width = k * k * p->shape.c;

    p = df_adaptive_avg_pool(tape, p, k, k);
    g = df_reshape(tape, df_adaptive_avg_pool(tape, g, k, k), (df_shape){ g->shape.n, 1, 1, width });
    g = df_reshape(tape, df_take_rows(tape, g, predicted->object, predicted->count), p->shape);
    return df_scale(tape, df_sum(tape, df_abs_op(tape, df_sub(tape, p, g)), ALL), 1 / ((double)width * norm));
}

static df_tensor *boxes_loss(df_tape *tape, const struct rows *rows, const struct targets *targets,
                             const struct df_detection_state *student, struct df_detector *classifier, double norm)
{
    enum { CROP_PARTS = 4, STEM_PARTS = 8 };
    const struct df_batch *images = student->images;

    if (!targets->positives)
        return constant(tape, 0);

    df_tensor *pixels = df_detector_pixels(tape, images);
    const struct places objects = objects_of(tape, images), predicted = predicted_of(tape, rows, targets, student);
    struct df_seen theirs, own;

    classifier->class->look_at(classifier, tape, &(struct df_crops){ images, pixels, objects.boxes, objects.image }, &theirs);
    classifier->class->look_at(classifier, tape, &(struct df_crops){ images, pixels, predicted.boxes, predicted.image }, &own);
    return df_add(tape, distance(tape, own.crop, theirs.crop, &predicted, CROP_PARTS, norm),
                  distance(tape, own.stem, theirs.stem, &predicted, STEM_PARTS, norm));
}

static df_tensor *kd_classifier_loss(const struct df_distill_context *context, const struct df_detection_state *student,
                                     const struct df_detection_state *teacher)
{
    const struct kd_classifier_options *options = context->options;
    const double temperature = options->temperature;
    df_tape *tape = context->tape;
    const struct df_part *t = df_part(teacher, DF_OBJECT_LOGITS, DF_NO_LEVEL);
    const struct rows rows = rows_of(tape, student);
    soft_fn *soft = !rows.matched ? soft_probabilities : options->sigmoid == KL_BCE ? soft_logits : soft_proportions;
    const struct targets targets = targets_of(tape, &rows, student, t, soft, temperature);
    const double positives = df_loss_norm(tape, targets.positives), norm = positives / (temperature * temperature);
    df_tensor *loss;

    if (!rows.matched)
        loss = softmax_loss(tape, &rows, &targets, temperature, norm);
    else if (options->sigmoid == KL_CE)
        loss = proportions_loss(tape, &rows, &targets, temperature, norm);
    else
        loss = df_sigmoid_kl(tape, rows.z, df_tensor_from(tape, rows.z->shape, targets.q), targets.use, temperature,
                             positives * (double)rows.columns);
    loss = df_term_add(context, NULL, "kd_classifier.class", loss, options->w);
    if (!options->boxes)
        return loss;
    DF_ASSERT(teacher->detector);
    return df_term_add(context, loss, "kd_classifier.boxes", boxes_loss(tape, &rows, &targets, student, teacher->detector, positives),
                       options->w_boxes);
}

const struct df_distiller_class df_distiller_kd_classifier = {
    .abi = DF_DISTILLER_ABI,
    .name = "kd_classifier",
    .summary = "what an image classifier says of each object, and sees in its box, imitated by the rows that learn it",
    .cite = "Guo, Alvarez, Salzmann, NeurIPS 2021, arXiv:2106.05209",
    .needs = DF_OBJECT_LOGITS " " DF_OBJECT_NETWORK,
    .needs_of = kd_classifier_needs,
    .tunable = "w w_boxes",
    .options = kd_classifier_options,
    .options_size = sizeof(struct kd_classifier_options),
    .init = kd_classifier_init,
    .loss = kd_classifier_loss,
    .formula = "L = w T^2/P sum_i D(q_g(i), p_i) + w_boxes/P sum_i [ |a4(c(b_i)) - a4(c(b*_i))| + |a8(f(c(b_i))) - a8(f(c(b*_i)))| ]\n"
               "softmax heads: D = sum_k q (log q - log p), p = softmax(z/T) with background, q = softmax(t/T), 0 for background\n"
               "kl_bce: D = 1/K sum_k [ q log(q/p) + (1-q) log((1-q)/(1-p)) ], p = sigmoid(z/T), q = sigmoid(t/T)\n"
               "kl_ce: D = sum_k q' (log q' - log p'), q' and p' those sigmoids divided by their sums over k\n"
               "i: rows on objects, P of them; g(i): the object that row i learns; z: its logits; t: the classifier's of g(i)'s crop\n"
               "b: the row's decoded box, b* its object's; c(b): the classifier's crop of the image; f: its first layer;\n"
               "ak: averages over k x k parts; |.|: mean over parts and channels",
    .deviation =
        "1e-10 is added to the probabilities of kl_ce alone; kl_bce without the swap of the labelled class's outcomes, which moves no KL. "
        "A RoI's object is the one that it overlaps most, b* the object's box itself instead of its decoded target. All crops of a batch "
        "are made at once, theirs 256 at a time.",
    .published = "Weight 0.4, temperature 2, boxes 0.15: SSD300, COCO, 25.6 to 27.9 AP (NVlabs/DICOD, README.md).",
};
