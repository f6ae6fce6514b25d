"""The tables of limits as typed frames, the names of parameters, and the factors of the older effluent rules.

Every row keeps its regulation, dates, reference and confidence. Its id (`row`) is made of what the row is
about, such as "08:2023 surface_water river B BOD5", so that it stays the same when rows are added; a
verdict prints it. geo.limits chooses and compares.
"""

import re
import unicodedata
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import pandas as pd

from geo.limits import COLUMNS, Factor
from layers.letters import fold

TABLES = Path(__file__).parent / "standards"

MEDIA = ("wastewater", "surface_water", "groundwater", "marine", "soil", "air", "noise")
_WATER = {
    "industrial": "industrial",
    "domestic": "domestic",
    "medical": "medical",
    "landfill_leachate": "landfill_leachate",
    "domestic_municipal": "domestic;municipal",
    "industrial, medical, landfill leachate, fuel depots and 8 sector rules merged": (
        "industrial;medical;landfill_leachate;fuel_depot"
    ),
    "any surface water": "",
    "river/stream/canal/ditch": "river",
    "lake/pond/lagoon": "lake",
}
_FLOW_CLASS = {
    "all": "",
    "class by flow F": "",
    "class 1 (smallest)": "class 1",
    "class 2": "class 2",
    "class 3 (largest)": "class 3",
}
_CLASS = {
    "type 1": "type 1",
    "type 2": "type 2",
    "type 3": "type 3",
    "": "",
    "coastal (<= 6 nm)": "coastal",
    "coastal, by use zone": "coastal",
    "near-shore (6-24 nm)": "near_shore",
    "special area (medical, library, nursery, school, church, pagoda)": "special",
    "ordinary area (housing, hotel, office)": "ordinary",
    "areas A to E or similar, three day periods (background)": "",
}
_FACTOR_RULE = {
    "Cmax=C*Kq*Kf": "Kq*Kf",
    "Cmax=C*K": "K",
    "Cmax=C (no Kq, Kf)": "",
    "Cmax=C (no K)": "",
    "Cmax=C (K=1)": "",
    "Cmax=C (no K factor in the new scheme: background)": "",
    "no Kq, Kf (background)": "",
    "none": "",
    "": "",
}
_LAEQ = {"LAeq 06:00-21:00": "day", "LAeq 21:00-06:00": "night", "LAeq": ""}
# The successor was issued that day and its first day is not established: from then on neither is judged by.
_SUCCESSOR_ISSUED = {"QCVN 26:2010/BTNMT": "2025-05-15"}
_FIRST_DAY_UNKNOWN = {"QCVN 26:2025/BNNMT": "2025-05-15"}
# A lower bound is a limit for these; for all others it only describes a bad class (more than 10 mg/L of BOD5)
_LOWER_IS_WORSE = frozenset({"DO", "pH"})

# which condition of a factor a row of effluent_factors.csv is about, by how its text begins
_CONDITIONS = {
    "receiving river": "river",
    "receiving lake": "lake",
    "coastal sea not used": "sea",
    "coastal sea used": "sea_recreation",
    "urban or residential drainage": "drain",
    "total flow F": "flow",
    "hotel": "hotel",
    "office": "office",
    "department store": "store",
    "market": "market",
    "restaurant": "restaurant",
    "production facility": "production",
    "apartment block": "apartment",
    "hospital": "hospital",
    "other medical facility": "medical",
}


@dataclass(frozen=True)
class Parameter:
    """A measured quantity: its code in the tables, its names, and what else people write for it."""

    code: str
    vi: str
    en: str
    also: tuple[str, ...]

    def label(self, language):
        return self.vi if language == "vi" else self.en


@lru_cache(maxsize=1)
def _limits():
    frames = [_effluent(), _surface_water(), _air(), _other()]
    rows = pd.concat(frames, ignore_index=True)
    rows.insert(0, "row", [_row_id(*r) for r in rows[list(_KEY)].itertuples(index=False)])
    return rows


def limits():
    """Every row that can be a limit, as geo.limits.choose wants it.

    geo.limits.COLUMNS, and status, note, table, effective_from. Text is never missing: blank is "".
    valid_until is the last day, also of transition_until. Rows that only describe a bad class are not here.
    """
    rows = _limits()
    return rows[~rows["describes"]].drop(columns="describes").reset_index(drop=True)


def descriptions():
    """The rows that describe a class of bad water or a kind of land, and are nothing that could be met."""
    rows = _limits()
    return rows[rows["describes"]].drop(columns="describes").reset_index(drop=True)


@lru_cache(maxsize=1)
def parameters():
    """All parameters by code, in the order of the table."""
    rows = _read("parameters")
    told = rows[["code", "vi", "en", "also"]].itertuples(index=False)
    return {
        p.code: p for p in (Parameter(c, vi, en, tuple(a for a in also.split("|") if a)) for c, vi, en, also in told)
    }


