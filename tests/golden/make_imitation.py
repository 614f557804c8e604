"""Writes imitation.json: losses and gradients of fgd, mgd, reviewkd and crosskd, and of the neck's distillers with reduction=hcl, by PyTorch's
autograd in double precision, from the formulas of the methods. Masks, random cells and box decoding are written here a second time. Two images
of 40 x 48 pixels with padding, neck levels of stride 8, 16 and 32, two anchors per cell.

The maps, parameters and helpers are also what imitation_originals.py gives to the authors' own code."""
import json
import math
import pathlib

import torch
import torch.nn.functional as F

torch.set_default_dtype(torch.float64)
CANVAS_H, CANVAS_W, STRIDES, CT, K, IMAGES = 40, 48, (8, 16, 32), 6, 3, 2
BOXES = [[(3.0, 4.0, 6.5, 7.0), (10.0, 2.0, 33.0, 30.0)], [(20.0, 17.0, 23.0, 39.5)]]
VALID = [(31, 48), (40, 30)]  # height, width of the image inside its canvas
SIZES = [(-(-CANVAS_H // s), -(-CANVAS_W // s)) for s in STRIDES]
ANCHORS = [(x * s + s / 2 - a * s, y * s + s / 2 - b * s, x * s + s / 2 + a * s, y * s + s / 2 + b * s)
           for (h, w), s in zip(SIZES, STRIDES) for y in range(h) for x in range(w) for a, b in ((0.75, 0.625), (0.5, 1.125))]  # fmt: skip
LABEL = [i % K if i % 9 == 2 else -2 if i % 7 == 5 else -1 for i in range(IMAGES * len(ANCHORS))]
FACTORS = (2, 2.5, 1, 1.5)  # of the deltas


def rounded(generator, *shape, scale=1.0):
    return torch.round(torch.randn(*shape, generator=generator) * scale * 1000) / 1000


# ---- inputs: the same values for everybody who asks for a name and a shape ----


def tensor(name, *shape, scale=1.0):
    generator = torch.Generator().manual_seed(sum(map(ord, name)) * 31 + math.prod(shape))
    return rounded(generator, *shape, scale=scale)


def neck(prefix, width):
    return {f"neck.{l}": tensor(f"{prefix}.neck.{l}", IMAGES, h, w, width) for l, (h, w) in enumerate(SIZES)}


def teacher_maps():
    maps = neck("teacher", CT)
    for kind in ("class_tower", "box_tower"):
        maps |= {f"{kind}.{l}": tensor(f"teacher.{kind}.{l}", IMAGES, h, w, CT) * 1.5 + 0.25 for l, (h, w) in enumerate(SIZES)}
    maps["logits"] = tensor("teacher.logits", IMAGES, 1, len(ANCHORS), K, scale=2)
    maps["deltas"] = tensor("teacher.deltas", IMAGES, 1, len(ANCHORS), 4, scale=0.5)
    for kind, outputs in (("class_tower", 2 * K), ("box_tower", 8)):
        maps |= {f"{kind}.conv": tensor(kind + ".conv", CT, 3, 3, CT, scale=0.3), f"{kind}.bias": tensor(kind + ".bias", CT, scale=0.3),
                 f"{kind}.out": tensor(kind + ".out", outputs, 1, 1, CT, scale=0.3)}  # fmt: skip
    return maps


TEACHER = teacher_maps()


def parameters(shapes):
    return {name: tensor(name, *shape, scale=0.3) for name, shape in shapes.items()}


def conv_shapes(name, out, kernel, width, bias=True):
    return {f"{name}.weight": (out, kernel, kernel, width), **({f"{name}.bias": (out,)} if bias else {})}


def conv(x, v, name):
    weight = v[name + ".weight"].permute(0, 3, 1, 2)
    y = F.conv2d(x.permute(0, 3, 1, 2), weight, v.get(name + ".bias"), padding=weight.shape[-1] // 2)
    return y.permute(0, 2, 3, 1)


# ---- fgd ----


def align_shapes(width, levels, always=False):
    return {k: s for l in range(levels) for k, s in conv_shapes(f"align.{l}", CT, 1, width).items()} if width != CT or always else {}


def fgd_shapes(width, o):
    shapes = align_shapes(width, levels_of(o), o.get("align") == "always")
    for l in range(levels_of(o)):
        for side in ("s", "t") if o.get("global", True) else ():
            shapes |= conv_shapes(f"conv_mask_{side}.{l}", 1, 1, CT)
            base = f"channel_add_conv_{side}.{l}"
            shapes |= conv_shapes(base + ".0", CT // 2, 1, CT) | conv_shapes(base + ".3", CT, 1, CT // 2)
            shapes |= {base + ".1.weight": (CT // 2,), base + ".1.bias": (CT // 2,)}
    return shapes


def levels_of(o):
    return o.get("levels", 0) or len(STRIDES)


def fgd_masks(l, corrected):
    h, w = SIZES[l]
    objects = torch.zeros(IMAGES, h, w)
    for n, boxes in enumerate(BOXES):
        height, width = (CANVAS_H, CANVAS_W) if corrected else VALID[n]
        for x0, y0, x1, y1 in boxes:
            left, right = math.floor(x0 / width * w), math.ceil(x1 / width * w)
            top, bottom = math.floor(y0 / height * h), math.ceil(y1 / height * h)
            part = objects[n, top : bottom + 1, left : right + 1]
            part.copy_(part.clamp(min=1 / (bottom - top + 1) / (right - left + 1)))
    empty = (objects == 0).to(objects.dtype)
    return objects, empty / empty.sum((1, 2), keepdim=True).clamp(min=1)


def attention(x, temperature):
    n, h, w, c = x.shape
    cells = h * w * F.softmax((x.abs().mean(-1) / temperature).reshape(n, -1), 1).reshape(n, h, w, 1)
    return cells, c * F.softmax(x.abs().mean((1, 2)) / temperature, 1).reshape(n, 1, 1, c)


def context(x, v, side, l):
    mask = F.softmax(conv(x, v, f"conv_mask_{side}.{l}").reshape(len(x), -1), 1).reshape(*x.shape[:3], 1)
    base = f"channel_add_conv_{side}.{l}"
    y = conv((x * mask).sum((1, 2), keepdim=True), v, base + ".0")
    y = (y - y.mean(-1, keepdim=True)) / (y.var(-1, keepdim=True, unbiased=False) + 1e-5).sqrt()
    return conv(F.relu(y * v[base + ".1.weight"] + v[base + ".1.bias"]), v, base + ".3")


def aligned(v, l):
    return conv(v[f"neck.{l}"], v, f"align.{l}") if f"align.{l}.weight" in v else v[f"neck.{l}"]


def fgd(v, o):
    total = {"fg": 0, "bg": 0, "attention": 0, "global": 0}
    for l in range(levels_of(o)):
        s, t = aligned(v, l), TEACHER[f"neck.{l}"]
        (a, b), (own_a, own_b) = attention(t, o.get("temperature", 0.5)), attention(s, o.get("temperature", 0.5))
        for name, mask in zip(("fg", "bg"), fgd_masks(l, o.get("mask") == "corrected")):
            total[name] = total[name] + (mask[..., None] * a * b * (s - t) ** 2).sum() / IMAGES
        total["attention"] = total["attention"] + ((own_a - a).abs().sum() + (own_b - b).abs().sum()) / IMAGES
        if o.get("global", True):
            own, theirs = s + context(s, v, "s", l), t + context(t, v, "t", l)
            total["global"] = total["global"] + ((own - theirs) ** 2).sum() / IMAGES
    return {f"fgd.{k}": (x, o["w_" + k]) for k, x in total.items() if o.get(k, True)}


# ---- mgd ----


def philox(counter, key):
    mask = 0xFFFFFFFF
    (c0, c1, c2, c3), (k0, k1) = counter, key
    for _ in range(10):
        left, right = 0xD2511F53 * c0, 0xCD9E8D57 * c2
        c0, c1, c2, c3 = (right >> 32) ^ c1 ^ k0, right & mask, (left >> 32) ^ c3 ^ k1, left & mask
        k0, k1 = (k0 + 0x9E3779B9) & mask, (k1 + 0xBB67AE85) & mask
    return c0, c1, c2, c3


def uniforms(seed, purpose, index, count):
    words = []
    for block in range(-(-count // 2)):
        words += philox((block, purpose, index & 0xFFFFFFFF, index >> 32), (seed & 0xFFFFFFFF, seed >> 32))
    return [((words[2 * i] >> 5) * 2**26 + (words[2 * i + 1] >> 6)) * 2.0**-53 for i in range(count)]


def random_cells(context, l, ratio):
    """Purpose 7 is that of distillers; streams by step, place in the batch of all ranks, level (of 8)."""
    h, w = SIZES[l]
    draws = [uniforms(context["seed"], 7, (context["step"] << 32) + (context["first"] + n) * 8 + l, h * w) for n in range(IMAGES)]
    return (torch.tensor(draws) >= ratio).to(torch.get_default_dtype()).reshape(IMAGES, h, w, 1)


def mgd_shapes(width, o):
    shapes = align_shapes(width, levels_of(o), o.get("align") == "always")
    for l in range(levels_of(o)):
        shapes |= conv_shapes(f"generation.{l}.0", CT, 3, CT) | conv_shapes(f"generation.{l}.2", CT, 3, CT)
    return shapes


def mgd(v, o, context):
    total = 0
    for l in range(levels_of(o)):
        y = aligned(v, l) * random_cells(context, l, o.get("ratio", 0.65))
        y = conv(F.relu(conv(y, v, f"generation.{l}.0")), v, f"generation.{l}.2")
        total = total + ((y - TEACHER[f"neck.{l}"]) ** 2).sum() / IMAGES
    return {"mgd": (total, o["w"])}


# ---- reviewkd ----


def hcl(s, t):
    total, weight, loss = 1, 1, ((s - t) ** 2).mean()
    s, t = s.permute(0, 3, 1, 2), t.permute(0, 3, 1, 2)
    for side in (4, 2, 1):
        if side >= s.shape[2]:
            continue
        weight /= 2
        total += weight
        loss = loss + weight * ((F.adaptive_avg_pool2d(s, side) - F.adaptive_avg_pool2d(t, side)) ** 2).mean()
    return loss / total


def batch_norm(x, v, name):
    y = (x - x.mean((0, 1, 2))) / (x.var((0, 1, 2), unbiased=False) + 1e-5).sqrt()
    return y * v[name + ".weight"] + v[name + ".bias"]


def reviewkd_shapes(width, o):
    shapes, middle, levels = {}, o.get("width", 0) or width, levels_of(o)
    for l in range(levels):
        for i, (out, kernel, into) in {1: (middle, 1, width), 2: (CT, 3, middle)}.items():
            name = f"abf.{l}.conv{i}"
            shapes |= conv_shapes(name + ".0", out, kernel, into, bias=False) | {name + ".1.weight": (out,), name + ".1.bias": (out,)}
        shapes |= conv_shapes(f"abf.{l}.att_conv.0", 2, 1, 2 * middle) if l + 1 < levels else {}
    return shapes


def reviewkd(v, o):
    total, coarser = 0, None
    for l in reversed(range(levels_of(o))):
        a = batch_norm(conv(v[f"neck.{l}"], v, f"abf.{l}.conv1.0"), v, f"abf.{l}.conv1.1")
        if coarser is not None:
            b = F.interpolate(coarser.permute(0, 3, 1, 2), a.shape[1:3], mode="nearest").permute(0, 2, 3, 1)
            z = torch.sigmoid(conv(torch.cat((a, b), -1), v, f"abf.{l}.att_conv.0"))
            a = a * z[..., :1] + b * z[..., 1:]
        coarser = a
        total = total + hcl(batch_norm(conv(a, v, f"abf.{l}.conv2.0"), v, f"abf.{l}.conv2.1"), TEACHER[f"neck.{l}"])
    return {"reviewkd": (total, o.get("w", 1))}


# ---- reduction=hcl: every object marks all levels, every cell that it touches ----


def hcl_shapes(width, _):
    return {k: s for l in range(len(STRIDES)) for k, s in conv_shapes(f"adapt.{l}", CT, 1, width).items()}


def touched(l):
    h, w = SIZES[l]
    out = torch.zeros(IMAGES, h, w, 1)
    for n, boxes in enumerate(BOXES):
        for box in boxes:
            x0, y0, x1, y1 = (v / STRIDES[l] for v in box)
            out[n, math.floor(y0) : math.ceil(y1), math.floor(x0) : math.ceil(x1)] = 1
    return out


def masked_hcl(v, o, mask):
    total = 0
    for l in range(len(STRIDES)):
        m = mask(l)
        total = total + hcl(m * conv(v[f"neck.{l}"], v, f"adapt.{l}"), m * TEACHER[f"neck.{l}"] / (STD[l] if o.get("normalise_teacher") else 1))
    return total / len(STRIDES)


STD = [1.75, 2.5, 0.5]


def full_feature(v, o):
    return {"full_feature.neck": (masked_hcl(v, o, lambda l: torch.ones(1)), o["w"])}


def defeat(v, o):
    return {"defeat.fg": (masked_hcl(v, o, touched), o["w_fg"]), "defeat.bg": (masked_hcl(v, o, lambda l: 1 - touched(l)), o["w_bg"])}


# ---- crosskd ----


def tower_inputs():
    return {f"{kind}.{l}": tensor(f"student.{kind}.{l}", IMAGES, h, w, CT) for kind in ("class_tower", "box_tower") for l, (h, w) in enumerate(SIZES)}


def finished(v, kind, columns):
    rows = []
    for l in range(len(STRIDES)):
        s, t = v[f"{kind}.{l}"], TEACHER[f"{kind}.{l}"]
        x = (s - s.mean((0, 1, 2))) / (s.std((0, 1, 2)) + 1e-6) * t.std((0, 1, 2)) + t.mean((0, 1, 2))
        w = {"c.weight": TEACHER[f"{kind}.conv"], "c.bias": TEACHER[f"{kind}.bias"], "o.weight": TEACHER[f"{kind}.out"]}
        rows.append(conv(F.relu(conv(F.relu(x), w, "c")), w, "o").reshape(IMAGES, 1, -1, columns))
    return torch.cat(rows, 2)


def decode(d):
    a = torch.tensor(ANCHORS)
    size, d = a[:, 2:] - a[:, :2], d / torch.tensor(FACTORS)
    centre = a[:, :2] + size / 2 + d[..., :2] * size
    half = d[..., 2:].clamp(max=math.log(1000 / 16)).exp() * size / 2
    return centre - half, centre + half


def giou(first, second):
    (a0, a1), (b0, b1) = first, second
    area = lambda low, high: (high - low).clamp(min=0).prod(-1)  # noqa: E731
    both = area(torch.maximum(a0, b0), torch.minimum(a1, b1))
    together, whole = area(a0, a1) + area(b0, b1) - both, area(torch.minimum(a0, b0), torch.maximum(a1, b1))
    return both / together - (whole - together) / whole


def crosskd(v, o):
    use = (torch.tensor(LABEL).reshape(IMAGES, 1, -1) != -2).to(torch.get_default_dtype())
    z, d, positives = finished(v, "class_tower", K), finished(v, "box_tower", 4), sum(x >= 0 for x in LABEL)
    q = TEACHER["logits"].sigmoid()
    focal = (z.sigmoid() - q).abs() ** o.get("beta", 1) * F.binary_cross_entropy_with_logits(z, q, reduction="none")
    boxes = q.max(-1).values * (1 - giou(decode(d), decode(TEACHER["deltas"])))
    return {"crosskd.class": ((focal * use[..., None]).sum() / positives, o.get("w_class", 1)),
            "crosskd.box": ((boxes * use).sum() / positives, o.get("w_box", 1))}  # fmt: skip


# ---- cases ----

METHODS = {"fgd": (fgd, fgd_shapes), "mgd": (mgd, mgd_shapes), "reviewkd": (reviewkd, reviewkd_shapes), "crosskd": (crosskd, None),
           "full_feature": (full_feature, hcl_shapes), "defeat": (defeat, hcl_shapes)}  # fmt: skip
CONTEXT = {"seed": 2**40 + 11, "step": 3, "first": 0}


def digits(x, count=10):
    return [float(f"{g:.{count}g}") for g in x.flatten().tolist()]


def inputs_of(distiller, width, options):
    shapes = METHODS[distiller][1]
    values = tower_inputs() if shapes is None else neck("student", width) | parameters(shapes(width, options))
    return {name: x.clone().requires_grad_() for name, x in values.items()}


def written(distiller, options, width, context, v, terms):
    """A case as the file has it; v holds the gradients of the terms' weighted sum."""
    largest = max(x.grad.abs().max() for x in v.values() if x.grad is not None)
    gradients = {n: digits(x.grad) for n, x in v.items() if x.grad is not None and x.grad.abs().max() > 1e-13 * largest}
    return {"distiller": distiller, "options": options, "width": width, **context, "loss": sum(w * torch.as_tensor(x).item() for x, w in terms.values()),
            "terms": {n: [torch.as_tensor(x).item(), w] for n, (x, w) in terms.items()}, "inputs": {n: x.flatten().tolist() for n, x in v.items()},
            "gradients": gradients}  # fmt: skip


def case(distiller, options, width=5, **where):
    context, v = CONTEXT | where, inputs_of(distiller, width, options)
    terms = METHODS[distiller][0](v, options, *([context] if distiller == "mgd" else []))
    sum(weight * x for x, weight in terms.values()).backward()
    return written(distiller, options, width, context, v, terms)


def document(cases):
    return {"torch": torch.__version__, "teacher": {n: x.flatten().tolist() for n, x in TEACHER.items()}, "valid": VALID, "anchors": ANCHORS,
            "label": LABEL, "std": STD, "cases": cases}  # fmt: skip


def write(name, cases):
    path = pathlib.Path(__file__).with_name(name)
    path.write_text(json.dumps(document(cases), separators=(",", ":")) + "\n")
    print(f"{len(cases)} cases, {path.stat().st_size} bytes")


FGD = {"w_fg": 0.7, "w_bg": 3, "w_attention": 0.5, "w_global": 0.02}
HCL = {"adapt": "1x1", "reduction": "hcl"}
REGION = {"level_rule": "all", "rounding": "cover"}

if __name__ == "__main__":
    write("imitation.json", [
        case("fgd", FGD), case("fgd", {**FGD, "mask": "corrected", "temperature": 0.8}, width=6), case("fgd", {**FGD, "levels": 2, "align": "always"}, width=6),
        case("fgd", {"w_fg": 0.7, "w_attention": 0.5, "bg": False, "global": False}),
        case("fgd", {"w_bg": 3, "w_global": 0.02, "fg": False, "attention": False}),
        case("mgd", {"w": 0.02}), case("mgd", {"w": 0.02, "ratio": 0.3}, width=6, step=70000, first=5), case("mgd", {"w": 1, "levels": 1, "align": "always"}, width=6),
        case("reviewkd", {}), case("reviewkd", {"w": 2, "width": 3, "levels": 2}, width=6),
        case("crosskd", {}), case("crosskd", {"w_class": 0.5, "w_box": 2, "beta": 2}),
        case("full_feature", {"w": 2, **HCL}), case("full_feature", {"w": 2, "normalise_teacher": True, **HCL}),
        case("defeat", {"w_fg": 3, "w_bg": 5, **HCL, **REGION}),
    ])  # fmt: skip
