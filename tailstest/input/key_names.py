"""Names of keys as people write them, and key combinations such as "Ctrl+Alt+T"."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from rapidfuzz import fuzz, process

from tailstest.core.errors import UsageError
from tailstest.input.layout import Layout
from tailstest.input.sinks import Chord

#: xkb's name for the place of a key, and every name by which we know it, the usual one first.
#: Names are compared without case, spaces, "-" and "_".
_KEYS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "ESC": ("Esc", "Escape"),
        **{f"FK{n:02}": (f"F{n}",) for n in range(1, 13)},
        "PRSC": ("Print", "Print Screen", "PrintScr", "PrtSc", "PrtScn", "SysRq"),
        "SCLK": ("Scroll Lock", "ScrLk"),
        "PAUS": ("Pause", "Break", "Pause Break"),
        "INS": ("Insert", "Ins"),
        "DELE": ("Delete", "Del"),
        "HOME": ("Home", "Pos1"),
        "END": ("End",),
        "PGUP": ("Page Up", "PgUp", "Prior"),
        "PGDN": ("Page Down", "PgDn", "PgDown", "Next"),
        "UP": ("Up", "Arrow Up", "Up Arrow", "Cursor Up"),
        "DOWN": ("Down", "Arrow Down", "Down Arrow", "Cursor Down"),
        "LEFT": ("Left", "Arrow Left", "Left Arrow", "Cursor Left"),
        "RGHT": ("Right", "Arrow Right", "Right Arrow", "Cursor Right"),
        "RTRN": ("Enter", "Return", "Ret"),
        "TAB": ("Tab", "Tabulator"),
        "SPCE": ("Space", "Spacebar", "Space Bar"),
        "BKSP": ("Backspace", "BkSp", "Back"),
        "CAPS": ("Caps Lock", "Caps"),
        "NMLK": ("Num Lock",),
        "LFSH": ("Shift", "Left Shift", "Shift L"),
        "RTSH": ("Right Shift", "Shift R"),
        "LCTL": ("Ctrl", "Control", "Left Ctrl", "Left Control", "Ctrl L", "Control L", "Strg"),
        "RCTL": ("Right Ctrl", "Right Control", "Ctrl R", "Control R"),
        "LALT": ("Alt", "Left Alt", "Alt L", "Option"),
        "RALT": ("AltGr", "Alt Graph", "Right Alt", "Alt R"),
        "LWIN": ("Super", "Win", "Windows", "Meta", "Cmd", "Command", "Left Super", "Super L"),
        "RWIN": ("Right Super", "Right Win", "Right Meta", "Super R"),
        "COMP": ("Menu", "Context Menu", "Compose", "Application"),
        "KPEN": ("Keypad Enter", "KP Enter"),
        "KPAD": ("Keypad Plus", "KP Plus", "Keypad Add", "KP Add"),
        "KPSU": ("Keypad Minus", "KP Minus", "Keypad Subtract", "KP Subtract"),
        "KPMU": ("Keypad Multiply", "KP Multiply", "Keypad Asterisk", "KP Asterisk"),
        "KPDV": ("Keypad Divide", "KP Divide", "Keypad Slash", "KP Slash"),
        "KPDL": ("Keypad Decimal", "KP Decimal", "Keypad Delete", "KP Delete"),
        **{f"KP{n}": (f"Keypad {n}", f"KP {n}") for n in range(10)},
        "MUTE": ("Mute", "Audio Mute"),
        "VOL-": ("Volume Down", "Audio Lower Volume"),
        "VOL+": ("Volume Up", "Audio Raise Volume"),
        "POWR": ("Power",),
    }
)

#: Characters that are hard to write in a combination or a step, by name.
_CHARACTERS = MappingProxyType(
    {
        "plus": "+",
        "minus": "-",
        "hyphen": "-",
        "underscore": "_",
        "equals": "=",
        "comma": ",",
        "period": ".",
        "dot": ".",
        "slash": "/",
        "backslash": "\\",
        "semicolon": ";",
        "colon": ":",
        "apostrophe": "'",
        "quote": '"',
        "grave": "`",
        "asterisk": "*",
        "percent": "%",
        "question mark": "?",
        "pipe": "|",
        "tilde": "~",
    }
)

#: Suggestions that resemble a wrong name less than this (0 to 100, rapidfuzz) are not made.
_SIMILAR = 60


def _plain(name: str) -> str:
    return "".join(name.split()).replace("-", "").replace("_", "").casefold()


_PLACE_BY_NAME = MappingProxyType(
    {_plain(name): place for place, names in _KEYS.items() for name in names}
)
_CHARACTER_BY_NAME = MappingProxyType({_plain(name): char for name, char in _CHARACTERS.items()})


def key_names() -> list[str]:
    """Return the usual name of every named key, for documentation and error messages."""
    return [names[0] for names in _KEYS.values()]


def split_combination(text: str) -> list[str]:
    """Split "Ctrl+Alt+T" into its keys; "Ctrl++" and "+" mean the plus key.

    "Ctrl-Alt-T" is understood too. Spaces around the signs do not count.

    Raises:
        UsageError: a name is missing, as in "Ctrl+" or "Ctrl++T".
    """
    stripped = text.strip() or text[:1]
    if not stripped:
        raise UsageError("a key combination is empty", hint='write it like "Ctrl+Alt+T" or "F10"')
    is_name = _plain(stripped) in {*_PLACE_BY_NAME, *_CHARACTER_BY_NAME}
    if len(stripped) == 1 or (is_name and not stripped.endswith(("+", "-"))):
        return [stripped]
    sign = "+" if "+" in stripped else "-"
    head, last = stripped, []
    if stripped.endswith((sign * 2, f"{sign} {sign}")):
        head, last = stripped[:-1].rstrip()[:-1], [sign]
    parts = [part.strip() for part in head.split(sign)] + last
    if not all(parts):
        raise UsageError(
            f"key combination {text!r}: a key is missing beside {sign!r}",
            hint='write it like "Ctrl+Alt+T"; the plus key is "Ctrl++"',
        )
    return parts


def combination(text: str, layout: Layout) -> Chord:
    """Return the keys of a combination; the last one named is struck while the rest are held.

    A single character stands for the key that types it in `layout`, with Shift or AltGr if that
    needs them; letters are meant as written in lower case, so "Ctrl+Z" is without Shift. Where a
    layout has no Latin letters or digits (ru), the key at the place of the US layout is taken, as
    programs do for their shortcuts.

    Raises:
        UsageError: empty, an unknown name (near misses are named), or a character that this
            layout cannot type with one key.
    """
    codes: list[int] = []
    for name in split_combination(text):
        codes += _keys_of(name, text, layout)
    ordered = list(dict.fromkeys(codes))
    return Chord(tuple(ordered[:-1]), ordered[-1])


def _keys_of(name: str, combination_text: str, layout: Layout) -> tuple[int, ...]:
    plain = _plain(name)
    if len(name) > 1 and plain in _PLACE_BY_NAME:
        return (layout.key_code(_PLACE_BY_NAME[plain]),)
    character = name if len(name) == 1 else _CHARACTER_BY_NAME.get(plain)
    if character is None:
        raise _unknown(name, combination_text)
    chord = layout.single_chord(character.lower()) or layout.single_chord(character)
    if chord is None and character.isascii() and character.isalnum():
        chord = Layout.named("us").single_chord(character.lower())
    if chord is None:
        raise UsageError(
            f"key combination {combination_text!r}: the keyboard layout {layout.name!r} has no "
            f"single key for {name!r}",
            hint="name the key by what it types without modifiers, or type the text instead",
        )
    return chord.keys


def _unknown(name: str, combination_text: str) -> UsageError:
    usual = {
        plain: next(shown for shown in (*_KEYS[place], name) if _plain(shown) == plain)
        for plain, place in _PLACE_BY_NAME.items()
    }
    known = {**usual, **{_plain(key): key for key in _CHARACTERS}}
    near = process.extract(
        _plain(name), list(known), scorer=fuzz.ratio, limit=3, score_cutoff=_SIMILAR
    )
    names = " or ".join(repr(known[plain]) for plain, _, _ in near)
    return UsageError(
        f"key combination {combination_text!r}: there is no key called {name!r}",
        hint=f"did you mean {names}?"
        if near
        else 'write it like "Ctrl+Alt+T", "Page Down" or "F10"',
    )
