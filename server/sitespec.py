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
import re
from dataclasses import asdict, fields
from itertools import combinations, pairwise
from math import isfinite

from geo import ahp
from geo.plans import Effort
from layers.errors import LayerError, Said
from server.docreader import Reader
from server.i18n import N_
from server.sitekinds import CRITERIA, GROUPS, PLANT, RULES, SOLID, CriterionKind, RuleKind, table, technologies
from server.sitewords import LAYER, WORDS, said, word

__all__ = [
    "CRITERIA",
    "FORMAT",
    "RULES",
    "WORDS",
    "SpecError",
    "canonical",
    "checked",
    "default",
    "technologies",
    "word",
]
FORMAT = "cangxanh-siting/1"
MODELS, GOALS, GAPS = ("coverage", "covering", "median", "cheapest"), ("m3", "people"), ("gap", "known_gap")
MOST_TEXT = 20_000_000
_EFFORT = {f.name for f in fields(Effort)}


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


def canonical(spec):
    """The question as text, always the same for the same question."""
    return json.dumps(spec, ensure_ascii=False, sort_keys=True, separators=(",", ":"), allow_nan=False)


def checked(document):
    """The whole question, every field there and of its kind. Raises SpecError with all problems."""
    if not isinstance(document, dict) or document.get("format") != FORMAT:
        raise SpecError([("format", said(N_("This is not a siting study of the form %(form)s."), form=FORMAT))])
    return _Reader(document).whole()


