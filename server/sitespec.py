"""The question of a siting study as a JSON document: read, checked, and in one canonical form.

    format       "cangxanh-siting/1"
    name         text; as_of: day (ISO), which decides the regulation and the state of plants and links
    area         {} the whole city, {"units": [codes]}, or {"wkt": polygon in EPSG:4326}
    cell_m       side of a cell of the grid, m
    facility     kind (group of the table of distances), technology (its facility type), enclosed (true, false, null),
                 upstream, upwind (true, false; null upstream: asked of the waterways), entries: distances of the
                 planner where the regulation has none [{"distance_m", "source", "enclosed"}], ha_per_1000
                 (per 1,000 m³/day) and belt_m with land_source: the same for the land
    sizes        [{"capacity_m3_day", "cost"}], cost null: not entered; money: the unit of all costs; cost_per_m3_km: for "cheapest"
    plants       keep, building (count those under construction as working), spare: {code: m³/day} in place of ours, with
                 their source
    demand       of: "gap" (all that is not known to be treated) or "known_gap"; where: "area" or "reach" (also outside the
                 area, within reach of it); square_m: side of the squares in which a ward's people are taken together;
                 kg_person_day with source: for solid waste, of which everything called m3_day here is in t/day
    model, goal, number, budget, within_m
    network      null (straight lines) or {"layer", "crossings", "most_off_m"}: distances along an own layer of lines
    rules        [{"code", "on", "distance_m", "source", "at_least", "at_most", "classes"}]; distance_m null: the law's
                 (houses: at_least is people per ha from which land counts as lived on)
    criteria     [{"code", "weight", "curve": [[measure, value 0..1], ...]}]; weight 0: left out
    pairs        {"a|b": how many times as important a is} or null if the weights were typed
    layers       [{"code", "name", "source", "wkt"}] brought along, in EPSG:4326, for rules and criteria "layer:CODE"
    candidates   count, apart_m; given: [{"code", "lon", "lat"}]; force: [codes of sites]
    block        [{"lon", "lat", "radius_m", "reason"}]
    robustness   runs, spread, top; effort: fields of geo.plans.Effort; seed

checked() fills in what is left out, refuses what makes no sense, all problems together, each naming its field.
"""

import json
from dataclasses import asdict

from geo.plans import Effort
from layers.errors import LayerError, Said
from server import siteparts, siterules, siteweights
from server.docreader import Reader
from server.i18n import N_
from server.sitekinds import CRITERIA, PLANT, RULES, SOLID
from server.sitewords import LAYER, said

FORMAT = "cangxanh-siting/1"
MODELS, GOALS, GAPS = ("coverage", "covering", "median", "cheapest"), ("m3", "people"), ("gap", "known_gap")
MOST_TEXT = 20_000_000


class SpecError(LayerError):
    """A question that cannot be asked. problems_of: [(field, {"en", "vi"})]; en, vi: all sentences together."""

    code = "siting"

    def __init__(self, problems_of):
        self.problems_of = list(problems_of)
        super().__init__([Said(f"{field}: {w['en']}", f"{field}: {w['vi']}") for field, w in self.problems_of])

    def about(self, field):
        """The sentences about one field (also a.b of a), as [{"en", "vi"}]."""
        return [
            words for name, words in self.problems_of if name == field or name.startswith((f"{field}.", f"{field}["))
        ]


def default(services):
    """A new study of the whole city with what the data allow: enclosed works of two sizes, three of them.

    A criterion whose layer has no rows, or of which only label points are known, has weight 0.
    """
    criteria = []
    for c in CRITERIA.values():
        frames = [services.store.snapshot(n) for n in c.layers if n in services.store.versions()]
        known = any(len(f) and (c.code != "receiving_water" or f.geom_type.str.contains("Line").any()) for f in frames)
        criteria.append({"code": c.code, "weight": c.weight if known or c.raster or not c.layers else 0.0})
    document = {"format": FORMAT, "name": said(N_("New study"))["vi"], "as_of": services.today().isoformat()}
    return checked(document | {"criteria": criteria})


