"""Changes of one row at a time: what two people typed is brought together, checked, and written as one version.

Nobody overwrites somebody else without knowing. A form says which version it showed; what another person changed
since then is kept, and where both changed the same field the second one is asked (Clash). To undo one change is the
same thing: the values before it are brought in against the values after it.
"""

from collections import Counter
from dataclasses import dataclass, field

import geopandas as gpd
import pandas as pd
import shapely

from layers import audit, boundaries, rows, rules
from layers.checks import check
from layers.errors import LayerError
from server import drawing, problems
from server.changes import same_shape, size_of
from server.citytime import local
from server.corners import typed as typed_corners
from server.forms import FormError
from server.i18n import N_
from server.i18n import gettext as _
from server.people import User
from server.rowkeys import key_text

EDITORS = ("planner", "administrator")
EDITED = "edit of a row"  # source of the versions that are made here; see server/layerbook.py
MAX_CORNERS = 20_000
KINDS_OF = {
    "Point": ("Point",),
    "Polygon": ("Polygon", "MultiPolygon"),
    "Geometry": ("Point", "LineString", "MultiLineString", "Polygon", "MultiPolygon"),
}


@dataclass(frozen=True)
class Row:
    """One row: plain values by field, and its place (EPSG:4326) or None."""

    values: dict
    place: object = None


@dataclass(frozen=True)
class Merged:
    """Two people's rows brought together. clashes: fields ("geometry" for the place) that both changed, differently.

    taken: fields that only the other person changed, and that are kept. row holds mine where they clash.
    """

    row: Row
    clashes: tuple[str, ...]
    taken: tuple[str, ...]


class Clash(Exception):
    """Somebody else changed the same row since the form was opened.

    base: the Row the form showed, None where that is no longer known. mine, theirs: Rows; theirs is None where the
    row was deleted. merged: of both. version: the newest version.
    """

    def __init__(self, base, mine, theirs, merged, version):
        self.base, self.mine, self.theirs, self.merged, self.version = base, mine, theirs, merged, version
        super().__init__("somebody else changed this row")


class NotHere(Exception):
    """A row of a layer that is not edited here: it changes through the register."""


@dataclass(frozen=True)
class Saved:
    """A version that was written. fields: what it changed; taken: what another person had changed and was kept."""

    version: int
    key: tuple
    fields: tuple[str, ...]
    taken: tuple[str, ...] = field(default=())


def row_of(layer, series):
    """The Row of a line of a frame, or None."""
    if series is None:
        return None
    values = {f.name: rows.plain(series[f.name], f.kind) for f in layer.fields}
    return Row(values, series["geometry"] if layer.geometry else None)


def key_of(layer, row):
    return tuple(row.values[k] for k in layer.key)


def differing(layer, a, b):
    """Names of the fields in which two Rows differ, "geometry" last; all that are filled where one is None."""
    a, b = a or Row({}), b or Row({})
    names = [f.name for f in layer.fields if a.values.get(f.name) != b.values.get(f.name)]
    return [*names, "geometry"] if layer.geometry and not same_shape(a.place, b.place) else names


def merged(layer, base, mine, theirs):
    """Merged: field by field, what one of the two changed since base wins; where both did, and differ, it is a clash.

    base None: nobody knows what the form showed, so that every difference is a clash.

    >>> from layers.catalogue import ALL
    >>> layer = ALL["norms"]
    >>> base, mine, theirs = ({"norm_vi": a, "unit": u} for a, u in (("x", "m"), ("y", "m"), ("x", "l")))
    >>> made = merged(layer, Row(base), Row(mine), Row(theirs))
    >>> made.row.values["norm_vi"], made.row.values["unit"], made.clashes, made.taken
    ('y', 'l', (), ('unit',))
    """
    values, clashes, taken = {}, [], []
    for f in layer.fields:
        m, t = mine.values.get(f.name), theirs.values.get(f.name)
        b = base.values.get(f.name) if base else None
        values[f.name] = m
        if m == t:
            continue
        if base and m == b:
            values[f.name] = t
            taken.append(f.name)
        elif not base or t != b:
            clashes.append(f.name)
    place = mine.place
    if layer.geometry and not same_shape(mine.place, theirs.place):
        if base and same_shape(mine.place, base.place):
            place = theirs.place
            taken.append("geometry")
        elif not base or not same_shape(theirs.place, base.place):
            clashes.append("geometry")
    elif layer.geometry:
        place = theirs.place
    return Merged(Row(values, place), tuple(clashes), tuple(taken))


# --- the place of a form ---


