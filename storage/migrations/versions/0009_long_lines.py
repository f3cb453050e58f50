"""Lines of any length: how many wait is known without counting, a pause is told in steps."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"

SLOT = {"sqlite": "CAST(%s / 300 AS INTEGER)", "postgresql": "floor(%s / 300)"}
MOVES = "UPDATE OF state, priority, created_at"
NOTE = "INSERT INTO line_parts (priority, slot, waiting) "


def upgrade() -> None:
    op.create_table(
        "telling",
        sa.Column("id", sa.Integer(), primary_key=True),
        sa.Column("job_id", sa.String(26), nullable=False, server_default=""),
        sa.Column("priority", sa.Integer(), nullable=False, server_default="0"),
        sa.Column("created_at", sa.Float(), nullable=False, server_default="0"),
    )
    op.create_table(
        "line_parts",
        sa.Column("priority", sa.Integer(), nullable=False),
        sa.Column("slot", sa.BigInteger(), nullable=False),
        sa.Column("waiting", sa.Integer(), nullable=False),
    )
    op.create_index("line_parts_by_age", "line_parts", ["priority", "slot", "waiting"])
    dialect = op.get_bind().dialect.name
    slot = SLOT[dialect]
    # The triggers first: on Postgres nobody else changes a job from then on until the commit.
    if dialect == "postgresql":
        _triggers_of_postgres(slot)
    else:
        _triggers_of_sqlite(slot)
    waits = f"SELECT priority, {slot % 'created_at'}, count(*) FROM jobs WHERE state = 'queued'"  # noqa: S608
    op.execute(f"{NOTE} {waits} GROUP BY 1, 2")


def _row(which: str, slot: str, waiting: int) -> str:
    return f"{NOTE} VALUES ({which}.priority, {slot % f'{which}.created_at'}, {waiting});"


def _triggers_of_sqlite(slot: str) -> None:
    changes = (
        ("added", "INSERT", "NEW", 1),
        ("came", MOVES, "NEW", 1),
        ("left", MOVES, "OLD", -1),
        ("removed", "DELETE", "OLD", -1),
    )
    for name, event, which, waiting in changes:
        op.execute(
            f"CREATE TRIGGER line_parts_{name} AFTER {event} ON jobs "
            f"WHEN {which}.state = 'queued' BEGIN {_row(which, slot, waiting)} END"
        )


def _triggers_of_postgres(slot: str) -> None:
    op.execute(
        "CREATE FUNCTION line_parts_note() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
        "IF TG_OP <> 'INSERT' THEN IF OLD.state = 'queued' THEN "
        f"{_row('OLD', slot, -1)} END IF; END IF; "
        "IF TG_OP <> 'DELETE' THEN IF NEW.state = 'queued' THEN "
        f"{_row('NEW', slot, 1)} END IF; END IF; "
        "RETURN NULL; END $$"
    )
    op.execute(
        f"CREATE TRIGGER line_parts_note AFTER INSERT OR DELETE OR {MOVES} ON jobs "
        "FOR EACH ROW EXECUTE FUNCTION line_parts_note()"
    )
