"""Tables of the work: jobs, who does them, and what is known of photos and files."""

import sqlalchemy as sa

from storage.schema.common import metadata

UNSENT = sa.text("sent_version < version")
UNSEEN = sa.text("seen_at IS NULL")
UNMADE = sa.text("made_at IS NULL")
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

# How many wait, by priority and by five minutes of their ordering: the sum of all rows of a part.
# Triggers on `jobs` add a row for each that comes or goes; whoever makes that table anew has to
# make them anew, too.
line_parts = sa.Table(
    "line_parts",
    metadata,
    sa.Column("priority", sa.Integer, nullable=False),
    sa.Column("slot", sa.BigInteger, nullable=False),
    sa.Column("waiting", sa.Integer, nullable=False),
    sa.Index("line_parts_by_age", "priority", "slot", "waiting"),
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

# Models that were deleted, while their files have yet to go.
doomed = sa.Table(
    "doomed",
    metadata,
    sa.Column("job_id", sa.String(26), primary_key=True),
    sa.Column("sha256", sa.String(64), nullable=False),
    sa.Column("copied_to", sa.Text, nullable=False),
)

# What is counted for /metrics, and survives every process: numbers, and nobody's names.
meters = sa.Table(
    "meters",
    metadata,
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("labels", sa.Text, primary_key=True),
    sa.Column("value", sa.Float, nullable=False),
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