def place_of(layer, form, before=None):
    """The place a form gives, EPSG:4326: what was drawn, or typed, else `before` untouched. DrawingError.

    Fields: geometry (GeoJSON as drawn, "none" for removed, "" for untouched), corners with corners_was (as the page
    wrote them) and system, form (Point, LineString, Polygon), elsewhere ("yes": it lies outside the city, knowingly).
    """
    if not layer.geometry:
        return None
    text, typed = (form.get("geometry") or "").strip(), _lines(form.get("corners"))
    if typed != _lines(form.get("corners_was")):
        shape = typed_corners(typed, _number(form.get("system")), form.get("form") or "Point")
    elif text == drawing.REMOVED:
        return None
    elif text:
        shape = _drawn(text)
    else:
        return before
    if shape is None or same_shape(shape, before):
        return before if shape is not None else None
    return _good(layer, shape, form.get("elsewhere") == "yes")


def _lines(text):
    return "\n".join(line.strip() for line in (text or "").replace("\r", "").strip().split("\n"))


def _number(text):
    return int(text) if (text or "").isdecimal() and len(text) < 7 else 0


def _drawn(text):
    try:
        shape = shapely.from_geojson(text)
    except shapely.errors.GEOSException:
        shape = None
    if shape is None or shape.is_empty:
        raise drawing.DrawingError(N_("What was drawn cannot be read. Draw it again."))
    return shapely.force_2d(shape)


def _good(layer, shape, elsewhere):
    if shape.geom_type not in KINDS_OF[layer.geometry]:
        words = {"Point": N_("The place must be a point."), "Polygon": N_("The place must be an area.")}
        raise drawing.DrawingError(words.get(layer.geometry, N_("What was drawn cannot be read. Draw it again.")))
    sound(shape)
    west, south, east, north = drawing.BOUNDS
    x0, y0, x1, y1 = shape.bounds
    if not elsewhere and not (west <= x0 and x1 <= east and south <= y0 and y1 <= north):
        raise Elsewhere(N_("The place does not lie in the city or its waters. If that is right, say so below."))
    return shape


def sound(shape):
    """The shape itself, where it can be kept; DrawingError for too many corners, crossings, and places on no map."""
    positions = shapely.get_coordinates(shape)
    if len(positions) > MAX_CORNERS:
        raise drawing.DrawingError(
            N_("The outline has %(n)s corners; at most %(most)s."), n=len(positions), most=MAX_CORNERS
        )
    if not ((abs(positions[:, 0]) <= 180) & (abs(positions[:, 1]) <= 90)).all():
        raise drawing.DrawingError(N_("The coordinates lie outside longitude ±180, latitude ±90."))
    if not shape.is_valid:
        raise drawing.DrawingError(N_("The outline crosses itself. Move its corners so that the area is clear."))
    return shape


class Elsewhere(drawing.DrawingError):
    """A place outside the city and its waters; it is taken when somebody says that it is meant."""


# --- writing ---


