"""Finding a text among lines that were read; what counts as equal is in `text_alignment`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from rapidfuzz import fuzz

from tailstest.core.geometry import Region
from tailstest.screen.text_alignment import Alignment, Letter, align, letters_of
from tailstest.screen.text_line import TextLine, Word, as_rows, union

#: Share of a text that must be read right, unless the caller says otherwise. Short words leave no
#: room for an error at this value, long sentences some.
DEFAULT_THRESHOLD = 0.85
#: Similarity by a quick estimate (0 to 1) below which a place is not compared letter by letter.
WORTH_A_LOOK = 0.45
#: Similarity from which it is the digits that make the difference.
ONLY_DIGITS = 0.6
#: Rows that a wrapped text may span, and words searched at most: a guest may show anything.
MAX_ROWS = 6
MAX_WORDS = 4000


@dataclass(frozen=True)
class TextMatch:
    """The best place for a text.

    Attributes:
        score: share of the text that was read right, 0 to 1.
        text: the words that stand there.
        place: the smallest rectangle around them.
        objection: why it must not count in spite of its score, as words; "" if nothing is wrong.
        alone: share of its piece of a line that the match makes up: a label of its own has 1, a
            word of a sentence little.
    """

    score: float
    text: str
    place: Region
    objection: str = ""
    alone: float = 0.0

    def counts(self, threshold: float) -> bool:
        """Tell whether the text is there."""
        return not self.objection and self.score >= threshold

    def rank(self, threshold: float) -> tuple[bool, float, float]:
        """Order matches from worst to best."""
        return (self.counts(threshold), self.score, self.alone)


def find_text(
    wanted: str, lines: Sequence[TextLine], threshold: float = DEFAULT_THRESHOLD
) -> TextMatch | None:
    """Return the best match of `wanted`: one that counts if there is any, else the most similar.

    Lost and extra spaces and the case of letters never matter; the text may be wrapped. Of equally
    good places the one wins that stands most alone (a button, not a sentence about it), then the
    one that is first in reading order.

    Returns:
        None when nothing similar was read, or `wanted` has no letters.
    """
    signs = letters_of([wanted])
    if not signs:
        return None
    plain = "".join(letter.sign for letter in signs)
    best: TextMatch | None = None
    for words in _stretches(lines, len(plain)):
        letters = letters_of([word.text for word in words])
        match = _match(signs, plain, letters, words)
        if match is not None and (best is None or match.rank(threshold) > best.rank(threshold)):
            best = match
    return best


def _match(
    signs: Sequence[Letter], plain: str, letters: Sequence[Letter], words: Sequence[Word]
) -> TextMatch | None:
    text = "".join(letter.sign for letter in letters)
    estimate = fuzz.partial_ratio_alignment(plain, text) if text else None
    if estimate is None:
        return None
    # A piece that is shorter than the text can be no more similar than its length allows.
    similarity = estimate.score / 100.0 * min(1.0, len(text) / len(plain))
    if similarity < WORTH_A_LOOK:
        return None
    exact = align(signs, letters)
    # Where digits differ the rest would be torn apart to save them, and say nothing to a reader.
    if exact is not None and exact.score >= WORTH_A_LOOK:
        return _at(words, letters, exact)
    objection = ""
    if any(letter.sign.isdigit() for letter in signs):
        objection = "its digits differ" if similarity >= ONLY_DIGITS else "another text"
    # Show as much as was wanted: the other number, not a letter of what stands beside it.
    start = estimate.dest_start
    start += max(0, text[start : start + 3].find(plain[0]))
    end = max(estimate.dest_end, start + len(plain))
    return _at(words, letters, Alignment(start, end, similarity, objection))


def _at(words: Sequence[Word], letters: Sequence[Letter], alignment: Alignment) -> TextMatch | None:
    part = letters[alignment.start : alignment.end]
    touched = [words[index] for index in sorted({letter.word for letter in part})]
    if not touched:
        return None
    text = " ".join(word.text for word in touched)
    place = union(word.place for word in touched)
    alone = len(part) / len(letters)
    return TextMatch(alignment.score, text, place, alignment.objection, alone)


def _stretches(lines: Sequence[TextLine], length: int) -> Iterator[tuple[Word, ...]]:
    """Yield sequences of words in which a text of `length` letters can stand."""
    rows = as_rows(lines, limit=MAX_WORDS)
    pieces = [piece for row in rows for piece in _pieces(row)]
    yield from pieces
    for row in rows:
        yield row.words
    for start, piece in enumerate(pieces):
        chain, last, added = list(piece), piece, 0
        for lower in pieces[start + 1 : start + 40]:
            if added >= length or len(chain) > MAX_WORDS:
                break
            if _continues(last, lower):
                chain += lower
                last = lower
                added += sum(len(word.text) for word in lower)
        if added:
            yield tuple(chain)
    # An engine knows better than geometry when lines are tilted or overlap.
    for line in lines[:MAX_WORDS]:
        yield line.words


def _pieces(row: TextLine) -> Iterator[tuple[Word, ...]]:
    """Cut a row where there is a gap wider than three times its height: columns."""
    piece = [row.words[0]]
    for before, word in pairwise(row.words):
        if word.place.x - before.place.right > 3 * max(before.place.height, 8):
            yield tuple(piece)
            piece = []
        piece.append(word)
    yield tuple(piece)


def _continues(upper: Sequence[Word], lower: Sequence[Word]) -> bool:
    """Tell whether one piece is the next line of the text of the other."""
    above, below = union(word.place for word in upper), union(word.place for word in lower)
    return (
        0 < below.centre.y - above.centre.y < 2.2 * max(above.height, 8)
        and below.x < above.right
        and above.x < below.right
    )
