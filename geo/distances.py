"""How far the law wants a treatment works to stand from houses, intakes and water, and how much land it may take.

The rules are rows of layers/standards/safe_distances.csv, each with its regulation, dates, reference and confidence. A row
holds for a facility type, with or without enclosure, and a class of capacity: min_exclusive < capacity <=
max_inclusive. Where it stands upstream of a water source or upwind of the main wind the distance grows by the
regulation's factor (1.5, once). Nothing is invented: what a regulation leaves to the environmental impact assessment, or
what was not read, has no distance, until somebody enters one with its source (with_entries).

kind of a row: 'minimum' (a distance), 'assessment' (left to the assessment), 'not_established' (not read, or blank in the
table), 'multiplier', 'green_belt', 'land_most' (plot area at most), 'condition' (words only).
"""

from dataclasses import dataclass
from datetime import date

import numpy as np
import pandas as pd

COLUMNS = (
    *("row", "regulation", "valid_from", "valid_until", "facility_group", "facility_type", "facility_vi", "technology"),
    *(
        "enclosed",
        "capacity_min_exclusive",
        "capacity_max_inclusive",
        "capacity_unit",
        "to_object",
        "direction",
        "kind",
    ),
    *("distance_min_m", "factor", "green_belt_m", "applies_to", "note", "reference", "confidence"),
)
NUMBERS = ("capacity_min_exclusive", "capacity_max_inclusive", "distance_min_m", "factor", "green_belt_m")
ASKED = ("minimum", "assessment", "not_established")
ENTERED = "user"


class DistanceError(ValueError):
    """A question or an entry that cannot be used. str() is the sentence in English, .vi in Vietnamese."""

    def __init__(self, en, vi):
        self.en, self.vi = en, vi
        super().__init__(en)


@dataclass(frozen=True)
class Distance:
    """What the rules say for one kind of object. state: 'established', 'assessment' or 'not_established'.

    distance_m: with the factor; nan unless established. base_m, factor: what it is made of. to_object, direction: from
    what, and on which side of it. rows: ids of the rows it rests on. confidence: of the base row, 'user' for an entry.
    cautions: (English, Vietnamese) sentences on what to check.
    """

    state: str
    distance_m: float
    base_m: float
    factor: float
    to_object: str
    direction: str
    rows: tuple
    regulation: str
    reference: str
    note: str
    confidence: str
    cautions: tuple = ()

    def judged(self, measured_m):
        """(state, short by m): 'meets' or 'fails' where a distance is established, else its own state and nan.

        >>> d = Distance("established", 250.0, 250.0, 1.0, "houses", "", ("r",), "", "", "", "")
        >>> d.judged(250.0), d.judged(180.0)
        (('meets', 0.0), ('fails', 70.0))
        """
        if self.state != "established":
            return self.state, np.nan
        short = max(self.distance_m - measured_m, 0.0)
        return ("fails" if short > 0 else "meets"), short


@dataclass(frozen=True)
class Land:
    """Land of a plant. plot_ha: at most; belt_m: width of the green belt; with_belt_ha: a square plot with the belt round
    it, (100 sqrt(plot_ha) + 2 belt_m)² / 10,000. nan where not established. rows: ids of the rows it rests on.
    """

    plot_ha: float
    belt_m: float
    with_belt_ha: float
    rows: tuple


def read_table(file):
    """Frame of COLUMNS from a csv (path or open file): numbers, dates and text, blank text ''.

    enclosed is 'yes', 'no' or ''. Raises DistanceError if a column is missing or a row is named twice.
    """
    table = pd.read_csv(file, dtype=str, keep_default_na=False, encoding="utf-8")
    missing = [c for c in COLUMNS if c not in table]
    if missing:
        raise DistanceError(f"Columns are missing: {missing}.", f"Thiếu cột: {missing}.")
    twice = list(table["row"][table["row"].duplicated()])
    if twice:
        raise DistanceError(f"Rows named twice: {twice}.", f"Hàng bị lặp mã: {twice}.")
    for column in NUMBERS:
        table[column] = pd.to_numeric(table[column].replace("", None))
    for column, blank in (("valid_from", "0001-01-01"), ("valid_until", "9999-12-31")):
        table[column] = [date.fromisoformat(text or blank) for text in table[column]]
    return table[list(COLUMNS)]


def facility_types(table, on):
    """Frame of the facility types one can ask for on a day: facility_group, facility_type, facility_vi, by_enclosure
    (enclosed must be said), by_capacity (a capacity must be said), in the order of the table.
    """
    rows = _asked(_valid(table, on))
    of = rows.groupby("facility_type", sort=False)
    out = of[["facility_group", "facility_vi"]].first()
    out["by_enclosure"] = of["enclosed"].nunique() > 1
    limits = rows[["capacity_min_exclusive", "capacity_max_inclusive"]].notna().any(axis=1)
    out["by_capacity"] = limits.groupby(rows["facility_type"], sort=False).any()
    return out.reset_index()


