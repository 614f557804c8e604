#!/usr/bin/env python3
"""The same training step in PyTorch, for comparison with `defeat bench`.

Builds the student of a spec (small stem, basic blocks, FPN) in PyTorch, with the same batch and optimiser, on random images and objects, on
one thread or a GPU, and prints images/s. The detector follows the spec's kind:
  retinanet    a head with batch norm per level; sigmoid focal loss and smooth L1 on labels that are drawn, not matched
  faster_rcnn  torchvision's own RegionProposalNetwork, MultiScaleRoIAlign and RoIHeads with the spec's constants: anchors, matching,
               sampling, suppression and the four losses are in the step
A network of depth 50 is torchvision's own detector with ResNet-50, whole: matching, targets and losses are in the step.
In three modes, in turn over several rounds: eager, eager with channels-last tensors, and torch.compile (needs a C++ compiler and Python's headers; where
it cannot run, that is said and the others are printed; on a GPU it records CUDA graphs: "reduce-overhead"). On a GPU cuDNN looks for its fastest
algorithms ("benchmark"), and a step ends when the GPU is done. With --defeat PROGRAM every round also runs `PROGRAM bench SPEC --json`, and the ratio to
each mode is printed, fastest step against fastest step, with the networks' parameters counted on both sides.

usage: torch_step.py [--defeat ./defeat] [--device cpu|cuda|cuda+tf32] [--modes eager,channels-last,compiled] [--steps 30] [--rounds 3] [SPEC]
"""
import argparse
import json
import os
import subprocess
import time

os.environ["OMP_NUM_THREADS"] = "1"
import torch
import torch.nn.functional as F
from torch import nn


def conv_bn(i, o, k, s, p):
    return nn.Sequential(nn.Conv2d(i, o, k, s, p, bias=False), nn.BatchNorm2d(o))


class Block(nn.Module):
    def __init__(self, i, o, stride):
        super().__init__()
        self.a, self.b = conv_bn(i, o, 3, stride, 1), conv_bn(o, o, 3, 1, 1)
        self.down = None if stride == 1 and i == o else conv_bn(i, o, 1, stride, 0)

    def forward(self, x):
        y = self.b(F.relu(self.a(x)))
        return F.relu(y + (x if self.down is None else self.down(x)))


class Body(nn.Module):
    """Stem, stages and FPN of a spec's network: [N,3,H,W] -> a list of maps, strides 4, 8, ..."""

    def __init__(self, net):
        super().__init__()
        widths, blocks, f = net["widths"], net["blocks"], net["fpn_channels"]
        self.stem = nn.Sequential(conv_bn(3, net["stem_width"], 3, 2, 1), nn.ReLU())
        stages, i = [], net["stem_width"]
        for k, w in enumerate(widths):
            stages.append(nn.Sequential(*[Block(i if j == 0 else w, w, 2 if j == 0 else 1) for j in range(blocks[k])]))
            i = w
        self.stages = nn.ModuleList(stages)
        self.lateral = nn.ModuleList([nn.Conv2d(w, f, 1) for w in widths])
        self.out = nn.ModuleList([nn.Conv2d(f, f, 3, 1, 1) for _ in widths])

    def forward(self, x):
        x, maps = self.stem(x), []
        for stage in self.stages:
            x = stage(x)
            maps.append(x)
        maps = [l(m) for l, m in zip(self.lateral, maps)]
        for k in range(len(maps) - 2, -1, -1):
            maps[k] = maps[k] + F.interpolate(maps[k + 1], scale_factor=2.0, mode="nearest")
        return [o(m) for o, m in zip(self.out, maps)]


class NormedConvs(nn.Module):
    """n times 3x3 convolution, batch norm per level, ReLU"""

    def __init__(self, f, n, levels):
        super().__init__()
        self.conv = nn.ModuleList([nn.Conv2d(f, f, 3, 1, 1, bias=False) for _ in range(n)])
        self.norm = nn.ModuleList([nn.ModuleList([nn.BatchNorm2d(f) for _ in range(levels)]) for _ in range(n)])

    def forward(self, y, level):
        for conv, norm in zip(self.conv, self.norm):
            y = F.relu(norm[level](conv(y)))
        return y


