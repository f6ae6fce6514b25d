"""Where the rows of a file lie: their columns of coordinates, the places they name, and the system that fits both."""

import re
import unicodedata
from dataclasses import dataclass

import numpy as np
import pandas as pd
import pyproj
import shapely

from geo import coordinates, crs
from layers import ingest
from layers.errors import said
from layers.letters import fold

WARD_KINDS = ("ward", "commune", "special_zone")
PARTS = "parts"  # the reading of a file in several systems: each row in its own
ROLES = ("@x", "@y", "@pair", "@wkt")  # where a column may go beside the fields of a layer
_PREFIXES = ("phường ", "xã ", "đặc khu ", "thị trấn ", "p. ", "x. ")
_DIGIT = re.compile(r"\d")
_ENOUGH = 0.8  # share of the values of a column that must be ward codes, or pairs, for it to be read as that


class Wards:
    """The ward outlines of the store, by name and by code."""

    def __init__(self, store):
        admin = store.snapshot("admin_units")
        now = admin["kind"].isin(WARD_KINDS) & admin["valid_to"].isna() & admin.geometry.notna()
        rows = admin[now]
        self.codes = rows["code"].tolist()
        self.names = rows["name_vi"].tolist()
        self.shapes = rows.geometry.to_numpy()
        self.schematic = (rows["geometry_quality"] == "schematic").to_numpy()
        self._tree = shapely.STRtree(self.shapes)
        self._by_code = {c: i for i, c in enumerate(self.codes)}
        self._exact, self._folded = _unique(self.names, _plain), _unique(self.names, fold)
        self._digits = any(map(_DIGIT.search, self.names))
        self._memo = {}

    def of_text(self, text):
        """The number of the ward that a text names, -1 where it names none, or several."""
        if not self._digits and _DIGIT.search(text):
            return -1
        found = self._memo.get(text)
        if found is None:
            found = self._exact.get(_plain(text), -1)
            found = self._folded.get(fold(text), -1) if found < 0 else found
            if len(self._memo) < 100_000:
                self._memo[text] = found
        return found

    def of_code(self, value):
        """The number of the ward of a code."""
        return self._by_code.get(ingest.cell(value), -1)

    def at(self, points):
        """The number of the ward in which each point lies, -1 where in none."""
        out = np.full(len(points), -1)
        which, wards = self._tree.query(points, predicate="intersects")
        out[which] = wards
        return out


def _plain(text):
    return unicodedata.normalize("NFC", text).strip().lower()


def _unique(names, spell):
    """{spelled name, with and without its kind: number}, of names that only one ward has."""
    found = {}
    for i, name in enumerate(names):
        low = _plain(name)
        bare = next((low.removeprefix(p) for p in _PREFIXES if low.startswith(p)), low)
        for text in {spell(low), spell(bare)}:
            found.setdefault(text, []).append(i)
    return {text: numbers[0] for text, numbers in found.items() if len(numbers) == 1}


class Places:
    """The ward that each row names, gathered piece by piece; codes count before names, earlier columns before later."""

    def __init__(self, wards):
        self._wards, self._codes, self._found = wards, None, []

    def feed(self, frame, columns):
        """Take the rows of a frame; columns: those that may name a place."""
        if self._codes is None:
            self._codes = [c for c in columns if self._share(frame[c]) >= _ENOUGH]
        out = np.full(len(frame), -1)
        for find, some in ((self._wards.of_code, self._codes), (self._by_text, columns)):
            for c in some:
                left = np.flatnonzero(out < 0)
                if not len(left):
                    break
                values = frame[c].to_numpy()
                out[left] = [find(values[i]) for i in left]
        self._found.append(out.astype(np.int32))

    def _share(self, values):
        given = values.dropna()
        return (given.map(self._wards.of_code) >= 0).mean() if len(given) else 0.0

    def _by_text(self, value):
        return self._wards.of_text(value) if isinstance(value, str) and len(value) < 60 else -1

    def numbers(self):
        """The number of the ward of each row, -1 where it names none."""
        return np.concatenate(self._found) if self._found else np.zeros(0, dtype=np.int32)

    def outlines(self):
        """The outline of the ward of each row, or None."""
        shapes = np.append(self._wards.shapes, [None])
        return shapes[self.numbers()]


