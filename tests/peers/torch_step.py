#!/usr/bin/env python3
"""The same training step in PyTorch, for comparison with `defeat bench`.

Builds the student of a spec (small stem, basic blocks, FPN) in PyTorch, with the same batch and optimiser, on random images and objects, on
one thread or a GPU, and prints images/s. The detector follows the spec's kind:
  retinanet    a head with batch norm per level; sigmoid focal loss and smooth L1 on labels that are drawn, not matched
  faster_rcnn  torchvision's own RegionProposalNetwork, MultiScaleRoIAlign and RoIHeads with the spec's constants: anchors, matching,
               sampling, suppression and the four losses are in the step
A network of depth 50 or more is torchvision's own detector with that ResNet, whole: matching, targets and losses are in the step.
In three modes, in turn over several rounds: eager, eager with channels-last tensors, and torch.compile (needs a C++ compiler and Python's headers; where
it cannot run, that is said and the others are printed; on a GPU it records CUDA graphs: "reduce-overhead"). On a GPU cuDNN looks for its fastest
algorithms ("benchmark"), and a step ends when the GPU is done. With --defeat PROGRAM every round also runs `PROGRAM bench SPEC --json`, and the ratio to
each mode is printed, fastest step against fastest step, with the networks' parameters counted on both sides.

With --distilled also the steps of a student that the spec's teacher teaches by DeFeat on the neck (a method of the spec), the teacher live on both sides:
plain and distilled steps take turns, and how much longer a distilled one takes is printed too. PyTorch's teacher runs on the whole batch and no further than
its neck, without gradients; its features are around 1, for its batch norms are given the statistics of the batch.

usage: torch_step.py [--defeat ./defeat] [--device cpu|cuda|cuda+tf32] [--modes eager,channels-last,compiled] [--steps 30] [--rounds 3] [--distilled]
                     [--set KEY=VALUE]... [SPEC]
  --set    put over the spec, for both sides, such as schedule.batch=1
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


def draw_objects(batch, size, labels, least, most):
    """`least` to `most` boxes in each image, with labels 1 to `labels`."""
    truth = []
    for _ in range(batch):
        count = int(torch.randint(least, most + 1, ()))
        centre, half = torch.rand(count, 2) * size, torch.rand(count, 2) * size / 6 + size / 20
        truth.append({"boxes": torch.cat([centre - half, centre + half], 1).clamp(0, size), "labels": torch.randint(1, labels + 1, (count,))})
    return truth


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
        self.out_channels, self.strides = f, [4 << level for level in range(len(widths))]
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


OBJECTS = 4  # most per image, as in a rendered scene; their number is drawn


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
        self.truth = draw_objects(batch, size, classes, 1, OBJECTS)

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
    def __init__(self, net, det, batch, size, classes):
        from torchvision.models.detection.anchor_utils import AnchorGenerator
        from torchvision.models.detection.faster_rcnn import FastRCNNPredictor, TwoMLPHead
        from torchvision.models.detection.image_list import ImageList
        from torchvision.models.detection.roi_heads import RoIHeads
        from torchvision.models.detection.rpn import RegionProposalNetwork
        from torchvision.ops import MultiScaleRoIAlign

        super().__init__()
        f, levels, cells, width = net["fpn_channels"], len(net["widths"]), det.get("roi_size", 7), net.get("head_width") or det.get("fc_width", 1024)
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
        self.truth, self.sizes = draw_objects(batch, size, classes, 1, OBJECTS), [(size, size)] * batch

    def loss(self, x):
        maps = self.body(x)
        proposals, rpn_losses = self.rpn(self.image_list(x, self.sizes), dict(zip(self.names, maps)), self.truth)
        roi_losses = self.roi(dict(zip(self.names, maps)), proposals, self.sizes, self.truth)[1]
        return sum(rpn_losses.values()) + sum(roi_losses.values())


class Torchvision(nn.Module):
    """torchvision's detector with a ResNet; [N,3,size,size] in [0,1], three objects an image"""

    def __init__(self, kind, depth, batch, size, classes):
        from torchvision.models.detection import FasterRCNN, RetinaNet
        from torchvision.models.detection.backbone_utils import resnet_fpn_backbone
        from torchvision.ops.feature_pyramid_network import LastLevelP6P7

        super().__init__()
        if kind == "retinanet":
            first, more, build, labels = 8, {"returned_layers": [2, 3, 4], "extra_blocks": LastLevelP6P7(256, 256)}, RetinaNet, classes
        else:
            first, more, build, labels = 4, {}, FasterRCNN, classes + 1
        body = resnet_fpn_backbone(backbone_name=f"resnet{depth}", weights=None, norm_layer=nn.BatchNorm2d, trainable_layers=5, **more)
        body.strides = [first << level for level in range(5)]
        self.model = build(body, labels, min_size=size, max_size=size)
        self.truth = draw_objects(batch, size, labels - 1, 3, 3)

    @property
    def body(self):
        return self.model.backbone

    def loss(self, x):
        return sum(self.model(list(x), self.truth).values())


