"""The own layers of a siting study in its step of constraints: listed, brought in by a file or as text, used, taken out.

A layer that is brought in gets a rule and a criterion of its own, off or without weight where nobody asked for them, so
that the lists of rules and criteria change them later. Fields of a new layer are named own.*, those of the network
network.*, and the button that takes a layer out sends its code as own.remove.
"""

import copy
import re

from layers.errors import LayerError
from layers.letters import fold
from server import layeruses, ownlayers, planforms, sitespec
from server.corners import SYSTEM_CODES
from server.forms import FormError, text_of
from server.i18n import gettext as _
from server.i18n import language, ngettext, number
from server.planwords import kinds_word
from server.quantities import NO_NUMBER, quantity
from server.quantities import shown as as_typed
from server.readings import option, reading_of
from server.sitekinds import CRITERIA, RULES
from server.sitewords import LAYER

MOST = 20
REACH_M = 2000.0
OFF_M = 500.0
_READINGS = (*map(str, SYSTEM_CODES), "32648", "9210:swapped", "4326:swapped", "4326:shifted")
_NEW = ("name", "source", "wkt", "distance_m", "rule_source", "within_m", "weight")


def read(services, form, file, spec):
    """(the question with what the form of the step of constraints says, sentences about a layer brought in).

    form: rules, network, own.* and own.remove; file: the uploaded file of a new layer or None. Raises FormError; where
    the file could be read but something else is wrong, its `case` is {"own.wkt": text} with the shapes, so that the
    file need not be sent again.
    """
    errors, told, kept, made = {}, [], {}, copy.deepcopy(spec)
    _network(form, made, errors)
    try:
        made = planforms.read("rules", form, made)
    except FormError as e:
        errors |= e.errors
    gone = text_of(form, "own.remove", 60)
    if gone:
        made = without(made, gone)
    if any(text_of(form, f"own.{name}", 10) for name in ("name", "source", "wkt")) or _sent(file):
        told, kept = _bring(services, form, file, made, errors)
    if not errors:
        try:
            made = sitespec.checked(made)
        except sitespec.SpecError as e:
            errors = {_ours(name): words[language()] for name, words in e.problems_of}
    if errors:
        raise FormError(errors, kept)
    return made, told


def _sent(file):
    return file is not None and bool(file.filename)


def _ours(name):
    return re.sub(r"^layers\[\d+\]", "own", name)


def without(spec, code):
    """The question without a layer and all that hangs on it; the same where there is no such layer."""
    own = LAYER + code
    made = spec | {"layers": [row for row in spec["layers"] if row["code"] != code]}
    for name in ("rules", "criteria"):
        made[name] = [row for row in spec[name] if row["code"] != own]
    if spec["network"] and spec["network"]["layer"] == code:
        made["network"] = None
    if spec["pairs"]:
        left = {key: times for key, times in spec["pairs"].items() if own not in key.split("|")}
        made["pairs"] = left or None
    return made


def settled(form, spec):
    """A form that met another revision: rows of own layers, which may stand in other places now, show what stands there."""
    form = form.copy()
    for name, first in (("rules", len(RULES)), ("criteria", len(CRITERIA))):
        for key in [k for k in form if (m := re.match(rf"{name}\[(\d+)\]", k)) and int(m[1]) >= first]:
            form.poplist(key)
    for k, row in enumerate(spec["rules"]):
        if row["code"].startswith(LAYER) and row["on"]:
            form[f"rules[{k}].on"] = "yes"
    return form


# --- a new layer ---


