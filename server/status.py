"""The public status of the hotspots on a day: one list of rows for the map, the table, the counts and the files.

A row is a row of the register (server/register.py) with the stage of that day; every other field is
recorded as it is now. A row further has: why (known or undated), stage_since, shown_then, known_since
and exact (server/history.py), age_days, due (overdue, due, none, over, unknown), due_days, relapsed.
"""

from dataclasses import dataclass

from layers.catalogue import ALL
from layers.export import public_fields
from layers.letters import fold
from server import history, records, register
from server.i18n import gettext, language, ngettext

DAYS_PER_YEAR = 365.25
AGES = {"under_1": (0, 1), "1_5": (1, 5), "5_10": (5, 10), "over_10": (10, float("inf"))}
DUE_SOON_DAYS = 14


@dataclass(frozen=True)
class Status:
    """All rows of a day, in the order of stages and codes, and how many are left out of it, with why."""

    rows: tuple[dict, ...]
    not_yet: int
    undated: int


def pasts(services):
    """The history.Past of every public hotspot by code."""
    store = services.store
    return services.figures.kept(
        "pasts", lambda: history.pasts(store.snapshot("hotspots"), store.snapshot("hotspot_events"))
    )


def rows(services):
    """The rows of the register as they are now; do not write into them."""
    return services.figures.kept("hotspot rows", lambda: register.hotspots(services, None))


def status(services, day):
    """The Status at the end of a day."""
    every, today, made, left = pasts(services), services.today(), [], {"not_yet": 0, "undated": 0}
    order = {c.value: i for i, c in enumerate(ALL["hotspots"].by_name["stage"].allowed)}
    for r in rows(services):
        past = every[r["code"]]
        found = history.standing(past, day, today=today)
        if found.stage is None:
            left[found.why] += 1
            continue
        due, days = history.due(past, day, today=today)
        made.append(
            r | {
                "stage": found.stage, "why": found.why, "stage_since": found.since, "shown_then": found.shown_then,
                "known_since": past.since, "exact": past.exact, "age_days": history.age_days(past, day),
                "due": due, "due_days": days,
                "relapsed": max(found.relapses, int(r["relapses"] or 0) if day >= today else 0),
            }
        )  # fmt: skip
    made.sort(key=lambda r: (order[r["stage"]], r["code"]))
    return Status(tuple(made), **left)


def fixed(row, q, wards_named=()):
    """Whether a row fits what does not change with time: medium, class, ward, old district and words."""
    unit = (row["unit"] or {}).get("code")
    return (
        (not q["medium"] or q["medium"] in row["media_list"])
        and (not q["class"] or row["class"] == q["class"])
        and (not q["ward"] or unit == q["ward"])
        and (not q.get("district") or q["district"] in row["old_districts"])
        and (records.matches(row, q["q"]) or unit in wards_named)
    )


def chosen(rows, q, wards_named=()):
    """The rows that fit every choice: stage, age and overdue on that day, and what fixed() asks."""
    return [
        r
        for r in rows
        if fixed(r, q, wards_named)
        and (not q["stage"] or r["stage"] == q["stage"])
        and (not q["age"] or age_class(r["age_days"]) == q["age"])
        and (not q["overdue"] or r["due"] == "overdue")
    ]


def wards_named(store, typed):
    """Codes of the wards one of whose earlier names contains the typed text, marks or not."""
    typed = fold(typed)
    if len(typed) < 2:
        return frozenset()
    old = store.snapshot("old_names")
    return frozenset(
        code for code, name in zip(old["ward_code"], old["old_name_vi"], strict=True) if typed in fold(name)
    )


def wards(rows):
    """The wards of these rows, each once, in the order of their names: dicts code, name_vi, name_en."""
    found = {r["unit"]["code"]: r["unit"] for r in rows if r["unit"]}
    return sorted(found.values(), key=lambda w: fold(w["name_vi"]))


SEVERAL, NOWHERE = "several", "nowhere"  # in place of a unit's code