def blank(day):
    """Every field with the value of a new study."""
    return {
        "format": FORMAT,
        "name": "",
        "as_of": day,
        "area": {},
        "cell_m": 100.0,
        "facility": {
            "kind": "wastewater treatment plant",
            "technology": PLANT,
            "enclosed": True,
            "upstream": None,
            "upwind": False,
            "entries": [],
            "ha_per_1000": None,
            "belt_m": None,
            "land_source": "",
        },
        "sizes": [{"capacity_m3_day": 10_000.0, "cost": None}, {"capacity_m3_day": 20_000.0, "cost": None}],
        "money": "tỷ đồng",
        "cost_per_m3_km": 0.0,
        "plants": {"keep": True, "building": False, "spare": {}, "source": ""},
        "demand": {"of": "gap", "where": "area", "square_m": 1000.0, "kg_person_day": None, "source": ""},
        "model": "coverage",
        "goal": "m3",
        "number": 3,
        "budget": None,
        "within_m": 5000.0,
        "network": None,
        "rules": [
            {"code": r.code, "on": r.on, "distance_m": r.distance_m, "source": ""}
            | {"at_least": r.at_least, "at_most": r.at_most, "classes": []}
            for r in RULES.values()
        ],
        "criteria": [
            {"code": c.code, "weight": c.weight, "curve": [list(map(float, p)) for p in c.curve]}
            for c in CRITERIA.values()
        ],
        "pairs": None,
        "layers": [],
        "candidates": {"count": 120, "apart_m": 1000.0},
        "given": [],
        "force": [],
        "block": [],
        "robustness": {"runs": 1000, "spread": 0.5, "top": 10},
        "effort": asdict(Effort()),
        "seed": 0,
    }


def read(text):
    """The checked question of a JSON text. Raises SpecError."""
    if len(text) > MOST_TEXT:
        raise SpecError([("format", said(N_("The file is larger than %(most)s characters."), most=MOST_TEXT))])
    try:
        document = json.loads(text)
    except (ValueError, RecursionError) as e:
        raise SpecError([("format", said(N_("This is not JSON: %(why)s."), why=str(e)))]) from e
    return checked(document)


def kept(text):
    """The question as a study keeps it; a field that an earlier program did not know has the value of blank()."""
    spec, known = json.loads(text), blank(None)
    parts = {k: known[k] | v for k, v in spec.items() if k != "area" and isinstance(known.get(k), dict)}
    return known | spec | parts


def canonical(spec):
    """The question as text, always the same for the same question."""
    return json.dumps(spec, ensure_ascii=False, sort_keys=True, separators=(",", ":"), allow_nan=False)


def checked(document):
    """The whole question, every field there and of its kind. Raises SpecError with all problems."""
    if not isinstance(document, dict) or document.get("format") != FORMAT:
        raise SpecError([("format", said(N_("This is not a siting study of the form %(form)s."), form=FORMAT))])
    return _whole(Reader(document))


