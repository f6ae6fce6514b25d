"""The card of one unit: where its waste water goes, how we know, and what is not known."""

import pandas as pd
import pyproj

from geo import coverage, places
from geo.coverage import SCENARIOS
from server.figures import WARD_KINDS
from server.i18n import gettext as _
from server.i18n import number, text
from server.records import find, known, plain, source_of, unit_word

_GEOD = pyproj.Geod(ellps="WGS84")
NEAR_M = 5000
_NOTHING_KNOWN = dict.fromkeys(SCENARIOS)


# --- units ---


def unit_card(services, code, as_of, with_building=False):
    """The card "Where does my waste water go?" of a ward, district, city, zone or port; None for an unknown code."""
    figures, store = services.figures, services.store
    made = figures.inputs()
    admin = find(store, "admin_units", code)
    if code in made.units.index:
        by = "ward"
    elif admin is not None:
        by = admin["kind"] if admin["kind"] in ("district", "city") else "ward"
    else:
        return None
    view = figures.coverage(by, as_of, with_building)
    row = next((r for r in view.rows if r["code"] == code), None)
    record = admin or find(store, "industrial_zones", code) or find(store, "port_areas", code)
    if row is None and code == "HP":
        row = view.total | {"code": code}
    if row is None:  # its waste water is not known: a card without figures, which says so
        row = {
            "code": code,
            "generated": _NOTHING_KNOWN,
            "parts": dict.fromkeys(coverage.PARTS, _NOTHING_KNOWN),
        }
        row["spans"] = row["parts"]
        row |= dict.fromkeys(("gap", "treated", "treated_share", "to_standard_share", "unknown_share"), _NOTHING_KNOWN)
    row = row | {
        "name_vi": record["name_vi"], "name_en": record["name_en"], "kind": record["kind"] if admin or "state" in record else "port",
    }  # fmt: skip
    people = row.get("people")
    unit = row | {
        "people": people and people["all"],
        "former_names": former_names(store, code),
        "reaches": row["treated_share"],
        "proven": row["to_standard_share"],
    }
    members = _members(figures, code, by, as_of, with_building)
    plants = _plants_of(services, [m["code"] for m in members] or [code], view)
    return {
        "unit": unit,
        "row": row,
        "status": _status(row),
        "as_of": as_of,
        "plants": plants,
        "next_steps": _next_steps(plants),
        "unknowns": _unknowns(row, plants, record),
        "steps": _steps(services, code, made, row, plants, view),
        "members": members,
        "belongs": _belongs(figures, code, made.units),
        "boundary": figures.boundary(record["filed_under"]) if record.get("filed_under") else None,
        "assumptions": _assumptions(services, code, made),
        "hotspots": _near(services, record),
        "sources": _unit_sources(figures.links(as_of), code, record),
        "record": record,
        "by": by,
    }


def former_names(store, code):
    """Names of the communes before July 2025 of which a ward was made, or the ward's old district."""
    rows = store.snapshot("old_names")
    rows = rows[rows["ward_code"] == code]
    part = _("in part")
    return [
        f"{r.old_type_vi} {r.old_name_vi}" + (f" ({r.old_district_vi})" if r.old_district_vi else "")
        + (f", {part}" if r.part == "part" else "")
        for r in rows.itertuples()
    ]  # fmt: skip


def _status(row):
    likely = row["treated_share"]["likely"]
    if likely is None:
        return "unknown"
    if row["to_standard_share"]["likely"] > 0.95:
        return "to_standard"
    if likely > 0.95:
        return "reaches"
    if likely > 0:
        return "partly"
    return "unknown" if row["unknown_share"]["likely"] > 0.5 else "none"


def _plants_of(services, codes, view):
    """The plants linked to a unit; for the units of a group each plant once, without a share."""
    store = services.store
    links = services.figures.links(view.as_of)
    states = coverage.states_at(store.snapshot("plant_states"), view.as_of).set_index("plant")
    names = store.snapshot("treatment_plants").set_index("code")
    out = []
    for link in links[links["unit"].isin(codes)].to_dict("records"):
        plant = link["destination"]
        if plant not in names.index or plant in {p["code"] for p in out}:
            continue
        state = states.loc[plant] if plant in states.index else None
        share = {s: None if pd.isna(link[f"share_{s}"]) else float(link[f"share_{s}"]) for s in SCENARIOS}
        out.append(
            {
                "code": plant, "name_vi": names.at[plant, "name_vi"], "name_en": names.at[plant, "name_en"],
                "state": "unknown" if state is None else state["state"],
                "state_since": None if state is None or pd.isna(state["valid_from"]) else state["valid_from"].date(),
                "capacity_m3": None if state is None else known(state["capacity_likely"]),
                "measured_m3": None if state is None else known(state["measured"]),
                "compliance": "unknown" if state is None else state["compliance"],
                "share": share if len(codes) == 1 else None, "basis": link["basis"].replace(" ", "_"),
                "link_note": text(plain(link), "note"), "link_source": link["source"],
                "state_note": "" if state is None else text(plain(state), "note"),
            }
        )  # fmt: skip
    return out


