"""The tables of the store, as this version of the program uses them.

`migrations/` makes them; a test holds both against each other. Texts that repeat (causes, sets of
tags, texts of steps) are kept once, so that ten million attempts fit into some hundred megabytes.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    SmallInteger,
    String,
    Table,
    Text,
)

from tailstest.core.verdict import Verdict
from tailstest.results.suspect import Suspect

#: The newest migration; must be the revision of the last file in `migrations/versions`.
SCHEMA = "0003"

#: How verdicts are written. Numbers are never used again for something else.
CODES = {
    Verdict.PASSED: 0,
    Verdict.FAILED: 1,
    Verdict.ERRORED: 2,
    Verdict.INCOMPLETE: 3,
    Verdict.SKIPPED: 4,
    Verdict.NOT_RUN: 5,
    Verdict.MANUAL: 6,
}
VERDICT_OF = {code: verdict for verdict, code in CODES.items()}
#: How suspects are written, by the same rule.
SUSPECT_CODES = {
    Suspect.UNKNOWN: 0,
    Suspect.PRODUCT: 1,
    Suspect.TEST: 2,
    Suspect.CRASH: 3,
    Suspect.AGENT: 4,
    Suspect.HOST: 5,
    Suspect.INFRASTRUCTURE: 6,
}
SUSPECT_OF = {code: suspect for suspect, code in SUSPECT_CODES.items()}

#: What stands behind the digest of an image if guests were changed (`--late-patch`): whatever came
#: of them, that image did not show it.
PATCHED = "+changes"

#: Hexadecimal digits of the digest by which a text is found.
DIGEST_DIGITS = 32

metadata = MetaData()


def _texts(name: str) -> Table:
    """Return a table of texts, each kept once."""
    return Table(
        name,
        metadata,
        Column("id", Integer, primary_key=True),
        Column("digest", String(DIGEST_DIGITS), nullable=False, unique=True),
        Column("text", Text, nullable=False),
    )


scenarios = Table(
    "scenarios",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("digest", String(DIGEST_DIGITS), nullable=False, unique=True),
    Column("key", Text, nullable=False),
    # What they were called when they were planned last.
    Column("name", Text, nullable=False),
    Column("feature", Text, nullable=False),
    Column("location", Text, nullable=False),
)
causes = _texts("causes")
tag_sets = _texts("tag_sets")
step_texts = _texts("step_texts")

images = Table(
    "images",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("digest", String(128), nullable=False, unique=True),
    Column("name", Text, nullable=False),
)

runs = Table(
    "runs",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("run_id", String(200), nullable=False, unique=True),
    Column("source", String(20), nullable=False),
    # Seconds since the epoch as the host's clock had them; clocks jump.
    Column("started", Float, nullable=False),
    Column("ended", Float, nullable=False),
    # Runs are in this order. Like `started`, but a run recorded live is always after all others.
    Column("position", Float, nullable=False, index=True),
    Column("is_finished", Boolean, nullable=False),
    Column("interrupted", Boolean, nullable=False),
    Column("exit_status", Integer),
    Column("command", Text, nullable=False),
    Column("selection", Text, nullable=False),
    Column("problems", Text, nullable=False),
    Column("hostname", Text, nullable=False),
    Column("environment", Text, nullable=False),
    Column("suite_commit", String(100), nullable=False),
    Column("product_commit", String(100), nullable=False),
    Column("image_id", Integer, ForeignKey("images.id")),
    Column("folder", Text, nullable=False),
    # Name of the release that this run was the last word on; "" for most.
    Column("release", String(200), nullable=False),
    Column("is_kept", Boolean, nullable=False),
    Column("has_files", Boolean, nullable=False),
)

attempts = Table(
    "attempts",
    metadata,
    Column("run", Integer, ForeignKey("runs.id"), primary_key=True),
    Column("scenario", Integer, ForeignKey("scenarios.id"), primary_key=True),
    Column("number", SmallInteger, primary_key=True),
    Column("verdict", SmallInteger, nullable=False),
    Column("seconds", Float, nullable=False),
    Column("cause", Integer, ForeignKey("causes.id")),
    Column("tags", Integer, ForeignKey("tag_sets.id"), nullable=False),
    # Whose trouble it seems to be; none for what passed, was recorded by hand or long ago.
    Column("suspect", SmallInteger),
    sqlite_with_rowid=False,
)
#: Finds the attempts at one scenario and answers most questions without the table itself.
Index(
    "attempts_of_scenario",
    attempts.c.scenario,
    attempts.c.run,
    attempts.c.number,
    attempts.c.verdict,
    attempts.c.seconds,
)
#: True of attempts whose time is known: a person who says what came of one needs none, and files
#: of other tools may not tell it.
TOOK_TIME = attempts.c.seconds > 0


def _of_attempt() -> list[Column[int]]:
    """Return the columns that name an attempt."""
    return [
        Column("run", Integer, ForeignKey("runs.id"), primary_key=True),
        Column("scenario", Integer, ForeignKey("scenarios.id"), primary_key=True),
        Column("number", SmallInteger, primary_key=True),
    ]


attempt_machines = Table(
    "attempt_machines",
    metadata,
    *_of_attempt(),
    # Firmware and medium: "uefi usb".
    Column("machine", String(60), primary_key=True),
    sqlite_with_rowid=False,
)
steps = Table(
    "steps",
    metadata,
    *_of_attempt(),
    Column("position", Integer, primary_key=True),
    Column("text", Integer, ForeignKey("step_texts.id"), nullable=False),
    Column("verdict", SmallInteger, nullable=False),
    Column("seconds", Float, nullable=False),
    # The weakest match of the step, 0 to 1; none where it looked at nothing.
    Column("score", Float),
    sqlite_with_rowid=False,
)
manual_results = Table(
    "manual_results",
    metadata,
    *_of_attempt(),
    Column("person", Text, nullable=False),
    Column("note", Text, nullable=False),
    Column("time", Float, nullable=False),
    sqlite_with_rowid=False,
)
artifacts = Table(
    "artifacts",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("run", Integer, ForeignKey("runs.id"), nullable=False, index=True),
    Column("scenario", Integer, ForeignKey("scenarios.id")),
    Column("number", SmallInteger),
    Column("kind", String(40), nullable=False),
    Column("path", Text, nullable=False),
    Column("title", Text, nullable=False),
)

image_contents = Table(
    "image_contents",
    metadata,
    Column("image", Integer, ForeignKey("images.id"), primary_key=True),
    Column("kernel", Text, nullable=False),
    # The file that lists the packages, "" when there is none.
    Column("packages_from", Text, nullable=False),
)
image_packages = Table(
    "image_packages",
    metadata,
    Column("image", Integer, ForeignKey("images.id"), primary_key=True),
    Column("name", String(300), primary_key=True),
    Column("version", Text, nullable=False),
    sqlite_with_rowid=False,
)
image_files = Table(
    "image_files",
    metadata,
    Column("image", Integer, ForeignKey("images.id"), primary_key=True),
    Column("path", String(1000), primary_key=True),
    Column("size", BigInteger, nullable=False),
    # SHA-256 in hexadecimal, "" for files too large to be read each time.
    Column("digest", String(64), nullable=False),
    sqlite_with_rowid=False,
)
#: What belongs to a run and goes with it, in the order in which it may be removed.
OF_RUN = (manual_results, attempt_machines, steps, artifacts, attempts)