DEPTHS = (50, 101, 152)


def detector(spec, net):
    """The spec's kind of detector with this network, for the spec's batch."""
    kind, depth = spec["detector"]["kind"], net.get("depth", 50)
    batch, size, classes = spec["schedule"]["batch"], spec["data"].get("image_size", 96), 8
    if depth not in (0, *DEPTHS):
        raise SystemExit(f"a network of depth {depth} has no counterpart here, expected one of {', '.join(map(str, DEPTHS))} or the embedded benchmark's (0)")
    return Torchvision(kind, depth, batch, size, classes) if depth else KINDS[kind](net, spec["detector"], batch, size, classes)


def cells(boxes, h, w, cover):
    """[N,M,4] in cells -> [N,M,h,w]: those of each box. cover: all that it touches; else coordinates are cut to whole numbers, its end is not
    its own, and a box that is thin in one direction has one cell."""
    first, last = (torch.floor, torch.ceil) if cover else (torch.trunc, torch.trunc)
    x0, y0 = (first(boxes[..., k]).clamp(min=0) for k in (0, 1))
    x1, y1 = (last(boxes[..., k]).clamp(max=most) for k, most in ((2, w), (3, h)))
    thin = (x0 == x1) | (y0 == y1)
    x1, y1 = torch.where(thin, x0 + 1, x1), torch.where(thin, y0 + 1, y1)
    x0, y0, x1, y1 = (side[..., None, None] for side in (x0, y0, x1, y1))
    rows, columns = torch.arange(h)[:, None], torch.arange(w)
    return (rows >= y0) & (rows < y1) & (columns >= x0) & (columns < x1)


class Distilled(nn.Module):
    """A student that a frozen teacher of the same batch teaches by DeFeat on the neck; a 3x3 convolution adapts each level.

      L = the student's own + 1/L sum_l [ w_fg mse(a_l(s_l), t_l; m_l) + w_bg mse(a_l(s_l), t_l; 1 - m_l) ]
      mse(s, t; m) = sum m (s - t)^2 / max(1, 2 C sum m)

    m: cells of the objects whose level it is. Formulas: distillers/common.h, distillers/masks.h. First weights are PyTorch's, and the features of a
    teacher are not divided by their deviation: neither moves the clock (torch.sub would do the latter in passing)."""

    OPTIONS = {"name", "w_fg", "w_bg", "adapt", "adapt_init", "adapt_std", "normalise_teacher", "rounding"}

    def __init__(self, student, teacher, options, x):
        super().__init__()
        self.student, self.teacher, self.seen = student, teacher, []
        self.strides = student.body.strides
        self.adapt = nn.ModuleList([nn.Conv2d(student.body.out_channels, teacher.body.out_channels, 3, 1, 1) for _ in self.strides])
        self.w_fg, self.w_bg, self.cover = options.get("w_fg", 4), options.get("w_bg", 16), options.get("rounding", "authors") == "cover"
        self.size = x.shape[-1]
        # [N,most,4]; what stands for an object that is not there lies outside
        self.boxes = nn.utils.rnn.pad_sequence([image["boxes"] for image in student.truth], batch_first=True, padding_value=-self.size)
        student.body.register_forward_hook(lambda body, images, maps: self.seen.append((images[0], maps)))
        self.settle(x)

    def settle(self, x):
        """The teacher's batch norms get the batch's statistics: with drawn ones the features of a hundred layers are huge."""
        for module in self.teacher.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.momentum = 1
        self.teacher.train().requires_grad_(False)
        with torch.no_grad():
            self.student.loss(x)
            self.teacher.body(self.seen.pop()[0])

    def train(self, mode=True):
        super().train(mode)
        self.teacher.eval()
        return self

    def objects(self, level, h, w):
        """[N,h,w]: 1 in the cells of the level's objects"""
        x0, y0, x1, y1 = self.boxes.unbind(-1)
        scale = ((x1 - x0 + 1) * (y1 - y0 + 1)).sqrt() / (56 * self.size / 800)
        own = (scale + 1e-6).log2().floor().clamp(0, len(self.strides) - 1) == level
        return (own[..., None, None] & cells(self.boxes / self.strides[level], h, w, self.cover)).any(1).float()

    def term(self, level, s, t):
        mask = self.objects(level, *s.shape[-2:])
        error = (self.adapt[level](s) - t).square().sum(1)
        return sum(w * (m * error).sum() / (2 * t.shape[1] * m.sum()).clamp(min=1) for w, m in ((self.w_fg, mask), (self.w_bg, 1 - mask)))

    def loss(self, x):
        own = self.student.loss(x)
        images, maps = self.seen.pop()
        with torch.no_grad():
            taught = levels_of(self.teacher.body(images))
        terms = [self.term(level, s, t) for level, (s, t) in enumerate(zip(levels_of(maps), taught))]
        return own + sum(terms) / len(terms)


