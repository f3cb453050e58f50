"""Tables of the people: who they are, what they set and agreed to, and what admins decided."""

import sqlalchemy as sa

from storage.schema.common import metadata

people = sa.Table(
    "people",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("language", sa.Text, nullable=False),
    sa.Column("chosen", sa.Text, nullable=False, server_default=""),
    sa.Column("seen_at", sa.Float, nullable=False),
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

# One row while people who wait have yet to hear of a pause, or of its end: up to which job of the
# line they have; empty: nobody yet.
telling = sa.Table(
    "telling",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("job_id", sa.String(26), nullable=False, server_default=""),
    sa.Column("priority", sa.Integer, nullable=False, server_default="0"),
    sa.Column("created_at", sa.Float, nullable=False, server_default="0"),
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

# When jobs of people who were forgotten since were ordered, for a day: by a digest of the person,
# so that to be forgotten does not begin a new day.
ordered = sa.Table(
    "ordered",
    metadata,
    sa.Column("digest", sa.String(64), primary_key=True),
    sa.Column("at", sa.Float, primary_key=True),
)
