"""What the scripts that ask torchvision's detectors share: images and objects that C makes too, the program's keyed sampler, weights that are
neither random noise nor trained, and sketches of tensors.

A sketch of a tensor x (in the program's order: NHWC, weights as PyTorch has them) is 17 numbers: its norm, then the sums of s_j(i) x_i for 16
fixed sign patterns s_j. The mean square of 16 differences is the squared norm of the difference of two tensors, within a third.
"""
import numpy as np
import torch
from torch import nn
from torchvision.models.detection.image_list import ImageList
from torchvision.models.resnet import Bottleneck, ResNet

PURPOSE_SAMPLE = 6
SKETCH = 16


def pixels(height, width, valid):
    """[N,3,H,W]: v = ((37 n + 11 y^2 + 7 x y + 53 c + 5 x) mod 251) / 128 - 1, 0 outside the valid region."""
    n, y, x, c = np.meshgrid(np.arange(len(valid)), np.arange(height), np.arange(width), np.arange(3), indexing="ij")
    v = ((37 * n + 11 * y * y + 7 * x * y + 53 * c + 5 * x) % 251) / 128 - 1
    for k, (h, w) in enumerate(valid):
        v[k, h:] = 0
        v[k, :, w:] = 0
    return torch.tensor(v.transpose(0, 3, 1, 2), dtype=torch.float64).contiguous()


def sketch(x):
    """17 numbers of a tensor; one with four axes is taken as NCHW."""
    x = x.detach()
    flat = (x.permute(0, 2, 3, 1) if x.dim() == 4 else x).reshape(-1).double().numpy()
    out = np.zeros(SKETCH + 1)
    out[0] = np.sqrt((flat**2).sum())
    for begin in range(0, len(flat), 1 << 18):
        out[1:] += signed_sums(begin, flat[begin : begin + (1 << 18)])
    return torch.tensor(out)


def signed_sums(begin, part):
    """s_j(i) is the top bit of a hash of 16 i + j."""
    x = np.arange(begin * SKETCH, (begin + len(part)) * SKETCH, dtype=np.uint64).astype(np.uint32)
    x ^= x >> np.uint32(16)
    x *= np.uint32(0x7FEB352D)
    x ^= x >> np.uint32(15)
    x *= np.uint32(0x846CA68B)
    return (1.0 - 2.0 * (x >> np.uint32(31))).reshape(len(part), SKETCH).T @ part


class Narrow(ResNet):
    """torchvision's ResNet with other widths."""

    def __init__(self, blocks, stem, widths):
        nn.Module.__init__(self)
        self._norm_layer, self.inplanes, self.dilation, self.groups, self.base_width = nn.BatchNorm2d, stem, 1, 1, 64
        self.conv1 = nn.Conv2d(3, stem, 7, 2, 3, bias=False)
        self.bn1, self.relu, self.maxpool = nn.BatchNorm2d(stem), nn.ReLU(True), nn.MaxPool2d(3, 2, 1)
        for k, (count, width) in enumerate(zip(blocks, widths)):
            setattr(self, f"layer{k + 1}", self._make_layer(Bottleneck, width, count, 1 if k == 0 else 2))


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

    def __init__(self, size, positive, part, seed, step):
        self.size, self.most, self.part, self.seed, self.step, self.counts = size, int(size * positive), part, seed, step, []

    def __call__(self, labels):
        out = []
        for image, label in enumerate(labels):
            rng = Philox(self.seed, PURPOSE_SAMPLE, self.step << 20 | image << 1 | self.part)
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


def perturb(net, rng, forward, residual=1):
    """Kaiming weights; then, so that no layer saturates, batch-norm statistics that `forward` would measure, moved by about a third; affine
    parameters and biases of about the activations' size, but `residual` times that where a block adds to what it was given: the smaller, the
    less float's noise grows from block to block."""
    draw = lambda shape: torch.tensor(rng.standard_normal(tuple(shape)), dtype=torch.float64)
    with torch.no_grad():
        for module in net.modules():
            if isinstance(module, (nn.Conv2d, nn.Linear)):
                module.weight.copy_(draw(module.weight.shape) * (2.0 / module.weight[0].numel()) ** 0.5)
                if module.bias is not None:
                    module.bias.copy_(0.2 * draw(module.bias.shape))
            elif isinstance(module, nn.BatchNorm2d):
                module.weight.copy_(1 + 0.25 * draw(module.weight.shape).clamp(-2, 2))
                module.bias.copy_(0.3 * draw(module.bias.shape))
                module.momentum = 1.0
        for module in net.modules():
            if isinstance(module, Bottleneck):
                module.bn3.weight *= residual
                module.bn3.bias *= residual
        net.train()
        forward()
        for module in net.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.momentum = 0.1
                module.running_mean += 0.3 * module.running_var.sqrt() * draw(module.running_mean.shape)
                module.running_var *= torch.tensor(rng.uniform(0.6, 1.6, tuple(module.running_var.shape)))
                module.num_batches_tracked.zero_()


