"""The versions of the layers as people look at them: what there is, what each version changed, the past of one row.

Versions never change, so what was read or compared once is kept, as far as memory allows.
"""

import threading
from collections import OrderedDict
from dataclasses import dataclass
from datetime import date, datetime, timedelta

import numpy as np
import pandas as pd
import shapely

from layers import audit, rows
from layers.asof import StoreAsOf
from layers.catalogue import ALL
from layers.errors import StoreError, said
from layers.letters import fold
from server import changes
from server.figures import Figures
from server.rowkeys import key_text

EDITED = "edit of a row"  # source of a version that one row's form made
COUNTED = 5_000  # up to so many rows a list says what each version changed, without being asked
_ACTIONS = {"feature_edit": "changed", "feature_add": "added", "feature_remove": "removed"}
_FRAME_ROWS, _CHANGES = 250_000, 250_000  # how much is kept in memory


@dataclass(frozen=True)
class Held:
    """One version read: its frame, and the row number of a key."""

    layer: object
    frame: object

    def at(self, key):
        """The number of the row with a key as rows.keys gives it, or None."""
        return rows.at_key(self.layer, self.frame, key)


@dataclass(frozen=True)
class Entry:
    """What one version did to one row. change: server.changes.Change; version: as Store.history gives it.

    told: the audit's own account where the rows are no longer kept: {"old": ..., "new": ...}, else None.
    """

    version: dict
    change: changes.Change | None
    told: dict | None = None


class LayerBook:
    """Versions of the layers of one store. Thread-safe."""

    def __init__(self, store):
        self.store = store
        self._lock = threading.Lock()
        self._frames, self._differences, self._letters = OrderedDict(), OrderedDict(), {}

    # --- versions ---

    def overview(self):
        """One dict per layer and table: layer, rows, version, at, who, source (None where nothing was written yet),
        refused: problems of an edit by another program that is not used."""
        refused, newest = self.store.refused(), {}
        for v in self.store.history():
            newest.setdefault(v["layer"], v)
        blank = {"version": 0, "at": None, "who": None, "source": None, "rows": 0, "note": None}
        return [
            {"layer": layer, **(blank | newest.get(name, {}) | {"layer": layer}), "refused": refused.get(name, [])}
            for name, layer in ALL.items()
        ]

    def versions(self, name):
        """The versions of a layer, newest first, as Store.history with `kept`: whether its rows are still there."""
        kept = self.store.kept(name)
        return [v | {"kept": v["version"] in kept} for v in self.store.history(name)]

    def frame(self, name, number):
        """Held rows of a version; number 0 is the empty layer. StoreError where they are no longer kept."""
        key = (name, number)
        with self._lock:
            if key in self._frames:
                self._frames.move_to_end(key)
                return self._frames[key]
        frame = self._read(name, number)
        held = Held(ALL[name], frame)
        with self._lock:
            self._frames[key] = held
            self._make_room(self._frames, lambda h: len(h.frame), _FRAME_ROWS)
        return held

    def _read(self, name, number):
        if number == 0:
            return rows.frame_of(ALL[name], [])
        if self.store.versions().get(name) == number:
            frame = self.store.snapshot(name)  # there already, as a rule
            if self.store.versions().get(name) == number:
                return frame
        return self.store.version(name, number)

    @staticmethod
    def _make_room(kept, size, most):
        total = sum(size(v) for v in kept.values())
        while total > most and len(kept) > 2:
            total -= size(kept.popitem(last=False)[1])

    def difference(self, name, older, newer):
        """The changes.Difference between two versions of a layer; 0 is the empty layer. StoreError as frame()."""
        key = (name, older, newer)
        with self._lock:
            if key in self._differences:
                self._differences.move_to_end(key)
                return self._differences[key]
        was, now, shared = self.store.apart(name, older, newer)
        made = changes.difference(ALL[name], was, now, same=shared)
        with self._lock:
            self._differences[key] = made
            self._make_room(self._differences, lambda d: len(d.changes), _CHANGES)
        return made

    def counts(self, version, kept, actions):
        """What a version changed against the one before, as Difference.counts; None where that cannot or need not be said.

        kept: the numbers of the versions whose rows are there. actions: of edits().
        """
        number, name = version["version"], version["layer"]
        if number in actions:
            return dict.fromkeys((*changes.KINDS, "shape"), 0) | {actions[number]: 1}
        if not {number, number - 1} <= kept | {0} or version["rows"] > COUNTED:
            return None
        return self.difference(name, number - 1, number).counts

    def edits(self, name):
        """{version: kind of change} of the versions that the form of one row made, from the audit."""
        with self.store.reading() as con:
            found = list(audit.rows(con, thing=f"feature:{name}/*"))
        return {r["new"]["version"]: _ACTIONS[r["action"]] for r in found if r["new"] and r["action"] in _ACTIONS}

    # --- one row ---

    def row(self, name, number, key):
        """A row of a version as a Series, or None; key as rows.keys gives it."""
        held = self.frame(name, number)
        i = held.at(key)
        return None if i is None else held.frame.iloc[i]

    def now(self, name):
        """(number, Held) of the newest version of a layer."""
        number = self.store.versions().get(name, 0)
        return number, self.frame(name, number)

    def found(self, name, number, typed):
        """Row numbers of a version whose key or texts hold what was typed, without marks; where none does, all its words.

        Rows whose key or name hold it come first, each part in the order of the layer.
        """
        held = self.frame(name, number)
        phrase = " ".join(fold(typed).split())
        if not phrase:
            return list(range(len(held.frame)))
        with self._lock:
            letters = self._letters.get(name)
        if letters is None or letters[0] != number:
            texts = [f.name for f in ALL[name].fields if f.kind == "text" and f.name not in ("source", "coord_source")]
            known, fresh = letters[3] if letters else {}, {}  # most texts are those of the version before
            columns = {n: _folded(held.frame[n], known, fresh) for n in texts if held.frame[n].notna().any()}
            made = [" ".join(parts) for parts in zip(*columns.values(), strict=True)] or [""] * len(held.frame)
            first = [columns[n] for n in (*ALL[name].key, "name_vi", "name_en") if n in columns]
            names = [" ".join(parts) for parts in zip(*first, strict=True)]
            letters = (number, made, names or made, fresh)
            with self._lock:
                self._letters[name] = letters
        _number, made, names, _texts = letters
        hits = [i for i, text in enumerate(made) if phrase in text]
        hits = hits or [i for i, text in enumerate(made) if all(w in text for w in phrase.split())]
        return sorted(hits, key=lambda i: phrase not in names[i])

    def past(self, name, key, *, most=None):
        """The Entry of every version that changed one row, newest first; (entries, whether older versions were not read).

        most: read at most so many versions of a large layer. Of versions whose rows are no longer kept only edits
        by the form of a row are told, from the audit.
        """
        kept = self.store.kept(name)
        told = self._told(name, key)
        entries, read, more = [], 0, False
        for v in self.store.history(name):
            number = v["version"]
            if not {number, number - 1} <= kept | {0}:
                if number in told:
                    entries.append(Entry(v, None, told[number]))
                continue
            if v["source"] == EDITED:
                change = number in told and _audited(ALL[name], key, told[number])
                if number not in told or change:  # the form of another row made it, or the audit says it all
                    entries += [Entry(v, change)] if change else []
                    continue
            if most is not None and read >= most:
                more = True
                continue
            read += 1
            change = self.difference(name, number - 1, number).by_key.get(key)
            if change:
                entries.append(Entry(v, change))
        return entries, more

    def _told(self, name, key):
        """{version: {"action", "old", "new"}} of the audit of one row."""
        with self.store.reading() as con:
            found = list(audit.rows(con, thing=f"feature:{name}/{key_text(key)}"))
        return {r["new"]["version"]: {k: r[k] for k in ("action", "old", "new")} for r in found if r["new"]}

    # --- figures with the data of then ---

    def figures_at(self, moment, population, as_of):
        """The Coverage of the city for the date as_of, computed with the data in use at a moment.

        Raises StoreError as StoreAsOf, and where those data did not suffice, as before the first norms.
        """
        try:
            return Figures(StoreAsOf(self.store, moment), population).coverage("city", as_of)
        except (KeyError, ValueError) as e:
            if isinstance(e, StoreError):
                raise
            told = said("The data of then do not suffice for figures.", "Dữ liệu lúc đó chưa đủ để tính số liệu.")
            raise StoreError(told) from e

    def moments(self, version):
        """(just before, at) the moment when a version came into use."""
        at = datetime.fromisoformat(version["at"])
        return at - timedelta(milliseconds=1), at