class Editor:
    """Who writes: the store, the person, and the moment (a function)."""

    def __init__(self, store, user: User, now):
        self.store, self.user, self.now = store, user, now

    def save(self, layer, key, base, mine, *, reason=""):
        """Write one row; Saved, or None where nothing differs from what is there.

        key: of the row, None for a new one. base: the Row that the form showed, None where nobody knows it any more.
        Raises Clash, FormError (what the checks say), LayerError (StoreError).
        """
        self._may(layer)
        with self.store.transaction() as con:
            self.store.settle_in(con, layer.name)
            theirs = self._row(con, layer, key if key is not None else key_of(layer, mine))
            taken = ()
            if key is None:
                if theirs is not None:
                    raise FormError({layer.key[0]: _("There is another row with this key. Choose another one.")})
                mine = self._filed(layer, mine)
            elif theirs is None:
                raise Clash(base, mine, None, None, self.store.version_in(con, layer.name))
            else:
                made = merged(layer, base, mine, theirs)
                if made.clashes:
                    raise Clash(base, mine, theirs, made, self.store.version_in(con, layer.name))
                mine, taken = made.row, made.taken
            changed = differing(layer, theirs, mine)
            if theirs is not None and not changed:
                return None
            checked = self._checked(con, layer, theirs, mine)
            return self._write(con, layer, checked, theirs, mine, changed, taken, reason)

    def remove(self, layer, key, base, *, sure=False, reason=""):
        """Delete a row; Saved. Clash where it is gone, or was changed since `base` and nobody said `sure`."""
        self._may(layer)
        with self.store.transaction() as con:
            self.store.settle_in(con, layer.name)
            theirs = self._row(con, layer, key)
            if theirs is None:
                raise Clash(base, base, None, None, self.store.version_in(con, layer.name))
            if not sure and (base is None or differing(layer, base, theirs)):
                raise Clash(base, base or theirs, theirs, None, self.store.version_in(con, layer.name))
            if layer.name in rules.TOGETHER:
                frame = self.store.current(con, layer.name)
                self._rules(layer, frame, frame.drop(index=frame.index[rows.at_key(layer, frame, key)]), None)
            return self._write(con, layer, None, theirs, None, differing(layer, theirs, None), (), reason)

    def _filed(self, layer, row):
        """A new Row with the boundary version it is filed under, where nobody said it."""
        if "filed_under" not in layer.by_name or row.values.get("filed_under"):
            return row
        line = pd.DataFrame([row.values], dtype=object)
        (code,) = boundaries.filed_under(self.store, line, local(self.now()).date())
        return Row(row.values | {"filed_under": code}, row.place)

    def _may(self, layer):
        if layer.gated:
            raise NotHere(layer.name)

    def _row(self, con, layer, key):
        found = self.store.row_in(con, layer.name, key)
        return row_of(layer, found.iloc[0] if len(found) else None)

    def _checked(self, con, layer, theirs, mine):
        """The row as a CheckedLayer, also held against the rules of the whole table; FormError. theirs: the row before."""
        line = pd.DataFrame([mine.values], dtype=object)
        if layer.geometry:
            line = gpd.GeoDataFrame(line, geometry=gpd.GeoSeries([mine.place], crs=4326))
        try:
            checked = check(layer, line, repair=False)
        except LayerError as e:
            raise FormError(_told(layer, e.problems)) from e
        if layer.name in rules.TOGETHER:
            frame = self.store.current(con, layer.name)
            at = None if theirs is None else rows.at_key(layer, frame, key_of(layer, theirs))
            rest = frame if at is None else frame.drop(index=frame.index[at])
            whole = pd.concat([checked.rows, rest], ignore_index=True)
            self._rules(layer, frame, whole, 0)
        return checked

    @staticmethod
    def _rules(layer, before, after, mine):
        """FormError for what a change breaks; what was broken before it is not held against it. mine: row number or None."""
        known = Counter(sentence for _row, sentence in rules.broken_together(layer.name, before))
        new = []
        for row, sentence in rules.broken_together(layer.name, after):
            if row is not None and row == mine:
                new.append(sentence)
            elif known[sentence]:
                known[sentence] -= 1
            else:
                new.append(sentence)
        if new:
            raise FormError(_told(layer, new))

    def _write(self, con, layer, checked, before, after, changed, taken, reason):
        key = key_of(layer, after or before)
        action = "edit" if before and after else "add" if after else "remove"
        note = "; ".join(p for p in (self._note(action, key, changed), reason.strip()[:400]) if p)
        who = self.user
        if checked is None:
            self.store.delete_in(con, layer.name, [key], source=EDITED, who=who.name, note=note)
        else:
            self.store.write_in(con, [checked], source=EDITED, who=who.name, note=note, mode="upsert")
        version = self.store.version_in(con, layer.name)
        audit.append(
            con, at=self.now(), who=who.name, who_id=who.id, role=who.role, action=f"feature_{action}",
            thing=f"feature:{layer.name}/{key_text(key)}", old=_journal(before, changed),
            new=(_journal(after, changed) or {}) | {"version": version} | ({"reason": reason.strip()[:400]} if reason.strip() else {}),
        )  # fmt: skip
        return Saved(version, key, tuple(changed), tuple(taken))

    @staticmethod
    def _note(action, key, changed):
        name = "/".join("–" if k is None else str(k) for k in key)
        return (
            f"{name}: {', '.join(changed)}"
            if action == "edit"
            else f"{name} {'added' if action == 'add' else 'removed'}"
        )


def _journal(row, changed):
    if row is None:
        return None
    out = {n: _plain(row.values.get(n)) for n in changed if n != "geometry" and row.values.get(n) is not None}
    if "geometry" in changed and row.place is not None:
        text = shapely.to_wkt(row.place, rounding_precision=8)
        size = size_of(row.place)
        out["geometry"] = text if len(text) <= 4000 else f"{row.place.geom_type} {len(shapely.get_coordinates(row.place))} corners" + (
            f", {size[0]:.0f} {size[1]}" if size else "")  # fmt: skip
    return out


def _plain(value):
    return value.isoformat() if hasattr(value, "isoformat") else value


def _told(layer, sentences):
    """{field: sentence in the reader's language}; what belongs to no field is under "" and joined."""
    out = {}
    for sentence in sentences:
        name, said = problems.said(layer, sentence)
        name = name or ""
        if said not in out.get(name, ""):
            out[name] = f"{out[name]} {said}" if name in out else said
    return out
