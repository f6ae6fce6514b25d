"""Who produces waste water and what happens to it, as nodes and links of the flow diagram."""

from geo.coverage import PARTS, TREATED
from server import words
from server.figures import WARD_KINDS
from server.i18n import gettext as _
from server.i18n import m3, text

_SMALL = 0.004  # plants below this share of the whole are drawn as one


def diagram(figures, view):
    """Nodes and links (likely case, m³/day) for server.charts.flow_diagram, from the ledger of a view.

    Producers on the left, the plants that take water in the middle, the eight parts on the right.
    Water that reaches no plant goes straight to its part. Every cubic metre of the ledger is drawn.
    """
    result = view.ledger
    units = figures.inputs().units.loc[result.units]
    producer = [_producer(k) for k in units["kind"]]
    likely = result.worlds[1]
    rows = [i for i, k in enumerate(units["kind"]) if k not in WARD_KINDS] if view.by == "zone" else range(len(units))
    direct = {}
    for i in rows:
        for p, part in enumerate(PARTS):
            if likely[i, p] > 0:
                key = (producer[i], part)
                direct[key] = direct.get(key, 0.0) + likely[i, p]
    total = sum(direct.values())
    via = _through_plants(figures, result, units, {result.units[i]: producer[i] for i in rows}, total)
    links = []
    through = {}
    for (source, plant, part), value in via.items():
        direct[source, part] = direct.get((source, part), 0.0) - value
        through[source, plant] = through.get((source, plant), 0.0) + value
        through[plant, part] = through.get((plant, part), 0.0) + value
    for (source, target), value in [*through.items(), *direct.items()]:
        if value > 1e-6 * total:
            links.append({"source": source, "target": target, "value": value, "shown": m3(value)})
    plants = list(dict.fromkeys(plant for _s, plant, _p in via))
    names = _plant_names(figures)
    nodes = [
        {"id": p, "label": label, "column": "producer"}
        for p, label in (
            ("urban", _("Urban wards")),
            ("rural", _("Rural communes")),
            ("industrial_park", _("Industrial parks")),
            ("industrial_cluster", _("Industrial clusters")),
            ("craft_village", _("Craft villages")),
            ("port", _("Ports")),
        )
    ]
    nodes += [{"id": p, "label": names.get(p, _("Smaller plants")), "column": "plant"} for p in plants]
    nodes += [{"id": p, "label": words.word("part", p), "column": "outcome", "part": p} for p in PARTS]
    flow = {n["id"]: 0.0 for n in nodes}
    for link in links:
        flow[link["source"]] += link["value"]
    for n in nodes:
        value = flow[n["id"]] or sum(x["value"] for x in links if x["target"] == n["id"])
        n["shown"] = m3(value)
    return {"nodes": nodes, "links": links, "total": total}


def _producer(kind):
    if kind == "ward":
        return "urban"
    return "rural" if kind in WARD_KINDS else kind


def _through_plants(figures, result, units, producer_of, total):
    """m³/day by (producer, plant, part) of what working plants take, likely case."""
    out = {}
    plants = result.plants
    compliance = dict(zip(("meets", "unknown", "exceeds"), TREATED, strict=True))
    for f in result.flows.itertuples():
        if f.unit not in producer_of or f.destination not in plants.index or not f.m3d_likely > 0:
            continue
        p = plants.loc[f.destination]
        if not p["works"] or not p["inflow_likely"] > 0:
            continue
        plant = f.destination if p["inflow_likely"] >= _SMALL * total else "smaller"
        for part, taken in (
            (compliance[p["compliance"]], p["treated_likely"]),
            ("over_capacity", p["over_capacity_likely"]),
        ):
            value = f.m3d_likely * taken / p["inflow_likely"]
            if value > 0:
                key = (producer_of[f.unit], plant, part)
                out[key] = out.get(key, 0.0) + value
    return out


def _plant_names(figures):
    rows = figures.store.snapshot("treatment_plants").to_dict("records")
    return {r["code"]: text(r, "name") for r in rows}
