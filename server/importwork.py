"""The long work of imports: a file is looked at, tried and written. Called by the worker, told to services.imports.

Each function may be begun again after its process died: a check starts from the file, and what was
written is recognised, never written twice.
"""

import json
import logging

from layers.catalogue import ALL
from layers.checks import check as check_rows
from layers.errors import LayerError
from layers.staging import FILE_NAME as SCRATCH
from layers.staging import Staging
from layers.trials import Trial
from server import i18n, importdesk, importrasters, imports, importtrial
from server.docket import CLASSERS
from server.i18n import N_
from server.importdesk import can_import
from server.importdoor import RASTERS, ImportProblem, digest
from server.jobs import Stopped

log = logging.getLogger("cangxanh")

# --- check ----------------------------------------------------------------------------------------


def check(services, task):
    """Look at a file as far as nobody has to choose, and try it; the outcome stands in the import."""
    desk = services.imports
    one = desk.expected(task.payload["import"], task.payload["revision"], "checking")
    if one is None:
        return {"state": "overtaken"}
    values = {}
    try:
        state = _checked(services, one, task, values)
    except imports.Stopped:
        raise Stopped from None
    except (LayerError, ImportProblem) as e:
        state, values["error"] = "refused", both(e)
    desk.found(one, state, **{"error": None} | values)
    return {"state": state}


def both(problem):
    """{"en", "vi"} of a problem that people can mend."""
    if isinstance(problem, ImportProblem):
        return {"en": str(problem), "vi": i18n.translations("vi").gettext(problem.sentence) % problem.values}
    return {"en": problem.en, "vi": problem.vi}


def _checked(services, one, task, values):
    """The state of an import after its check; what was found goes into values, the documents into its folder."""
    desk, path = services.imports, services.imports.path(one)
    if path.suffix in RASTERS:
        return importrasters.checked(services, one, path, task, values)
    sheet, layer, choices = one.choices.get("sheet"), one.layer, dict(one.choices)
    task.tell(0.02, N_("The file is read"))
    try:
        columns, sheets = imports.samples(path, sheet, layer_name=layer)
    except LayerError:
        raise
    except Exception as e:  # whatever a parser says of bytes that are no such file
        log.warning("import %s cannot be read", one.code, exc_info=e)
        raise ImportProblem(
            N_("The file cannot be read: it is damaged, or not what its name says."), "unreadable"
        ) from e
    look = {"sheets": list(sheets), "sheet": sheet, "columns": importtrial.columns_document(columns)}
    if layer is None:
        look["layers"] = importtrial.ranked(columns, filter(can_import, ALL))
        before = desk.memory.remembered(None, [c.name for c in columns], one.name)
        layer = before["layer"] if before and before["same"] else importtrial.clear_winner(look["layers"])
        desk.write(one.number, "look.json", look)
        if layer is None:
            return "layer"
        choices["layer_by"] = "columns"
        columns, _sheets = imports.samples(path, sheet, layer_name=layer)
        look["columns"] = importtrial.columns_document(columns)
    kept = desk.memory.remembered(layer, [c.name for c in columns], one.name) if "columns" not in choices else None
    if kept:
        look |= {"remembered": {k: kept[k] for k in ("who", "at", "same")}, "remembered_reading": kept.get("reading")}
        choices = {k: kept[k] for k in ("columns", "fill", "mode") if kept.get(k)} | {"seen": kept["same"]} | choices
    values |= {"layer": layer, "choices": choices}
    if ALL[layer].gated and task.who.role not in CLASSERS:
        raise ImportProblem(
            N_(
                "Hotspots go into the register of cases, in which planners do not write. An administrator can go on with this file."
            )
        )
    if ALL[layer].geometry:
        look |= doctor_of(services, one, layer, choices, task)
    desk.write(one.number, "look.json", look)
    doctor = look.get("doctor")
    if doctor and not choices.get("reading") and doctor["verdict"] != "sure":
        if doctor["verdict"] == "refused":
            values["error"] = {"en": doctor["reason_en"], "vi": doctor["reason_vi"]}
        return "refused" if doctor["verdict"] == "refused" else "place"
    if not choices.get("seen"):
        return "columns"
    with prepare(services, one, layer, choices, _part(task, 0.3, 0.95), task.stop) as prepared:
        values |= {"counts": importtrial.counts(prepared), "base": prepared.version}
        keep_trial(services, one, prepared, choices)
    keep_rows(desk, one)
    return "ready"


