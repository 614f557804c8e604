"""A state dict of torchvision's retinanet_resnet50_fpn and fasterrcnn_resnet50_fpn at full size, weights perturbed (tests/golden/reference.py),
and what torchvision says of an image in float64: for golden_full.c. Usage: golden_full.py FOLDER HEIGHT WIDTH
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
# as golden_full.c has them: fractions of the image, labels
TRUTH = [((0.125, 0.125, 0.4375, 0.625), 17), ((0.5, 0.25, 0.9375, 0.75), 44), ((0.0625, 0.5, 0.125, 0.5625), 0)]
GIVEN = [(0.125, 0.125, 0.375, 0.625), (0.5, 0.25, 1.0, 0.75), (0.0, 0.0, 0.03125, 0.03125), (0.0625, 0.5, 0.25, 0.625)]


def boxes(parts, height, width):
    return [[x0 * width, y0 * height, x1 * width, y1 * height] for x0, y0, x1, y1 in parts]


GAP = 1.1e-4  # of two scores: more than two of golden_full.c's tolerances


def settle_retinanet(net, x, valid):
    """Scales and moves the class logits, which leaves suppression as it is, so that 50 or more detections are left with scores far apart."""
    net.eval()
    head = net.head.classification_head.cls_logits
    with torch.no_grad():
        features = list(net.backbone(x).values())
        outputs = net.head(features)
        anchors = net.anchor_generator(reference.ImageList(x, [tuple(x.shape[2:])]), features)
        levels = [f.shape[2] * f.shape[3] * 9 for f in features]
        split = {k: list(v.split(levels, dim=1)) for k, v in outputs.items()}
        z = net.postprocess_detections(split, [list(a.split(levels)) for a in anchors], valid)[0]["scores"].logit().sort(descending=True).values
        tries = [(scale, kept) for scale in np.arange(0.5, 3, 0.1) for kept in range(50, len(z))]
        least = lambda scale, kept: np.log(0.05 / 0.95) - scale * (z[kept - 1] + z[kept]) / 2
        gap = lambda scale, kept: reference.smallest_gap((scale * z[:kept] + least(scale, kept)).sigmoid())
        scale, kept = max(tries, key=lambda t: gap(*t))
        head.weight *= scale
        head.bias.copy_(scale * head.bias + least(scale, kept))


def settle_faster(net, x, valid):
    """The same; moving the background's logit may change the order of scores, so detections are made for every try."""
    net.eval()
    with torch.no_grad():
        features = net.backbone(x)
        proposals = reference.single(net.rpn(reference.ImageList(x, valid), features)[0])
        logits, deltas = reference.faster_head(net, features, proposals, valid)
        predictor, best = net.roi_heads.box_predictor, (0, 1, 0)
        for scale in (1, 1.2, 0.8, 1.4, 1.6):
            for shift in np.arange(-2, 6, 0.1):
                moved = logits * scale
                moved[:, 0] += shift
                scores = net.roi_heads.postprocess_detections(moved, deltas, proposals, valid)[1][0]
                if 50 <= len(scores) < 100:
                    best = max(best, (reference.smallest_gap(scores), scale, shift))
            if best[0] > 2 * GAP:
                break
        predictor.cls_score.weight *= best[1]
        predictor.cls_score.bias *= best[1]
        predictor.cls_score.bias[0] += best[2]


def main():
    folder, height, width = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    valid = [(height - 8, width - 32)]
    x = reference.pixels(height, width, valid)
    for kind in ("retinanet", "faster_rcnn"):
        start, first = time.time(), int(kind == "faster_rcnn")
        make = fasterrcnn_resnet50_fpn if first else retinanet_resnet50_fpn
        net = make(weights=None, weights_backbone=None, num_classes=CLASSES + first).double()
        targets = [{"boxes": torch.tensor(boxes([b for b, _ in TRUTH], height, width), dtype=torch.float64), "labels": torch.tensor([l + first for _, l in TRUTH])}]
        run = (lambda: net.backbone(x)) if first else (lambda: net.head(list(net.backbone(x).values())))
        reference.perturb(net, np.random.default_rng(5), run)
        if first:
            net.rpn.fg_bg_sampler = reference.Sampler(256, 0.5, 0, 11, 5)
            net.roi_heads.fg_bg_sampler = reference.Sampler(512, 0.25, 1, 11, 5)
            reference.faster_scores(net, x, valid, 100, 3)
            settle_faster(net, x, valid)
        else:
            reference.retinanet_scores(net, x, 110, 4)
            settle_retinanet(net, x, valid)
        reference.rounded(net, torch.float32)
        save_file(reference.state_dict(net, torch.float32), f"{folder}/{kind}_state.safetensors")
        if first:
            file, proposals, detections = reference.faster_says(net, x, valid, targets, [boxes(GIVEN, height, width)])
            print("proposals", [len(p) for p in proposals], end=" ")
        else:
            file, detections = reference.retinanet_says(net, x, valid, targets, 12)
        save_file(file, f"{folder}/{kind}.safetensors")
        gap = reference.smallest_gap(detections[0]["scores"])
        print(f"torchvision's {kind} at {height} x {width}: {sum(p.numel() for p in net.parameters())} parameters, {len(detections[0]['scores'])} "
              f"detections, smallest difference of two scores {gap:.1e}, losses {file['eval.losses'].tolist()}, {time.time() - start:.0f} s", flush=True)
        assert len(detections[0]["scores"]) >= 50 and gap > GAP and torch.isfinite(file["train.losses"]).all()


main()
