"""Writes explain.json: D-RISE, its scores, deletion and insertion of a detector that a page of numpy can be. Written from the papers' formulas: masks
are drawn by a Philox of its own and enlarged by PyTorch's bilinear interpolation, ranks are scipy's.

    python tests/golden/make_explain.py        (needs numpy, scipy, torch)"""
import json
import pathlib

import numpy as np
import scipy.stats
import torch

H, W, CANVAS, MEAN, STD = 11, 14, 16, 0.5, 0.25
MASK_PURPOSE = 10
CLASSES, THRESHOLD = 3, 0.3
BOXES = np.array([[1, 1, 7, 6], [2, 2, 8, 8], [6, 3, 13, 10.5]], np.float32)


# ---- random numbers ----

def philox(counter, key):
    c, k = [int(x) for x in counter], [int(x) for x in key]
    for _ in range(10):
        left, right = 0xD2511F53 * c[0], 0xCD9E8D57 * c[2]
        c = [(right >> 32) ^ c[1] ^ k[0], right & 0xFFFFFFFF, (left >> 32) ^ c[3] ^ k[1], left & 0xFFFFFFFF]
        k = [(k[0] + 0x9E3779B9) & 0xFFFFFFFF, (k[1] + 0xBB67AE85) & 0xFFFFFFFF]
    return c


class Stream:
    def __init__(self, seed, index):
        self.seed, self.index, self.block, self.words = seed, index, 0, []

    def word(self):
        if not self.words:
            self.words = philox((self.block, MASK_PURPOSE, self.index, 0), (self.seed, 0))
            self.block += 1
        return self.words.pop(0)

    def uniform(self):
        high, low = self.word() >> 5, self.word() >> 6
        return (high * 2**26 + low) / 2**53

    def below(self, n):
        while True:
            product = self.word() * n
            if product % 2**32 >= n or product % 2**32 >= 2**32 % n:
                return product >> 32


# ---- masks ----

def mask(options, i):
    s, stream = options["grid"], Stream(options["seed"], i)
    grid = np.array([stream.uniform() < options["keep"] for _ in range(s * s)], float).reshape(s, s)
    cell = [-(-H // s), -(-W // s)]
    size = [(s + 1) * c for c in cell]
    shift = [stream.below(c) if options["shift"] else 0 for c in cell]
    if options["edges"] == "nearest":
        large = grid[np.ix_(*[((np.arange(n) + 0.5) * s / n).astype(int) for n in size])]
    else:
        large = torch.nn.functional.interpolate(torch.from_numpy(grid)[None, None], size=size, mode="bilinear", align_corners=False)[0, 0]
        large = large.numpy()
    return large[shift[0]:shift[0] + H, shift[1]:shift[1] + W]


# ---- the detector ----

def detect(image):
    """image [H,W,3] of 0..1. A box's class scores are the mean colour in it; it is found where the largest is above the threshold."""
    out = []
    for box in BOXES:
        x0, y0, x1, y1 = box.astype(int)
        scores = image[y0:y1, x0:x1].mean((0, 1))
        if scores.max() > THRESHOLD:
            out.append((box, scores))
    return out


def iou(a, b):
    w, h = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
    if w <= 0 or h <= 0:
        return 0
    return w * h / ((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - w * h)


def similarity(target, found, confidence):
    box, scores = target
    best = 0
    for other, p in found:
        cosine = scores @ p / (np.linalg.norm(scores) * np.linalg.norm(p))
        best = max(best, iou(box, other) * cosine * (p.max() if confidence else 1))
    return best


# ---- maps ----

def saliency(options, masks, w):
    n, centre = len(masks), w.mean() if options["centre"] else 0
    halves = [sum((w[i] - centre) * masks[i] for i in range(k, n, 2)) / (len(range(k, n, 2)) * options["keep"]) for k in range(2)]
    return np.array(halves)


def inside(box):
    y, x = np.mgrid[:H, :W] + 0.5
    return (x >= box[0]) & (x < box[2]) & (y >= box[1]) & (y < box[3])


def energy(m, box):
    m = m - m.min()
    return (m * inside(box)).sum() / m.sum()


def blur(image, sigma):
    r = int(np.ceil(sigma))
    k = np.exp(-0.5 * (np.arange(-r, r + 1) / sigma) ** 2)
    k /= k.sum()
    for axis in (1, 0):
        padded = np.pad(image, [(r, r) if a == axis else (0, 0) for a in range(3)], mode="edge")
        image = np.apply_along_axis(lambda v: np.convolve(v, k, "valid"), axis, padded)
    return image


def area(start, end, m, steps, target, confidence):
    order, y = np.argsort(-m.ravel(), kind="stable"), []
    for step in range(steps + 1):
        now = start.reshape(-1, 3).copy()
        some = order[:H * W * step // steps]
        now[some] = end.reshape(-1, 3)[some]
        y.append(similarity(target, detect(now.reshape(H, W, 3)), confidence))
    return (sum(y) - y[0] / 2 - y[-1] / 2) / steps


def case(rng, **options):
    image8 = rng.integers(0, 256, (H, W, 3))
    image8[1:6, 1:7, 0] = rng.integers(200, 256, (5, 6))
    image = image8 / 255
    targets = [(np.array([1, 1, 7, 7], np.float32), np.array([1., 0, 0])), (np.array([5, 3, 13, 10], np.float32), np.array([.2, .1, .7]))]
    masks = np.array([mask(options, i) for i in range(options["count"])])
    w = np.array([[similarity(t, detect(image * m[..., None]), options["confidence"]) for m in masks] for t in targets])
    out = []
    for target, weight in zip(targets, w):
        halves = saliency(options, masks, weight)
        m = halves.mean(0)
        top = np.unravel_index(m.argmax(), m.shape)
        black = np.zeros_like(image)
        out.append({"box": target[0].tolist(), "scores": target[1].tolist(), "weight": weight.tolist(), "halves": halves.ravel().tolist(),
                    "energy": energy(m, target[0]), "points": bool(inside(target[0])[top]),
                    "split_half": scipy.stats.spearmanr(halves[0].ravel(), halves[1].ravel()).statistic,
                    "deletion": area(image, black, m, options["steps"], target, options["confidence"]),
                    "insertion": area(blur(image, options["blur"]), image, m, options["steps"], target, options["confidence"])})
    return {"options": options, "image": image8.ravel().tolist(), "masks": masks[:3].ravel().tolist(), "targets": out}


def main():
    rng = np.random.default_rng(17)
    common = {"steps": 7, "blur": 1.5}
    cases = [case(rng, count=20, grid=3, seed=5, keep=0.5, edges="bilinear", shift=True, centre=False, confidence=False, **common),
             case(rng, count=21, grid=4, seed=6, keep=0.7, edges="bilinear", shift=True, centre=True, confidence=True, **common),
             case(rng, count=16, grid=5, seed=7, keep=0.4, edges="nearest", shift=False, centre=True, confidence=False, **common)]
    root = {"height": H, "width": W, "canvas": CANVAS, "mean": MEAN, "std": STD, "threshold": THRESHOLD, "found": BOXES.tolist(),
            "cases": cases}
    path = pathlib.Path(__file__).parent / "explain.json"
    path.write_text(json.dumps(root, separators=(",", ":")) + "\n")


if __name__ == "__main__":
    main()
