"""Signs in errors, notes and transcripts by which troubles are told apart.

What machines and guests do is known by the class of an error. Its words count only where a record
has no class: runs of older versions, and results of other tools.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from tailstest.core.cut_off import CutOff
from tailstest.core.verdict import Verdict

_AGENT_KINDS = frozenset(
    {"GuestUnreachable", "GuestProtocolError", "EpochUnknown", "TreeHelperFailed"}
)
_AGENT_WORDS = re.compile(
    r"agent in the guest|guest's agent|guest agent|guest's serial port", re.IGNORECASE
)
_CUT_OFF = frozenset(each.value for each in CutOff)
#: What older versions said.
_WAS_CUT_OFF = re.compile(r"^(the |its )?worker process.* (was|were) killed", re.IGNORECASE)
#: Notes that `run_builder` makes of events of machines.
_GONE = re.compile(r"^machine [^:]+: gone\b")
_GONE_WORDS = re.compile(r"^the virtual machine .* is gone")
_STOPPED = re.compile(r"^machine [^:]+: (crashed|watchdog)\b")
_STOPPED_WORDS = re.compile(
    r"^(what runs in the machine crashed|the watchdog fired|the machine (restarted by itself|"
    r"switched itself off))"
)
_TIME = re.compile(r"\b(within|in|after) \d+([.,]\d+)? ?s(econds)?\b|deadline|timed? ?out")
#: First words of Linux when it gives up; GRUB and systemd have their own.
_PANIC = re.compile(
    r"kernel panic|not syncing|unable to handle (kernel|page)|general protection fault|"
    r"you are in (emergency|rescue) mode|grub rescue>",
    re.IGNORECASE,
)
_NOTHING = frozenset({"", "an assertion of the step failed", "no reason was given"})


def is_cut_off(error: str) -> bool:
    """Tell whether an error says that somebody or something ended the attempt."""
    first = error.strip().partition("\n")[0]
    return first in _CUT_OFF or bool(_WAS_CUT_OFF.search(first))


def is_machine_gone(error: str, notes: Iterable[str]) -> bool:
    """Tell whether the emulator of a machine ended without being asked to."""
    return bool(_GONE_WORDS.search(error)) or any(_GONE.search(note) for note in notes)


def is_machine_stopped(kind: str, error: str, notes: Iterable[str]) -> bool:
    """Tell whether what runs in a machine crashed, hung, or ended by itself."""
    if kind == "MachineStopped" or any(_STOPPED.search(note) for note in notes):
        return True
    return not kind and bool(_STOPPED_WORDS.search(error))


def is_about_agent(kind: str, error: str, verdict: Verdict) -> bool:
    """Tell whether an error is about the way into the guest."""
    if kind:
        return kind in _AGENT_KINDS
    return verdict is Verdict.INCOMPLETE and bool(_AGENT_WORDS.search(error))


def is_about_time(error: str) -> bool:
    """Tell whether an error says that a deadline passed."""
    return bool(_TIME.search(error))


def panic_in(look: Mapping[str, Any]) -> bool:
    """Tell whether a system that gave up can be read in the transcript of a search."""
    lines = look.get("lines")
    texts = (
        [str(line.get("text", "")) for line in lines or () if isinstance(line, Mapping)]
        if isinstance(lines, list)
        else []
    )
    return bool(_PANIC.search("\n".join(texts)))


def nothing_said(error: str) -> bool:
    """Tell whether an error has no words of its own."""
    return error.strip() in _NOTHING
