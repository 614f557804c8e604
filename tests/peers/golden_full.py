"""A state dict of torchvision's retinanet_resnet50_fpn or fasterrcnn_resnet50_fpn, every default, weights perturbed (tests/golden/reference.py), and
what torchvision says of an image in float64: for golden_full.c. Usage: golden_full.py FOLDER retinanet|faster_rcnn float|double HEIGHT WIDTH

float or double is what the program computes in. Among so many candidates some decision (two boxes' overlap, which of two comes first, a score at
the threshold) mostly hangs on rounding. The network is the first, by rising seed, that decides the same under noise that moves its logits
farther than computing in that precision does.
"""
import os
import sys
import time

import numpy as np
import torch
from safetensors.torch import save_file
from torchvision.models.detection import fasterrcnn_resnet50_fpn, retinanet_resnet50_fpn

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "golden"))
import reference

CLASSES = 90
# as golden_full.c has them: fractions of the valid region, labels
TRUTH = [((0.125, 0.125, 0.4375, 0.625), 17), ((0.5, 0.25, 0.9375, 0.75), 44), ((0.0625, 0.5, 0.125, 0.5625), 0)]
GIVEN = [(0.125, 0.125, 0.375, 0.625), (0.5, 0.25, 1.0, 0.75), (0.0, 0.0, 0.03125, 0.03125), (0.0625, 0.5, 0.25, 0.625)]
APART = 2.1e-3  # of the logits of two scores: more than two of golden_full.c's tolerances
DRAWS, CONTROLS = 4, 3
NOISE = {"float": 2e-6, "double": 1e-7}  # of a pixel, relative
# where the search begins: with the first that will do at the Makefile's sizes
SEEDS = {("retinanet", "float"): 0, ("faster_rcnn", "float"): 1, ("retinanet", "double"): 0, ("faster_rcnn", "double"): 3}
TRIES = 20


def boxes(parts, valid):
    return [[x0 * valid[1], y0 * valid[0], x1 * valid[1], y1 * valid[0]] for x0, y0, x1, y1 in parts]


def objects(kind, valid, dtype):
    """Faster R-CNN counts from 1: 0 is the background."""
    labels = torch.tensor([label + (kind == "faster_rcnn") for _, label in TRUTH])
    return [{"boxes": torch.tensor(boxes([b for b, _ in TRUTH], valid[0]), dtype=dtype), "labels": labels}]


def model(kind, precision, seed, x, valid):
    rng = np.random.default_rng(seed)
    if kind == "retinanet":
        net = retinanet_resnet50_fpn(weights=None, weights_backbone=None, num_classes=CLASSES).double()
        reference.perturb(net, rng, lambda: net.head(list(net.backbone(x).values())), 0.2)
        reference.retinanet_scores(net, x, 110, 4)
    else:
        net = fasterrcnn_resnet50_fpn(weights=None, weights_backbone=None, num_classes=CLASSES + 1).double()
        net.rpn.fg_bg_sampler = reference.Sampler(256, 0.5, 0, 11, 5)
        net.roi_heads.fg_bg_sampler = reference.Sampler(512, 0.25, 1, 11, 5)
        reference.perturb(net, rng, lambda: net.backbone(x), 0.2)
        with torch.no_grad():
            net.rpn.head.cls_logits.bias -= 8  # the program's scores are float, and those near 1 are coarse
            if precision == "float":
                # Large boxes, of which suppression leaves about the 512 that training samples. Of thousands 512 would be drawn by their
                # rank, where in float some always change places; double samples those.
                net.rpn.head.bbox_pred.bias.view(-1, 4)[:, 2:] += 2.3
        reference.faster_scores(net, x, valid, 100, 3)
        with torch.no_grad():
            net.roi_heads.box_predictor.cls_score.bias[0] -= 1e-3  # which left the last score at the threshold
    reference.rounded(net, torch.float32)
    return net


def decisions(kind, net, x, valid, targets):
    """What was chosen, by name: boxes, labels, and scores or None where their order counts; and the dense logits."""
    with torch.no_grad():
        net.eval()
        if kind == "retinanet":
            _, features, outputs, anchors, _ = reference.retinanet_pass(net, x, targets)
            found = reference.retinanet_detections(net, features, outputs, anchors, valid)[0]
            return {"detections": (found["boxes"], found["labels"], found["scores"])}, outputs["cls_logits"]
        named, proposals, found = reference.faster_testing(net, x, valid)
        none = torch.zeros(len(proposals[0]))
        chosen = {"proposals": (proposals[0], none, none), "detections": (found[0]["boxes"], found[0]["labels"], found[0]["scores"])}
        net.rpn.train()
        net.roi_heads.train()
        for mode in ("eval", "train"):
            seen = reference.faster_pass(net.train() if mode == "train" else net, x, valid, targets)[3]
            chosen[f"samples ({mode})"] = seen["proposals"][0], seen["labels"][0], None
        return chosen, reference.faster_dense(net, list(named.values()))[0]


def unlike(expected, found, reach):
    """As golden_pairs does: how many expected boxes have no partner."""
    (boxes, labels, scores), (others, their_labels, _) = expected, found
    if len(boxes) != len(others) or scores is None and not torch.equal(labels, their_labels):
        return max(1, abs(len(boxes) - len(others)))
    far = torch.cdist(boxes, others.double(), p=float("inf"))
    far[labels[:, None] != their_labels[None]] = torch.inf
    lost = 0
    for row in far:
        best = row.argmin()
        lost += int(row[best] > reach)
        far[:, best] = torch.inf
    return lost


