"""What stands behind a prompt, as far as text recognition can read it."""

from __future__ import annotations

from collections.abc import Sequence

from tailstest.input.typing_check import fold_for_ocr
from tailstest.screen.text_line import TextLine, as_rows

#: What a caret is read as: an underscore, a bar or a filled box.
_CARETS = "_|l-.█■"


def text_behind(prompt: str, lines: Sequence[TextLine], expected: str = "") -> str | None:
    """Return what was read behind the last `prompt` of the screen, folded for comparison.

    A command line goes on in the next row when it is full, so all rows below belong to it.

    Args:
        prompt: text that stands before the place where typing goes.
        lines: all that was read from the screen.
        expected: what shall stand there in the end. A mark behind a right beginning of it that
            does not go on like it is the caret, and is left out.

    Returns:
        Text as `fold_for_ocr` leaves it; None if the prompt cannot be read.
    """
    wanted = _folded(prompt)
    rows = [_folded(row.text) for row in as_rows(lines)]
    starts = [index for index, row in enumerate(rows) if wanted in row]
    if not starts:
        return None
    first, *others = rows[starts[-1] :]
    shown = "".join([first.rpartition(wanted)[2], *others])
    right = _folded(expected)
    goes_on = right.startswith(shown) or not right.startswith(shown[:-1])
    return shown if goes_on or shown[-1] not in _folded(_CARETS) else shown[:-1]


def _folded(text: str) -> str:
    return "".join(map(fold_for_ocr, text))
