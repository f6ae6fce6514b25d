"""Industrial zones, treatment plants, waste sites and ports: list, map, downloads, and one facility's page."""

from flask import Blueprint, abort, current_app, render_template, url_for

from server import atlas, downloads, listings, maps, query, records, register
from server.i18n import gettext as _
from server.i18n import text
from server.security import public

bp = Blueprint("facilities", __name__)
GROUPS = (
    "wastewater_plant",
    "economic_zone",
    "industrial_park",
    "industrial_cluster",
    "craft_village",
    "solid_waste",
    "port",
)
STATES = ("operating", "trial", "building", "planned", "idle", "closed", "unknown")


def services():
    return current_app.extensions["cangxanh"]


def asked():
    """The settings of the list and the rows they choose, ordered by kind, then code."""
    q = {
        "kind": query.choice("kind", ("", *GROUPS), ""),
        "state": query.choice("state", ("", *STATES), ""),
        "district": query.choice("district", ("", *_district_codes()), ""),
        "q": query.words(),
    }
    every = [
        r | {"url": url_for("facilities.one", code=r["code"])}
        for r in register.facilities(services(), services().today())
    ]
    for r in every:
        if r["unit"]:
            r["unit"]["url"] = url_for("coverage.unit", code=r["unit"]["code"])
    every.sort(key=lambda r: (GROUPS.index(r["group"]), r["code"]))
    rows = [
        r
        for r in every
        if (not q["kind"] or r["group"] == q["kind"])
        and (not q["state"] or r["state"] == q["state"])
        and (not q["district"] or q["district"] in r["old_districts"])
        and records.matches(r, q["q"])
    ]
    return q, every, rows


def _district_codes():
    admin = services().store.snapshot("admin_units")
    return admin.loc[admin["kind"] == "district", "code"]


def key(rows):
    """The signs of the map in words, with counts."""
    out = []
    for s in STATES:
        n = sum(r["group"] == "wastewater_plant" and r["state"] == s for r in rows)
        out += [{"family": "state", "code": s, "count": n}] if n else []
    for g in GROUPS[1:]:
        n = sum(r["group"] == g for r in rows)
        out += [{"family": "kind", "code": g, "count": n}] if n else []
    return out


@bp.get("/facilities")
@public
def overview():
    q, every, rows = asked()
    made = atlas.facility_layers(rows)
    return render_template(
        "facilities.html",
        query=q,
        kinds=GROUPS,
        states=STATES,
        districts=records.old_districts(services().store, every),
        total=len(every),
        rows=rows,
        map=maps.map_page(
            [atlas.ground(services().store), *made],
            bounds=atlas.CITY_BOUNDS,
            settings=current_app.config["CANGXANH"],
            label=_("Map of the facilities"),
        ),
        key=key(rows),
        unplaced=len(rows) - sum(m.count() for m in made),
        download=downloads.box(listings.FACILITIES, "/facilities", len(rows)),
    )


@bp.get("/facilities.<kind>")
@public
def file(kind):
    _q, _every, rows = asked()
    return downloads.public_file(
        listings.FACILITIES,
        kind,
        [listings.facility(r) for r in rows],
        stem="facilities",
        version=f"{services().figures.version()} {services().today()} " + ",".join(r["code"] for r in rows),
    )


@bp.get("/facilities/<code>")
@public
def one(code):
    card = register.facility_card(services(), code, services().today())
    if card is None:
        abort(404)
    row = card["facility"]
    row["url"] = None
    if row["unit"]:
        row["unit"]["url"] = url_for("coverage.unit", code=row["unit"]["code"])
    for entry in (*card["serves"], *card["served_by"]):
        known = entry["code"] in services().figures.inputs().units.index
        entry["url"] = url_for("coverage.unit" if known else "facilities.one", code=entry["code"])
    layers = [m for m in atlas.facility_layers([row]) if m.count()]
    at = [f for m in layers for f in m.features]
    made = maps.map_page(
        [atlas.ground(services().store), *layers],
        bounds=atlas.bounds_of(at),
        settings=current_app.config["CANGXANH"],
    )
    return render_template(
        "facility.html",
        map=made if at else None,
        about=text(row, "note"),
        key=key([row]),
        in_ledger=code in services().figures.inputs().units.index,
        **card,
    )
