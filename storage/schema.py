"""The tables. What they look like today; how they came to be stands in `migrations/`."""

import sqlalchemy as sa

metadata = sa.MetaData()
UNSENT = sa.text("sent_version < version")
UNSEEN = sa.text("seen_at IS NULL")
UNMADE = sa.text("made_at IS NULL")
WAITING = sa.text("sent_at IS NULL")
# Written out: a parameter in its place would keep the database from seeing that the index serves.
QUEUED = sa.text("state = 'queued'")
DONE = sa.text("state = 'done'")
RUNS = sa.text("state IN ('copying', 'preparing', 'training')")
DELIVERING = sa.text("state = 'delivering'")
PUBLISHED = sa.text("state = 'queued' AND artifact IS NOT NULL")
FIRST = sa.text("priority DESC")

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
    sa.Column("samples", sa.Text),
    sa.Column("samples_ref", sa.Text, nullable=False),
    sa.Column("chart", sa.Text, nullable=False),
    sa.Column("taken", sa.Text),
    sa.Column("saved", sa.Text, nullable=False, server_default="[]"),
    sa.Column("asked_samples", sa.Integer, nullable=False),
    sa.Column("asked_finish", sa.Boolean, nullable=False),
    sa.Column("photos_gone", sa.Boolean, nullable=False, server_default=sa.false()),
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
    # What a worker must know to do it right; an older one leaves it to others.
    sa.Column("spec", sa.Integer, nullable=False, server_default="1"),
    sa.Index(
        "jobs_running", "state", "person", "lease_until", sqlite_where=RUNS, postgresql_where=RUNS
    ),
    sa.Index("jobs_delivering", "updated_at", sqlite_where=DELIVERING, postgresql_where=DELIVERING),
    # The line, with all that a claim asks: it need not look at the rows that it passes.
    sa.Index(
        "jobs_line",
        *(FIRST, "created_at", "id", "person", "base_model", "spec", "state"),
        sqlite_where=QUEUED,
        postgresql_where=QUEUED,
    ),
    sa.Index(
        "jobs_line_of",
        *("person", FIRST, "created_at", "id", "base_model", "spec", "state"),
        sqlite_where=QUEUED,
        postgresql_where=QUEUED,
    ),
    sa.Index("jobs_published", "id", sqlite_where=PUBLISHED, postgresql_where=PUBLISHED),
    sa.Index("jobs_done", "base_model", "id", sqlite_where=DONE, postgresql_where=DONE),
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
    sa.Column("chosen", sa.Text, nullable=False, server_default=""),
    sa.Column("seen_at", sa.Float, nullable=False),
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
    sa.Column("cards", sa.Text, nullable=False),
)