class _Reader(Reader):
    def whole(self):
        given = self.document
        out = blank(None)
        strange = sorted(set(given) - set(out))
        if strange:
            self.wrong(strange[0], N_("There is no such field: %(names)s."), names=", ".join(map(str, strange)))
        out["name"] = self.text("name", given.get("name"), most=200, needed=True)
        out["money"] = self.text("money", given.get("money", out["money"]), most=40, needed=True)
        out["as_of"] = self.day("as_of", given.get("as_of"))
        out["area"] = self.area(given.get("area") or {})
        out["cell_m"] = self.number("cell_m", given.get("cell_m", out["cell_m"]), 1, 5000)
        out["facility"] = self.facility(self.part("facility", out["facility"]), out["as_of"])
        out["sizes"] = self.sizes(given.get("sizes", out["sizes"]))
        out["cost_per_m3_km"] = self.number("cost_per_m3_km", given.get("cost_per_m3_km", 0.0), 0)
        out["plants"] = self.plants(self.part("plants", out["plants"]))
        demand = self.part("demand", out["demand"])
        out["demand"] = {
            "of": self.choice("demand.of", demand["of"], GAPS),
            "where": self.choice("demand.where", demand["where"], ("area", "reach")),
            "square_m": self.number("demand.square_m", demand["square_m"], 100, 20_000),
            "kg_person_day": self.number("demand.kg_person_day", demand["kg_person_day"], 0.001, 20, blank=True),
            "source": self.text("demand.source", demand["source"], needed=demand["kg_person_day"] is not None),
        }
        if out["facility"]["kind"] in SOLID and out["demand"]["kg_person_day"] is None:
            self.wrong("demand.kg_person_day", N_("Give how many kg of waste a person makes a day, with the source."))
        out["model"] = self.choice("model", given.get("model", out["model"]), MODELS)
        out["goal"] = self.choice("goal", given.get("goal", out["goal"]), GOALS)
        out["number"] = self.number("number", given.get("number", out["number"]), 0, 500, whole=True, blank=True)
        out["budget"] = self.number("budget", given.get("budget"), 0, blank=True)
        out["within_m"] = self.number("within_m", given.get("within_m", out["within_m"]), 1, 200_000)
        out["layers"] = self.layers(given.get("layers", []))
        own = {LAYER + layer["code"] for layer in out["layers"]}
        out["network"] = self.network(given.get("network"), own)
        out["rules"] = self.rules(given.get("rules", []), own)
        out["criteria"] = self.criteria(given.get("criteria", []), own)
        out["pairs"] = self.pairs(given.get("pairs"), out["criteria"])
        candidates = self.part("candidates", out["candidates"])
        out["candidates"] = {
            "count": self.number("candidates.count", candidates["count"], 0, 5000, whole=True),
            "apart_m": self.number("candidates.apart_m", candidates["apart_m"], 1, 100_000),
        }
        out["given"] = self.given(given.get("given", []))
        out["force"] = self.codes("force", given.get("force", []))
        out["block"] = self.block(given.get("block", []))
        robust = self.part("robustness", out["robustness"])
        out["robustness"] = {
            "runs": self.number("robustness.runs", robust["runs"], 0, 20_000, whole=True),
            "spread": self.number("robustness.spread", robust["spread"], 0, 1),
            "top": self.number("robustness.top", robust["top"], 1, 5000, whole=True),
        }
        out["effort"] = self.effort(self.part("effort", out["effort"]))
        out["seed"] = self.number("seed", given.get("seed", 0), 0, 2**32 - 1, whole=True)
        if out["model"] == "coverage" and out["number"] is None and out["budget"] is None and not self.problems:
            self.wrong("number", N_("Give a number of plants or a budget."))
        if out["model"] == "median" and out["number"] is None and not self.problems:
            self.wrong("number", N_("Give a number of plants."))
        if out["budget"] is not None or out["model"] == "cheapest":
            for k, size in enumerate(out["sizes"]):
                if size["cost"] is None:
                    self.wrong(f"sizes[{k}].cost", N_("Give the cost of each size: the question is about money."))
        if out["candidates"]["count"] == 0 and not out["given"]:
            self.wrong("candidates.count", N_("There would be no site to choose from: ask for sites or give some."))
        if self.problems:
            raise SpecError(self.problems)
        return out

    def area(self, value):
        if not isinstance(value, dict) or set(value) - {"units", "wkt"} or len(value) > 1:
            self.wrong("area", N_("The area is the whole city, a list of units, or an outline."))
            return {}
        if "units" in value:
            codes = self.codes("area.units", value["units"])
            return {"units": codes} if codes else {}
        return {"wkt": self.shape("area.wkt", value["wkt"], True)} if "wkt" in value else {}

    def facility(self, given, day):
        out = dict(given)
        out["kind"] = self.choice("facility.kind", given["kind"], GROUPS)
        rows = table()[table()["facility_group"] == out["kind"]]
        known = list(
            dict.fromkeys(rows.loc[rows["kind"].isin(("minimum", "assessment", "not_established")), "facility_type"])
        )
        out["technology"] = self.choice("facility.technology", given["technology"], known)
        for name in ("enclosed", "upstream"):
            out[name] = self.flag(f"facility.{name}", given[name], blank=True)
        out["upwind"] = self.flag("facility.upwind", given["upwind"])
        mine = rows[rows["facility_type"] == out["technology"]]
        if out["enclosed"] is None and mine["enclosed"].replace("", None).nunique() > 1:
            self.wrong("facility.enclosed", N_("Say whether the works are enclosed, with odour collected and treated."))
        out["entries"] = []
        for k, row in enumerate(
            self.rows("facility.entries", given["entries"], ("distance_m", "source", "enclosed"), 20)
        ):
            field = f"facility.entries[{k}]"
            out["entries"].append(
                {
                    "distance_m": self.number(f"{field}.distance_m", row.get("distance_m"), 0, 50_000),
                    "source": self.text(f"{field}.source", row.get("source"), needed=True),
                    "enclosed": self.flag(f"{field}.enclosed", row.get("enclosed"), blank=True),
                }
            )
        out["ha_per_1000"] = self.number("facility.ha_per_1000", given["ha_per_1000"], 0, 10_000, blank=True)
        out["belt_m"] = self.number("facility.belt_m", given["belt_m"], 0, 5_000, blank=True)
        entered = out["ha_per_1000"] is not None or out["belt_m"] is not None
        out["land_source"] = self.text("facility.land_source", given["land_source"], needed=entered)
        return out

    def sizes(self, value):
        rows = self.rows("sizes", value, ("capacity_m3_day", "cost"), 20)
        out = [
            {
                "capacity_m3_day": self.number(f"sizes[{k}].capacity_m3_day", row.get("capacity_m3_day"), 0.001, 1e8),
                "cost": self.number(f"sizes[{k}].cost", row.get("cost"), 0, 1e12, blank=True),
            }
            for k, row in enumerate(rows)
        ]
        if not out:
            self.wrong("sizes", N_("Give at least one size."))
        if len({row["capacity_m3_day"] for row in out}) < len(out):
            self.wrong("sizes", N_("A size is given twice."))
        return sorted(out, key=lambda row: row["capacity_m3_day"])

    def plants(self, given):
        spare = given["spare"] if isinstance(given["spare"], dict) else {}
        if spare is not given["spare"]:
            self.wrong("plants.spare", N_("This must be a group of fields."))
        return {
            "keep": self.flag("plants.keep", given["keep"]),
            "building": self.flag("plants.building", given["building"]),
            "spare": {
                str(code): self.number(f"plants.spare.{code}", value, 0, 1e8) for code, value in sorted(spare.items())
            },
            "source": self.text("plants.source", given["source"], needed=bool(spare)),
        }

    def layers(self, value):
        out = []
        for k, row in enumerate(self.rows("layers", value, ("code", "name", "source", "wkt"), 20)):
            field = f"layers[{k}]"
            code = self.text(f"{field}.code", row.get("code"), most=40, needed=True)
            if code and not re.fullmatch(r"[A-Za-z0-9_-]+", code):
                self.wrong(f"{field}.code", N_("A code has letters, digits, - and _ only."))
            out.append(
                {
                    "code": code,
                    "name": self.text(f"{field}.name", row.get("name") or code, most=200),
                    "source": self.text(f"{field}.source", row.get("source"), needed=True),
                    "wkt": self.shape(f"{field}.wkt", row.get("wkt"), False),
                }
            )
        if len({row["code"] for row in out}) < len(out):
            self.wrong("layers", N_("A code is given twice."))
        return out

    def network(self, value, own):
        if value is None:
            return None
        if not isinstance(value, dict) or set(value) - {"layer", "crossings", "most_off_m"}:
            self.wrong("network", N_("The network is a layer of lines that the study brings along."))
            return None
        if LAYER + str(value.get("layer")) not in own:
            self.wrong("network.layer", N_("There is no own layer %(code)s."), code=str(value.get("layer")))
        return {
            "layer": str(value.get("layer")),
            "crossings": self.flag("network.crossings", value.get("crossings", False)),
            "most_off_m": self.number("network.most_off_m", value.get("most_off_m", 500.0), 0, 50_000),
        }

    def rules(self, value, own):
        names = ("code", "on", "distance_m", "source", "at_least", "at_most", "classes")
        asked, out = {}, []
        for k, row in enumerate(self.rows("rules", value, names, 60)):
            code = row.get("code")
            if code not in RULES and code not in own:
                self.wrong(f"rules[{k}].code", N_("There is no rule %(code)s."), code=str(code))
            elif code in asked:
                self.wrong(f"rules[{k}].code", N_("The rule %(code)s is given twice."), code=code)
            else:
                asked[code] = (k, row)
        for code in (*RULES, *sorted(own & set(asked))):
            kind = RULES.get(code, RuleKind(code, "near", distance_m=0.0))
            made = {"code": code, "on": kind.on, "distance_m": kind.distance_m, "source": ""}
            made |= {"at_least": kind.at_least, "at_most": kind.at_most, "classes": []}
            if code in asked:
                k, row = asked[code]
                made |= self.rule(f"rules[{k}]", kind, made | row)
            out.append(made)
        return out

    def rule(self, field, kind, row):
        out = {"on": self.flag(f"{field}.on", row["on"])}
        out["distance_m"] = self.number(
            f"{field}.distance_m",
            row["distance_m"],
            0,
            100_000,
            blank=kind.law or kind.kind == "limit" or kind.kind == "classes",
        )
        out["at_least"] = self.number(f"{field}.at_least", row["at_least"], -1e6, 1e6, blank=True)
        out["at_most"] = self.number(f"{field}.at_most", row["at_most"], -1e6, 1e6, blank=True)
        entered = kind.law and out["distance_m"] is not None and out["on"]
        out["source"] = self.text(f"{field}.source", row["source"], needed=entered)
        if kind.kind == "limit" and out["on"] and out["at_least"] is None and out["at_most"] is None:
            self.wrong(f"{field}.at_least", N_("Give the least or the most that is allowed."))
        classes = row["classes"]
        if not isinstance(classes, list) or not all(isinstance(c, int) and not isinstance(c, bool) for c in classes):
            self.wrong(f"{field}.classes", N_("Give the classes as whole numbers."))
            classes = []
        out["classes"] = sorted(set(classes))
        if kind.kind == "classes" and out["on"] and not out["classes"]:
            self.wrong(f"{field}.classes", N_("Give the classes that may not be used."))
        return out

    def criteria(self, value, own):
        asked, out = {}, []
        for k, row in enumerate(self.rows("criteria", value, ("code", "weight", "curve"), 40)):
            code = row.get("code")
            if code not in CRITERIA and code not in own:
                self.wrong(f"criteria[{k}].code", N_("There is no criterion %(code)s."), code=str(code))
            elif code in asked:
                self.wrong(f"criteria[{k}].code", N_("The criterion %(code)s is given twice."), code=code)
            else:
                asked[code] = (k, row)
        for code in (*CRITERIA, *sorted(own & set(asked))):
            kind = CRITERIA.get(code, CriterionKind(code, "m", (), "", 0.0, ((0, 1.0), (2_000, 0.0))))
            made = {
                "code": code,
                "weight": 0.0 if value else kind.weight,
                "curve": [list(map(float, p)) for p in kind.curve],
            }
            if code in asked:
                k, row = asked[code]
                made["weight"] = self.number(f"criteria[{k}].weight", row.get("weight", made["weight"]), 0, 1e6)
                made["curve"] = self.curve(f"criteria[{k}].curve", row.get("curve") or made["curve"])
            out.append(made)
        if not any(row["weight"] > 0 for row in out):
            self.wrong("criteria", N_("At least one criterion must have a weight above 0."))
        return out

    def curve(self, field, value):
        good = (
            isinstance(value, list)
            and 2 <= len(value) <= 20
            and all(isinstance(p, list) and len(p) == 2 for p in value)
        )
        numbers = [x for p in value for x in p] if good else []
        good = good and all(isinstance(x, int | float) and not isinstance(x, bool) and isfinite(x) for x in numbers)
        if not good or any(b[0] <= a[0] for a, b in pairwise(value)) or not all(0 <= p[1] <= 1 for p in value):
            self.wrong(field, N_("A curve needs two or more points with rising measures and values from 0 to 1."))
            return [[0.0, 0.0], [1.0, 1.0]]
        return [[float(a), float(b)] for a, b in value]

    def pairs(self, value, criteria):
        """The answers on pairs of the criteria in use; the weights are then theirs, see weights()."""
        if value is None:
            return None
        if not isinstance(value, dict):
            self.wrong("pairs", N_("This must be a group of fields."))
            return None
        out = {}
        for key, times in sorted(value.items(), key=lambda item: str(item[0])):
            out[str(key)] = self.number(f"pairs.{key}", times, 1 / 9 - 1e-9, 9)
        try:
            if not self.problems:
                _ahp(criteria, out)
        except ahp.AnswersError as e:
            self.problems.append(("pairs", {"en": e.en, "vi": e.vi}))
        return out

    def given(self, value):
        out = []
        for k, row in enumerate(self.rows("given", value, ("code", "lon", "lat"), 2000)):
            code = self.text(f"given[{k}].code", row.get("code"), most=60, needed=True)
            out.append({"code": code} | self.place(f"given[{k}]", row))
        if len({row["code"] for row in out}) < len(out):
            self.wrong("given", N_("A code is given twice."))
        return sorted(out, key=lambda row: row["code"])

    def block(self, value):
        out = []
        for k, row in enumerate(self.rows("block", value, ("lon", "lat", "radius_m", "reason"), 500)):
            field = f"block[{k}]"
            made = self.place(field, row)
            made["radius_m"] = self.number(f"{field}.radius_m", row.get("radius_m"), 1, 50_000)
            out.append(made | {"reason": self.text(f"{field}.reason", row.get("reason"), most=500, needed=True)})
        return out

    def effort(self, given):
        return {
            "gap": self.number("effort.gap", given["gap"], 0, 0.5),
            **{
                name: self.number(f"effort.{name}", given[name], 0, 10**9, whole=True, blank=name == "nodes")
                for name in _EFFORT - {"gap", "seconds"}
            },
            "seconds": self.number("effort.seconds", given["seconds"], 0.1, 86_400, blank=True),
        }


def used_criteria(criteria):
    """Codes of the criteria with a weight above 0."""
    return [row["code"] for row in criteria if row["weight"] > 0]


def pairs_of(criteria):
    """The keys of the pair questions on the criteria in use: "a|b"."""
    return [f"{a}|{b}" for a, b in combinations(used_criteria(criteria), 2)]


def _ahp(criteria, answers):
    asked = {tuple(key.split("|", 1)): times for key, times in answers.items()}
    return ahp.weights(used_criteria(criteria), {k if len(k) == 2 else (k[0], ""): t for k, t in asked.items()})


def weights(spec):
    """({code: weight, adding up to 1}, geo.ahp.Weights or None): by the answers on pairs where there are any."""
    used = {row["code"]: row["weight"] for row in spec["criteria"] if row["weight"] > 0}
    if spec["pairs"]:
        found = _ahp(spec["criteria"], spec["pairs"])
        return found.weights, found
    total = sum(used.values())
    return {code: weight / total for code, weight in used.items()}, None