def rounded(net, dtype):
    """Every weight is one that `dtype` can hold."""
    with torch.no_grad():
        for value in list(net.parameters()) + [b for b in net.buffers() if b.is_floating_point()]:
            value.copy_(value.to(dtype).double())


def state_dict(net, dtype):
    return {k: (v.to(dtype) if v.is_floating_point() else v).contiguous().clone() for k, v in net.state_dict().items()}


def smallest_gap(scores):
    """of two scores' logits"""
    s = scores.logit().sort().values
    return (s[1:] - s[:-1]).min().item() if len(s) > 1 else 1.0


# ---- what a detector says: dictionaries of float64 tensors. Maps, logits, deltas, gradients and statistics are sketches ----


def keep_maps(file, mode, stages, features, logits, deltas):
    for k, c in stages.items():
        file[f"{mode}.stage{k}"] = sketch(c)
    for k, p in enumerate(features):
        file[f"{mode}.neck{k}"] = sketch(p)
    file[f"{mode}.logits"], file[f"{mode}.deltas"] = sketch(logits), sketch(deltas)


def keep_gradients(file, mode, net):
    for name, p in net.named_parameters():
        file[f"{mode}.grad.{name}"] = sketch(p.grad.reshape(-1))


def keep_running(file, net):
    for name, b in net.named_buffers():
        if name.endswith("running_mean") or name.endswith("running_var"):
            file[f"train.running.{name}"] = sketch(b)


def keep_detections(file, prefix, detections, first):
    for k, d in enumerate(detections):
        file[f"{prefix}boxes{k}"], file[f"{prefix}scores{k}"] = d["boxes"].detach().reshape(-1), d["scores"].detach()
        file[f"{prefix}labels{k}"] = d["labels"].double() - first


def body_and_neck(net, x, names):
    """C2 ... C5 as far as the network hands them out, by their number, and the pyramid."""
    stages = net.backbone.body(x)
    return dict(zip(names, stages.values())), list(net.backbone.fpn(stages).values())


def retinanet_pass(net, x, targets):
    stages, features = body_and_neck(net, x, (1, 2, 3))
    outputs = net.head(features)
    anchors = net.anchor_generator(ImageList(x, [tuple(x.shape[2:])] * len(x)), features)
    return stages, features, outputs, anchors, net.compute_loss(targets, outputs, anchors)


def retinanet_detections(net, features, outputs, anchors, valid):
    levels = [f.shape[2] * f.shape[3] * 9 for f in features]
    split = {k: list(v.detach().split(levels, dim=1)) for k, v in outputs.items()}
    return net.postprocess_detections(split, [list(a.split(levels)) for a in anchors], valid)


def retinanet_says(net, x, valid, targets, cut):
    """`cut`: detections are asked for once more with so few candidates per level."""
    file = {}
    for mode in ("eval", "train"):
        net.train(mode == "train")
        net.zero_grad()
        stages, features, outputs, anchors, losses = retinanet_pass(net, x, targets)
        keep_maps(file, mode, stages, features, outputs["cls_logits"].reshape(-1), outputs["bbox_regression"].reshape(-1))
        file[f"{mode}.losses"] = torch.stack([losses["classification"], losses["bbox_regression"]]).detach()
        (losses["classification"] + losses["bbox_regression"]).backward()
        keep_gradients(file, mode, net)
        if mode == "eval":
            file["anchors"] = sketch(anchors[0].reshape(-1))
            detections = retinanet_detections(net, features, outputs, anchors, valid)
            keep_detections(file, "", detections, 0)
            before, net.topk_candidates = net.topk_candidates, cut
            keep_detections(file, "cut.", retinanet_detections(net, features, outputs, anchors, valid), 0)
            net.topk_candidates = before
    keep_running(file, net)
    return file, detections


def retinanet_scores(net, x, pairs, spread=2):
    """Logits with that standard deviation, and a bias that lets `pairs` of them pass the score threshold."""
    head = net.head.classification_head.cls_logits
    with torch.no_grad():
        net.eval()
        features = list(net.backbone(x).values())
        head.weight *= spread / net.head(features)["cls_logits"].std()
        logits = net.head(features)["cls_logits"].flatten().sort(descending=True).values
        head.bias += np.log(0.05 / 0.95) - (logits[pairs - 1] + logits[pairs]) / 2
        net.head.regression_head.bbox_reg.weight *= 0.4 / net.head(features)["bbox_regression"].std()


def faster_dense(net, features):
    logits, deltas = net.rpn.head(features)
    flat = lambda maps, c: torch.cat([m.permute(0, 2, 3, 1).reshape(len(m), -1, c) for m in maps], 1).reshape(-1)
    return flat(logits, 1), flat(deltas, 4)


