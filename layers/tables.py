"""The tables behind the layers: how each is kept, read in pieces, and emptied of rows by their keys."""

import sqlalchemy as sa

from layers import geopackage, rows
from layers.catalogue import ALL

PIECE = 5_000
KIND = {"Point": "POINT", "Polygon": "MULTIPOLYGON", "Geometry": "GEOMETRY"}
_TYPE = {"text": sa.Text, "number": sa.Double, "integer": sa.Integer, "date": geopackage.Day()}
_FEW = 50  # keys that are looked for one by one, without an index

metadata = sa.MetaData()
meta = sa.Table("cx_meta", metadata, sa.Column("key", sa.Text, primary_key=True), sa.Column("value", sa.Text))
versions = sa.Table(
    "layer_versions",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("layer", sa.Text, nullable=False, index=True),
    sa.Column("version", sa.Integer, nullable=False),
    sa.Column("at", sa.Text, nullable=False),
    sa.Column("who", sa.Text, nullable=False),
    sa.Column("source", sa.Text, nullable=False),
    sa.Column("rows", sa.Integer, nullable=False),
    sa.Column("sha256", sa.Text, nullable=False),
    sa.Column("note", sa.Text),
    sa.Column("changed", sa.Text),  # the file's own time of change of the layer after this version
    sa.UniqueConstraint("layer", "version"),
)


def _table(layer):
    columns = [sa.Column("fid", sa.Integer, primary_key=True, autoincrement=True)]
    if layer.geometry:
        columns.append(sa.Column(geopackage.GEOMETRY_COLUMN, geopackage.Geometry(KIND[layer.geometry])))
    columns += [sa.Column(f.name, _TYPE[f.kind], nullable=not f.required) for f in layer.fields]
    return sa.Table(layer.name, metadata, *columns, sqlite_autoincrement=True)


of = {name: _table(layer) for name, layer in ALL.items()}


def read(con, name, where=None):
    """The rows of a layer as layers.rows.frame_of gives them, in the order of the file."""
    return rows.frame_of(ALL[name], con.execute(_query(name, where)).all())


def _query(name, where=None):
    layer, table = ALL[name], of[name]
    columns = [table.c[f.name] for f in layer.fields]
    if layer.geometry:
        columns.append(sa.type_coerce(table.c[geopackage.GEOMETRY_COLUMN], sa.LargeBinary).label("geometry"))
    query = sa.select(*columns).order_by(table.c.fid)
    return query if where is None else query.where(where)


def walk(con, name, *, step=None):
    """The records of a layer, in the order of the file; only some of them are in memory at once.

    step(count): told how many there were so far.
    """
    layer, table, last, count = ALL[name], of[name], -1, 0
    while True:
        fids = con.scalars(sa.select(table.c.fid).where(table.c.fid > last).order_by(table.c.fid).limit(PIECE)).all()
        if not fids:
            return
        frame = read(con, name, table.c.fid.between(fids[0], fids[-1]))
        yield from rows.records(layer, frame)
        last, count = fids[-1], count + len(fids)
        if step:
            step(count)


class Finder:
    """Rows of a layer by their keys, as the table is when the Finder is made; for many keys through an index."""

    def __init__(self, con, layer):
        self._con, self._layer, self._table = con, layer, of[layer.name]
        self._there = self._asked = None

    def _same(self, table, key):
        return [
            table.c[k].is_(None) if v is None else table.c[k] == v for k, v in zip(self._layer.key, key, strict=True)
        ]

    def _indexed(self):
        """A temporary table of fid and key, with an index."""
        if self._there is None:
            self._drop()
            self._asked = self._temporary("cx_asked")
            self._there = self._temporary("cx_there", sa.Column("fid", sa.Integer))
            every = sa.select(self._table.c.fid, *(self._table.c[k] for k in self._layer.key))
            self._con.execute(self._there.insert().from_select(["fid", *self._layer.key], every))
            names = ", ".join(f'"{k}"' for k in self._layer.key)
            self._con.exec_driver_sql(f"CREATE INDEX temp.cx_there_by_key ON cx_there ({names})")
        return self._there

    def _temporary(self, name, *columns):
        columns = [*columns, *(sa.Column(k, self._table.c[k].type) for k in self._layer.key)]
        made = sa.Table(name, sa.MetaData(), *columns, prefixes=["TEMPORARY"])
        made.create(self._con, checkfirst=False)
        return made

    def _drop(self):
        for name in ("cx_there", "cx_asked"):
            self._con.exec_driver_sql(f"DROP TABLE IF EXISTS temp.{name}")

    def there(self, keys):
        """Those of the keys that have a row."""
        if len(keys) <= _FEW and self._there is None:
            return [k for k in keys if self._con.scalar(sa.select(sa.exists().where(*self._same(self._table, k))))]
        found = {tuple(row) for row in self._con.execute(self._known(keys)[0])}
        return [key for key in keys if key in found]

    def delete(self, keys):
        """Delete the rows of the keys."""
        if len(keys) <= _FEW and self._there is None:
            for key in keys:
                self._con.execute(self._table.delete().where(*self._same(self._table, key)))
            return
        _, fids = self._known(keys)
        self._con.execute(self._table.delete().where(self._table.c.fid.in_(fids)))

    def _known(self, keys):
        """Two queries: those of the keys that have a row, and the fids of their rows."""
        known = self._indexed()
        self._con.execute(self._asked.delete())
        self._con.execute(self._asked.insert(), [dict(zip(self._layer.key, key, strict=True)) for key in keys])
        same = sa.and_(*(known.c[k].is_not_distinct_from(self._asked.c[k]) for k in self._layer.key))
        matched = self._asked.join(known, same)
        found = sa.select(*(self._asked.c[k] for k in self._layer.key)).select_from(matched)
        return found, sa.select(known.c.fid).select_from(matched)

    def close(self):
        """Drop what was made beside the table."""
        if self._there is not None:
            self._drop()
            self._there = None


def insert(con, layer, records):
    """Add the records of layers.rows.records to a layer."""
    if not records:
        return
    names = list(records[0])
    columns = [[r[n] for r in records] for n in names]
    for i, name in enumerate(names):
        if name == geopackage.GEOMETRY_COLUMN:
            columns[i] = geopackage.encode(columns[i])
        elif layer.by_name[name].kind == "date":
            columns[i] = [None if v is None else v.isoformat() for v in columns[i]]
    places = ", ".join(f'"{n}"' for n in names)
    statement = f'INSERT INTO "{layer.name}" ({places}) VALUES ({", ".join("?" * len(names))})'
    con.exec_driver_sql(statement, list(zip(*columns, strict=True)))
