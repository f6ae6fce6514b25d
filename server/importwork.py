"""The long work of imports: a file is looked at, tried and written. Called by the worker, told to services.imports.

Each function may be begun again after its process died: a check starts from the file, and what was
written is recognised, never written twice.
"""

from layers.catalogue import ALL
from layers.checks import check as check_rows
from layers.errors import LayerError
from server import i18n, importrasters, imports, importtrial
from server.i18n import N_
from server.importdesk import can_import
from server.importdoor import RASTERS, ImportProblem
from server.jobs import Stopped

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
    columns, sheets = imports.samples(path, sheet, layer_name=layer)
    look = {"sheets": list(sheets), "sheet": sheet, "columns": importtrial.columns_document(columns)}
    if layer is None:
        look["layers"] = importtrial.ranked(columns, filter(can_import, ALL))
        before = desk.remembered(None, [c.name for c in columns], one.name)
        layer = before["layer"] if before and before["same"] else importtrial.clear_winner(look["layers"])
        desk.write(one.number, "look.json", look)
        if layer is None:
            return "layer"
        choices["layer_by"] = "columns"
        columns, _sheets = imports.samples(path, sheet, layer_name=layer)
        look["columns"] = importtrial.columns_document(columns)
    kept = desk.remembered(layer, [c.name for c in columns], one.name) if "columns" not in choices else None
    if kept:
        look |= {"remembered": {k: kept[k] for k in ("who", "at", "same")}, "remembered_reading": kept.get("reading")}
        choices = {k: kept[k] for k in ("columns", "fill", "mode") if kept.get(k)} | {"seen": kept["same"]} | choices
    values |= {"layer": layer, "choices": choices}
    reading = None
    if ALL[layer].geometry:
        seen = imports.doctor(services.store, path, sheet=sheet, progress=_part(task, 0.05, 0.3), stop=task.stop)
        if seen.diagnosis is not None:
            look["doctor"] = importtrial.doctor_document(services.store, seen)
            reading = choices.get("reading")
            verdict = seen.diagnosis.verdict
            if reading is None and verdict != "sure":
                desk.write(one.number, "look.json", look)
                if verdict == "refused":
                    values["error"] = {"en": seen.diagnosis.reason_en, "vi": seen.diagnosis.reason_vi}
                return "refused" if verdict == "refused" else "place"
    desk.write(one.number, "look.json", look)
    if not choices.get("seen"):
        return "columns"
    prepared = prepare(services, layer, path, choices, _part(task, 0.3, 0.95), task.stop)
    values |= {"counts": importtrial.counts(prepared), "base": prepared.version}
    keep_trial(services, one, prepared)
    return "ready"


def keep_trial(services, one, prepared, **more):
    """The dry run as documents in the folder of the import."""
    desk = services.imports
    held = services.book.rows() if prepared.layer.gated else services.store.snapshot(prepared.layer.name)
    desk.write(one.number, "trial.json", importtrial.trial_document(prepared, held) | more)
    path = desk.folder(one.number) / "refused.csv"
    path.unlink(missing_ok=True)
    imports.write_refused(prepared, path)


def prepare(services, layer, path, choices, progress, stop):
    """The file tried against the layer, or the register, as it is now."""
    return imports.prepare(
        services.store,
        layer,
        path,
        sheet=choices.get("sheet"),
        reading=imports.reading_of(choices["reading"]) if choices.get("reading") else None,
        columns=choices.get("columns"),
        fill=choices.get("fill"),
        mode=choices.get("mode", "upsert"),
        held=services.book.rows() if ALL[layer].gated else None,
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
    one = desk.expected(
        task.payload["import"], task.payload["revision"], "applying" if wanted == "apply" else "undoing"
    )
    if one is None:
        return {"state": "overtaken"}
    try:
        state, values = (_applied if wanted == "apply" else _put_back)(services, one, task, wanted)
    except imports.Stopped:
        raise Stopped from None
    except (LayerError, ImportProblem) as e:
        state, values = _before(one), {"error": both(e)}
    if state is not None:
        desk.found(one, state, **values)
    return {"state": state}


def _before(one):
    """The state of an import before the work on it began."""
    return "ready" if one.state == "applying" else "undone" if one.restored else "applied"


def _applied(services, one, task, _wanted):
    """(state, values) where the import is told afterwards; (None, {}) where it was told with what was written."""
    desk, store = services.imports, services.store
    if one.layer.startswith("raster:"):
        return importrasters.applied(services, one, task)
    path = desk.path(one)
    prepared = prepare(services, one.layer, path, one.choices, _part(task, 0, 0.7), task.stop)
    fresh = {"counts": importtrial.counts(prepared), "base": prepared.version}
    changed = prepared.version != one.base if not prepared.layer.gated else fresh["counts"] != one.counts
    if changed or prepared.sha256 != one.sha256:
        version, who = desk.newest_of(one.layer)
        keep_trial(services, one, prepared, rechecked={"version": version, "who": who})
        return "ready", fresh | {"error": None}
    task.tell(0.75, N_("The version is written"))
    if prepared.layer.gated:
        source = f"{prepared.name} ({prepared.sha256[:12]})"
        services.book.take_rows(task.who, prepared.trial.checked.rows, source=source)
        with store.transaction() as con:
            desk.done_in(con, task.who, one, "apply", state="applied", written_at=desk.moment())
    else:
        with store.transaction() as con:
            if store.version_in(con, one.layer) != one.base:
                raise ImportProblem(N_("The layer was changed at this moment. Check the file again."), "changed")
            store.write_in(
                con,
                [prepared.trial.checked],
                source=prepared.name,
                who=task.who.name,
                mode=mode_of(one),
                note=note(one),
            )
            written = store.version_in(con, one.layer)
            desk.done_in(con, task.who, one, "apply", state="applied", written=written, written_at=desk.moment())
    desk.remember(task.who, one, list(prepared.columns) + [str(c) for c in prepared.left_out])
    return None, {}


def mode_of(one):
    return one.choices.get("mode", "upsert")


def note(one):
    n = one.counts
    return f"{one.code}: {n['new']} new, {n['changed']} changed, {n['refused']} refused, sha256 {one.sha256[:12]}"


def _put_back(services, one, task, wanted):
    """The version before the import, or the import's own, put back as a new one."""
    desk, store = services.imports, services.store
    if one.layer.startswith("raster:"):
        return importrasters.put_back(services, one, task, wanted)
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
