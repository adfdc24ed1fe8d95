"""What an image is made of: packages, files, kernel."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "image_contents",
        sa.Column("image", sa.Integer, sa.ForeignKey("images.id"), primary_key=True),
        sa.Column("kernel", sa.Text, nullable=False),
        sa.Column("packages_from", sa.Text, nullable=False),
    )
    op.create_table(
        "image_packages",
        sa.Column("image", sa.Integer, sa.ForeignKey("images.id"), primary_key=True),
        sa.Column("name", sa.String(300), primary_key=True),
        sa.Column("version", sa.Text, nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "image_files",
        sa.Column("image", sa.Integer, sa.ForeignKey("images.id"), primary_key=True),
        sa.Column("path", sa.String(1000), primary_key=True),
        sa.Column("size", sa.BigInteger, nullable=False),
        sa.Column("digest", sa.String(64), nullable=False),
        sqlite_with_rowid=False,
    )
