"""The registers as plain rows: facilities with their state at a date, and hotspots."""

import pandas as pd

from geo import coverage
from geo.coverage import SCENARIOS
from layers import boundaries
from layers.catalogue import LAYERS
from server.i18n import gettext as _
from server.i18n import language, number, text
from server.records import known, plain, source_of, unit_word

FACILITY_LAYERS = ("treatment_plants", "industrial_zones", "waste_sites", "port_areas")


# --- facilities ---


def facilities(services, as_of):
    """All facilities as rows with the state and capacity of a date, in one list."""
    store = services.store
    states = coverage.states_at(store.snapshot("plant_states"), as_of).set_index("plant")
    treatment = services.figures.zone_treatment(as_of)
    wards, old = services.figures.wards_of_places(), services.figures.old_districts()
    names = store.snapshot("admin_units").set_index("code")
    out = []
    for layer in FACILITY_LAYERS:
        for record in store.snapshot(layer).to_dict("records"):
            r = plain(record) | {"layer": layer}
            code = r["code"]
            ward = wards.get(code)
            r["unit"] = (
                None if ward is None else {"code": ward, **{k: names.at[ward, k] for k in ("name_vi", "name_en")}}
            )
            r |= {
                "old_districts": old.get(code, ()),
                "state_since": None,
                "capacity_m3": None,
                "measured_m3": None,
                "compliance": None,
                "treatment": None,
            }
            if layer == "treatment_plants":
                r["group"], r["state"], r["compliance"] = "wastewater_plant", "unknown", "unknown"
                r["capacity_m3"] = r["design_m3d"]
                if code in states.index:
                    s = states.loc[code]
                    r["state"], r["compliance"] = s["state"], s["compliance"]
                    r["state_since"] = None if pd.isna(s["valid_from"]) else s["valid_from"].date()
                    r["capacity_m3"] = known(s["capacity_likely"]) or r["capacity_m3"]
                    r["measured_m3"] = known(s["measured"])
                elif r["kind"] == "programme":
                    r["state"] = "planned"
            elif layer == "industrial_zones":
                r["group"], r["treatment"] = r["kind"], treatment.get(code)
            elif layer == "waste_sites":
                r["group"], r["state"] = "solid_waste", waste_state(r["status_en"])
            else:
                r["group"], r["state"] = "port", "operating" if r["kind_en"] != "system" else "unknown"
            out.append(r)
    return out


def waste_state(status):
    """State of a waste site from the words of its source; `unknown` where they do not say.

    >>> waste_state("overloaded (2013)"), waste_state("planned"), waste_state(None)
    ('operating', 'planned', 'unknown')
    """
    status = status or ""
    if status.startswith(("operating", "overloaded")):
        return "operating"
    return "planned" if status.startswith("planned") else "unknown"


def facility_card(services, code, as_of):
    """Everything known about one facility, or None."""
    row = next((r for r in facilities(services, as_of) if r["code"] == code), None)
    if row is None:
        return None
    store = services.store
    names = {r["code"]: r for r in facilities(services, as_of)}
    units = services.figures.inputs().units
    links = services.figures.links(as_of)
    flows = services.figures.ledger(as_of).flows.set_index(["unit", "destination"])
    serves, served_by = [], []
    for link in links.to_dict("records"):
        if code not in (link["unit"], link["destination"]):
            continue
        key = (link["unit"], link["destination"])
        flow = {s: known(flows.at[key, f"m3d_{s}"]) if key in flows.index else None for s in SCENARIOS}
        other = link["unit"] if link["destination"] == code else link["destination"]
        named = units.loc[other] if other in units.index else names.get(other)
        if named is None:
            continue
        entry = {
            "code": other, "name_vi": named["name_vi"], "name_en": named["name_en"], "flow": flow,
            "kind": named["kind"] if other in units.index else named["group"],
            "basis": link["basis"].replace(" ", "_"), "note": text(plain(link), "note"), "source": link["source"],
        }  # fmt: skip
        (serves if link["destination"] == code else served_by).append(entry)
    history = store.snapshot("plant_states")
    history = history[history["plant"] == code].sort_values("valid_from", ascending=False, na_position="last")
    return {
        "facility": row,
        "serves": serves,
        "served_by": served_by,
        "history": [
            {"date": None if pd.isna(h["valid_from"]) else h["valid_from"].date(), "state": h["state"],
             "note": text(plain(h), "note"), "source": h["source"]}
            for h in history.to_dict("records")
        ],
        "facts": facility_facts(row | {"filed_under": filed_under(services, row)}),
        "sources": source_of(row),
    }  # fmt: skip


_HIDDEN = {"code", "name_vi", "name_en", "kind", "state", "valid_from", "valid_to", "geometry_quality", "coord_source",
           "source", "source_date", "confidence", "design_m3d"}  # fmt: skip


def facility_facts(row):
    """Label and value of every public field of a facility that says something, in the reader's language."""
    layer, out = LAYERS[row["layer"]], []
    for f in layer.fields:
        if f.name in _HIDDEN or not f.public or f.name.startswith("note_") or f.name.endswith("_en"):
            continue
        if f.name.endswith("_vi"):
            stem = f.name[:-3]
            value = text(row, stem)
            label = layer.by_name[f"{stem}_en"].en if language() == "en" else f.vi
        else:
            value = row.get(f.name)
            label = getattr(f, language())
            if value is not None and f.kind == "number":
                value = number(value)
            elif value is not None and f.kind == "integer":
                value = str(int(value))
            elif value is not None and f.allowed:
                value = layer.words(f.name, value, language())
        if value:
            out.append({"label": label, "value": value, "unit": unit_word(f.unit) if f.unit != "people" else ""})
    return out


def filed_under(services, row):
    """The boundary version a record was filed under, in words: as recorded, else by the day of its source; or None."""
    recorded = row.get("filed_under")
    code = recorded or boundaries.version_of_date(services.store, row.get("source_date"))
    version = code and services.figures.boundary(code)
    if not version:
        return recorded
    return text(version, "name") if recorded else _("%(name)s (by the date of its source)", name=text(version, "name"))


# --- hotspots ---


def hotspots(services, as_of):
    """All public hotspots as rows."""
    wards, old = services.figures.wards_of_places(), services.figures.old_districts()
    names = services.store.snapshot("admin_units").set_index("code")
    out = []
    for record in services.store.snapshot("hotspots").to_dict("records"):
        r = plain(record)
        ward = wards.get(r["code"])
        r["unit"] = None if ward is None else {"code": ward, **{k: names.at[ward, k] for k in ("name_vi", "name_en")}}
        r["old_districts"] = old.get(r["code"], ())
        r["media_list"] = r["media"].split(";")
        r["class"] = r["severity_class"] or "not_enough_data"
        out.append(r)
    return out
