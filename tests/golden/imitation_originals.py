"""Writes imitation_originals.json: losses and gradients of the authors' own code of FGD and MGD (both Apache-2.0) on the inputs of make_imitation.py, in
double precision. Their files are read from clones at the commits below and run with mmcv stubbed; nothing of them but numbers is kept.

    imitation_originals.py FGD_CLONE MGD_CLONE     (github.com/yzd-v/FGD, github.com/yzd-v/MGD)"""
import subprocess
import sys
import types

import torch

import make_imitation as golden

COMMITS = {"fgd": "c03a6cf3b3cb3cbfd5554dbf4766e7135747d22d", "mgd": "2c9da0b28625eb948db57afc02c824452c3910fe"}
FILES = {"fgd": "mmdet/distillation/losses/fgd.py", "mgd": "det/mmdet/distillation/losses/mgd.py"}


def stub(name, **members):
    module = types.ModuleType(name)
    module.__dict__.update(members)
    sys.modules[name] = module


def original(name, clone):
    """The class FeatureLoss of the file; how its weights begin has no say, they are all replaced."""
    keep = lambda *_, **__: None  # noqa: E731
    stub("mmcv")
    stub("mmcv.cnn", constant_init=keep, kaiming_init=keep)
    stub("losses")
    stub("builder", DISTILL_LOSSES=types.SimpleNamespace(register_module=lambda: lambda cls: cls))
    text = subprocess.run(["git", "-C", clone, "show", f"{COMMITS[name]}:{FILES[name]}"], capture_output=True, text=True, check=True).stdout
    namespace = {"__name__": "original", "__package__": ""}
    exec(text.replace("from ..builder", "from builder"), namespace)
    return namespace["FeatureLoss"]


def fill(module, v, names):
    """Parameters by our names: theirs is [out,in,kh,kw], the layer norm's [c,1,1]."""
    for own, theirs in names.items():
        x = v[own]
        value = x.permute(0, 3, 1, 2) if x.dim() == 4 else x
        with torch.no_grad():
            parameter = module.get_parameter(theirs)
            parameter.copy_(value.reshape(parameter.shape))


def gather(module, v, names):
    for own, theirs in names.items():
        grad = module.get_parameter(theirs).grad
        v[own].grad = (grad.permute(0, 2, 3, 1) if v[own].dim() == 4 else grad).reshape(v[own].shape).clone()


def names_of(distiller, v, level):
    """Our name of a parameter -> theirs: without the level."""
    return {n: ".".join(p for i, p in enumerate(n.split(".")) if i != 1) for n in v if n.split(".")[1] == str(level) and not n.startswith("neck")}


def maps(v, level):
    return v[f"neck.{level}"].permute(0, 3, 1, 2), golden.TEACHER[f"neck.{level}"].permute(0, 3, 1, 2)


def fgd(cls, width, temperature=0.5):
    o = {**golden.FGD, "temperature": temperature}
    v = golden.inputs_of("fgd", width, o)
    boxes = [torch.tensor(b) for b in golden.BOXES]
    metas = [{"img_shape": (h, w, 3)} for h, w in golden.VALID]
    weights = {"fg": "alpha_fgd", "bg": "beta_fgd", "attention": "gamma_fgd", "global": "lambda_fgd"}
    terms = {k: 0.0 for k in weights}
    for l in range(len(golden.STRIDES)):
        module = cls(width, golden.CT, "level", temp=temperature, **{name: o["w_" + k] for k, name in weights.items()}).double()
        fill(module, v, names := names_of("fgd", v, l))
        module(*maps(v, l), boxes, metas).backward()
        gather(module, v, names)
        for k, name in weights.items():  # a term alone: the others' weights are 0
            for other in weights.values():
                setattr(module, other, float(other == name))
            terms[k] += module(*maps(v, l), boxes, metas).item()
    return golden.written("fgd", o, width, golden.CONTEXT, v, {f"fgd.{k}": (x, o["w_" + k]) for k, x in terms.items()})


def mgd(cls, width, ratio):
    o, total = {"w": 0.02, "ratio": ratio}, 0.0
    v = golden.inputs_of("mgd", width, o)
    draw = torch.rand
    for l in range(len(golden.STRIDES)):
        cells = golden.random_cells(golden.CONTEXT, l, ratio)[..., 0][:, None]
        torch.rand = lambda _, cells=cells: 1 - cells  # what is above 1 - ratio is blanked there
        module = cls(width, golden.CT, "level", alpha_mgd=o["w"], lambda_mgd=ratio).double()
        fill(module, v, names := names_of("mgd", v, l))
        loss = module(*maps(v, l))
        loss.backward()
        total += loss.item() / o["w"]
        gather(module, v, names)
    torch.rand = draw
    return golden.written("mgd", o, width, golden.CONTEXT, v, {"mgd": (total, o["w"])})


if __name__ == "__main__":
    losses = {name: original(name, clone) for name, clone in zip(COMMITS, sys.argv[1:3], strict=True)}
    golden.write("imitation_originals.json", [fgd(losses["fgd"], 5), fgd(losses["fgd"], 6, 0.8), mgd(losses["mgd"], 5, 0.65), mgd(losses["mgd"], 6, 0.3)])
