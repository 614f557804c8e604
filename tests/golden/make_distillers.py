"""Writes distillers.json: DeFeat's neck and head losses and their gradients by PyTorch's autograd, in double precision, from the formulas
in distillers/common.h. Masks are the authors' rule, written here a second time."""
import json
import math
import pathlib

import torch

torch.manual_seed(11)
CANVAS_H, CANVAS_W, STRIDES, CS, CT, K = 40, 48, (8, 16), 3, 2, 3
BOXES = [[(3.0, 4.0, 6.5, 7.0), (10.0, 2.0, 33.0, 30.0)], [(20.0, 17.0, 23.0, 39.5)]]
OPTIONS = {"w_fg": 3, "w_bg": 5, "normalise_teacher": True, "head": "decoupled", "w_pos": 1.5, "w_neg": 0.5, "t_pos": 2, "t_neg": 0.8}


def rounded(*shape, scale=1.0):
    return torch.round(torch.randn(*shape, dtype=torch.float64) * scale * 1000) / 1000


def level_of(box):
    size = math.sqrt((box[2] - box[0] + 1) * (box[3] - box[1] + 1)) / (56 * min(CANVAS_H, CANVAS_W) / 800)
    return max(0, min(len(STRIDES) - 1, math.floor(math.log2(size + 1e-6))))


def mask(level, h, w, every_level):
    out, stride = torch.zeros(2, h, w, 1, dtype=torch.float64), STRIDES[level]
    for n, boxes in enumerate(BOXES):
        for box in boxes:
            if not every_level and level_of(box) != level:
                continue
            lx, rx = max(int(box[0] / stride), 0), min(int(box[2] / stride), w)
            ly, ry = max(int(box[1] / stride), 0), min(int(box[3] / stride), h)
            if lx == rx or ly == ry:
                out[n, ly, lx] = 1
            else:
                out[n, ly:ry, lx:rx] = 1
    return out


sizes = [(-(-CANVAS_H // s), -(-CANVAS_W // s)) for s in STRIDES]
student = [rounded(2, h, w, CS) for h, w in sizes]
teacher = [rounded(2, h, w, CT, scale=2) for h, w in sizes]
std = [1.75, 2.5]
weight = [rounded(CT, 3, 3, CS, scale=0.3) for _ in sizes]
bias = [rounded(CT, scale=0.3) for _ in sizes]
anchors = sum(h * w for h, w in sizes)
logits, target = rounded(2, 1, anchors, K, scale=2), rounded(2, 1, anchors, K, scale=2)
label = [(i % K if i % 9 == 2 else -2 if i % 7 == 5 else -1) for i in range(2 * anchors)]


def mse(s, t, m, per_image):
    groups = [(s, t, m)] if not per_image else [(s[i : i + 1], t[i : i + 1], m[i : i + 1]) for i in range(2)]
    terms = [(b * (a - c) ** 2).sum() / max(1, 2 * CT * b.sum().item()) for a, c, b in groups]
    return sum(terms) / len(terms)


def head(s, t, use, temperature, norm):
    p, q = torch.sigmoid(s / temperature), torch.sigmoid(t / temperature)
    kl = q * torch.log(q / p) + (1 - q) * torch.log((1 - q) / (1 - p))
    return temperature**2 * (kl.reshape(-1, K) * use[:, None]).sum() / norm


def case(extra):
    options = {**OPTIONS, **extra}
    leaves = [x.clone().requires_grad_() for x in [*student, *weight, *bias, logits]]
    s, w, b, z = leaves[:2], leaves[2:4], leaves[4:6], leaves[6]
    fg = bg = every = 0
    for i, (h, wd) in enumerate(sizes):
        adapted = torch.nn.functional.conv2d(s[i].permute(0, 3, 1, 2), w[i].permute(0, 3, 1, 2), b[i], padding=1).permute(0, 2, 3, 1)
        m = mask(i, h, wd, options.get("level_rule") == "all")
        fg = fg + mse(adapted, teacher[i] / std[i], m, options.get("norm") == "image") / 2
        bg = bg + mse(adapted, teacher[i] / std[i], 1 - m, options.get("norm") == "image") / 2
        every = every + mse(adapted, teacher[i] / std[i], torch.ones_like(m), options.get("norm") == "image") / 2
    positive = torch.tensor([float(x >= 0) for x in label], dtype=torch.float64)
    negative = torch.tensor([float(x == -1) for x in label], dtype=torch.float64)
    n_neg = negative.sum() if options.get("head_norm") == "group" else positive.sum()
    pos = head(z, target, positive, options["t_pos"], positive.sum())
    neg = head(z, target, negative, options["t_neg"], n_neg)
    loss = options["w_fg"] * fg + options["w_bg"] * bg + options["w_pos"] * pos + options["w_neg"] * neg
    loss.backward()
    return {
        "options": options,
        "loss": loss.item(),
        "terms": [x.item() for x in (fg, bg, pos, neg)],
        "neck": {"foreground": fg.item(), "background": bg.item(), "full_feature": every.item()},
        "gradients": [[float(f"{v:.11g}") for v in x.grad.flatten().tolist()] for x in leaves],
    }


out = {
    "torch": torch.__version__,
    "inputs": [x.flatten().tolist() for x in [*student, *weight, *bias, logits]],
    "teacher": [x.flatten().tolist() for x in [*teacher, target]],
    "std": std,
    "label": label,
    "cases": [case({}), case({"level_rule": "all", "norm": "image", "head_norm": "group"})],
}
pathlib.Path(__file__).with_name("distillers.json").write_text(json.dumps(out) + "\n")