def parameter(text, medium=""):
    """The code of what somebody wrote for a parameter, or None.

    Marks, case, blanks and signs make no difference. Where one writing stands for several (NO2: nitrite
    in water, a gas in air), the medium decides; without it the first in the table. NH4, NO2, NO3 and PO4
    are read as the limits are given, as N or as P: show the name to who typed it.

    >>> parameter("Amoni (tính theo N)"), parameter("PM2,5"), parameter("no2", "air"), parameter("abc")
    ('NH4_N', 'PM2.5', 'NO2', None)
    """
    found = _writings().get(_writing(text), ())
    there = [c for c in found if not medium or c in _codes(medium)]
    return next(iter(there or found), None)


def offered(medium, on=None):
    """Codes of the parameters that have a row for a medium (on a day, if given), in the order of the table."""
    return tuple(c for c in parameters() if c in _codes(medium, on))


def choices(medium, field, on=None):
    """What can be said for water, column, flow_class or averaging of a medium: codes, sorted."""
    rows = _on(medium, on)
    return tuple(sorted({c for codes in rows[field] for c in codes.split(";") if c}))


def factors():
    """The factors Kq, Kf and K: row, regulation, factor, condition, low, high (with which bound is included), value.

    `otherwise`: the factor where the size is not known, NaN where the regulation gives none.
    """
    return _factors().copy()


@lru_cache(maxsize=1)
def _factors():
    rows = _read("effluent_factors")
    rows["condition"] = [_condition(text) for text in rows["condition_on"]]
    for column, source in (("low", "min_exclusive"), ("high", "max_inclusive"), ("value", "value")):
        rows[column] = pd.to_numeric(rows[source])
    least = rows["factor"].eq("K")  # "at or above the threshold", "strictly below"
    rows["low_included"], rows["high_included"] = least, ~least
    rows["otherwise"] = pd.to_numeric(rows["note"].str.extract(r"^(\d+(?:\.\d+)?) when there are no")[0])
    bounds = (rows["min_exclusive"] + ".." + rows["max_inclusive"]).where(
        rows["low"].notna() | rows["high"].notna(), ""
    )
    names = rows["regulation"].map(_short) + " " + rows["factor"] + " " + rows["condition"]
    rows.insert(0, "row", (names + " " + bounds).str.strip())
    return rows


def factor(regulation, name, condition, size=None):
    """The factor of a regulation for a condition and its size (m³/s, m³, m³/day, rooms ...), as geo.limits.Factor.

    condition: river, lake, sea, sea_recreation, drain (Kq); flow (Kf); hotel, hospital ... (K). size None:
    not known; then the value the regulation gives for that case, or None.

    >>> factor("QCVN 40:2011/BTNMT", "Kq", "river", 30).value, factor("QCVN 40:2011/BTNMT", "Kf", "flow", 6000).value
    (0.9, 0.9)
    """
    rows = _factors()
    rows = rows[(rows["regulation"] == regulation) & (rows["factor"] == name) & (rows["condition"] == condition)]
    for r in rows.itertuples():
        if pd.isna(r.low) and pd.isna(r.high):
            return Factor(name, float(r.value), r.confidence, r.reference, r.row)
        if size is None:
            if not pd.isna(r.otherwise):
                return Factor(name, float(r.otherwise), r.confidence, r.reference, r.row)
            continue
        above = pd.isna(r.low) or size > r.low or (r.low_included and size == r.low)
        below = pd.isna(r.high) or size < r.high or (r.high_included and size == r.high)
        if above and below:
            return Factor(name, float(r.value), r.confidence, r.reference, r.row)
    return None


_KEY = ("regulation", "medium", "table", "water", "column", "flow_class", "averaging", "parameter", "valid_from",
        "effective_from")  # fmt: skip
_TEXT = ("regulation", "medium", "parameter", "unit", "factor_rule", "water", "column", "flow_class", "averaging",
         "reference", "confidence", "status", "note", "table")  # fmt: skip


def _effluent():
    rows = _read("effluent_limits").rename(columns={"wastewater_type": "water", "flow_class_m3_day": "flow_class"})
    # a span over columns that somebody reported, not a row of the table
    rows["describes"] = ~rows["flow_class"].isin(list(_FLOW_CLASS))
    rows["flow_class"] = rows["flow_class"].map(_FLOW_CLASS).fillna("")
    rows["water"] = _coded(rows["water"], _WATER)
    rows["factor_rule"] = _coded(rows["factor_rule"], _FACTOR_RULE)
    rows["transition_until"] = pd.to_datetime(rows["applies_until"].str.extract(r"^(\d{4}-\d\d-\d\d)")[0])
    return _common(rows, medium="wastewater")


