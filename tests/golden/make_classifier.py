"""Writes classifier.json: crops by PyTorch's grid_sample, the losses and gradients of kd_classifier's three forms, and those of its boxes, by its
autograd in double precision, from the formulas. One image of 9 x 12 pixels whose valid part is 7 x 11; two images with two objects and one, six
rows each, their pixels of a formula."""
import json
import pathlib

import torch
import torch.nn.functional as F

torch.manual_seed(5)
torch.set_default_dtype(torch.float64)
H, W, VALID_H, VALID_W, SIZE = 9, 12, 7, 11, 8
K, ROWS, OBJECTS = 4, 6, 2


def rounded(*shape, scale=1.0):
    return torch.round(torch.randn(*shape) * scale * 1000) / 1000


def flat(x):
    return x.detach().reshape(-1).tolist()


# ---- crops: two inside, one over the corner of the valid part, one with context ----

IMAGE = rounded(H, W, 3)
CROPS = [((1.25, 2.0, 7.5, 5.75), 0.0), ((0.0, 0.0, 3.0, 3.0), 0.0), ((6.0, 4.0, 11.0, 7.0), 0.0), ((2.0, 1.0, 9.0, 6.0), 0.5)]


def crop(box, context):
    x0, y0, x1, y1 = box
    dx, dy = context * (x1 - x0), context * (y1 - y0)
    x0, x1 = (min(max(v, 0.0), VALID_W) for v in (x0 - dx, x1 + dx))
    y0, y1 = (min(max(v, 0.0), VALID_H) for v in (y0 - dy, y1 + dy))
    middles = (torch.arange(SIZE) + 0.5) / SIZE
    xs, ys = (x0 + middles * (x1 - x0)) * 2 / W - 1, (y0 + middles * (y1 - y0)) * 2 / H - 1
    grid = torch.stack([xs[None].expand(SIZE, SIZE), ys[:, None].expand(SIZE, SIZE)], -1)[None]
    return F.grid_sample(IMAGE.permute(2, 0, 1)[None], grid, mode="bilinear", padding_mode="zeros", align_corners=False)[0].permute(1, 2, 0)


# ---- the loss: rows of two images, which object each learns, what the classifier says of the objects ----

LABEL = [[-1, 2, -2, 0, 2, -1], [3, -1, -1, 3, -2, -1]]
MATCHED = [[-1, 0, -2, 1, 0, -1], [0, -1, -1, 0, -2, -1]]
TEACHER = rounded(2, OBJECTS, K, scale=2.0)
TEACHER[1, 1] = 0  # the second image has one object


def positives():
    return [(n, r) for n in range(2) for r in range(ROWS) if LABEL[n][r] >= 0]


def loss(z, mode, temperature):
    total = torch.zeros(())
    for n, r in positives():
        t, s = TEACHER[n, MATCHED[n][r]] / temperature, z[n, r] / temperature
        if mode == "softmax":
            q = F.softmax(t, 0)
            total = total + (q * (q.log() - F.log_softmax(s, 0)[1:])).sum()
        elif mode == "kl_bce":
            p, q = torch.sigmoid(s), torch.sigmoid(t)
            total = total + (q * (q / p).log() + (1 - q) * ((1 - q) / (1 - p)).log()).sum() / K
        else:
            p, q = (F.normalize(torch.sigmoid(v), p=1, dim=0) for v in (s, t))
            total = total + (q * ((q + 1e-10).log() - (p + 1e-10).log())).sum()
    return total * temperature**2 / len(positives())


cases = []
for mode in ("softmax", "kl_bce", "kl_ce"):
    for temperature in (1.0, 2.0):
        z = rounded(2, ROWS, K + (mode == "softmax"), scale=2.0).requires_grad_()
        value = loss(z, mode, temperature)
        value.backward()
        cases.append({"mode": mode, "temperature": temperature, "z": flat(z), "loss": value.item(), "gradient": flat(z.grad)})

# ---- boxes: what the classifier's first layer sees in what a row predicts, and in its object ----