def doctor_of(services, one, layer, choices, task):
    """What the coordinate doctor sees, for the document of the first steps; seen before, it is not looked for again."""
    desk, places = services.imports, {c: f for c, f in (choices.get("columns") or {}).items() if f.startswith("@")}
    asked = [one.sha256, choices.get("sheet"), sorted(places.items()), services.store.versions().get("admin_units")]
    before = desk.read(one.number, "look.json") or {}
    if before.get("asked") == json.loads(json.dumps(asked)):
        return {"asked": asked, "doctor": before.get("doctor")}
    seen = imports.doctor(
        services.store, desk.path(one), sheet=choices.get("sheet"), columns=places, layer_name=layer,
        progress=_part(task, 0.05, 0.3), stop=task.stop,
    )  # fmt: skip
    made = importtrial.doctor_document(services.store, seen) if seen.diagnosis is not None else None
    return {"asked": asked, "doctor": made}


def keep_rows(desk, one):
    """Note the checksum of the checked rows, so that applying need not check them once more."""
    trial = desk.read(one.number, "trial.json")
    desk.write(one.number, "trial.json", trial | {"staged": digest(desk.folder(one.number) / SCRATCH)})


def kept_rows(services, one):
    """The Prepared of the trial that people saw, or None where the layer moved on or the rows are there no more."""
    desk, layer, folder = services.imports, ALL[one.layer], services.imports.folder(one.number)
    trial, rows = desk.read(one.number, "trial.json") or {}, folder / SCRATCH
    if layer.gated or not rows.is_file() or services.store.versions().get(one.layer, 0) != one.base:
        return None
    if digest(rows) != trial.get("staged") or digest(desk.path(one)) != one.sha256:
        return None
    n = one.counts
    told = Trial([], {}, n["same"], [], [], n["new"], n["changed"], n["missing"], n["refused"])
    staging = Staging(folder, layer, again=True)
    return imports.Prepared(
        layer, told, trial["columns"], trial["left_out"], None, [], [], one.sha256, one.name, staging.count(), one.base,
        staging, end=staging.close,
    )  # fmt: skip


def tidy(desk, one):
    """Let go of the scratch file of a trial."""
    for left in desk.folder(one.number).glob(f"{SCRATCH}*"):
        left.unlink(missing_ok=True)


def keep_trial(services, one, prepared, choices, **more):
    """The dry run as documents in the folder of the import."""
    desk = services.imports
    held = services.book.rows() if prepared.layer.gated else services.store.snapshot(prepared.layer.name)
    desk.write(one.number, "trial.json", importtrial.trial_document(prepared, held, choices) | more)
    path = desk.folder(one.number) / "refused.csv"
    path.unlink(missing_ok=True)
    imports.write_refused(prepared, path)


def prepare(services, one, layer, choices, progress, stop):
    """The file tried against the layer, or the register, as it is now; the rows lie in the folder of the import."""
    desk = services.imports
    return imports.prepare(
        services.store,
        layer,
        desk.path(one),
        folder=desk.folder(one.number),
        sheet=choices.get("sheet"),
        reading=imports.reading_of(choices["reading"]) if choices.get("reading") else None,
        columns=choices.get("columns"),
        fill=choices.get("fill"),
        mode=choices.get("mode", "upsert"),
        held=services.book.rows() if ALL[layer].gated else None,
        today=services.today(),
        progress=progress,
        stop=stop,
    )


def _part(task, low, high):
    """progress() of a part of the work as shares of the whole."""

    def progress(share, words, **values):
        task.tell(low + (high - low) * share, words, **values)

    return progress


# --- apply, undo, redo ----------------------------------------------------------------------------


def apply(services, task):
    """Write what the trial showed, or put a version back; whole, or not at all."""
    desk, wanted = services.imports, task.payload["do"]
    one = desk.expected(task.payload["import"], task.payload["revision"], importdesk.DOES[wanted])
    if one is None:
        return {"state": "overtaken"}
    try:
        state, values = (_applied if wanted == "apply" else _put_back)(services, one, task, wanted)
    except imports.Stopped:
        raise Stopped from None
    except (LayerError, ImportProblem) as e:
        state, values = importdesk.BEFORE[one.state], {"error": both(e)}
    if state is not None:
        desk.found(one, state, **values)
    return {"state": state}


