"""How long scenarios take: measured, from a file that all jobs of a run have, or guessed."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tailstest.core.errors import UsageError

#: A plan of ten thousand scenarios has some megabytes; more than this is something else.
MAX_BYTES = 256 << 20


def read_durations(file: Path) -> dict[str, float]:
    """Return scenario id to the seconds that it took before.

    Args:
        file: what `tailstest plan --json` printed; scenarios without a duration are left out.

    Raises:
        UsageError: it cannot be read, or is something else.
    """
    try:
        if file.stat().st_size > MAX_BYTES:
            raise ValueError("it is too large")
        told: Any = json.loads(file.read_text(encoding="utf-8"))
        known = {str(each["scenario"]): each["seconds_before"] for each in told["scenarios"]}
        durations = {scenario: float(known[scenario]) for scenario in known if known[scenario]}
        if not all(0 <= each < math.inf for each in durations.values()):
            raise ValueError("a duration is no number of seconds")
    except OSError as error:
        raise UsageError(f"--durations {file}: {error.strerror}") from error
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise UsageError(
            f"--durations {file}: this is no plan ({type(error).__name__}: {error})",
            hint="it is what `tailstest plan features --json` prints, with the same features",
        ) from error
    return durations


def filled_in(
    scenarios: Sequence[str],
    seconds: Mapping[str, float],
    sizes: Mapping[str, int] | None = None,
) -> dict[str, float]:
    """Return what each scenario is expected to take.

    Args:
        scenarios: ids.
        seconds: what some of them took before.
        sizes: how large each one is, 1 or more: what nobody has measured takes as long as others
            do for its size. None: all are alike, so that it counts as the mean.
    """
    size = sizes if sizes is not None else dict.fromkeys(scenarios, 1)
    known = [each for each in scenarios if each in seconds]
    pace = sum(seconds[each] for each in known) / sum(size[each] for each in known) if known else 1
    return {each: seconds.get(each, float(pace * size[each])) for each in scenarios}
