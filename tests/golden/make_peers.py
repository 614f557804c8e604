"""Writes peers.json: the losses and gradients of fgfi, frs, pkd, cwd, dist and mimic by PyTorch's autograd in double precision, from the
formulas of their authors, on the inputs of make_distillers.py and box deltas beside them."""
import torch
import torch.nn.functional as F

import make_distillers as base
from make_distillers import BOXES, IMAGES, K, LABEL, ROI_LABELS, ROWS, SIZES, TOTAL, leaves, rounded, teacher

for key, shape in {"deltas": (IMAGES, 1, TOTAL, 4), "roi.deltas": (ROWS, 1, 1, 4 * (K + 1))}.items():
    leaves[key], teacher[key] = rounded(*shape, scale=0.5), rounded(*shape, scale=0.5)
TARGET, ROI_TARGET = rounded(IMAGES, 1, TOTAL, 4, scale=0.5), rounded(ROWS, 1, 1, 4, scale=0.5)
LEVELS = range(len(SIZES))
ALIGN = {"none": "none", "1x1": "1x1", "3x3": "3x3", "auto": "1x1"}  # the widths differ


def adapted(v, l, kind, relu=False):
    return base.adapted(v[f"neck.{l}"], ALIGN[kind], relu, f"adapt.{l}", v)


def dense(x, l):
    """Rows of level l, [N, h, w, anchors per cell x columns]"""
    first = sum(2 * len(level) for level in base.ANCHORS[:l])
    h, w = SIZES[l]
    return x[:, 0, first : first + 2 * h * w].reshape(IMAGES, h, w, -1)


# ---- fgfi ----


def anchor_masks(share):
    out = [torch.zeros(IMAGES, h * w) for h, w in SIZES]
    for n, boxes in enumerate(BOXES):
        for box in boxes:
            values = [[[base.iou(a, box) for a in cell] for cell in level] for level in base.ANCHORS]
            border = share * max(x for level in values for cell in level for x in cell)
            assert all(abs(x - border) > 1e-5 for level in values for cell in level for x in cell), "float may decide otherwise"
            for l, level in enumerate(values):
                for c, cell in enumerate(level):
                    if max(cell) > border:
                        out[l][n, c] = 1
    assert all(0 < m.mean() < 1 for m in out)
    return [m.view(IMAGES, h, w) for m, (h, w) in zip(out, SIZES)]


def fgfi(o, v, context):
    masks = anchor_masks(o.get("roi_share", 0.5))
    errors = [((adapted(v, l, o.get("adapt", "3x3"), o.get("adapt_relu", True)) - teacher[f"neck.{l}"]) ** 2).sum(-1) * masks[l] for l in LEVELS]
    if o.get("norm") == "image":
        parts = [sum(e[n].sum() for e in errors) / (2 * sum(m[n].sum() for m in masks)) for n in range(IMAGES)]
        value = sum(parts) / IMAGES
    else:
        value = sum(e.sum() for e in errors) / (2 * sum(m.sum() for m in masks))
    return [("neck", value, o.get("w", 0.01) if context[0] >= o.get("start_step", 400) else 0)]


# ---- frs ----


def frs(o, v, context):
    feat, cls = 0, 0
    for l in LEVELS:
        scores = torch.sigmoid(dense(teacher["class_logits"], l))
        mask = scores.max(-1).values
        error = (adapted(v, l, o.get("adapt", "3x3")) - teacher[f"neck.{l}"]) ** 2
        bce = F.binary_cross_entropy(torch.sigmoid(dense(v["class_logits"], l)), scores, reduction="none")
        feat = feat + (error * mask[..., None]).sum() / mask.sum()
        cls = cls + (bce * mask[..., None]).sum() / mask.sum()
    warmup = o.get("warmup_steps", 500)
    f = min(1, (context[0] + 1) / warmup) if warmup else 1
    return [("feat", feat, f * o.get("w_feat", 0.005)), ("cls", cls, f * o.get("w_cls", 0.02))]


# ---- pkd, cwd ----


def standardised(x):
    return (x - x.mean((0, 1, 2))) / (x.std((0, 1, 2)) + 1e-6)


def pkd(o, v, context):
    levels = LEVELS[: o.get("levels", 4)]
    pairs = [(adapted(v, l, o.get("adapt", "auto")), teacher[f"neck.{l}"]) for l in levels]
    return [("neck", sum(F.mse_loss(standardised(s), standardised(t)) / 2 for s, t in pairs), o.get("w", 10))]


def cwd(o, v, context):
    temperature, value = o.get("temperature", 1), 0
    for l in LEVELS:
        s, t = (x.flatten(1, 2) / temperature for x in (adapted(v, l, o.get("adapt", "auto")), teacher[f"neck.{l}"]))
        log_p, log_q = F.log_softmax(s, 1), F.log_softmax(t, 1)
        value = value + temperature**2 * (log_q.exp() * (log_q - log_p)).sum() / (s.shape[0] * s.shape[2])
    return [("neck", value, o.get("w", 10))]


# ---- dist ----


def pearson(a, b):
    a, b = a - a.mean(1, keepdim=True), b - b.mean(1, keepdim=True)
    return (a * b).sum(1) / (a.norm(dim=1) * b.norm(dim=1) + 1e-8)


