"""The explanations: reported indicators side by side with ours, the method, how fresh the data are."""

import re
from datetime import date

from geo import coverage
from geo.coverage import PARTS, SCENARIOS
from layers.catalogue import ALL
from server import boundaryguide, records, stageguide, words
from server.figures import WASTE_WATER_KEYS
from server.i18n import gettext as _
from server.i18n import m3, number, percent_range, text

TOPICS = ("water", "industry", "waste", "health", "air", "city")
# one or both of these open the waste-water section, where our own figure stands beside them
_OURS_BESIDE = "domestic_wastewater_treated"
_DATE = re.compile(r"(?:19|20)\d\d(?:-\d\d(?:-\d\d)?)?")


def freshness(services):
    """How many sources the data rest on, the oldest and the newest date they bear, and the last change here."""
    return services.figures.kept("freshness", lambda: _freshness(services))


def _freshness(services):
    sources, dates = set(), set()
    for name in ALL:
        rows = services.store.snapshot(name)
        for texts in rows["source"].dropna():
            sources |= {t.strip() for t in texts.split(" | ")} - {""}
        for texts in rows["source_date"].dropna():
            dates |= set(_DATE.findall(texts))
    return {"sources": len(sources), "oldest": min(dates, default=None), "newest": max(dates, default=None)}


# --- indicators ---


def indicators(services, as_of):
    """Reported figures by topic; figures that are easily taken for each other share a section."""
    rows = [records.plain(r) for r in services.store.snapshot("indicators").to_dict("records")]
    section_of = _sections(rows)
    topics = []
    for topic in TOPICS:
        made = {}
        for r in rows:
            if r["topic"] == topic or section_of[r["key"]] in made:
                made.setdefault(section_of[r["key"]], []).append(r)
        sections = [_section(key, mine, services, as_of) for key, mine in made.items() if mine[0]["topic"] == topic]
        if sections:
            topics.append({"code": topic, "sections": sections})
    return topics


def official(services):
    """Reported figures on waste water treatment, to stand beside ours."""
    rows = [records.plain(r) for r in services.store.snapshot("indicators").to_dict("records")]
    return [_figure(r) for r in rows if r["key"] in WASTE_WATER_KEYS and r["kind"] == "actual"]


def _sections(rows):
    """Key of the section of each indicator key: keys that name each other in compare_with are one section."""
    home = {r["key"]: r["key"] for r in rows}

    def top(key):
        while home[key] != key:
            key = home[key]
        return key

    for r in rows:
        for other in (r["compare_with"] or "").split(";"):
            if other.strip() in home:
                a, b = sorted((top(r["key"]), top(other.strip())), key=list(home).index)
                home[b] = a
    return {key: top(key) for key in home}


def _section(key, rows, services, as_of):
    figures = [_figure(r) for r in rows if r["kind"] != "target"]
    if any(r["key"] == _OURS_BESIDE for r in rows):
        figures += [_ours(services, as_of)]
    why = list(dict.fromkeys(text(r, "why_differs") for r in rows if text(r, "why_differs")))
    if any(r["key"] == _OURS_BESIDE for r in rows):
        why.append(
            _(
                "Our own figure is computed, not reported: people times norms, sent to the plants that are known to work. "
                "How much of the inner city is really connected, and what the plants really receive, is not published; "
                "that is why it is a range, and why it need not equal a reported figure."
            )
        )
    return {
        "key": key,
        "title": text(rows[0], "indicator"),
        "figures": figures,
        "targets": [_figure(r) for r in rows if r["kind"] == "target"],
        "why": why if len(figures) > 1 else [],
    }


def _figure(r):
    return {
        "code": r["code"],
        "title": text(r, "indicator"),
        "scope": text(r, "scope"),
        "period": r["year"],
        "value": written_value(r["value"]),
        "unit": text(r, "unit"),
        "kind": r["kind"],
        "computed": False,
        "numerator": text(r, "numerator"),
        "denominator": text(r, "denominator"),
        "area": text(r, "area"),
        "definition_stated": r["definition_stated"],
        "sources": records.source_of(r),
        "low_confidence": r["confidence"] == "low",
    }


def written_value(value):
    """A reported value with its sign (<, >, a range) and the reader's decimal mark.

    Values are kept as reported, with a decimal point and thousands commas: "<10", "21.2", "850-1,100".
    """

    def one(match):
        digits = match.group(0).replace(",", "")
        places = len(digits.split(".")[1]) if "." in digits else 0
        return number(float(digits), places)

    return (
        re.sub(r"\d[\d,]*(?:\.\d+)?", one, value)
        .replace("-", "–")
        .replace("nearly all of", _("nearly all of"))
        .replace(" and ", _(" and "))
    )


