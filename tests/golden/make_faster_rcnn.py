"""tests/golden/faster_rcnn.safetensors: a narrow Faster R-CNN made of torchvision's own parts, its weights and what it says of two images;
tests/golden/roi_align.txt: torchvision's roi_align and its gradient in double.

Needs torch, torchvision, safetensors, numpy. Run from the repository root. The first file holds the state dict under torchvision's names and,
as flat float vectors named golden.*: anchors; objectness and deltas, proposals and detections in eval mode; the RoI head on given boxes; the
sampled proposals, their labels and the four losses with the backbone in eval and in train mode; per parameter the L2 norm and the sum of the
train-mode gradient, and for a dozen of them the gradient itself. Both sides sample the same rows: the program's keyed sampler (Philox 4x32-10,
Lemire's bounded draw, a partial Fisher-Yates shuffle) is written again here. The second file has one tensor a line: name n h w c values.
"""
from collections import OrderedDict

import numpy as np
import torch
from safetensors.torch import save_file
from torch import nn
from torchvision.models.detection.anchor_utils import AnchorGenerator
from torchvision.models.detection.backbone_utils import BackboneWithFPN
from torchvision.models.detection.faster_rcnn import FasterRCNN, FastRCNNPredictor, TwoMLPHead
from torchvision.models.detection.image_list import ImageList
from torchvision.models.resnet import Bottleneck, ResNet
from torchvision.ops import MultiScaleRoIAlign, roi_align
from torchvision.ops.feature_pyramid_network import LastLevelMaxPool

HEIGHT, WIDTH, CLASSES, FPN, FC = 64, 96, 5, 8, 16
SEED, STEP, PURPOSE_SAMPLE = 11, 5, 6
VALID = [(64, 96), (60, 84)]
TRUTH = [
    ([[10, 12, 44, 40], [50.5, 8.25, 90, 60], [12, 14, 40, 44]], [1, 4, 0]),
    ([[30, 20, 70, 55]], [2]),
]
GIVEN = [
    [[8, 10, 46, 42], [50, 8, 90, 60], [0, 0, 9, 7], [11, 13, 41, 44], [3, 5, 93, 62]],
    [[28, 18, 71, 55], [0, 0, 84, 60], [60, 40, 84, 60], [33, 22, 66, 50], [1.5, 2.25, 30.75, 19.5]],
]
DOZEN = """backbone.body.conv1.weight backbone.body.layer1.0.conv2.weight backbone.body.layer2.0.bn2.weight backbone.body.layer4.0.conv3.weight
backbone.fpn.inner_blocks.1.0.weight backbone.fpn.layer_blocks.0.0.weight backbone.fpn.layer_blocks.3.0.bias rpn.head.conv.0.0.weight
rpn.head.cls_logits.weight rpn.head.bbox_pred.weight roi_heads.box_head.fc6.weight roi_heads.box_head.fc7.bias
roi_heads.box_predictor.cls_score.weight roi_heads.box_predictor.bbox_pred.weight""".split()


class Philox:
    """core/base/rng.c"""

    def __init__(self, seed, purpose, index):
        self.key = [seed & 0xFFFFFFFF, seed >> 32]
        self.counter = [0, purpose, index & 0xFFFFFFFF, index >> 32]
        self.words = []

    def u32(self):
        if not self.words:
            c, k = list(self.counter), list(self.key)
            for _ in range(10):
                left, right = 0xD2511F53 * c[0], 0xCD9E8D57 * c[2]
                c = [(right >> 32) ^ c[1] ^ k[0], right & 0xFFFFFFFF, (left >> 32) ^ c[3] ^ k[1], left & 0xFFFFFFFF]
                k = [(k[0] + 0x9E3779B9) & 0xFFFFFFFF, (k[1] + 0xBB67AE85) & 0xFFFFFFFF]
            self.counter[0] += 1
            self.words = c
        return self.words.pop(0)

    def below(self, n):
        while True:
            product = self.u32() * n
            low = product & 0xFFFFFFFF
            if low >= n or low >= (1 << 32) % n:
                return product >> 32


class Sampler:
    """detectors/sampling.c in the place of torchvision's BalancedPositiveNegativeSampler"""

    def __init__(self, size, positive, part):
        self.size, self.most, self.part, self.counts = size, int(size * positive), part, []

    def __call__(self, labels):
        out = []
        for image, label in enumerate(labels):
            rng = Philox(SEED, PURPOSE_SAMPLE, STEP << 20 | image << 1 | self.part)
            left, masks = self.size, []
            for positive in (True, False):
                group = torch.where(label >= 1 if positive else label == 0)[0].tolist()
                k = min(len(group), min(left, self.most) if positive else left)
                if k < len(group):
                    for i in range(k):
                        j = i + rng.below(len(group) - i)
                        group[i], group[j] = group[j], group[i]
                mask = torch.zeros_like(label, dtype=torch.uint8)
                mask[group[:k]] = 1
                masks.append(mask)
                self.counts.append((k, len(group)))
                left -= k
            out.append(masks)
        return [m[0] for m in out], [m[1] for m in out]


