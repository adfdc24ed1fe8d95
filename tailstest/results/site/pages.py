"""Writing the pages of a site: one style beside them, a script only where there is a filter."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from markupsafe import Markup

from tailstest import __version__
from tailstest.core.verdict import Verdict
from tailstest.results.console import SIGNS, day_and_time
from tailstest.results.page import page_environment, source_of, template_text
from tailstest.results.shown import one_line
from tailstest.results.site.window import image_words, scenario_page
from tailstest.results.standing import Standing
from tailstest.results.suspect import Suspect, Whose
from tailstest.results.wording import VERDICTS

#: What a standing means, for the legend of each page.
MEANINGS = {
    Standing.PASSED: "the image did what the scenario says",
    Standing.FAILED: "the image did not do what the scenario says it must",
    Standing.ERRORED: "a mistake in the scenario, a step or a file of the suite",
    Standing.FLAKY: "it passed and failed on the same image",
    Standing.KNOWN: "it failed, and a bug is named that explains that until a day",
    Standing.INCOMPLETE: "host trouble; this says nothing about the image",
    Standing.NOT_RUN: "planned, but the run ended before",
    Standing.MANUAL: "to be done by a person, who has not told yet",
    Standing.SKIPPED: "left out on purpose",
}


#: What a suspect means; `suspect_rules` says for each rule what it saw.
SUSPECTS = {
    Suspect.PRODUCT: "the image shows or answers something else than it should",
    Suspect.CRASH: "what runs in the machine panicked, hung, restarted or switched itself off",
    Suspect.TEST: "a mistake in the test, or its picture or text is nearly what is there now",
    Suspect.HOST: "the host had much more to do than when deadlines were set",
    Suspect.AGENT: "the way into the guest broke while the machine itself went on",
    Suspect.INFRASTRUCTURE: "it was ended from outside, or the host let it down",
    Suspect.UNKNOWN: "nothing was recorded that says whose trouble it is",
}
_CHIP = Markup('<span class="chip v-{}"><span class="sign" aria-hidden="true">{}</span>{}</span>')
#: A standing in colour, with sign and word.
CHIPS = {
    standing: _CHIP.format(standing.value.replace(" ", "-"), SIGNS[standing], standing.value)
    for standing in Standing
}


class Pages:
    """Renders templates of `templates/site/` into a folder.

    Args:
        folder: of the site that is being written.
        public: whether others may read it; else its owner alone.
        now: seconds since the epoch, shown as the time of writing.
    """

    def __init__(self, folder: Path, *, public: bool, now: float) -> None:
        self.folder = folder
        self.written = 0
        self.largest = 0
        self.bytes = 0
        self._mode = 0o644 if public else 0o600
        self._folder_mode = 0o755 if public else 0o700
        self._environment = page_environment()
        self._environment.filters |= {
            "one_line": one_line,
            "chip": CHIPS.__getitem__,
            "image": image_words,
            "scenario_page": scenario_page,
            "percent": lambda share: f"{share:.1%}",
            "suspect_counts": _suspect_counts,
            # An attempt has a verdict, whose values are those of standings.
            "standing": lambda verdict: Standing(verdict.value),
        }
        script = template_text("site/site.js")
        self._environment.globals |= {
            "script": Markup(script),
            "policy": _policy(""),
            "policy_with_script": _policy(script),
            "signs": SIGNS,
            "meanings": MEANINGS,
            "suspects": SUSPECTS,
            "Standing": Standing,
            "Verdict": Verdict,
            "wording": VERDICTS,
            "version": __version__,
            "written": day_and_time(now),
        }
        self.write("style.css", template_text("page.css") + template_text("site/site.css"))
        folder.chmod(self._folder_mode)

    def render(self, name: str, template: str, values: Mapping[str, Any]) -> None:
        """Write one page; `root` leads from it to the top of the site.

        Raises:
            OSError: it cannot be written.
        """
        root = "../" if "/" in name else ""
        self.write(name, self._environment.get_template(template).render(**values, root=root))

    def write(self, name: str, text: str) -> None:
        """Write one file whose name is ours.

        Raises:
            OSError: it cannot be written.
        """
        path = self.folder / name
        if not path.parent.exists():
            path.parent.mkdir()
            path.parent.chmod(self._folder_mode)
        data = text.encode("utf-8", "replace")
        handle = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, self._mode)
        with os.fdopen(handle, "wb") as stream:
            os.fchmod(handle, self._mode)
            stream.write(data)
        self.written += 1
        self.bytes += len(data)
        self.largest = max(self.largest, len(data))


def _suspect_counts(counts: Mapping[Suspect, int]) -> dict[Whose, list[tuple[Suspect, int]]]:
    """Return the suspects that there are with their numbers, by whose trouble they are."""
    found: dict[Whose, list[tuple[Suspect, int]]] = {}
    for suspect in SUSPECTS:
        if counts[suspect]:
            found.setdefault(suspect.whose, []).append((suspect, counts[suspect]))
    return found


def _policy(script: str) -> str:
    """Return the content security policy: files of this host or server, our script, no other.

    "file:" is what 'self' means for pages that were opened from a disk.
    """
    run = f"'{source_of(script)}'" if script else "'none'"
    return (
        "default-src 'none'; style-src 'self' file:; img-src 'self' file:; "
        f"media-src 'self' file:; script-src {run}; base-uri 'none'; form-action 'none'"
    )
