"""tests/golden/retinanet.safetensors: a narrow RetinaNet made of torchvision's own parts, its weights and what it says of two images.

Needs torch, torchvision, safetensors, numpy. Run from the repository root. The file holds the state dict under torchvision's names and, as flat
float vectors named golden.*: anchors, logits and deltas in eval mode, losses in eval and in train mode, per parameter the L2 norm and the sum
of the train-mode gradient, and the detections of both images.
"""
import numpy as np
import torch
from safetensors.torch import save_file
from torch import nn
from torchvision.models.detection.backbone_utils import BackboneWithFPN
from torchvision.models.detection.image_list import ImageList
from torchvision.models.detection.retinanet import RetinaNet, _default_anchorgen
from torchvision.models.resnet import Bottleneck, ResNet
from torchvision.ops.feature_pyramid_network import LastLevelP6P7

HEIGHT, WIDTH, CLASSES, FPN = 64, 96, 5, 8
VALID = [(64, 96), (60, 84)]
TRUTH = [
    ([[10, 12, 44, 40], [50.5, 8.25, 90, 60], [12, 14, 40, 44]], [1, 4, 0]),
    ([[30, 20, 70, 55]], [2]),
]


class Narrow(ResNet):
    """torchvision's ResNet with other widths."""

    def __init__(self, blocks, stem, widths):
        nn.Module.__init__(self)
        self._norm_layer, self.inplanes, self.dilation, self.groups, self.base_width = nn.BatchNorm2d, stem, 1, 1, 64
        self.conv1 = nn.Conv2d(3, stem, 7, 2, 3, bias=False)
        self.bn1, self.relu, self.maxpool = nn.BatchNorm2d(stem), nn.ReLU(True), nn.MaxPool2d(3, 2, 1)
        for k, (count, width) in enumerate(zip(blocks, widths)):
            setattr(self, f"layer{k + 1}", self._make_layer(Bottleneck, width, count, 1 if k == 0 else 2))


def model():
    widths = (4, 4, 6, 6)
    body = Narrow((2, 1, 1, 1), 6, widths)
    returned = {"layer2": "0", "layer3": "1", "layer4": "2"}
    neck = BackboneWithFPN(body, returned, [4 * w for w in widths[1:]], FPN, LastLevelP6P7(FPN, FPN))
    net = RetinaNet(neck, CLASSES, anchor_generator=_default_anchorgen(), topk_candidates=200)
    rng = np.random.RandomState(7)
    for name, value in net.state_dict().items():
        if name.endswith("num_batches_tracked"):
            continue
        if value.dim() == 4:
            fresh = rng.randn(*value.shape) * (2.0 / (value[0].numel())) ** 0.5
        elif name.endswith("running_var"):
            fresh = rng.uniform(0.5, 2, value.shape)
        elif name.endswith("cls_logits.bias"):
            fresh = rng.uniform(-5, -3, value.shape)
        elif (".bn" in name or "downsample.1" in name) and name.endswith("weight"):
            fresh = rng.uniform(0.5, 1.5, value.shape)
        else:
            fresh = rng.uniform(-0.3, 0.3, value.shape)
        if "cls_logits.weight" in name or "bbox_reg.weight" in name:
            fresh = fresh * 0.1
        value.copy_(torch.tensor(fresh, dtype=torch.float32))
    return net


def pixels():
    """[2,H,W,3] that C computes too: v = ((37 n + 11 y^2 + 7 x y + 53 c + 5 x) mod 251) / 128 - 1, 0 outside the valid region."""
    n, y, x, c = np.meshgrid(np.arange(2), np.arange(HEIGHT), np.arange(WIDTH), np.arange(3), indexing="ij")
    v = ((37 * n + 11 * y * y + 7 * x * y + 53 * c + 5 * x) % 251) / 128 - 1
    for k, (h, w) in enumerate(VALID):
        v[k, h:] = 0
        v[k, :, w:] = 0
    return torch.tensor(v.transpose(0, 3, 1, 2), dtype=torch.float32).contiguous()


def run(net, x, targets):
    features = list(net.backbone(x).values())
    outputs = net.head(features)
    anchors = net.anchor_generator(ImageList(x, [(HEIGHT, WIDTH)] * 2), features)
    losses = net.compute_loss(targets, outputs, anchors)
    return features, outputs, anchors, losses


def main():
    net, x = model(), pixels()
    targets = [{"boxes": torch.tensor(b, dtype=torch.float32), "labels": torch.tensor(l)} for b, l in TRUTH]
    file = {k: v.clone() for k, v in net.state_dict().items() if not k.endswith("num_batches_tracked")}
    net.eval()
    with torch.no_grad():
        features, outputs, anchors, losses = run(net, x, targets)
        levels = [f.shape[2] * f.shape[3] * 9 for f in features]
        split = {k: list(v.split(levels, dim=1)) for k, v in outputs.items()}
        detections = net.postprocess_detections(split, [list(a.split(levels)) for a in anchors], VALID)
    file["golden.anchors"] = anchors[0]
    file["golden.logits"], file["golden.deltas"] = outputs["cls_logits"], outputs["bbox_regression"]
    file["golden.losses"] = torch.stack([losses["classification"], losses["bbox_regression"]])
    for k, d in enumerate(detections):
        file[f"golden.boxes{k}"], file[f"golden.scores{k}"], file[f"golden.labels{k}"] = d["boxes"], d["scores"], d["labels"].float()
    net.train()
    _, _, _, losses = run(net, x, targets)
    (losses["classification"] + losses["bbox_regression"]).backward()
    file["golden.train_losses"] = torch.stack([losses["classification"], losses["bbox_regression"]]).detach()
    for name, p in net.named_parameters():
        file["golden.grad." + name] = torch.stack([p.grad.norm(), p.grad.sum()])
    file["golden.running"] = net.backbone.body.layer4[0].bn3.running_var.clone()
    flat = {k: v.contiguous().flatten() if k.startswith("golden.") else v for k, v in file.items()}
    save_file(flat, "tests/golden/retinanet.safetensors")
    print({k: len(d["scores"]) for k, d in enumerate(detections)}, file["golden.losses"], file["golden.train_losses"], sum(levels))


main()