class Narrow(ResNet):
    """torchvision's ResNet with other widths."""

    def __init__(self, blocks, stem, widths):
        nn.Module.__init__(self)
        self._norm_layer, self.inplanes, self.dilation, self.groups, self.base_width = nn.BatchNorm2d, stem, 1, 1, 64
        self.conv1 = nn.Conv2d(3, stem, 7, 2, 3, bias=False)
        self.bn1, self.relu, self.maxpool = nn.BatchNorm2d(stem), nn.ReLU(True), nn.MaxPool2d(3, 2, 1)
        for k, (count, width) in enumerate(zip(blocks, widths)):
            setattr(self, f"layer{k + 1}", self._make_layer(Bottleneck, width, count, 1 if k == 0 else 2))


def fresh_value(rng, name, shape):
    if len(shape) == 4 or name.endswith("fc6.weight") or name.endswith("fc7.weight"):
        value = rng.randn(*shape) * (2.0 / np.prod(shape[1:])) ** 0.5
    elif len(shape) == 2:
        value = rng.randn(*shape) * (1.0 / shape[1]) ** 0.5
    elif name.endswith("running_var"):
        value = rng.uniform(0.5, 2, shape)
    elif (".bn" in name or "downsample.1" in name) and name.endswith("weight"):
        value = rng.uniform(0.5, 1.5, shape)
    else:
        value = rng.uniform(-0.3, 0.3, shape)
    if "rpn.head.bbox_pred.weight" in name:
        value = value * 0.3
    if "box_predictor.bbox_pred.weight" in name:
        value = value * 0.5
    if "cls_score.weight" in name:
        value = value * 0.8
    return torch.tensor(value, dtype=torch.float32)


def model(seed):
    widths = (4, 4, 6, 6)
    body = Narrow((2, 1, 1, 1), 6, widths)
    returned = {f"layer{k + 1}": str(k) for k in range(4)}
    neck = BackboneWithFPN(body, returned, [4 * w for w in widths], FPN, LastLevelMaxPool())
    anchors = AnchorGenerator(tuple((s,) for s in (12, 20, 32, 48, 64)), ((0.5, 1.0, 2.0),) * 5)
    pool = MultiScaleRoIAlign(["0", "1", "2", "3"], 7, 2, canonical_scale=24)
    net = FasterRCNN(
        neck, rpn_anchor_generator=anchors, box_roi_pool=pool, box_head=TwoMLPHead(FPN * 49, FC), box_predictor=FastRCNNPredictor(FC, CLASSES + 1),
        rpn_pre_nms_top_n_train=120, rpn_pre_nms_top_n_test=100, rpn_post_nms_top_n_train=90, rpn_post_nms_top_n_test=80,
        rpn_fg_iou_thresh=0.5, rpn_batch_size_per_image=14, rpn_positive_fraction=0.15, rpn_nms_thresh=0.6,
        box_fg_iou_thresh=0.35, box_bg_iou_thresh=0.25, box_batch_size_per_image=18,
    )
    net.rpn.fg_bg_sampler = Sampler(14, 0.15, 0)
    net.roi_heads.fg_bg_sampler = Sampler(18, 0.25, 1)
    rng = np.random.RandomState(seed)
    for name, value in net.state_dict().items():
        if not name.endswith("num_batches_tracked"):
            value.copy_(fresh_value(rng, name, tuple(value.shape)))
    return net


def pixels():
    """[2,H,W,3] that C computes too: v = ((37 n + 11 y^2 + 7 x y + 53 c + 5 x) mod 251) / 128 - 1, 0 outside the valid region."""
    n, y, x, c = np.meshgrid(np.arange(2), np.arange(HEIGHT), np.arange(WIDTH), np.arange(3), indexing="ij")
    v = ((37 * n + 11 * y * y + 7 * x * y + 53 * c + 5 * x) % 251) / 128 - 1
    for k, (h, w) in enumerate(VALID):
        v[k, h:] = 0
        v[k, :, w:] = 0
    return torch.tensor(v.transpose(0, 3, 1, 2), dtype=torch.float32).contiguous()


def head_on(net, features, boxes):
    pooled = net.roi_heads.box_roi_pool(features, boxes, VALID)
    return net.roi_heads.box_predictor(net.roi_heads.box_head(pooled))


def training_case(net, x, targets, name, file):
    """Proposals, labels and losses as sampled; returns the sum of the losses."""
    features, images, seen = net.backbone(x), ImageList(x, VALID), {}
    select = net.roi_heads.select_training_samples

    def watched(*arguments):
        seen["proposals"], seen["matched"], seen["labels"], seen["targets"] = select(*arguments)
        return seen["proposals"], seen["matched"], seen["labels"], seen["targets"]

    net.roi_heads.select_training_samples = watched
    proposals, rpn_losses = net.rpn(images, features, targets)
    _, roi_losses = net.roi_heads(features, proposals, VALID, targets)
    net.roi_heads.select_training_samples = select
    losses = [rpn_losses["loss_objectness"], rpn_losses["loss_rpn_box_reg"], roi_losses["loss_classifier"], roi_losses["loss_box_reg"]]
    file[f"golden.{name}.losses"] = torch.stack(losses).detach()
    for k in range(2):
        file[f"golden.{name}.sampled{k}"] = seen["proposals"][k].detach()
        file[f"golden.{name}.labels{k}"] = seen["labels"][k].float() - 1
        file[f"golden.{name}.targets{k}"] = seen["targets"][k].detach()
    return sum(losses)


