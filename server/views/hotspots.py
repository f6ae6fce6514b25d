"""The public register of hotspots: map, table, its past, files, news, and the page of one hotspot."""

from datetime import datetime, time, timedelta

from flask import Blueprint, abort, current_app, render_template, request, send_file, url_for

from layers.catalogue import STAGE
from server import atlas, bars, downloads, feeds, history, listings, maps, query, records, register, status
from server.answers import data_response
from server.citytime import CITY_TIME
from server.errors import Refused
from server.figures import UNITS
from server.files import FileError
from server.i18n import date as written_day
from server.i18n import gettext as _
from server.i18n import language, text
from server.security import public
from server.words import word

bp = Blueprint("hotspots", __name__)
STAGES = tuple(c.value for c in STAGE)
MEDIA = ("water", "air", "soil", "solid_waste", "odour", "noise")
CLASSES = ("1", "2", "3", "not_enough_data")
AGES = (*status.AGES, "unknown")
QUARTERS_SHOWN = 12


def services():
    return current_app.extensions["cangxanh"]


def day_asked(name, default):
    """A day from the address; the future is not known."""
    day, today = query.day(name, default), services().today()
    if day > today:
        raise Refused(_("“%(name)s” must not lie after today, %(today)s.", name=name, today=today.isoformat()))
    return day


def asked():
    """The settings of the list, everything in the register on that day, and the rows chosen of it."""
    today = services().today()
    admin = services().store.snapshot("admin_units")
    q = {
        "stage": query.choice("stage", ("", *STAGES), ""),
        "medium": query.choice("medium", ("", *MEDIA), ""),
        "class": query.choice("class", ("", *CLASSES), ""),
        "ward": query.choice("ward", ("", *admin["code"]), ""),
        "district": query.choice("district", ("", *admin.loc[admin["kind"] == "district", "code"]), ""),
        "age": query.choice("age", ("", *AGES), ""),
        "units": query.choice("units", tuple(UNITS), "today"),
        "overdue": query.choice("overdue", ("", "yes"), ""),
        "q": query.words(),
        "as_of": day_asked("as_of", today),
    }
    found = status.status(services(), q["as_of"])
    named = status.wards_named(services().store, q["q"])
    return q, found, [r | {"url": _page(r, q)} for r in status.chosen(found.rows, q, named)]


def _page(row, q):
    dated = {} if q["as_of"] == services().today() else {"as_of": q["as_of"].isoformat()}
    return url_for("hotspots.one", code=row["code"], **dated)


@bp.get("/hotspots")
@public
def overview():
    q, found, rows = asked()
    marks = atlas.hotspot_marks(rows)
    counts = status.stage_counts(rows)
    without_stage = status.stage_counts(status.chosen(found.rows, q | {"stage": ""}, _named(q)))
    return render_template(
        "hotspots.html",
        query=q | {"as_of": q["as_of"].isoformat()},
        as_of=q["as_of"],
        is_now=q["as_of"] == services().today(),
        found=found,
        stages=[{"code": s, "count": n, "url": _link(stage=s)} for s, n in without_stage],
        total=len(found.rows),
        rows=rows,
        media=MEDIA,
        classes=CLASSES,
        ages=AGES,
        wards=status.wards(status.rows(services())),
        districts=records.old_districts(services().store, status.rows(services())),
        places=status.by_units(rows, q["units"], services().store),
        place_links=[(u, _link(units=None if u == "today" else u) + "#places-title") for u in UNITS],
        all_stages=STAGES,
        map=maps.map_page(
            [atlas.ground(services().store), _layer(marks)],
            bounds=atlas.CITY_BOUNDS,
            settings=current_app.config["CANGXANH"],
            label=_("Map of the hotspots"),
        ),
        key=[{"family": "stage", "code": s, "count": n} for s, n in counts],
        unplaced=len(rows) - len(marks),
        overdue=sum(r["due"] == "overdue" for r in rows),
        in_groups={
            name: sum(n for s, n in counts if s in stages)
            for name, stages in (("open", history.OPEN), ("closed", history.CLOSED), ("set_aside", ("rejected",)))
        },
        told_later=sum(r["shown_then"] != r["stage"] for r in rows),
        past=_past_of_list(q),
        age_words=status.age_words,
        due_words=status.due_words,
        bars=bars,
        short_quarter=lambda number, _year: _("Q%(number)s", number=number),
        subscribe_here=_subscribe(None),
        feed=url_for("hotspots.feed", **_kept_now()),
        download=downloads.box(listings.HOTSPOTS, "/hotspots", len(rows)),
    )