def noisy(x, relative, draw):
    """Draw 0 is the image itself."""
    return x * (1 + relative * torch.randn(x.shape, generator=torch.Generator().manual_seed(draw), dtype=x.dtype)) if draw else x


def hangs(kind, precision, net, x, valid):
    """What noise turns over; how far computing in `precision` moves the logits, and the least that noise does; what the network chooses."""
    state, reach = reference.state_dict(net, torch.float32), 1e-4 * max(x.shape[2:])
    dtype = torch.float32 if precision == "float" else torch.float64
    chosen, logits = decisions(kind, net, x, valid, objects(kind, valid, torch.float64))
    moved, over = [], set()
    net.to(dtype)
    for draw in range(DRAWS + 1):
        net.load_state_dict(state)
        found, other = decisions(kind, net, noisy(x, NOISE[precision], draw).to(dtype), valid, objects(kind, valid, dtype))
        if precision == "double" and not draw:
            other = logits.float()  # the program decides by these
        moved.append((other.double() - logits).pow(2).mean().sqrt().item())
        over = [f"{count} of {len(chosen[k][0])} {k}" for k in chosen if (count := unlike(chosen[k], found[k], reach))]
        if over:
            break
    net.double().load_state_dict(state)
    return over, moved[0], min(moved[1:], default=0), chosen


def apart(scores):
    """How many scores have no other one near."""
    z = scores.logit().sort().values
    far = torch.cat([torch.tensor([True]), z[1:] - z[:-1] > APART, torch.tensor([True])])
    return int((far[1:] & far[:-1]).sum())


def choose(kind, precision, x, valid):
    first = SEEDS[kind, precision]
    for seed in range(first, first + TRIES):
        net = model(kind, precision, seed, x, valid)
        over, rounding, noise, chosen = hangs(kind, precision, net, x, valid)
        scores = chosen["detections"][2]
        said = f"seed {seed}: {', '.join(f'{len(v[0])} {k}' for k, v in chosen.items())} ({apart(scores)} with scores apart)"
        if over:
            print(f"{said}; noise turns over {', '.join(over)}", flush=True)
        elif apart(scores) < 50:
            print(f"{said}: too few", flush=True)
        else:
            print(f"{said}; the same under noise that moves logits by {noise:.1e}, where {precision} moves them by {rounding:.1e}", flush=True)
            assert noise >= rounding
            return net
    sys.exit(f"no seed from {first} to {first + TRIES - 1} will do")


def says(kind, net, x, valid):
    targets = objects(kind, valid, x.dtype)
    if kind == "retinanet":
        return reference.retinanet_says(net, x, valid, targets, 12)
    file, _, detections = reference.faster_says(net, x, valid, targets, [boxes(GIVEN, valid[0])])
    return file, detections


def float_noise(kind, net, file, x, valid):
    """The largest relative difference of a gradient (by sketches, as in golden_sketch) that PyTorch's own float32 comes to, over some runs: on
    the image, then with its pixels moved by as much as float rounds them. Into the file, by mode."""
    state, worst = reference.state_dict(net, torch.float32), {"eval": (0, ""), "train": (0, "")}
    for draw in range(CONTROLS):
        net.load_state_dict(state)
        own = says(kind, net, noisy(x, 2**-24, draw).float(), valid)[0]
        for name in [k for k in file if ".grad." in k]:
            mode, expected, found = name.split(".")[0], file[name], own[name]
            difference = max((found[1:] - expected[1:]).pow(2).mean().sqrt(), (found[0] - expected[0]).abs()) / expected[0]
            assert difference < 0.05, f"{name}: {difference}"  # a control that lets everything pass is none
            worst[mode] = max(worst[mode], (difference.item(), name))
    for mode, (largest, name) in worst.items():
        print(f"PyTorch's own float32, {CONTROLS} runs: gradients off by up to {largest:.1e} ({name})", flush=True)
        file[f"{mode}.float_noise"] = torch.tensor([largest], dtype=torch.float64)


def main():
    folder, kind, precision, height, width = sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4]), int(sys.argv[5])
    assert height % 32 == width % 32 == 0
    start, valid = time.time(), [(height - 8, width - 32)]
    x = reference.pixels(height, width, valid)
    print(f"torchvision's {kind} at {height} x {width} in float64, for {precision}:", flush=True)
    net = choose(kind, precision, x, valid)
    state = reference.state_dict(net, torch.float32)
    save_file(state, f"{folder}/{kind}_state.safetensors")
    file, detections = says(kind, net, x, valid)
    if precision == "float":
        net.float().load_state_dict(state)
        float_noise(kind, net, file, x, valid)
    save_file(file, f"{folder}/{kind}.safetensors")
    print(f"{sum(p.numel() for p in net.parameters())} parameters, {len(detections[0]['scores'])} detections, losses {file['eval.losses'].tolist()} and "
          f"{file['train.losses'].tolist()}, {time.time() - start:.0f} s", flush=True)
    assert apart(detections[0]["scores"]) >= 50 and torch.isfinite(file["train.losses"]).all()


main()
