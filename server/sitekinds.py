"""Which rules and criteria a siting study knows, what they are asked of, and the table of legal distances."""

from dataclasses import dataclass
from functools import lru_cache

from geo.distances import facility_types, read_table
from layers import standards

GROUPS = ("wastewater treatment plant", "pumping station", "sludge treatment", "solid waste")
SOLID = ("solid waste",)  # groups whose demands and capacities are t/day of waste, not m³/day of water
TABLE_FILE = standards.TABLES / "safe_distances.csv"
PLANT = "mechanical, physico-chemical and biological treatment"


@dataclass(frozen=True)
class RuleKind:
    """A rule one can switch on. kind: 'near' (a distance to keep), 'far' (a distance not to exceed), 'limit' (of a
    raster: at_least, at_most) or 'classes' (of a raster). law: the regulation gives the distance. rasters, layers:
    what it is asked of. on, distance_m, at_least, at_most: of a new study."""

    code: str
    kind: str
    layers: tuple = ()
    raster: str = ""
    law: bool = False
    on: bool = True
    distance_m: float | None = None
    at_least: float | None = None
    at_most: float | None = None
    unit: str = "m"


@dataclass(frozen=True)
class CriterionKind:
    """A criterion one can weigh. unit: of its measure; curve: of a new study; weight: the same, where there is data."""

    code: str
    unit: str
    layers: tuple
    raster: str
    weight: float
    curve: tuple


RULES = {
    r.code: r
    for r in (
        RuleKind("houses", "near", ("built_up",), "population", law=True, at_least=25.0),
        RuleKind("receptors", "near", ("receptors",), law=True),
        RuleKind("intakes", "near", ("intakes",), law=True),
        RuleKind("protected", "near", ("protected_areas",), distance_m=0.0),
        RuleKind("water", "near", ("water_bodies", "land"), distance_m=0.0),
        RuleKind("zones", "near", ("industrial_zones", "port_areas"), distance_m=0.0),
        RuleKind("plants", "near", ("treatment_plants", "waste_sites"), distance_m=0.0),
        RuleKind("hotspots", "near", ("hotspots",), on=False, distance_m=0.0),
        RuleKind("receiving_water", "far", ("water_bodies",), on=False, distance_m=2000.0),
        RuleKind("elevation", "limit", raster="elevation", on=False, at_least=1.5),
        RuleKind("slope", "limit", raster="elevation", on=False, at_most=15.0, unit="percent"),
        RuleKind("land_cover", "classes", raster="land_cover", on=False, unit="class"),
    )
}
CRITERIA = {
    c.code: c
    for c in (
        CriterionKind("demand", "m3_day", (), "", 5.0, ((0, 0.0), (20_000, 1.0))),
        CriterionKind("houses", "m", ("built_up",), "population", 3.0, ((0, 0.0), (1_500, 1.0))),
        CriterionKind("receiving_water", "m", ("water_bodies",), "", 2.0, ((0, 1.0), (5_000, 0.0))),
        CriterionKind("hotspots", "m", ("hotspots",), "", 1.0, ((0, 1.0), (5_000, 0.0))),
        CriterionKind("plants", "m", ("treatment_plants",), "", 1.0, ((0, 0.0), (5_000, 1.0))),
        CriterionKind("elevation", "m", (), "elevation", 0.0, ((0, 0.0), (3, 1.0), (15, 0.6))),
        CriterionKind("slope", "percent", (), "elevation", 0.0, ((0, 1.0), (15, 0.0))),
        CriterionKind("roads", "m", ("roads",), "", 0.0, ((0, 1.0), (2_000, 0.0))),
        CriterionKind("land_cost", "class", (), "land_cover", 0.0, ((1, 1.0), (5, 0.0))),
    )
}


def demand_curve(kind):
    """The curve of the criterion "demand" in a new study of a group of works: what 200,000 people make is as good as it gets.

    Waste water at 0.1 m³ and waste at 1 kg a person and day; other works move waste water too.
    """
    return [[0.0, 0.0], [200.0 if kind in SOLID else 20_000.0, 1.0]]


@lru_cache(maxsize=1)
def table():
    """The table of legal distances, as geo.distances.read_table gives it."""
    return read_table(TABLE_FILE)


def technologies(on):
    """[{"kind", "technology", "vi", "by_enclosure", "by_capacity"}] one can ask for on a day, the groups in our order."""
    rows = facility_types(table(), on)
    rows = rows[rows["facility_group"].isin(GROUPS)]
    made = [
        {"kind": r.facility_group, "technology": r.facility_type, "vi": r.facility_vi or r.facility_type}
        | {"by_enclosure": bool(r.by_enclosure), "by_capacity": bool(r.by_capacity)}
        for r in rows.itertuples()
    ]
    return sorted(made, key=lambda t: GROUPS.index(t["kind"]))
