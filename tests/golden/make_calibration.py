"""Writes calibration.json: of the files under coco_eval, D-ECE by numpy, and AP by size thirds and by the objects of an image by pycocotools 2.0.11.

    python tests/golden/make_calibration.py        (needs numpy, pycocotools)"""
import contextlib
import io
import json
import pathlib

import numpy as np
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

FOLDER = pathlib.Path(__file__).parent
CASES = ("plain", "crowds", "many_detections", "ties", "area_borders", "empty_images", "all_wrong")
IOU, LEAST, BINS = 0.5, 0.05, 10


def overlap(d, g, crowd):
    w, h = min(d[0] + d[2], g[0] + g[2]) - max(d[0], g[0]), min(d[1] + d[3], g[1] + g[3]) - max(d[1], g[1])
    if w <= 0 or h <= 0:
        return 0
    return w * h / (d[2] * d[3] if crowd else d[2] * d[3] + g[2] * g[3] - w * h)


def calibration(truth, found):
    categories = {c["id"] for c in truth["categories"]}
    score, right = [], []
    for image in truth["images"]:
        objects = [a for a in truth["annotations"] if a["image_id"] == image["id"]]
        taken = set()
        for d in sorted((d for d in found if d["image_id"] == image["id"]), key=lambda d: -d["score"]):
            if d["score"] < LEAST or d["category_id"] not in categories:
                continue
            same = [(overlap(d["bbox"], a["bbox"], a["iscrowd"]), -i, a) for i, a in enumerate(objects) if a["category_id"] == d["category_id"]]
            free = [s for s in same if s[0] >= IOU and not s[2]["iscrowd"] and s[2]["id"] not in taken]
            if free:
                taken.add(max(free)[2]["id"])
            elif any(s[0] >= IOU and s[2]["iscrowd"] for s in same):
                continue
            score.append(d["score"])
            right.append(bool(free))
    score, right = np.array(score), np.array(right, float)
    bins = np.minimum((score * BINS).astype(int), BINS - 1)
    rows, gaps = [], []
    for b in range(BINS):
        some = bins == b
        rows.append([int(some.sum()), score[some].mean(), right[some].mean()] if some.any() else [0, None, None])
        gaps += [(some.sum(), abs(score[some].mean() - right[some].mean()))] if some.any() else []
    n = len(score)
    return {"bins": rows, "D-ECE": sum(k * g for k, g in gaps) / n if n else -1, "MCE": max(g for _, g in gaps) if n else -1,
            "overconfidence": score.mean() - right.mean() if n else -1}


def run(truth, found, images, borders):
    with contextlib.redirect_stdout(io.StringIO()):
        gt = COCO()
        gt.dataset = {**truth, "images": [i for i in truth["images"] if i["id"] in images],
                      "annotations": [a for a in truth["annotations"] if a["image_id"] in images]}
        gt.createIndex()
        found = [d for d in found if d["image_id"] in images]
        dt = COCO()
        dt.dataset = {**gt.dataset, "annotations": [{**d, "id": i + 1, "area": d["bbox"][2] * d["bbox"][3], "iscrowd": 0} for i, d in enumerate(found)]}
        dt.createIndex()
        e = COCOeval(gt, dt, "bbox")
        if borders:
            e.params.areaRng = [[0, 1e10], [0, borders[0]], borders, [borders[1], 1e10]]
        e.evaluate()
        e.accumulate()
        e.summarize()
        return e.stats


def conditions(truth, found):
    objects = [a for a in truth["annotations"] if not a["iscrowd"]]
    area = sorted(float(a["area"]) for a in objects)
    borders = [area[len(area) // 3], area[2 * len(area) // 3]]
    images = {i["id"] for i in truth["images"]}
    count = {i: sum(a["image_id"] == i for a in objects) for i in images}
    groups = [{i for i in images if c[0] <= count[i] <= c[1]} for c in ((1, 1), (2, 3), (4, 10**9))]
    values = list(run(truth, found, images, borders)[3:6]) + [run(truth, found, g, None)[0] if g else -1 for g in groups]
    return {"borders": borders, "images": [len(g) for g in groups], "value": [float(v) for v in values]}


def main():
    out = {}
    for name in CASES:
        truth = json.loads((FOLDER / f"coco_eval/{name}.gt.json").read_text())
        found = json.loads((FOLDER / f"coco_eval/{name}.dt.json").read_text())
        out[name] = {"calibration": calibration(truth, found), "conditions": conditions(truth, found)}
    (FOLDER / "calibration.json").write_text(json.dumps(out, indent=1) + "\n")


if __name__ == "__main__":
    main()
