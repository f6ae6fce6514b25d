"""How figures move between old and new boundaries, in words, with the example that the same code computes."""

from geo import crosswalk
from server import words
from server.i18n import gettext as _
from server.i18n import m3, number, percent, text


def guide(services):
    """Versions of the boundaries, kinds of shares, the worked example and how many wards are shared.

    versions: list of {name, act, units, valid_from, valid_to, note, source}; bases: (sign, words, meaning);
    example: see worked_example(); shared, wards: numbers of wards.
    """
    links, _told = services.figures.ward_links("district")
    estimated = links[links["basis"].isin(crosswalk.ESTIMATED)]
    versions = services.store.snapshot("boundary_versions").sort_values("valid_from", na_position="first")
    return {
        "versions": [
            {"name": text(r, "name"), "act": text(r, "act"), "note": text(r, "note"), "source": r["source"]}
            for r in versions.astype(object).where(versions.notna(), None).to_dict("records")
        ],
        "bases": [(b in crosswalk.ESTIMATED, words.word("link_basis", b), _meaning(b)) for b in crosswalk.BASES],
        "example": worked_example(),
        "shared": int(estimated["unit"].nunique()),
        "wards": int(links["unit"].nunique()),
    }


def _meaning(basis):
    return {
        "exact": _("All communes a ward was made of came from one old district. Nothing is estimated."),
        "declared": _("A responsible office gave the share, with its document."),
        "population": _(
            "People of the population surface inside both outlines. Only where surveyed outlines are kept."
        ),
        "area": _("Area of the ward inside the old district. People do not live evenly, so this is the weaker way."),
        "majority": _("Nothing better is known: the unit is counted where most of it lies, or as not known."),
    }[basis]


def worked_example():
    """The example of geo.crosswalk ready for a table: rows of units and of groups, and what they come to."""
    water, links, treated = crosswalk.worked_example()
    made = crosswalk.apportion(water, links)
    share = crosswalk.ratio(treated, water, links)
    units = []
    for unit in water.index:
        parts = links[links["unit"] == unit]
        goes = ", ".join(
            f"{percent(p.share)} {p.group}" + ("" if p.basis == "exact" else " ≈") for p in parts.itertuples()
        )
        units.append({"unit": unit, "value": m3(_or_none(water[unit])), "goes": goes})
    groups = [
        {
            "group": g, "value": m3(r["value"]), "low": m3(r["low"]), "high": m3(r["high"]), "estimated": m3(r["estimated"]),
            "missing": number(r["missing"], 0), "share": percent(_or_none(share.at[g, "ratio"])),
        }
        for g, r in made.iterrows()
    ]  # fmt: skip
    both = treated / water
    return {
        "units": units,
        "groups": groups,
        "sum": m3(made["value"].sum()),
        "same": m3(water.sum()),
        "share": percent(share.at["P", "ratio"], digits=1),
        "wrong": percent(float(both[["A", "B"]].mean()), digits=1),
    }


def _or_none(value):
    return None if value != value else float(value)
