"""Signing in and out, and what people set for their own account."""

import logging
import os

from flask import Blueprint, abort, current_app, flash, redirect, render_template, request, url_for
from itsdangerous import BadSignature, URLSafeTimedSerializer

from server import accountpages, oidc, security, totp
from server.accounts import AccountError, TooManyTries
from server.i18n import gettext as _
from server.i18n import moment
from server.security import STAFF, allowed, public

bp = Blueprint("account", __name__)
log = logging.getLogger("cangxanh")
HELD, HELD_S = "cx_outside", 600  # the cookie that holds a single sign-on until the browser comes back


def accounts():
    return current_app.extensions["cangxanh"].accounts


def came_from():
    return {"address": request.remote_addr or "", "browser": request.user_agent.string}


def typed(name):
    return request.form.get(name, "")


def next_page():
    there = any(r.rule == "/desk" for r in current_app.url_map.iter_rules())
    return security.safe_next(request.values.get("next"), "/desk" if there else "/account")


def refused(template, error, **values):
    """The form again, with what is wrong beside each field."""
    page = render_template(template, errors=accountpages.sentences(error), **values)
    if isinstance(error, TooManyTries):
        return page, 429, {"Retry-After": str(error.wait_s)}
    return page, 422


# --- in and out ---


@bp.record_once
def set_up(state):
    """Single sign-on, where it is set up; what is wrong with it is told to administrators and stops nothing else."""
    found, problem = None, None
    try:
        found = oidc.provider_of(state.app.config["CANGXANH"].data_dir, os.environ)
        problem = oidc.missing_library() if found else None
    except oidc.SetupError as e:
        problem = str(e)
    if problem:
        log.warning("%s", problem)
    state.app.extensions["cangxanh-oidc"] = None if problem else found
    state.app.extensions["cangxanh-oidc-problem"] = problem


def outside():
    """The oidc.Provider that people may sign in with, or None."""
    return current_app.extensions["cangxanh-oidc"]


@bp.get("/sign-in")
@public
def sign_in():
    if security.user():
        return redirect(next_page(), 303)
    return render_template("account_sign_in.html", errors={}, login="", next=next_page(), outside=outside())


@bp.post("/sign-in")
@public
def sign_in_try():
    try:
        opened = accounts().sign_in(typed("login"), typed("password"), **came_from())
    except AccountError as error:
        held = {"login": typed("login"), "next": next_page(), "outside": outside()}
        return refused("account_sign_in.html", error, **held)
    return enter(opened)


def enter(opened):
    """On to where the person wanted to go, with the new session; one that was open here before ends."""
    before = request.cookies.get(security.SESSION_COOKIE)
    if before:
        accounts().sign_out(before)
    to = security.onward("/sign-in/code", next_page()) if opened.asks_code else next_page()
    return security.give_session(redirect(to, 303), opened.token)


@bp.get("/sign-in/code")
@public
def code():
    if not accounts().asks_code(request.cookies.get(security.SESSION_COOKIE, "")):
        return redirect(security.onward("/sign-in", next_page()), 303)
    return render_template("account_code.html", errors={}, next=next_page())


@bp.post("/sign-in/code")
@public
def code_try():
    token = request.cookies.get(security.SESSION_COOKIE, "")
    try:
        opened = accounts().sign_in_with_code(token, typed("code") or typed("recovery"), **came_from())
    except AccountError as error:
        if not accounts().asks_code(token):
            return refused("account_sign_in.html", error, login="", next=next_page(), outside=outside())
        return refused("account_code.html", error, next=next_page())
    return enter(opened)


def signer():
    return URLSafeTimedSerializer(current_app.config["SECRET_KEY"], salt="single sign-on")


def back():
    """Our address that the provider sends the browser back to."""
    path = url_for("account.outside_back")
    return (outside().site or request.host_url.rstrip("/")) + path


@bp.get("/sign-in/outside")
@public
def outside_start():
    if outside() is None:
        abort(404)
    try:
        address, held = oidc.start(outside(), back())
    except oidc.OidcError as error:
        return outside_refused(error)
    response = redirect(address, 303)
    response.set_cookie(
        HELD, signer().dumps(held | {"next": next_page()}), max_age=HELD_S, path="/sign-in/outside", httponly=True,
        samesite="Lax", secure=request.is_secure,
    )  # fmt: skip
    return response


