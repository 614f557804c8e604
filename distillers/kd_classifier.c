/* Classifier-to-detector distillation, the classes' part: rows that learn an object imitate what an image classifier says of that object's crop (Guo,
 * Alvarez, Salzmann, NeurIPS 2021, arXiv:2106.05209).
 *   L = w T^2/P sum_i D(q_g(i), p_i)      i: positive rows (anchors, RoIs), g(i) the object that row i learns, P their number, at least 1
 *   softmax heads     D = sum_k q (log q - log p), p = softmax(z/T) over the classes and background, q = softmax(t/T), 0 for background
 *   kl_bce            D = 1/K sum_k [ q log(q/p) + (1-q) log((1-q)/(1-p)) ], p = sigmoid(z/T), q = sigmoid(t/T)
 *   kl_ce             D = sum_k q' (log q' - log p'), q' and p' those sigmoids, divided by their sums over k
 *   z [N,1,A,K] or [R,1,1,K+1], t [N,1,W,K] of the image's objects
 * Written from the description of the authors' code (NVlabs/DICOD, whose licence forbids more). Deviates: 1e-10 is added to the probabilities of kl_ce
 * alone, the others are exact; kl_bce without the swap of the labelled class's two outcomes, which moves no KL. A RoI's object is the one that it
 * overlaps most. Without the authors' second part, which compares crops of the predicted boxes. */
#include <string.h>

#include "core/base/portable_math.h"
#include "core/geometry/box.h"
#include "core/nn/losses.h"
#include "core/nn/ops.h"
#include "distillers/common.h"

enum { KL_BCE, KL_CE };
struct kd_classifier_options {
    double w, temperature;
    int sigmoid;
};
#define O struct kd_classifier_options
static const df_option kd_classifier_options[] = {
    { "w", DF_REAL_OPTION(O, w), .standard = 0.4, .max = 1e4, .help = "weight" },
    { "temperature", DF_REAL_OPTION(O, temperature), .standard = 2, .min = 0.01, .max = 100, .help = "logits are divided by it" },
    { "sigmoid", DF_CHOICE_OPTION(O, sigmoid), .standard = KL_BCE, .choices = "kl_bce|kl_ce",
      .help = "one-stage detectors, whose classes are independent: each class's two outcomes, or the classes in proportion" },
    { 0 },
};
#undef O

static bool over_rois(const struct df_detector_class *detector) { return strcmp(detector->class_logits, "roi/logits") == 0; }

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
    const df_real *label;   /* >= 0: a positive */
    const df_real *matched; /* which object of its image an anchor learns; NULL: RoIs */
    const struct df_rois *rois;
    size_t count, columns; /* columns: K, or K + 1 */
};

static struct rows rows_of(df_tape *tape, const struct df_detection_state *student)
{
    const bool rois = over_rois(student->detector->class);
    df_tensor *z = df_part_tensor(student, rois ? "roi/logits" : "logits");

    return (struct rows){ .z = z,
                          .label = df_part_host(tape, df_part(student, rois ? "roi/label" : "label", DF_NO_LEVEL)),
                          .matched = rois ? NULL : df_part_host(tape, df_part(student, "matched", DF_NO_LEVEL)),
                          .rois = &student->rois,
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
        if (df_box_iou(truth->boxes[g], rows->rois->box[r]) > df_box_iou(truth->boxes[best], rows->rois->box[r]))
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

        const size_t n = rows->matched ? r / each : rows->rois->image[r];

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
    return df_term_add(context, NULL, "kd_classifier.class", loss, options->w);
}

const struct df_distiller_class df_distiller_kd_classifier = {
    .abi = DF_DISTILLER_ABI,
    .name = "kd_classifier",
    .summary = "what an image classifier says of each object, imitated by the rows that learn it",
    .cite = "Guo, Alvarez, Salzmann, NeurIPS 2021, arXiv:2106.05209",
    .needs = DF_OBJECT_LOGITS,
    .tunable = "w",
    .options = kd_classifier_options,
    .options_size = sizeof(struct kd_classifier_options),
    .init = kd_classifier_init,
    .loss = kd_classifier_loss,
    .formula = "L = w T^2/P sum_i D(q_g(i), p_i)\n"
               "softmax heads: D = sum_k q (log q - log p), p = softmax(z/T) with background, q = softmax(t/T), 0 for background\n"
               "kl_bce: D = 1/K sum_k [ q log(q/p) + (1-q) log((1-q)/(1-p)) ], p = sigmoid(z/T), q = sigmoid(t/T)\n"
               "kl_ce: D = sum_k q' (log q' - log p'), q' and p' those sigmoids divided by their sums over k\n"
               "i: rows on objects, P of them; g(i): the object that row i learns; z: its logits; t: the classifier's of g(i)'s crop",
    .deviation =
        "1e-10 is added to the probabilities of kl_ce alone; kl_bce without the swap of the labelled class's outcomes, which moves no KL. "
        "A RoI's object is the one that it overlaps most. Without the authors' second part, which compares crops of the predicted boxes.",
    .published = "Weight 0.4, temperature 2, with the second part at 0.15: SSD300, COCO, 25.6 to 27.9 AP (NVlabs/DICOD, README.md).",
};
