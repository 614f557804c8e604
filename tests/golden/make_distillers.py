"""Writes distillers.json: the losses and gradients of every variant of `defeat`, and of the distillers that share its parts, by PyTorch's
autograd in double precision, from the formulas of the method. Masks, schedules and groups of rows are written here a second time. Two
images of 40 x 48 pixels with padding, neck levels of stride 8 and 16, backbone stages 2 and 4, two anchors per cell, five RoIs per image."""
import json
import math
import pathlib

import torch
import torch.nn.functional as F

torch.manual_seed(11)
torch.set_default_dtype(torch.float64)
CANVAS_H, CANVAS_W, STRIDES, CS, CT, K, IMAGES = 40, 48, (8, 16), 3, 2, 3, 2
STAGES = {2: (4, 2, 3), 4: (16, 3, 2)}  # stride, student's and teacher's channels
BOXES = [[(3.0, 4.0, 6.5, 7.0), (10.0, 2.0, 33.0, 30.0)], [(20.0, 17.0, 23.0, 39.5)]]
VALID = [(31, 48), (40, 30)]  # height, width of the image inside its canvas
SIZES = [(-(-CANVAS_H // s), -(-CANVAS_W // s)) for s in STRIDES]
STD = [1.75, 2.5]
DEFAULTS = {
    "w_fg": 4, "w_bg": 16, "mask": "gt", "roi_share": 0.5, "adapt": "3x3", "adapt_relu": False, "normalise_teacher": False, "norm": "batch",
    "level_rule": "fpn", "rounding": "authors", "exclude_padding": False, "level_reduce": "mean", "bb_stages": [], "w_bb_fg": 4,
    "w_bb_bg": 16, "bb_adapt": "3x3", "bb_adapt_relu": True, "head": "off", "w_pos": 2, "w_neg": 2, "t_pos": 1, "t_neg": 1,
    "head_norm": "auto", "rois": "auto", "authors_labels": False, "authors_background": False, "one_temperature": False, "decay": "none",
    "warmup_steps": 0,
}  # fmt: skip
AUTHORS = {
    "adapt": "3x3", "adapt_relu": False, "normalise_teacher": False, "norm": "batch", "level_rule": "fpn", "rounding": "authors",
    "exclude_padding": False, "level_reduce": "mean", "bb_adapt": "3x3", "bb_adapt_relu": True, "head_norm": "group",
    "authors_labels": True, "authors_background": True, "one_temperature": True,
}  # fmt: skip


def rounded(*shape, scale=1.0):
    return torch.round(torch.randn(*shape) * scale * 1000) / 1000


# ---- inputs: leaves of the student, constants of the teacher ----

ANCHORS = []  # [level][cell][2]
for (h, w), s in zip(SIZES, STRIDES):
    centre = [((x + 0.5) * s, (y + 0.5) * s) for y in range(h) for x in range(w)]
    ANCHORS.append([[(x - a * s, y - b * s, x + a * s, y + b * s) for a, b in ((0.75, 0.625), (0.5, 1.125))] for x, y in centre])
TOTAL = sum(2 * len(level) for level in ANCHORS)
LABEL = [i % K if i % 9 == 2 else -2 if i % 7 == 5 else -1 for i in range(IMAGES * TOTAL)]
MATCHED = [(i // 9) % len(BOXES[i // TOTAL]) if LABEL[i] >= 0 else LABEL[i] for i in range(IMAGES * TOTAL)]
# Labels of the student's and the teacher's RoIs; the second pair has no background row.
ROI_LABELS = [([2, 0, -1, -1, -2, 1, -1, 2, -2, -2], [0, -1, 2, -2, -1, -1, 1, -1, 0, -2]),
              ([2, 0, 1, 1, -2, 1, 0, 2, -2, -2], [0, 1, 2, -2, 0, 2, 1, 1, 0, -2])]  # fmt: skip
ROWS = len(ROI_LABELS[0][0])

leaves, teacher = {}, {}
for l, (h, w) in enumerate(SIZES):
    leaves[f"neck.{l}"] = rounded(IMAGES, h, w, CS)
    teacher[f"neck.{l}"] = rounded(IMAGES, h, w, CT, scale=2)
    leaves[f"adapt.{l}.weight"] = rounded(CT, 3, 3, CS, scale=0.3)
    leaves[f"adapt.{l}.bias"] = rounded(CT, scale=0.3)
for k, (s, cs, ct) in STAGES.items():
    h, w = -(-CANVAS_H // s), -(-CANVAS_W // s)
    leaves[f"stage.{k}"] = rounded(IMAGES, h, w, cs)
    teacher[f"stage.{k}"] = rounded(IMAGES, h, w, ct)
    leaves[f"bb_adapt.{k}.weight"] = rounded(ct, 3, 3, cs, scale=0.3)
    leaves[f"bb_adapt.{k}.bias"] = rounded(ct, scale=0.3)
for name, shape in {"class_logits": (IMAGES, 1, TOTAL, K), "roi.student": (ROWS, 1, 1, K + 1), "roi.teacher": (ROWS, 1, 1, K + 1)}.items():
    leaves[name], teacher[name] = rounded(*shape, scale=2), rounded(*shape, scale=2)


# ---- masks ----


def level_of(box):
    size = math.sqrt((box[2] - box[0] + 1) * (box[3] - box[1] + 1)) / (56 * min(CANVAS_H, CANVAS_W) / 800)
    return max(0, min(len(STRIDES) - 1, math.floor(math.log2(size + 1e-6))))


def marks(n, i, level, rule):
    if rule == "matched":
        first = n * TOTAL + sum(2 * len(a) for a in ANCHORS[:level])
        return any(LABEL[a] >= 0 and MATCHED[a] == i for a in range(first, first + 2 * len(ANCHORS[level])))
    return rule == "all" or level_of(BOXES[n][i]) == level


def cell_range(box, stride, h, w, rounding):
    if rounding == "cover":
        return (max(math.floor(box[0] / stride), 0), min(math.ceil(box[2] / stride), w),
                max(math.floor(box[1] / stride), 0), min(math.ceil(box[3] / stride), h))  # fmt: skip
    return (max(int(box[0] / stride), 0), min(int(box[2] / stride), w), max(int(box[1] / stride), 0), min(int(box[3] / stride), h))


def draw(out, box, stride, rounding, gaussian):
    h, w = out.shape
    lx, rx, ly, ry = cell_range(box, stride, h, w, rounding)
    if lx == rx or ly == ry:
        out[ly, lx] = 1
        return
    value = torch.ones(ry - ly, rx - lx)
    if gaussian:
        cx, cy = (rx - lx) / 2, (ry - ly) / 2
        x, y = torch.arange(rx - lx, dtype=out.dtype), torch.arange(ry - ly, dtype=out.dtype)
        value = torch.exp(-0.5 * ((y - cy) / cy) ** 2)[:, None] * torch.exp(-0.5 * ((x - cx) / cx) ** 2)[None]
    out[ly:ry, lx:rx] = torch.maximum(out[ly:ry, lx:rx], value)


def iou(a, b):
    w, h = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
    inter = max(w, 0) * max(h, 0)
    return inter / ((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - inter)


def draw_roi(out, box, level, share):
    values = [[iou(a, box) for a in cell] for cell in ANCHORS[level]]
    border = share * max(max(v) for v in values)
    assert all(abs(x - border) > 1e-5 for v in values for x in v if border > 0), "a cell on the border: float may decide otherwise"
    for c, v in enumerate(values):
        if max(v) > border:
            out.view(-1)[c] = 1


def object_mask(level, o):
    h, w = SIZES[level]
    out = torch.zeros(IMAGES, h, w)
    if o["mask"] == "one":
        return torch.ones_like(out)
    for n, boxes in enumerate(BOXES):
        for i, box in enumerate(boxes):
            if not marks(n, i, level, o["level_rule"]):
                continue
            if o["mask"] == "roi":
                draw_roi(out[n], box, level, o["roi_share"])
            else:
                draw(out[n], box, STRIDES[level], o["rounding"], o["mask"] == "gaussian")
    return out


def stage_mask(h, w, o):
    finest = object_mask(0, {**o, "mask": "gt", "level_rule": "all"})
    return F.interpolate(finest[:, None], size=(h, w), mode="nearest")[:, 0]


def valid_mask(h, w, stride, o):
    out = torch.ones(IMAGES, h, w)
    for n, (vh, vw) in enumerate(VALID):
        if o["exclude_padding"]:
            out[n, -(-vh // stride) :], out[n, :, -(-vw // stride) :] = 0, 0
    return out


# ---- feature terms ----


def adapted(x, kind, relu, prefix, v):
    if kind == "none":
        return x
    weight = v[prefix + ".weight"] if kind == "3x3" else v[prefix + ".weight"][:, 1:2, 1:2]
    y = F.conv2d(x.permute(0, 3, 1, 2), weight.permute(0, 3, 1, 2), v[prefix + ".bias"], padding=weight.shape[1] // 2).permute(0, 2, 3, 1)
    return F.relu(y) if relu else y


def feature_term(maps, o):
    """maps: (student, teacher, weights) per level"""
    groups = [slice(0, IMAGES)] if o["norm"] == "batch" else [slice(n, n + 1) for n in range(IMAGES)]
    total = 0
    for g in groups:
        errors = [((s[g] - t[g]) ** 2).sum(-1).mul(m[g]).sum() for s, t, m in maps]
        norms = [2 * t.shape[-1] * m[g].sum().item() for _, t, m in maps]
        if o["level_reduce"] == "mean":
            total = total + sum(e / max(1, n) for e, n in zip(errors, norms)) / len(maps)
        else:
            total = total + sum(errors) / max(1, sum(norms))
    return total / len(groups)


def neck_maps(o, v):
    return [(adapted(v[f"neck.{l}"], o["adapt"], o["adapt_relu"], f"adapt.{l}", v),
             teacher[f"neck.{l}"] / (STD[l] if o["normalise_teacher"] else 1)) for l in range(len(SIZES))]  # fmt: skip


def regions(objects, valid):
    return {"fg": objects * valid, "bg": (1 - objects) * valid, "all": valid}


def neck_terms(o, v):
    masks = [regions(object_mask(l, o), valid_mask(*SIZES[l], STRIDES[l], o)) for l in range(len(SIZES))]
    return {r: feature_term([(s, t, m[r]) for (s, t), m in zip(neck_maps(o, v), masks)], o) for r in ("fg", "bg", "all")}


def backbone_terms(o, v):
    maps = []
    for k in o["bb_stages"]:
        s = adapted(v[f"stage.{k}"], o["bb_adapt"], o["bb_adapt_relu"], f"bb_adapt.{k}", v)
        h, w = s.shape[1:3]
        maps.append((s, teacher[f"stage.{k}"], regions(stage_mask(h, w, o), valid_mask(h, w, STAGES[k][0], o))))
    return {r: feature_term([(s, t, m[r]) for s, t, m in maps], o) for r in ("fg", "bg")}


# ---- head terms ----


def kl_rows(s, t, temperature, roi):
    if roi:
        q, p = F.log_softmax(t / temperature, -1), F.log_softmax(s / temperature, -1)
        return temperature**2 * (q.exp() * (q - p)).sum(-1)
    p, q = torch.sigmoid(s / temperature), torch.sigmoid(t / temperature)
    return temperature**2 * (q * torch.log(q / p) + (1 - q) * torch.log((1 - q) / (1 - p))).sum(-1)


def row_terms(s, t, label, o, roi):
    """Of one set of rows: {name: (value, is it weighted as negative)}"""
    s, t = s.reshape(-1, s.shape[-1]), t.reshape(-1, t.shape[-1])
    used = [x != -2 for x in label]
    background = max(label) if o["authors_background"] and -1 not in label else -1
    if roi:
        taught = [c - 1 for c in t.argmax(-1).tolist()]
    else:
        taught = [c if z > 0 else -1 for c, z in zip(t.argmax(-1).tolist(), t.max(-1).values.tolist())]
    fg, bg = [u and x != background for u, x in zip(used, label)], [u and x == background for u, x in zip(used, label)]
    correct = [u and x == c for u, x, c in zip(used, label, taught)]
    groups = {"all": [("all", used)], "fg": [("pos", fg)], "bg": [("neg", bg)], "decoupled": [("pos", fg), ("neg", bg)],
              "correct": [("correct", correct)], "correct_fg": [("correct_fg", [a and b for a, b in zip(correct, fg)])]}  # fmt: skip
    by_group = o["head_norm"] == "group" or (o["head_norm"] == "auto" and roi)
    positives = sum(x >= 0 and f for x, f in zip(label, fg))
    out = {}
    for name, use in groups[o["head"]]:
        temperature = o["t_neg"] if name == "neg" and not o["one_temperature"] else o["t_pos"]
        value = (kl_rows(s, t, temperature, roi) * torch.tensor(use, dtype=s.dtype)).sum()
        out[name] = (value / max(1, sum(use) if by_group else positives), name == "neg")
    return out


def head_terms(o, v, roi, labels):
    if not roi:
        return row_terms(v["class_logits"], teacher["class_logits"], LABEL, o, False)
    out, (own, other) = {}, ROI_LABELS[labels]
    if o["rois"] != "teacher":
        out.update(row_terms(v["roi.student"], teacher["roi.student"], own, o, True))
    if o["rois"] in ("teacher", "both"):
        paired = [-2 if b == -2 else a for a, b in zip(own, other)] if o["authors_labels"] else other
        suffix = ".teacher" if o["rois"] == "both" else ""
        terms = row_terms(v["roi.teacher"], teacher["roi.teacher"], paired, o, True)
        out.update({name + suffix: value for name, value in terms.items()})
    return out


# ---- schedule ----


def factor(o, step, epoch, epochs):
    t = max(1, epochs // 4)
    decay = {"none": 1, "linear": 1 - epoch / epochs, "cosine": 0.5 * math.cos(math.pi * epoch / epochs) + 0.5}
    up_down = 1 + epoch / t if epoch <= t else 2 - 2 * (epoch - t) / (epochs - t)
    return decay.get(o["decay"], up_down) * (min(1, (step + 1) / o["warmup_steps"]) if o["warmup_steps"] else 1)


# ---- cases ----


def resolved(options):
    o = {**DEFAULTS, **options}
    if options.get("authors"):
        o.update(AUTHORS)
        o["rois"] = "teacher" if o["rois"] == "auto" else o["rois"]
        # apis/train.py: only the default, SampleTEA, selects the teacher's RoIs by `labels`, which are the student's; SampleDUO has its own line
        # for them, `pos_inds = bbox_target_gt_te[0] == bbox_target_gt_te[0].max()`: the teacher's targets.
        o["authors_labels"] = o["rois"] == "teacher"
    return o


def defeat_terms(options, v, roi, labels, context):
    o, terms = resolved(options), []
    neck = neck_terms(o, v)
    terms += [("fg", neck["fg"], o["w_fg"]), ("bg", neck["bg"], o["w_bg"])]
    if o["bb_stages"]:
        backbone = backbone_terms(o, v)
        terms += [("bb_fg", backbone["fg"], o["w_bb_fg"]), ("bb_bg", backbone["bg"], o["w_bb_bg"])]
    if o["head"] != "off":
        terms += [(name, x, o["w_neg" if negative else "w_pos"]) for name, (x, negative) in head_terms(o, v, roi, labels).items()]
    return [(name, x, weight * factor(o, *context)) for name, x, weight in terms]


def head_kl_terms(options, v, roi, labels):
    o = resolved({"head": "decoupled", **{{"mode": "head", "norm": "head_norm"}.get(k, k): x for k, x in options.items()}, "norm": "batch"})
    return [(name, x, o["w_neg" if negative else "w_pos"]) for name, (x, negative) in head_terms(o, v, roi, labels).items()]


def case(distiller, options, roi=False, labels=0, context=(3, 1, 4)):
    v = {name: x.clone().requires_grad_() for name, x in leaves.items()}
    if distiller == "defeat":
        terms = defeat_terms(options, v, roi, labels, context)
    elif distiller == "head_kl":
        terms = head_kl_terms(options, v, roi, labels)
    else:
        region = {"foreground": "fg", "background": "bg", "full_feature": "all"}[distiller]
        terms = [("neck", neck_terms(resolved(options), v)[region], options["w"])]
    return case_of(distiller, options, v, terms, roi, labels, context)


def case_of(distiller, options, v, terms, roi, labels, context):
    """terms: (name, value, weight) over the leaves v"""
    loss = sum(weight * x for _, x, weight in terms)
    loss.backward()
    there = {n: x.grad for n, x in v.items() if x.grad is not None and x.grad.any()}
    rounding = [n for n, g in there.items() if g.abs().max() < 1e-12]  # what the loss does not depend on
    gradients = {n: [float(f"{x:.10g}") for x in g.flatten().tolist()] for n, g in there.items() if n not in rounding}
    return {
        "distiller": distiller, "options": options, "two_stage": roi, "labels": labels, "context": context, "loss": loss.item(),
        "terms": {f"{distiller}.{n}": [x.item(), weight] for n, x, weight in terms}, "gradients": gradients,
        **({"rounding": rounding} if rounding else {}),
    }  # fmt: skip


def head(**options):
    return {"w_fg": 0, "w_bg": 0, **options}


NECK = [
    {}, {"w_fg": 3, "w_bg": 5, "normalise_teacher": True}, {"level_rule": "all", "norm": "image"}, {"level_rule": "matched"},
    {"rounding": "cover"}, {"mask": "roi"}, {"mask": "roi", "roi_share": 0.3, "level_rule": "all"}, {"mask": "gaussian"},
    {"mask": "gaussian", "rounding": "cover", "level_rule": "all"}, {"mask": "one"}, {"exclude_padding": True},
    {"exclude_padding": True, "mask": "one", "norm": "image"}, {"level_reduce": "cells"}, {"level_reduce": "cells", "norm": "image"},
    {"level_reduce": "cells", "norm": "image", "exclude_padding": True, "mask": "gaussian", "level_rule": "matched", "rounding": "cover"},
    {"adapt": "1x1"}, {"adapt_relu": True}, {"authors": True}, {"authors": True, "mask": "roi"},
]  # fmt: skip
BACKBONE = [
    {"bb_stages": [2, 4], "w_bb_fg": 3, "w_bb_bg": 7}, {"bb_stages": [4], "bb_adapt": "1x1", "bb_adapt_relu": False, "rounding": "cover"},
    {"bb_stages": [4, 2], "level_reduce": "cells", "norm": "image", "exclude_padding": True}, {"bb_stages": [4], "authors": True},
]  # fmt: skip
W, T = {"w_pos": 1.5, "w_neg": 0.5}, {"t_pos": 2, "t_neg": 0.8}
MODES = [{"head": "all", "w_pos": 1.5, "t_pos": 2}, {"head": "fg", "w_pos": 1.5, "t_pos": 2}, {"head": "bg", "w_neg": 0.5, "t_neg": 0.8},
         {"head": "decoupled", **W, **T}, {"head": "correct", "w_pos": 1.5, "t_pos": 2},
         {"head": "correct_fg", "w_pos": 1.5, "t_pos": 2}]  # fmt: skip
DECOUPLED = {"head": "decoupled", **W, **T}
DENSE = MODES + [{**DECOUPLED, "head_norm": "group"}, {"head": "decoupled", **W, "t_pos": 2, "one_temperature": True}]
ROI = MODES + [{**m, "rois": r} for m in MODES for r in ("teacher", "both")] + [
    {**DECOUPLED, "head_norm": "positives"}, {**DECOUPLED, "rois": "teacher", "authors_labels": True},
    {"head": "bg", "w_neg": 0.5, "t_pos": 3, "one_temperature": True}, {"head": "correct", "rois": "both", "authors_labels": True},
    {"head": "decoupled", **W, "t_pos": 2, "authors": True}, {"head": "all", "authors": True, "rois": "both"},
    {"head": "correct_fg", "authors": True, "rois": "student"}, {"head": "bg", "authors": True, "t_pos": 2, "rois": "both"},
]  # fmt: skip
NO_BACKGROUND = [{**DECOUPLED, "authors_background": True}, {**DECOUPLED}, {**DECOUPLED, "rois": "teacher", "authors_background": True},
                 {"head": "correct_fg", "authors_background": True, "head_norm": "positives"},
                 {"head": "decoupled", "authors": True}]  # fmt: skip
SCHEDULES = [({"decay": "linear"}, (3, 1, 4)), ({"decay": "cosine", "warmup_steps": 10}, (3, 3, 12)), ({"decay": "up_down"}, (9, 2, 3)),
             ({"decay": "up_down", "warmup_steps": 4}, (3, 7, 12))]  # fmt: skip


def all_cases():
    cases = [case("defeat", o) for o in NECK + [head(**o) for o in BACKBONE]]
    cases += [case("defeat", head(**o)) for o in DENSE]
    cases += [case("defeat", head(**o), roi=True) for o in ROI]
    cases += [case("defeat", head(**o), roi=True, labels=1) for o in NO_BACKGROUND]
    cases += [case("defeat", head(**DECOUPLED, **o), roi=True, context=c) for o, c in SCHEDULES]
    cases += [case("defeat", {**DECOUPLED, "bb_stages": [4], "decay": "linear"}, roi=roi, context=(3, 3, 4)) for roi in (False, True)]
    cases += [case("head_kl", {**{"mode" if k == "head" else k: x for k, x in m.items()}}, roi=roi) for m in MODES[2:5] for roi in (False, True)]
    cases += [case("head_kl", {"norm": "group", **T}), case("head_kl", {"rois": "both"}, roi=True)]
    for name in ("foreground", "background"):
        cases += [case(name, {"w": 2, **o}) for o in ({}, {"level_rule": "matched", "norm": "image"}, {"rounding": "cover", "normalise_teacher": True})]
    cases += [case("full_feature", {"w": 2, **o}) for o in ({}, {"norm": "image", "adapt": "1x1"})]
    return cases


def write(name, cases, **more):
    """The inputs and the cases, as tests/distillers/cases.h reads them"""
    out = {
        "torch": torch.__version__,
        "student": {n: x.flatten().tolist() for n, x in leaves.items()},
        "teacher": {n: x.flatten().tolist() for n, x in teacher.items()},
        "std": STD, "valid": VALID, "anchors": [a for level in ANCHORS for cell in level for a in cell], "label": LABEL, "matched": MATCHED,
        "roi_labels": ROI_LABELS, **more, "cases": cases,
    }  # fmt: skip
    path = pathlib.Path(__file__).with_name(name)
    path.write_text(json.dumps(out, separators=(",", ":")) + "\n")
    print(f"{len(cases)} cases, {path.stat().st_size} bytes")


if __name__ == "__main__":
    write("distillers.json", all_cases())
