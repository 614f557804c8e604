"""Writes checkpoint_python.safetensors with the safetensors package, and checks that checkpoint_c.safetensors, which
tests/core/nn/test_checkpoint.c compares its own output with byte by byte, is read by that package and holds the same tensors."""
import pathlib

import numpy
import safetensors
import safetensors.numpy

here = pathlib.Path(__file__).parent


def ramp(*shape, start):
    count = int(numpy.prod(shape))
    return (start + numpy.arange(count, dtype=numpy.float32) / 8).reshape(shape)


tensors = {
    "conv.weight": ramp(2, 5, 3, 4, start=1),  # out, in, kh, kw
    "fc.weight": ramp(3, 2, start=-7),
    "fc.bias": ramp(3, start=100),
    "bn.running_mean": ramp(5, start=0.5),
}
metadata = {"cell": '{"seed":0}', "note": 'quotes " and ümlaut'}
safetensors.numpy.save_file(tensors, here / "checkpoint_python.safetensors", metadata)
ours = here / "checkpoint_c.safetensors"
if ours.exists():
    with safetensors.safe_open(ours, "numpy") as file:
        ours_too = file.metadata()
        assert len(ours_too.pop("contents_hash")) == 16 and ours_too.pop("writer") == "defeat"
        assert ours_too == metadata, ours_too
        assert set(file.keys()) == set(tensors), file.keys()
        for name, expected in tensors.items():
            assert numpy.array_equal(file.get_tensor(name), expected), name
    print(f"{ours.name}: read by safetensors {safetensors.__version__}")
