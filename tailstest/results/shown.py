"""Text from guests and tests as people may see it, on pages and terminals."""

from __future__ import annotations

import re

from tailstest.core.text import printable, shortened

#: Characters of one text (an error, a log line, a name) that are shown.
MAX_TEXT = 20_000
#: Explicit bidirectional embeddings, overrides and isolates: with them a text reorders what stands
#: around it ("gnp.exe" shown as "exe.png"). Right-to-left letters themselves need none of them.
_BIDI = re.compile("[\u202a-\u202e\u2066-\u2069]")


def shown(text: object, limit: int = MAX_TEXT) -> str:
    """Return `text` bounded, with control and reordering characters made visible."""
    plain = printable(shortened(str(text), limit))
    return _BIDI.sub(lambda match: f"\\u{ord(match.group()):04x}", plain)


def one_line(text: object, limit: int = 500) -> str:
    """Return the same as `shown`, on one line."""
    line = " ".join(shown(text, 4 * limit).split())
    return line if len(line) <= limit else line[: limit - 1] + "…"