def safe_distances(table, on, facility_type, *, capacity=None, enclosed=None, upstream=False, upwind=False):
    """(Distance, ...), one for each kind of object and direction the rules name, on a day.

    capacity: in the unit of the rows (m³/day). enclosed: with odour collected and treated; needed where it matters.
    upstream: of a water source; upwind: of houses, in the main wind. An entry of somebody stands beside the law: the
    larger distance holds. Without any row on that day the state is 'not_established' and rows is empty.
    Raises DistanceError: the type is in no regulation, capacity or enclosure is needed and missing, capacity not above 0.
    """
    every = _asked(table)
    of_type = every[every["facility_type"] == facility_type]
    if of_type.empty:
        known = list(dict.fromkeys(every["facility_type"]))
        raise DistanceError(
            f"No rule knows the facility type {facility_type!r}; known are {known}.",
            f"Không quy định nào có loại công trình {facility_type!r}; các loại đã có: {known}.",
        )
    rows = _valid(of_type, on)
    rows = rows[_enclosure(rows, facility_type, enclosed)]
    rows = rows[_class(rows, capacity)]
    if rows.empty:
        group = of_type["facility_group"].iloc[0]
        return (_unknown(table, on, group, of_type),)
    return tuple(
        _distance(table, on, group, capacity, upstream or upwind)
        for _, group in rows.groupby(["to_object", "direction"], sort=False)
    )


def safe_distance(table, on, facility_type, **asked):
    """The only Distance of safe_distances. Raises DistanceError where the rules name several objects or directions."""
    found = safe_distances(table, on, facility_type, **asked)
    if len(found) > 1:
        names = [" ".join(filter(None, (d.to_object, d.direction))) for d in found]
        raise DistanceError(
            f"The rules name {len(found)} distances ({'; '.join(names)}): ask safe_distances.",
            f"Quy định nêu {len(found)} khoảng cách ({'; '.join(names)}).",
        )
    return found[0]


def land_need(table, on, facility_group, capacity):
    """Land of a plant of a group with a capacity (m³/day; t/year for solid waste)."""
    if not capacity > 0:
        raise DistanceError("The capacity must be above 0.", "Công suất phải lớn hơn 0.")
    land = _of_group(table, on, facility_group, "land_most")
    belt = _of_group(table, on, facility_group, "green_belt")
    plot = float(land["factor"].min()) * capacity / 1000 if len(land) else np.nan
    belt_m = float(belt["green_belt_m"].max()) if len(belt) else np.nan
    side = 100 * np.sqrt(plot) + 2 * belt_m
    return Land(plot, belt_m, float(side**2 / 10_000), (*land["row"], *belt["row"]))


def with_entries(table, entries):
    """The table with distances somebody entered, as rows 'user-1', 'user-2' ... of confidence 'user'.

    entries: frame with facility_type, distance_min_m, source, and optional enclosed ('yes', 'no', ''), to_object,
    direction, capacity_min_exclusive, capacity_max_inclusive, valid_from, valid_until (dates). What is left out is
    taken as in the rules of the type. Raises DistanceError, all problems together: no source, no distance, a type
    that no rule knows, or less than an established rule asks for the same case. More is allowed.
    """
    every, problems, new = _asked(table), [], []
    for k, entry in enumerate(entries.to_dict("records"), start=1):
        entry = {name: value for name, value in entry.items() if not pd.isna(value)}
        like = every[every["facility_type"] == entry.get("facility_type")]
        if like.empty:
            problems.append(
                (f"Entry {k}: no rule knows this facility type.", f"Mục {k}: không có loại công trình này.")
            )
            continue
        if not str(entry.get("source", "")).strip():
            problems.append((f"Entry {k}: name the source.", f"Mục {k}: hãy ghi nguồn."))
        if not 0 <= float(entry.get("distance_min_m", -1)) < np.inf:
            problems.append((f"Entry {k}: the distance must be 0 or more.", f"Mục {k}: khoảng cách phải từ 0 trở lên."))
        first = like.iloc[0]
        row = dict.fromkeys(COLUMNS, "") | dict.fromkeys(NUMBERS, np.nan)
        row |= {name: first[name] for name in ("facility_group", "facility_vi", "to_object", "capacity_unit")}
        row |= {"valid_from": date.min, "valid_until": date(9999, 12, 31)}
        row |= {name: value for name, value in entry.items() if name in COLUMNS}
        row |= {"row": f"user-{k}", "kind": "minimum", "confidence": ENTERED, "reference": str(entry.get("source", ""))}
        problems += [
            (
                f"Entry {k}: {row['distance_min_m']:g} m is less than the {r['distance_min_m']:g} m of row {r['row']}.",
                f"Mục {k}: {row['distance_min_m']:g} m nhỏ hơn {r['distance_min_m']:g} m của hàng {r['row']}.",
            )
            for r in _lower_than(like, row)
        ]
        new.append(row)
    if problems:
        raise DistanceError(" ".join(p[0] for p in problems), " ".join(p[1] for p in problems))
    return pd.concat([table, pd.DataFrame(new, columns=COLUMNS)], ignore_index=True) if new else table


