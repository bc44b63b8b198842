"""How long the judge takes on a full-size tensor, against PyTorch's own forward on that tensor, and with what memory.

The video of the fourth question: 1,024 batches of 30 grey frames of 64 x 64, float32, training, axis 1. Reference and
comparison together are timed in a process of their own, side by side with PyTorch's forward in another; the parent's
peak resident memory is that of a real ``bncheck run`` of the case.

    python tests/benchmarks/full_size_video.py
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

SHAPE = [1024, 30, 64, 64]
ROUNDS = 5
CASE = f"""\
title: The full-size video of the fourth question
input: {{shape: {SHAPE}, layout: NCHW}}
axis: 1
mode: training
"""

FORWARD = """
import json, sys, time
import numpy as np, torch
folder, shape, rounds = sys.argv[1], json.loads(sys.argv[2]), int(sys.argv[3])
x = torch.from_numpy(np.memmap(folder + "/x0", dtype=np.float32, mode="c", shape=tuple(shape)))
parameters = [torch.from_numpy(np.fromfile(folder + "/" + name, dtype=np.float32))
              for name in ("gamma", "beta", "moving_mean", "moving_variance")]
layer = torch.nn.BatchNorm2d(shape[1], eps=1e-3, momentum=0.01)
with torch.no_grad():
    for target, value in zip((layer.weight, layer.bias), parameters):
        target.copy_(value)
    seconds = []
    for _ in range(rounds + 1):
        layer.running_mean.copy_(parameters[2]); layer.running_var.copy_(parameters[3])
        started = time.perf_counter()
        y = layer(x)
        seconds.append(time.perf_counter() - started)
y.numpy().tofile(folder + "/output")
layer.running_mean.numpy().tofile(folder + "/after_mean")
layer.running_var.numpy().tofile(folder + "/after_variance")
print(json.dumps(seconds[1:]))
"""

JUDGE = """
import json, sys, time
from pathlib import Path
import numpy as np
from bncheck.case.load import load
from bncheck.documented import of
from bncheck.documented.reading import Call
from bncheck.judge import verdict
from bncheck.judge.question import Question
from bncheck.running.store import Prepared
from bncheck.worker import wire
folder, limit, rounds = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
loaded = load([folder / "video.yaml"], max_elements=limit)[0]
case = loaded.case
def tensor(name, shape):
    return wire.open_tensor({"path": str(folder / name), "dtype": "float32", "shape": shape}, "r")
returned = {"output": tensor("output", case.input.shape), "moving_mean": tensor("after_mean", [30]),
            "moving_variance": tensor("after_variance", [30])}
made = Prepared(loaded, folder / "again").inputs
seconds = []
for _ in range(rounds + 1):
    started = time.perf_counter()
    prepared = Prepared(loaded, folder / "again")
    vars(prepared)["inputs"] = made
    question = Question(case, made, of("torch").documented(Call(case)), prepared.reference)
    judgement = verdict.judge(question, returned)
    seconds.append(time.perf_counter() - started)
print(json.dumps([judgement.verdict, seconds[1:]]))
"""

MAKE = """
import sys
from pathlib import Path
import numpy as np
from bncheck.case import inputs
from bncheck.case.load import load
folder = Path(sys.argv[1])
loaded = load([folder / "video.yaml"], max_elements=int(sys.argv[2]))[0]
inputs.make(loaded.case, folder, lambda name, shape, dtype: np.memmap(folder / name, dtype, "w+", shape=shape))
"""

RUN = """
import resource, sys
from bncheck.cli.main import cli
code = cli.main(["run", sys.argv[1], "--runner", "torch", "--max-elements", sys.argv[2]], standalone_mode=False)
print(code, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20)
"""


def python(code: str, *arguments: object) -> str:
    """What a script prints last, run in a process of its own."""
    command = [sys.executable, "-c", code, *map(str, arguments)]
    printed = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout.split("\n")
    return next((line for line in reversed(printed) if line), "")


def main() -> None:
    limit = 1 << 27
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "video.yaml").write_text(CASE)
        python(MAKE, folder, limit)
        forward = json.loads(python(FORWARD, folder, json.dumps(SHAPE), ROUNDS))
        verdict, judged = json.loads(python(JUDGE, folder, limit, ROUNDS))
        code, peak = python(RUN, folder / "video.yaml", limit).split()
    torch, ours = statistics.median(forward), statistics.median(judged)
    print(
        f"PyTorch's forward             {torch:6.2f} s   (median of {ROUNDS}, {min(forward):.2f} to {max(forward):.2f})"
    )
    print(f"reference and comparison      {ours:6.2f} s   ({verdict}; {min(judged):.2f} to {max(judged):.2f})")
    print(f"ratio                         {ours / torch:6.2f}     target at most 2")
    print(f"parent's peak memory          {float(peak):6.2f} GiB target at most 1.2 (exit code of the run: {code})")


if __name__ == "__main__":
    main()
