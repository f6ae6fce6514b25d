"""Rasters on their way into a slot: tried as a file of their own in the folder of the import, then put in place."""

from pathlib import Path

from layers import rasters
from layers.errors import vietnamese
from layers.letters import fold
from server.i18n import N_
from server.importdoor import ImportProblem

TRIED = "tried.tif"
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


def newest(store, slot):
    """(version, who) of what stands in a slot; version 0 where nothing was ever put there."""
    known = rasters.history(store, slot)
    return (known[0]["version"], known[0]["who"]) if known else (0, "")


def checked(services, one, path, task, values):
    """The state of an import after its raster was tried; see server/importwork.py."""
    desk, slot = services.imports, (one.layer or "").removeprefix("raster:")
    choices = dict(one.choices)
    desk.write(one.number, "look.json", {"columns": [], "sheets": []})
    if slot not in rasters.SLOTS:
        slot = guessed(one.name)
        if slot is None:
            return "layer"
        choices["layer_by"] = "columns"
        values |= {"layer": f"raster:{slot}", "choices": choices}
    task.tell(0.1, N_("The raster is read"))
    base = newest(services.store, slot)[0]
    try_again(services, one, slot, path)
    values |= {"counts": {}, "base": base, "choices": choices}
    return "ready"


def try_again(services, one, slot, path, **more):
    """Try the raster against its slot as it is now, and keep what the page shows."""
    desk = services.imports
    facts, notes = rasters.try_slot(services.store, slot, path, desk.folder(one.number) / TRIED)
    nothing = {name: [] for name in ("new", "changed", "missing", "refused", "repairs", "odd")}
    told = [{"en": str(n), "vi": vietnamese(n)} for n in notes]
    desk.write(one.number, "trial.json", nothing | {"shown": 0, "repaired": 0, "facts": facts, "notes": told} | more)


def applied(services, one, task):
    """Put the tried raster in its slot; (state, values) where people must look again, or (None, {})."""
    desk, store, slot = services.imports, services.store, one.layer.removeprefix("raster:")
    tried, (version, who) = desk.folder(one.number) / TRIED, newest(store, slot)
    before = rasters.history(store, slot)
    if not tried.is_file() and before and before[0]["source"] == one.name and version > one.base:
        number = version  # put in place by work that died before it could tell
    elif version != one.base:
        try_again(services, one, slot, desk.path(one), rechecked={"version": version, "who": who})
        return "ready", {"base": version, "error": None}
    else:
        if not tried.is_file():
            try_again(services, one, slot, desk.path(one))
        facts = (desk.read(one.number, "trial.json") or {}).get("facts")
        task.tell(0.6, N_("The raster is put in its place"))
        number = rasters.put(store, slot, tried, who=task.who.name, source=one.name, facts=facts)
    return _told(services, one, task, "apply", state="applied", written=number, written_at=desk.moment())


def put_back(services, one, task, wanted):
    """The raster from before the import, or the import's own, put back as a new version; a place that was empty is so again."""
    store, slot = services.store, one.layer.removeprefix("raster:")
    version, who = newest(store, slot)
    if version != (one.restored or one.written):
        raise ImportProblem(
            N_("Another raster was put in this place after this import: version %(version)s by %(who)s. Take that back first."),
            "overtaken", version=version, who=who,
        )  # fmt: skip
    number = one.written - 1 if wanted == "undo" else one.written
    restored = rasters.put_back(store, slot, number, who=task.who.name)
    return _told(services, one, task, wanted, state="undone" if wanted == "undo" else "applied", restored=restored)


def _told(services, one, task, action, **values):
    with services.store.transaction() as con:
        services.imports.done_in(con, task.who, one, action, **values)
    return None, {}
