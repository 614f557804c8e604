"""Writes optimiser.json: five steps of torch.optim.SGD and torch.optim.AdamW in double precision on given gradients."""
import json
import pathlib

import torch

torch.manual_seed(7)
initial = torch.randn(7, dtype=torch.float64)
grads = torch.randn(5, 7, dtype=torch.float64) * torch.logspace(-3, 1, 7, dtype=torch.float64)
rates = [0.05, 0.1, 0.1, 0.02, 0.02]


def run(make):
    x = torch.nn.Parameter(initial.clone())
    optimiser, steps = make([x]), []
    for lr, grad in zip(rates, grads):
        optimiser.param_groups[0]["lr"] = lr
        x.grad = grad.clone()
        optimiser.step()
        steps.append(x.detach().tolist())
    return steps


out = {
    "torch": torch.__version__,
    "initial": initial.tolist(),
    "grads": grads.tolist(),
    "rates": rates,
    "sgd": run(lambda p: torch.optim.SGD(p, lr=1, momentum=0.9, weight_decay=0.03)),
    "adamw": run(lambda p: torch.optim.AdamW(p, lr=1, betas=(0.8, 0.97), eps=1e-6, weight_decay=0.2)),
}
pathlib.Path(__file__).with_name("optimiser.json").write_text(json.dumps(out, indent=1) + "\n")
