"""Tables of the chats: what is said in them, what came, and what has yet to be written."""

import sqlalchemy as sa

from storage.schema.common import metadata

WAITING = sa.text("sent_at IS NULL")

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

# The largest file that a chat takes: as its network said, or as it refused.
chat_limits = sa.Table(
    "chat_limits",
    metadata,
    sa.Column("chat", sa.Text, primary_key=True),
    sa.Column("out_file_bytes", sa.BigInteger, nullable=False),
    sa.Column("refused", sa.Boolean, nullable=False),
    sa.Column("learned_at", sa.Float, nullable=False),
)

announcements = sa.Table(
    "announcements",
    metadata,
    sa.Column("id", sa.String(26), primary_key=True),
    sa.Column("text", sa.Text, nullable=False),
    sa.Column("made_by", sa.Text, nullable=False),
    sa.Column("made_at", sa.Float, nullable=False),
    sa.Column("sent_at", sa.Float),
)

# Each person who is to get an announcement; marked before it goes out, so nobody gets it twice.
letters = sa.Table(
    "letters",
    metadata,
    sa.Column("announcement", sa.String(26), primary_key=True),
    sa.Column("person", sa.Text, primary_key=True),
    sa.Column("sent_at", sa.Float),
    sa.Index("letters_waiting", "announcement", sqlite_where=WAITING, postgresql_where=WAITING),
)

# Which message of a chat brought which photo, and which mark stands under it.
marks = sa.Table(
    "marks",
    metadata,
    sa.Column("chat", sa.Text, primary_key=True),
    sa.Column("message", sa.Text, primary_key=True),
    sa.Column("sha256", sa.String(64), nullable=False),
    sa.Column("shown", sa.Text, nullable=False),
    sa.Column("got_at", sa.Float, nullable=False),
)

# Small letters that go out once: a draft that waits, a model that is asked about; and the answer.
nudges = sa.Table(
    "nudges",
    metadata,
    sa.Column("what", sa.Text, primary_key=True),
    sa.Column("about", sa.Text, primary_key=True),
    sa.Column("chat", sa.Text, nullable=False),
    sa.Column("sent_at", sa.Float, nullable=False),
    sa.Column("answer", sa.Text, nullable=False),
)
