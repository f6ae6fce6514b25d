"""Rasters on their way into a slot: tried as a file of their own, then put in the place of the present one.

The tried file lies in the folder of the import as TRIED, the one it replaced as BEFORE; each is renamed
into place whole. Nothing else in the store changes, so that taking it back is the same step the other way.
"""

import os
import shutil
from pathlib import Path

from layers import rasters
from layers.letters import fold
from server.i18n import N_
from server.importdesk import RASTER_SLOTS
from server.importdoor import ImportProblem

TRIED, BEFORE, NONE = "tried.tif", "before.tif", "before.none"  # NONE: the slot was empty
_WORDS = {"population": ("dan so", "population", "worldpop", "ghs pop", "people", "ppp"),
          "elevation": ("dem", "dtm", "dsm", "do cao", "cao do", "elevation", "srtm", "fabdem"),
          "land_cover": ("phu dat", "lop phu", "land cover", "landcover", "lulc", "worldcover", "su dung dat")}  # fmt: skip


def guessed(name):
    """The slot that the name of a file speaks of, or None.

    >>> guessed("hai_phong_dem_30m.tif"), guessed("ban do.tif")
    ('elevation', None)
    """
    text = f" {fold(Path(name).stem.replace('_', ' ').replace('-', ' '))} "
    found = [slot for slot, words in _WORDS.items() if any(f" {w} " in text for w in words)]
    return found[0] if len(found) == 1 else None


def checked(services, one, path, task, values):
    """The state of an import after a raster was tried; see server/importwork.py."""
    desk, slot = services.imports, (one.layer or "").removeprefix("raster:")
    choices = dict(one.choices)
    if slot not in RASTER_SLOTS:
        slot = guessed(one.name)
        desk.write(one.number, "look.json", {"columns": [], "sheets": [], "raster": True})
        if slot is None:
            return "layer"
        choices["layer_by"] = "columns"
        values |= {"layer": f"raster:{slot}", "choices": choices}
    task.tell(0.1, N_("The raster is read"))
    tried = desk.folder(one.number) / TRIED
    facts, notes = rasters.try_slot(services.store, slot, path, tried)
    desk.write(one.number, "look.json", {"columns": [], "sheets": [], "raster": True})
    document = {
        "shown": 0,
        "new": [],
        "changed": [],
        "missing": [],
        "refused": [],
        "repairs": [],
        "repaired": 0,
        "odd": [],
    }
    desk.write(one.number, "trial.json", document | {"facts": facts, "notes": notes})
    values |= {"counts": {}, "base": 0, "choices": choices}
    return "ready"


def applied(services, one, task):
    """Put the tried file in its slot; begun again it sees that this was done."""
    desk, folder = services.imports, services.imports.folder(one.number)
    slot = rasters.slot_path(services.store.data_dir, one.layer.removeprefix("raster:"))
    if (folder / TRIED).is_file():
        if slot.is_file():
            _copy(slot, folder / BEFORE)
        else:
            (folder / NONE).touch()
        os.replace(folder / TRIED, slot)
    elif not slot.is_file():
        raise ImportProblem(
            N_("The file of this import is kept no more. Bring it again to go on with it."), "forgotten"
        )
    return _told(services, one, task, "apply", state="applied", written=1, written_at=desk.moment())


def put_back(services, one, task, wanted):
    """Change the raster of the slot and the one that lies in the folder of the import."""
    folder = services.imports.folder(one.number)
    slot = rasters.slot_path(services.store.data_dir, one.layer.removeprefix("raster:"))
    source, kept = (BEFORE, TRIED) if wanted == "undo" else (TRIED, BEFORE)
    newer = [
        other for other in services.imports.recent(1_000)
        if other.layer == one.layer and other.number != one.number and (other.written_at or "") > (one.written_at or "")
        and other.state == "applied"
    ]  # fmt: skip
    if newer:
        raise ImportProblem(
            N_("Another raster was put in this place after this import; take that one back first."), "overtaken"
        )
    if slot.is_file() and not (folder / kept).is_file():
        _copy(slot, folder / kept)
    if (folder / source).is_file():
        os.replace(folder / source, slot)
    elif wanted == "undo" and (folder / NONE).is_file():
        slot.unlink(missing_ok=True)
    state = "undone" if wanted == "undo" else "applied"
    return _told(services, one, task, wanted, state=state, restored=(one.restored or 1) + 1)


def _copy(path, target):
    fresh = target.with_name(target.name + ".part")
    shutil.copyfile(path, fresh)
    os.replace(fresh, target)


def _told(services, one, task, action, **values):
    with services.store.transaction() as con:
        services.imports.done_in(con, task.who, one, action, **values)
    return None, {}
