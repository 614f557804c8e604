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
            reference.faster_scores(net, x, valid, 120)
        else:
            reference.retinanet_scores(net, x, 110)
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
        assert len(detections[0]["scores"]) >= 50 and gap > 4e-6 and torch.isfinite(file["train.losses"]).all()


main()