class RetinaNet(nn.Module):
    def __init__(self, net, det, batch, size, classes):
        super().__init__()
        f, levels = net["fpn_channels"], len(net["widths"])
        anchors = len(det["anchor_ratios"]) * len(det.get("anchor_scales", [1]))
        self.body, self.classes = Body(net), classes
        self.branch = nn.ModuleList([NormedConvs(f, net["head_convs"], levels) for _ in range(2)])
        self.last = nn.ModuleList([nn.Conv2d(f, anchors * k, 3, 1, 1) for k in (classes, 4)])
        rows = sum((size // (4 << l)) ** 2 for l in range(levels)) * anchors
        self.positive = torch.rand(batch, rows) < 0.01
        self.target = F.one_hot(torch.randint(0, classes, (batch, rows)), classes).float() * self.positive[..., None]
        self.valid = torch.rand(batch, rows) < 0.98
        self.boxes = torch.randn(int(self.positive.sum()), 4)

    def loss(self, x):
        outs = ([], [])
        for level, m in enumerate(self.body(x)):
            for b, k in enumerate((self.classes, 4)):
                y = self.last[b](self.branch[b](m, level))
                outs[b].append(y.permute(0, 2, 3, 1).reshape(x.shape[0], -1, k))
        logits, deltas = torch.cat(outs[0], 1), torch.cat(outs[1], 1)
        p, target = logits.sigmoid(), self.target
        ce = F.binary_cross_entropy_with_logits(logits, target, reduction="none")
        pt = p * target + (1 - p) * (1 - target)
        focal = ((0.25 * target + 0.75 * (1 - target)) * (1 - pt) ** 2 * ce * self.valid[..., None]).sum()
        box = F.smooth_l1_loss(deltas[self.positive], self.boxes, reduction="sum", beta=1 / 3)
        return (focal + 0.25 * box) / max(1, len(self.boxes))


class ProposalHead(nn.Module):
    """torchvision's RPNHead with batch norm per level"""

    def __init__(self, f, convs, levels, anchors):
        super().__init__()
        self.convs = NormedConvs(f, convs, levels)
        self.logits, self.deltas = nn.Conv2d(f, anchors, 1), nn.Conv2d(f, 4 * anchors, 1)

    def forward(self, maps):
        maps = [self.convs(m, level) for level, m in enumerate(maps)]
        return [self.logits(m) for m in maps], [self.deltas(m) for m in maps]


class FasterRCNN(nn.Module):
    OBJECTS = 4  # most per image, as in a rendered scene; their number is drawn

    def __init__(self, net, det, batch, size, classes):
        from torchvision.models.detection.anchor_utils import AnchorGenerator
        from torchvision.models.detection.faster_rcnn import FastRCNNPredictor, TwoMLPHead
        from torchvision.models.detection.image_list import ImageList
        from torchvision.models.detection.roi_heads import RoIHeads
        from torchvision.models.detection.rpn import RegionProposalNetwork
        from torchvision.ops import MultiScaleRoIAlign

        super().__init__()
        f, levels, cells, width = net["fpn_channels"], len(net["widths"]), det.get("roi_size", 7), det.get("fc_width", 1024)
        scales, ratios = det.get("anchor_scales", [1]), tuple(det["anchor_ratios"])
        sizes = tuple(tuple(s * k for k in scales) for s in det["anchor_size"])
        self.body, self.image_list = Body(net), ImageList
        self.rpn = RegionProposalNetwork(
            AnchorGenerator(sizes, (ratios,) * levels),
            ProposalHead(f, det.get("rpn_convs", 1), levels, len(ratios) * len(scales)),
            det.get("rpn_fg_iou", 0.7), det.get("rpn_bg_iou", 0.3), det.get("rpn_batch", 256), det.get("rpn_positive", 0.5),
            {"training": det.get("rpn_pre_nms_train", 2000), "testing": det.get("rpn_pre_nms_test", 1000)},
            {"training": det.get("rpn_post_nms_train", 2000), "testing": det.get("rpn_post_nms_test", 1000)},
            det.get("rpn_nms_iou", 0.7), det.get("rpn_score_threshold", 0.0))
        self.names = [str(l) for l in range(levels)]
        self.roi = RoIHeads(
            MultiScaleRoIAlign(self.names, cells, det.get("roi_sampling", 2), canonical_scale=det.get("roi_canonical_size", 224),
                               canonical_level=det.get("roi_canonical_level", 4)),
            TwoMLPHead(f * cells * cells, width), FastRCNNPredictor(width, classes + 1), det.get("fg_iou", 0.5), det.get("bg_iou", 0.5),
            det.get("roi_batch", 512), det.get("roi_positive", 0.25), None, det.get("score_threshold", 0.05), det.get("nms_iou", 0.5),
            det.get("detections", 100))
        self.truth, self.sizes = [], [(size, size)] * batch
        for _ in range(batch):
            count = int(torch.randint(1, self.OBJECTS + 1, ()))
            centre, half = torch.rand(count, 2) * size, torch.rand(count, 2) * size / 6 + size / 20
            boxes = torch.cat([centre - half, centre + half], 1).clamp(0, size)
            self.truth.append({"boxes": boxes, "labels": torch.randint(1, classes + 1, (count,))})

    def loss(self, x):
        maps = self.body(x)
        proposals, rpn_losses = self.rpn(self.image_list(x, self.sizes), dict(zip(self.names, maps)), self.truth)
        roi_losses = self.roi(dict(zip(self.names, maps)), proposals, self.sizes, self.truth)[1]
        return sum(rpn_losses.values()) + sum(roi_losses.values())


class Torchvision(nn.Module):
    """torchvision's detector with ResNet-50; [N,3,size,size] in [0,1], three objects an image"""

    def __init__(self, kind, batch, size, classes):
        from torchvision.models.detection import fasterrcnn_resnet50_fpn, retinanet_resnet50_fpn

        super().__init__()
        build, labels = {"retinanet": (retinanet_resnet50_fpn, classes), "faster_rcnn": (fasterrcnn_resnet50_fpn, classes + 1)}[kind]
        self.model = build(weights=None, weights_backbone=None, num_classes=labels, min_size=size, max_size=size)
        self.truth = []
        for _ in range(batch):
            centre, half = torch.rand(3, 2) * size, torch.rand(3, 2) * size / 6 + size / 20
            self.truth.append({"boxes": torch.cat([centre - half, centre + half], 1).clamp(0, size), "labels": torch.randint(1, labels, (3,))})

    def loss(self, x):
        return sum(self.model(list(x), self.truth).values())


MODES = ("eager", "channels-last", "compiled")


class Step:
    """One mode's model and optimiser; the same weights, images and objects in each."""

    def __init__(self, mode, kind, net, det, batch, size, classes, schedule):
        torch.manual_seed(0)
        if net.get("depth", 50) not in (0, 50):
            raise SystemExit(f"a network of depth {net['depth']} has no counterpart here, expected 50 or the embedded benchmark's (0)")
        self.model = Torchvision(kind, batch, size, classes) if net.get("depth", 50) else KINDS[kind](net, det, batch, size, classes)
        self.model.train()
        self.x = torch.rand(batch, 3, size, size)
        if mode == "channels-last":
            self.model, self.x = self.model.to(memory_format=torch.channels_last), self.x.to(memory_format=torch.channels_last)
        how = "reduce-overhead" if self.x.is_cuda else "default"
        self.loss = torch.compile(self.model.loss, mode=how) if mode == "compiled" else self.model.loss
        self.clip = schedule.get("clip", 0)
        if schedule.get("optimiser", "sgd") == "sgd":
            self.optimiser = torch.optim.SGD(self.model.parameters(), schedule["lr"], momentum=0.9)
        else:
            self.optimiser = torch.optim.AdamW(self.model.parameters(), 1e-3)

    def __call__(self):
        self.wait()
        start = time.perf_counter()
        self.optimiser.zero_grad(set_to_none=True)
        self.loss(self.x).backward()
        if self.clip:
            nn.utils.clip_grad_norm_(self.model.parameters(), self.clip)
        self.optimiser.step()
        self.wait()
        return time.perf_counter() - start

    def wait(self):
        if self.x.is_cuda:
            torch.cuda.synchronize()


def warmed_up(mode, *what):
    """The mode's step after five turns, or None where PyTorch cannot run it."""
    try:
        step = Step(mode, *what)
        for _ in range(5):
            step()
        return step
    except Exception as problem:  # whatever the compiler of the day throws
        if mode != "compiled":
            raise
        print(f"torch.compile does not run here: {str(problem).strip().splitlines()[0][:160]}")
        return None


def defeat_bench(program, spec, device):
    env = dict(os.environ, OMP_NUM_THREADS="1")
    return json.loads(subprocess.run([program, "bench", spec, "--device", device, "--json"], env=env, check=True, capture_output=True).stdout)


def choose(device):
    """Where tensors are made from now on, and in what precision they are multiplied."""
    base, _, precision = device.partition("+")
    if precision not in ("", "tf32") or (base == "cpu" and precision):
        raise SystemExit(f"unknown device '{device}', expected cpu, cuda[:N] or cuda[:N]+tf32")
    torch.set_default_device(base)
    if ":" in base:
        torch.cuda.set_device(base)
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = precision == "tf32"
    torch.backends.cudnn.benchmark = True


def machine(device):
    if device == "cpu":
        return "1 thread"
    memory = torch.cuda.max_memory_allocated() / 1e9
    return f"{torch.cuda.get_device_name()}, {device}, cuDNN {torch.backends.cudnn.version()}, {memory:.1f} GB at the peak, all modes together"


def main():
    ap = argparse.ArgumentParser()
    ap.add_argument("spec", nargs="?", default="ablations/specs/reproduce-table.json")
    ap.add_argument("--defeat")
    ap.add_argument("--device", default="cpu")
    ap.add_argument("--modes", default=",".join(MODES))
    ap.add_argument("--steps", type=int, default=30)
    ap.add_argument("--rounds", type=int, default=3)
    args = ap.parse_args()
    modes = args.modes.split(",")
    if not set(modes) <= set(MODES):
        raise SystemExit(f"unknown mode in '{args.modes}', expected some of {','.join(MODES)}")
    torch.set_num_threads(1)
    choose(args.device)
    spec = json.load(open(args.spec))
    net, det = spec["student"]["network"], spec["detector"]
    batch, size, classes = spec["schedule"]["batch"], spec["data"].get("image_size", 96), 8
    if det["kind"] not in KINDS:
        raise SystemExit(f"{args.spec}: detector.kind '{det['kind']}', expected one of {', '.join(KINDS)}")
    steps = {mode: warmed_up(mode, det["kind"], net, det, batch, size, classes, spec["schedule"]) for mode in modes}
    steps = {mode: step for mode, step in steps.items() if step}
    times, ours = {mode: [] for mode in steps}, []
    for _ in range(args.rounds):
        for mode, step in steps.items():
            times[mode] += [step() for _ in range(args.steps)]
        if args.defeat:
            ours.append(defeat_bench(args.defeat, args.spec, args.device))
    if not steps:
        raise SystemExit("none of these modes runs here")
    parameters = sum(p.numel() for p in next(iter(steps.values())).model.parameters())
    print(f"PyTorch {torch.__version__}, {det['kind']}, {machine(args.device)}, batch {batch}, {parameters} parameters, {args.rounds} x {args.steps} steps")
    best = min((1e3 * bench["plain"]["fastest_step_seconds"] for bench in ours), default=0)
    if ours:
        print(f"defeat on {ours[0]['isa']}, {ours[0]['parameters']} parameters: fastest step {best:.2f} ms, {1e3 * batch / best:.1f} images/s")
    for mode, taken in times.items():
        fastest = 1e3 * min(taken)
        ratio = f", ratio {fastest / best:.2f}" if ours else ""
        print(f"{mode:14} fastest step {fastest:.2f} ms, {1e3 * batch / fastest:.1f} images/s{ratio}")


KINDS = {"retinanet": RetinaNet, "faster_rcnn": FasterRCNN}

if __name__ == "__main__":
    main()