class Positions:
    """The coordinates of the rows of a file, as numbers in its own system, gathered piece by piece."""

    def __init__(self):
        self._x, self._y, self._parts, self._roles = coordinates.Column(), coordinates.Column(), [], None

    def roles(self, chunk, source, chosen):
        """The layers.ingest.Roles of the file; chosen: {column: "@x"} of somebody."""
        if self._roles is None:
            named = {role: c for c, role in chosen.items() if role in ROLES}
            if named:
                found = ingest.Roles(*(named.get(role) for role in ("@x", "@y", "@pair", "@wkt")))
            else:
                found = ingest.Roles() if source.has_shapes else ingest.roles(chunk.frame.columns)
            if found.pair and not named:
                given = chunk.frame[found.pair].dropna()
                split = given.map(lambda v: coordinates.split_pair(v) is not None)
                found = found if len(given) and split.mean() >= _ENOUGH else ingest.Roles()
            self._roles = found
        return self._roles

    def feed(self, chunk):
        """Take the rows of a chunk; the chunk with its shapes made where they stand as text."""
        found = self._roles
        if found.wkt:
            shapes, unread = ingest.wkt_shapes(chunk.frame[found.wkt])
            chunk = ingest.Chunk(chunk.first, chunk.frame, np.asarray(shapes, dtype=object), unread)
        if chunk.shapes is not None:
            self._parts.append(crs.points_of(chunk.shapes))
        elif found.x is not None and found.y is not None:
            self._x.feed(chunk.frame[found.x])
            self._y.feed(chunk.frame[found.y])
        elif found.pair is not None:
            halves = [coordinates.split_pair(v) for v in chunk.frame[found.pair]]
            self._x.feed([v if h is None else h[0] for h, v in zip(halves, chunk.frame[found.pair], strict=True)])
            self._y.feed([v if h is None else h[1] for h, v in zip(halves, chunk.frame[found.pair], strict=True)])
        return chunk

    def numbers(self):
        """(x, y, why a row has none, as a place in geo.coordinates.CODES): arrays over all rows; None where the file has no coordinates at all."""
        if self._parts:
            x, y = (np.concatenate([part[i] for part in self._parts]) for i in (0, 1))
            return x, y, np.zeros(len(x), dtype=np.uint8)
        (x, why), (y, more) = self._x.floats(), self._y.floats()
        if not len(x):
            return None
        return x, y, np.where(why > 0, why, more)


@dataclass(frozen=True)
class Placement:
    """How the rows of a file come to EPSG:4326. readings: one for all, or one for each part; rows: of the diagnosis."""

    readings: tuple
    rows: np.ndarray | None = None

    def points(self, x, y, first=0):
        """lon, lat of rows `first` onwards; NaN where they have none, or fit no system of the file."""
        if self.rows is None:
            return crs.to_wgs84(x, y, self.readings[0])
        lon, lat = np.full(len(x), np.nan), np.full(len(x), np.nan)
        for k, reading in enumerate(self.readings):
            mine = self.rows[first : first + len(x)] == k
            lon[mine], lat[mine] = crs.to_wgs84(np.asarray(x)[mine], np.asarray(y)[mine], reading)
        return lon, lat

    def shapes(self, shapes, first=0):
        """Shapes in EPSG:4326; None where one fits no system of the file, or cannot lie on the earth."""
        out = np.full(len(shapes), None, dtype=object)
        rows = np.zeros(len(shapes), dtype=int) if self.rows is None else self.rows[first : first + len(shapes)]
        for k, reading in enumerate(self.readings):
            mine = np.flatnonzero((rows == k) & ~shapely.is_missing(shapes))
            if len(mine):
                out[mine] = shapely.transform(
                    shapely.force_2d(shapes[mine]),
                    lambda xy, reading=reading: np.column_stack(crs.to_wgs84(xy[:, 0], xy[:, 1], reading)),
                )
        bounds = shapely.bounds(out)
        out[~np.isfinite(bounds).all(axis=1)] = None
        return out

    def lost(self, count, first=0):
        """Which rows fit none of the systems of the file, or several."""
        if self.rows is None:
            return np.zeros(count, dtype=bool)
        return np.isin(self.rows[first : first + count], (crs.FITS_NOTHING, crs.FITS_SEVERAL))