def _ours(services, as_of):
    share = services.figures.domestic_share(as_of)
    return {
        "code": "computed",
        "title": _("domestic waste water that reaches a working plant"),
        "scope": _("city before 1 July 2025"),
        "period": as_of.isoformat(),
        "value": percent_range(share),
        "unit": "",
        "kind": "computed",
        "computed": True,
        "numerator": _("m³ a day of domestic waste water treated at working plants, whatever the result"),
        "denominator": _("m³ a day of domestic waste water of the 50 units of the old city"),
        "area": _("today's 50 units on the side of the old city"),
        "definition_stated": "yes",
        "sources": [],
        "low_confidence": False,
    }


# --- the method ---


def method(services):
    """Formulas, norms, the worked example (computed by the real code), what the method cannot do, and the stages."""
    norms = [
        {
            "name": text(r, "norm"),
            "low": r["value_low"],
            "likely": r["value_likely"],
            "high": r["value_high"],
            "unit": records.unit_word(r["unit"]),
            "source": r["reference"],
            "note": text(r, "note"),
            "confidence": r["confidence"],
        }
        for r in map(records.plain, services.store.snapshot("norms").to_dict("records"))
    ]
    return {
        "formulas": _formulas(),
        "norms": norms,
        "example": worked_example(),
        "boundaries": boundaryguide.guide(services),
        "limits": _limits(services),
        "sources": freshness(services),
        "stages": stageguide.guide(services.book.rules, services.book.calendar, services.today()),
    }


def _formulas():
    return [
        {
            "title": _("The balance of every unit"),
            "formula": "generated = " + " + ".join(PARTS),
            "words": _(
                "In each of the low, likely and high case the eight parts add up to the whole, for every ward, zone, old district and the city."
            ),
            "source": "",
        },
        {
            "title": _("Domestic waste water"),
            "formula": _("people × litres per person and day × return share / 1000"),
            "words": _("Wards use the urban norm; communes and the special zones use the rural one."),
            "source": "QCVN 01:2021/BXD, 2.10, 2.11",
        },
        {
            "title": _("Industrial waste water"),
            "formula": _("measured flow, else licensed flow × occupancy, else area × occupancy × norm"),
            "words": _("A park without a flow, a licence or an area is not counted; it is named as not counted."),
            "source": "QCVN 01:2021/BXD, 2.10, 2.11",
        },
        {
            "title": _("What a plant treats"),
            "formula": _("treated = min(inflow, measured flow, capacity)"),
            "words": _(
                "Only a plant that works on that date treats. What exceeds its capacity is shared back in proportion to "
                "the inflows. What was computed to arrive but was not measured is unknown. Where the capacity is not "
                "known, nothing counts as treated in the low case."
            ),
            "source": "",
        },
        {
            "title": _("The range of a share"),
            "formula": _(
                "least and greatest of treated / generated over all corners of generation, link shares and capacity"
            ),
            "words": _(
                "Little sewage in a plant of fixed size gives a large share, so the range of a share is not the ratio of the low and high columns."
            ),
            "source": "",
        },
    ]


def worked_example():
    """The example of geo.coverage, with inputs and results ready for two tables."""
    units, states, links = coverage.worked_example()
    day = date(2026, 11, 22)
    result = coverage.ledger(units, states, links, as_of=day)
    parts = coverage.by_unit(result).parts("likely")
    total = coverage.whole(result)
    goes = {
        "A": _("all of it to plant P"),
        "B": _("half of it to plant P"),
        "C": _("all of it to plant Q"),
        "D": _("a quarter stays in septic tanks"),
        "E": _("nothing is known"),
    }
    return {
        "plants": [
            _("Plant P works, treats at most 1,800 m³ a day, and its results meet the limits."),
            _("Plant Q has stood idle since 1 January 2026."),
        ],
        "rows": [
            {
                "unit": u,
                "generated": m3(units.at[u, "likely"]),
                "goes": goes[u],
                "parts": [(words.word("part", p), m3(v)) for p, v in parts.loc[u].items() if v > 0],
            }
            for u in parts.index
        ],
        "totals": [(words.word("part", p), m3(v)) for p, v in total.parts("likely").loc["total"].items() if v > 0],
        "generated": m3(total.generated().at["total", "likely"]),
        "share": percent_range({s: float(total.share(coverage.TREATED).at["total", s]) for s in SCENARIOS}),
    }


def _limits(services):
    uncounted = services.figures.coverage("zone", services.today()).uncounted
    return [
        _("Ward outlines are schematic. They are good for a picture, not for measuring."),
        _("The people of a ward are those of one published count; it is not corrected for the date you choose."),
        _("Of the few wards that lie in two old districts only the area of each part is known, not its people."),
        _(
            "How much of the inner city is connected to Vĩnh Niệm is an estimate between two readings of published figures."
        ),
        _("No measured flow and no effluent result of any plant was found, so nothing is proven treated to standard."),
        _(
            "%(n)s zones and ports are in no sum, because neither a flow nor an area was found for them.",
            n=number(len(uncounted), 0),
        ),
        _("Rain and groundwater in combined sewers are not counted."),
    ]
