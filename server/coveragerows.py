"""Rows of a coverage view: every figure of a group as {low, likely, high}, in m³/day or as a share."""

import pandas as pd

from geo.coverage import PARTS, SCENARIOS, TREATED

NOT_TREATED = tuple(p for p in PARTS if p not in TREATED)
KNOWN_GAP = tuple(p for p in NOT_TREATED if p != "unknown")


def rows(summary, names):
    """One dict per group: code, names, and every figure as {low, likely, high} in m³/day or as a share.

    parts: the low, likely and high case, which add up to generated. spans: the least and greatest of
    each part over all cases, for showing one part alone.
    """
    generated = summary.generated()
    parts = {s: summary.parts(s) for s in SCENARIOS}
    amounts = {"treated": TREATED, "gap": NOT_TREATED, "known_gap": KNOWN_GAP, "unknown": ("unknown",)}
    shares = {"treated_share": TREATED, "to_standard_share": PARTS[:1], "unknown_share": ("unknown",)}
    amounts = {name: summary.amount(which) for name, which in amounts.items()}
    shares = {name: summary.share(which) for name, which in shares.items()}
    spans = {p: summary.amount((p,)) for p in PARTS}
    out = []
    for code in summary.groups:
        row = {"code": code, "generated": three(generated.loc[code])}
        if names is not None:
            row |= {k: None if pd.isna(v) else v for k, v in names.loc[code].items()}
        row["parts"] = {p: {s: float(parts[s].at[code, p]) for s in SCENARIOS} for p in PARTS}
        row["spans"] = {p: three(frame.loc[code]) for p, frame in spans.items()}
        row |= {name: three(frame.loc[code]) for name, frame in (amounts | shares).items()}
        out.append(row)
    return out


def bare(unit, facilities):
    """A row of a zone whose waste water is not known: it has a place and a plant or none, but no figures."""
    nothing = dict.fromkeys(SCENARIOS)
    names = (
        "generated",
        "treated",
        "gap",
        "known_gap",
        "unknown",
        "treated_share",
        "to_standard_share",
        "unknown_share",
    )
    return unit | dict.fromkeys(names, nothing) | {
        "parts": dict.fromkeys(PARTS, nothing), "spans": dict.fromkeys(PARTS, nothing), "confidence": "low", "basis": "none",
        "people": None, "facilities": facilities[unit["code"]],
    }  # fmt: skip


def nowhere(by):
    """Names of what no old unit is known of."""
    if by == "district":
        return "Khu, cụm công nghiệp chưa rõ đơn vị cấp huyện cũ", "Zones whose old district is not known"
    return "Phường, xã chưa rõ đơn vị cũ", "Units whose old unit is not known"


def three(values):
    return {s: None if pd.isna(values[s]) else float(values[s]) for s in SCENARIOS}
