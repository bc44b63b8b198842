"""How long a run takes to end after Ctrl-C or SIGTERM, at random moments of a run of the whole corpus.

python tests/benchmarks/interrupt_time.py
"""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil

ROUNDS = 12
CORPUS = Path(__file__).parent.parent.parent / "cases"


def main() -> None:
    moments = random.Random(0)
    taken, codes, left = [], set(), 0
    for number in (signal.SIGINT, signal.SIGTERM) * (ROUNDS // 2):
        command = [sys.executable, "-m", "bncheck", "run", str(CORPUS)]
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        time.sleep(moments.uniform(1, 4.5))
        workers = psutil.Process(process.pid).children(recursive=True)
        started = time.perf_counter()
        process.send_signal(number)
        codes.add(process.wait())
        taken.append(time.perf_counter() - started)
        left += len(psutil.wait_procs(workers, timeout=1)[1])
    print(f"longest of {ROUNDS}: {max(taken):.2f} s     target: at most 2")
    print(f"exit codes {sorted(codes)}, processes left {left}")


if __name__ == "__main__":
    main()
