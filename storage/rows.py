"""A whole database as lines of JSON, and back: between schemas that are alike, whatever holds them.

The tables are those that are found, not those that this version knows: an older database keeps its
own, and is brought to the newest schema afterwards.
"""

import json
from collections.abc import Iterable, Iterator
from itertools import groupby, islice

import sqlalchemy as sa

VERSION = "alembic_version"
COUNTED = "line_parts"  # follows from the jobs: the database itself makes it as they come in
AT_ONCE = 500


class RowsError(ValueError):
    """A line that is no row of any table here."""


def schema_of(connection: sa.Connection) -> str:
    """The version of the schema; empty where there is none yet."""
    if not sa.inspect(connection).has_table(VERSION):
        return ""
    found = connection.execute(sa.text(f"SELECT version_num FROM {VERSION}")).scalar()  # noqa: S608
    return str(found or "")


def dump(connection: sa.Connection) -> Iterator[str]:
    """Every row, table by table: in one transaction, so that they belong to one moment."""
    for table in _tables(connection):
        rows = connection.execution_options(yield_per=AT_ONCE).execute(sa.select(table))
        for row in rows.mappings():
            yield json.dumps([table.name, dict(row)], ensure_ascii=False)


def load(connection: sa.Connection, lines: Iterable[str]) -> int:
    """Into empty tables of the schema that the rows are from; how many there were."""
    known = {table.name: table for table in _tables(connection)}
    count = 0
    for name, group in groupby(map(_row, lines), key=lambda pair: pair[0]):
        table = known.get(name)
        if table is None:
            raise RowsError(f"there is no table {name!r}")
        rows = (row for _, row in group)
        while some := list(islice(rows, AT_ONCE)):
            for row in some:
                if unknown := row.keys() - table.columns.keys():
                    raise RowsError(f"{name} has no column {min(unknown)!r}")
            connection.execute(table.insert(), some)
            count += len(some)
    if connection.dialect.name == "postgresql":
        _count_on(connection, known.values())
    return count


def _row(line: str) -> tuple[str, dict[str, object]]:
    found = json.loads(line)
    match found:
        case [str(name), dict(row)]:
            return name, row
    raise RowsError("a line is no row")


def _tables(connection: sa.Connection) -> list[sa.Table]:
    found = sa.MetaData()
    found.reflect(connection)
    return [table for table in found.sorted_tables if table.name not in (VERSION, COUNTED)]


def _count_on(connection: sa.Connection, tables: Iterable[sa.Table]) -> None:
    """Numbers that the database gives by itself go on after the highest one."""
    for table in tables:
        for column in table.primary_key.columns:
            asked = sa.select(sa.func.pg_get_serial_sequence(table.name, column.name))
            sequence = connection.execute(asked).scalar()
            if sequence is not None:
                highest = sa.select(sa.func.coalesce(sa.func.max(column), 0) + 1).scalar_subquery()
                connection.execute(sa.select(sa.func.setval(sequence, highest, sa.false())))