def levels_of(maps):
    return list(maps.values()) if isinstance(maps, dict) else maps


MODES = ("eager", "channels-last", "compiled")


class Step:
    """One mode's model and optimiser; the same weights, images and objects in each. method: the one that distils, None: plain."""

    def __init__(self, mode, spec, method):
        torch.manual_seed(0)
        schedule, self.model = spec["schedule"], detector(spec, spec["student"]["network"])
        size = spec["data"].get("image_size", 96)
        self.x = torch.rand(schedule["batch"], 3, size, size)
        if method:
            self.model = Distilled(self.model, detector(spec, spec["teacher"]["network"]), method["distillers"][0], self.x)
        self.model.train()
        if mode == "channels-last":
            self.model, self.x = self.model.to(memory_format=torch.channels_last), self.x.to(memory_format=torch.channels_last)
        how = "reduce-overhead" if self.x.is_cuda else "default"
        self.loss = torch.compile(self.model.loss, mode=how) if mode == "compiled" else self.model.loss
        self.clip, self.taken = schedule.get("clip", 0), []
        self.trained = [p for p in self.model.parameters() if p.requires_grad]
        if schedule.get("optimiser", "sgd") == "sgd":
            self.optimiser = torch.optim.SGD(self.trained, schedule["lr"], momentum=0.9)
        else:
            self.optimiser = torch.optim.AdamW(self.trained, 1e-3)

    def __call__(self):
        self.wait()
        start = time.perf_counter()
        self.optimiser.zero_grad(set_to_none=True)
        loss = self.loss(self.x)
        loss.backward()
        if self.clip:
            nn.utils.clip_grad_norm_(self.trained, self.clip)
        self.optimiser.step()
        self.wait()
        self.taken.append(time.perf_counter() - start)
        if not loss.isfinite():
            raise SystemExit(f"the loss is {loss:g} after {len(self.taken)} steps: their time is no training's")

    def wait(self):
        if self.x.is_cuda:
            torch.cuda.synchronize()

    def sizes(self):
        """Parameters of the student and, where it is taught, of its adaptation and of its teacher"""
        parts = (self.model.student, self.model.adapt, self.model.teacher) if isinstance(self.model, Distilled) else (self.model,)
        return [sum(p.numel() for p in part.parameters()) for part in parts]


class Mode:
    """Plain and, with a method, distilled steps by turns, so that what else the machine does falls on both."""

    def __init__(self, name, spec, method):
        self.step = {"plain": Step(name, spec, None)}
        if method:
            self.step["distilled"] = Step(name, spec, method)

    def turns(self, count):
        for _ in range(count):
            for step in self.step.values():
                step()

    def fastest(self, side):
        return 1e3 * min(self.step[side].taken)


def warmed_up(name, spec, method, turns):
    """A mode after some turns, or None where PyTorch cannot run it."""
    try:
        mode = Mode(name, spec, method)
        mode.turns(turns)
        for step in mode.step.values():
            step.taken.clear()
        return mode
    except Exception as problem:  # whatever the compiler of the day throws
        if name != "compiled":
            raise
        print(f"torch.compile does not run here: {str(problem).strip().splitlines()[0][:160]}")
        return None


def put(spec, setting):
    """KEY=VALUE over the spec, as `defeat` does it: dots go into objects, the value is JSON or a text."""
    key, _, value = setting.partition("=")
    *folders, last = key.split(".")
    for folder in folders:
        spec = spec.setdefault(folder, {})
    try:
        spec[last] = json.loads(value)
    except ValueError:
        spec[last] = value


def read_spec(path, settings):
    with open(path) as file:
        spec = json.load(file)
    for setting in settings:
        put(spec, setting)
    if spec["detector"]["kind"] not in KINDS:
        raise SystemExit(f"{path}: detector.kind '{spec['detector']['kind']}', expected one of {', '.join(KINDS)}")
    return spec


def is_on_the_neck(distillers):
    """Is it DeFeat as Distilled does it?"""
    if [distiller["name"] for distiller in distillers] != ["defeat"]:
        return False
    options = distillers[0]
    return set(options) <= Distilled.OPTIONS and options.get("adapt", "3x3") == "3x3" and not any(isinstance(o, list) for o in options.values())


