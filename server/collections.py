"""Layers and tables as OGC API collections: one version at a time, searched, sorted and written as GeoJSON.

A Collection holds public fields only, unless it was made for a reader whose token covers it; such a one is kept
apart, and its tiles are not. Each feature is written once per version and coordinate system; a page puts finished
texts together.
"""

import json
import threading
from collections import OrderedDict
from dataclasses import dataclass, field
from datetime import date

import numpy as np
import shapely

from geo.projection import GIVEN_OUT, NORTH_FIRST, shapes_from_wgs84
from layers import formats, geopackage
from layers import rows as stored
from layers.catalogue import ALL, Layer
from layers.export import public_layers
from layers.letters import sort_key
from layers.pulse import Pulse
from server import sieve
from server.filecache import Recent
from server.tiles import Cache, Drawing, Plates, squeezed

MOST, USUAL = 10_000, 100  # features of a page
_KEPT_CHOICES = 32  # of rows found, each collection
_KEPT_ANSWERS = 16_000_000  # bytes
_KEPT_LETTERS = 64_000_000  # of written features, all collections together
_CRS84 = "http://www.opengis.net/def/crs/OGC/1.3/CRS84"


@dataclass(frozen=True)
class System:
    """A coordinate system of the interface. north_first: coordinates are written latitude, longitude."""

    uri: str
    epsg: int
    north_first: bool


SYSTEMS = {_CRS84: System(_CRS84, 4326, False)} | {
    s.uri: s for s in (System(f"http://www.opengis.net/def/crs/EPSG/0/{e}", e, e in NORTH_FIRST) for e in GIVEN_OUT)
}
CRS84 = SYSTEMS[_CRS84]


@dataclass(frozen=True)
class Selection:
    """What is asked of a collection, checked.

    area: a shape in longitude, latitude. days: (first, last), None at an open end. equal: (field, value) pairs.
    tree: of server.cql2tree. order: (field, descending) pairs. key: names the choice and its order, for the cache.
    """

    key: tuple
    area: object = None
    days: tuple | None = None
    equal: tuple = ()
    tree: object = None
    order: tuple = ()


EVERYTHING = Selection(())


@dataclass(frozen=True)
class Page:
    """Features as GeoJSON texts, and how many there are in all."""

    features: list
    rows: list
    matched: int


@dataclass(frozen=True)
class Source:
    """A list that is internal as a whole, beside the catalogue. read() gives its records; version() changes with them."""

    layer: Layer
    read: object
    version: object


