"""Closed-loop typing: type a little, read what arrived, repair it, and slow down after a loss."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from difflib import SequenceMatcher

from tailstest.core.deadline import Deadline, poll
from tailstest.core.errors import CheckFailed, UsageError
from tailstest.core.text import shortened
from tailstest.input.pace import Pace

#: Characters typed before the first look, so that a field without focus is noticed early, and
#: the most between two looks, so that a repair never has to take much away.
FIRST_CHUNK, LONGEST_CHUNK = 4, 64

#: Characters of expected and seen text quoted in an error.
_QUOTED = 200

#: How often BackSpaces are sent and looked after before giving up on taking something back.
_TAKE_BACK_ROUNDS = 8

#: Glyphs that text recognition takes for each other in screen fonts; each group counts as its
#: first character.
_ALIKE = ("l1I|", "O0o", "S5", "Z2", "B8", "'`’‘", '"“”', "-–—", ".,")
_ALIKE_TO = {character: group[0] for group in _ALIKE for character in group}


@dataclass(frozen=True)
class TypingReport:
    """How typing one text went.

    Attributes:
        typed: characters of the text, all of them present in the end.
        lost: characters that did not arrive at first.
        doubled: characters that arrived twice.
        wrong: other characters that should not have been there.
        repaired: characters typed again.
        pace: the pace at the end, slower than at the beginning after losses.
    """

    typed: int
    lost: int
    doubled: int
    wrong: int
    repaired: int
    pace: Pace


def unchanged(character: str) -> str:
    """Fold nothing: for targets that can be read exactly (a serial line, the guest, AT-SPI)."""
    return character


def fold_for_ocr(character: str) -> str:
    """Fold what text recognition confuses or loses: spaces vanish, look-alikes become equal."""
    return "" if character.isspace() else _ALIKE_TO.get(character, character)


def compare_typed(expected: str, shown: str) -> tuple[int, int, int]:
    """Count what went wrong between two texts.

    Returns:
        (lost, doubled, wrong): characters missing; characters too many that repeat the one
        before or after them; other characters too many.
    """
    lost = doubled = wrong = 0
    matcher = SequenceMatcher(None, expected, shown, autojunk=False)
    for kind, start, end, shown_start, shown_end in matcher.get_opcodes():
        if kind in {"delete", "replace"}:
            lost += end - start
        if kind in {"insert", "replace"}:
            for index in range(shown_start, shown_end):
                near = shown[max(0, index - 1) : index] + shown[index + 1 : index + 2]
                doubled += shown[index] in near
                wrong += shown[index] not in near
    return lost, doubled, wrong


def type_checked(
    text: str,
    read_back: Callable[[], str | None],
    *,
    send: Callable[[str, Pace], None],
    take_back: Callable[[int, Pace], None],
    pace: Pace,
    fold: Callable[[str], str] = unchanged,
    within: float = 5.0,
    repairs: int = 5,
) -> TypingReport:
    """Type one line into a field where it can be read, until exactly `text` stands there.

    Text goes out in chunks, short ones first. After each chunk the field is read until it shows
    what it should; if it does not within `within`, everything after the longest right beginning
    is taken back and typed again, at half the pace.

    Args:
        text: without line ends and tabs: they leave a field, so the caller presses them after.
        read_back: looks, without waiting, at what now stands in the field, from the first
            character of `text` on; None while it cannot be read.
        send: types text at a pace.
        take_back: presses BackSpace so many times at a pace.
        pace: the pace to begin with.
        fold: maps a character to what it counts as when texts are compared, one character or
            "" to leave it out; `fold_for_ocr` where text recognition reads.
        within: seconds the field may take to show a chunk.
        repairs: how many times something may be repaired.

    Returns:
        What happened; `lost`, `doubled` and `wrong` are 0 for flawless typing.

    Raises:
        UsageError: `text` has a line end or a tab.
        CheckFailed: the field cannot be read, or still differs after all repairs; says what was
            expected and what was seen.
    """
    if any(character in text for character in "\n\r\t"):
        raise UsageError(
            f"text to be checked while it is typed has a line end or a tab: {_quoted(text)}",
            hint="type it line by line and press Enter or Tab in between",
        )
    field = _Field(text, read_back, fold, take_back, within)
    done, chunk, lost, doubled, wrong, repaired, repairs_done = 0, FIRST_CHUNK, 0, 0, 0, 0, 0
    while done < len(text):
        end = min(done + chunk, len(text))
        send(text[done:end], pace)
        if field.shows(end):
            done, chunk = end, min(chunk * 2, LONGEST_CHUNK)
            continue
        if repairs_done == repairs:
            raise field.failed(end, f"the typed text is still wrong after {repairs} repairs")
        damage = compare_typed(field.folded(text[:end]), field.seen(end))
        lost, doubled, wrong = lost + damage[0], doubled + damage[1], wrong + damage[2]
        repairs_done, pace, chunk = repairs_done + 1, pace.slower, FIRST_CHUNK
        done = field.take_back_wrong(done, end, pace)
        repaired += end - done
    return TypingReport(len(text), lost, doubled, wrong, repaired, pace)


class _Field:
    """Where the text is typed, as far as it can be read."""

    def __init__(
        self,
        text: str,
        read_back: Callable[[], str | None],
        fold: Callable[[str], str],
        take_back: Callable[[int, Pace], None],
        within: float,
    ) -> None:
        self._text, self._read_back, self._fold = text, read_back, fold
        self._take_back, self._within = take_back, within
        #: Indices of the characters of the text that can be seen at all.
        self._visible = [index for index, character in enumerate(text) if fold(character)]
        self._wanted = self.folded(text)

    def folded(self, text: str) -> str:
        """Return `text` as it counts in comparisons."""
        return "".join(self._fold(character) for character in text)

    def shows(self, end: int) -> bool:
        """Wait until the field shows the text up to `end`; tell whether it came to that."""
        return self._wait_for(self.folded(self._text[:end]))

    def seen(self, end: int) -> str:
        """Return what the field shows now, folded; CheckFailed if it cannot be read."""
        shown = self._read_back()
        if shown is None:
            raise self.failed(end, "what was typed cannot be read back")
        return self.folded(shown)

    def take_back_wrong(self, done: int, end: int, pace: Pace) -> int:
        """Remove what is wrong; return the index up to which the field then holds the text.

        Characters that folding leaves out (spaces, for text recognition) may stand unseen
        anywhere behind `done`, the index up to which the text was right before. Then the last
        visible character before `done` is taken back as well: once it is gone, what is left is
        known exactly.
        """
        all_visible = len(self._visible) == len(self._text)
        sure = len(self.folded(self._text[:done]))
        keep = len(self._text) if all_visible else max(0, sure - 1)
        for _ in range(_TAKE_BACK_ROUNDS):
            seen = self.seen(end)
            keep = min(keep, _common_beginning(self._wanted, seen))
            if len(seen) == keep:
                if not all_visible and (keep == 0 or sure == 0):
                    self._take_back(end, pace)  # as many as may stand there unseen
                    return 0
                return self._visible[keep] if keep < len(self._visible) else len(self._text)
            self._take_back(len(seen) - keep, pace)
            self._wait_for(self._wanted[:keep])
        raise self.failed(end, "what was typed wrongly cannot be taken back")

    def failed(self, end: int, what: str) -> CheckFailed:
        """Return the error that says what should stand in the field and what does."""
        shown = self._read_back()
        seen = "nothing that can be read" if shown is None else _quoted(shown)
        return CheckFailed(
            f"{what}: expected {_quoted(self._text[:end])}, seen {seen}",
            hint="check that the field has the focus and that the keyboard layout is the guest's",
        )

    def _wait_for(self, wanted: str) -> bool:
        def look() -> bool | None:
            shown = self._read_back()
            return True if shown is not None and self.folded(shown) == wanted else None

        return poll(look, Deadline.after(self._within)) is not None


def _common_beginning(one: str, other: str) -> int:
    pairs = zip(one, other, strict=False)
    return next((n for n, (a, b) in enumerate(pairs) if a != b), min(len(one), len(other)))


def _quoted(text: str) -> str:
    return repr(shortened(text, _QUOTED))
