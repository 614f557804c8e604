#!/usr/bin/env python3
"""Writes resize.txt: small 8-bit images and what PyTorch's bilinear interpolation makes of them. Run from the repository root."""
import torch
import torch.nn.functional as F

CASES = [(5, 7, 8, 11), (6, 4, 3, 3), (9, 5, 9, 13), (1, 1, 3, 2), (4, 10, 7, 4)]  # height, width -> height, width

with open("tests/golden/resize.txt", "w") as out:
    for h, w, th, tw in CASES:
        g = torch.Generator().manual_seed(h * 100 + w)
        image = torch.randint(0, 256, (h, w, 3), generator=g)
        result = F.interpolate(image.permute(2, 0, 1)[None].float(), size=(th, tw), mode="bilinear", align_corners=False)
        print(h, w, th, tw, file=out)
        print(*image.flatten().tolist(), file=out)
        print(*("%.4f" % v for v in result[0].permute(1, 2, 0).flatten().tolist()), file=out)
