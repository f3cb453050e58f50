"""What a person set once and for all, marks under photos, small letters sent once, saved steps."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    op.add_column("jobs", sa.Column("saved", sa.Text(), nullable=False, server_default="[]"))
    op.create_table(
        "preferences",
        sa.Column("person", sa.Text(), primary_key=True),
        sa.Column("base_model", sa.Text(), nullable=False),
        sa.Column("quality", sa.Text(), nullable=False),
        sa.Column("tool", sa.Text(), nullable=False),
        sa.Column("pings", sa.Text(), nullable=False),
        sa.Column("samples", sa.Boolean(), nullable=False),
    )
    op.create_table(
        "marks",
        sa.Column("chat", sa.Text(), primary_key=True),
        sa.Column("message", sa.Text(), primary_key=True),
        sa.Column("sha256", sa.String(64), nullable=False),
        sa.Column("shown", sa.Text(), nullable=False),
        sa.Column("got_at", sa.Float(), nullable=False),
    )
    op.create_table(
        "meters",
        sa.Column("name", sa.Text(), primary_key=True),
        sa.Column("labels", sa.Text(), primary_key=True),
        sa.Column("value", sa.Float(), nullable=False),
    )
    op.create_table(
        "nudges",
        sa.Column("what", sa.Text(), primary_key=True),
        sa.Column("about", sa.Text(), primary_key=True),
        sa.Column("chat", sa.Text(), nullable=False),
        sa.Column("sent_at", sa.Float(), nullable=False),
        sa.Column("answer", sa.Text(), nullable=False),
    )
    op.create_table(
        "ordered",
        sa.Column("digest", sa.String(64), primary_key=True),
        sa.Column("at", sa.Float(), primary_key=True),
    )
    op.create_table(
        "exhibits",
        sa.Column("job_id", sa.String(26), primary_key=True),
        sa.Column("person", sa.Text(), nullable=False),
        sa.Column("place", sa.Text(), nullable=False),
        sa.Column("ref", sa.Text(), nullable=False),
        sa.Column("gone", sa.Boolean(), nullable=False),
        sa.Column("at", sa.Float(), nullable=False),
    )