def area(store):
    """The land of the city with what lies within about 10 km, where points are looked for."""
    land = store.snapshot("land")
    return shapely.union_all(land[land["code"] != "L-OUT"].geometry.to_numpy()).buffer(0.1)


# --- what is odd about the rows, beside what is wrong ---

SCHEMATIC_M = 5_000.0  # how far a point may lie from an outline that only stands for its ward
AREA_SHARE = 0.05
_METRES = pyproj.Transformer.from_crs(4326, "+proj=laea +lat_0=20.8 +lon_0=106.7 +ellps=WGS84", always_xy=True)


def misplaced(wards, named, points):
    """[(row, number of the named ward, number of the ward it lies in or -1, metres between)] of points elsewhere.

    named: numbers of wards or -1; points: shapely points in EPSG:4326 or None. A point elsewhere lies outside
    its ward and inside another one; where the outlines are schematic, also more than SCHEMATIC_M away.
    """
    rows = np.flatnonzero((named >= 0) & ~shapely.is_missing(points))
    rows = rows[~shapely.intersects(points[rows], wards.shapes[named[rows]])]
    if not len(rows):
        return []
    lies = wards.at(points[rows])
    outlines, spots = _metric(wards.shapes[named[rows]]), _metric(points[rows])
    away = shapely.distance(outlines, spots)
    bad = (lies >= 0) & (~wards.schematic[named[rows]] | (away > SCHEMATIC_M))
    return [(int(rows[i]), int(named[rows[i]]), int(lies[i]), float(away[i])) for i in np.flatnonzero(bad)]


def areas_that_differ(layer, frame):
    """[(row, field, official, computed)] of areas whose official size differs from the drawn one by more than 5 %."""
    units = {"area_km2": 1e6, "area_ha": 1e4}
    out = []
    for field, size in units.items():
        if layer.geometry is None or field not in layer.by_name or layer.by_name[field].kind != "number":
            continue
        official = pd.to_numeric(frame[field], errors="coerce").to_numpy(dtype=float)
        drawn = shapely.area(_metric(frame.geometry.to_numpy())) / size
        with np.errstate(invalid="ignore", divide="ignore"):
            bad = (drawn > 0) & (official > 0) & (np.abs(drawn - official) > AREA_SHARE * official)
        out += [(int(i), field, float(official[i]), float(drawn[i])) for i in np.flatnonzero(bad)]
    return out


def _metric(shapes):
    return shapely.transform(shapes, lambda xy: np.column_stack(_METRES.transform(xy[:, 0], xy[:, 1])))


def misplaced_sentence(wards, found):
    row, named, lies, away = found
    return said(
        "row {row} says {named}, but the point lies in {lies}, {km:.1f} km away",
        "dòng {row} ghi {named} nhưng điểm nằm ở {lies}, cách {km:.1f} km",
        row=row + 1, named=f"{wards.names[named]} ({wards.codes[named]})",
        lies=f"{wards.names[lies]} ({wards.codes[lies]})", km=away / 1000,
    )  # fmt: skip


def area_sentence(key, found):
    row, field, official, drawn = found
    unit = {"area_km2": "km²", "area_ha": "ha"}[field]
    return said(
        "row {row} ({key}): {official:g} {unit} in the table, {drawn:.4g} {unit} drawn ({share:+.0%})",
        "dòng {row} ({key}): bảng ghi {official:g} {unit}, hình vẽ {drawn:.4g} {unit} ({share:+.0%})",
        row=row + 1, key=key, official=official, drawn=drawn, unit=unit, share=drawn / official - 1,
    )  # fmt: skip