def _bring(services, form, file, made, errors):
    """Put the typed layer into the question; (sentences, what to keep of the file)."""
    wanted = _wanted(form, errors)
    if len(made["layers"]) >= MOST:
        errors["own.name"] = _("A study takes at most %(most)s layers of its own: remove one first.", most=MOST)
    for name in ("name", "source"):
        if not wanted[name]:
            errors[f"own.{name}"] = _("This must be filled in.")
    if any(row["name"] == wanted["name"] for row in made["layers"]):
        errors["own.name"] = _("There is a layer of this name already.")
    try:
        brought = _shapes(services, form, file, errors)
    except ownlayers.SystemAsked as e:
        errors["own.system"] = getattr(e, language())
        system = {"own.system": option(e.declared)} if e.declared else {}
        return [], ({"own.wkt": e.wkt} if _sent(file) else {}) | system
    if brought is None:
        return [], {}
    kept = {"own.wkt": brought.wkt, "own.system": "4326"} if _sent(file) else {}
    code = _code(wanted["name"], made["layers"])
    kinds, _corners = ownlayers.counted(brought.wkt)
    if wanted["network"] and set(kinds) != {"lines"}:
        errors["own.network"] = _(
            "Distances can only run along lines; these shapes are %(kinds)s.", kinds=kinds_word(kinds)
        )
    if errors:
        return [], kept
    made["layers"].append({"code": code, "name": wanted["name"], "source": wanted["source"], "wkt": brought.wkt})
    made["rules"].append(_rule(code, wanted))
    made["criteria"].append(_criterion(code, wanted, made["pairs"]))
    if wanted["network"]:
        made["network"] = {"layer": code, "crossings": wanted["crossings"], "most_off_m": OFF_M}
    told = [_("The layer “%(name)s” was added: %(kinds)s.", name=wanted["name"], kinds=kinds_word(kinds))]
    told += [note.vi if language() == "vi" else str(note) for note in brought.notes]
    if wanted["measure"] and made["pairs"]:
        told.append(
            _("The weights follow answers on pairs: give the layer a weight in the next step and answer for it.")
        )
    return told, kept


def _wanted(form, errors):
    """What the form says of a new layer beside its shapes."""
    out = {name: " ".join(text_of(form, f"own.{name}", 2000).split()) for name in ("name", "source", "rule_source")}
    if len(out["name"]) > 200:
        errors["own.name"] = _("At most %(most)s characters.", most=200)
    out |= {name: form.get(f"own.{name}") == "yes" for name in ("rule", "network", "crossings")}
    measure = form.get("own.measure", "")
    out["measure"] = measure if measure in ("near", "far") else ""
    out["distance_m"] = _number(form, "own.distance_m", errors, 0.0, 0, 100_000, needed=out["rule"])
    out["within_m"] = _number(form, "own.within_m", errors, REACH_M, 1, 200_000, needed=bool(out["measure"]))
    out["weight"] = _number(form, "own.weight", errors, 1.0, 0.001, 1e6, needed=bool(out["measure"]))
    if out["rule"] and not out["rule_source"]:
        errors["own.rule_source"] = _("Say where this distance comes from.")
    if not (out["rule"] or out["network"] or out["measure"]):
        errors["own.rule"] = _("Say what the layer is for: a distance to keep, distances along it, or a measure.")
    return out


def _number(form, name, errors, blank, least, most, *, needed):
    typed = text_of(form, name, 40)
    if not needed:
        return blank
    try:
        value = quantity(typed, language())
    except ValueError:
        errors[name] = _(NO_NUMBER)
        return blank
    if not least <= value <= most:
        errors[name] = _("This must be %(least)s to %(most)s.", least=number(least), most=number(most))
        return blank
    return value


def _shapes(services, form, file, errors):
    text, chosen = form.get("own.wkt") or "", form.get("own.system") or ""
    at = "own.file" if _sent(file) else "own.wkt"
    if not _sent(file) and not text.strip():
        errors["own.file"] = _("Choose a file, or paste the shapes as WKT.")
        return None
    try:
        reading = reading_of(chosen) if chosen in _READINGS else None
        if _sent(file):
            return ownlayers.of_file(services.store, file.filename, file.stream, reading)
        return ownlayers.of_text(services.store, text, reading)
    except ownlayers.SystemAsked:
        raise
    except LayerError as e:
        errors[at] = getattr(e, language())
    return None


def _code(name, layers):
    """A code of letters and digits made of the name, that no layer has.

    >>> _code("Kênh An Kim Hải", []), _code("<b>", [{"code": "b"}]), _code("…", [])
    ('kenh-an-kim-hai', 'b-2', 'layer')
    """
    base = re.sub(r"[^a-z0-9]+", "-", fold(name)).strip("-")[:24].strip("-") or "layer"
    taken = {row["code"] for row in layers}
    return next(code for k in range(1, 1000) if (code := base if k == 1 else f"{base}-{k}") not in taken)


