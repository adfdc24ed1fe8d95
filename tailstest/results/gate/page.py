"""The gate's answer as a page."""

from __future__ import annotations

from pathlib import Path

from tailstest.results.console import SIGNS
from tailstest.results.gate.shown import run_words
from tailstest.results.gate.verdict import GateResult
from tailstest.results.page import render_page, write_page


def write_gate_page(file: Path, result: GateResult) -> None:
    """Write a page that needs nothing but itself.

    Raises:
        InfrastructureError: it cannot be written.
    """
    write_page(file, gate_page(result))


def gate_page(result: GateResult) -> str:
    """Return the page."""
    return render_page(
        "gate.html.j2",
        {"result": result, "case": result.case, "signs": SIGNS, "run_words": run_words},
    )