def _next_steps(plants):
    return [
        {
            "text": _("%(name)s is being built.", name=text(p, "name")),
            "date": None,
            "source": p["link_source"],
        }
        for p in plants
        if p["state"] == "building"
    ]


def _unknowns(row, plants, record):
    out = []
    if row["generated"]["likely"] is None:
        if record.get("declared_m3d") is None and "berths" in record:
            out.append(_("How much waste water the port produces: no declared flow was found."))
        else:
            out.append(_("How much waste water it produces: neither a flow nor an area was found."))
    for p in plants:
        name = text(p, "name")
        if p["share"] and p["share"]["likely"] is None:
            out.append(_("How much of the waste water here goes to %(name)s.", name=name))
        if p["capacity_m3"] is None:
            out.append(_("The capacity of %(name)s.", name=name))
        if p["measured_m3"] is None:
            out.append(_("The flow that %(name)s really receives.", name=name))
        if p["compliance"] == "unknown":
            out.append(_("Whether the water that leaves %(name)s meets the standard.", name=name))
        if p["state"] == "unknown":
            out.append(_("Whether %(name)s worked on this date.", name=name))
    if not plants and row["generated"]["likely"] is not None and (row["unknown_share"]["likely"] or 0) > 0:
        out.append(_("Whether there are sewers here, and where they lead."))
    if (row["unknown_share"]["likely"] or 0) > 0:
        out.append(_("How many homes only have a septic tank."))
    return out


def _steps(services, code, made, row, plants, view):
    """How the likely figures of one unit come about, line by line: words and the sum with its numbers."""
    if code not in made.units.index or row["generated"]["likely"] is None:
        return []
    u, norms = made.units.loc[code], services.figures.norms()
    out = []
    if u["basis"] in ("people_urban", "people_rural"):
        supply = norms["supply_urban" if u["basis"] == "people_urban" else "supply_rural"]
        out.append((
            _("People × litres supplied per person and day × share that comes back as waste water / 1000"),
            f"{number(u['people'], 0)} × {number(supply.likely)} × {number(norms['return_share'].likely)} / 1000 "
            f"= {number(u['likely'], 0)}",
        ))  # fmt: skip
    elif u["basis"] == "area":
        area, per_ha = row_area(services, code), norms["industry_per_ha"]
        occupancy = u["likely"] / (area * per_ha.likely)
        out.append((
            _("Area in ha × occupancy × m³ per occupied hectare and day"),
            f"{number(area)} × {number(occupancy, 3)} × {number(per_ha.likely)} = {number(u['likely'], 0)}",
        ))  # fmt: skip
    elif u["basis"] == "licensed":
        licensed = find(services.store, "industrial_zones", code)["licensed_m3d"]
        out.append((
            _("Licensed flow × occupancy"),
            f"{number(licensed, 0)} × {number(u['likely'] / licensed, 3)} = {number(u['likely'], 0)}",
        ))  # fmt: skip
    else:
        out.append((_("Flow as measured or declared"), number(u["likely"], 0)))
    states = view.ledger.plants
    for p in plants:
        if not p["share"] or p["share"]["likely"] is None or p["code"] not in states.index:
            continue
        s, sent = states.loc[p["code"]], u["likely"] * p["share"]["likely"]
        out.append((
            _("Sent to %(name)s: share of this place", name=text(p, "name")),
            f"{number(u['likely'], 0)} × {number(p['share']['likely'], 3)} = {number(sent, 0)}",
        ))  # fmt: skip
        if not s["works"]:
            out.append((_("%(name)s does not work on this date", name=text(p, "name")), "0"))
        elif s["inflow_likely"] > 0:
            out.append((
                _("Treated there: in all it receives %(inflow)s and treats %(treated)s m³ a day",
                  inflow=number(s["inflow_likely"], 0), treated=number(s["treated_likely"], 0)),
                f"{number(sent, 0)} × {number(s['treated_likely'] / s['inflow_likely'], 3)} "
                f"= {number(sent * s['treated_likely'] / s['inflow_likely'], 0)}",
            ))  # fmt: skip
    out.append((_("What no link accounts for stays unknown"), number(row["parts"]["unknown"]["likely"], 0)))
    return [{"words": w, "sum": s} for w, s in out]