def _rule(code, wanted):
    made = {"code": LAYER + code, "on": wanted["rule"], "distance_m": wanted["distance_m"] if wanted["rule"] else 0.0}
    return made | {
        "source": wanted["rule_source"] if wanted["rule"] else "",
        "at_least": None,
        "at_most": None,
        "classes": [],
    }


def _criterion(code, wanted, pairs):
    ends = (0.0, 1.0) if wanted["measure"] == "far" else (1.0, 0.0)
    weight = wanted["weight"] if wanted["measure"] and not pairs else 0.0
    return {"code": LAYER + code, "weight": weight, "curve": [[0.0, ends[0]], [wanted["within_m"], ends[1]]]}


def _network(form, spec, errors):
    """What the form says of the network; left as it is where the page showed no choice."""
    if "network.layer" not in form:
        return
    code = text_of(form, "network.layer", 60)
    if not code or code == text_of(form, "own.remove", 60):
        spec["network"] = None
        return
    row = next((row for row in spec["layers"] if row["code"] == code), None)
    if row is None or set(ownlayers.counted(row["wkt"])[0]) != {"lines"}:
        errors["network.layer"] = _("Choose one of the study's layers of lines.")
        return
    typed = text_of(form, "network.most_off_m", 40)
    off = OFF_M if not typed else _number(form, "network.most_off_m", errors, OFF_M, 0, 50_000, needed=True)
    spec["network"] = {"layer": code, "crossings": form.get("network.crossings") == "yes", "most_off_m": off}


# --- what the page shows ---


def shown(spec, form=None, errors=None):
    """What templates/_plan_layers.html shows: own (rows), network (fields or None), new (fields), open (the form of a new
    layer is unfolded)."""
    errors = errors or {}
    rows = [_row(row, spec) for row in spec["layers"]]
    lines = [(row["code"], row["name"]) for row in rows if row["lines"]]
    net = spec["network"] or {"layer": "", "crossings": False, "most_off_m": OFF_M}

    def f(name, value="", **more):
        typed = form is not None and name in form
        held = form.get(name) if typed else as_typed(value, language())
        if more.get("kind") == "check":
            held = form.get(name) == "yes" if form is not None else bool(value)
        return {"name": name, "kind": "text", "value": held, "error": errors.get(name), **more}

    new = {name: f(f"own.{name}") for name in _NEW} | {name: f(f"own.{name}") for name in ("system", "measure")}
    new |= {name: f(f"own.{name}", kind="check") for name in ("rule", "network", "crossings")}
    new["distance_m"] |= {"kind": "number", "unit": "m"}
    new["within_m"] = f("own.within_m", REACH_M, kind="number", unit="m")
    new["weight"] = f("own.weight", 1.0, kind="number")
    return {
        "own": rows,
        "network": {
            "options": [("", _("straight lines")), *lines],
            "layer": f("network.layer", net["layer"]),
            "crossings": f("network.crossings", net["crossings"], kind="check"),
            "most_off_m": f("network.most_off_m", net["most_off_m"], kind="number", unit="m"),
        } if lines else None,
        "new": new, "file_error": errors.get("own.file"), "full": len(rows) >= MOST,
        "systems": [("", _("found out from the coordinates")), *((text, _system(text)) for text in _READINGS)],
        "suffixes": ",".join(ownlayers.SUFFIXES), "most_mb": ownlayers.FILE_BYTES // 1_000_000,
        "most_corners": number(ownlayers.MOST_CORNERS, 0),
        "open": any(name.startswith("own.") for name in errors),
    }  # fmt: skip


def _row(row, spec):
    kinds, corners = ownlayers.counted(row["wkt"])
    uses = [use[language()] for use in layeruses.uses(spec, row["code"])]
    return {
        "code": row["code"], "name": row["name"], "source": row["source"], "kinds": kinds_word(kinds), "uses": uses,
        "corners": ngettext("%(num)s corner", "%(num)s corners", corners), "lines": set(kinds) == {"lines"},
    }  # fmt: skip


def _system(text):
    found = reading_of(text)
    name = found.name_vi if language() == "vi" else found.name_en
    return f"{name} (EPSG:{found.epsg})"
