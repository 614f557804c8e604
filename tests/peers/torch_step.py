#!/usr/bin/env python3
"""The same training step in PyTorch, for comparison with `defeat bench`.

Builds the student of a spec (small stem, basic blocks, FPN, RetinaNet head with batch norm per level) in PyTorch, with the same losses
(sigmoid focal, smooth L1), batch and optimiser, on random images and labels, on one thread, and prints images/s. With --defeat PROGRAM it
also runs `PROGRAM bench SPEC --json` and prints the ratio.

usage: torch_step.py [--defeat ./defeat] [--steps 30] [SPEC]
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


class Student(nn.Module):
    def __init__(self, net, anchors, classes):
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
        n = net["head_convs"]
        self.branch = nn.ModuleList([nn.ModuleList([nn.Conv2d(f, f, 3, 1, 1) for _ in range(n)]) for _ in range(2)])
        self.norm = nn.ModuleList([nn.ModuleList([nn.BatchNorm2d(f) for _ in range(n * len(widths))]) for _ in range(2)])
        self.cls, self.box = nn.Conv2d(f, anchors * classes, 3, 1, 1), nn.Conv2d(f, anchors * 4, 3, 1, 1)
        self.classes = classes

    def forward(self, x):
        x, maps = self.stem(x), []
        for stage in self.stages:
            x = stage(x)
            maps.append(x)
        maps = [l(m) for l, m in zip(self.lateral, maps)]
        for k in range(len(maps) - 2, -1, -1):
            maps[k] = maps[k] + F.interpolate(maps[k + 1], scale_factor=2.0, mode="nearest")
        outs = ([], [])
        for level, m in enumerate(o(m) for o, m in zip(self.out, maps)):
            for b, last in enumerate((self.cls, self.box)):
                y = m
                for k, conv in enumerate(self.branch[b]):
                    y = F.relu(self.norm[b][k * len(maps) + level](conv(y)))
                y = last(y)
                outs[b].append(y.permute(0, 2, 3, 1).reshape(x.shape[0], -1, self.classes if b == 0 else 4))
        return torch.cat(outs[0], 1), torch.cat(outs[1], 1)


def loss_of(logits, deltas, target, positive, valid, boxes):
    p = logits.sigmoid()
    ce = F.binary_cross_entropy_with_logits(logits, target, reduction="none")
    pt = p * target + (1 - p) * (1 - target)
    focal = ((0.25 * target + 0.75 * (1 - target)) * (1 - pt) ** 2 * ce * valid[..., None]).sum()
    return (focal + 0.25 * F.smooth_l1_loss(deltas[positive], boxes, reduction="sum", beta=1 / 3)) / max(1, int(positive.sum()))


def main():
    ap = argparse.ArgumentParser()
    ap.add_argument("spec", nargs="?", default="ablations/specs/reproduce-table.json")
    ap.add_argument("--defeat")
    ap.add_argument("--steps", type=int, default=30)
    ap.add_argument("--channels-last", action="store_true")
    args = ap.parse_args()
    torch.set_num_threads(1)
    spec = json.load(open(args.spec))
    net, det = spec["student"]["network"], spec["detector"]
    anchors = len(det["anchor_ratios"]) * len(det.get("anchor_scales", [1]))
    batch, size, classes = spec["schedule"]["batch"], spec["data"].get("image_size", 96), 8
    torch.manual_seed(0)
    model = Student(net, anchors, classes)
    x = torch.randn(batch, 3, size, size)
    if args.channels_last:
        model, x = model.to(memory_format=torch.channels_last), x.to(memory_format=torch.channels_last)
    a = sum((size // s) ** 2 for s in (4, 8, 16)[: len(net["widths"])]) * anchors
    label = torch.randint(0, classes, (batch, a))
    positive = torch.rand(batch, a) < 0.01
    target = F.one_hot(label, classes).float() * positive[..., None]
    valid, boxes = torch.rand(batch, a) < 0.98, torch.randn(int(positive.sum()), 4)
    optimiser = torch.optim.AdamW(model.parameters(), 1e-3)
    times = []
    for step in range(args.steps + 5):
        start = time.perf_counter()
        optimiser.zero_grad(set_to_none=True)
        loss = loss_of(*model(x), target, positive, valid, boxes)
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 10.0)
        optimiser.step()
        if step >= 5:
            times.append(time.perf_counter() - start)
    times.sort()
    torch_rate = batch / times[len(times) // 2]
    print(f"PyTorch {torch.__version__}, 1 thread, batch {batch}, {sum(p.numel() for p in model.parameters())} parameters: "
          f"{torch_rate:.1f} images/s (median of {len(times)} steps)")
    if args.defeat:
        env = dict(os.environ, OMP_NUM_THREADS="1")
        out = json.loads(subprocess.run([args.defeat, "bench", args.spec, "--json"], env=env, check=True, capture_output=True).stdout)
        rate = out["plain"]["images_per_second"]
        print(f"defeat: {rate:.1f} images/s; ratio {rate / torch_rate:.2f}")


if __name__ == "__main__":
    main()
