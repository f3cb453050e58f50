"""What delivery remembers: smaller twins, what each chat takes, and models that were deleted."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    op.create_table(
        "twins",
        sa.Column("job_id", sa.String(26), primary_key=True),
        sa.Column("max_bytes", sa.BigInteger(), primary_key=True),
        sa.Column("asked_at", sa.Float(), nullable=False),
        sa.Column("held_until", sa.Float(), nullable=False),
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.Column("made_at", sa.Float()),
        sa.Column("twin", sa.Text()),
    )
    op.create_index(
        "twins_unmade",
        "twins",
        ["asked_at"],
        sqlite_where=sa.text("made_at IS NULL"),
        postgresql_where=sa.text("made_at IS NULL"),
    )
    op.create_table(
        "chat_limits",
        sa.Column("chat", sa.Text(), primary_key=True),
        sa.Column("out_file_bytes", sa.BigInteger(), nullable=False),
        sa.Column("refused", sa.Boolean(), nullable=False),
        sa.Column("learned_at", sa.Float(), nullable=False),
    )
    op.create_table(
        "doomed",
        sa.Column("job_id", sa.String(26), primary_key=True),
        sa.Column("sha256", sa.String(64), nullable=False),
        sa.Column("copied_to", sa.Text(), nullable=False),
    )
