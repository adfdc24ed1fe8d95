"""Whose trouble an attempt that did not pass seems to be; `suspect_rules` finds that out."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Whose(StrEnum):
    """Who looks into it: those who make the image, those who write tests, those who run them."""

    PRODUCT = "product"
    TEST = "test"
    INFRASTRUCTURE = "infrastructure"
    UNKNOWN = "unknown"


class Suspect(StrEnum):
    """What seems to be behind an attempt that did not pass."""

    PRODUCT = "product changed"
    TEST = "test or reference stale"
    CRASH = "machine crashed"
    AGENT = "agent lost"
    HOST = "host overloaded"
    INFRASTRUCTURE = "infrastructure"
    UNKNOWN = "unknown"

    @property
    def whose(self) -> Whose:
        """Return whose trouble that is."""
        return _WHOSE[self]


_WHOSE = {
    Suspect.PRODUCT: Whose.PRODUCT,
    Suspect.TEST: Whose.TEST,
    Suspect.CRASH: Whose.PRODUCT,
    Suspect.AGENT: Whose.INFRASTRUCTURE,
    Suspect.HOST: Whose.INFRASTRUCTURE,
    Suspect.INFRASTRUCTURE: Whose.INFRASTRUCTURE,
    Suspect.UNKNOWN: Whose.UNKNOWN,
}
#: Suspects that say nothing about the image under test.
NOT_THE_IMAGE = frozenset(each for each in Suspect if each.whose is Whose.INFRASTRUCTURE)


@dataclass(frozen=True)
class Suspicion:
    """What is suspected, and by which rule.

    Attributes:
        rule: its name, "" when a file did not tell.
        why: what the evidence means, as a sentence; "" likewise.
    """

    suspect: Suspect
    rule: str = ""
    why: str = ""

    def __str__(self) -> str:
        return f"{self.suspect}: {self.why}" if self.why else str(self.suspect)
