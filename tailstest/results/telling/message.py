"""The message that people get: plain text, which every service can show."""

from __future__ import annotations

from collections.abc import Collection
from urllib.parse import quote

from tailstest.results.console import SIGNS, day_and_time
from tailstest.results.shown import one_line
from tailstest.results.telling.news import Change, News, Turn
from tailstest.results.wording import plural

#: Characters of a name and of a reason.
MAX_NAME = 200
MAX_REASON = 300
_WORDS = {
    Change.FAILING: "newly failing",
    Change.FLAKY: "newly flaky",
    Change.INCOMPLETE: "without a result",
    Change.PASSING: "passing again",
}


def title_of(news: News, begins: str, changes: Collection[Change]) -> str:
    """Return the title: what changed, in numbers, and on which image."""
    parts = [
        f"{len(turns)} {_WORDS[change]}"
        for change in Change
        if change in changes and (turns := news.of(change))
    ]
    if news.troubles:
        parts.append(plural(len(news.troubles), "trouble"))
    image = news.runs[0].image.rpartition("/")[2]
    text = f"{begins}: {', '.join(parts) or 'nothing changed'}"
    return harmless(f"{text} – {image}" if image else text, MAX_NAME)


def body_of(news: News, changes: Collection[Change], *, link: str = "", listed: int = 20) -> str:
    """Return the text.

    Args:
        link: address of the report; "{run}" stands for the id of a run.
        listed: scenarios named in each group.
    """
    lines: list[str] = []
    for trouble in news.troubles:
        lines.append(f"! {harmless(trouble, MAX_REASON)}")
    if news.troubles:
        lines.append("")
    for change in Change:
        turns = news.of(change) if change in changes else []
        if turns:
            lines.append(f"{len(turns)} {_WORDS[change]}:")
            for turn in turns[:listed]:
                lines += _turn(turn)
            if len(turns) > listed:
                lines.append(f"… and {len(turns) - listed} more")
            lines.append("")
    if not lines:
        lines += ["Nothing changed.", ""]
    counts = ", ".join(f"{number} {standing.value}" for standing, number in news.counts.items())
    lines.append(f"All: {counts or 'no scenario'}")
    for run in news.runs:
        lines.append(f"Run: {harmless(run.run_id, MAX_NAME)}, {day_and_time(run.started)}")
        if link:
            lines.append(link_to(link, run.run_id))
    first = news.runs[0]
    if first.image:
        lines.append(f"Image: {harmless(first.image, MAX_NAME)} {first.image_digest[:12]}".strip())
    if news.branch:
        lines.append(f"Branch: {harmless(news.branch, MAX_NAME)}")
    if first.product_commit:
        lines.append(f"Product: {harmless(first.product_commit, MAX_NAME)}")
    if news.previous:
        lines.append(f"Compared with: {harmless(news.previous.run_id, MAX_NAME)}")
    else:
        lines.append("There is no earlier run of this image to compare with.")
    return "\n".join(lines) + "\n"


def link_to(link: str, run_id: str) -> str:
    """Return the address of the report of a run."""
    return link.replace("{run}", quote(run_id, safe=""))


def harmless(text: str, limit: int) -> str:
    """Return a text on one line that mentions nobody and is no command of a chat.

    A zero-width space stands behind what chats take for a mention ("@all", Slack's "<!channel>").
    """
    return one_line(text, limit).replace("@", "@\u200b").replace("<", "<\u200b")


def _turn(turn: Turn) -> list[str]:
    name = harmless(turn.scenario.title, MAX_NAME)
    sign = SIGNS[turn.now.standing]
    lines = [f"  {sign} {name} ({harmless(turn.scenario.location, MAX_NAME)})"]
    if turn.change is not Change.PASSING and turn.now.reason:
        lines.append(f"    {harmless(turn.now.reason, MAX_REASON)}")
    return lines