def _whole(reader):
    """The document of a docreader.Reader in its checked form. Raises SpecError."""
    given = reader.document
    out = blank(None)
    strange = sorted(set(given) - set(out))
    if strange:
        reader.wrong(strange[0], N_("There is no such field: %(names)s."), names=", ".join(map(str, strange)))
    out["name"] = reader.text("name", given.get("name"), most=200, needed=True)
    out["money"] = reader.text("money", given.get("money", out["money"]), most=40, needed=True)
    out["as_of"] = reader.day("as_of", given.get("as_of"))
    out["area"] = siteparts.area(reader, given.get("area") or {})
    out["cell_m"] = reader.number("cell_m", given.get("cell_m", out["cell_m"]), 1, 5000)
    out["facility"] = siteparts.facility(reader, reader.part("facility", out["facility"]), out["as_of"])
    out["sizes"] = siteparts.sizes(reader, given.get("sizes", out["sizes"]))
    out["cost_per_m3_km"] = reader.number("cost_per_m3_km", given.get("cost_per_m3_km", 0.0), 0)
    out["plants"] = siteparts.plants(reader, reader.part("plants", out["plants"]))
    demand = reader.part("demand", out["demand"])
    out["demand"] = {
        "of": reader.choice("demand.of", demand["of"], GAPS),
        "where": reader.choice("demand.where", demand["where"], ("area", "reach")),
        "square_m": reader.number("demand.square_m", demand["square_m"], 100, 20_000),
        "kg_person_day": reader.number("demand.kg_person_day", demand["kg_person_day"], 0.001, 20, blank=True),
        "source": reader.text("demand.source", demand["source"], needed=demand["kg_person_day"] is not None),
    }
    if out["facility"]["kind"] in SOLID and out["demand"]["kg_person_day"] is None:
        reader.wrong("demand.kg_person_day", N_("Give how many kg of waste a person makes a day, with the source."))
    out["model"] = reader.choice("model", given.get("model", out["model"]), MODELS)
    out["goal"] = reader.choice("goal", given.get("goal", out["goal"]), GOALS)
    out["number"] = reader.number("number", given.get("number", out["number"]), 0, 500, whole=True, blank=True)
    out["budget"] = reader.number("budget", given.get("budget"), 0, blank=True)
    out["within_m"] = reader.number("within_m", given.get("within_m", out["within_m"]), 1, 200_000)
    out["layers"] = siteparts.layers(reader, given.get("layers", []))
    own = {LAYER + layer["code"] for layer in out["layers"]}
    out["network"] = siteparts.network(reader, given.get("network"), own)
    out["rules"] = siterules.rules(reader, given.get("rules", []), own)
    out["criteria"] = siteweights.criteria(reader, given.get("criteria", []), own)
    out["pairs"] = siteweights.pairs(reader, given.get("pairs"), out["criteria"])
    candidates = reader.part("candidates", out["candidates"])
    out["candidates"] = {
        "count": reader.number("candidates.count", candidates["count"], 0, 5000, whole=True),
        "apart_m": reader.number("candidates.apart_m", candidates["apart_m"], 1, 100_000),
    }
    out["given"] = siteparts.given(reader, given.get("given", []))
    out["force"] = reader.codes("force", given.get("force", []))
    out["block"] = siteparts.block(reader, given.get("block", []))
    robust = reader.part("robustness", out["robustness"])
    out["robustness"] = {
        "runs": reader.number("robustness.runs", robust["runs"], 0, 20_000, whole=True),
        "spread": reader.number("robustness.spread", robust["spread"], 0, 1),
        "top": reader.number("robustness.top", robust["top"], 1, 5000, whole=True),
    }
    out["effort"] = siteparts.effort(reader, reader.part("effort", out["effort"]))
    out["seed"] = reader.number("seed", given.get("seed", 0), 0, 2**32 - 1, whole=True)
    _fit(reader, out)
    if reader.problems:
        raise SpecError(reader.problems)
    return out


def _fit(reader, out):
    """Note what does not go together: a model without its limits or costs, no site to choose from."""
    if out["model"] == "coverage" and out["number"] is None and out["budget"] is None and not reader.problems:
        reader.wrong("number", N_("Give a number of plants or a budget."))
    if out["model"] == "median" and out["number"] is None and not reader.problems:
        reader.wrong("number", N_("Give a number of plants."))
    if out["budget"] is not None or out["model"] == "cheapest":
        for k, size in enumerate(out["sizes"]):
            if size["cost"] is None:
                reader.wrong(f"sizes[{k}].cost", N_("Give the cost of each size: the question is about money."))
    if out["candidates"]["count"] == 0 and not out["given"]:
        reader.wrong("candidates.count", N_("There would be no site to choose from: ask for sites or give some."))
