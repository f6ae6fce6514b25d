"""What the search box knows: units with their old names, zones, plants, ports, waste sites, hotspots."""

from server.figures import WARD_KINDS
from server.i18n import gettext as _
from server.nameforms import Alias, Entry
from server.search import Index
from server.words import word

# a greater weight wins a tie: the place before what stands in it
_WEIGHTS = {"ward": 10, "commune": 10, "special_zone": 10, "city": 7, "district": 5}


def index(store):
    """The search index of a store."""
    old = {}
    for r in store.snapshot("old_names").itertuples():
        name = f"{r.old_type_vi or ''} {r.old_name_vi}".strip()
        old.setdefault(r.ward_code, []).append(Alias(name, "old name", r.old_district_vi or ""))
    districts = {}
    entries = []
    admin = store.snapshot("admin_units")
    for r in admin.itertuples():
        if r.kind == "district":
            districts[r.code] = r.name_vi
    for r in admin.itertuples():
        context = districts.get(r.district_old or "", "") if r.kind in WARD_KINDS else ""
        entries.append(
            Entry(r.code, r.kind, r.name_vi, r.name_en or "", f"/coverage/{r.code}", tuple(old.get(r.code, ())),
                  _WEIGHTS.get(r.kind, 1), context)
        )  # fmt: skip
    for layer, kind_of in (
        ("industrial_zones", lambda r: r.kind),
        ("treatment_plants", lambda r: "wastewater_plant"),
        ("port_areas", lambda r: "port"),
        ("waste_sites", lambda r: "landfill"),
        ("hotspots", lambda r: "hotspot"),
    ):
        page = "hotspots" if layer == "hotspots" else "facilities"
        for r in store.snapshot(layer).itertuples():
            # a name in brackets or behind a dash is a second name: "KCN Nomura – Hải Phòng (nay ...)"
            short = r.name_vi.split(" (")[0].split(" – ")[0]
            aliases = (Alias(short),) if short != r.name_vi else ()
            entries.append(
                Entry(
                    r.code,
                    kind_of(r),
                    r.name_vi,
                    r.name_en or "",
                    f"/{page}/{r.code}",
                    aliases,
                    1,
                    r.district_old or "",
                )
            )
    return Index(entries)


def shown(hit, language):
    """A hit as a page shows it."""
    e = hit.entry
    kind = {"landfill": "solid_waste"}.get(e.kind, e.kind)
    note = ""
    if hit.why == "old name" and hit.alias:
        place = f" ({hit.alias.context})" if hit.alias.context else ""
        note = _("before July 2025: %(name)s", name=hit.alias.text + place)
    name = (e.name_en if language == "en" else "") or e.name_vi
    return {
        "name": name,
        "kind": kind,
        "kind_word": word("kind", kind),
        "note": note,
        "url": e.url,
        "code": e.code,
    }
