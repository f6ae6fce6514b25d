"""The GeoPackage as a live, embedded database.

The file is an ordinary GeoPackage 1.4 (OGC 12-128r19) written through Python's own sqlite3 in WAL
mode, with the R*Tree triggers of its annex F.3, so that QGIS and GDAL open it *in another process*
while the app writes. The triggers call ST_MinX and its kin; they are registered here as Python
functions that read the envelope in a blob's header, so no native extension is needed.

Never open the live file with GDAL (pyogrio, geopandas.read_file, rasterio) inside this process: their
own SQLite drops our locks and the file breaks. `copy_to` makes a copy that anybody may open.
"""

import sqlite3
import struct
import time
from datetime import UTC, date, datetime
from pathlib import Path

import numpy as np
import pyproj
import shapely
import sqlalchemy as sa

SRID = 4326
GEOMETRY_COLUMN = "geom"
_APPLICATION_ID, _USER_VERSION = 0x47504B47, 10400
_WAIT_S = 15.0  # for a lock that another process or thread holds
_ENVELOPE_BYTES = {0: 0, 1: 32, 2: 48, 3: 48, 4: 64}
_HEAD = b"GP\0\x03" + struct.pack("<i", SRID)
_WRITTEN = {  # kind of the column: how the WKB of a shape in it may begin
    kind: frozenset(b"\x01" + struct.pack("<I", n) for n in numbers)
    for kind, numbers in (("POINT", (1,)), ("MULTIPOLYGON", (6,)), ("GEOMETRY", range(1, 7)))
}


class Geometry(sa.types.UserDefinedType):
    """A shapely geometry in EPSG:4326, kept as a GeoPackage blob."""

    cache_ok = True

    def __init__(self, kind="GEOMETRY"):
        self.kind = kind

    def get_col_spec(self, **_):
        return self.kind

    def bind_processor(self, dialect):
        return lambda g: None if g is None else encode([g])[0]

    def result_processor(self, dialect, coltype):
        return lambda b: None if b is None else decode([b])[0]


class Day(sa.types.UserDefinedType):
    """A date; GDAL may have written a time behind it, which is left out."""

    cache_ok = True

    def get_col_spec(self, **_):
        return "DATE"

    def bind_processor(self, dialect):
        return lambda day: None if day is None else day.isoformat()

    def result_processor(self, dialect, coltype):
        return lambda text: None if text is None else date.fromisoformat(text[:10])


def encode(geometries):
    """GeoPackage blobs (little endian, XY envelope, points too) of shapely geometries; None stays None.

    The layers are declared flat (z = 0), so heights are left out.
    """
    geoms = shapely.force_2d(np.asarray(geometries, dtype=object))
    missing = shapely.is_missing(geoms)
    empty = shapely.is_empty(geoms)
    bounds = shapely.bounds(geoms)[:, [0, 2, 1, 3]]  # the envelope is minx, maxx, miny, maxy
    head = _HEAD
    head_empty = b"GP\0" + bytes([0b10001]) + struct.pack("<i", SRID)
    wkb = shapely.to_wkb(geoms, byte_order=1)
    return [
        None if m else (head_empty + w if e else head + b.tobytes() + w)
        for m, e, b, w in zip(missing, empty, np.ascontiguousarray(bounds), wkb, strict=True)
    ]


def decode(blobs):
    """shapely geometries of GeoPackage blobs, ours or another program's; None stays None."""
    return shapely.from_wkb([None if b is None else wkb_of(b) for b in blobs])


def wkb_of(blob):
    """The WKB in a GeoPackage blob."""
    return bytes(blob[8 + _ENVELOPE_BYTES[(blob[3] >> 1) & 7] :])


def as_encoded(blob, kind):
    """Whether a blob of a column of this kind looks as encode() writes it."""
    return blob[:8] == _HEAD and bytes(blob[40:45]) in _WRITTEN[kind]


def engine(path, *, synchronous="FULL"):
    """A SQLAlchemy engine on the file, ready to write: WAL, foreign keys, spatial functions."""
    out = sa.create_engine(
        f"sqlite:///{Path(path).as_posix()}",
        connect_args={"timeout": _WAIT_S, "check_same_thread": False, "isolation_level": None},
    )

    @sa.event.listens_for(out, "connect")
    def _ready(con, _):
        _switch_wal_on(con)
        con.execute(f"PRAGMA synchronous={synchronous}")
        con.execute("PRAGMA foreign_keys=ON")
        register_functions(con)

    @sa.event.listens_for(out, "begin")
    def _begin(con):  # sqlite3 itself starts no transaction (isolation_level None), so every BEGIN is ours
        con.exec_driver_sql("BEGIN IMMEDIATE" if con.get_execution_options().get("writes") else "BEGIN")

    return out


