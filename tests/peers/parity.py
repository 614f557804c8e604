"""The same training in PyTorch: a spec's student from the program's first weights, over the program's batches (and, in a two-stage detector,
its sampled proposals), a few steps of SGD. Prints both losses of every step; exit 1 if they differ by more than 1e-3 at any step.

usage: parity.py PROGRAM SPEC [--steps 20]     PROGRAM: what tests/peers/parity.c was built to
"""
import argparse
import json
import os
import subprocess
import sys
import tempfile

import torch
import torch.nn.functional as F
from safetensors.torch import load_file
from torch import nn
from torchvision.models._utils import IntermediateLayerGetter
from torchvision.models.detection._utils import BoxCoder, Matcher
from torchvision.models.detection.faster_rcnn import FastRCNNPredictor, TwoMLPHead
from torchvision.models.detection.roi_heads import RoIHeads, fastrcnn_loss
from torchvision.models.detection.rpn import RegionProposalNetwork, concat_box_prediction_layers
from torchvision.models.resnet import BasicBlock, Bottleneck, ResNet
from torchvision.ops import FeaturePyramidNetwork, MultiScaleRoIAlign, box_iou, sigmoid_focal_loss

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "golden"))
from reference import Sampler

ALLOWED = 1e-3


class Body(ResNet):
    """torchvision's ResNet with the spec's widths, and the small stem: 3x3 with stride 2, then a first stage with stride 2."""

    def __init__(self, net):
        nn.Module.__init__(self)
        block = Bottleneck if net.get("block") == "bottleneck" else BasicBlock
        small, stem = net.get("stem") == "small", net["stem_width"]
        self._norm_layer, self.inplanes, self.dilation, self.groups, self.base_width = nn.BatchNorm2d, stem, 1, 1, 64
        self.conv1 = nn.Conv2d(3, stem, 3, 2, 1, bias=False) if small else nn.Conv2d(3, stem, 7, 2, 3, bias=False)
        self.bn1, self.relu = nn.BatchNorm2d(stem), nn.ReLU(True)
        self.maxpool = nn.Identity() if small else nn.MaxPool2d(3, 2, 1)
        for k, (count, width) in enumerate(zip(net["blocks"], net["widths"])):
            setattr(self, f"layer{k + 1}", self._make_layer(block, width, count, 1 if k == 0 and not small else 2))
        self.channels = [w * block.expansion for w in net["widths"]]


class Neck(nn.Module):
    def __init__(self, net):
        super().__init__()
        assert net["extra"] == "none"
        body = Body(net)
        stages = net["fpn_stages"]
        self.body = IntermediateLayerGetter(body, {f"layer{s - 1}": str(k) for k, s in enumerate(stages)})
        self.fpn = FeaturePyramidNetwork([body.channels[s - 2] for s in stages], net["fpn_channels"])

    def forward(self, x):
        return list(self.fpn(self.body(x)).values())


class Convs(nn.Module):
    """3x3 convolutions shared by the levels, batch norm of each level its own (or none, then a bias)."""

    def __init__(self, width, count, levels, normed):
        super().__init__()
        self.conv = nn.ModuleList([nn.Sequential(nn.Conv2d(width, width, 3, 1, 1, bias=not normed)) for _ in range(count)])
        if normed:
            self.norm = nn.ModuleList([nn.ModuleList([nn.BatchNorm2d(width) for _ in range(levels)]) for _ in range(count)])
        self.normed = normed

    def convs(self, x, level):
        for k, conv in enumerate(self.conv):
            x = F.relu(self.norm[k][level](conv(x)) if self.normed else conv(x))
        return x


class Branch(Convs):
    def __init__(self, net, count, levels, name, outputs):
        super().__init__(net["fpn_channels"], count, levels, net.get("head_norm") == "batch")
        setattr(self, name, nn.Conv2d(net["fpn_channels"], outputs, 3, 1, 1))
        self.name = name

    def forward(self, features, columns):
        out = [getattr(self, self.name)(self.convs(f, l)) for l, f in enumerate(features)]
        return torch.cat([y.permute(0, 2, 3, 1).reshape(len(y), -1, columns) for y in out], 1)


class RPNHead(Convs):
    def __init__(self, net, count, levels, anchors):
        super().__init__(net["fpn_channels"], count, levels, net.get("head_norm") == "batch")
        self.cls_logits, self.bbox_pred = nn.Conv2d(net["fpn_channels"], anchors, 1), nn.Conv2d(net["fpn_channels"], 4 * anchors, 1)

    def forward(self, features):
        features = [self.convs(f, l) for l, f in enumerate(features)]
        return [self.cls_logits(f) for f in features], [self.bbox_pred(f) for f in features]


class Quality(Matcher):
    """torchvision's, but an object forces its best anchors only if their IoU is above a threshold."""

    def __init__(self, high, low, least):
        super().__init__(high, low, allow_low_quality_matches=True)
        self.least = least

    def set_low_quality_matches_(self, matches, all_matches, quality):
        best = quality.max(dim=1).values
        forced = ((quality == best[:, None]) & (best[:, None] > self.least)).any(0)
        matches[forced] = all_matches[forced]


