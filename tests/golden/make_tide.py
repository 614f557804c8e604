"""Golden fixtures for core/metrics/tide: small COCO files, and tidecv 1.0.1's numbers for them as hexadecimal doubles.

    python tests/golden/make_tide.py        (needs tidecv==1.0.1)

Writes tests/golden/tide/<case>.gt.json, <case>.dt.json and expected.txt: per case its name, then AP and the eight dAP in percent, then how many
errors there are of the six kinds. Images stand by rising id, as the evaluation has them: tidecv breaks ties by the order of the file."""
import contextlib
import io
import json
import pathlib
import tempfile

import numpy as np
from tidecv import TIDE, datasets

from make_coco_eval import make

FOLDER = pathlib.Path(__file__).parent / "tide"
KINDS = ("Cls", "Loc", "Both", "Dupe", "Bkg", "Miss")


def scene(objects, found, images=(1,), categories=(1, 2, 3)):
    """objects: (image, category, box) or with a True behind it: a crowd. found: (image, category, box, score)."""
    truth = [{"id": i + 1, "image_id": o[0], "category_id": o[1], "bbox": list(o[2]), "area": o[2][2] * o[2][3], "iscrowd": int(len(o) > 3)}
             for i, o in enumerate(objects)]
    return ({"images": [{"id": i, "file_name": "", "width": 400, "height": 400} for i in images], "annotations": truth,
             "categories": [{"id": c, "name": f"class {c}"} for c in categories]},
            [{"image_id": d[0], "category_id": d[1], "bbox": list(d[2]), "score": d[3]} for d in found])


A, B = (0, 0, 100, 100), (200, 200, 100, 100)


def one_of_each():
    """Every kind of error, one image each."""
    objects = [(i, 1, A) for i in range(1, 8)] + [(i, 2, B) for i in range(1, 8)]
    right = [(i, 1, A, 0.9) for i in (1, 2, 5, 6)] + [(i, 2, B, 0.8) for i in range(1, 7)]
    return scene(objects, right + [(3, 2, A, 0.7), (4, 1, (0, 0, 100, 30), 0.6), (1, 2, (0, 0, 100, 30), 0.95), (2, 1, (0, 0, 100, 90), 0.85),
                                   (5, 1, (110, 110, 50, 50), 0.97), (6, 3, (0, 0, 5, 5), 0.4)], images=range(1, 8))


def borders():
    """Overlaps of exactly 0.5 and 0.1: a match; a Loc about a taken object, which is no Dupe; a Cls; a Loc at the lower border; a Bkg at it."""
    half, tenth = (0, 0, 100, 50), (0, 0, 100, 10)
    objects = [(i, 1, A) for i in range(1, 7)]
    return scene(objects, [(1, 1, half, 0.9), (2, 1, A, 0.9), (2, 1, half, 0.8), (3, 2, half, 0.7), (4, 1, tenth, 0.6), (5, 2, tenth, 0.5),
                           (6, 1, A, 0.3)], images=range(1, 7))


def about_one_object():
    """Cls and Loc about one object, both orders of score: only the best one mends it. The same about a taken one."""
    low, other = (0, 0, 100, 40), (0, 0, 100, 80)
    objects = [(i, 1, A) for i in range(1, 6)]
    return scene(objects, [(1, 1, low, 0.9), (1, 2, other, 0.8), (2, 1, low, 0.6), (2, 2, other, 0.7), (3, 1, A, 0.5), (3, 1, low, 0.45),
                           (3, 2, other, 0.4), (4, 1, low, 0.35), (4, 1, (0, 0, 40, 100), 0.35), (5, 2, other, 0.3), (5, 3, other, 0.3)],
                 images=range(1, 6))


def in_crowds():
    """Detections in a crowd of their class are left out, but the best of them may mend an object; a crowd of another class does not count."""
    crowd, inside, low = (0, 0, 300, 300), (10, 10, 40, 40), (20, 20, 60, 20)
    objects = [(1, 1, crowd, True), (1, 1, (20, 20, 60, 60)), (2, 1, crowd, True), (2, 2, B), (3, 1, crowd, True), (4, 2, crowd, True),
               (4, 1, A), (5, 1, A), (6, 1, (0, 0, 50, 100), True)]
    return scene(objects, [(1, 1, low, 0.9), (1, 1, (200, 10, 30, 30), 0.85), (2, 1, inside, 0.8), (2, 1, B, 0.75), (3, 1, inside, 0.7),
                           (4, 1, inside, 0.6), (5, 1, A, 0.5), (4, 1, A, 0.4), (2, 2, B, 0.3), (6, 1, (0, 0, 100, 100), 0.2),
                           (6, 1, (0, 0, 99, 100), 0.2)], images=range(1, 7))