def _folded(column, known, fresh):
    """The letters of a column of texts without marks; each text that stands there often is looked at once.

    known: {text: letters} that need not be looked at again; fresh: takes those of this column.
    """
    codes, texts = pd.factorize(column, use_na_sentinel=True)
    letters = [known[t] if t in known else fold(str(t)) for t in texts]
    fresh.update(zip(texts, letters, strict=True))
    return np.array([*letters, ""], dtype=object)[codes].tolist()


def _audited(layer, key, told):
    """The Change of a row as the audit of its form tells it; None where an outline was too long for the audit."""
    old, new = told["old"] or {}, {k: v for k, v in told["new"].items() if k not in ("version", "reason")}
    try:
        shapes = [shapely.from_wkt(side["geometry"]) if side.get("geometry") else None for side in (old, new)]
    except shapely.errors.GEOSException:
        return None
    read = {"date": date.fromisoformat, "integer": int, "number": float, "text": str}

    def value(side, f):
        return None if side.get(f.name) is None else read[f.kind](side[f.name])

    fields = {f.name: (value(old, f), value(new, f)) for f in layer.fields if f.name in old or f.name in new}
    shape = changes.Shape(*shapes) if any(s is not None for s in shapes) else None
    return changes.Change(_ACTIONS[told["action"]], key, None, None, fields, shape)


def book_of(extensions, store):
    """The LayerBook of an application, kept in its extensions between requests."""
    return extensions.get("cangxanh-layerbook") or extensions.setdefault("cangxanh-layerbook", LayerBook(store))
