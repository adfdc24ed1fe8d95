"""Rendering of self-contained HTML pages: own styles and scripts only, nothing from outside."""

from __future__ import annotations

import base64
import time
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from tailstest.core.verdict import Verdict
from tailstest.results.shown import shown
from tailstest.results.whole_file import write_whole
from tailstest.results.wording import VERDICTS, duration, exit_meaning, plural

_TEMPLATES = Path(__file__).resolve().parent / "templates"


def render_page(template: str, values: Mapping[str, Any]) -> str:
    """Render a page from `templates/`.

    Everything is escaped; styles and scripts are inlined and allowed by their digest alone, so
    that no text from a guest can ever run or load anything.

    Args:
        template: file name of the template; its style and script are `page.css` and `page.js`.
        values: what the template shows.
    """
    style, script = template_text("page.css"), template_text("page.js")
    return (
        page_environment()
        .get_template(template)
        .render(
            **values,
            style=Markup(style),
            script=Markup(script),
            policy=_policy(style, script),
            wording=VERDICTS,
            Verdict=Verdict,
        )
    )


def page_environment() -> Environment:
    """Return what renders templates: everything is escaped, a value that is not there is an error.

    One that renders many pages is made once.
    """
    environment = Environment(
        loader=FileSystemLoader(_TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "shown": shown,
        "duration": duration,
        "clock": lambda seconds: time.strftime("%H:%M:%S", time.localtime(seconds)),
        "date": lambda seconds: time.strftime("%Y-%m-%d %H:%M:%S %Z", time.localtime(seconds)),
        "plural": plural,
        "exit_meaning": exit_meaning,
        "slug": lambda verdict: str(verdict).replace(" ", "-"),
    }
    return environment


def template_text(name: str) -> str:
    """Return a style or a script of `templates/`."""
    return (_TEMPLATES / name).read_text(encoding="utf-8")


def write_page(file: Path, html: str) -> None:
    """Write a page in one step, readable by its owner only.

    Raises:
        InfrastructureError: it cannot be written; an older page stays as it was.
    """
    write_whole(
        file, html, private=True, hint=f"free some space, then: tailstest report {file.parent}"
    )


def _policy(style: str, script: str) -> str:
    """Return the content security policy of a page with this style and script inside."""
    return (
        "default-src 'none'; img-src data:; media-src data: 'self' file:; "
        f"style-src '{source_of(style)}'; script-src '{source_of(script)}'; "
        "base-uri 'none'; form-action 'none'"
    )


def source_of(text: str) -> str:
    """Return a style or a script inside of a page as a content security policy names it."""
    return "sha256-" + base64.b64encode(sha256(text.encode("utf-8")).digest()).decode("ascii")
