"""The tables. What they look like today; how they came to be stands in `migrations/`."""

import sqlalchemy as sa

metadata = sa.MetaData()
UNSENT = sa.text("sent_version < version")
UNSEEN = sa.text("seen_at IS NULL")

jobs = sa.Table(
    "jobs",
    metadata,
    sa.Column("id", sa.String(26), primary_key=True),
    sa.Column("chat", sa.Text, nullable=False),
    sa.Column("person", sa.Text, nullable=False),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("base_model", sa.Text, nullable=False),
    sa.Column("family", sa.Text, nullable=False),
    sa.Column("params", sa.Text, nullable=False),
    sa.Column("photos", sa.Text, nullable=False),
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("priority", sa.Integer, nullable=False),
    sa.Column("fence", sa.Integer, nullable=False),
    sa.Column("attempts", sa.Integer, nullable=False),
    sa.Column("version", sa.Integer, nullable=False),
    sa.Column("sent_version", sa.Integer, nullable=False),
    sa.Column("prepared", sa.Integer, nullable=False),
    sa.Column("progress", sa.Text),
    sa.Column("rejections", sa.Text, nullable=False),
    sa.Column("artifact", sa.Text),
    sa.Column("copied_to", sa.Text, nullable=False),
    sa.Column("failure", sa.Text),
    sa.Column("cancel_requested", sa.Boolean, nullable=False),
    sa.Column("status_ref", sa.Text, nullable=False),
    sa.Column("result_ref", sa.Text, nullable=False),
    sa.Column("wishes", sa.Text, nullable=False),
    sa.Column("created_at", sa.Float, nullable=False),
    sa.Column("updated_at", sa.Float, nullable=False),
    sa.Column("started_at", sa.Float),
    sa.Column("finished_at", sa.Float),
    # Who holds it: set while running, empty otherwise.
    sa.Column("lease_until", sa.Float),
    sa.Column("owner", sa.Text),
    sa.Column("owner_host", sa.Text),
    sa.Column("owner_boot", sa.Text),
    sa.Column("owner_pid", sa.Integer),
    sa.Column("owner_started", sa.Integer),
    sa.Index("jobs_by_state", "state", "priority", "created_at"),
    sa.Index("jobs_by_person", "person", "state"),
    sa.Index("jobs_unsent", "updated_at", sqlite_where=UNSENT, postgresql_where=UNSENT),
)

conversations = sa.Table(
    "conversations",
    metadata,
    sa.Column("chat", sa.Text, primary_key=True),
    sa.Column("text", sa.Text, nullable=False),
    sa.Column("version", sa.Integer, nullable=False),
    sa.Column("shown_version", sa.Integer, nullable=False),
    sa.Column("panel_ref", sa.Text, nullable=False),
    sa.Column("updated_at", sa.Float, nullable=False),
)

# Updates whose effect is committed: the same one delivered again has none.
seen_updates = sa.Table(
    "seen_updates",
    metadata,
    sa.Column("platform", sa.Text, primary_key=True),
    sa.Column("update_id", sa.Text, primary_key=True),
    sa.Column("seen_at", sa.Float, nullable=False),
)

# Raw updates that a network handed over and that nobody has handled yet.
inbox = sa.Table(
    "inbox",
    metadata,
    sa.Column("seq", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("platform", sa.Text, nullable=False),
    sa.Column("update_id", sa.Text, nullable=False),
    sa.Column("body", sa.Text, nullable=False),
    sa.Column("kept_at", sa.Float, nullable=False),
    sa.Column("done", sa.Boolean, nullable=False),
    sa.UniqueConstraint("platform", "update_id"),
    sa.Index("inbox_pending", "platform", "done"),
)

people = sa.Table(
    "people",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("language", sa.Text, nullable=False),
)

# The local web chat's own messages, and what its people wrote.
chat_log = sa.Table(
    "chat_log",
    metadata,
    sa.Column("chat", sa.Text, primary_key=True),
    sa.Column("message_id", sa.Text, primary_key=True),
    sa.Column("seq", sa.Integer, nullable=False),
    sa.Column("first_seq", sa.Integer, nullable=False),
    sa.Column("body", sa.Text, nullable=False),
    sa.Column("put_at", sa.Float, nullable=False),
    sa.Index("chat_log_by_seq", "chat", "seq"),
)

workers = sa.Table(
    "workers",
    metadata,
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("host", sa.Text, nullable=False),
    sa.Column("labels", sa.Text, nullable=False),
    sa.Column("seen_at", sa.Float, nullable=False),
)

# What is known of an upload, by its content: a first look at once, faces and words from a worker.
looks = sa.Table(
    "looks",
    metadata,
    sa.Column("sha256", sa.String(64), primary_key=True),
    sa.Column("look", sa.Text, nullable=False),
    sa.Column("faces", sa.Text),
    sa.Column("described", sa.Text),
    sa.Column("chat", sa.Text, nullable=False),
    sa.Column("asked_at", sa.Float, nullable=False),
    sa.Column("seen_at", sa.Float),
    sa.Column("tries", sa.Integer, nullable=False),
    sa.Column("held_until", sa.Float, nullable=False),
    sa.Index("looks_unseen", "asked_at", sqlite_where=UNSEEN, postgresql_where=UNSEEN),
)
