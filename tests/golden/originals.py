"""Writes originals.json (not by `make golden`, which has not these files): what the authors' own code gives, losses and its autograd's
gradients, on the inputs of make_peers.py. Their files are read from a folder outside of this tree, of which only numbers come back:
    originals.py FOLDER    with pkd_loss.py, cwd.py (open-mmlab/mmrazor, mmrazor/models/losses, 90c7af1) and dist_kd.py (hunto/MasKD,
                           mmrazor/mmrazor/models/losses, b5af34f), all Apache-2.0
What registers their classes is stubbed. FGFI's authors count pixels with both ends (IoU with "+ 1"), FRS names no licence, the code of Chen et
al. is not public: those three are compared with the formulas alone."""
import importlib.util
import pathlib
import sys
import types

import make_distillers as base
import make_peers as peers
from make_peers import LEVELS, adapted, dense, leaves, teacher


class Registry:
    def register_module(self):
        return lambda cls: cls


def stub(name, **names):
    sys.modules[name] = types.ModuleType(name)
    sys.modules[name].__dict__.update(names)
    sys.modules[name].__path__ = []


def load(folder, name, cls):
    spec = importlib.util.spec_from_file_location(f"stub.losses.{name}", pathlib.Path(folder) / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return getattr(module, cls)


def nchw(x):
    return x.permute(0, 3, 1, 2).contiguous()


def necks(v, kind):
    return [nchw(adapted(v, l, kind)) for l in LEVELS], [nchw(teacher[f"neck.{l}"]) for l in LEVELS]


def case(distiller, options, function, roi=False):
    v = {name: x.clone().requires_grad_() for name, x in leaves.items()}
    return base.case_of(distiller, options, v, function(v), roi, 0, (600, 1, 4))


def main(folder):
    stub("mmrazor")
    stub("mmrazor.registry", MODELS=Registry())
    stub("stub")
    stub("stub.losses")
    stub("stub.builder", LOSSES=Registry())
    pkd, cwd = load(folder, "pkd_loss", "PKDLoss"), load(folder, "cwd", "ChannelWiseDivergence")
    dist = load(folder, "dist_kd", "DIST")

    def cwd_terms(v, tau):
        return [("neck", sum(cwd(tau=tau)(s, t) for s, t in zip(*necks(v, "auto"))), 10)]

    def dist_terms(v, roi):  # their two halves, one at a time
        if roi:
            use = [x >= -1 for x in base.ROI_LABELS[0][0]]
            pairs = [tuple(x["roi.student"].reshape(base.ROWS, -1)[use] for x in (v, teacher))]
        else:
            pairs = [tuple(nchw(dense(x["class_logits"], l)) for x in (v, teacher)) for l in LEVELS]
        halves = {"inter": (1, 0), "intra": (0, 1)}
        return [(n, sum(dist(*h, use_sigmoid=not roi)(*pair) for pair in pairs), 1) for n, h in halves.items()]

    cases = [case("pkd", {}, lambda v: [("neck", pkd()(*map(tuple, necks(v, "auto"))), 10)]), case("cwd", {}, lambda v: cwd_terms(v, 1)),
             case("cwd", {"temperature": 4}, lambda v: cwd_terms(v, 4)), case("dist", {}, lambda v: dist_terms(v, False)),
             case("dist", {}, lambda v: dist_terms(v, True), roi=True)]  # fmt: skip
    base.write("originals.json", cases, target=peers.TARGET.flatten().tolist(), roi_target=peers.ROI_TARGET.flatten().tolist())


if __name__ == "__main__":
    main(sys.argv[1])
