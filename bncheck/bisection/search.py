"""Binary search for a change, where some of what is searched cannot be tried: pure, and the same at each resumption."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

Seen = Mapping[int, bool | None]
"""By the number of each one tried: whether it is as the first is; None: it could not be tried."""


@dataclass(frozen=True)
class Bracket:
    """``same`` is as the first is, ``changed`` is not, and nothing between them is known.

    ``probe`` is what to try next; None: all that lies between was skipped, if anything does, so that this is the
    answer.
    """

    same: int
    changed: int
    probe: int | None

    @property
    def between(self) -> range:
        return range(self.same + 1, self.changed)


def bracket(seen: Seen) -> Bracket:
    """Where a change lies, and what to try next.

    ``seen`` holds both ends: 0 is as the first, and something above it is not. With k not tried between them, at most
    log2(k) + 1 more are tried, and those that have to be skipped besides. If there are several changes, it is one of
    them.
    """
    changed = min(number for number, same in seen.items() if same is False)
    same = max(number for number, same in seen.items() if same and number < changed)
    untried = [number for number in range(same + 1, changed) if number not in seen]
    return Bracket(same, changed, untried[len(untried) // 2] if untried else None)
