"""The parts of a siting question that say what is built and where: area, facility, sizes, plants, own layers, network, sites.

Each function reads one part of the document with a docreader.Reader, which keeps every problem with the name of its field,
and gives the part in its checked form.
"""

import re
from dataclasses import fields

from geo.plans import Effort
from server.i18n import N_
from server.sitekinds import GROUPS, table
from server.sitewords import LAYER

EFFORT = {f.name for f in fields(Effort)}


def area(reader, value):
    """{} for the whole city, {"units": codes} or {"wkt": outline}."""
    if not isinstance(value, dict) or set(value) - {"units", "wkt"} or len(value) > 1:
        reader.wrong("area", N_("The area is the whole city, a list of units, or an outline."))
        return {}
    if "units" in value:
        codes = reader.codes("area.units", value["units"])
        return {"units": codes} if codes else {}
    return {"wkt": reader.shape("area.wkt", value["wkt"], True)} if "wkt" in value else {}


def facility(reader, given, day):
    """Kind, technology and enclosure of the works, with the planner's own distances and land."""
    out = dict(given)
    out["kind"] = reader.choice("facility.kind", given["kind"], GROUPS)
    rows = table()[table()["facility_group"] == out["kind"]]
    known = list(
        dict.fromkeys(rows.loc[rows["kind"].isin(("minimum", "assessment", "not_established")), "facility_type"])
    )
    out["technology"] = reader.choice("facility.technology", given["technology"], known)
    for name in ("enclosed", "upstream"):
        out[name] = reader.flag(f"facility.{name}", given[name], blank=True)
    out["upwind"] = reader.flag("facility.upwind", given["upwind"])
    mine = rows[rows["facility_type"] == out["technology"]]
    if out["enclosed"] is None and mine["enclosed"].replace("", None).nunique() > 1:
        reader.wrong("facility.enclosed", N_("Say whether the works are enclosed, with odour collected and treated."))
    out["entries"] = []
    for k, row in enumerate(
        reader.rows("facility.entries", given["entries"], ("distance_m", "source", "enclosed"), 20)
    ):
        field = f"facility.entries[{k}]"
        out["entries"].append(
            {
                "distance_m": reader.number(f"{field}.distance_m", row.get("distance_m"), 0, 50_000),
                "source": reader.text(f"{field}.source", row.get("source"), needed=True),
                "enclosed": reader.flag(f"{field}.enclosed", row.get("enclosed"), blank=True),
            }
        )
    out["ha_per_1000"] = reader.number("facility.ha_per_1000", given["ha_per_1000"], 0, 10_000, blank=True)
    out["belt_m"] = reader.number("facility.belt_m", given["belt_m"], 0, 5_000, blank=True)
    entered = out["ha_per_1000"] is not None or out["belt_m"] is not None
    out["land_source"] = reader.text("facility.land_source", given["land_source"], needed=entered)
    return out


def sizes(reader, value):
    """Capacities with their costs, the smallest first."""
    rows = reader.rows("sizes", value, ("capacity_m3_day", "cost"), 20)
    out = [
        {
            "capacity_m3_day": reader.number(f"sizes[{k}].capacity_m3_day", row.get("capacity_m3_day"), 0.001, 1e8),
            "cost": reader.number(f"sizes[{k}].cost", row.get("cost"), 0, 1e12, blank=True),
        }
        for k, row in enumerate(rows)
    ]
    if not out:
        reader.wrong("sizes", N_("Give at least one size."))
    if len({row["capacity_m3_day"] for row in out}) < len(out):
        reader.wrong("sizes", N_("A size is given twice."))
    return sorted(out, key=lambda row: row["capacity_m3_day"])


def plants(reader, given):
    """What of the standing plants counts."""
    spare = given["spare"] if isinstance(given["spare"], dict) else {}
    if spare is not given["spare"]:
        reader.wrong("plants.spare", N_("This must be a group of fields."))
    return {
        "keep": reader.flag("plants.keep", given["keep"]),
        "building": reader.flag("plants.building", given["building"]),
        "spare": {
            str(code): reader.number(f"plants.spare.{code}", value, 0, 1e8) for code, value in sorted(spare.items())
        },
        "source": reader.text("plants.source", given["source"], needed=bool(spare)),
    }


def layers(reader, value):
    """The layers that the study brings along."""
    out = []
    for k, row in enumerate(reader.rows("layers", value, ("code", "name", "source", "wkt"), 20)):
        field = f"layers[{k}]"
        code = reader.text(f"{field}.code", row.get("code"), most=40, needed=True)
        if code and not re.fullmatch(r"[A-Za-z0-9_-]+", code):
            reader.wrong(f"{field}.code", N_("A code has letters, digits, - and _ only."))
        out.append(
            {
                "code": code,
                "name": reader.text(f"{field}.name", row.get("name") or code, most=200),
                "source": reader.text(f"{field}.source", row.get("source"), needed=True),
                "wkt": reader.shape(f"{field}.wkt", row.get("wkt"), False),
            }
        )
    if len({row["code"] for row in out}) < len(out):
        reader.wrong("layers", N_("A code is given twice."))
    return out


def network(reader, value, own):
    """The own layer along which distances run, or None for straight lines."""
    if value is None:
        return None
    if not isinstance(value, dict) or set(value) - {"layer", "crossings", "most_off_m"}:
        reader.wrong("network", N_("The network is a layer of lines that the study brings along."))
        return None
    if LAYER + str(value.get("layer")) not in own:
        reader.wrong("network.layer", N_("There is no own layer %(code)s."), code=str(value.get("layer")))
    return {
        "layer": str(value.get("layer")),
        "crossings": reader.flag("network.crossings", value.get("crossings", False)),
        "most_off_m": reader.number("network.most_off_m", value.get("most_off_m", 500.0), 0, 50_000),
    }


def given(reader, value):
    """Sites of the planner's own, by code."""
    out = []
    for k, row in enumerate(reader.rows("given", value, ("code", "lon", "lat"), 2000)):
        code = reader.text(f"given[{k}].code", row.get("code"), most=60, needed=True)
        out.append({"code": code} | reader.place(f"given[{k}]", row))
    if len({row["code"] for row in out}) < len(out):
        reader.wrong("given", N_("A code is given twice."))
    return sorted(out, key=lambda row: row["code"])


def block(reader, value):
    """Places that stay free, each with its reason."""
    out = []
    for k, row in enumerate(reader.rows("block", value, ("lon", "lat", "radius_m", "reason"), 500)):
        field = f"block[{k}]"
        made = reader.place(field, row)
        made["radius_m"] = reader.number(f"{field}.radius_m", row.get("radius_m"), 1, 50_000)
        out.append(made | {"reason": reader.text(f"{field}.reason", row.get("reason"), most=500, needed=True)})
    return out


def effort(reader, given):
    """The fields of geo.plans.Effort."""
    return {
        "gap": reader.number("effort.gap", given["gap"], 0, 0.5),
        **{
            name: reader.number(f"effort.{name}", given[name], 0, 10**9, whole=True, blank=name == "nodes")
            for name in EFFORT - {"gap", "seconds"}
        },
        "seconds": reader.number("effort.seconds", given["seconds"], 0.1, 86_400, blank=True),
    }
