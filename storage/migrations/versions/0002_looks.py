"""What is known of each upload, and what a person wished for the captions."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.add_column("jobs", sa.Column("wishes", sa.Text(), nullable=False, server_default=""))
    op.create_table(
        "looks",
        sa.Column("sha256", sa.String(64), primary_key=True),
        sa.Column("look", sa.Text(), nullable=False),
        sa.Column("faces", sa.Text()),
        sa.Column("described", sa.Text()),
        sa.Column("chat", sa.Text(), nullable=False),
        sa.Column("asked_at", sa.Float(), nullable=False),
        sa.Column("seen_at", sa.Float()),
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.Column("held_until", sa.Float(), nullable=False),
    )
    op.create_index(
        "looks_unseen",
        "looks",
        ["asked_at"],
        sqlite_where=sa.text("seen_at IS NULL"),
        postgresql_where=sa.text("seen_at IS NULL"),
    )
