"""News of hotspots by mail: ask for a place, confirm the address, see and stop what one gets.

Addresses are never shown. Pages with a token in their address are kept by nobody and found by no search.
"""

from flask import Blueprint, abort, current_app, make_response, redirect, render_template, request, url_for

from server import atlas, maps, status, whereabouts
from server.i18n import gettext as _
from server.i18n import language, text
from server.notices import NoticeError, TooMany
from server.security import outside, public
from server.tries import one_place

bp = Blueprint("subscribe", __name__)
RADII = tuple(range(1, 11))
USUAL_KM = 3
FIELDS = ("place", "pick", "lon", "lat", "near", "radius", "email", "agree")


def services():
    return current_app.extensions["cangxanh"]


def notices():
    return services().notices


# --- asking ---


@bp.get("/subscribe")
@public
def form():
    values = dict.fromkeys(FIELDS, "") | {"radius": str(USUAL_KM)}
    place = whereabouts.of_code(services(), request.args.get("near", "")[:20])
    if place:
        values |= {"near": place.code, "place": text(place, "name"), "lon": place.lon, "lat": place.lat}
    return _form(values, {})


@bp.post("/subscribe")
@public
def ask():
    values = {name: request.form.get(name, "").strip()[:200] for name in FIELDS}
    if request.form.get("website"):
        return redirect(url_for("subscribe.sent"), 303)  # a program that fills in every field
    place, found, problems = _place(values)
    if not values["agree"]:
        problems["agree"] = _("Tick this box, so that we may keep your address for this purpose.")
    if not problems:
        try:
            notices().ask(
                values["email"], language(), lon=place.lon, lat=place.lat, radius_km=_whole(values["radius"]),
                label_vi=place.name_vi, label_en=place.name_en, client=one_place(request.remote_addr or ""),
            )  # fmt: skip
            return redirect(url_for("subscribe.sent"), 303)
        except NoticeError as e:
            problems[e.field or "form"] = _(e.sentence, **e.values)
            return _form(values, problems, found, 429 if isinstance(e, TooMany) else 400)
    return _form(values, problems, found, 400)


def _place(values):
    """(the place or None, places to choose from, problems) of what was filled in."""
    lon, lat = _number(values["lon"]), _number(values["lat"])
    near = whereabouts.of_code(services(), values["near"]) if values["near"] else None
    if near and values["place"] == text(near, "name"):
        return near, [], {}
    if lon is not None and lat is not None:
        if not whereabouts.in_reach(lon, lat):
            return None, [], {"place": _("This point lies far from Hải Phòng. Choose one in the city.")}
        return whereabouts.at_point(services(), lon, lat), [], {}
    if not values["place"]:
        return None, [], {"place": _("Write the name of a place, or tap the map.")}
    found = whereabouts.named(services(), values["place"], language())
    chosen = next((p for p in found if p.code == values["pick"]), None) or (found[0] if len(found) == 1 else None)
    if chosen:
        return chosen, [], {}
    if found:
        return None, found, {"place": _("Which of these places do you mean?")}
    return None, [], {"place": _("No place of this name was found. Try the name of a ward, or tap the map.")}


def _number(typed):
    try:
        return float(typed)
    except ValueError:
        return None


def _whole(typed):
    return int(typed) if typed.isascii() and typed.isdecimal() and len(typed) < 4 else 0


def _form(values, problems, found=(), code=200):
    rows = [
        r | {"url": url_for("hotspots.one", code=r["code"])} for r in status.status(services(), services().today()).rows
    ]
    layers = [atlas.ground(services().store), maps.hotspot_layer(atlas.hotspot_marks(rows), _("Hotspots"))]
    page = render_template(
        "subscribe.html",
        values=values,
        problems=problems,
        found=found,
        radii=RADII,
        days=notices().rules.confirm_days,
        map=maps.map_page(
            layers,
            bounds=atlas.CITY_BOUNDS,
            settings=current_app.config["CANGXANH"],
            label=_("Map to choose the place"),
        ),
    )
    return make_response(page, code)


@bp.get("/subscribe/sent")
@public
def sent():
    return _said(
        _("Look into your mailbox"),
        _("If the address can be written to, a mail with a link is on its way; it can take a few minutes. News comes only after you have opened that link and pressed the button."),
        _("No mail? Look among the unwanted ones, and check that the address was right."),
    )  # fmt: skip


# --- confirming and stopping ---


@bp.get("/subscribe/confirm/<token>")
@public
def confirm(token):
    place = notices().place(token)
    if place is None:
        return _too_old()
    return _private("subscribe_confirm.html", place=place, token=token)


@bp.post("/subscribe/confirm/<token>")
@public
def confirmed(token):
    mine = notices().confirm(token, language())
    if mine is None:
        return _too_old()
    return redirect(url_for("subscribe.mine", token=mine, done="confirmed"), 303)


@bp.get("/subscribe/mine/<token>")
@public
def mine(token):
    places = notices().mine(token)
    if places is None:
        return _too_old()
    return _private("subscribe_mine.html", places=places, token=token, done=request.args.get("done"))


@bp.post("/subscribe/mine/<token>")
@public
def take_away(token):
    number = _whole(request.form.get("place", "")) or None
    if number is None:
        abort(400)
    notices().stop(token, number)
    if notices().mine(token) is None:
        return _stopped()
    return redirect(url_for("subscribe.mine", token=token, done="removed"), 303)


@bp.get("/subscribe/stop/<token>")
@public
def stop(token):
    if notices().mine(token) is None:
        return _too_old()
    return _private("subscribe_stop.html", token=token)


@bp.post("/subscribe/stop/<token>")
@outside
@public
def stopped(token):
    """One click in a mail program (RFC 8058), or the button on our page. Stopping twice is not an error."""
    notices().stop(token)
    return _stopped()


def _stopped():
    return _said(
        _("You get no more news by mail"),
        _("Your address and your places were deleted."),
        _("A mail that was already on its way may still arrive."),
    )


def _too_old():
    return _said(
        _("This link no longer works"),
        _("The request was not confirmed in time, or the news were stopped and the address deleted."),
        "",
        404,
    )


def _said(title, first, more="", code=200):
    return _private("subscribe_said.html", heading=title, first=first, more=more, code=code)


def _private(template, *, code=200, **values):
    response = make_response(render_template(template, **values), code)
    response.headers["Cache-Control"] = "no-store"
    response.headers["X-Robots-Tag"] = "noindex"
    response.headers["Referrer-Policy"] = "no-referrer"
    return response
