#!/usr/bin/env python3
"""Writes small JPEGs into jpeg/, and expected.txt: FNV-1a of what Pillow's libjpeg-turbo makes of their pixels, and of one of them turned
upright by each EXIF orientation. Run from the repository root."""
import io
import pathlib

import numpy as np
from PIL import Image, ImageOps

HEIGHT, WIDTH = 29, 37
KINDS = {"420": (2, False), "422": (1, False), "444": (0, False), "progressive": (2, True), "grey": (0, False)}  # subsampling, progressive


def fnv(data):
    value = 0xCBF29CE484222325
    for byte in data:
        value = (value ^ byte) * 0x100000001B3 % 2**64
    return value


def picture():
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH].astype(np.int64)
    waves = np.stack([x * 9 + y * 2, x * x // 3 + y * 7, (x // 5 + y // 4) % 2 * 180 + x], -1)
    return ((waves + (x * 7919 + y * 104729)[..., None] % 23) % 256).astype(np.uint8)


folder = pathlib.Path(__file__).with_name("jpeg")
folder.mkdir(exist_ok=True)
lines = []
for name, (subsampling, progressive) in KINDS.items():
    image = Image.fromarray(picture())
    path = folder / f"{name}.jpg"
    (image.convert("L") if name == "grey" else image).save(path, quality=85, subsampling=subsampling, progressive=progressive)
    lines.append(f"{name} 1 {WIDTH} {HEIGHT} {fnv(Image.open(path).convert('RGB').tobytes()):016x}")
for orientation in range(2, 9):
    exif = Image.Exif()
    exif[0x112] = orientation
    stored = Image.open(folder / "444.jpg").convert("RGB")
    buffer = io.BytesIO()
    stored.save(buffer, "png", exif=exif)
    upright = ImageOps.exif_transpose(Image.open(buffer))
    lines.append(f"444 {orientation} {upright.width} {upright.height} {fnv(upright.convert('RGB').tobytes()):016x}")
(folder / "expected.txt").write_text("\n".join(lines) + "\n")
