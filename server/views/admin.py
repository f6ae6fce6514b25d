"""What administrators do: an overview, and the accounts of the people."""

import shutil

from flask import Blueprint, abort, current_app, flash, redirect, render_template, request

from server import accountpages, security
from server.accounts import ROLES, AccountError
from server.i18n import N_, moment
from server.i18n import gettext as _
from server.people import MEDIA, User, checked
from server.security import allowed

bp = Blueprint("admin", __name__, url_prefix="/admin")
# Where an administrator may go from here: address, name, what it is for. Shown where the address exists.
PLACES = (
    ("/admin/users", N_("Accounts"), N_("Add people, give roles and wards, reset a password, disable an account.")),
    ("/admin/import", N_("Bring data"), N_("Files into a layer: coordinates understood, columns matched, tried before anything is written.")),
    ("/admin/layers", N_("Layers and versions"), N_("Rows one by one, what every version changed, and putting an earlier one back.")),
    ("/admin/tokens", N_("Tokens for programs"), N_("Let QGIS or another program read internal layers, for a purpose and a time.")),
    ("/desk", N_("Desk"), N_("The work of the day: overdue, new, waiting for me.")),
    ("/inbox", N_("Reports of citizens"), N_("What came in and still waits for an answer.")),
    ("/publications", N_("Publication"), N_("What waits for a second person before it becomes public.")),
    ("/audit", N_("Journal of changes"), N_("Who changed what and when; whether the chain of the journal holds.")),
    ("/data", N_("Layers and downloads"), N_("Every layer with its fields, sources and versions.")),
    ("/method", N_("Method"), N_("How figures, stages and clocks come about, and which settings are in force.")),
)


def services():
    return current_app.extensions["cangxanh"]


def accounts():
    return services().accounts


def person(number):
    try:
        return accounts().user(number)
    except KeyError:
        abort(404)


@bp.get("")
@allowed("administrator")
def overview():
    there = {r.rule for r in current_app.url_map.iter_rules()}
    people = accounts().users()
    return render_template(
        "admin.html",
        places=[{"url": u, "name": _(n), "words": _(w)} for u, n, w in PLACES if u in there],
        active=[p for p in people if p.active],
        roles=[(r, sum(p.role == r and p.active for p in people)) for r in ROLES],
        waiting=[p for p in people if p.active and (p.must_change or not p.local)],
        refused=services().store.refused(),
        free_gb=shutil.disk_usage(services().store.data_dir).free / 1e9,
        broken=accounts().verify_audit(),
        outside=current_app.extensions.get("cangxanh-oidc"),
        outside_problem=current_app.extensions.get("cangxanh-oidc-problem"),
    )


@bp.get("/users")
@allowed("administrator")
def users():
    names = accountpages.ward_names(services().store)
    rows = [
        {"person": p, "scope": accountpages.scope(p, names), "signed_in": moment(p.signed_in_at)}
        for p in accounts().users()
    ]
    return render_template("admin_users.html", rows=rows)


def form():
    """What was typed, as accounts take it."""
    return {
        "name": request.form.get("name", ""),
        "role": request.form.get("role", ""),
        "wards": request.form.getlist("wards") if request.form.get("where") == "wards" else [],
        "media": request.form.getlist("media"),
    }


def wrong(login, known):
    """{field: sentence} of everything that cannot be used, together.

    Somebody who works in chosen wards but has none chosen would get the whole city: refused too.
    """
    errors = {}
    try:
        checked(login, **form(), known_wards=known)
    except AccountError as error:
        errors = accountpages.sentences(error)
    if request.form.get("where") == "wards" and not request.form.getlist("wards"):
        errors["wards"] = _(NO_WARD)
    return errors


def page(user, held, errors=None, status=200):
    names = accountpages.ward_names(services().store)
    rows = accounts().audit_rows(thing=f"user:{user.login}", limit=20) if user else []
    shown = render_template(
        "admin_user.html",
        user=user,
        held=held,
        errors=errors or {},
        roles=ROLES,
        media=MEDIA,
        groups=accountpages.ward_groups(services().store),
        scope=accountpages.scope(user, names, few=12) if user else "",
        signed_in=moment(user.signed_in_at) if user else "",
        journal=accountpages.journal(rows, names),
    )
    return shown, status


def held_of(user):
    return {
        "login": user.login, "name": user.name, "role": user.role, "wards": user.wards, "media": user.media,
        "where": "wards" if user.wards else "city",
    }  # fmt: skip


def held_of_form():
    return form() | {
        "login": request.form.get("login", ""),
        "where": request.form.get("where", "city"),
        "wards": request.form.getlist("wards"),
    }


NO_WARD = N_("Choose at least one ward, or “the whole city”.")


@bp.get("/users/new")
@allowed("administrator")
def new():
    return page(None, {"login": "", "name": "", "role": "", "wards": (), "media": (), "where": "city"})


@bp.post("/users/new")
@allowed("administrator")
def add():
    me, known = security.user(), accountpages.ward_codes(services().store)
    errors = wrong(request.form.get("login", ""), known)
    if errors:
        return page(None, held_of_form(), errors, 422)
    try:
        user = accounts().add(me, request.form.get("login", ""), **form(), known_wards=known)
    except AccountError as error:
        return page(None, held_of_form(), accountpages.sentences(error), 422)
    return password_page(user, accounts().reset(me, user.id), new=True)


def password_page(user: User, password, *, new):
    return render_template("admin_password.html", user=user, password=password, new=new)


@bp.get("/users/<int:number>")
@allowed("administrator")
def one(number):
    user = person(number)
    return page(user, held_of(user))


@bp.post("/users/<int:number>")
@allowed("administrator")
def edit(number):
    user = person(number)
    held = held_of_form() | {"login": user.login}
    known = accountpages.ward_codes(services().store) | set(user.wards)
    errors = wrong(user.login, known)
    if errors:
        return page(user, held, errors, 422)
    try:
        changed = accounts().edit(security.user(), number, **form(), known_wards=known)
    except AccountError as error:
        return page(user, held, accountpages.sentences(error), 422)
    flash(_("The account of %(name)s was saved.", name=changed.name))
    return redirect("/admin/users", 303)


@bp.post("/users/<int:number>/reset")
@allowed("administrator")
def reset(number):
    user = person(number)
    password = accounts().reset(security.user(), number, drop_codes=bool(request.form.get("drop_codes")))
    return password_page(user, password, new=False)


@bp.post("/users/<int:number>/disable")
@allowed("administrator")
def disable(number):
    user = person(number)
    try:
        accounts().set_active(security.user(), number, False)
    except AccountError as error:
        return page(user, held_of(user), accountpages.sentences(error), 422)
    flash(_("%(name)s can no longer sign in, and every session was ended.", name=user.name))
    return redirect("/admin/users", 303)


@bp.post("/users/<int:number>/enable")
@allowed("administrator")
def enable(number):
    user = person(number)
    accounts().set_active(security.user(), number, True)
    flash(_("%(name)s can sign in again.", name=user.name))
    return redirect("/admin/users", 303)