def _layer(marks):
    """The signs of the hotspots; where they are very many, points that the browser fetches with their file."""
    if len(marks) <= maps.MAX_EMBEDDED:
        return maps.hotspot_layer(marks, _("Hotspots"))
    lines = ((_("Stage"), "stage_word"), (_("Reported in"), "report_year"))
    url = url_for("hotspots.file", kind="geojson", **query.keep(**{"for": "map"}))
    return maps.GeoJsonLayer("hotspots", _("Hotspots"), url=url, lines=lines)


def _named(q):
    return status.wards_named(services().store, q["q"])


def _link(**changes):
    return url_for("hotspots.overview", **query.keep(**changes))


def _kept_now():
    return {k: v for k, v in query.keep().items() if k not in ("as_of", "since")}


def _past_of_list(q):
    """The stops of the slider, the quarters, and what changed between two days, of what does not change with time."""
    today, every = services().today(), status.pasts(services())
    named = _named(q)
    fixed = {r["code"]: r for r in status.rows(services()) if status.fixed(r, q, named)}
    pasts = {code: past for code, past in every.items() if code in fixed}
    first = min((p.since for p in every.values() if p.since), default=today)
    stops = history.stops(max(first, query.FIRST_DAY), today)
    at = max((i for i, d in enumerate(stops) if d <= q["as_of"]), default=0)
    before = [d for d in stops if d < q["as_of"]]
    after = [d for d in stops if d > q["as_of"]]
    began = history.first_flow(pasts)
    made = history.quarters(pasts, began, q["as_of"])[-QUARTERS_SHOWN:] if began and began <= q["as_of"] else []
    since = day_asked("since", history.quarter_start(q["as_of"]) - timedelta(days=1))
    return {
        "stops": [{"day": d.isoformat(), "written": written_day(d)} for d in stops],
        "at": at,
        "first": stops[0],
        "previous": _link(as_of=before[-1].isoformat()) if before else None,
        "next": _link(as_of=after[0].isoformat() if after[0] != today else None) if after else None,
        "now": _link(as_of=None),
        "quarters": made,
        "sums": {k: sum(getattr(x, k) for x in made) for k in ("opened", "closed", "relapsed")},
        "undated": sum(not p.changes for p in pasts.values()),
        "inexact": sum(bool(p.changes) and not p.exact for p in pasts.values()),
        "since": since,
        "changes": [
            {"row": fixed[d.code], "url": url_for("hotspots.one", code=d.code), "kind": d.kind, "before": d.before,
             "after": d.after, "day": d.steps[-1].day}
            for d in history.differences(pasts, since, q["as_of"])
        ] if since < q["as_of"] else [],
    }  # fmt: skip


# --- files and news ---


@bp.get("/hotspots.<kind>")
@public
def file(kind):
    """The rows of the list as a file; with `for=map` each also carries what a popup of our own map says."""
    q, _found, rows = asked()
    on_map = query.choice("for", ("", "map"), "") == "map"

    def record(r):
        told = {"name": text(r, "name"), "url": r["url"], "stage_word": word("stage", r["stage"])} if on_map else {}
        return status.record(r, q["as_of"]) | told

    return downloads.public_file(
        listings.ON_MAP if on_map else listings.HOTSPOTS,
        kind,
        [record(r) for r in rows],
        stem=f"hotspots-{q['as_of'].isoformat()}",
        version=f"{services().figures.version()} {q['as_of']} " + ",".join(r["code"] for r in rows),
    )


@bp.get("/hotspots.atom")
@public
def feed():
    _q, _found, rows = asked()
    kept = _kept_now()
    return _news(
        rows,
        key="hotspots?" + "&".join(f"{k}={v}" for k, v in sorted(kept.items())),
        title=_("Pollution hotspots of Hải Phòng"),
        home=url_for("hotspots.overview", _external=True, **kept),
    )


@bp.get("/hotspots/<code>.atom")
@public
def feed_of_one(code):
    row = _row(code, services().today())
    return _news(
        [row],
        key=code,
        title=_("Hotspot %(name)s", name=text(row, "name")),
        home=url_for("hotspots.one", code=code, _external=True),
    )


def _news(rows, *, key, title, home):
    today = services().today()
    entries = [e for r in rows for e in _entries(r, status.timeline(services(), r["code"], today))]
    _number, changed = services().store.data_version()
    body = feeds.atom(
        entries, key=key, title=title, home=home, itself=request.base_url + (f"?{request.query_string.decode()}" if request.query_string else ""),
        subtitle=_("Public steps in cleaning up polluted places, newest first."), language=language(),
        changed=datetime.fromisoformat(changed) if changed else datetime.combine(today, time(), CITY_TIME),
    )  # fmt: skip
    version = f"{services().figures.version()} atom {key} {language()} {request.host_url} {len(entries)}"
    return data_response(body, feeds.MIMETYPE, version=version)


