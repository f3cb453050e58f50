"""Who may use the bot and who steers it, the pause, announcements, and what admins did."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    op.add_column("people", sa.Column("seen_at", sa.Float(), nullable=False, server_default="0"))
    op.add_column("workers", sa.Column("cards", sa.Text(), nullable=False, server_default="[]"))
    op.create_table(
        "members",
        sa.Column("person", sa.Text(), primary_key=True),
        sa.Column("standing", sa.Text(), nullable=False),
        sa.Column("is_admin", sa.Boolean(), nullable=False),
        sa.Column("at_once", sa.Integer()),
        sa.Column("a_day", sa.Integer()),
        sa.Column("changed_by", sa.Text(), nullable=False),
        sa.Column("changed_at", sa.Float(), nullable=False),
    )
    op.create_table(
        "invites",
        sa.Column("digest", sa.String(64), primary_key=True),
        sa.Column("made_by", sa.Text(), nullable=False),
        sa.Column("made_at", sa.Float(), nullable=False),
        sa.Column("good_until", sa.Float(), nullable=False),
        sa.Column("used_by", sa.Text(), nullable=False),
    )
    op.create_table(
        "audit",
        sa.Column("seq", sa.Integer(), primary_key=True),
        sa.Column("at", sa.Float(), nullable=False),
        sa.Column("who", sa.Text(), nullable=False),
        sa.Column("what", sa.Text(), nullable=False),
        sa.Column("whom", sa.Text(), nullable=False),
        sa.Column("detail", sa.Text(), nullable=False),
    )
    op.create_table(
        "pauses",
        sa.Column("id", sa.Integer(), primary_key=True),
        sa.Column("since", sa.Float(), nullable=False),
        sa.Column("until", sa.Float()),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("by", sa.Text(), nullable=False),
    )
    op.create_table(
        "announcements",
        sa.Column("id", sa.String(26), primary_key=True),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("made_by", sa.Text(), nullable=False),
        sa.Column("made_at", sa.Float(), nullable=False),
        sa.Column("sent_at", sa.Float()),
    )
    op.create_table(
        "letters",
        sa.Column("announcement", sa.String(26), primary_key=True),
        sa.Column("person", sa.Text(), primary_key=True),
        sa.Column("sent_at", sa.Float()),
    )
    op.create_index(
        "letters_waiting",
        "letters",
        ["announcement"],
        sqlite_where=sa.text("sent_at IS NULL"),
        postgresql_where=sa.text("sent_at IS NULL"),
    )