def row_area(services, code):
    """Area of a zone in ha."""
    return find(services.store, "industrial_zones", code)["area_ha"]


def _members(figures, code, by, as_of, with_building):
    """The rows behind a district or city: its units with their ledgers, largest first."""
    if by not in ("district", "city"):
        return []
    members = figures.members(by)
    if code != "HP":
        members = members[members["group"] == code]
    mine = members.groupby("unit")["share"].sum().to_dict()
    links = figures.ward_links(by)[0]
    basis = links[links["group"] == code].set_index("unit")["basis"].to_dict()
    rows = [
        r | {"share_here": mine[r["code"]], "share_basis": basis.get(r["code"], "exact")}
        for r in figures.coverage("ward", as_of, with_building).rows
        if r["code"] in mine
    ]
    return sorted(rows, key=lambda r: -r["generated"]["likely"])


def _belongs(figures, code, units):
    """The old units that a ward, zone or port of today lay in: code, names, kind, share, low, high, basis; most first."""
    if code not in units.index:
        return []
    admin = figures.store.snapshot("admin_units").set_index("code")
    if units.at[code, "kind"] in WARD_KINDS:
        links = pd.concat([figures.ward_links(by)[0] for by in ("district", "city")])
        rows = links[links["unit"] == code].rename(columns={"group": "code"}).to_dict("records")
    else:
        rows = [
            {"code": c, "share": 1.0, "low": 1.0, "high": 1.0, "basis": "place"}
            for c in figures.old_districts().get(code, ())
        ]
    rows = [
        r | {"kind": admin.at[r["code"], "kind"], **{k: admin.at[r["code"], k] for k in ("name_vi", "name_en")}}
        for r in rows
        if r["code"] in admin.index
    ]
    return sorted(rows, key=lambda r: (r["kind"] != "district", -r["share"]))


def _assumptions(services, code, made):
    if code not in made.units.index:
        return []
    basis = made.units.at[code, "basis"]
    norms = services.store.snapshot("norms").set_index("code")
    wanted = {
        "people_urban": ("supply_urban", "return_share"), "people_rural": ("supply_rural", "return_share"),
        "area": ("industry_per_ha", "occupancy"), "licensed": ("occupancy",),
    }.get(basis, ())  # fmt: skip
    out = []
    for key in wanted:
        n = plain(norms.loc[key])
        value = (
            f"{number(n['value_likely'])} ({number(n['value_low'])}–{number(n['value_high'])}) {unit_word(n['unit'])}"
        )
        out.append({"label": text(n, "norm"), "value": value, "source": n["reference"]})
    return out


def _near(services, record, limit=5):
    shape = record.get("geometry")
    if record.get("centre_lon") is not None:
        lon, lat = record["centre_lon"], record["centre_lat"]
    elif shape is not None and not shape.is_empty:
        at = shape if shape.geom_type == "Point" else shape.representative_point()
        lon, lat = at.x, at.y
    else:
        return []
    rows = services.store.snapshot("hotspots").set_index("code")
    away = places.distances(rows.geometry, lon, lat, geod=_GEOD).dropna().sort_values()
    away = away[away <= NEAR_M * (4 if record.get("kind") in ("district", "city") else 1)][:limit]
    return [
        {"code": c, "name_vi": rows.at[c, "name_vi"], "name_en": rows.at[c, "name_en"], "stage": rows.at[c, "stage"],
         "distance_m": float(d)}
        for c, d in away.items()
    ]  # fmt: skip


def _unit_sources(links, code, record):
    out = source_of(record)
    if record.get("population_source_en"):
        out.insert(
            0,
            {"title": text(record, "population_source"), "publisher": None, "date": None, "url": None,
             "confidence": record["population_confidence"], "geometry_quality": None, "note": _("Number of people")},
        )  # fmt: skip
    for link in links[links["unit"] == code].to_dict("records"):
        out += source_of(plain(link))
    return out