def faster_head(net, features, boxes, valid):
    pooled = net.roi_heads.box_roi_pool(features, boxes, valid)
    return net.roi_heads.box_predictor(net.roi_heads.box_head(pooled))


def single(boxes):
    """The program's boxes are float: what comes after them is asked about the same ones."""
    return [b.detach().float().to(b.dtype) for b in boxes]


def faster_testing(net, x, valid):
    """Features by name, proposals, detections."""
    _, features = body_and_neck(net, x, range(4))
    named, images = dict(zip(("0", "1", "2", "3", "pool"), features)), ImageList(x, valid)
    proposals = single(net.rpn(images, named)[0])
    return named, proposals, net.roi_heads(named, proposals, valid)[0]


def faster_pass(net, x, valid, targets):
    """Maps; the four losses; proposals as sampled, their labels and targets."""
    stages, features = body_and_neck(net, x, range(4))
    named, images, seen = dict(zip(("0", "1", "2", "3", "pool"), features)), ImageList(x, valid), {}
    select = net.roi_heads.select_training_samples

    def watched(*arguments):
        seen["proposals"], matched, seen["labels"], seen["targets"] = select(*arguments)
        return seen["proposals"], matched, seen["labels"], seen["targets"]

    net.roi_heads.select_training_samples = watched
    proposals, rpn_losses = net.rpn(images, named, targets)
    _, roi_losses = net.roi_heads(named, single(proposals), valid, targets)
    net.roi_heads.select_training_samples = select
    losses = [rpn_losses["loss_objectness"], rpn_losses["loss_rpn_box_reg"], roi_losses["loss_classifier"], roi_losses["loss_box_reg"]]
    return stages, features, losses, seen


def faster_training(net, x, valid, targets, mode, file):
    stages, features, losses, seen = faster_pass(net, x, valid, targets)
    keep_maps(file, mode, stages, features, *faster_dense(net, features))
    file[f"{mode}.losses"] = torch.stack(losses).detach()
    for k in range(len(x)):
        file[f"{mode}.sampled{k}"] = seen["proposals"][k].detach().reshape(-1)
        file[f"{mode}.sampled_labels{k}"] = seen["labels"][k].double() - 1
        file[f"{mode}.sampled_targets{k}"] = seen["targets"][k].detach().reshape(-1)
    net.zero_grad()
    sum(losses).backward()
    keep_gradients(file, mode, net)


def faster_says(net, x, valid, targets, given):
    file = {}
    net.eval()
    with torch.no_grad():
        named, proposals, detections = faster_testing(net, x, valid)
        file["anchors"] = sketch(net.rpn.anchor_generator(ImageList(x, valid), list(named.values()))[0].reshape(-1))
        for k, p in enumerate(proposals):
            file[f"proposals{k}"] = p.reshape(-1)
        keep_detections(file, "", detections, 1)
        given = [torch.tensor(b, dtype=x.dtype) for b in given]
        logits, deltas = faster_head(net, named, given, valid)
        _, labels = net.roi_heads.assign_targets_to_proposals(given, [t["boxes"] for t in targets], [t["labels"] for t in targets])
        file["given"], file["given.count"] = torch.cat(given).reshape(-1), torch.tensor([len(g) for g in given], dtype=torch.float64)
        file["given.logits"], file["given.deltas"], file["given.labels"] = logits.reshape(-1), deltas.reshape(-1), torch.cat(labels).double() - 1
    net.rpn.train()
    net.roi_heads.train()
    faster_training(net, x, valid, targets, "eval", file)
    net.train()
    faster_training(net, x, valid, targets, "train", file)
    keep_running(file, net)
    return file, proposals, detections


def faster_scores(net, x, valid, pairs, spread=1.5):
    """Objectness, deltas and class logits of sizes that trained networks have; a background bias that lets about `pairs` scores pass the
    threshold."""
    with torch.no_grad():
        net.eval()
        _, features = body_and_neck(net, x, range(4))
        named, images = dict(zip(("0", "1", "2", "3", "pool"), features)), ImageList(x, valid)
        logits, deltas = faster_dense(net, features)
        net.rpn.head.cls_logits.weight *= 2 / logits.std()
        net.rpn.head.bbox_pred.weight *= 0.3 / deltas.std()
        proposals = single(net.rpn(images, named)[0])
        logits, deltas = faster_head(net, named, proposals, valid)
        predictor = net.roi_heads.box_predictor
        predictor.cls_score.weight *= spread / logits.std()
        predictor.bbox_pred.weight *= 1.0 / deltas.std()
        logits = faster_head(net, named, proposals, valid)[0]
        low, high = -20.0, 20.0
        for _ in range(60):
            middle = (low + high) / 2
            moved = logits.clone()
            moved[:, 0] += middle
            low, high = (middle, high) if (moved.softmax(1)[:, 1:] > 0.05).sum() > pairs else (low, middle)
        predictor.cls_score.bias[0] += high
