"""Golden fixtures for core/metrics: small COCO files, and pycocotools 2.0.11's numbers for them as hexadecimal doubles.

    python tests/golden/make_coco_eval.py        (needs pycocotools==2.0.11)

Writes tests/golden/coco_eval/<case>.gt.json, <case>.dt.json and expected.txt: per case its name and the number of categories, then the
12 numbers, AP per category, AP50 per category (rising category id)."""
import contextlib
import io
import json
import pathlib

import numpy as np
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

FOLDER = pathlib.Path(__file__).parent / "coco_eval"
BIG = 2**53


def boxes(rng, count, size, digits):
    side = np.exp(rng.uniform(np.log(4), np.log(size * 0.6), (count, 2)))
    corner = rng.uniform(0, 1, (count, 2)) * (size - side)
    return np.round(np.hstack([corner, side]), digits)


def make(seed, images=8, categories=(1, 2, 3), objects=4, extra=3, size=320, digits=2, score_digits=3, crowd=0.0, area=None, first_id=1,
         image_id=lambda i: i + 1, spread=0.12, absent=()):
    """absent: categories without ground truth. extra: mean number of detections that belong to no object."""
    rng = np.random.default_rng(seed)
    truth, found = [], []
    for i in range(images):
        for box in boxes(rng, rng.poisson(objects), size, digits):
            category = int(rng.choice([c for c in categories if c not in absent]))
            truth.append({"id": first_id + len(truth), "image_id": image_id(i), "category_id": category, "bbox": box.tolist(),
                          "area": float(box[2] * box[3]) if area is None else area(rng, box), "iscrowd": int(rng.random() < crowd)})
            for _ in range(rng.integers(0, 3)):
                moved = np.round(box + rng.normal(0, spread, 4) * np.tile(box[2:], 2) * 0.5, digits)
                moved[2:] = np.maximum(moved[2:], 1)
                guess = category if rng.random() < 0.85 else int(rng.choice(categories))
                found.append({"image_id": image_id(i), "category_id": guess, "bbox": moved.tolist(),
                              "score": round(float(rng.beta(4, 2)), score_digits)})
        for box in boxes(rng, rng.poisson(extra), size, digits):
            found.append({"image_id": image_id(i), "category_id": int(rng.choice(categories)), "bbox": box.tolist(),
                          "score": round(float(rng.beta(2, 4)), score_digits)})
    rng.shuffle(truth)
    rng.shuffle(found)
    pictures = [{"id": image_id(i), "file_name": f"{i}.png", "width": size, "height": size} for i in range(images)]
    return {"images": pictures, "annotations": truth, "categories": [{"id": c, "name": f"class {c}"} for c in categories]}, found


def on_borders(rng, box):
    """Puts areas on, just below and just above the borders of the area ranges."""
    border = float(rng.choice([32.0**2, 96.0**2]))
    return [border, float(np.nextafter(border, 0)), float(np.nextafter(border, 1e9))][rng.integers(3)]


