"""Columns of the tables that the server keeps beside the layers in the GeoPackage."""

import sqlalchemy as sa


def row_key():
    """The number of a row, never given twice where the table says sqlite_autoincrement."""
    return sa.Column("id", sa.Integer, primary_key=True, autoincrement=True)


def needed(kind, *names):
    """Columns that always hold something."""
    return [sa.Column(name, kind, nullable=False) for name in names]


def optional(kind, *names):
    """Columns that may be empty."""
    return [sa.Column(name, kind) for name in names]


def belongs_to(table, name, **more):
    """A column that names a row of another table by its number."""
    return sa.Column(name, sa.Integer, sa.ForeignKey(f"{table}.id"), **more)


def complete(con, table):
    """Give a table of an older store the columns that have come since; they are empty, or hold their server_default."""
    there = {c["name"] for c in sa.inspect(con).get_columns(table.name)}
    for column in table.columns:
        if column.name not in there:
            words = sa.schema.CreateColumn(column).compile(dialect=con.dialect)
            con.exec_driver_sql(f'ALTER TABLE "{table.name}" ADD COLUMN {words}')