# Machines on which a bot or a worker runs, by their boot: SQLite is for one of them.
hosts = sa.Table(
    "hosts",
    metadata,
    sa.Column("boot", sa.Text, primary_key=True),
    sa.Column("host", sa.Text, nullable=False),
    sa.Column("beats", sa.Integer, nullable=False),
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

# Smaller versions of finished files, asked for by the chat side and made by a worker.
twins = sa.Table(
    "twins",
    metadata,
    sa.Column("job_id", sa.String(26), primary_key=True),
    sa.Column("max_bytes", sa.BigInteger, primary_key=True),
    sa.Column("asked_at", sa.Float, nullable=False),
    sa.Column("held_until", sa.Float, nullable=False),
    sa.Column("tries", sa.Integer, nullable=False),
    sa.Column("made_at", sa.Float),
    sa.Column("twin", sa.Text),
    sa.Index("twins_unmade", "asked_at", sqlite_where=UNMADE, postgresql_where=UNMADE),
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

# Models that were deleted, while their files have yet to go.
doomed = sa.Table(
    "doomed",
    metadata,
    sa.Column("job_id", sa.String(26), primary_key=True),
    sa.Column("sha256", sa.String(64), nullable=False),
    sa.Column("copied_to", sa.Text, nullable=False),
)

# Who agreed to which version of the policy.
consents = sa.Table(
    "consents",
    metadata,
    sa.Column("person", sa.Text, primary_key=True),
    sa.Column("policy", sa.Text, primary_key=True),
    sa.Column("given_at", sa.Float, nullable=False),
)

# People who asked to be forgotten, while something of theirs has yet to go.
leaving = sa.Table(
    "leaving",
    metadata,
    sa.Column("person", sa.Text, primary_key=True),
    sa.Column("chat", sa.Text, nullable=False),
    sa.Column("language", sa.Text, nullable=False),
    sa.Column("asked_at", sa.Float, nullable=False),
)

# What admins decided about a person; whoever is not in it has asked for nothing yet.
members = sa.Table(
    "members",
    metadata,
    sa.Column("person", sa.Text, primary_key=True),
    sa.Column("standing", sa.Text, nullable=False),
    sa.Column("is_admin", sa.Boolean, nullable=False),
    sa.Column("at_once", sa.Integer),
    sa.Column("a_day", sa.Integer),
    sa.Column("changed_by", sa.Text, nullable=False),
    sa.Column("changed_at", sa.Float, nullable=False),
)

# Codes that let somebody in, by their digest: the codes themselves are nowhere.
invites = sa.Table(
    "invites",
    metadata,
    sa.Column("digest", sa.String(64), primary_key=True),
    sa.Column("made_by", sa.Text, nullable=False),
    sa.Column("made_at", sa.Float, nullable=False),
    sa.Column("good_until", sa.Float, nullable=False),
    sa.Column("used_by", sa.Text, nullable=False),
)

# Who of the admins did what to whom, and when.
audit = sa.Table(
    "audit",
    metadata,
    sa.Column("seq", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("at", sa.Float, nullable=False),
    sa.Column("who", sa.Text, nullable=False),
    sa.Column("what", sa.Text, nullable=False),
    sa.Column("whom", sa.Text, nullable=False),
    sa.Column("detail", sa.Text, nullable=False),
)

# One row while no new jobs are taken; without `until` it lasts until somebody ends it.
pauses = sa.Table(
    "pauses",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("since", sa.Float, nullable=False),
    sa.Column("until", sa.Float),
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column("by", sa.Text, nullable=False),
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

# What a person set once and for all.
preferences = sa.Table(
    "preferences",
    metadata,
    sa.Column("person", sa.Text, primary_key=True),
    sa.Column("base_model", sa.Text, nullable=False),
    sa.Column("quality", sa.Text, nullable=False),
    sa.Column("tool", sa.Text, nullable=False),
    sa.Column("pings", sa.Text, nullable=False),
    sa.Column("samples", sa.Boolean, nullable=False),
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

# What is counted for /metrics, and survives every process: numbers, and nobody's names.
meters = sa.Table(
    "meters",
    metadata,
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("labels", sa.Text, primary_key=True),
    sa.Column("value", sa.Float, nullable=False),
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

# When jobs of people who were forgotten since were ordered, for a day: by a digest of the person,
# so that to be forgotten does not begin a new day.
ordered = sa.Table(
    "ordered",
    metadata,
    sa.Column("digest", sa.String(64), primary_key=True),
    sa.Column("at", sa.Float, primary_key=True),
)

# Samples that a person shows in public: the message, empty until it is there. ``gone``: its owner
# took it back, and the message has yet to go.
exhibits = sa.Table(
    "exhibits",
    metadata,
    sa.Column("job_id", sa.String(26), primary_key=True),
    sa.Column("person", sa.Text, nullable=False),
    sa.Column("place", sa.Text, nullable=False),
    sa.Column("ref", sa.Text, nullable=False),
    sa.Column("gone", sa.Boolean, nullable=False),
    sa.Column("at", sa.Float, nullable=False),
)