def roi_align_file():
    torch.manual_seed(5)
    lines = []

    def emit(name, tensor):
        t = tensor.detach().permute(0, 2, 3, 1)
        lines.append(" ".join([name, *map(str, t.shape), *(format(v, ".15g") for v in t.reshape(-1).tolist())]))

    # boxes that leave the map, are smaller than a map pixel, have no area; cells of exactly two map pixels
    boxes = [[0, 4.5, 3.25, 21, 17.75], [1, 0, 0, 40, 28], [1, 30.5, 2.25, 39.75, 27], [0, -9, -7.5, 50, 37]]
    boxes += [[1, 12, 9, 13, 9.5], [0, 8, 8, 8, 8], [1, 4, 3, 28, 27]]
    rois = torch.tensor(boxes, dtype=torch.float64)
    for sampling, size in ((0, 3), (1, 4), (2, 7), (5, 2)):
        for aligned in (False, True):
            x = torch.randn(2, 2, 7, 10, dtype=torch.float64, requires_grad=True)
            y = roi_align(x, rois, size, 0.25, sampling, aligned)
            dy = torch.randn_like(y)
            y.backward(dy)
            for part, value in (("x", x), ("y", y), ("dy", dy), ("dx", x.grad)):
                emit(f"{sampling}.{int(aligned)}.{size}.{part}", value)
    with open("tests/golden/roi_align.txt", "w") as file:
        file.write("\n".join(lines) + "\n")


def main():
    net, x = model(65), pixels()
    targets = [{"boxes": torch.tensor(b, dtype=torch.float32), "labels": torch.tensor(l) + 1} for b, l in TRUTH]
    file = {k: v.clone() for k, v in net.state_dict().items() if not k.endswith("num_batches_tracked")}
    net.eval()
    with torch.no_grad():
        features, images = net.backbone(x), ImageList(x, VALID)
        logits, deltas = net.rpn.head(list(features.values()))
        flat = lambda maps, c: torch.cat([m.permute(0, 2, 3, 1).reshape(2, -1, c) for m in maps], 1)
        file["golden.anchors"] = net.rpn.anchor_generator(images, list(features.values()))[0]
        file["golden.logits"], file["golden.deltas"] = flat(logits, 1), flat(deltas, 4)
        proposals, _ = net.rpn(images, features)
        detections, _ = net.roi_heads(features, proposals, VALID)
        given = [torch.tensor(b, dtype=torch.float32) for b in GIVEN]
        file["golden.given.logits"], file["golden.given.deltas"] = head_on(net, features, given)
        _, labels = net.roi_heads.assign_targets_to_proposals(given, [t["boxes"] for t in targets], [t["labels"] for t in targets])
        file["golden.given.labels"] = torch.cat(labels).float() - 1
        for k in range(2):
            file[f"golden.proposals{k}"] = proposals[k]
            d = detections[k]
            file[f"golden.boxes{k}"], file[f"golden.scores{k}"], file[f"golden.labels{k}"] = d["boxes"], d["scores"], d["labels"].float() - 1
        net.rpn.train()
        net.roi_heads.train()
        training_case(net, x, targets, "eval", file)
    net.train()
    training_case(net, x, targets, "train", file).backward()
    for name, p in net.named_parameters():
        file["golden.grad." + name] = torch.stack([p.grad.norm(), p.grad.sum()])
        if name in DOZEN:
            file["golden.full." + name] = p.grad.clone()
    kept = lambda k: not k.startswith("golden.") or k.startswith("golden.full.")
    save_file({k: v.contiguous() if kept(k) else v.contiguous().flatten() for k, v in file.items()}, "tests/golden/faster_rcnn.safetensors")
    scores = torch.cat([d["scores"] for d in detections])
    gaps = [(d["scores"][:-1] - d["scores"][1:]).min().item() for d in detections]
    print("proposals", [len(p) for p in proposals], "detections", [len(d["scores"]) for d in detections], "smallest score gaps", gaps)
    print("sampled of", net.rpn.fg_bg_sampler.counts, net.roi_heads.fg_bg_sampler.counts)
    print("levels", [torch.bincount(net.roi_heads.box_roi_pool.map_levels(p_), minlength=4).tolist() for p_ in ([proposals[0]], [proposals[1]])])
    print({k: v for k, v in file.items() if k.endswith(".losses")}, scores.min(), scores.max(), file["golden.given.labels"])
    assert len(scores) >= 50 and min(gaps) > 1e-5
    roi_align_file()


main()