def _switch_wal_on(con):
    """SQLite does not wait when two processes turn a new file to WAL at once, so we do."""
    end = time.monotonic() + _WAIT_S
    while True:
        try:
            con.execute("PRAGMA journal_mode=WAL")
            return
        except sqlite3.OperationalError as e:
            if "locked" not in str(e) or time.monotonic() > end:
                raise
            time.sleep(0.01)


def register_functions(con):
    """Give a sqlite3 connection the functions that the R*Tree triggers call."""
    for name, i in (("ST_MinX", 0), ("ST_MaxX", 1), ("ST_MinY", 2), ("ST_MaxY", 3)):
        con.create_function(name, 1, _bound(i), deterministic=True)
    con.create_function("ST_IsEmpty", 1, _is_empty, deterministic=True)


def _is_empty(blob):
    if blob is None:
        return None
    flags = blob[3]
    if flags & 0x10 or (flags >> 1) & 7:
        return flags >> 4 & 1
    return int(decode([blob])[0].is_empty)  # no envelope and no word: another program's, look inside


def _bound(i):
    def bound(blob):
        if blob is None:
            return None
        flags = blob[3]
        if (flags >> 1) & 7:
            return struct.unpack_from("<d" if flags & 1 else ">d", blob, 8 + 8 * i)[0]
        if flags & 0x10:
            return None
        x0, y0, x1, y1 = decode([blob])[0].bounds  # another program wrote it without an envelope
        return (x0, x1, y0, y1)[i]

    return bound


def create(con):
    """Make an empty database a GeoPackage; does nothing where it is one already. con: a sqlite3 connection."""
    con.execute(f"PRAGMA application_id={_APPLICATION_ID}")
    con.execute(f"PRAGMA user_version={_USER_VERSION}")
    for statement in _SCHEMA:
        con.execute(statement)
    wkt = pyproj.CRS(SRID).to_wkt(pyproj.enums.WktVersion.WKT1_GDAL)
    con.executemany(
        "INSERT OR IGNORE INTO gpkg_spatial_ref_sys VALUES (?,?,?,?,?,?)",
        [
            (
                "Undefined Cartesian SRS",
                -1,
                "NONE",
                -1,
                "undefined",
                "undefined Cartesian coordinate reference system",
            ),
            (
                "Undefined geographic SRS",
                0,
                "NONE",
                0,
                "undefined",
                "undefined geographic coordinate reference system",
            ),
            ("WGS 84 geodetic", SRID, "EPSG", SRID, wkt, "longitude, latitude in decimal degrees"),
        ],
    )


def register_layer(con, table, identifier, description, kind):
    """List a feature table (kind: its geometry type) or an attribute table (kind None) in the GeoPackage."""
    now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"
    con.execute(
        "INSERT OR IGNORE INTO gpkg_contents (table_name, data_type, identifier, description, last_change, srs_id) "
        "VALUES (?,?,?,?,?,?)",
        (table, "features" if kind else "attributes", identifier, description, now, SRID if kind else None),
    )
    if not kind:
        return
    con.execute(
        "INSERT OR IGNORE INTO gpkg_geometry_columns VALUES (?,?,?,?,0,0)",
        (table, GEOMETRY_COLUMN, kind, SRID),
    )
    index = f"rtree_{table}_{GEOMETRY_COLUMN}"
    if con.execute("SELECT 1 FROM sqlite_master WHERE name=?", (index,)).fetchone():
        return
    con.execute(
        "INSERT INTO gpkg_extensions VALUES (?,?,'gpkg_rtree_index',"
        "'http://www.geopackage.org/spec120/#extension_rtree','write-only')",
        (table, GEOMETRY_COLUMN),
    )
    con.execute(f'CREATE VIRTUAL TABLE "{index}" USING rtree(id, minx, maxx, miny, maxy)')
    for name, rest in _TRIGGERS.items():
        con.execute(f'CREATE TRIGGER "{index}_{name}" ' + rest.format(t=table, g=GEOMETRY_COLUMN, r=index))


def touch(con, table):
    """Set the extent and time of change of a table in gpkg_contents."""
    bounds = (None,) * 4
    index = f"rtree_{table}_{GEOMETRY_COLUMN}"
    if con.execute("SELECT 1 FROM sqlite_master WHERE name=?", (index,)).fetchone():
        bounds = con.execute(f'SELECT min(minx), min(miny), max(maxx), max(maxy) FROM "{index}"').fetchone()
    con.execute(
        "UPDATE gpkg_contents SET last_change=strftime('%Y-%m-%dT%H:%M:%fZ','now'), min_x=?, min_y=?, max_x=?, max_y=? "
        "WHERE table_name=?",
        (*bounds, table),
    )


def changes(con):
    """Time of the last change by table, as gpkg_contents has it; GDAL and QGIS keep it too."""
    return dict(con.execute("SELECT table_name, last_change FROM gpkg_contents"))


def copy_to(con, path):
    """A consistent copy of the live file at `path`, as one file without WAL that any program may open."""
    target = sqlite3.connect(path)
    try:
        con.backup(target)
        target.execute("PRAGMA journal_mode=DELETE")
    finally:
        target.close()


