/* TIDE: what kinds of errors cost how much AP. Bolya, Foley, Hays, Hoffman: "TIDE: A General Toolbox for Identifying Object Detection Errors",
 * ECCV 2020, arXiv:2008.08115; boxes, tf = 0.5, tb = 0.1. Equal to tidecv 1.0.1, where the paper and that program differ too.
 *
 * Matching, image by image: the 100 detections of highest score, of all classes together (ties: in their order), each take the free object of
 * their class with the largest IoU (ties: the first) if it is at least tf, and are right. Of the others those that lie in a crowd of their class by
 * more than tf of their own area are left out of the AP. Crowds are no objects.
 * AP: precision made monotone, read at the recalls 0, 0.01, ..., 1; mean over the classes that have an object or a detection that counts. A
 * class without objects so counts as 0: COCO's AP50 leaves it out, and has its 100 detections per class.
 * Each detection that is not right, one left out too, is the first of these that holds:
 *     Bkg    the image has no object
 *     Loc    tb <= IoU <= tf with the nearest object of its class, taken or not
 *     Cls    IoU >= tf with the nearest object of another class
 *     Dupe   IoU >= tf with a taken object of its class
 *     Bkg    IoU <= tb with every object
 *     Both   none of them
 * and Miss is an object that no detection has taken and no Loc or Cls is about.
 * dAP: AP with the errors of one kind mended, all others left as they are, less the AP. Every kind is mended alone, so that no order matters:
 *     Loc, Cls          becomes right, of the object's class, if the object is free and it has the highest score of all Loc and Cls about that
 *                       object (ties: the first); else it goes
 *     Both, Dupe, Bkg   go
 *     Miss              those objects go
 *     FalsePos          every wrong detection stands behind every right one
 *     FalseNeg          every object that is not taken goes
 * The six kinds never cost less than 0; FalseNeg may, with ties. Ties of the AP: in the order of the images, then of the detections; once something is mended the wrong
 * ones stand before the right ones. tidecv has its images in the order of the file; here they are in that of `info`.
 * Where a mending leaves no class to measure tidecv divides by zero; here nothing is wrong any more: the AP is 1. */
#ifndef DF_CORE_METRICS_TIDE_H
#define DF_CORE_METRICS_TIDE_H
#include "core/data/coco_json.h"

enum df_tide_kind {
    DF_TIDE_CLS,
    DF_TIDE_LOC,
    DF_TIDE_BOTH,
    DF_TIDE_DUPE,
    DF_TIDE_BKG,
    DF_TIDE_MISS,
    DF_TIDE_ERRORS, /* so many kinds of errors; behind them what is made of several */
    DF_TIDE_FALSE_POS = DF_TIDE_ERRORS,
    DF_TIDE_FALSE_NEG,
    DF_TIDE_KINDS
};
extern const char *const df_tide_metrics[DF_TIDE_KINDS]; /* in long form: "TIDE.Cls", ..., "TIDE.FalseNeg" */

struct df_tide_scores {
    double ap;                    /* 0..1; -1: nothing to measure, then all dap too */
    double dap[DF_TIDE_KINDS];    /* of AP, 0..1 */
    size_t count[DF_TIDE_ERRORS]; /* errors */
};
/* info: [images], with ground truth. Detections in file order; a class of theirs without ground truth counts too; an unknown image is an error. */
df_status df_tide_evaluate(size_t images, const struct df_image_info *info, const struct df_detection *detections, size_t count,
                           struct df_tide_scores *out, struct df_error *err);
void df_tide_summary(const struct df_tide_scores *scores, struct df_text *out); /* AP and dAP in percent points, as tidecv prints them */
/* {"AP": 0.5, "dAP": {"Cls": 0.01, ...}, "errors": {"Cls": 3, ...}}, 0..1, exact; no end of line. */
void df_tide_json(const struct df_tide_scores *scores, struct df_text *out);
#endif