def method_of(spec):
    """The spec's first method that distils as Distilled does."""
    if not {"network"} <= set(spec.get("teacher", {})) <= {"network", "file", "schedule", "seed"}:
        raise SystemExit(f"{spec['name']}: no teacher, or one with a detector or canvas of its own, expected a network beside the student's")
    for method in spec["methods"]:
        if is_on_the_neck(method.get("distillers", [])):
            return method
    raise SystemExit(f"{spec['name']}: no method is DeFeat on the neck alone, adapted by 3x3 convolutions [such as 'DeFeat neck' of reproduce-table.json]")


class Ours:
    """`defeat bench` of the same steps, a round after the other."""

    def __init__(self, args, method):
        self.command = [args.defeat, "bench", args.spec, "--device", args.device, "--steps", str(max(3, args.steps)), "--json"]
        for setting in args.set:
            self.command += ["--set", setting]
        if method:
            self.command += ["--live", "--set", "methods=" + json.dumps([{"label": "none"}, method])]
        self.rounds = []

    def bench(self):
        env = dict(os.environ, OMP_NUM_THREADS="1")
        self.rounds.append(json.loads(subprocess.run(self.command, env=env, check=True, stdout=subprocess.PIPE).stdout))

    def fastest(self, side):
        return 1e3 * min(bench[side]["fastest_step_seconds"] for bench in self.rounds)

    def sizes(self, side):
        """As Step.sizes."""
        more = ("adaptation_parameters", "teacher_parameters") if side == "distilled" else ()
        return [self.rounds[0]["parameters"]] + [self.rounds[0][side][key] for key in more]


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


def said(sizes):
    return ", ".join(f"{size} {what}" for size, what in zip(sizes, ("parameters", "of adaptation", "of the teacher")))


def speed(who, side, batch):
    more = f", {who.fastest(side) / who.fastest('plain'):.2f} times a plain one" if side == "distilled" else ""
    return f"fastest {'distilled ' if more else ''}step {who.fastest(side):.2f} ms, {1e3 * batch / who.fastest(side):.1f} images/s{more}"


def show(modes, ours, side, batch):
    """A line for each mode's steps, and for ours; `side`: the last one"""
    if ours:
        print(f"defeat on {ours.rounds[0]['isa']}, {said(ours.sizes(side))}: {speed(ours, 'plain', batch)}")
    if ours and side == "distilled":
        print(f"{'defeat':14} {speed(ours, side, batch)}")
    for name, mode in modes.items():
        for side in mode.step:
            ratio = f", ratio {mode.fastest(side) / ours.fastest(side):.2f}" if ours else ""
            print(f"{name:14} {speed(mode, side, batch)}{ratio}")


def main():
    ap = argparse.ArgumentParser()
    ap.add_argument("spec", nargs="?", default="ablations/specs/reproduce-table.json")
    ap.add_argument("--defeat")
    ap.add_argument("--device", default="cpu")
    ap.add_argument("--modes", default=",".join(MODES))
    ap.add_argument("--steps", type=int, default=30)
    ap.add_argument("--rounds", type=int, default=3)
    ap.add_argument("--distilled", action="store_true")
    ap.add_argument("--set", action="append", default=[])
    args = ap.parse_args()
    if not set(args.modes.split(",")) <= set(MODES):
        raise SystemExit(f"unknown mode in '{args.modes}', expected some of {','.join(MODES)}")
    torch.set_num_threads(1)
    choose(args.device)
    spec = read_spec(args.spec, args.set)
    method, side = (method_of(spec), "distilled") if args.distilled else (None, "plain")
    modes = {name: warmed_up(name, spec, method, min(5, args.steps)) for name in args.modes.split(",")}
    modes = {name: mode for name, mode in modes.items() if mode}
    if not modes:
        raise SystemExit("none of these modes runs here")
    ours = Ours(args, method) if args.defeat else None
    for _ in range(args.rounds):
        for mode in modes.values():
            mode.turns(args.steps)
        if ours:
            ours.bench()
    sizes, batch = next(iter(modes.values())).step[side].sizes(), spec["schedule"]["batch"]
    print(f"PyTorch {torch.__version__}, {spec['detector']['kind']}, {machine(args.device)}, batch {batch}, {said(sizes)}, {args.rounds} x {args.steps} steps")
    if ours and ours.sizes(side) != sizes:
        raise SystemExit(f"these are not defeat's networks: it has {said(ours.sizes(side))}")
    show(modes, ours, side, batch)


KINDS = {"retinanet": RetinaNet, "faster_rcnn": FasterRCNN}

if __name__ == "__main__":
    main()
