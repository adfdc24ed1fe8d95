"""Deciding about the candidates of a run: one by one with a person, or many at once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from tailstest.core.errors import TailstestError
from tailstest.results.review import Candidate, Review


def accept_many(
    review: Review, candidates: Sequence[Candidate]
) -> tuple[list[Path], list[TailstestError]]:
    """Accept several candidates; one that cannot be accepted does not hold up the others.

    Of several candidates for one reference only the first is accepted, because the next would
    undo it; the others stay undecided.

    Returns:
        The files of the suite that were written, and what went wrong.
    """
    written: list[Path] = []
    trouble: list[TailstestError] = []
    done: set[str] = set()
    for candidate in candidates:
        if candidate.reference in done:
            continue
        try:
            written += review.accept(candidate)
            done.add(candidate.reference)
        except TailstestError as error:
            trouble.append(error)
    return written, trouble


def review_one_by_one(
    review: Review, *, ask: Callable[[str], str], say: Callable[[str], None]
) -> tuple[int, int]:
    """Ask about every candidate that is not decided yet.

    Args:
        ask: shows a question and returns the answer; EOFError or KeyboardInterrupt stops.
        say: prints some lines.

    Returns:
        Numbers of candidates accepted and refused.
    """
    accepted = refused = 0
    pending = review.pending
    for number, candidate in enumerate(pending, 1):
        say(f"\n[{number} of {len(pending)}] {review.describe(candidate)}")
        while True:
            try:
                answer = ask("accept it? [y]es, [n]o, [s]kip, [p]age, [q]uit: ").strip().lower()
            except (EOFError, KeyboardInterrupt):
                answer = "q"
            if answer in ("y", "yes"):
                try:
                    files = review.accept(candidate)
                except TailstestError as error:
                    say(str(error))
                    break
                say("  written: " + ", ".join(map(str, files)))
                accepted += 1
            elif answer in ("n", "no"):
                review.refuse(candidate)
                refused += 1
            elif answer in ("p", "page"):
                say(f"  open this in a browser: {review.write_page().as_uri()}")
                continue
            elif answer in ("q", "quit"):
                return accepted, refused
            elif answer not in ("s", "skip"):
                continue
            break
    return accepted, refused
