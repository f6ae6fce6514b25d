"""Where an import stands: its row in the list, the line of its steps, the layers that it may go into."""

from datetime import datetime

from layers.catalogue import ALL
from layers.store import KEPT_FOR
from server import importdesk
from server.citytime import local
from server.docket import CLASSERS
from server.i18n import N_, date, number
from server.i18n import gettext as _
from server.importwords import COUNTS, RASTER_WORDS, layer_word

STATE_WORDS = {
    "coming": N_("being sent"), "checking": N_("being checked"), "layer": N_("choose a layer"),
    "place": N_("choose the coordinates"), "columns": N_("check the columns"), "ready": N_("ready to apply"),
    "refused": N_("cannot be used so"), "failed": N_("the check failed"), "stopped": N_("stopped"),
    "applying": N_("being written"), "applied": N_("applied"), "undoing": N_("being undone"), "redoing": N_("being redone"),
    "undone": N_("undone"), "dropped": N_("laid aside"),
}  # fmt: skip
TONES = {"applied": "high", "ready": "medium", "layer": "medium", "place": "medium", "columns": "medium",
         "refused": "low", "failed": "low"}  # fmt: skip
STEPS = (("file", N_("File checked")), ("place", N_("Coordinates")), ("columns", N_("Columns")),
         ("trial", N_("Dry run")), ("done", N_("Applied")))  # fmt: skip
AFTER_PLACE = ("columns", "ready", "failed", "stopped")  # when columns can be looked at again


def state_word(one):
    """How an import stands, in words."""
    n = one.counts or {}
    gone = n.get("missing") if one.choices.get("mode") == "replace" else 0
    if one.state == "ready" and n.get("refused") and not (n.get("new") or n.get("changed") or gone):
        return _("nothing to write")
    return _(STATE_WORDS[one.state])


def moment(at, now):
    """A time of the journal as people read it: today by the clock, before by the day."""
    there = local(at)
    return there.strftime("%H:%M") if there.date() == now.date() else date(there.date())


def summary(one, now, role="administrator"):
    """One import as a row of the list and as the head of its page, for a person of this role."""
    back = may_undo(one, now) and (not one.gated or role in CLASSERS)
    counts = {k: n for k, n in (one.counts or {}).items() if k != "missing" or one.choices.get("mode") == "replace"}
    return {
        "number": one.number, "code": one.code, "name": one.name, "layer": layer_word(one.layer),
        "who": one.who, "at": moment(one.at, now), "state": one.state, "word": state_word(one),
        "tone": TONES.get(one.state, "unknown"),
        "counts": [(k, _(w), number(counts[k])) for k, w in COUNTS if counts.get(k)],
        "undo": one.state == "applied" and back, "redo": one.state == "undone" and back,
        "revision": one.revision, "size": size_word(one.size),
    }  # fmt: skip


def size_word(size):
    """A number of bytes as people say it."""
    return f"{number(size / 1e6, 1)} MB" if size >= 1e5 else f"{number(max(size / 1e3, 0.1), 1)} kB"


def may_undo(one, now):
    """Whether the version before is still kept, as far as the import itself knows."""
    if not one.written_at or (one.gated and not one.written):
        return False
    return now - datetime.fromisoformat(one.written_at) < KEPT_FOR


def steps(one, look, at):
    """The line of steps: key, label, state (done, now, todo, skipped, wrong) and the address of one that can be opened."""
    place = place_state(one, look)
    order = [k for k, _w in STEPS]
    reached = {"layer": "file", "place": "place", "columns": "columns", "ready": "trial", "applying": "done",
               "applied": "done", "undoing": "done", "redoing": "done", "undone": "done"}.get(one.state, at)  # fmt: skip
    out = []
    for key, word in STEPS:
        state = "done" if order.index(key) < order.index(reached) else "todo"
        state = "done" if key == "done" and one.state == "applied" else state
        if key == "place" and state == "done":
            state = place
        if key == "place" and place == "skipped" and one.layer:
            state = "skipped"
        if key == "columns" and one.layer and one.layer.startswith("raster:"):
            state = "skipped"
        if key == at and not (key == "done" and one.state == "applied"):
            state = "wrong" if one.state in ("refused", "failed") else "now"
        url = f"/admin/import/{one.number}?step={key}" if key != at and opens(one, look, key) else None
        out.append({"key": key, "label": _(word), "state": state, "url": url, "current": key == at})
    return out


def place_state(one, look):
    """How the step of coordinates stands: skipped where there are none to choose."""
    if not (look or {}).get("columns"):
        return "todo"  # nothing is known of the file
    return "done" if look.get("doctor") else "skipped"


def opens(one, look, step):
    """Whether a step has something to show now."""
    if one.state in ("coming", *importdesk.BUSY) or not look:
        return False
    raster = bool(one.layer and one.layer.startswith("raster:"))
    if step == "file":
        return one.state in importdesk.WAITING
    if step == "place":
        return bool(look.get("doctor"))
    if step == "columns":
        return bool(one.layer) and not raster and bool(look.get("columns")) and one.state in AFTER_PLACE
    if step == "trial":
        return one.counts is not None
    return one.state in ("applied", "undone")


def first_step(one, look):
    """The step that a page shows when none was asked for."""
    if one.state == "refused" and ((look or {}).get("doctor") or {}).get("verdict") == "refused":
        return "place"
    if one.state == "checking":
        return "trial" if one.choices.get("seen") else "file"
    return {"applying": "done", "undoing": "done", "redoing": "done", "layer": "file", "place": "place", "columns": "columns", "ready": "trial", "applied": "done",
            "undone": "done"}.get(one.state, "file")  # fmt: skip


def layers_for(one, look, role):
    """The layers that a role may choose from: (value, word, hint), the likeliest first."""
    if one is not None and one.name.endswith((".tif", ".tiff")):
        return [(f"raster:{s}", _(w), "") for s, w in RASTER_WORDS.items()]
    matched = {r["name"]: r["matched"] for r in (look or {}).get("layers", ())}
    names = [n for n in ALL if importdesk.can_import(n) and (role in CLASSERS or not ALL[n].gated)]
    names.sort(key=lambda n: -matched.get(n, 0))
    return [(n, layer_word(n), _("%(n)s columns fit", n=number(matched[n])) if matched.get(n) else "") for n in names]
