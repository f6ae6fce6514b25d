"""Tokens for programs: what there is, a new one, the end of one."""

from datetime import date, timedelta

from flask import Blueprint, abort, current_app, flash, redirect, render_template, request

from layers.catalogue import ALL
from server import accountpages, i18n, listings, tokens
from server.i18n import gettext as _
from server.i18n import moment
from server.people import AccountError
from server.security import allowed, user

bp = Blueprint("tokens", __name__, url_prefix="/admin/tokens")


def services():
    return current_app.extensions["cangxanh"]


def choices():
    """(name, words, what of it is internal) of what a token can open: lists, and layers with internal fields."""
    out = [(n, layer, _("the whole list")) for n, (layer, _records) in listings.INTERNAL.items()]
    for name, layer in ALL.items():
        hidden = [f for f in layer.fields if not f.public]
        if not layer.public:
            out.append((name, layer, _("the whole layer")))
        elif hidden:
            out.append((name, layer, ", ".join(getattr(f, i18n.language()) for f in hidden)))
    return [(name, getattr(layer, i18n.language()), words) for name, layer, words in out]


def page(held=None, errors=None, status=200):
    today = services().today()
    names = {name: label for name, label, _words in choices()}
    rows = [
        {
            "token": t,
            "state": t.state(today),
            "layers": ", ".join(names.get(n, n) for n in t.layers),
            "made": moment(t.made_at),
            "used": moment(t.used_at) if t.used_at else _("never"),
            "ended": moment(t.ended_at) if t.ended_at else "",
        }
        for t in services().tokens.all()
    ]
    usual = (today + timedelta(days=tokens.USUAL_DAYS)).isoformat()
    return render_template(
        "admin_tokens.html",
        rows=rows,
        choices=choices(),
        held=held or {"purpose": "", "layers": [], "until": usual},
        errors=errors or {},
        first=today.isoformat(),
        last=(today + timedelta(days=tokens.MAX_DAYS)).isoformat(),
        most=tokens.MAX_PURPOSE,
    ), status


@bp.get("")
@allowed("administrator")
def overview():
    return page()


@bp.post("")
@allowed("administrator")
def make():
    held = {
        "purpose": request.form.get("purpose", ""),
        "layers": request.form.getlist("layers"),
        "until": request.form.get("until", ""),
    }
    try:
        until = date.fromisoformat(held["until"])
    except ValueError:
        until = None
    known = [name for name, _label, _words in choices()]
    try:
        made, secret = services().tokens.make(user(), held["purpose"], held["layers"], until, known=known)
    except AccountError as error:
        return page(held, accountpages.sentences(error), 422)
    example = f"{request.host_url}ogc/collections/{made.layers[0]}/items"
    return render_template("admin_token.html", token=made, secret=secret, example=example)


@bp.post("/<int:number>/end")
@allowed("administrator")
def end(number):
    try:
        done = services().tokens.end(user(), number)
    except KeyError:
        abort(404)
    flash(_("The token was ended. Whoever holds it sees only what is public.") if done else _("It had ended before."))
    return redirect("/admin/tokens", 303)