_SCHEMA = (
    "CREATE TABLE IF NOT EXISTS gpkg_spatial_ref_sys (srs_name TEXT NOT NULL, srs_id INTEGER NOT NULL PRIMARY KEY, "
    "organization TEXT NOT NULL, organization_coordsys_id INTEGER NOT NULL, definition TEXT NOT NULL, description TEXT)",
    "CREATE TABLE IF NOT EXISTS gpkg_contents (table_name TEXT NOT NULL PRIMARY KEY, data_type TEXT NOT NULL, "
    "identifier TEXT UNIQUE, description TEXT DEFAULT '', "
    "last_change DATETIME NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ','now')), "
    "min_x DOUBLE, min_y DOUBLE, max_x DOUBLE, max_y DOUBLE, srs_id INTEGER, "
    "CONSTRAINT fk_gc_r_srs_id FOREIGN KEY (srs_id) REFERENCES gpkg_spatial_ref_sys(srs_id))",
    "CREATE TABLE IF NOT EXISTS gpkg_geometry_columns (table_name TEXT NOT NULL, column_name TEXT NOT NULL, "
    "geometry_type_name TEXT NOT NULL, srs_id INTEGER NOT NULL, z TINYINT NOT NULL, m TINYINT NOT NULL, "
    "CONSTRAINT pk_geom_cols PRIMARY KEY (table_name, column_name), "
    "CONSTRAINT uk_gc_table_name UNIQUE (table_name), "
    "CONSTRAINT fk_gc_tn FOREIGN KEY (table_name) REFERENCES gpkg_contents(table_name), "
    "CONSTRAINT fk_gc_srs FOREIGN KEY (srs_id) REFERENCES gpkg_spatial_ref_sys (srs_id))",
    "CREATE TABLE IF NOT EXISTS gpkg_extensions (table_name TEXT, column_name TEXT, extension_name TEXT NOT NULL, "
    "definition TEXT NOT NULL, scope TEXT NOT NULL, "
    "CONSTRAINT ge_tce UNIQUE (table_name, column_name, extension_name))",
)

_NEW = '(NEW."{g}" NOTNULL AND NOT ST_IsEmpty(NEW."{g}"))'
_NO_NEW = '(NEW."{g}" ISNULL OR ST_IsEmpty(NEW."{g}"))'
_OLD = '(OLD."{g}" NOTNULL AND NOT ST_IsEmpty(OLD."{g}"))'
_NO_OLD = '(OLD."{g}" ISNULL OR ST_IsEmpty(OLD."{g}"))'
_BOX = 'ST_MinX(NEW."{g}"), ST_MaxX(NEW."{g}"), ST_MinY(NEW."{g}"), ST_MaxY(NEW."{g}")'
_TRIGGERS = {
    "insert": f'AFTER INSERT ON "{{t}}" WHEN {_NEW} '
    f'BEGIN INSERT OR REPLACE INTO "{{r}}" VALUES (NEW."fid", {_BOX}); END',
    "update6": f'AFTER UPDATE OF "{{g}}" ON "{{t}}" WHEN OLD."fid" = NEW."fid" AND {_NEW} AND {_OLD} '
    'BEGIN UPDATE "{r}" SET minx = ST_MinX(NEW."{g}"), maxx = ST_MaxX(NEW."{g}"), '
    'miny = ST_MinY(NEW."{g}"), maxy = ST_MaxY(NEW."{g}") WHERE id = NEW."fid"; END',
    "update7": f'AFTER UPDATE OF "{{g}}" ON "{{t}}" WHEN OLD."fid" = NEW."fid" AND {_NEW} AND {_NO_OLD} '
    f'BEGIN INSERT INTO "{{r}}" VALUES (NEW."fid", {_BOX}); END',
    "update2": f'AFTER UPDATE OF "{{g}}" ON "{{t}}" WHEN OLD."fid" = NEW."fid" AND {_NO_NEW} '
    'BEGIN DELETE FROM "{r}" WHERE id = OLD."fid"; END',
    "update5": f'AFTER UPDATE ON "{{t}}" WHEN OLD."fid" != NEW."fid" AND {_NEW} '
    f'BEGIN DELETE FROM "{{r}}" WHERE id = OLD."fid"; INSERT OR REPLACE INTO "{{r}}" VALUES (NEW."fid", {_BOX}); END',
    "update4": f'AFTER UPDATE ON "{{t}}" WHEN OLD."fid" != NEW."fid" AND {_NO_NEW} '
    'BEGIN DELETE FROM "{r}" WHERE id IN (OLD."fid", NEW."fid"); END',
    "delete": 'AFTER DELETE ON "{t}" WHEN OLD."{g}" NOT NULL BEGIN DELETE FROM "{r}" WHERE id = OLD."fid"; END',
}