def dist(o, v, context, roi, labels):
    if roi:
        use = [x >= -1 for x in ROI_LABELS[labels][0]]
        pairs = [tuple(x["roi.student"].reshape(ROWS, -1)[use].softmax(1) for x in (v, teacher))]
    else:
        pairs = [tuple(torch.sigmoid(dense(x["class_logits"], l)).flatten(0, 2) for x in (v, teacher)) for l in LEVELS]
    inter, intra = (sum(1 - pearson(*(x.T if turned else x for x in pair)).mean() for pair in pairs) for turned in (False, True))
    terms = [("inter", inter, o.get("w_inter", 1)), ("intra", intra, o.get("w_intra", 1))]
    if o.get("mimic"):  # logged as half of the mean over levels
        value = sum(F.mse_loss(adapted(v, l, o.get("adapt", "1x1")), teacher[f"neck.{l}"]) for l in LEVELS)
        terms.append(("mimic", value / (2 * len(LEVELS)), 2 * len(LEVELS) * o.get("w_mimic", 1)))
    return terms


# ---- mimic ----


def head_terms(o, logits, taught, deltas, taught_deltas, target, label, roi, two_stage):
    """logits [R, K], deltas [R, columns, 4] of which row r learns column `own`"""
    use, b = torch.tensor([x >= -1 for x in label]), o.get("background_weight", 1.5)
    by_rows = {"auto": two_stage, "positives": False, "rows": True}[o.get("norm", "auto")]
    n = max(1, sum(x >= (-1 if by_rows else 0) for x in label))
    if roi:
        weight = torch.ones(K + 1)
        weight[0] = b
        classes = -(weight * taught.softmax(1) * F.log_softmax(logits, 1)).sum(1)
    else:
        q = torch.sigmoid(taught)
        classes = -(q * F.logsigmoid(logits) + b * (1 - q) * F.logsigmoid(-logits)).sum(1)
    box, better = 0, 0
    for r, x in enumerate(label):
        if x < 0:
            continue
        own = x + 1 if roi else 0
        error, theirs = ((deltas[r, own] - target[r]) ** 2).sum(), ((taught_deltas[r, own] - target[r]) ** 2).sum()
        assert abs(error + o.get("margin", 0) - theirs) > 1e-5, "float may decide otherwise"
        if error + o.get("margin", 0) > theirs:
            box = box + error
        else:
            better += 1
    assert better, "the bound is never met"
    return classes[use].sum() / n, box / n


def mimic(o, v, context, roi, labels):
    pairs = [(adapted(v, l, o.get("adapt", "1x1")), teacher[f"neck.{l}"]) for l in LEVELS]
    terms = [("hint", sum(F.mse_loss(s, t) for s, t in pairs) / 2 / len(LEVELS), o.get("w_hint", 0.5))]

    def add(prefix, classes, box):
        terms.extend([(prefix + "cls", classes, o.get("w_cls", 0.5)), (prefix + "box", box, o.get("w_box", 0.5))])

    add("", *head_terms(o, *(x["class_logits"].reshape(-1, K) for x in (v, teacher)), *(x["deltas"].reshape(-1, 1, 4) for x in (v, teacher)),
                        TARGET.reshape(-1, 4), LABEL, False, roi))  # fmt: skip
    if roi:
        add("roi_", *head_terms(o, *(x["roi.student"].reshape(ROWS, -1) for x in (v, teacher)),
                                *(x["roi.deltas"].reshape(ROWS, K + 1, 4) for x in (v, teacher)), ROI_TARGET.reshape(-1, 4),
                                ROI_LABELS[labels][0], True, True))  # fmt: skip
    return terms


def case(distiller, options, roi=False, labels=0, context=(600, 1, 4)):
    v = {name: x.clone().requires_grad_() for name, x in leaves.items()}
    function = {"fgfi": fgfi, "frs": frs, "pkd": pkd, "cwd": cwd, "dist": dist, "mimic": mimic}[distiller]
    terms = function(options, v, context, *((roi, labels) if distiller in ("dist", "mimic") else ()))
    return base.case_of(distiller, options, v, terms, roi, labels, context)


NORMAL = {"adapt_init": "normal"}  # only the first weights differ
cases = [case("fgfi", o) for o in ({}, {"w": 2, "norm": "image"}, {"roi_share": 0.3, "adapt": "1x1", "adapt_relu": False, **NORMAL})]
cases += [case("fgfi", {}, context=c) for c in ((400, 1, 4), (399, 1, 4))]
cases += [case("frs", o) for o in ({}, {"w_feat": 2, "w_cls": 3, "warmup_steps": 0}, {"adapt": "1x1"})]
cases += [case("frs", {}, context=(3, 0, 4))]
cases += [case("pkd", o) for o in ({}, {"w": 2, "adapt": "3x3"}, {"levels": 1})]
cases += [case("cwd", o) for o in ({}, {"w": 2, "temperature": 4}, {"temperature": 0.5, "adapt": "3x3"})]
cases += [case("dist", o, roi=roi) for o in ({}, {"w_inter": 2, "w_intra": 3, "mimic": True, "w_mimic": 0.5}) for roi in (False, True)]
cases += [case("dist", {}, roi=True, labels=1), case("dist", {"mimic": True, "adapt": "3x3"})]
cases += [case("mimic", o, roi=roi, labels=roi) for o in ({}, {"w_hint": 2, "w_cls": 3, "w_box": 5, "margin": 0.3, "adapt": "3x3"},
          {"background_weight": 0.5, "norm": "positives"}, {"norm": "rows"}) for roi in (False, True)]  # fmt: skip
if __name__ == "__main__":
    base.write("peers.json", cases, target=TARGET.flatten().tolist(), roi_target=ROI_TARGET.flatten().tolist())