def _applied(services, one, task, _wanted):
    """(state, values) where the import is told afterwards; (None, {}) where it was told with what was written."""
    if one.layer.startswith("raster:"):
        return importrasters.applied(services, one, task)
    kept = kept_rows(services, one)
    with kept or prepare(services, one, one.layer, one.choices, _part(task, 0, 0.5), task.stop) as prepared:
        outcome = _written(services, one, task, prepared)
    if outcome[0] is None:
        tidy(services.imports, one)
    return outcome


def _written(services, one, task, prepared):
    desk, store = services.imports, services.store
    fresh = {"counts": importtrial.counts(prepared), "base": prepared.version}
    changed = prepared.version != one.base if not prepared.layer.gated else fresh["counts"] != one.counts
    if changed or prepared.sha256 != one.sha256:
        version, who = desk.newest_of(one.layer)
        keep_trial(services, one, prepared, one.choices, rechecked={"version": version, "who": who})
        keep_rows(desk, one)
        return "ready", fresh | {"error": None}
    applied = {"state": "applied", "written_at": desk.moment()}
    if prepared.layer.gated:
        task.tell(0.75, N_("The rows go into the register"))
        source, rows = f"{one.mark(1)}{prepared.name} ({prepared.sha256[:12]})", prepared.checked().rows
        with store.transaction() as con:
            services.book.take_rows_in(con, task.who, rows, source=source)
            desk.done_in(con, task.who, one, "apply", written=1, **applied)
    else:

        def tell(con):
            desk.done_in(con, task.who, one, "apply", written=store.version_in(con, one.layer), **applied)

        imports.apply(
            store, prepared, who=task.who.name, mode=one.choices.get("mode", "upsert"), expected=one.base,
            progress=_part(task, 0.5, 1), stop=task.stop, then=tell,
        )  # fmt: skip
    desk.memory.remember(task.who, one, [*prepared.columns, *prepared.left_out])
    return None, {}


def _put_back(services, one, task, wanted):
    """The version before the import, or the import's own, put back as a new one."""
    desk, store = services.imports, services.store
    if one.layer.startswith("raster:"):
        return importrasters.put_back(services, one, task, wanted)
    if one.gated:
        return _given_back(services, one, task, wanted)
    number = one.base if wanted == "undo" else one.written
    task.tell(0.2, N_("The version is put back"))
    if number:
        checked = check_rows(ALL[one.layer], store.version(one.layer, number), repair=False)
    else:
        empty = store.version(one.layer, one.written).iloc[:0]
        checked = check_rows(ALL[one.layer], empty, repair=False)
    with store.transaction() as con:
        desk.overtaken(con, one)
        words = f"{one.code} taken back" if wanted == "undo" else f"{one.code} put back"
        store.write_in(con, [checked], source=f"version {number}", who=task.who.name, note=f"{words}: version {number}")
        restored = store.version_in(con, one.layer)
        state = "undone" if wanted == "undo" else "applied"
        desk.done_in(con, task.who, one, wanted, state=state, restored=restored, written_at=one.written_at)
    return None, {}


def _given_back(services, one, task, wanted):
    """The cases of an import as they were before it, or again as it left them, as far as nobody went on from there."""
    last = one.restored or one.written
    words = "thu hồi lần nạp / import taken back" if wanted == "undo" else "nạp lại / import put back"
    task.tell(0.2, N_("The cases are put back"))
    with services.store.transaction() as con:
        services.imports.overtaken(con, one)
        reason = f"{one.mark(last + 1)}{one.name}: {words}"
        told = services.book.take_back_in(con, task.who, one.mark(last), reason=reason)
        if not any(t["able"] for t in told):
            raise ImportProblem(
                N_("People have gone on with every one of these cases; change them one by one."), "gated"
            )
        state = "undone" if wanted == "undo" else "applied"
        services.imports.done_in(con, task.who, one, wanted, state=state, restored=last + 1, written_at=one.written_at)
    return None, {}