def by_units(rows, units, store):
    """Rows counted by where they are; all counts together are all rows.

    units: "today" (wards), "districts" or "old-city". A hotspot goes by its place, or by the districts its source
    names; one that several hold is counted once, under SEVERAL, one without a place under NOWHERE.
    One dict per unit that has any, most first: unit (its code), name_vi, name_en (None for the two), all, open, outside.
    """
    admin = store.snapshot("admin_units").set_index("code")
    sides = {"Hải Phòng": "HP-2024", "Hải Dương": "HD-2024"}
    out = {}
    for r in rows:
        if units == "today":
            found = {r["unit"]["code"]} if r["unit"] else set()
        elif units == "districts":
            found = set(r["old_districts"])
        else:
            found = {sides[admin.at[c, "side"]] for c in r["old_districts"] if admin.at[c, "side"] in sides}
        code = next(iter(found)) if len(found) == 1 else SEVERAL if found else NOWHERE
        held = out.setdefault(code, {"unit": code, "all": 0, "open": 0})
        held["all"] += 1
        held["open"] += r["stage"] in history.OPEN
    for code, held in out.items():
        known = code in admin.index
        held |= {k: admin.at[code, k] if known else None for k in ("name_vi", "name_en")}
        held["outside"] = known and units != "today" and admin.at[code, "side"] == "Hải Dương"
    return sorted(
        out.values(), key=lambda h: (h["unit"] in (SEVERAL, NOWHERE), -h["all"], fold(h["name_vi"] or ""), h["unit"])
    )


def stage_counts(rows):
    """(stage, how many) in the order of the stages, without those that have none."""
    stages = [c.value for c in ALL["hotspots"].by_name["stage"].allowed]
    counted = [(s, sum(r["stage"] == s for r in rows)) for s in stages]
    return [(s, n) for s, n in counted if n]


def age_class(days):
    """under_1, 1_5, 5_10 or over_10 years, or unknown.

    >>> [age_class(d) for d in (None, 0, 365, 366, 4000)]
    ['unknown', 'under_1', 'under_1', '1_5', 'over_10']
    """
    if days is None:
        return "unknown"
    return next(name for name, (low, high) in AGES.items() if low <= days / DAYS_PER_YEAR < high)


def age_words(days, exact=True):
    """An age in whole days, months or years; "at least" where the beginning is only the date of a source."""
    if days is None:
        return gettext("not dated")
    if days < 60:
        words = ngettext("one day", "%(num)s days", days)
    elif days < 2 * DAYS_PER_YEAR:
        words = ngettext("one month", "%(num)s months", int(days * 12 / DAYS_PER_YEAR))
    else:
        words = ngettext("one year", "%(num)s years", int(days / DAYS_PER_YEAR))
    return words if exact else gettext("at least %(time)s", time=words)


def due_words(row):
    """(words, colour) of a deadline; colour: late, soon, good, quiet, or "" where there is nothing to say."""
    state, days = row["due"], row["due_days"]
    if state == "overdue":
        return ngettext("overdue by one day", "overdue by %(num)s days", -days), "late"
    if state == "due":
        words = gettext("due today") if days == 0 else ngettext("one day left", "%(num)s days left", days)
        return words, "soon" if days <= DUE_SOON_DAYS else "good"
    if state == "none":
        return gettext("no deadline recorded"), "quiet"
    return (gettext("not known on this day"), "quiet") if state == "unknown" else ("", "")


# --- files ---


def record(row, day):
    """One row of the files, as server.listings.HOTSPOTS says. `stage` is that of the day."""
    made = {f.name: row[f.name] for f in public_fields("hotspots")}
    unit = row["unit"] or {}
    return made | {
        "geometry": row["geometry"], "stage_since": row["stage_since"], "as_of": day,
        "stage_shown_then": row["shown_then"], "known_since": row["known_since"],
        "known_since_is_exact": None if row["known_since"] is None else "yes" if row["exact"] else "no",
        "age_days": row["age_days"], "deadline_state": row["due"], "days_to_deadline": row["due_days"],
        "ward": unit.get("code"), "ward_name": unit.get("name_vi"),
    }  # fmt: skip


# --- the timeline of one hotspot ---


def timeline(services, code, day):
    """The public events of one hotspot up to a day, newest first, as dicts; `later`: published after that day.

    The words are in the reader's language; photos are lists of checksums.
    """
    events = services.store.snapshot("hotspot_events")
    mine = events[events["hotspot"] == code].sort_values("number", ascending=False)
    layer, out = ALL["hotspot_events"], []
    for row in mine.to_dict("records"):
        e = records.plain(row)
        happened, told = e["day"].date(), e["published_on"].date()
        if happened > day:
            continue
        out.append(
            e | {
                "day": happened, "published_on": told, "before_on": _date(e["before_on"]), "after_on": _date(e["after_on"]), "later": told > day, "number": int(e["number"]),
                "what": layer.words("action", e["action"], language()),
                **{k: (e[k] or "").split(";") if e[k] else [] for k in ("photos", "photos_before", "photos_after")},
            }
        )  # fmt: skip
    return out


def _date(value):
    return value and value.date()


def photos(services, code):
    """Checksums of every photo in the public timeline of a hotspot."""
    events = services.store.snapshot("hotspot_events")
    mine = events[events["hotspot"] == code]
    held = (mine[k].dropna() for k in ("photos", "photos_before", "photos_after"))
    return {sha for column in held for text in column for sha in text.split(";") if sha}
