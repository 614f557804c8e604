/* Imitation of class probabilities: proposals of two-stage detectors, anchors of one-stage ones; formulas: common.h. Sources: Hinton et al.
 * 2015; groups, normaliser and weights of the DeFeat authors' code, whose head term exists for two-stage detectors only: the sigmoid form over
 * anchors is ours. */
#include <stdio.h>
#include <string.h>

#include "detectors/rows.h"
#include "distillers/common.h"

enum group { ALL, FG, BG, CORRECT, CORRECT_FG };

static const struct part {
    enum group group;
    bool negative; /* reads w_neg, t_neg */
    const char *name;
} parts[][2] = {
    [DF_HEAD_ALL] = { { ALL, false, "all" } },
    [DF_HEAD_FG] = { { FG, false, "pos" } },
    [DF_HEAD_BG] = { { BG, true, "neg" } },
    [DF_HEAD_DECOUPLED] = { { FG, false, "pos" }, { BG, true, "neg" } },
    [DF_HEAD_CORRECT] = { { CORRECT, false, "correct" } },
    [DF_HEAD_CORRECT_FG] = { { CORRECT_FG, false, "correct_fg" } },
};

struct rows {
    df_tensor *s;
    const df_tensor *t;
    struct df_part label;                   /* class >= 0, -1 background, -2 takes no part; of as many elements as there are rows */
    const struct df_detection_state *dense; /* whose anchors they are; NULL: they are RoIs */
    const char *suffix;                     /* of the terms' names */
};

void df_head_needs(const struct df_head_options *options, struct df_needs *needs)
{
    const bool roi_only = options->rois != DF_ROIS_AUTO || options->authors_labels || options->authors_background;

    if (options->mode != DF_HEAD_OFF)
        df_needs_add(needs, roi_only ? "roi/logits" : DF_NEEDS_CLASS_LOGITS);
}

/* The teacher's class of every row, or -1. */
static int32_t *teacher_classes(df_tape *tape, const struct rows *rows)
{
    const size_t count = df_pixels(rows->t->shape), columns = rows->t->shape.c;
    df_real *logit = df_tape_host(tape, count * columns * sizeof *logit);
    int32_t *class = df_tape_host(tape, count * sizeof *class);

    df_read(df_tape_device(tape), logit, rows->t->data, count * columns * sizeof *logit);
    for (size_t r = 0; r < count; r++) {
        const df_real *z = logit + r * columns;
        size_t best = 0;

        for (size_t c = 1; c < columns; c++)
            best = z[c] > z[best] ? c : best;
        if (!rows->dense)
            class[r] = (int32_t)best - 1; /* column 0 is background */
        else
            class[r] = z[best] > 0 ? (int32_t)best : DF_LABEL_BACKGROUND;
    }
    return class;
}

/* The label that means background: -1; authors_background: the highest class of a batch without background rows. */
static int32_t background_label(const struct df_head_options *options, const df_real *label, size_t count)
{
    int32_t highest = DF_LABEL_BACKGROUND;

    for (size_t r = 0; options->authors_background && r < count; r++) {
        if ((int32_t)label[r] == DF_LABEL_BACKGROUND)
            return DF_LABEL_BACKGROUND;
        highest = (int32_t)label[r] > highest ? (int32_t)label[r] : highest;
    }
    return highest;
}

static bool in_group(enum group group, int32_t label, int32_t background, const int32_t *taught)
{
    const bool correct = taught && *taught == label;

    switch (group) {
    case ALL:
        return true;
    case FG:
        return label != background;
    case BG:
        return label == background;
    case CORRECT:
        return correct;
    case CORRECT_FG:
        break;
    }
    return correct && label != background;
}

static double temperature_of(const struct df_head_options *options, const struct part *part)
{
    return part->negative && !options->one_temperature ? options->t_neg : options->t_pos;
}

static bool by_group(const struct df_head_options *options, const struct rows *rows)
{
    return options->norm == DF_HEAD_NORM_GROUP || (options->norm == DF_HEAD_NORM_AUTO && !rows->dense);
}

/* A group that labels decide, marked on the device: nobody waits for them. */
static df_tensor *marked_loss(df_tape *tape, const struct df_head_options *options, const struct rows *rows, const struct part *part)
{
    const size_t images = rows->dense ? rows->dense->batch : 1;
    const int lowest = part->group == FG ? DF_LABEL_OBJECT : DF_LABEL_BACKGROUND;
    const int highest = part->group == BG ? DF_LABEL_BACKGROUND : DF_LABEL_LAST;
    const struct df_marked used = df_mark_labels(tape, rows->label.tensor, images, lowest, highest, false);
    struct df_marked counted = used;

    if (!by_group(options, rows) && part->group != FG)
        counted = df_mark_labels(tape, rows->label.tensor, images, DF_LABEL_OBJECT, DF_LABEL_LAST, false);
    return (rows->dense ? df_sigmoid_kl_counted : df_softmax_kl_counted)(tape, rows->s, rows->t, used.use, temperature_of(options, part),
                                                                         df_marked_norm(tape, &counted));
}

