"""Writes classifier.json: crops by PyTorch's grid_sample, and the losses and gradients of kd_classifier's three forms by its autograd in double
precision, from the formulas. One image of 9 x 12 pixels whose valid part is 7 x 11; two images with two objects and one, six rows each."""
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

golden = {
    "image": flat(IMAGE),
    "crops": [{"box": box, "context": context, "pixels": flat(crop(box, context))} for box, context in CROPS],
    "label": LABEL,
    "matched": MATCHED,
    "teacher": flat(TEACHER),
    "cases": cases,
}
path = pathlib.Path(__file__).with_name("classifier.json")
path.write_text(json.dumps(golden) + "\n")
