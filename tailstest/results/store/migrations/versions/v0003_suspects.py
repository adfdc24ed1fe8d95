"""What is suspected behind an attempt that did not pass."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Add the column; nobody is suspected for what was recorded before."""
    op.add_column("attempts", sa.Column("suspect", sa.SmallInteger))
