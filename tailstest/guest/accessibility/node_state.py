"""States that a wait may be about."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from rapidfuzz import fuzz, process

from tailstest.core.errors import UsageError
from tailstest.guest.accessibility.node import Node
from tailstest.guest.accessibility.tree_helper import STATES

#: Words that people use, and what they mean.
_WORDS: Mapping[str, str] = MappingProxyType(
    {
        "insensitive": "not sensitive",
        "greyed out": "not sensitive",
        "unchecked": "not checked",
        "unselected": "not selected",
        "hidden": "not showing",
    }
)


@dataclass(frozen=True)
class NodeState:
    """A state of a node, or its absence.

    Attributes:
        name: "present", "gone", or the name of a state of AT-SPI.
        is_set: whether the state must be set.
    """

    name: str
    is_set: bool = True

    @classmethod
    def parse(cls, text: str) -> NodeState:
        """Read "sensitive", "not checked", "gone".

        Raises:
            UsageError: there is no such state; near misses are named.
        """
        plain = " ".join(text.split()).casefold()
        plain = _WORDS.get(plain, plain)
        name = plain.removeprefix("not ")
        if plain in ("present", "gone") or name in STATES:
            return cls(name, is_set=name == plain)
        known = ["present", "gone", *_WORDS, *STATES]
        near = process.extract(name, known, scorer=fuzz.ratio, limit=3, score_cutoff=60)
        names = " or ".join(repr(found) for found, _, _ in near)
        raise UsageError(
            f"a node has no state called {text!r}",
            hint=f"did you mean {names}?" if near else 'write for example "showing" or "sensitive"',
        )

    @property
    def hidden_too(self) -> bool:
        """Whether nodes that are not showing count, too."""
        return self.name == "present" or (self.name == "showing" and not self.is_set)

    def holds(self, node: Node | None) -> bool:
        """Whether a node that was found, or None, is what was waited for."""
        if self.name == "gone" or node is None:
            return self.name == "gone" and node is None
        return self.name == "present" or (self.name in node.states) is self.is_set

    @property
    def lack(self) -> str:
        """What to say of a node that is not in this state."""
        if self.name == "gone":
            return "still there"
        return f"there but not {self.name}" if self.is_set else f"there but still {self.name}"
