"""The ledger written out: as a document for programs, as CSV, as a table for a terminal."""

from geo.coverage import PARTS, SCENARIOS
from layers import export

ESTIMATE_SIGN = "≈"


def ledger_document(view, sources, agreement=None, boundary=None):
    """The ledger as plain data for programs.

    agreement: of Figures.agreement(), where the view is of old units. boundary: the boundary version, a row of the
    table boundary_versions, or None.
    """
    keep = ("code", "name_vi", "name_en", "kind", "generated", "parts", "treated_share", "unknown_share")
    if view.by in ("district", "city"):
        keep += ("outside", "estimate")
    return {
        "as_of": view.as_of.isoformat(),
        "by": view.by,
        "boundaries": boundary and {k: boundary[k] for k in ("code", "name_vi", "name_en", "act_vi", "act_en")},
        "agreement": agreement,
        "with_building": view.with_building,
        "unit": "m3/day",
        "data_version": view.version,
        "total": {
            k: view.total[k] for k in ("generated", "parts", "treated_share", "to_standard_share", "unknown_share")
        },
        "units": [{k: row.get(k) for k in keep} for row in view.rows],
        "not_counted": view.uncounted,
        "domestic_before_merger": sources["domestic"],
        "official": sources["official"],
        "sources": sources["sources"],
    }


def ledger_csv(view):
    """The rows of a ledger as CSV bytes: one line per unit, three columns per figure, m³/day."""
    rows = [ledger_cells(r) for r in view.rows]
    return export.csv_bytes(rows, list(ledger_cells(view.total | dict.fromkeys(("name_vi", "name_en", "kind")))))


def ledger_cells(row):
    """One ledger row as flat columns."""
    out = {k: row.get(k) for k in ("code", "name_vi", "name_en", "kind")}
    for name in ("generated", *PARTS):
        values = row["generated"] if name == "generated" else row["parts"][name]
        out |= {f"{name}_{s}_m3d": values[s] for s in SCENARIOS}
    out |= {f"treated_share_{s}": row["treated_share"][s] for s in SCENARIOS}
    estimate = row.get("estimate")
    out["estimated_m3d"] = None if "estimate" not in row else estimate["generated"] if estimate else 0.0
    out["moved_m3d"] = None if "estimate" not in row else estimate["moved"] if estimate else 0.0
    out["link_basis"] = ";".join(estimate["bases"]) if estimate else None
    out["outside_old_city"] = {True: "yes", False: "no"}.get(row.get("outside"))
    return out


def ledger_table(view, sources, agreement=None, boundary=None):
    """The ledger as text for a terminal: likely figures in m³/day, ranges for the total, sources below."""
    shown = [p for p in PARTS if any(r["parts"][p]["likely"] or r["parts"][p]["high"] for r in view.rows)]
    head = ["code", "name", "generated", *shown, "treated share"]
    lines = [head]
    for r in [*view.rows, view.total | {"code": "", "name_vi": "TOTAL"}]:
        share = r["treated_share"]["likely"]
        lines.append(
            [r["code"], r["name_vi"], (ESTIMATE_SIGN if r.get("estimate") else "") + f"{r['generated']['likely']:,.0f}"]
            + [f"{r['parts'][p]['likely']:,.0f}" for p in shown]
            + ["" if share is None else f"{share:.1%}"]
        )
    widths = [max(len(line[i]) for line in lines) for i in range(len(head))]
    out = [f"Ledger by {view.by} on {view.as_of}, likely case, m³/day"
           + (", plants under construction counted" if view.with_building else "")]  # fmt: skip
    for line in lines:
        cells = [c.ljust(w) if i < 2 else c.rjust(w) for i, (c, w) in enumerate(zip(line, widths, strict=True))]
        out.append("  ".join(cells).rstrip())
    out.append("")
    for name in ("generated", *PARTS):
        v = view.total["generated"] if name == "generated" else view.total["parts"][name]
        out.append(f"{name:22} low {v['low']:>12,.0f}   likely {v['likely']:>12,.0f}   high {v['high']:>12,.0f}")
    for name in ("treated_share", "to_standard_share", "unknown_share"):
        v = view.total[name]
        out.append(f"{name:22} low {v['low']:>12.1%}   likely {v['likely']:>12.1%}   high {v['high']:>12.1%}")
    out += _of_old_units(view, agreement, boundary)
    if view.uncounted:
        out.append(f"Not counted, because their waste water is not known: {len(view.uncounted)} "
                   f"({', '.join(u['code'] for u in view.uncounted)}).")  # fmt: skip
    d = sources["domestic"]["treated_share"]
    out.append(
        f"Domestic waste water of the city before 1 July 2025 alone, share treated: "
        f"{d['likely']:.1%} (low {d['low']:.1%}, high {d['high']:.1%})"
    )
    out.append("Reported beside it, on other bases:")
    out += [
        f"  {o['value']} {o['unit']}: {o['indicator']}, {o['scope']}, {o['year']} ({o['source']})"
        for o in sources["official"]
    ]
    out.append("Sources:")
    out += [f"  {s}" for s in sources["sources"]]
    return "\n".join(out)


def _of_old_units(view, agreement, boundary):
    """What a table of old units says of its boundaries, its estimates and its total."""
    if not agreement:
        return []
    estimated = [r for r in view.rows if r["estimate"]]
    out = [f"Boundaries: {boundary['name_en']}."] if boundary else []
    for r in view.rows:
        if r["outside"]:
            out.append(f"{r['code']} {r['name_en']} lies outside the old city and is in no sum of it.")
    if estimated:
        out.append(
            f"{ESTIMATE_SIGN} stands partly on estimated shares of wards that lie in two old units, in all "
            f"{agreement['estimated']:,.0f} m³/day; these shares bring or take away, m³/day: "
            + "; ".join(f"{r['code']} {r['estimate']['moved']:,.0f}" for r in estimated) + "."
        )  # fmt: skip
    same = "the same as" if agreement["equal"] else "NOT the same as"
    out.append(
        f"The old units and what lies outside add up to {agreement['groups']:,.0f} m³/day, {same} today's units "
        f"({agreement['units']:,.0f}); the old city alone {agreement['inside']:,.0f}."
    )
    return out