def _lower_than(like, row):
    """Established rows of the law that meet an entry's case somewhere and ask for more."""
    low, high = (np.nan_to_num(row[c], nan=blank) for c, blank in _ENDS)
    for _, law in like[(like["kind"] == "minimum") & (like["distance_min_m"] > row["distance_min_m"])].iterrows():
        law_low, law_high = (np.nan_to_num(law[c], nan=blank) for c, blank in _ENDS)
        same = law["to_object"] == row["to_object"] and law["direction"] == row["direction"]
        same &= row["enclosed"] in ("", law["enclosed"]) or law["enclosed"] == ""
        same &= max(law["valid_from"], row["valid_from"]) <= min(law["valid_until"], row["valid_until"])
        if same and max(low, law_low) < min(high, law_high):
            yield law


_ENDS = (("capacity_min_exclusive", 0.0), ("capacity_max_inclusive", np.inf))


def _asked(table):
    return table[table["kind"].isin(ASKED)]


def _valid(table, on):
    return table[(table["valid_from"] <= on) & (table["valid_until"] >= on)]


def _of_group(table, on, group, kind):
    rows = _valid(table, on)
    meant = np.array([group in text.split(";") for text in rows["applies_to"]], dtype=bool)
    return rows[(rows["kind"] == kind) & meant]


def _enclosure(rows, facility_type, enclosed):
    if enclosed is None:
        if rows["enclosed"].replace("", None).nunique() > 1:
            raise DistanceError(
                f"Say whether {facility_type!r} is enclosed, with odour collected and treated: the distance depends on it.",
                "Hãy cho biết công trình có khép kín, thu và xử lý mùi hay không: khoảng cách phụ thuộc vào đó.",
            )
        return np.ones(len(rows), dtype=bool)
    fits = rows["enclosed"].isin(["", "yes" if enclosed else "no"])
    alone = rows["enclosed"].replace("", None).nunique() < 2  # the rules make no difference: theirs holds
    return np.ones(len(rows), dtype=bool) if alone else fits.to_numpy()


def _class(rows, capacity):
    limits = rows[[name for name, _ in _ENDS]]
    if capacity is None:
        if limits.notna().any(axis=None):
            raise DistanceError(
                "Say the capacity: the distance depends on it.", "Hãy cho công suất: khoảng cách phụ thuộc vào đó."
            )
        return np.ones(len(rows), dtype=bool)
    if not 0 < capacity < np.inf:
        raise DistanceError("The capacity must be above 0.", "Công suất phải lớn hơn 0.")
    low, high = (limits[name].fillna(blank) for name, blank in _ENDS)
    return ((low < capacity) & (capacity <= high)).to_numpy()


def _distance(table, on, rows, capacity, exposed):
    """Distance of the rows for one object: the largest established, else what the rest says."""
    set_ = rows[(rows["kind"] == "minimum") & rows["distance_min_m"].notna()]
    if set_.empty:
        left = rows[rows["kind"] == "assessment"]
        return _say(("assessment" if len(left) else "not_established"), (left if len(left) else rows).iloc[0])
    row = set_.loc[set_["distance_min_m"].idxmax()]
    base, factor, ids, cautions = float(row["distance_min_m"]), 1.0, [row["row"]], []
    if exposed:
        known = _of_group(table, on, row["facility_group"], "multiplier")
        set_factor = known[known["factor"].notna()]
        if len(set_factor):
            factor = float(set_factor["factor"].max())
            ids.append(set_factor.loc[set_factor["factor"].idxmax(), "row"])
        else:
            ids += list(known["row"])
            cautions.append(
                (
                    "How much the distance grows upstream or upwind is not established for this day.",
                    "Chưa xác lập hệ số tăng khoảng cách khi ở thượng lưu hoặc đầu hướng gió cho ngày này.",
                )
            )
    if capacity is not None and capacity == row["capacity_max_inclusive"] and row["note"].startswith("capacity below"):
        cautions.append(
            (
                f"Exactly on a border of classes: the table's note says {row['note']!r}. Check the official text.",
                f"Đúng ranh giới giữa hai mức công suất: ghi chú của bảng nói công suất dưới {capacity:g}. Hãy xem văn bản gốc.",
            )
        )
    return _say("established", row, base, factor, tuple(ids), tuple(cautions))


def _say(state, row, base=np.nan, factor=1.0, rows=(), cautions=()):
    facts = {name: row[name] for name in ("to_object", "direction", "regulation", "reference", "note", "confidence")}
    return Distance(state, base * factor, base, factor, rows=rows or (row["row"],), cautions=cautions, **facts)


def _unknown(table, on, group, of_type):
    """Nothing holds on this day: says which regulation of the group does hold, if any."""
    there = _valid(table, on)
    there = there[there["facility_group"] == group]
    regulation = there["regulation"].iloc[0] if len(there) else ""
    blank = dict.fromkeys(COLUMNS, "") | {"to_object": of_type["to_object"].iloc[0], "regulation": regulation}
    blank |= {"confidence": "not-established", "row": ""}
    said = _say("not_established", blank)
    return Distance(**(said.__dict__ | {"rows": ()}))
