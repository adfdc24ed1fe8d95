"""behave's parser, with the Gherkin rules that it does not follow (docs/gherkin.md)."""

from __future__ import annotations

import difflib
import re
from typing import Any

from behave import i18n
from behave.parser import Parser

#: Escapes of table cells (https://cucumber.io/docs/gherkin/reference/#data-tables), and the
#: noncharacters that stand for them while behave splits the row: Unicode keeps those free for the
#: inside of programs (https://www.unicode.org/faq/private_use.html#nonchar1), so no text has them.
_ESCAPES = {"\\\\": "\ufdd0", "\\n": "\ufdd1", "\\|": "\ufdd2"}
_MEANING = str.maketrans({"\ufdd0": "\\", "\ufdd1": "\n", "\ufdd2": "|"})
_ESCAPE = re.compile(r"\\[\\n|]")

#: A language header may have blanks anywhere.
_LANGUAGE = re.compile(r"^[ \t]*#[ \t]*language[ \t]*:[ \t]*(\S+)[ \t]*$", re.IGNORECASE)


class UnknownLanguage(ValueError):
    """The language header names a language that Gherkin does not have."""

    def __init__(self, line: int, language: str) -> None:
        near = difflib.get_close_matches(language, i18n.languages, n=3)
        known = f"similar ones: {', '.join(near)}" if near else "see `behave --lang-list`"
        super().__init__(f'there is no Gherkin language "{language}"; {known}')
        self.line = line


class GherkinParser(Parser):  # type: ignore[misc]
    """Decodes the escapes of table cells and reads language headers as Gherkin has them."""

    def parse(self, text: str, filename: str | None = None) -> Any:
        """Return behave's Feature, or None when the text has none.

        Raises:
            UnknownLanguage: with the line of the header.
            behave.parser.ParserError: with the line of the mistake.
        """
        feature = super().parse(_normal_header(text), filename)
        if feature is not None:
            for table in _tables(feature):
                table.headings[:] = [cell.translate(_MEANING) for cell in table.headings]
                for row in table.rows:
                    row.cells[:] = [cell.translate(_MEANING) for cell in row.cells]
        return feature

    def action_table(self, line: str) -> Any:
        """Take one line of a table, its escapes hidden from behave's splitting."""
        return super().action_table(_ESCAPE.sub(lambda found: _ESCAPES[found.group()], line))


def _normal_header(text: str) -> str:
    lines = text.split("\n")
    for number, line in enumerate(lines):
        if line.strip() and not line.lstrip().startswith("#"):
            break
        found = _LANGUAGE.match(line.rstrip("\r"))
        if found:
            if found.group(1) not in i18n.languages:
                raise UnknownLanguage(number + 1, found.group(1))
            lines[number] = f"# language: {found.group(1)}"
            break
    return "\n".join(lines)


def _tables(feature: Any) -> list[Any]:
    found = []
    for part in _parts(feature):
        for step in getattr(part, "steps", None) or []:
            if step.table is not None:
                found.append(step.table)
        for examples in getattr(part, "examples", None) or []:
            if examples.table is not None:
                found.append(examples.table)
    return found


def _parts(container: Any) -> list[Any]:
    """Return backgrounds, scenarios and outlines of a feature or rule, rules included."""
    parts = [container.background] if container.background is not None else []
    for item in container.run_items:
        parts += _parts(item) if hasattr(item, "run_items") else [item]
    return parts
