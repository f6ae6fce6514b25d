"""What rows of one table must keep among themselves, beyond the type of each field.

A rule takes the rows as the catalogue has typed them and gives (row number from 0 or None, sentence)
for everything that would keep the figures from being computed.
"""

import pandas as pd

_EVER, _OPEN = pd.Timestamp("1800-01-01"), pd.Timestamp("2200-01-01")
NORMS = ("supply_urban", "supply_rural", "return_share", "industry_per_ha", "occupancy")


def broken(layer_name, rows):
    """Broken rules of a table: list of (row or None, sentence without the row)."""
    return [found for rule in _RULES.get(layer_name, ()) for found in rule(rows)]


def lost(layer_name, codes):
    """Sentences about rows without which nothing can be computed; a table that has them may not lose them."""
    missing = [c for c in NORMS if c not in codes] if layer_name == "norms" else []
    return [f"norms: {', '.join(missing)} must be there; nothing can be computed without them."] if missing else []


def _rising(stem, *, least=0.0, most=None, whole_or_none=True):
    """low, likely and high are all there or all blank, rise, and stay within bounds."""

    def rule(rows):
        columns = [f"{stem}_{s}" for s in ("low", "likely", "high")]
        for i, values in enumerate(rows[columns].itertuples(index=False)):
            given = [v for v in values if not pd.isna(v)]
            if not given:
                continue
            if whole_or_none and len(given) < 3:
                yield i, f"give {', '.join(columns)} together, or leave all three blank."
            elif sorted(given) != given:
                yield i, f"{stem} must rise from low to high."
            elif given[0] < least or (most is not None and given[-1] > most):
                yield i, f"{stem} must be at least {least:g}" + (f" and at most {most:g}." if most is not None else ".")

    return rule


def _at_least_zero(*columns):
    def rule(rows):
        for column in columns:
            for i in (rows[column] < 0).to_numpy().nonzero()[0]:
                yield int(i), f"{column} must not be below zero."

    return rule


def _period(rows):
    for i in (rows["valid_to"] <= rows["valid_from"]).to_numpy().nonzero()[0]:
        yield int(i), "valid_to must lie after valid_from."


def _one_state_at_a_time(rows):
    """A later start ends an open earlier state; two states with ends may not share a day."""
    for plant, mine in rows.groupby("plant"):
        mine = mine.assign(start=mine["valid_from"].fillna(_EVER)).sort_values("start")
        ends = mine["valid_to"].iloc[:-1]
        for i, end, start in zip(mine.index[1:], ends, mine["start"].iloc[1:], strict=True):
            if not pd.isna(end) and end > start:
                yield int(i), f"plant {plant} has two states on {start.date()}; end the earlier one before."
            elif pd.isna(end) and start == mine["start"].iloc[0] == _EVER:
                yield int(i), f"plant {plant} has two states without a first day."


def _likely_shares(rows):
    """At no date may the likely shares of one unit be more than the whole."""
    start, end = rows["valid_from"].fillna(_EVER), rows["valid_to"].fillna(_OPEN)
    for unit, mine in rows.groupby("unit"):
        for day in sorted(set(start[mine.index])):
            now = mine[(start[mine.index] <= day) & (day < end[mine.index])]
            total = now["share_likely"].sum()
            if total > 1 + 1e-9:
                yield int(now.index[-1]), f"the likely shares of {unit} add up to {total:g}, more than the whole."
                break


_RULES = {
    "norms": (_rising("value"),),
    "plant_states": (_rising("capacity"), _at_least_zero("measured"), _period, _one_state_at_a_time),
    "service_links": (_rising("share", most=1.0), _period, _likely_shares),
    "admin_units": (_at_least_zero("population", "area_km2"),),
    "industrial_zones": (_at_least_zero("area_ha", "occupancy_pct", "measured_m3d", "licensed_m3d"),),
    "treatment_plants": (_at_least_zero("design_m3d"),),
    "port_areas": (_at_least_zero("declared_m3d"),),
    "crosswalk": (_at_least_zero("share"),),
    "service_areas": (_period,),
}