@bp.get("/sign-in/outside/back")
@public
def outside_back():
    if outside() is None:
        abort(404)
    try:
        held = signer().loads(request.cookies.get(HELD, ""), max_age=HELD_S)
    except BadSignature:
        held = None
    try:
        person = oidc.finish(outside(), back(), held, request.args)
        opened = accounts().sign_in_outside(
            person.subject, login=person.login, name=person.name, role=person.role, **came_from()
        )
    except oidc.OidcError as error:
        return outside_refused(error)
    except AccountError as error:
        return refused("account_sign_in.html", error, login="", next=next_page(), outside=outside())
    before = request.cookies.get(security.SESSION_COOKIE)
    if before:
        accounts().sign_out(before)
    response = security.give_session(redirect(security.safe_next(held["next"]), 303), opened.token)
    response.delete_cookie(HELD, path="/sign-in/outside")
    return response


def outside_refused(error):
    errors = {"": _(error.sentence, **error.values)}
    page = render_template("account_sign_in.html", errors=errors, login="", next=next_page(), outside=outside())
    return page, 422


@bp.post("/sign-out")
@public
def sign_out():
    accounts().sign_out(request.cookies.get(security.SESSION_COOKIE, ""))
    return security.drop_session(redirect("/", 303))


# --- one's own account ---


@bp.get("/account")
@allowed(*STAFF)
def own():
    me = security.user()
    shown = [
        {
            "id": s.id,
            "browser": accountpages.browser(s.browser),
            "address": s.address,
            "made_at": moment(s.made_at),
            "seen_at": moment(s.seen_at),
            "here": s.id == security.session().id,
        }
        for s in accounts().sessions(me)
    ]
    names = accountpages.ward_names(current_app.extensions["cangxanh"].store)
    return render_template(
        "account.html",
        sessions=shown,
        scope=accountpages.scope(me, names, few=12),
        recovery_left=accounts().recovery_left(me),
        life=accounts().rules.life,
    )


@bp.get("/account/password")
@allowed(*STAFF)
def password():
    return render_template("account_password.html", errors={}, next=next_page())


@bp.post("/account/password")
@allowed(*STAFF)
def password_change():
    me = security.user()
    if typed("new") != typed("again"):
        errors = {"again": _("The two new passwords are not the same. Type the new one twice.")}
        return render_template("account_password.html", errors=errors, next=next_page()), 422
    try:
        opened = accounts().change_password(me, typed("old"), typed("new"), **came_from())
    except AccountError as error:
        return refused("account_password.html", error, next=next_page())
    flash(_("Your password was changed. Wherever else you were signed in, you are signed out now."))
    return security.give_session(redirect(next_page() if me.must_change else "/account", 303), opened.token)


@bp.post("/account/sessions/<int:number>/end")
@allowed(*STAFF)
def end_session(number):
    if not accounts().end_session(security.user(), number):
        abort(404)
    flash(_("This session was ended."))
    return redirect("/account", 303)


@bp.post("/account/sessions/end")
@allowed(*STAFF)
def end_sessions():
    accounts().end_sessions(security.user(), but=security.session().id)
    flash(_("All other sessions were ended."))
    return redirect("/account", 303)


# --- one-time codes ---


def codes_page(errors=None, status=200):
    me = security.user()
    secret = accounts().pending_secret(me)
    shown = {}
    if secret:
        shown = {"picture": totp.picture(totp.address(secret, me.login)), "secret": totp.grouped(secret)}
    return render_template(
        "account_codes.html", errors=errors or {}, left=accounts().recovery_left(me), **shown
    ), status


def codes_refused(error):
    page, status = codes_page(accountpages.sentences(error), 429 if isinstance(error, TooManyTries) else 422)
    return page, status


@bp.get("/account/codes")
@allowed(*STAFF)
def codes():
    return codes_page()


@bp.post("/account/codes/start")
@allowed(*STAFF)
def codes_start():
    try:
        accounts().start_codes(security.user(), typed("old"), address=request.remote_addr or "")
    except AccountError as error:
        return codes_refused(error)
    return redirect("/account/codes", 303)


@bp.post("/account/codes/confirm")
@allowed(*STAFF)
def codes_confirm():
    try:
        made = accounts().confirm_codes(security.user(), typed("code"), address=request.remote_addr or "")
    except AccountError as error:
        return codes_refused(error)
    return render_template("account_recovery.html", codes=made, fresh=True)


@bp.post("/account/codes/recovery")
@allowed(*STAFF)
def codes_recovery():
    try:
        made = accounts().new_recovery(security.user(), typed("old"), address=request.remote_addr or "")
    except AccountError as error:
        return codes_refused(error)
    return render_template("account_recovery.html", codes=made, fresh=False)


@bp.post("/account/codes/off")
@allowed(*STAFF)
def codes_off():
    try:
        accounts().stop_codes(security.user(), typed("old"), address=request.remote_addr or "")
    except AccountError as error:
        return codes_refused(error)
    flash(_("One-time codes are off. From now on your name and password are enough."))
    return redirect("/account", 303)