def _surface_water():
    rows = _read("surface_water_limits").rename(columns={"class": "column", "water_body": "water"})
    rows["water"] = _coded(rows["water"], _WATER)
    bad = rows["limit_min"].ne("") & ~rows["parameter"].isin(_LOWER_IS_WORSE)
    worded = rows["note"].str.startswith("pH below")
    rows["describes"] = bad | worded
    return _common(rows, medium="surface_water")


def _air():
    rows = _read("ambient_air_limits")
    rows["not_detected"] = rows["note"].eq("must not be detected").map({True: "true", False: ""})
    return _common(rows, medium="air")


def _other():
    rows = _read("ambient_other_limits").rename(columns={"class": "column"})
    rows["describes"] = rows["parameter"].eq("land_use")
    rows["column"] = _coded(rows["column"], _CLASS)
    rows["averaging"] = rows["parameter"].map(_LAEQ).fillna("")
    rows["parameter"] = rows["parameter"].where(~rows["parameter"].isin(list(_LAEQ)), "LAeq")
    return _common(rows)


def _common(rows, **given):
    """The columns all tables share, typed; see limits()."""
    rows = rows.assign(**given)
    for column in ("effective_from", "valid_from", "valid_until"):
        rows[column] = pd.to_datetime(rows.get(column, pd.Series("", rows.index)), errors="raise")
    first = rows["regulation"].map(_FIRST_DAY_UNKNOWN)
    rows["effective_from"] = rows["effective_from"].fillna(pd.to_datetime(first))
    rows["valid_from"] = rows["valid_from"].fillna(rows["effective_from"])
    ended = rows["status"].str.extract(r"superseded\D.*?(\d{4}-\d\d-\d\d)")[0]
    ended = pd.to_datetime(ended.fillna(rows["regulation"].map(_SUCCESSOR_ISSUED)))
    rows["valid_until"] = rows["valid_until"].fillna(ended - pd.Timedelta(days=1))
    if "transition_until" not in rows:
        rows["transition_until"] = pd.NaT
    rows["transition_until"] = pd.to_datetime(rows["transition_until"])
    for column in ("limit_min", "limit_max"):
        rows[column] = pd.to_numeric(rows.get(column, pd.Series("", rows.index)))
    rows["not_detected"] = rows.get("not_detected", pd.Series("", rows.index)).eq("true")
    rows["describes"] = rows.get("describes", pd.Series(False, rows.index))
    for column in _TEXT:
        rows[column] = rows.get(column, pd.Series("", rows.index)).fillna("")
    kept = dict.fromkeys([*COLUMNS[1:], *_KEY, "status", "note", "describes"])
    return rows[list(kept)]


def _row_id(regulation, medium, table, water, column, flow_class, averaging, parameter, valid_from, effective_from):
    later = valid_from.date().isoformat() if valid_from != effective_from else ""
    number = f"T{table}" if table.isdigit() else ""
    told = (
        _short(regulation),
        medium,
        number,
        water.replace(";", "+"),
        column,
        flow_class,
        averaging,
        parameter,
        later,
    )
    return " ".join(p for p in told if p)


def _short(regulation):
    return regulation.removeprefix("QCVN ").partition("/")[0]


def _coded(column, table):
    """The codes of texts; a text that is not in the table is an error of the file, told at once."""
    if unknown := sorted(set(column) - set(table)):
        raise ValueError(f"A table of standards has a text without a code: {unknown}.")
    return column.map(table)


def _condition(text):
    found = [code for begin, code in _CONDITIONS.items() if text.startswith(begin)]
    if len(found) != 1:
        raise ValueError(f"A factor has a condition without a code: {text!r}.")
    return found[0]


def _on(medium, on):
    rows = limits()
    rows = rows[rows["medium"] == medium]
    if on is None:
        return rows
    day = pd.Timestamp(on)
    last = rows[["valid_until", "transition_until"]].max(axis=1).where(rows["valid_until"].notna())
    return rows[(rows["valid_from"] <= day) & (last.isna() | (last >= day))]


@lru_cache(maxsize=256)
def _codes(medium, on=None):
    return frozenset(_on(medium, on)["parameter"])


@lru_cache(maxsize=1)
def _writings():
    found = {}
    for code, p in parameters().items():
        for text in (code, p.vi, p.en, *p.also):
            codes = found.setdefault(_writing(text), [])
            if code not in codes:
                codes.append(code)
    for code in parameters():  # the code itself comes before what others call so
        codes = found[_writing(code)]
        codes.sort(key=lambda c: c != code)
    return {text: tuple(codes) for text, codes in found.items()}


def _writing(text):
    plain = fold(unicodedata.normalize("NFKC", text))
    return re.sub(r"[^0-9a-zα-ω]", "", plain)


def _read(name):
    return pd.read_csv(TABLES / f"{name}.csv", dtype=str, keep_default_na=False, encoding="utf-8")