def nearest_of_equals():
    """Two objects with the same overlap: the first in the file is taken, so that the second is left for the next detection."""
    objects = [(1, 1, (0, 0, 60, 100)), (1, 1, (40, 0, 60, 100)), (2, 2, (40, 0, 60, 100)), (2, 2, (0, 0, 60, 100))]
    return scene(objects, [(1, 1, A, 0.9), (1, 1, (0, 0, 60, 100), 0.8), (2, 2, A, 0.9), (2, 2, (0, 0, 60, 100), 0.8), (2, 1, A, 0.7)],
                 images=(1, 2))


def tied_scores():
    """Right and wrong ones of one score: in the order of images and file; once something is mended the wrong ones first."""
    objects = [(i, c, A) for i in (1, 2, 3) for c in (1, 2)] + [(3, 1, B)]
    return scene(objects, [(1, 1, A, 0.5), (1, 1, B, 0.5), (2, 1, B, 0.5), (2, 1, A, 0.5), (3, 1, B, 0.5), (3, 1, A, 0.5), (1, 2, A, 0.5),
                           (2, 2, (0, 0, 100, 45), 0.5), (3, 2, A, 0.5), (3, 2, A, 0.5)], images=(1, 2, 3))


def many():
    """More than 100 detections in an image, of all classes together."""
    truth, found = make(41, images=3, categories=(1, 2), objects=30, extra=170, digits=0, score_digits=2)
    return truth, found


def blurred(seed, **options):
    """Every third detection moved, every fourth doubled, some of another class."""
    truth, found = make(seed, **options)
    rng = np.random.default_rng(1000 + seed)
    for d in list(found):
        kind = rng.integers(0, 12)
        if kind < 4:
            d["bbox"][0] = round(d["bbox"][0] + d["bbox"][2] * float(rng.uniform(0.2, 0.7)), 2)
        elif kind < 7:
            found.append(dict(d, score=round(d["score"] * 0.9, 3)))
        elif kind < 9:
            d["category_id"] = int(rng.choice([c["id"] for c in truth["categories"]]))
    return truth, found


def cases():
    yield "one_of_each", one_of_each()
    yield "borders", borders()
    yield "about_one_object", about_one_object()
    yield "in_crowds", in_crowds()
    yield "nearest_of_equals", nearest_of_equals()
    yield "tied_scores", tied_scores()
    yield "many_detections", many()
    yield "plain", blurred(21)
    yield "all_kinds", blurred(22, images=20, objects=6, extra=2, spread=0.3)
    yield "crowds", blurred(23, crowd=0.35, objects=7)
    yield "ties", blurred(24, score_digits=1, objects=6, images=12)
    yield "ties_everywhere", blurred(25, score_digits=0, images=15)
    yield "duplicates", make(26, spread=0.03, objects=6, extra=0)
    yield "background", make(27, objects=1, extra=8)
    yield "missed", make(28, objects=9, spread=2.0, extra=0.5)
    yield "empty_images", blurred(29, images=20, objects=0.5, extra=0.6)
    yield "absent_categories", blurred(30, categories=(1, 2, 3, 4, 5, 6), absent=(2, 6), objects=5)
    yield "gaps", blurred(31, images=16, categories=tuple(int(c) for c in np.cumsum(np.arange(30) % 4 + 1)), objects=7)
    truth, found = make(32, objects=3)
    yield "unknown_category", (truth, found + [dict(found[0], category_id=99), dict(found[1], category_id=-5)])
    yield "nothing_found_in_a_class", scene([(1, 1, A), (1, 2, B), (1, 3, A)], [(1, 1, A, 0.9)])


def evaluate(truth, found):
    """tidecv's reader of COCO files wants every object's outline: its box."""
    for a in truth["annotations"]:
        x, y, w, h = a["bbox"]
        a.setdefault("segmentation", [[x, y, x + w, y, x + w, y + h, x, y + h]])
    with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(io.StringIO()):
        paths = [pathlib.Path(folder) / name for name in ("gt.json", "dt.json")]
        for path, data in zip(paths, (truth, found)):
            path.write_text(json.dumps(data))
        run = TIDE(pos_threshold=0.5, background_threshold=0.1, mode=TIDE.BOX).evaluate(
            datasets.COCO(str(paths[0])), datasets.COCOResult(str(paths[1])))
    main = {error.short_name: value for error, value in run.fix_main_errors().items()}
    special = {error.short_name: value for error, value in run.fix_special_errors().items()}
    count = {error.short_name: value for error, value in run.count_errors().items()}
    return [run.ap] + [main[k] for k in KINDS] + [special["FalsePos"], special["FalseNeg"]], [count[k] for k in KINDS]


def main():
    FOLDER.mkdir(exist_ok=True)
    lines = []
    for name, (truth, found) in cases():
        for suffix, data in (("gt", truth), ("dt", found)):
            (FOLDER / f"{name}.{suffix}.json").write_text(json.dumps(data, separators=(",", ":")) + "\n")
        percents, counts = evaluate(truth, found)
        lines += [name, " ".join(float(v).hex() for v in percents), " ".join(str(v) for v in counts)]
        print(f"{name:24}", " ".join(f"{v:6.2f}" for v in percents), counts)
    (FOLDER / "expected.txt").write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
