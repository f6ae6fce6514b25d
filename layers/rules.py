"""What rows of one table must keep among themselves, beyond the type of each field.

A rule takes the rows as the catalogue has typed them and gives (row number from 0 or None, sentence)
for everything that would keep the figures from being computed. Most rules look at one row; those of
`TOGETHER` look at all rows that have the same value in one field.
"""

import pandas as pd

from layers.errors import said

_EVER, _OPEN = pd.Timestamp("1800-01-01"), pd.Timestamp("2200-01-01")
NORMS = ("supply_urban", "supply_rural", "return_share", "industry_per_ha", "occupancy")


NEEDED = ("norms",)  # tables that may not lose some of their rows


def broken(layer_name, rows):
    """Broken rules of a table: list of (row or None, sentence without the row)."""
    return broken_alone(layer_name, rows) + broken_together(layer_name, rows)


def broken_alone(layer_name, rows):
    """As broken(), of the rules that look at one row."""
    return [found for rule in _RULES.get(layer_name, ()) for found in rule(rows)]


def broken_together(layer_name, rows):
    """As broken(), of the rules that look at rows with the same value in the field TOGETHER[layer_name]."""
    return list(_GROUP_RULES[layer_name](rows)) if layer_name in _GROUP_RULES else []


def lost(layer_name, codes):
    """Sentences about rows without which nothing can be computed; a table that has them may not lose them."""
    missing = [c for c in NORMS if c not in codes] if layer_name == "norms" else []
    if not missing:
        return []
    return [
        said(
            "norms: {codes} must be there; nothing can be computed without them.",
            "Định mức {codes} phải có; thiếu thì không tính được gì.",
            codes=", ".join(missing),
        )
    ]


def _rising(stem, *, least=0.0, most=None, whole_or_none=True):
    """low, likely and high are all there or all blank, rise, and stay within bounds."""

    def rule(rows):
        columns = [f"{stem}_{s}" for s in ("low", "likely", "high")]
        for i, values in enumerate(rows[columns].itertuples(index=False)):
            given = [v for v in values if not pd.isna(v)]
            if not given:
                continue
            if whole_or_none and len(given) < 3:
                yield (
                    i,
                    said(
                        "give {names} together, or leave all three blank.",
                        "hãy ghi cả {names}, hoặc để trống cả ba.",
                        names=", ".join(columns),
                    ),
                )
            elif sorted(given) != given:
                yield i, said("{stem} must rise from low to high.", "{stem} phải tăng từ thấp đến cao.", stem=stem)
            elif given[0] < least or (most is not None and given[-1] > most):
                above = ("", "") if most is None else (f" and at most {most:g}", f" và không quá {most:g}")
                yield i, said(
                    "{stem} must be at least {least:g}{en}.",
                    "{stem} phải ít nhất là {least:g}{vi}.",
                    stem=stem, least=least, en=above[0], vi=above[1],
                )  # fmt: skip

    return rule


def _at_least_zero(*columns):
    def rule(rows):
        for column in columns:
            for i in (rows[column] < 0).to_numpy().nonzero()[0]:
                yield int(i), said("{name} must not be below zero.", "{name} không được âm.", name=column)

    return rule


def _period(rows):
    for i in (rows["valid_to"] <= rows["valid_from"]).to_numpy().nonzero()[0]:
        yield int(i), said("valid_to must lie after valid_from.", "valid_to phải sau valid_from.")


def _one_state_at_a_time(rows):
    """A later start ends an open earlier state; two states with ends may not share a day."""
    for plant, mine in rows.groupby("plant"):
        mine = mine.assign(start=mine["valid_from"].fillna(_EVER)).sort_values("start")
        ends = mine["valid_to"].iloc[:-1]
        for i, end, start in zip(mine.index[1:], ends, mine["start"].iloc[1:], strict=True):
            if not pd.isna(end) and end > start:
                yield int(i), said(
                    "plant {plant} has two states on {day}; end the earlier one before.",
                    "trạm {plant} có hai tình trạng trong ngày {day}; hãy kết thúc tình trạng trước.",
                    plant=plant, day=start.date(),
                )  # fmt: skip
            elif pd.isna(end) and start == mine["start"].iloc[0] == _EVER:
                yield (
                    int(i),
                    said(
                        "plant {plant} has two states without a first day.",
                        "trạm {plant} có hai tình trạng không ghi ngày đầu.",
                        plant=plant,
                    ),
                )


def _share_within_its_ends(rows):
    """A link's share lies in 0..1, and between its low and high where these are given."""
    for i, (low, share, high) in enumerate(rows[["share_low", "share", "share_high"]].itertuples(index=False)):
        given = [v for v in (low, share, high) if not pd.isna(v)]
        if given != sorted(given) or given[0] < 0 or given[-1] > 1:
            yield (
                i,
                said(
                    "share must lie in 0..1, and between share_low and share_high where these are given.",
                    "share phải trong khoảng 0..1 và giữa share_low, share_high nếu có.",
                ),
            )


def _likely_shares(rows):
    """At no date may the likely shares of one unit be more than the whole."""
    start, end = rows["valid_from"].fillna(_EVER), rows["valid_to"].fillna(_OPEN)
    for unit, mine in rows.groupby("unit"):
        for day in sorted(set(start[mine.index])):
            now = mine[(start[mine.index] <= day) & (day < end[mine.index])]
            total = now["share_likely"].sum()
            if total > 1 + 1e-9:
                yield int(now.index[-1]), said(
                    "the likely shares of {unit} add up to {total:g}, more than the whole.",
                    "các tỷ lệ khả dĩ nhất của {unit} cộng lại là {total:g}, nhiều hơn toàn bộ.",
                    unit=unit, total=total,
                )  # fmt: skip
                break


_RULES = {
    "norms": (_rising("value"),),
    "plant_states": (_rising("capacity"), _at_least_zero("measured"), _period),
    "service_links": (_rising("share", most=1.0), _period),
    "admin_units": (_at_least_zero("population", "area_km2"),),
    "industrial_zones": (_at_least_zero("area_ha", "occupancy_pct", "measured_m3d", "licensed_m3d"),),
    "treatment_plants": (_at_least_zero("design_m3d"),),
    "port_areas": (_at_least_zero("declared_m3d"),),
    "crosswalk": (_share_within_its_ends, _period),
    "boundary_versions": (_period,),
    "service_areas": (_period,),
}
TOGETHER = {"plant_states": "plant", "service_links": "unit"}
_GROUP_RULES = {"plant_states": _one_state_at_a_time, "service_links": _likely_shares}
