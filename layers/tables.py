"""The tables behind the layers: how each is kept, read in pieces, and emptied of rows by their keys."""

import sqlalchemy as sa

from layers import geopackage, rows
from layers.catalogue import ALL

PIECE = 5_000  # rows in memory at a time
KIND = {"Point": "POINT", "Polygon": "MULTIPOLYGON", "Geometry": "GEOMETRY"}
_TYPE = {"text": sa.Text, "number": sa.Double, "integer": sa.Integer, "date": geopackage.Day()}
_FEW = 50  # keys that are looked for one by one

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
    sa.Column(
        "scheme", sa.Integer, nullable=False, server_default="1"
    ),  # what sha256 is made of; see layers/archive.py
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
    layer, table = ALL[name], of[name]
    columns = [table.c[f.name] for f in layer.fields]
    if layer.geometry:
        columns.append(sa.type_coerce(table.c[geopackage.GEOMETRY_COLUMN], sa.LargeBinary).label("geometry"))
    query = sa.select(*columns).order_by(table.c.fid)
    return rows.frame_of(layer, con.execute(query if where is None else query.where(where)).all())


def walk(con, name, *, first=0, last=None):
    """(fids, rows as layers.rows.packed gives them) of a layer in the order of the file, PIECE of them at a time.

    first, last: only the rows with fids from first to last; last None: to the end.
    """
    layer, last = ALL[name], 2**63 - 1 if last is None else last
    names = ", ".join(f'"{n}"' for n in ("fid", *rows.columns(layer)))
    query = f'SELECT {names} FROM "{name}" WHERE fid BETWEEN ? AND ? ORDER BY fid LIMIT {PIECE}'
    as_kept = [_KEPT[f.kind] for f in layer.fields] + ([_hex_of(KIND[layer.geometry])] if layer.geometry else [])
    while found := con.exec_driver_sql(query, (first, last)).all():
        fids, *columns = zip(*found, strict=True)
        columns = [
            [None if v is None else kept(v) for v in column] for column, kept in zip(columns, as_kept, strict=True)
        ]
        yield fids, [list(row) for row in zip(*columns, strict=True)]
        first = fids[-1] + 1


_KEPT = {
    "text": lambda v: v if v.strip() else None,  # as layers.checks types them, whoever wrote them
    "number": lambda v: float(v) + 0.0,
    "integer": int,
    "date": lambda v: v[:10],
}


def _hex_of(kind):
    def hex_of(blob):
        if geopackage.as_encoded(blob, kind):
            return blob.hex()
        shape = geopackage.decode([blob])[0]  # as another program wrote it
        return geopackage.encode([rows.multi(shape) if kind == "MULTIPOLYGON" else shape])[0].hex()

    return hex_of


def fids(con, name):
    """The fids of a layer in the order of the file."""
    return con.scalars(sa.select(of[name].c.fid).order_by(of[name].c.fid)).all()


def index_keys(con, name):
    """Make the index by which rows are found by their key, where it is missing: another program may have remade the table."""
    names = ", ".join(f'"{k}"' for k in ALL[name].key)
    con.exec_driver_sql(f'CREATE INDEX IF NOT EXISTS "cx_{name}_by_key" ON "{name}" ({names})')


class Finder:
    """Rows of a layer by their keys, as layers.rows.keys gives these."""

    def __init__(self, con, layer):
        self._con, self._layer, self._table = con, layer, of[layer.name]
        self._asked = None

    def _is(self, name, value):
        """Whether a part of the key is a value (a plain one or a column); GDAL may have written a time behind a date."""
        column = self._table.c[name]
        if self._layer.by_name[name].kind == "date":
            column = sa.func.substr(sa.type_coerce(column, sa.Text), 1, 10)
            value = value.isoformat() if hasattr(value, "isoformat") else sa.type_coerce(value, sa.Text)
        return column.is_not_distinct_from(value)

    def row(self, key):
        """The row of a key as a frame of one row, or of none."""
        return read(
            self._con, self._layer.name, sa.and_(*(self._is(*p) for p in zip(self._layer.key, key, strict=True)))
        )

    def fids(self, keys):
        """{key: fid} of those of the keys that have a row."""
        if len(keys) <= _FEW:
            found = {}
            for key in keys:
                same = (self._is(*part) for part in zip(self._layer.key, key, strict=True))
                for fid in self._con.scalars(sa.select(self._table.c.fid).where(*same)):
                    found[key] = fid
            return found
        asked = self._asking()
        self._con.execute(asked.delete())
        self._con.execute(asked.insert(), [dict(zip(self._layer.key, key, strict=True)) for key in keys])
        same = sa.and_(*(self._is(k, asked.c[k]) for k in self._layer.key))
        names = [asked.c[k] for k in self._layer.key]
        query = sa.select(self._table.c.fid, *names).select_from(asked.join(self._table, same))
        return {tuple(key): fid for fid, *key in self._con.execute(query)}

    def _asking(self):
        if self._asked is None:
            index_keys(self._con, self._layer.name)
            self._con.exec_driver_sql("DROP TABLE IF EXISTS temp.cx_asked")
            columns = [sa.Column(k, self._table.c[k].type) for k in self._layer.key]
            self._asked = sa.Table("cx_asked", sa.MetaData(), *columns, prefixes=["TEMPORARY"])
            self._asked.create(self._con, checkfirst=False)
        return self._asked

    def delete(self, keys):
        """Delete the rows of the keys; their fids."""
        fids = sorted(self.fids(keys).values())
        self._con.exec_driver_sql(
            f'DELETE FROM "{self._layer.name}" WHERE fid=?', [(fid,) for fid in fids]
        ) if fids else None
        return fids

    def close(self):
        """Drop what was made beside the table."""
        if self._asked is not None:
            self._con.exec_driver_sql("DROP TABLE IF EXISTS temp.cx_asked")
            self._asked = None


def insert(con, layer, packed):
    """Add rows as layers.rows.packed gives them to a layer; their fids, which follow each other."""
    if not packed:
        return range(0)
    names = rows.columns(layer)
    if layer.geometry:
        packed = [(*row[:-1], None if row[-1] is None else bytes.fromhex(row[-1])) for row in packed]
    else:
        packed = [tuple(row) for row in packed]
    places = ", ".join(f'"{n}"' for n in names)
    con.exec_driver_sql(f'INSERT INTO "{layer.name}" ({places}) VALUES ({", ".join("?" * len(names))})', packed)
    last = con.scalar(sa.select(sa.func.max(of[layer.name].c.fid)))
    return range(last - len(packed) + 1, last + 1)
