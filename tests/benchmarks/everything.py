"""All shipped cases on all runners and variants: what is unexpected, and where the time goes.

Seconds of wall time in the calls themselves, by worker and by spelling; workers run side by side, one a core. Ends with
1 if anything fails, if an expectation is stale or a runner is missing.

    python tests/benchmarks/everything.py [CASES [RUNNER ...]]
"""

from __future__ import annotations

import sys
import time
from collections import Counter

import bncheck
from bncheck.case.corpus import corpus
from bncheck.running.runners import select

TARGET = 600.0
SLOWEST = 10


def main() -> int:
    cases = sys.argv[1] if len(sys.argv) > 1 else str(corpus())
    runners = sys.argv[2:] or ["*"]
    families = {runner.spelling: runner.family for runner in select(runners)}
    began = time.perf_counter()
    document = bncheck.run(cases, runners=runners)
    wall = time.perf_counter() - began
    by_spelling: Counter[str] = Counter()
    by_family: Counter[str] = Counter()
    for result in document.results:
        by_spelling[result.runner] += result.seconds
        by_family[families[result.runner]] += result.seconds
    wrong = [f"{r.case} {r.runner}: {r.kinds or r.error}" for r in document.results if r.verdict in ("fail", "error")]
    wrong += [f"{i.runner}: {i.reason}" for i in document.implementations if not i.available]
    wrong += [f"stale: {stale}" for stale in document.stale]
    print(f"{len(document.cases)} cases, {len(by_spelling)} spellings, {len(document.results)} results")
    print(f"wall time {wall:.0f} s     target on 2 cores: at most {TARGET:.0f} s")
    print("worker              s in calls")
    for family, seconds in by_family.most_common():
        print(f"{family:<20}{seconds:10.1f}")
    print(f"the slowest {SLOWEST}      s in calls   ms a result")
    for spelling, seconds in by_spelling.most_common(SLOWEST):
        count = sum(result.runner == spelling for result in document.results)
        print(f"{spelling:<20}{seconds:10.1f}{seconds / count * 1000:14.1f}")
    print("\n".join(["unexpected:", *wrong]) if wrong else "nothing unexpected")
    return bool(wrong)


if __name__ == "__main__":
    sys.exit(main())
