"""Runs, attempts, steps, artifacts and what a person did."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def _texts(name: str) -> None:
    op.create_table(
        name,
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("digest", sa.String(32), nullable=False, unique=True),
        sa.Column("text", sa.Text, nullable=False),
    )


def _of_attempt() -> list["sa.Column[int]"]:
    return [
        sa.Column("run", sa.Integer, sa.ForeignKey("runs.id"), primary_key=True),
        sa.Column("scenario", sa.Integer, sa.ForeignKey("scenarios.id"), primary_key=True),
        sa.Column("number", sa.SmallInteger, primary_key=True),
    ]


def upgrade() -> None:
    """Make the first tables."""
    op.create_table(
        "scenarios",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("digest", sa.String(32), nullable=False, unique=True),
        sa.Column("key", sa.Text, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("feature", sa.Text, nullable=False),
        sa.Column("location", sa.Text, nullable=False),
    )
    for name in ("causes", "tag_sets", "step_texts"):
        _texts(name)
    op.create_table(
        "images",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("digest", sa.String(128), nullable=False, unique=True),
        sa.Column("name", sa.Text, nullable=False),
    )
    op.create_table(
        "runs",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("run_id", sa.String(200), nullable=False, unique=True),
        sa.Column("source", sa.String(20), nullable=False),
        sa.Column("started", sa.Float, nullable=False),
        sa.Column("ended", sa.Float, nullable=False),
        sa.Column("position", sa.Float, nullable=False, index=True),
        sa.Column("is_finished", sa.Boolean, nullable=False),
        sa.Column("interrupted", sa.Boolean, nullable=False),
        sa.Column("exit_status", sa.Integer),
        sa.Column("command", sa.Text, nullable=False),
        sa.Column("selection", sa.Text, nullable=False),
        sa.Column("problems", sa.Text, nullable=False),
        sa.Column("hostname", sa.Text, nullable=False),
        sa.Column("environment", sa.Text, nullable=False),
        sa.Column("suite_commit", sa.String(100), nullable=False),
        sa.Column("product_commit", sa.String(100), nullable=False),
        sa.Column("image_id", sa.Integer, sa.ForeignKey("images.id")),
        sa.Column("folder", sa.Text, nullable=False),
        sa.Column("release", sa.String(200), nullable=False),
        sa.Column("is_kept", sa.Boolean, nullable=False),
        sa.Column("has_files", sa.Boolean, nullable=False),
    )
    op.create_table(
        "attempts",
        *_of_attempt(),
        sa.Column("verdict", sa.SmallInteger, nullable=False),
        sa.Column("seconds", sa.Float, nullable=False),
        sa.Column("cause", sa.Integer, sa.ForeignKey("causes.id")),
        sa.Column("tags", sa.Integer, sa.ForeignKey("tag_sets.id"), nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_index(
        "attempts_of_scenario",
        "attempts",
        ["scenario", "run", "number", "verdict", "seconds"],
    )
    op.create_table(
        "attempt_machines",
        *_of_attempt(),
        sa.Column("machine", sa.String(60), primary_key=True),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "steps",
        *_of_attempt(),
        sa.Column("position", sa.Integer, primary_key=True),
        sa.Column("text", sa.Integer, sa.ForeignKey("step_texts.id"), nullable=False),
        sa.Column("verdict", sa.SmallInteger, nullable=False),
        sa.Column("seconds", sa.Float, nullable=False),
        sa.Column("score", sa.Float),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "manual_results",
        *_of_attempt(),
        sa.Column("person", sa.Text, nullable=False),
        sa.Column("note", sa.Text, nullable=False),
        sa.Column("time", sa.Float, nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "artifacts",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("run", sa.Integer, sa.ForeignKey("runs.id"), nullable=False, index=True),
        sa.Column("scenario", sa.Integer, sa.ForeignKey("scenarios.id")),
        sa.Column("number", sa.SmallInteger),
        sa.Column("kind", sa.String(40), nullable=False),
        sa.Column("path", sa.Text, nullable=False),
        sa.Column("title", sa.Text, nullable=False),
    )
