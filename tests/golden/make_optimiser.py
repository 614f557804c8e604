"""Writes optimiser.json: five steps of torch.optim.SGD and torch.optim.AdamW in double precision on given gradients; the averages that
torch.optim.swa_utils.AveragedModel keeps of SGD's weights and of a buffer, with TensorFlow's decay (ExponentialMovingAverage, num_updates)."""
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


DECAY = 0.28  # between the third step's bound, 4/13, and the second's, 3/12


def average(values, buffers):
    model = torch.nn.BatchNorm1d(7, dtype=torch.float64)

    def put(value, buffer):
        model.weight.data[:] = torch.as_tensor(value, dtype=torch.float64)
        model.running_mean[:] = torch.as_tensor(buffer, dtype=torch.float64)

    def follow(average, value, updates):
        return average + (1 - min(DECAY, (1 + float(updates)) / (10 + float(updates)))) * (value - average)

    put(initial, initial)
    averaged, steps = torch.optim.swa_utils.AveragedModel(model, avg_fn=follow, use_buffers=True), []
    averaged.update_parameters(model)  # the first one copies
    for value, buffer in zip(values, buffers):
        put(value, buffer)
        averaged.update_parameters(model)
        steps.append((averaged.module.weight.tolist(), averaged.module.running_mean.tolist()))
    return {"decay": DECAY, "values": [value for value, _ in steps], "buffers": [buffer for _, buffer in steps]}


out = {
    "torch": torch.__version__,
    "initial": initial.tolist(),
    "grads": grads.tolist(),
    "rates": rates,
    "sgd": run(lambda p: torch.optim.SGD(p, lr=1, momentum=0.9, weight_decay=0.03)),
    "adamw": run(lambda p: torch.optim.AdamW(p, lr=1, betas=(0.8, 0.97), eps=1e-6, weight_decay=0.2)),
}
out["average"] = average(out["sgd"], out["grads"])
pathlib.Path(__file__).with_name("optimiser.json").write_text(json.dumps(out, indent=1) + "\n")