def exact_sides(truth, found):
    for i, entry in enumerate(truth["annotations"] + found):
        side = [32, 96, 31, 97][i % 4]
        entry["bbox"] = [entry["bbox"][0] // 1, entry["bbox"][1] // 1, side, side]
        if "area" in entry:
            entry["area"] = side * side
    return truth, found


def exact_overlaps():
    """Integer boxes whose overlap with the object is exactly 0.5, 0.75, 0.6, ..."""
    truth, found = [], []
    for i in range(6):
        truth.append({"id": i + 1, "image_id": i % 3 + 1, "category_id": 1, "bbox": [0, 60 * i, 100, 50], "area": 5000, "iscrowd": 0})
        for width in (50, 55, 60, 65, 70, 75, 80, 85, 90, 95)[i:]:
            found.append({"image_id": i % 3 + 1, "category_id": 1, "bbox": [0, 60 * i, width, 50], "score": 0.5 + (width * 7 + i) % 10 / 20})
    return {"images": [{"id": i, "file_name": "", "width": 400, "height": 400} for i in (3, 2, 1)], "annotations": truth,
            "categories": [{"id": 1, "name": "a"}]}, found


def degenerate():
    truth, found = make(15, objects=5)
    for i, entry in enumerate(truth["annotations"] + found):
        if i % 4 == 0:
            entry["bbox"][2 + i // 4 % 2] = 0
        if i % 4 == 0 and "area" in entry:
            entry["area"] = 0.0
    return truth, found


def far_images(i):
    """Neighbours that no double can tell apart."""
    return BIG + 1 + i // 2 if i % 2 else 7 * (i + 1)


def cases():
    yield "plain", make(1)
    yield "ties", make(2, score_digits=1, objects=6)
    yield "ties_across_images", make(3, score_digits=0, images=15, image_id=lambda i: 100 - 3 * i)
    yield "crowds", make(4, crowd=0.35, objects=7)
    yield "empty_images", make(5, images=20, objects=0.5, extra=0.6)
    yield "absent_categories", make(6, categories=(1, 2, 3, 4, 5, 6), absent=(2, 6), objects=5)
    yield "gaps", make(7, images=16, categories=tuple(int(c) for c in np.cumsum(np.arange(30) % 4 + 1) - 1), objects=7)
    yield "area_borders", make(8, area=on_borders, objects=7)
    yield "exact_sides", exact_sides(*make(9, objects=7))
    yield "area_of_segments", make(10, area=lambda rng, box: float(box[2] * box[3] * rng.uniform(0.3, 0.9)), objects=6)
    yield "many_detections", make(11, images=3, categories=(1,), objects=40, extra=150, digits=0, score_digits=2)
    yield "large_ids", make(12, first_id=BIG + 1, image_id=far_images, categories=(3, BIG + 1, BIG + 2))
    yield "id_zero", make(13, first_id=0, images=2, objects=3, crowd=0.3, spread=0.03)
    yield "id_zero_only", make(19, first_id=0, images=1, objects=1.5, categories=(1,), spread=0.01, extra=1)
    yield "exact_overlaps", exact_overlaps()
    yield "degenerate", degenerate()
    yield "all_wrong", make(16, spread=40.0, objects=2)
    truth, found = make(17, objects=3)
    yield "unknown_category", (truth, found + [dict(found[0], category_id=99), dict(found[1], category_id=-5)])
    truth, found = make(18, objects=6, crowd=0.2)
    truth["annotations"][3]["id"] = -12
    yield "negative_id", (truth, found)


def mean(values):
    return float(np.mean(values[values > -1])) if (values > -1).any() else -1.0


def evaluate(truth_path, found_path):
    with contextlib.redirect_stdout(io.StringIO()):
        truth = COCO(truth_path)
        run = COCOeval(truth, truth.loadRes(str(found_path)), "bbox")
        run.evaluate()
        run.accumulate()
        run.summarize()
    precision = run.eval["precision"][:, :, :, 0, 2]
    classes = precision.shape[2]
    return run.stats, [mean(precision[:, :, k]) for k in range(classes)], [mean(precision[0, :, k]) for k in range(classes)]


def main():
    FOLDER.mkdir(exist_ok=True)
    lines = []
    for name, (truth, found) in cases():
        paths = [FOLDER / f"{name}.gt.json", FOLDER / f"{name}.dt.json"]
        for path, data in zip(paths, (truth, found)):
            path.write_text(json.dumps(data, separators=(",", ":")) + "\n")
        stats, class_ap, class_ap50 = evaluate(*paths)
        lines += [f"{name} {len(class_ap)}"] + [" ".join(float(v).hex() for v in row) for row in (stats, class_ap, class_ap50)]
        print(f"{name:20}", " ".join(f"{v:6.3f}" for v in stats))
    (FOLDER / "expected.txt").write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
