"""One file between its reading and its trial: text made readable, coordinates placed, every row checked.

The rows lie in a layers.staging.Staging; only some are in memory at once.
"""

import math
import re

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely

from geo import coordinates, crs, encoding
from layers import checks, ingest
from layers.errors import said, vietnamese
from layers.staging import key_text
from server import blanks, placing
from server.blanks import Filing
from server.i18n import N_
from server.readings import ImportRefused, placement_of

SHOWN = 200  # warnings of each kind
LISTED = 20  # odd rows named in one note
_DOT_ZERO = re.compile(r"\d+\.0")  # a code that some program took for a number
_TEXTS = 2_000  # different texts of a column by which its encoding is told


class Stopped(Exception):
    """stop() said so; nothing was written."""


def steps(progress, stop):
    def step(share, words):
        if stop is not None and stop():
            raise Stopped
        if progress is not None:
            progress(share, words)

    return step


class _Some:
    """How many odd rows there were, and the first of them."""

    def __init__(self):
        self.count, self.rows = 0, []

    def take(self, found):
        self.count += len(found)
        self.rows += found[: SHOWN - len(self.rows)]


class Arrival:
    """One file between its reading and the trial."""

    def __init__(self, store, layer, staging, chosen, name, step, *, today=None):
        self.store, self.layer, self.staging, self.chosen, self.name, self._step = (
            store, layer, staging, chosen, name, step,
        )  # fmt: skip
        self._filing = Filing(store, layer, today)
        self.notes, self.warnings, self.rows, self.sha256, self.crs = [], [], 0, "", None
        self.match, self.diagnosis, self.placement, self._wards = {}, None, None, None
        self.positions = placing.Positions()
        self._texts, self._signs, self._dotted = {}, {}, {}

    # --- reading ---

    def read(self, path, sheet):
        """Bring all rows into the scratch file, and learn what can only be told of the whole: encodings, signs."""
        with ingest.opened(path, sheet=sheet, shown=self.name) as source:
            self.sha256 = source.sha256
            for chunk in source.chunks():
                if not self.rows:
                    self._settle_chosen(chunk.frame.columns)
                self.positions.roles(chunk, source, self.chosen)
                chunk = self.positions.feed(chunk)
                self.staging.take_raw(chunk)
                self._match()
                self._learn(chunk.frame)
                self.rows += len(chunk.frame)
                self._step(0.35 * (1 - math.exp(-self.rows / 50_000)), N_("The file is read"))
            self.notes += source.notes
            self.crs = source.crs
        self._mend = {c: found for c, texts in self._texts.items() if (found := encoding.survey(texts))}
        for c, found in self._mend.items():
            self.notes.append(
                said(
                    "The text of '{name}' was in {old} and was brought to Unicode. Check a few names.",
                    "Chữ trong cột '{name}' theo {old}, đã chuyển về Unicode. Hãy kiểm tra vài tên.",
                    name=c,
                    old=found.encoding,
                )
            )

    def _settle_chosen(self, there):
        for c, f in self.chosen.items():
            if c not in there:
                raise ImportRefused.of(
                    "{file} has no column '{name}'. It has: {names}.",
                    "{file} không có cột '{name}'. Có: {names}.",
                    file=self.name,
                    name=c,
                    names=", ".join(map(str, there)),
                )
            if f and f not in self.layer.by_name and f not in placing.ROLES:
                raise ImportRefused.of(
                    "{layer} has no field '{name}'. It has: {names}.",
                    "{label} không có trường '{name}'. Có: {names}.",
                    layer=self.layer.name,
                    label=self.layer.vi,
                    name=f,
                    names=", ".join(self.layer.by_name),
                )

    def _match(self):
        named = self._named()
        chosen = {c: f for c, f in self.chosen.items() if f in self.layer.by_name}
        guessed = ingest.mapping(self.layer, [c for c in named if c not in self.chosen])
        self.match = {c: f for c, f in guessed.items() if f not in chosen.values()} | chosen

    def _named(self):
        """The columns that hold facts, not places."""
        roles = self.positions._roles
        return [c for c in self.staging.columns if roles is None or c not in roles.names]

    def left_out(self):
        return [c for c in self._named() if c not in self.match]

    def _learn(self, frame):
        for c in frame.columns:
            texts = self._texts.setdefault(c, set())
            if len(texts) < _TEXTS:
                odd = {v for v in frame[c] if isinstance(v, str) and not v.isascii()}
                texts.update(list(odd)[: _TEXTS - len(texts)])
        for c, f in self.match.items():
            if c in frame and f in self.layer.key and self.layer.by_name[f].kind == "text":
                given = frame[c].dropna()
                whole = all(isinstance(v, str) and _DOT_ZERO.fullmatch(v) for v in given)
                self._dotted[c] = self._dotted.get(c, True) and whole
            if c in frame and self.layer.by_name[f].kind in ("number", "integer"):
                self._signs[c] = self._signs.get(c, set()) | coordinates.decimal_signs(frame[c])

    def _readable(self, frame):
        """The frame with text of old fonts (TCVN3, VNI, Windows-1258) in Unicode and decimal commas as numbers."""
        for c, found in self._mend.items():
            frame[c] = pd.Series(encoding.mend(frame[c], found), index=frame.index, dtype=object)
        for c in (c for c, whole in self._dotted.items() if whole):
            frame[c] = frame[c].map(lambda v: v[:-2] if isinstance(v, str) else v)
        for c, signs in self._signs.items():
            frame[c] = pd.Series(coordinates.parse_numbers(frame[c], signs), index=frame.index, dtype=object)
        return frame

    # --- placing ---

    def examine(self):
        """Ask the coordinate doctor; whether the file has any coordinates."""
        found = self.positions.numbers()
        self._tell_unread(found)
        if found is None or not (np.isfinite(found[0]) & np.isfinite(found[1])).any():
            return False
        x, y, _ = found
        self._step(0.36, N_("The coordinates are examined"))
        self._wards = placing.Wards(self.store)
        places = placing.Places(self._wards)
        named = self._named()
        for _, frame, _, _, _ in self.staging.raw():
            places.feed(self._readable(frame), named)
            self._step(0.38, N_("The coordinates are examined"))
        self.named = places.numbers()
        self.diagnosis = crs.diagnose(x, y, placing.area(self.store), places=places.outlines(), declared=self.crs)
        self._zero = (x == 0) & (y == 0)
        self.x, self.y = np.where(self._zero, np.nan, x), np.where(self._zero, np.nan, y)
        return True

    def place(self, reading):
        """Find the system of the coordinates; ImportRefused where somebody must say which one it is."""
        if self.layer.geometry is None or not self.examine():
            return
        self.notes.append(said("{en}", "{vi}", en=self.diagnosis.reason_en, vi=self.diagnosis.reason_vi))
        self.placement = placement_of(self.diagnosis, reading)
        if self._zero.any():
            self.notes.append(
                said(
                    "{count} rows have the coordinates 0, 0 (first: row {row}); they get no position.",
                    "{count} dòng có tọa độ 0, 0 (đầu tiên: dòng {row}); các dòng này không có vị trí.",
                    count=int(self._zero.sum()),
                    row=int(self._zero.argmax()) + 1,
                )
            )
        self._warn_far()

    def settled(self, reading):
        """The placing.Placement under a reading, after examine()."""
        return placement_of(self.diagnosis, reading)

    def wards_named(self, rows):
        """{row: name of the ward that its texts or codes name} of some rows."""
        return {int(r): self._wards.names[self.named[r]] for r in rows if self.named[r] >= 0}

    def _tell_unread(self, found):
        why = np.zeros(0, dtype=np.uint8) if found is None else found[2]
        bad = np.flatnonzero(why > coordinates.CODES.index("blank"))
        if len(bad):
            self.notes.append(
                said(
                    "Coordinates of {count} rows cannot be read (first: row {row}); they get no position.",
                    "Không đọc được tọa độ của {count} dòng (đầu tiên: dòng {row}); các dòng này không có vị trí.",
                    count=len(bad),
                    row=int(bad[0]) + 1,
                )
            )
        for row in bad[:SHOWN]:
            told = coordinates.problem(int(row), None, coordinates.CODES[why[row]])
            reason = said("{en}", "{vi}", en=_bare(told.en), vi=_bare(told.vi))
            self.warnings.append(checks.Problem(reason, int(row), "geometry", layer=self.layer))

    def _warn_far(self):
        far = np.flatnonzero((self.diagnosis.rows == crs.FITS_NOTHING) & ~self._zero)
        if self.placement.rows is None and len(far):
            self._warn(
                [(int(r), "") for r in far[:SHOWN]],
                lambda found: said("row {row}", "dòng {row}", row=found[0] + 1),
                said(
                    "Points more than 10 km from where they should be, outside the city or the place they name ({count})",
                    "Các điểm cách nơi mong đợi hơn 10 km, ngoài thành phố hoặc ngoài nơi được ghi ({count})",
                    count=len(far),
                ),
            )

    def _warn(self, found, sentence, head):
        """A note that names the first rows, and a warning for each."""
        told = [sentence(f) for f in found]
        listed = told[:LISTED]
        more = ("", "") if len(told) == len(listed) else (" …", " …")
        self.notes.append(
            said(
                "{head}: {rows}{more}.",
                "{head_vi}: {rows_vi}{more}.",
                head=head,
                head_vi=vietnamese(head),
                rows="; ".join(listed),
                rows_vi="; ".join(map(vietnamese, listed)),
                more=more[0],
            )
        )
        self.warnings += [
            checks.Problem(t, f[0], "geometry", layer=self.layer) for f, t in zip(found, told, strict=True)
        ][:SHOWN]

    # --- checking ---

    def check(self, held, fill, mode):
        """Check every row against the catalogue; what can be taken lies in the scratch file then."""
        layer, staging = self.layer, self.staging
        differing, elsewhere, repaired = _Some(), _Some(), 0
        label_points = self._points_only_label()
        for first, frame, shapes, high, unread in staging.raw():
            count = len(frame)
            frame = self._readable(frame)
            numbers = first + np.arange(count)
            lost = np.zeros(count, dtype=bool)
            if layer.geometry:
                frame, lost = self._with_shapes(frame, shapes, first, label_points)
            made = ingest.rename(frame, layer, self.match)
            made = blanks.numbered(made, layer, fill, numbers)
            keys = self._keys(made)
            if mode == "upsert":
                made = blanks.kept(held, layer, made, keys, fill)
            made = blanks.unplaced(layer, made, fill)
            made = ingest.fill_blanks(made, {k: v for k, v in fill.items() if k not in layer.key})
            stated = "filed_under" in fill or "filed_under" in self.match.values()
            made, fresh = (made, ()) if stated else self._filing.fill(made, held, keys if mode != "append" else None)
            staging.take_keys(numbers, keys)
            checked, refused, at = checks.sift(layer, made, alone=True)
            refused = [p.at(int(numbers[p.row])) for p in refused]
            refused += self._unreadable(frame, numbers, at, unread, lost)
            refused += self._there_already(held, made, keys, numbers) if mode == "append" else []
            self._filing.count(made, [i for i in at if i in fresh])
            staging.take(numbers[at], checked, [keys[i] or key_text((None,)) for i in at])
            staging.refuse(refused)
            staging.repaired(_renumbered(checked.repairs, numbers[at]))
            if layer.geometry:
                repaired += int(high.sum())
                elsewhere.take(self._elsewhere(frame, first))
                differing.take(
                    [
                        (int(numbers[at[i]]), *rest, _shown_key(layer, checked.rows, i))
                        for i, *rest in placing.areas_that_differ(layer, checked.rows)
                    ]
                )
            self._step(0.4 + 0.4 * (first + count) / max(self.rows, 1), N_("Rows are checked"))
        staging.refuse_doubled()
        staging.refuse_together(held.frame, lambda frame: self._replaced(frame, held, mode))
        self._tell(elsewhere, differing, repaired, label_points)
        self.notes += self._filing.notes()
        if left := self.left_out():
            self.notes.append(
                said("Columns of no field, left out: {names}.", "Các cột không vào trường nào, đã bỏ qua: {names}.",
                     names=", ".join(map(str, left)))
            )  # fmt: skip

    def _there_already(self, held, made, keys, numbers):
        """Problems of rows that can only be added, although the layer has their key."""
        reason = said("the layer has a row with this key already.", "lớp đã có dòng mang mã này.")
        known = np.flatnonzero(held.find([k or "" for k in keys]) >= 0)
        return [
            checks.Problem(reason, int(numbers[i]), self.layer.key[0], layer=self.layer, key=checks.name_of(self.layer, made, i))
            for i in known
        ]  # fmt: skip

    def _keys(self, made):
        if any(k not in made for k in self.layer.key):
            return [None] * len(made)
        return [None if all(p is None for p in k) else key_text(k) for k in checks.key_texts(self.layer, made)]

    def _replaced(self, frame, held, mode):
        if mode == "replace":
            return np.ones(len(frame), dtype=bool)
        there = np.zeros(len(frame), dtype=bool)
        for _, keys, _ in self.staging.pieces():
            at = held.find(keys)
            there[at[at >= 0]] = True
        return there

    def _points_only_label(self):
        """Whether the coordinates of the file are points beside areas: then they say nothing about the outlines."""
        roles = self.positions._roles
        return self.layer.geometry == "Polygon" and roles is not None and (roles.x or roles.pair) is not None

    def _with_shapes(self, frame, shapes, first, label_points):
        """(the frame with geometry in EPSG:4326, which rows fit no system of the file)."""
        count, lost = len(frame), np.zeros(len(frame), dtype=bool)
        made = np.full(count, None, dtype=object)
        if self.placement is not None:
            lost = self.placement.lost(count, first)
            if shapes is not None:
                made = self.placement.shapes(shapes, first)
                made[self._zero[first : first + count]] = None
            else:
                span = slice(first, first + count)
                lon, lat = self.placement.points(self.x[span], self.y[span], first)
                there = np.isfinite(lon) & np.isfinite(lat)
                made[there] = shapely.points(lon[there], lat[there])
        self._spots = made
        if label_points:
            made, lost = np.full(count, None, dtype=object), np.zeros(count, dtype=bool)
        return gpd.GeoDataFrame(frame, geometry=made, crs="EPSG:4326"), lost

    def _elsewhere(self, frame, first):
        if self.placement is None or self._wards is None:
            return []
        points = self._spots
        points = np.where(shapely.get_type_id(points) == 0, points, None)
        named = self.named[first : first + len(frame)]
        return [(first + r, *rest) for r, *rest in placing.misplaced(self._wards, named, points)]

    def _unreadable(self, frame, numbers, at, unread, lost):
        """Problems of rows that would lose their place in silence."""
        taken, out = set(at.tolist()), []
        for i in np.flatnonzero(unread | lost):
            reason = (
                said("the geometry cannot be read.", "không đọc được hình học.")
                if unread[i]
                else said(
                    "the coordinates fit none of the systems of this file, or several.",
                    "tọa độ không hợp với hệ nào của tệp này, hoặc hợp với nhiều hệ.",
                )
            )
            if i in taken or unread[i]:
                out.append(checks.Problem(reason, int(numbers[i]), "geometry", layer=self.layer, key=_first(frame, i)))
        return out

    def _tell(self, elsewhere, differing, high, label_points):
        if high:
            self.notes.append(
                said(
                    "Heights (or measures) of {count} geometries were left out, the map is flat.",
                    "Đã bỏ độ cao (hoặc số đo) của {count} hình, vì bản đồ phẳng.",
                    count=high,
                )
            )
        count, repairs = self.staging.repairs(LISTED)
        self.notes += repairs
        if count > len(repairs):
            self.notes.append(
                said("{count} outlines were repaired in all.", "Tổng cộng đã sửa {count} đường biên.", count=count)
            )
        if label_points and self.placement is not None:
            self.notes.append(
                said(
                    "The coordinates are points and this layer holds areas: the outlines stay as they are.",
                    "Tọa độ là các điểm còn lớp này gồm các vùng: đường biên giữ nguyên.",
                )
            )
        if elsewhere.count:
            self._warn(
                elsewhere.rows,
                lambda found: placing.misplaced_sentence(self._wards, found),
                said(
                    "Points in another ward than the row says ({count})",
                    "Các điểm nằm ở phường xã khác với dòng ghi ({count})",
                    count=elsewhere.count,
                ),
            )
        if differing.count:
            self._warn(
                differing.rows,
                lambda found: placing.area_sentence(found[-1], found[:-1]),
                said(
                    "Official areas that differ from the drawn ones by more than 5 % ({count})",
                    "Diện tích công bố lệch hơn 5 % so với hình vẽ ({count})",
                    count=differing.count,
                ),
            )


def _renumbered(repairs, numbers):
    """Repairs of a piece with the row numbers of the file; the word about heights is said once for all rows."""
    return [r.at(int(numbers[r.row])) for r in repairs if getattr(r, "row", None) is not None]


def _shown_key(layer, rows, i):
    return checks.name_of(layer, rows, i)


def _first(frame, i):
    value = frame.iloc[i, 0] if len(frame.columns) else None
    return ingest.cell(value) if not isinstance(value, shapely.Geometry) else ""


def _bare(sentence):
    """A sentence of geo/coordinates.py without its row."""
    return sentence.split(": ", 1)[-1]
