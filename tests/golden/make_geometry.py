"""Golden fixture for core/geometry: torchvision's box coding and batched_nms.

    python tests/golden/make_geometry.py        (needs torch, torchvision)

Writes tests/golden/geometry.txt. `code N`: rows of reference box, box, weights, encoded box, deltas, decoded box (6 x 4 numbers, hexadecimal).
`nms N KEPT THRESHOLD`: N rows of box, score, group; then the kept indices."""
import pathlib

import torch
from torchvision.models.detection._utils import BoxCoder
from torchvision.ops.boxes import _batched_nms_vanilla


def boxes(n, size):
    corner = torch.rand(n, 2) * size
    return torch.cat([corner, corner + torch.exp(torch.empty(n, 2).uniform_(0, 4.5))], 1)


def row(*parts):
    return " ".join(float(v).hex() for part in parts for v in part)


def coding(lines, n, weights):
    coder = BoxCoder(weights=weights)
    reference, box = boxes(n, 300), boxes(n, 300)
    deltas = torch.randn(n, 4) * torch.tensor([1.0, 1.0, 1.5, 1.5]) * torch.tensor(weights)
    deltas[: n // 4, 2:] *= 8  # reaches the clamp
    encoded = coder.encode_single(box, reference)
    decoded = coder.decode_single(deltas, reference).reshape(n, 4)
    lines.append(f"code {n}")
    lines += [row(reference[i], box[i], torch.tensor(weights), encoded[i], deltas[i], decoded[i]) for i in range(n)]


def suppression(lines, n, groups, threshold):
    box, score, group = boxes(n, 16), torch.randperm(n).float() / n, torch.randint(groups, (n,))
    keep = _batched_nms_vanilla(box, score, group, threshold)
    lines.append(f"nms {n} {len(keep)} {float(torch.tensor(threshold)).hex()}")
    lines += [row(box[i], score[i : i + 1]) + f" {int(group[i])}" for i in range(n)]
    lines.append(" ".join(str(int(i)) for i in keep))


def main():
    lines = []
    torch.manual_seed(1)
    coding(lines, 40, (1.0, 1.0, 1.0, 1.0))
    coding(lines, 40, (10.0, 10.0, 5.0, 4.0))
    suppression(lines, 150, 1, 0.5)
    suppression(lines, 200, 3, 0.3)
    (pathlib.Path(__file__).parent / "geometry.txt").write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