/* One that depends on what the teacher says of each row, or on which labels there are: the host looks. */
static df_tensor *chosen_loss(df_tape *tape, const struct df_head_options *options, const struct rows *rows, const struct part *part)
{
    const size_t count = df_pixels(rows->s->shape);
    const bool needs_class = part->group == CORRECT || part->group == CORRECT_FG;
    const df_real *labels = df_part_host(tape, &rows->label);
    const int32_t *taught = needs_class ? teacher_classes(tape, rows) : NULL, background = background_label(options, labels, count);
    uint8_t *use = df_tape_host(tape, count);
    size_t used = 0, positives = 0;

    for (size_t r = 0; r < count; r++) {
        const int32_t label = (int32_t)labels[r];

        use[r] = label != DF_LABEL_IGNORED && in_group(part->group, label, background, taught ? &taught[r] : NULL);
        used += use[r];
        positives += label >= 0 && label != background;
    }
    return (rows->dense ? df_sigmoid_kl : df_softmax_kl)(tape, rows->s, rows->t, use, temperature_of(options, part),
                                                         df_loss_norm(tape, by_group(options, rows) ? used : positives));
}

static df_tensor *group_loss(df_tape *tape, const struct df_head_options *options, const struct rows *rows, const struct part *part)
{
    const bool by_label = part->group == ALL || part->group == FG || part->group == BG;

    return (by_label && !options->authors_background ? marked_loss : chosen_loss)(tape, options, rows, part);
}

static df_tensor *rows_loss(const struct df_distill_context *context, const struct df_head_options *options, const char *name,
                            double factor, const struct rows *rows, df_tensor *total)
{
    for (size_t i = 0; i < 2 && parts[options->mode][i].name; i++) {
        const struct part *part = &parts[options->mode][i];
        char full[40];

        snprintf(full, sizeof full, "%s.%s%s", name, part->name, rows->suffix);
        total = df_term_add(context, total, full, group_loss(context->tape, options, rows, part),
                            factor * (part->negative ? options->w_neg : options->w_pos));
    }
    return total;
}

/* ---- which rows ---- */

static struct rows student_rois(df_tape *tape, const struct df_detection_state *student, const struct df_detection_state *teacher)
{
    struct df_detection_state taught;

    teacher->detector->class->run_head(teacher->detector, tape, teacher, &student->rois, &taught);
    return (struct rows){ df_part_tensor(student, "roi/logits"), df_part_tensor(&taught, "roi/logits"),
                          *df_part(student, "roi/label", DF_NO_LEVEL), NULL, "" };
}

/* authors_labels: row r gets the label of the student's r-th RoI; the images have the same rows in both. */
static struct df_part paired_labels(df_tape *tape, const struct df_detection_state *student, const struct df_detection_state *taught)
{
    const df_real ignored = DF_LABEL_IGNORED;
    const struct df_marked theirs = df_mark_labels(tape, df_part_tensor(taught, "roi/label"), 1, DF_LABEL_BACKGROUND, DF_LABEL_LAST, true);
    df_tensor *least = df_tensor_from(tape, (df_shape){ 1, 1, 1, 1 }, &ignored);
    df_tensor *above = df_sub(tape, df_part_tensor(student, "roi/label"), least);

    DF_ASSERT(student->rois.count == taught->rois.count);

    struct df_parts made = { 0 };

    return *df_parts_set_rows(&made, tape, "roi/label", df_add(tape, df_mul(tape, theirs.weight, above), least));
}

static struct rows teacher_rois(df_tape *tape, const struct df_head_options *options, const struct df_detection_state *student,
                                const struct df_detection_state *teacher)
{
    const struct df_rois sampled = { 0 };
    struct df_detection_state taught, asked;

    teacher->detector->class->run_head(teacher->detector, tape, teacher, &sampled, &taught);
    student->detector->class->run_head(student->detector, tape, student, &taught.rois, &asked);
    return (struct rows){ .s = df_part_tensor(&asked, "roi/logits"),
                          .t = df_part_tensor(&taught, "roi/logits"),
                          .label =
                              options->authors_labels ? paired_labels(tape, student, &asked) : *df_part(&asked, "roi/label", DF_NO_LEVEL),
                          .suffix = options->rois == DF_ROIS_BOTH ? ".teacher" : "" };
}

df_tensor *df_head_loss(const struct df_distill_context *context, const struct df_head_options *options, const char *name, double factor,
                        const struct df_detection_state *student, const struct df_detection_state *teacher)
{
    df_tensor *total = NULL;
    struct rows rows;

    if (!df_parts_find(&student->parts, "roi/logits")) {
        rows = (struct rows){ df_part_tensor(student, "logits"), df_part_tensor(teacher, "logits"), *df_part(student, "label", DF_NO_LEVEL),
                              student, "" };
        return rows_loss(context, options, name, factor, &rows, NULL);
    }
    DF_ASSERT(teacher->detector);
    if (options->rois != DF_ROIS_TEACHER) {
        rows = student_rois(context->tape, student, teacher);
        total = rows_loss(context, options, name, factor, &rows, total);
    }
    if (options->rois == DF_ROIS_TEACHER || options->rois == DF_ROIS_BOTH) {
        rows = teacher_rois(context->tape, options, student, teacher);
        total = rows_loss(context, options, name, factor, &rows, total);
    }
    return total;
}
