"""How long ``bncheck --help`` takes, against an interpreter that does nothing.

python tests/benchmarks/help_time.py
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import time

ROUNDS = 15


def seconds(*arguments: str) -> float:
    started = time.perf_counter()
    subprocess.run([sys.executable, *arguments], check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - started


def main() -> None:
    pairs = [(seconds("-c", "pass"), seconds("-m", "bncheck", "--help")) for _ in range(ROUNDS)]
    nothing, help_ = (statistics.median(column) for column in zip(*pairs, strict=True))
    print(f"python -c pass   {nothing * 1000:6.0f} ms")
    print(f"bncheck --help   {help_ * 1000:6.0f} ms")
    print(f"ratio            {help_ / nothing:6.1f}    target at most 10")


if __name__ == "__main__":
    main()
