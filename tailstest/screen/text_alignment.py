"""Comparing a wanted text with letters that were read, letter by letter.

Tolerant: look-alike letters, lost accents, a few wrong letters in a long text. Strict: every digit
must be read as that digit, a number must not go on ("6.2" is neither in "16.2" nor in "6.2.1"), no
word may be replaced by another one, and "connected" is not found in "disconnected".
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

#: Share of each single word that must be read right; "succeeded" must not pass for "failed" only
#: because the sentence around it is long.
WORD_THRESHOLD = 0.66
#: Cost of reading a look-alike instead of the letter, of a lost accent; any other error costs 1.
LOOK_ALIKE = 0.4
ACCENT = 0.2
#: Letters and signs that engines take for each other. A digit may stand for a wanted letter, never
#: anything else for a wanted digit.
LOOK_ALIKES = (
    "il1|!jt[]",
    "o0ceθ",
    "s5",
    "z2",
    "b8",
    "g9q",
    "uv",
    "vyw",
    "nr",
    "ft",
    ".,'`",
    ":;",
    "-~_",
)
#: Beginnings that turn a word into its opposite.
NEGATIONS = frozenset({"un", "dis", "in", "im", "ir", "non", "de", "mis", "not", "no"})

_INFINITE = 1e9
_SAME = str.maketrans(
    {
        "‘": "'",
        "’": "'",
        "`": "'",
        "´": "'",
        "“": '"',
        "”": '"',
        "„": '"',
        "–": "-",
        "—": "-",
        "−": "-",
        "＃": "#",
        "\u00a0": " ",
    }
)


@dataclass(frozen=True)
class Letter:
    """One sign without spaces and case.

    Attributes:
        sign: a single character, comparable.
        word: index of the word that it belongs to.
        begins_word: whether a space (or nothing) stands before it.
    """

    sign: str
    word: int
    begins_word: bool


@dataclass(frozen=True)
class Alignment:
    """Where a text fits best.

    Attributes:
        start, end: the letters that stand for it, as a half-open range.
        score: share that was read right, 0 to 1.
        objection: why it must not count in spite of its score, as words; "" if nothing is wrong.
    """

    start: int
    end: int
    score: float
    objection: str


def letters_of(words: Sequence[str]) -> list[Letter]:
    """Return the signs of words in comparable form: no spaces, no case, one kind of quotes."""
    letters: list[Letter] = []
    for index, word in enumerate(words):
        begins = True
        for sign in unicodedata.normalize("NFKC", word.translate(_SAME)):
            if sign.isspace():
                begins = True
                continue
            for folded in sign.casefold():
                letters.append(Letter(folded, index, begins))
                begins = False
    return letters


def align(wanted: Sequence[Letter], read: Sequence[Letter]) -> Alignment | None:
    """Align all of `wanted` with the part of `read` where that costs least.

    This is Sellers' semi-global alignment (1980): a match may begin and end anywhere in `read`.

    Returns:
        None if it is impossible because the digits of `wanted` stand nowhere in the right order.
    """
    rows = _costs(wanted, read)
    end = min(range(len(read) + 1), key=rows[-1].__getitem__)
    cost = rows[-1][end]
    if cost >= _INFINITE:
        return None
    pairs = _trace(rows, wanted, read, end)
    used = [column for column in pairs if column is not None]
    if not used:
        return None
    start = used[0]
    objection = _objection(wanted, read, pairs, start, end)
    return Alignment(start, end, max(0.0, 1.0 - cost / len(wanted)), objection)


def _costs(wanted: Sequence[Letter], read: Sequence[Letter]) -> list[list[float]]:
    """Return the table of costs: row i, column j is the best way to end i letters at j."""
    signs = [letter.sign for letter in read]
    rows: list[list[float]] = [[0.0] * (len(signs) + 1)]
    numbers = _in_numbers(wanted)
    for index, letter in enumerate(wanted):
        sign = letter.sign
        drop = _INFINITE if numbers[index] else 1.0
        # Nothing may be added inside of a number, no digit next to one.
        follows = numbers[index + 1] and not wanted[index + 1].begins_word
        is_inside = numbers[index] and follows
        above = rows[-1]
        here = above[0] + drop
        current = [here]
        for column, other in enumerate(signs):
            step = above[column] + (0.0 if sign == other else substitution(sign, other))
            deleted = above[column + 1] + drop
            is_other = is_inside or (numbers[index] and other.isdigit())
            here = min(step, deleted, here + (_INFINITE if is_other else 1.0))
            current.append(here)
        rows.append(current)
    return rows


def _in_numbers(wanted: Sequence[Letter]) -> list[bool]:
    """Tell for each letter (and one behind the last) whether it is part of a number."""
    digits = [letter.sign.isdigit() for letter in wanted]
    joints = [
        letter.sign in ".,:"
        and 0 < index < len(wanted) - 1
        and digits[index - 1]
        and digits[index + 1]
        and not wanted[index + 1].begins_word
        for index, letter in enumerate(wanted)
    ]
    return [digit or joint for digit, joint in zip(digits, joints, strict=True)] + [False]


@lru_cache(maxsize=4096)
def substitution(wanted: str, read: str) -> float:
    """Return what it costs that `read` stands where `wanted` should."""
    if wanted == read:
        return 0.0
    if wanted.isdigit():
        return _INFINITE
    if unicodedata.normalize("NFD", wanted)[0] == unicodedata.normalize("NFD", read)[0]:
        return ACCENT
    if any(wanted in group and read in group for group in LOOK_ALIKES):
        return LOOK_ALIKE
    return 1.0


def _trace(
    rows: Sequence[Sequence[float]],
    wanted: Sequence[Letter],
    read: Sequence[Letter],
    end: int,
) -> list[int | None]:
    """Return for each wanted letter the index of what stands for it, or None if nothing does."""
    pairs: list[int | None] = []
    row, column = len(wanted), end
    while row > 0:
        here = rows[row][column]
        sign = wanted[row - 1].sign
        if column > 0:
            step = rows[row - 1][column - 1] + substitution(sign, read[column - 1].sign)
            if step <= here + 1e-6:
                pairs.append(column - 1)
                row, column = row - 1, column - 1
                continue
        if column == 0 or rows[row - 1][column] + 1.0 <= here + 1e-6:
            pairs.append(None)
            row -= 1
            continue
        column -= 1
    pairs.reverse()
    return pairs


def _objection(
    wanted: Sequence[Letter],
    read: Sequence[Letter],
    pairs: Sequence[int | None],
    start: int,
    end: int,
) -> str:
    before = _glued_before(read, start)
    after = "".join(letter.sign for letter in read[end : end + 2])
    if wanted[0].sign.isdigit() and before[-2:].rstrip(".,")[-1:].isdigit():
        return "the number on the screen begins earlier"
    is_glued = end < len(read) and not read[end].begins_word
    if wanted[-1].sign.isdigit() and is_glued and after.lstrip(".,")[:1].isdigit():
        return "the number on the screen goes on"
    if wanted[0].sign.isalpha() and before in NEGATIONS:
        return "the word on the screen has another beginning, with the opposite meaning"
    for word, error in _word_errors(wanted, read, pairs):
        if error > (1.0 - WORD_THRESHOLD) * len(word):
            return f"the word “{word}” differs"
    return ""


def _glued_before(read: Sequence[Letter], start: int) -> str:
    """Return the signs of the same word that stand before the match."""
    first = start
    while first > 0 and not read[first].begins_word:
        first -= 1
    return "".join(letter.sign for letter in read[first:start])


def _word_errors(
    wanted: Sequence[Letter], read: Sequence[Letter], pairs: Sequence[int | None]
) -> Iterator[tuple[str, float]]:
    """Yield each wanted word with the cost of what was read wrong in it or before it."""
    word, error = "", 0.0
    last: int | None = None
    for letter, column in zip(wanted, pairs, strict=True):
        if letter.begins_word and word:
            yield word, error
            word, error = "", 0.0
        word += letter.sign
        if column is None:
            error += 1.0
            continue
        error += substitution(letter.sign, read[column].sign)
        if last is not None:
            error += column - last - 1
        last = column
    yield word, error