def _entries(row, events):
    for e in events:
        stage = f" · {word('stage', e['stage'])}" if e["stage"] and e["stage"] != e["stage_from"] else ""
        told = [written_day(e["day"]), text(e, "text"), text(e, "office")]
        if e["decision_no"]:
            told.append(_("Decision %(number)s", number=e["decision_no"]))
        if e["overridden"] == "yes":
            told.append(_("A condition of this step was overridden; the reason is public."))
        yield feeds.Entry(
            code=row["code"], number=e["number"], title=f"{text(row, 'name')}: {e['what']}{stage}",
            link=url_for("hotspots.one", code=row["code"], _external=True, _anchor=f"event-{e['number']}"),
            at=datetime.combine(e["published_on"], time(), CITY_TIME), summary=". ".join(t.rstrip(".") for t in told if t) + ".",
            author=text(e, "office") or "Cảng Xanh", categories=(*row["media_list"], e["action"]),
        )  # fmt: skip


# --- one hotspot ---


def _row(code, day):
    """The row of a hotspot as register.hotspots() gives it, with its stage on that day where it was in the register."""
    found = next((r for r in status.status(services(), day).rows if r["code"] == code), None)
    if found is None:
        found = next((r for r in status.rows(services()) if r["code"] == code), None)
        if found is None:
            abort(404)
        return found | {"why": "not_yet" if status.pasts(services())[code].changes else "undated_then"}
    return found


@bp.get("/hotspots/<code>")
@public
def one(code):
    today = services().today()
    day = day_asked("as_of", today)
    row = _row(code, day) | {"url": None}
    in_register = row["why"] in ("known", "undated")
    if row["unit"]:
        row["unit"] = row["unit"] | {"url": url_for("coverage.unit", code=row["unit"]["code"])}
    events = status.timeline(services(), code, day)
    mark = atlas.hotspot_marks([row])
    layers = [atlas.ground(services().store), maps.hotspot_layer(mark, _("Hotspots"))]
    facility = services().named(row["facility"], language()) if row["facility"] else None
    place = mark[0] if mark else None
    return render_template(
        "hotspot.html",
        hotspot=row,
        in_register=in_register,
        filed_under=register.filed_under(services(), row),
        as_of=day,
        is_now=day == today,
        path=_path(row, events) if in_register else [],
        events=events,
        pair=_pair(events),
        age=status.age_words(row["age_days"], row["exact"]) if in_register else "",
        due=status.due_words(row) if in_register else ("", ""),
        facility=facility,
        sources=_sources(row),
        remediation=text(row, "remediation"),
        permanent=url_for("hotspots.one", code=code, as_of=day.isoformat(), _external=True),
        subscribe=_subscribe(place),
        map=maps.map_page(layers, bounds=atlas.bounds_of(mark), settings=current_app.config["CANGXANH"])
        if mark
        else None,
    )


def _sources(row):
    """What the page rests on; what the staff wrote themselves is named in words."""
    own = _("The register of the city: written by its staff, approved by a second person before it became public")
    return [s | {"title": own} if s["title"] == "register" else s for s in records.source_of(row)]


_WAY = (
    "received",
    "checking",
    "confirmed",
    "contained",
    "plan_approved",
    "in_remediation",
    "verifying",
    "watched",
    "done",
)


def _path(row, events):
    """The stages of the way with where the hotspot stands: behind (dated), passed (not dated), here or ahead."""
    if row["stage"] not in _WAY:
        return []
    here, out = _WAY.index(row["stage"]), []
    for i, s in enumerate(_WAY):
        day = _entered(events, s) if i <= here else None
        state = "here" if i == here else "ahead" if i > here else "behind" if day else "passed"
        out.append({"code": s, "day": day, "state": state})
    return out


def _entered(events, stage):
    """The last day a public step led into a stage, or None."""
    return next((e["day"] for e in events if e["stage"] == stage and e["stage_from"] != stage), None)


def _pair(events):
    """The newest photos from before and after: their checksums, their days and the day of their step; or None."""
    for e in events:
        if e["photos_before"] and e["photos_after"]:
            days = {"before_on": e["before_on"], "after_on": e["after_on"], "day": e["day"]}
            return {"before": e["photos_before"][0], "after": e["photos_after"][-1], **days}
    return None


def _subscribe(place):
    known = "subscribe.form" in current_app.view_functions
    if not known:
        return None
    return url_for("subscribe.form", **({"near": place["code"]} if place else {}))


@bp.get("/hotspots/<code>/photos/<sha>")
@public
def photo(code, sha):
    """A photo of the public timeline; `small` asks for the small picture."""
    if sha not in status.photos(services(), code):
        abort(404)
    try:
        path = services().files.small(sha) if query.choice("size", ("", "small"), "") else services().files.path(sha)
    except FileError:
        abort(404)
    return send_file(path.resolve(), mimetype="image/jpeg", max_age=600, etag=sha)