@dataclass
class Collection:
    """One version of a layer or table.

    ids: of each feature, text; the layer's key, parts of a longer key joined by "~". internal: with the fields that
    are not public. Everything is made from its fields when it is first needed.
    """

    layer: Layer
    version: object
    frame: object
    changed: str | None = None
    internal: bool = False
    letters: int = 0  # of the written features that are kept
    _made: dict = field(default_factory=dict, repr=False)
    _texts: dict = field(default_factory=dict, repr=False)
    _found: OrderedDict = field(default_factory=OrderedDict, repr=False)
    _lock: object = field(default_factory=threading.RLock, repr=False)

    def __post_init__(self):
        self.name = self.layer.name
        self.fields = [f for f in self.layer.fields if f.public or self.internal]
        self.by_name = {f.name: f for f in self.fields}
        self.spatial = self.layer.geometry is not None

    def __len__(self):
        return len(self.frame)

    def _once(self, key, make):
        with self._lock:
            if key not in self._made:
                self._made[key] = make()
            return self._made[key]

    def values(self, name):
        """A column as Python values, None where missing."""
        f = self.by_name[name]
        return self._once(("values", name), lambda: formats.plain_values(self.frame[name], f.kind))

    def column(self, name):
        """A column as server.sieve takes it."""
        kind = self.by_name[name].kind
        if kind == "text":
            return self._once(("column", name), lambda: np.array([*self.values(name), None], dtype=object)[:-1])
        kept = self.frame[name].to_numpy()
        return kept if kind == "date" else kept.astype(float)

    def shapes(self, epsg=4326):
        """Geometries in a system, easting or longitude first; None where there is none."""
        if epsg == 4326:
            return self._once("shapes", self._own_shapes)
        return self._once(("shapes", epsg), lambda: shapes_from_wgs84(self.shapes(), epsg))

    def _own_shapes(self):
        if not self.spatial:
            return np.full(len(self), None, dtype=object)
        return np.asarray(shapely.force_2d(self.frame.geometry.to_numpy()), dtype=object)

    @property
    def ids(self):
        return self._once("ids", self._own_ids)

    def _own_ids(self):
        key = [self.values(k) for k in self.layer.key]
        return [
            "~".join("" if v is None else str(v).replace("~", "~~") for v in parts) for parts in zip(*key, strict=True)
        ]

    def row(self, feature_id):
        """Number of the row with an id, or None."""
        return self._once("rows", lambda: {i: n for n, i in enumerate(self.ids)}).get(feature_id)

    def bounds(self):
        """West, south, east, north in degrees, or None where nothing has a place."""
        return self._once("bounds", self._own_bounds)

    def _own_bounds(self):
        return self.bounds_of(range(len(self)))

    def bounds_of(self, rows):
        """As bounds(), of some rows."""
        shapes = self.shapes()[list(rows)]
        placed = shapes[~shapely.is_missing(shapes)]
        return shapely.total_bounds(placed).tolist() if len(placed) else None

    def period(self):
        """First valid_from and last valid_to as days, None where open; None where the layer has no such days."""
        if "valid_from" not in self.by_name:
            return None
        starts, ends = self.values("valid_from"), self.values("valid_to")
        if not any(starts) and not any(ends):
            return None
        return (min(starts) if all(starts) else None), (max(ends) if all(ends) else None)

    # --- searching ---

    def find(self, selection):
        """Numbers of the rows that a selection keeps, in its order."""
        with self._lock:
            if selection.key in self._found:
                self._found.move_to_end(selection.key)
                return self._found[selection.key]
        mask = np.ones(len(self), dtype=bool)
        if selection.days is not None:
            mask &= self._within_days(*selection.days)
        for name, value in selection.equal:
            held = self.column(name)
            mask &= held == (np.datetime64(value) if isinstance(value, date) else value)
        if selection.area is not None:
            shapes = self.shapes()
            mask &= shapely.intersects(selection.area, shapes) | shapely.is_missing(shapes)
        if selection.tree is not None:
            mask &= sieve.apply(selection.tree, self.column, self.shapes, len(self))
        rows = np.flatnonzero(mask).astype(np.int32)
        if selection.order:
            keys = [self._rank(name, descending)[rows] for name, descending in reversed(selection.order)]
            rows = rows[np.lexsort(keys)]
        with self._lock:
            self._found[selection.key] = rows
            while len(self._found) > _KEPT_CHOICES:
                self._found.popitem(last=False)
        return rows

    def _within_days(self, first, last):
        """Rows whose period valid_from ≤ day < valid_to meets the days; a blank end is open."""
        keep = np.ones(len(self), dtype=bool)
        if "valid_from" in self.by_name:
            start, end = self.column("valid_from"), self.column("valid_to")
            if last is not None:
                keep &= np.isnat(start) | (start <= np.datetime64(last))
            if first is not None:
                keep &= np.isnat(end) | (end > np.datetime64(first))
        return keep

    def _rank(self, name, descending):
        """Place of each row in the order of a field: Vietnamese for text; what is missing comes last both ways."""

        def make():
            values = self.values(name)
            known = sorted({v for v in values if v is not None}, key=sort_key if isinstance_text(values) else None)
            place = {v: i for i, v in enumerate(known)}
            return np.array([place.get(v, -1) for v in values], dtype=np.int64)

        rank = self._once(("rank", name), make)
        return np.where(rank < 0, np.iinfo(np.int64).max, -rank if descending else rank)

    # --- writing ---

    def page(self, selection, limit, offset, system=CRS84, names=None):
        rows = self.find(selection)
        chosen = rows[offset : offset + limit].tolist()
        return Page(self.features(chosen, system, names), chosen, len(rows))

    def features(self, rows, system=CRS84, names=None):
        """GeoJSON texts of rows. names: of the properties wanted; None takes all of them, which are kept."""
        if names is not None:
            return self._written(rows, system, names)
        texts = self._texts.setdefault(system.uri, {})
        missing = [r for r in rows if r not in texts]
        if missing:
            written = self._written(missing, system, list(self.by_name))
            texts.update(zip(missing, written, strict=True))
            self.letters += sum(map(len, written))
        return [texts[r] for r in rows]

    def _written(self, rows, system, names):
        if not rows:
            return []
        shapes = formats.geojson_geometries(self.shapes(system.epsg)[rows], system.epsg, north_first=system.north_first)
        columns = [self.values(n) for n in names]
        ids = self.ids
        out = []
        for r, shape in zip(rows, shapes, strict=True):
            held = {
                n: c[r].isoformat() if isinstance(c[r], date) else c[r] for n, c in zip(names, columns, strict=True)
            }
            out.append(f'{{"type":"Feature","id":{_json(ids[r])},"geometry":{shape},"properties":{_json(held)}}}')
        return out

    def forget_texts(self):
        self._texts, self.letters = {}, 0

    # --- tiles ---

    def tile_fields(self):
        """Fields that a tile carries: names, codes, numbers and days; not the long texts."""
        return [f for f in self.fields if f.kind != "text" or f.allowed or f.name in _IN_TILES]

    def drawing(self, plates=None):
        """The layer as server.tiles draws it. plates: where it keeps what it made ready."""

        def make():
            properties = {}
            for f in self.tile_fields():
                values = self.values(f.name)
                properties[f.name] = [v.isoformat() if isinstance(v, date) else v for v in values]
            made = Drawing(self.name, self.shapes(), properties, range(1, len(self) + 1), plates)
            if not self.internal:
                made.ahead()
            return made

        return self._once("drawing", make)


