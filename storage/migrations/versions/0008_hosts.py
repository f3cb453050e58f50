"""Many hosts: what a job asks of its worker, which machines are there, and a line of any length."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"

QUEUED = sa.text("state = 'queued'")
DONE = sa.text("state = 'done'")
RUNS = sa.text("state IN ('copying', 'preparing', 'training')")
DELIVERING = sa.text("state = 'delivering'")
PUBLISHED = sa.text("state = 'queued' AND artifact IS NOT NULL")
FIRST = sa.text("priority DESC")


def upgrade() -> None:
    op.add_column("jobs", sa.Column("spec", sa.Integer(), nullable=False, server_default="1"))
    # In place of one for everything, which tempted the database to sort the whole line.
    op.drop_index("jobs_by_state", "jobs")
    op.create_index(
        "jobs_running",
        "jobs",
        ["state", "person", "lease_until"],
        sqlite_where=RUNS,
        postgresql_where=RUNS,
    )
    op.create_index(
        "jobs_delivering",
        "jobs",
        ["updated_at"],
        sqlite_where=DELIVERING,
        postgresql_where=DELIVERING,
    )
    op.create_index(
        "jobs_line",
        "jobs",
        [FIRST, "created_at", "id", "person", "base_model", "spec", "state"],
        sqlite_where=QUEUED,
        postgresql_where=QUEUED,
    )
    op.create_index(
        "jobs_line_of",
        "jobs",
        ["person", FIRST, "created_at", "id", "base_model", "spec", "state"],
        sqlite_where=QUEUED,
        postgresql_where=QUEUED,
    )
    op.create_index(
        "jobs_published", "jobs", ["id"], sqlite_where=PUBLISHED, postgresql_where=PUBLISHED
    )
    op.create_index(
        "jobs_done", "jobs", ["base_model", "id"], sqlite_where=DONE, postgresql_where=DONE
    )
    op.create_table(
        "hosts",
        sa.Column("boot", sa.Text(), primary_key=True),
        sa.Column("host", sa.Text(), nullable=False),
        sa.Column("beats", sa.Integer(), nullable=False),
        sa.Column("seen_at", sa.Float(), nullable=False),
    )
