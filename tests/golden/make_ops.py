"""tests/golden/ops.txt: values and gradients of ops from PyTorch, in double, for tests/core/nn/grad_ops.c.

Needs torch. Run from the repository root. One tensor a line: op.part n h w c values, channels last; d<part> is the gradient of sum(y dy).
"""
import torch
import torch.nn.functional as F

torch.manual_seed(3)
torch.set_default_dtype(torch.float64)
lines = []


def emit(name, tensor):
    t = tensor.detach()
    if t.dim() == 4:
        t = t.permute(0, 2, 3, 1)
    shape = {4: t.shape, 2: (t.shape[0], 1, 1, t.shape[-1]), 1: (1, 1, 1, t.shape[0])}[t.dim()]
    lines.append(" ".join([name, *map(str, shape), *(format(v, ".15g") for v in t.reshape(-1).tolist())]))


def case(name, function, **inputs):
    for part, value in inputs.items():
        emit(f"{name}.{part}", value.requires_grad_())
    y = function(**inputs)
    dy = torch.randn_like(y)
    y.backward(dy)
    for part, value in {"y": y, "dy": dy, **{"d" + part: value.grad for part, value in inputs.items()}}.items():
        emit(f"{name}.{part}", value)


def standardise(x):
    return (x - x.mean((0, 2, 3), keepdim=True)) / (x.std((0, 2, 3), keepdim=True) + 1e-6)


case("sigmoid", lambda x: torch.sigmoid(x), x=torch.randn(1, 2, 3, 4) * 4)
case("softmax", lambda x: x.softmax(1), x=torch.randn(2, 5, 3, 1) * 3)
case("standardise", standardise, x=torch.randn(2, 3, 4, 5) * 2 + 1)
case("nearest", lambda x: F.interpolate(x, (5, 7), mode="nearest"), x=torch.randn(2, 2, 3, 4))
case("bilinear_up", lambda x: F.interpolate(x, (7, 9), mode="bilinear"), x=torch.randn(2, 2, 3, 4))
case("bilinear_down", lambda x: F.interpolate(x, (3, 4), mode="bilinear"), x=torch.randn(1, 2, 8, 9))
case("adaptive_down", lambda x: F.adaptive_avg_pool2d(x, (3, 4)), x=torch.randn(2, 2, 5, 7))
case("adaptive_up", lambda x: F.adaptive_avg_pool2d(x, (4, 5)), x=torch.randn(2, 2, 2, 3))
case("max_pool", lambda x: F.max_pool2d(x, 3, 2, 1), x=torch.randn(2, 2, 5, 6))
case("max_pool_2", lambda x: F.max_pool2d(x, 2, 2, 0), x=torch.randn(2, 2, 5, 6))
case("mean_hw", lambda x: x.mean((2, 3), keepdim=True), x=torch.randn(2, 3, 4, 5))
case("max_c", lambda x: x.amax(1, keepdim=True), x=torch.randn(2, 3, 4, 5))
case("conv", lambda x, w, b: F.conv2d(x, w, b, (2, 1), (1, 2)).relu(), x=torch.randn(2, 3, 5, 7), w=torch.randn(4, 3, 3, 2), b=torch.randn(4))
case("linear", lambda x, w, b: F.linear(x, w, b), x=torch.randn(4, 6), w=torch.randn(5, 6), b=torch.randn(5))
for name, training in (("norm_train", True), ("norm_eval", False)):
    mean, var = torch.randn(3), torch.rand(3) + 0.5
    emit(f"{name}.mean", mean)
    emit(f"{name}.var", var)
    case(name, lambda x, w, b: F.batch_norm(x, mean, var, w, b, training, 0.1, 1e-5), x=torch.randn(2, 3, 4, 5) + 0.5, w=torch.randn(3), b=torch.randn(3))
    emit(f"{name}.mean_after", mean)
    emit(f"{name}.var_after", var)
case("softmax_cells", lambda x: (x / 2.5).flatten(2).softmax(-1).view_as(x), x=torch.randn(2, 3, 9, 8) * 4)

# A good part of the samples lies outside of the map.
for padding in ("zeros", "border"):
    for align in (False, True):
        name = f"grid_{padding}_{int(align)}"
        x, grid = torch.randn(3, 2, 4, 6).requires_grad_(), (torch.randn(3, 5, 4, 2) * 0.9).requires_grad_()
        emit(f"{name}.x", x)
        y = F.grid_sample(x, grid, "bilinear", padding, align)
        dy = torch.randn_like(y)
        y.backward(dy)
        emit(f"{name}.y", y)
        emit(f"{name}.dy", dy)
        emit(f"{name}.dx", x.grad)
        for part, value in (("w", grid), ("dw", grid.grad)):  # its channels stand last already
            emit(f"{name}.{part}", value.permute(0, 3, 1, 2))

with open("tests/golden/ops.txt", "w") as file:
    file.write("\n".join(lines) + "\n")