def anchors_of(det, features, height, width):
    """[A,4] in float, one operation after the other as the program does them."""
    out, one = [], torch.float32
    for level, f in enumerate(features):
        ratios = torch.tensor(det["anchor_ratios"], dtype=one).sqrt()
        sizes = torch.tensor([det["anchor_size"][level] * s for s in det.get("anchor_scales", [1])], dtype=torch.float64)
        sizes = (sizes.trunc() if det.get("anchor_truncate", det["kind"] == "retinanet") else sizes).to(one)
        w, h = ((1 / ratios)[:, None] * sizes / 2).reshape(-1), (ratios[:, None] * sizes / 2).reshape(-1)
        cell = torch.stack([-w, -h, w, h], 1)
        cell = cell.round() if det.get("anchor_rounding", True) else cell
        rows, columns = f.shape[2:]
        y = (torch.arange(rows, dtype=one) + det.get("anchor_offset", 0)) * (height // rows)
        x = (torch.arange(columns, dtype=one) + det.get("anchor_offset", 0)) * (width // columns)
        y, x = torch.meshgrid(y, x, indexing="ij")
        out.append((torch.stack([x, y, x, y], 2).reshape(-1, 1, 4) + cell).reshape(-1, 4))
    return torch.cat(out)


class RetinaNet(nn.Module):
    def __init__(self, spec, classes):
        super().__init__()
        self.det, net = spec["detector"], spec["student"]["network"]
        levels = len(net["fpn_stages"])
        cell = len(self.det["anchor_ratios"]) * len(self.det.get("anchor_scales", [1]))
        self.backbone = Neck(net)
        self.head = nn.Module()
        self.head.classification_head = Branch(net, net["head_convs"], levels, "cls_logits", cell * classes)
        self.head.regression_head = Branch(net, net["head_convs"], levels, "bbox_reg", cell * 4)
        self.classes = classes
        self.matcher = Quality(self.det.get("fg_iou", 0.5), self.det.get("bg_iou", 0.4), self.det.get("low_quality_iou", 0))
        self.coder = BoxCoder(tuple(map(float, self.det["box_weights"])))
        assert self.det["loss_norm"] == "batch" and self.det["box_loss"] == "smooth_l1"

    def forward(self, x, step):
        features = self.backbone(x)
        logits, deltas = self.head.classification_head(features, self.classes), self.head.regression_head(features, 4)
        anchors = anchors_of(self.det, features, *x.shape[2:])
        focal, box, positives = 0, 0, 0
        for n, (boxes, labels) in enumerate(step["targets"]):
            matched = self.matcher(box_iou(boxes, anchors)) if len(boxes) else torch.full((len(anchors),), -1)
            positive = matched >= 0
            target = torch.zeros_like(logits[n])
            target[positive, labels[matched[positive]]] = 1
            focal = focal + sigmoid_focal_loss(logits[n][matched != -2], target[matched != -2], 0.25, 2, reduction="sum")
            if positive.any():
                encoded = self.coder.encode([boxes[matched[positive]]], [anchors[positive]])[0]
                box = box + F.smooth_l1_loss(deltas[n][positive], encoded, reduction="sum", beta=self.det["box_beta"])
            positives += int(positive.sum())
        terms = {"classification": focal / max(1, positives), "bbox_regression": box / max(1, positives)}
        return terms, terms["classification"] + self.det["box_loss_weight"] * terms["bbox_regression"]


class FasterRCNN(nn.Module):
    def __init__(self, spec, classes):
        super().__init__()
        self.det, net = spec["detector"], spec["student"]["network"]
        det, levels = self.det, len(net["fpn_stages"])
        cell, width = len(det["anchor_ratios"]) * len(det.get("anchor_scales", [1])), net.get("head_width") or det["fc_width"]
        self.backbone = Neck(net)
        self.rpn = RegionProposalNetwork(None, RPNHead(net, det.get("rpn_convs", 1), levels, cell), det["rpn_fg_iou"], det.get("rpn_bg_iou", 0.3),
                                         det["rpn_batch"], det.get("rpn_positive", 0.5), {}, {}, 0.7)
        self.rpn.proposal_matcher = Quality(det["rpn_fg_iou"], det.get("rpn_bg_iou", 0.3), det.get("rpn_low_quality_iou", 0))
        pool = MultiScaleRoIAlign([str(k) for k in range(levels)], det["roi_size"], det.get("roi_sampling", 2),
                                  canonical_scale=det["roi_canonical_size"], canonical_level=det.get("roi_canonical_level", 4))
        self.roi_heads = RoIHeads(pool, TwoMLPHead(net["fpn_channels"] * det["roi_size"] ** 2, width), FastRCNNPredictor(width, classes + 1),
                                  det.get("fg_iou", 0.5), det.get("bg_iou", 0.5), det["roi_batch"], 0.25, None, 0.05, 0.5, 100)

    def proposal_losses(self, features, anchors, targets, step):
        logits, deltas = concat_box_prediction_layers(*self.rpn.head(features))
        repeated = [anchors] * len(targets)
        labels, matched = self.rpn.assign_targets_to_anchors(repeated, targets)
        self.rpn.fg_bg_sampler = Sampler(self.det["rpn_batch"], self.det.get("rpn_positive", 0.5), 0, step["seed"], step["number"])
        return self.rpn.compute_loss(logits, deltas, labels, self.rpn.box_coder.encode(matched, repeated))

    def forward(self, x, step):
        features = self.backbone(x)
        targets = [{"boxes": b, "labels": l + 1} for b, l in step["targets"]]
        anchors = anchors_of(self.det, features, *x.shape[2:])
        objectness, rpn_box = self.proposal_losses(features, anchors, targets, step)
        truth = [t["boxes"] for t in targets]
        matched, labels = self.roi_heads.assign_targets_to_proposals(step["proposals"], truth, [t["labels"] for t in targets])
        for mine, theirs in zip(labels, step["proposal_labels"]):
            assert torch.equal(mine - 1, theirs), "proposals have other labels"
        chosen = [b[m] if len(b) else torch.zeros(len(m), 4) for b, m in zip(truth, matched)]
        encoded = self.roi_heads.box_coder.encode(chosen, step["proposals"])
        pooled = self.roi_heads.box_roi_pool({str(k): f for k, f in enumerate(features)}, step["proposals"], step["valid"])
        logits, deltas = self.roi_heads.box_predictor(self.roi_heads.box_head(pooled))
        classes, box = fastrcnn_loss(logits, deltas, labels, encoded)
        terms = {"loss_objectness": objectness, "loss_rpn_box_reg": rpn_box, "loss_classifier": classes, "loss_box_reg": box}
        return terms, sum(terms.values())


def read_step(path, number, seed):
    file = load_file(path)
    n, h, w = map(int, file["shape"])
    rows = lambda name: file[name].reshape(-1, 6) if name in file else torch.zeros(0, 6)
    objects, proposals = rows("objects"), rows("proposals")
    proposals = proposals[proposals[:, 1] > -2]  # padding
    return {
        "number": number, "seed": seed, "lr": file["lr"].item(), "loss": file["loss"].item(),
        "terms": {k[5:]: v.item() for k, v in file.items() if k.startswith("term.")},
        "pixels": file["pixels"].reshape(n, h, w, 3).permute(0, 3, 1, 2).contiguous(),
        "valid": [tuple(map(int, v)) for v in file["valid"].reshape(n, 2)],
        "targets": [(objects[objects[:, 0] == k][:, 2:], objects[objects[:, 0] == k][:, 1].long()) for k in range(n)],
        "proposals": [proposals[proposals[:, 0] == k][:, 2:] for k in range(n)],
        "proposal_labels": [proposals[proposals[:, 0] == k][:, 1].long() for k in range(n)],
    }


def train(net, spec, folder, steps):
    """The largest relative difference of a loss; a term's is relative to the whole loss."""
    parameters = [p for p in net.parameters() if p.requires_grad]
    optimiser = torch.optim.SGD(parameters, lr=1, momentum=0.9, weight_decay=1e-4)
    largest, clip = 0, spec["schedule"].get("clip", 0)
    seeds = spec.get("seeds", [0])
    print("  step      lr   defeat  PyTorch  difference")
    for k in range(steps):
        step = read_step(f"{folder}/step{k}.safetensors", k, seeds[0] if isinstance(seeds, list) else 0)
        optimiser.param_groups[0]["lr"] = step["lr"]
        optimiser.zero_grad()
        terms, loss = net(step["pixels"], step)
        loss.backward()
        if clip:
            nn.utils.clip_grad_norm_(parameters, clip)
        optimiser.step()
        assert set(terms) == set(step["terms"]), (sorted(terms), sorted(step["terms"]))
        apart = [abs(v.item() - step["terms"][name]) for name, v in terms.items()] + [abs(loss.item() - step["loss"])]
        difference = max(apart) / abs(loss.item())
        largest = max(largest, difference if difference == difference else float("inf"))
        print(f"  {k:4d} {step['lr']:7.4f} {step['loss']:8.5f} {loss.item():8.5f}  {difference:.1e}", flush=True)
    return largest


def main():
    ap = argparse.ArgumentParser()
    ap.add_argument("program")
    ap.add_argument("spec")
    ap.add_argument("--steps", type=int, default=20)
    args = ap.parse_args()
    torch.set_num_threads(1)
    spec = json.load(open(args.spec))
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run([args.program, args.spec, folder, str(args.steps)], check=True)
        state = load_file(f"{folder}/initial.safetensors")
        classes = 8
        net = (FasterRCNN if spec["detector"]["kind"] == "faster_rcnn" else RetinaNet)(spec, classes)
        net.load_state_dict(state, strict=True)
        net.train()
        print(f"{args.spec}: {spec['detector']['kind']}, {sum(p.numel() for p in net.parameters())} parameters, batch {spec['schedule']['batch']}, SGD")
        largest = train(net, spec, folder, args.steps)
    print(f"  largest difference of {args.steps} steps: {largest:.1e} of the loss (allowed {ALLOWED:.0e})")
    sys.exit(0 if largest <= ALLOWED else 1)


main()