_IN_TILES = {"code", "name_vi", "name_en", "media"}


def isinstance_text(values):
    return any(isinstance(v, str) for v in values)


def _json(value):
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)


PUBLIC = frozenset()


class Collections:
    """The collections of one store, each kept until a newer version is there.

    sources: {name: Source} of lists beside the catalogue. scope: names of what a reader may see internal data of.
    """

    def __init__(self, store, sources=None):
        self.store, self.sources = store, sources or {}
        self.tiles, self.plates = Cache(store.data_dir / "cache" / "tiles"), Plates()
        self.answers = Recent(_KEPT_ANSWERS)  # gzipped, by their tag
        self._held = {}
        self._pulse, self._seen = Pulse(store.path) if hasattr(store, "path") else None, (None, {})
        self._lock = threading.Lock()

    def names(self, scope=PUBLIC):
        """Layers first, then tables, in the order of the catalogue, then what is beside it."""
        open_to_all = set(public_layers())
        return [n for n in ALL if n in open_to_all or n in scope] + [n for n in self.sources if n in scope]

    def scopes(self):
        """Names of all that a token may cover."""
        return [*ALL, *self.sources]

    def get(self, name, versions=None, scope=PUBLIC):
        """The newest version of a collection, or None where there is none of that name.

        versions: of the store, where they were just asked for.
        """
        if name not in self.names(scope):
            return None
        if name in self.sources:
            return self._listed(self.sources[name])
        key = name, name in scope
        version = (self._versions() if versions is None else versions).get(name, 0)
        with self._lock:
            held = self._held.get(key)
        if held is not None and held.version == version:
            self._make_room()
            return held
        frame = self.store.snapshot(name)
        for _ in range(10):  # a version that came in between would lend its number to the older rows
            last = next(iter(self.store.history(name)), None)
            again = self.store.snapshot(name)
            if again is frame:
                break
            frame = again
        made = Collection(ALL[name], last["version"] if last else 0, frame, last["at"] if last else None, key[1])
        with self._lock:
            self._held[key] = made
        return made

    def _listed(self, source):
        key, version = (source.layer.name, True), source.version()
        with self._lock:
            held = self._held.get(key)
        if held is not None and held.version == version:
            return held
        made = Collection(source.layer, version, frame_of(source.layer, source.read()), internal=True)
        with self._lock:
            self._held[key] = made
        return made

    def _versions(self):
        """As store.versions(), which is asked only when something was written, where the store is one file."""
        if self._pulse is None:
            return self.store.versions()
        beat, (seen, versions) = self._pulse.beat(), self._seen
        if beat != seen:
            versions = self.store.versions()
            self._seen = beat, versions
        return versions

    def every(self, scope=PUBLIC):
        versions = self._versions()
        return [self.get(name, versions, scope) for name in self.names(scope)]

    def _make_room(self):
        if sum(c.letters for c in list(self._held.values())) > _KEPT_LETTERS:
            for c in list(self._held.values()):
                c.forget_texts()

    def tile(self, collection, z, x, y):
        """A gzipped tile, b"" where nothing lies in it. What is internal is drawn anew and never lies on the disk."""
        if collection.internal:
            return squeezed(collection.drawing(self.plates).tile(z, x, y))
        key = (collection.name, collection.version, z, x, y)
        return self.tiles.get(key, lambda: collection.drawing(self.plates).tile(z, x, y))


def frame_of(layer, records):
    """Records of a list (server/listings.py) as a frame of its layer, as the store gives one."""
    table = formats.listed(layer, records, internal=True)
    rows = [list(values) for values in table.rows()]
    if layer.geometry:
        rows = [[*row, shape] for row, shape in zip(rows, geopackage.encode(table.shapes), strict=True)]
    return stored.frame_of(layer, rows)
