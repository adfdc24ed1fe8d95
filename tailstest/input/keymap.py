"""One compiled xkb keymap: which keysym each key gives under which modifiers."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from xkbcommon import xkb

from tailstest.core.errors import SetupError, UsageError
from tailstest.input.layout_names import known_layouts, similar_layouts, split_name
from tailstest.input.sinks import Chord

#: xkb key codes are Linux input codes plus 8, a heritage of X11 (xkeyboard-config, keycodes/evdev).
XKB_OFFSET = 8

#: A 105-key PC keyboard; keys of others are reached through the same rules.
_RULES, _MODEL = "evdev", "pc105"

#: Keys that type characters, by xkb's names for their places (row E to A, from the left). The
#: keypad is left out: what it gives depends on Num Lock.
TYPING_KEYS = (
    "TLDE",
    *(f"AE{n:02}" for n in range(1, 14)),
    *(f"AD{n:02}" for n in range(1, 13)),
    *(f"AC{n:02}" for n in range(1, 13)),
    "BKSL",
    "LSGT",
    *(f"AB{n:02}" for n in range(1, 12)),
    "SPCE",
)

#: What a key costs beyond one that every PC keyboard has: the key between left Shift and Z is
#: missing on US keyboards, and boot loaders read it differently; the last two exist only on
#: Japanese and Brazilian keyboards.
_RARE_KEYS = {"LSGT": 6, "AB11": 8, "AE13": 8}

#: Modifier kinds in the order in which they are pressed, with the keysyms that mean them, the
#: keys to look at (best first) and their cost. Ctrl, Alt and Super give no characters.
_MODIFIERS = (
    ("level5", ("ISO_Level5_Shift",), ("RCTL", "LSGT", "RALT", "BKSL", "CAPS"), 4),
    ("level3", ("ISO_Level3_Shift",), ("RALT", "LALT", "CAPS", "BKSL", "RWIN", "RCTL"), 3),
    ("shift", ("Shift_L", "Shift_R"), ("LFSH", "RTSH"), 2),
)

_LEVEL_KEYSYMS = {xkb.keysym_from_name(name) for _, names, _, _ in _MODIFIERS for name in names}

#: Cost of striking any key: no modifier may make one key dearer than two.
_STRIKE_COST = 10


@dataclass(frozen=True)
class SymbolKey:
    """One way to get a keysym.

    Attributes:
        keysym: its number.
        chord: the key and its modifiers.
        cost: lower is easier and safer to type.
        ends_sequence: striking it ends a sequence begun by a dead key before it counts:
            libxkbcommon's compose state does not take ISO_Level5_Shift for a modifier.
    """

    keysym: int
    chord: Chord
    cost: int
    ends_sequence: bool


class _Modifier(NamedTuple):
    code: int
    cost: int
    ends_sequence: bool


class Keymap:
    """A layout compiled by libxkbcommon.

    Args:
        name: "de" or "de(nodeadkeys)", as in the xkb rules.

    Raises:
        UsageError: there is no such layout; names the ones that look alike.
        SetupError: the xkb data is not installed.
    """

    def __init__(self, name: str) -> None:
        self.name = name.strip()
        # Variables such as XKB_DEFAULT_LAYOUT must not change what a name means.
        self.context: Any = xkb.Context(no_environment_names=True)
        self.context.set_log_level(0)  # only critical: we say ourselves what is wrong
        parts = split_name(self.name)
        if parts is None or (compiled := self._compile(*parts)) is None:
            raise self._unknown()
        self.compiled: Any = compiled

    @property
    def xkb_root(self) -> Path:
        """The folder of the xkb data in use; the user's own folders come before it."""
        folders = [Path(folder) for folder in self.context.include_path()]
        if not folders:
            raise SetupError(
                "no xkb data for keyboard layouts found", hint="install the package xkb-data"
            )
        return folders[-1]

    def _compile(self, layout: str, variant: str) -> Any:
        try:
            return self.context.keymap_new_from_names(
                rules=_RULES, model=_MODEL, layout=layout, variant=variant
            )
        except xkb.XKBKeymapCreationFailure:
            return None

    def _unknown(self) -> UsageError:
        known = known_layouts(self.xkb_root)
        near = [f"{name} ({known[name]})" for name in similar_layouts(self.name, known)]
        return UsageError(
            f"there is no keyboard layout {self.name!r}",
            hint=f"did you mean {' or '.join(near)}?"
            if near
            else 'use a name such as "us", "de" or "de(nodeadkeys)"; '
            f"{self.xkb_root / 'rules' / 'evdev.lst'} lists them all",
        )

    def code(self, key: str) -> int | None:
        """Return the Linux input code of a key by xkb's name for its place ("AC01", "RTRN")."""
        try:
            return int(self.compiled.key_by_name(key)) - XKB_OFFSET
        except xkb.XKBKeyDoesNotExist:
            return None

    def symbols(self) -> Iterator[SymbolKey]:
        """Yield what each typing key gives, without and with every set of level modifiers.

        The keys are really pressed in a state of libxkbcommon, in the order in which they will
        be sent, so that whatever the layout makes of them is what is yielded.
        """
        keys = [(key, code) for key in TYPING_KEYS if (code := self.code(key)) is not None]
        modifiers = self._modifier_keys()
        for size in range(len(modifiers) + 1):
            for chosen in itertools.combinations(modifiers, size):
                held = tuple(modifier.code for modifier in chosen)
                if not self._stay_modifiers(held):
                    continue
                state = self._state_with(held)
                effort = _STRIKE_COST + sum(modifier.cost for modifier in chosen)
                ends_sequence = any(modifier.ends_sequence for modifier in chosen)
                for key, code in keys:
                    keysyms = state.key_get_syms(code + XKB_OFFSET)
                    if code not in held and len(keysyms) == 1 and keysyms[0]:
                        cost = effort + _RARE_KEYS.get(key, 0)
                        chord = Chord(held, code)
                        yield SymbolKey(int(keysyms[0]), chord, cost, ends_sequence)

    def _stay_modifiers(self, codes: Sequence[int]) -> bool:
        """Tell whether each key is still a modifier when those before it are down.

        In some layouts (German T3) they become something else together.
        """
        return all(
            self._keysyms(code, codes[:index]) & _LEVEL_KEYSYMS for index, code in enumerate(codes)
        )

    def _modifier_keys(self) -> list[_Modifier]:
        """Return one key for each kind of modifier that the layout has."""
        found = []
        for kind, names, candidates, cost in _MODIFIERS:
            wanted = {xkb.keysym_from_name(name) for name in names}
            for code in (self.code(key) for key in candidates):
                if code is not None and self._keysyms(code) & wanted:
                    found.append(_Modifier(code, cost, ends_sequence=kind == "level5"))
                    break
        return found

    def _keysyms(self, code: int, held: Sequence[int] = ()) -> set[int]:
        return set(self._state_with(held).key_get_syms(code + XKB_OFFSET))

    def _state_with(self, held: Sequence[int]) -> Any:
        state = self.compiled.state_new()
        for code in held:
            state.update_key(code + XKB_OFFSET, xkb.XKB_KEY_DOWN)
        return state