BOX_H, BOX_W, CONTEXT, CHANNELS = 32, 36, 0.1, 6
BOX_VALID = [(30, 34), (32, 36)]
OBJECT_BOXES = [[(0, 0, 8, 8), (20, 20, 30, 30)], [(5, 5, 15, 15)]]
DELTA_WEIGHTS = torch.tensor([2.0, 1.5, 1.0, 0.75])
STEM = {"weight": rounded(CHANNELS, 3, 3, 3, scale=0.5), "gamma": rounded(CHANNELS), "beta": rounded(CHANNELS, scale=0.3),
        "mean": rounded(CHANNELS, scale=0.5), "var": rounded(CHANNELS).abs() + 0.5}


def picture(n):
    y, x, c = torch.meshgrid(torch.arange(BOX_H), torch.arange(BOX_W), torch.arange(3), indexing="ij")
    return ((x + 2 * y + 5 * n) % (11 + 4 * c)).double() / 4 - 1


def decoded(box, delta):
    x0, y0, x1, y1 = (float(v) for v in box)
    w, h, d = x1 - x0, y1 - y0, delta / DELTA_WEIGHTS
    x, y = d[0] * w + x0 + 0.5 * w, d[1] * h + y0 + 0.5 * h
    half = [0.5 * side * torch.exp(v.clamp(max=torch.log(torch.tensor(1000.0 / 16)))) for side, v in ((w, d[2]), (h, d[3]))]
    return torch.stack([x - half[0], y - half[1], x + half[0], y + half[1]])


def seen(n, box):
    height, width = BOX_VALID[n]
    dx, dy = CONTEXT * (box[2] - box[0]), CONTEXT * (box[3] - box[1])
    x0, x1 = ((box[0] - dx).clamp(0, width), (box[2] + dx).clamp(0, width))
    y0, y1 = ((box[1] - dy).clamp(0, height), (box[3] + dy).clamp(0, height))
    middles = (torch.arange(SIZE) + 0.5) / SIZE
    xs, ys = (x0 + middles * (x1 - x0)) * 2 / BOX_W - 1, (y0 + middles * (y1 - y0)) * 2 / BOX_H - 1
    grid = torch.stack([xs[None].expand(SIZE, SIZE), ys[:, None].expand(SIZE, SIZE)], -1)[None]
    pixels = F.grid_sample(picture(n).permute(2, 0, 1)[None], grid, mode="bilinear", padding_mode="zeros", align_corners=False)
    stem = F.conv2d(pixels, STEM["weight"], None, 2, 1)
    return pixels, F.batch_norm(stem, STEM["mean"], STEM["var"], STEM["gamma"], STEM["beta"], False, 0, 1e-5).relu()


def start(n, r, rois):  # the row's proposal, or its anchor, which all images share
    n = n if rois else 0
    return torch.tensor(OBJECT_BOXES[n][max(MATCHED[n][r], 0)]) + torch.tensor([1.0, 0.0, 2.0, 1.0])


def box_loss(delta_of, rois):
    total = torch.zeros(())
    for n, r in positives():
        target = torch.tensor(OBJECT_BOXES[n][MATCHED[n][r]], dtype=torch.float64)
        for own, theirs, parts in zip(seen(n, decoded(start(n, r, rois), delta_of(n, r))), seen(n, target), (4, 8)):
            total = total + (F.adaptive_avg_pool2d(own, parts) - F.adaptive_avg_pool2d(theirs, parts)).abs().mean()
    return total / len(positives())


boxes = []
for rois in (False, True):
    deltas = rounded(2, ROWS, 4 * (K + 1) if rois else 4, scale=0.3)
    deltas[0, 1, (4 * 3 if rois else 0) + 2] = 5.0  # the first positive row, whose class is 2: wider than a box may grow
    deltas.requires_grad_()
    value = box_loss(lambda n, r: deltas[n, r][4 * (LABEL[n][r] + 1):][:4] if rois else deltas[n, r], rois)
    value.backward()
    boxes.append({"rois": rois, "deltas": flat(deltas), "loss": value.item(), "gradient": flat(deltas.grad)})

golden = {
    "image": flat(IMAGE),
    "crops": [{"box": box, "context": context, "pixels": flat(crop(box, context))} for box, context in CROPS],
    "label": LABEL,
    "matched": MATCHED,
    "teacher": flat(TEACHER),
    "cases": cases,
    "stem": {name: flat(value.permute(0, 2, 3, 1) if value.dim() == 4 else value) for name, value in STEM.items()},
    "boxes": boxes,
}
path = pathlib.Path(__file__).with_name("classifier.json")
path.write_text(json.dumps(golden) + "\n")
