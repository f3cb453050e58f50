"""The start: jobs, conversations, updates, people, the web chat, workers."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    op.create_table(
        "chat_log",
        sa.Column("chat", sa.Text(), primary_key=True),
        sa.Column("message_id", sa.Text(), primary_key=True),
        sa.Column("seq", sa.Integer(), nullable=False),
        sa.Column("first_seq", sa.Integer(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("put_at", sa.Float(), nullable=False),
    )
    op.create_index("chat_log_by_seq", "chat_log", ["chat", "seq"])
    op.create_table(
        "conversations",
        sa.Column("chat", sa.Text(), primary_key=True),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("shown_version", sa.Integer(), nullable=False),
        sa.Column("panel_ref", sa.Text(), nullable=False),
        sa.Column("updated_at", sa.Float(), nullable=False),
    )
    op.create_table(
        "inbox",
        sa.Column("seq", sa.Integer(), primary_key=True),
        sa.Column("platform", sa.Text(), nullable=False),
        sa.Column("update_id", sa.Text(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("kept_at", sa.Float(), nullable=False),
        sa.Column("done", sa.Boolean(), nullable=False),
        sa.UniqueConstraint("platform", "update_id"),
    )
    op.create_index("inbox_pending", "inbox", ["platform", "done"])
    op.create_table(
        "jobs",
        sa.Column("id", sa.String(26), primary_key=True),
        sa.Column("chat", sa.Text(), nullable=False),
        sa.Column("person", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("base_model", sa.Text(), nullable=False),
        sa.Column("family", sa.Text(), nullable=False),
        sa.Column("params", sa.Text(), nullable=False),
        sa.Column("photos", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("priority", sa.Integer(), nullable=False),
        sa.Column("fence", sa.Integer(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("sent_version", sa.Integer(), nullable=False),
        sa.Column("prepared", sa.Integer(), nullable=False),
        sa.Column("progress", sa.Text()),
        sa.Column("rejections", sa.Text(), nullable=False),
        sa.Column("artifact", sa.Text()),
        sa.Column("copied_to", sa.Text(), nullable=False),
        sa.Column("failure", sa.Text()),
        sa.Column("cancel_requested", sa.Boolean(), nullable=False),
        sa.Column("status_ref", sa.Text(), nullable=False),
        sa.Column("result_ref", sa.Text(), nullable=False),
        sa.Column("created_at", sa.Float(), nullable=False),
        sa.Column("updated_at", sa.Float(), nullable=False),
        sa.Column("started_at", sa.Float()),
        sa.Column("finished_at", sa.Float()),
        sa.Column("lease_until", sa.Float()),
        sa.Column("owner", sa.Text()),
        sa.Column("owner_host", sa.Text()),
        sa.Column("owner_boot", sa.Text()),
        sa.Column("owner_pid", sa.Integer()),
        sa.Column("owner_started", sa.Integer()),
    )
    op.create_index("jobs_by_person", "jobs", ["person", "state"])
    op.create_index("jobs_by_state", "jobs", ["state", "priority", "created_at"])
    op.create_index(
        "jobs_unsent",
        "jobs",
        ["updated_at"],
        sqlite_where=sa.text("sent_version < version"),
        postgresql_where=sa.text("sent_version < version"),
    )
    op.create_table(
        "people",
        sa.Column("id", sa.Text(), primary_key=True),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("language", sa.Text(), nullable=False),
    )
    op.create_table(
        "seen_updates",
        sa.Column("platform", sa.Text(), primary_key=True),
        sa.Column("update_id", sa.Text(), primary_key=True),
        sa.Column("seen_at", sa.Float(), nullable=False),
    )
    op.create_table(
        "workers",
        sa.Column("name", sa.Text(), primary_key=True),
        sa.Column("host", sa.Text(), nullable=False),
        sa.Column("labels", sa.Text(), nullable=False),
        sa.Column("seen_at", sa.Float(), nullable=False),
    )
