"""What a training draws on its way, what is asked of it, and which step became the file."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    op.add_column("jobs", sa.Column("samples", sa.Text()))
    op.add_column("jobs", sa.Column("samples_ref", sa.Text(), nullable=False, server_default=""))
    op.add_column("jobs", sa.Column("chart", sa.Text(), nullable=False, server_default=""))
    op.add_column("jobs", sa.Column("taken", sa.Text()))
    op.add_column(
        "jobs", sa.Column("asked_samples", sa.Integer(), nullable=False, server_default="0")
    )
    op.add_column(
        "jobs",
        sa.Column("asked_finish", sa.Boolean(), nullable=False, server_default=sa.false()),
    )
