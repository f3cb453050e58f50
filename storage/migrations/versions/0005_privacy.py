"""Consent, photos that go after some days, people who want to be forgotten, a chosen language."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    op.add_column("people", sa.Column("chosen", sa.Text(), nullable=False, server_default=""))
    op.add_column(
        "jobs",
        sa.Column("photos_gone", sa.Boolean(), nullable=False, server_default=sa.false()),
    )
    op.create_table(
        "consents",
        sa.Column("person", sa.Text(), primary_key=True),
        sa.Column("policy", sa.Text(), primary_key=True),
        sa.Column("given_at", sa.Float(), nullable=False),
    )
    op.create_table(
        "leaving",
        sa.Column("person", sa.Text(), primary_key=True),
        sa.Column("chat", sa.Text(), nullable=False),
        sa.Column("language", sa.Text(), nullable=False),
        sa.Column("asked_at", sa.Float(), nullable=False),
    )
