#!/bin/sh
# PyTorch's side of a distilled step (torch_step.py --distilled): students, adaptation and teachers have as many parameters as ours, or it stops; every
# step of both sides has its line; masks by hand; what it has no counterpart for is refused. Needs PyTorch and torchvision (PYTHON=); then ~20 s.
set -eu
python=${PYTHON:-python3} defeat=${DEFEAT_BUILD:?}/defeat
[ -x "$defeat" ] || { echo "no program '$defeat' [make all]"; exit 77; }
"$python" -c 'import torch, torchvision' 2>/dev/null || { echo "'$python' cannot import torch and torchvision: their steps were not made"; exit 77; }
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export PYTHONDONTWRITEBYTECODE=1
fail() { echo "test_torch_step: $*" >&2; cat "$work/said" >&2; exit 1; }
# asked ARGUMENTS...: one step in one mode
asked() { "$python" tests/peers/torch_step.py --defeat "$defeat" --modes eager --rounds 1 --steps 1 --set schedule.batch=1 "$@" >"$work/said" 2>&1; }
has() { grep -q -- "$1" "$work/said" || fail "no '$1'"; }

for spec in reproduce-table reproduce-faster; do
    asked --distilled ablations/specs/$spec.json || fail "$spec: exit $?"
    has "^PyTorch .*, batch 1, [1-9][0-9]* parameters, 41616 of adaptation, [1-9][0-9]* of the teacher, 1 x 1 steps$" # 3 levels of 9 * 32 * 48 + 48
    has '^defeat on .* of the teacher: fastest step [0-9.]* ms, [0-9.]* images/s$'
    has '^defeat  *fastest distilled step .* images/s, [0-9.]* times a plain one$'
    has '^eager  *fastest step .* images/s, ratio [0-9.]*$'
    has '^eager  *fastest distilled step .* images/s, [0-9.]* times a plain one, ratio [0-9.]*$'
done
asked ablations/specs/reproduce-table.json || fail "plain: exit $?"
! grep -q distilled "$work/said" || fail "distilled steps that nobody asked for"
! asked --distilled ablations/specs/tiny.json || fail "a method that is not the neck's alone"
has "^tiny: no method is DeFeat on the neck alone"
! asked --distilled tests/cuda/retinanet-800.json || fail "a spec without a teacher"
has "^retinanet-800: no teacher"
! asked --set student.network.head_norm=none ablations/specs/reproduce-table.json || fail "other networks than ours"
has "^these are not defeat.s networks: it has [1-9][0-9]* parameters$"

# x0, y0, x1, y1 in pixels at stride 4: 0 to 31.9 has 7 x 7 whole cells and touches 8 x 8; one that is thin in cells has one, and touches 8
"$python" - >"$work/said" 2>&1 <<'PYTHON' || fail "masks"
import sys

sys.path.insert(0, "tests/peers")
from torch_step import cells, torch

boxes = torch.tensor([[[0, 0, 31.9, 31.9], [2, 9, 30, 11], [-96, -96, -96, -96]], [[8, 4, 16, 12], [20, 20, 99, 99], [-9, -9, 5, 9]]]) / 4
for cover, counts in ((False, [[49, 1, 0], [4, 25, 2]]), (True, [[64, 8, 0], [4, 25, 6]])):
    marked = cells(boxes, 10, 10, cover)
    assert marked.shape == (2, 3, 10, 10) and marked.sum((2, 3)).tolist() == counts, marked.sum((2, 3))
assert cells(boxes, 10, 10, False)[1, 0, 1:3, 2:4].all()
PYTHON
