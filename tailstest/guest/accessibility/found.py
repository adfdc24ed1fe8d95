"""What one look into the trees of a session found, and what it could not see."""

from __future__ import annotations

from dataclasses import dataclass

from tailstest.guest.accessibility.node import Node
from tailstest.guest.accessibility.query import quoted
from tailstest.guest.accessibility.told import Told
from tailstest.guest.accessibility.tree_helper import MAX_NAME, MAX_VISITED


@dataclass(frozen=True)
class Found:
    """The nodes that fit, of programs that answered.

    Attributes:
        nodes: in the order of the tree.
        silent: names of the programs that did not answer.
        is_cut: whether there were more nodes than one look visits.
    """

    nodes: tuple[Node, ...]
    silent: tuple[str, ...] = ()
    is_cut: bool = False

    @classmethod
    def read(cls, told: Told, limit: int) -> Found:
        """Read what the helper answers to "find".

        Raises:
            TreeHelperFailed: it is malformed.
        """
        return cls(
            nodes=tuple(Node.read(node) for node in told.field("nodes").items(limit)),
            silent=tuple(told.field("problems").texts(20, MAX_NAME)),
            is_cut=told.field("cut").flag(),
        )

    @property
    def first(self) -> Node | None:
        """The first node, or None."""
        return self.nodes[0] if self.nodes else None

    @property
    def gap(self) -> str:
        """What could not be looked at, as a part of a sentence; "" if everything was."""
        if self.silent:
            names = ", ".join(quoted(name, 60) for name in dict.fromkeys(self.silent))
            one = len(set(self.silent)) == 1
            return (
                f"the program {names} does not answer and may still have it"
                if one
                else f"these programs do not answer and may still have it: {names}"
            )
        if self.is_cut:
            return f"the programs have more than {MAX_VISITED} nodes, so not all were looked at"
        return ""
