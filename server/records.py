"""Single records of the store as plain data, and what is said of where they come from."""

import pandas as pd

from layers.boundaries import bare_name
from layers.letters import fold
from layers.starter import vietnamese
from server.i18n import language, text


def plain(row):
    """A row of a snapshot as a dict, with None for what is missing."""
    return {k: None if not hasattr(v, "geom_type") and pd.isna(v) else v for k, v in row.items()}


def source_words(recorded):
    """The sources of a record's field in the reader's language; addresses and titles stay as they are."""
    recorded = str(recorded or "")
    if language() != "vi":
        return recorded
    whole = vietnamese(recorded)
    return whole if whole != recorded else " | ".join(vietnamese(part.strip()) for part in recorded.split(" | "))


def source_of(row):
    """What provenance() in the templates needs, from any record."""
    titles = (row.get("source") or "").split(" | ")
    dates = (row.get("source_date") or "").split(" | ")
    dates += [""] * (len(titles) - len(dates))
    return [
        {"title": t, "publisher": None, "date": d.replace(" (est.)", ""), "url": None, "confidence": row.get("confidence"),
         "geometry_quality": row.get("geometry_quality") if i == 0 else None,
         "note": text(row, "note") if i == 0 else None}
        for i, (t, d) in enumerate(zip(titles, dates, strict=False))
    ]  # fmt: skip


def matches(row, typed):
    """Whether the typed text, without marks, stands in a row's code, names, old district or ward; blank always does."""
    unit = row["unit"] or {}
    parts = (
        row["code"],
        row["name_vi"],
        row["name_en"],
        row["district_old"],
        unit.get("name_vi"),
        unit.get("name_en"),
    )
    return fold(typed) in fold(" ".join(p for p in parts if p))


def old_districts(store, rows):
    """The old districts that rows lie in, in the order of their names: dicts code, name_vi, name_en."""
    there = {code for r in rows for code in r["old_districts"]}
    admin = store.snapshot("admin_units")
    admin = admin[(admin["kind"] == "district") & admin["code"].isin(there)]
    made = [{k: r[k] for k in ("code", "name_vi", "name_en")} for r in admin.to_dict("records")]
    return sorted(made, key=lambda d: fold(bare_name(d["name_vi"])))


def find(store, layer, code):
    """One record as a dict with its geometry, or None."""
    rows = store.snapshot(layer)
    rows = rows[rows["code"] == code]
    return plain(rows.iloc[0]) if len(rows) else None


def known(value):
    return None if pd.isna(value) else float(value)


def unit_word(unit):
    """A unit of measure in the reader's language."""
    if language() == "vi":
        return {"0..1": "", "people": "người"}.get(unit, unit)
    return {
        "L/người/ngày": "L/person/day",
        "m³/ha/ngày": "m³/ha/day",
        "m³/ngày": "m³/day",
        "t/ngày": "t/day",
        "TEU/năm": "TEU/year",
        "0..1": "",
    }.get(unit, unit)
