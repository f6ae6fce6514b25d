"""Who may use which address: every route of the app, held against one written table.

A new route is added to TABLE in one line: method, address, who. Who is `everybody`, `staff` (all
roles) or roles separated by spaces, in the short form of SHORT. The walk replaces each view by one
that only says that it was reached, so that nothing but the gate before it is tested, for everybody.
"""

import functools
import io
import types
import uuid
from urllib.parse import parse_qs, urlsplit

import people
import pytest
from flask import Blueprint, request

from server import security
from server.accounts import ROLES, Accounts
from server.app import create_app
from server.i18n import translations
from server.settings import Settings

SHORT = {"officer": "commune_officer", "inspector": "inspector", "approver": "approver", "planner": "planner",
         "admin": "administrator"}  # fmt: skip
TABLE = """
GET    /                                             everybody
GET    /about                                        everybody
GET    /method                                       everybody
GET    /indicators                                   everybody
GET    /search                                       everybody
GET    /healthz                                      everybody
GET    /favicon.ico                                  everybody
GET    /static/<path:name>                           everybody

GET    /coverage                                     everybody
GET    /coverage.<kind>                              everybody
GET    /coverage/<code>                              everybody
GET    /coverage/<code>.<kind>                       everybody

GET    /hotspots                                     everybody
GET    /hotspots.atom                                everybody
GET    /hotspots.<kind>                              everybody
GET    /hotspots/<code>                              everybody
GET    /hotspots/<code>.atom                         everybody
GET    /hotspots/<code>/photos/<sha>                 everybody

GET    /facilities                                   everybody
GET    /facilities.<kind>                            everybody
GET    /facilities/<code>                            everybody

GET    /data                                         everybody
GET    /data/<name>.<kind>                           everybody
GET    /data/cang-xanh.gpkg                          everybody
GET    /data/catalog.jsonld                          everybody
GET    /data/population.tif                          everybody
GET    /api/ground                                   everybody
GET    /api/ledger                                   everybody
GET    /api/suggest                                  everybody

GET    /report                                       everybody
POST   /report                                       everybody
GET    /report/<uuid:key>                            everybody
PUT    /report/<uuid:key>/photos/<sha>               everybody
GET    /report/near                                  everybody
GET    /report/ready                                 everybody
POST   /report/send                                  everybody
GET    /report/mistake                               everybody
POST   /report/mistake                               everybody
GET    /report/worker.js                             everybody
GET    /photos/<sha>.jpg                             everybody
GET    /track                                        everybody
GET    /track/<code>                                 everybody
GET    /track/<code>/file/<int:number>/<int:index>   everybody
GET    /track/<code>/photo/<int:number>              everybody
POST   /track/<code>/forget                          everybody
POST   /track/<code>/message                         everybody
POST   /track/<code>/same                            everybody
POST   /track/<code>/withdraw                        everybody

GET    /subscribe                                    everybody
POST   /subscribe                                    everybody
GET    /subscribe/confirm/<token>                    everybody
POST   /subscribe/confirm/<token>                    everybody
GET    /subscribe/mine/<token>                       everybody
POST   /subscribe/mine/<token>                       everybody
GET    /subscribe/sent                               everybody
GET    /subscribe/stop/<token>                       everybody
POST   /subscribe/stop/<token>                       everybody

GET    /ogc/                                         everybody
GET    /ogc/<anytext:rest>                           everybody
GET    /ogc/api                                      everybody
GET    /ogc/collections                              everybody
GET    /ogc/collections/<name>                       everybody
GET    /ogc/collections/<name>/items                 everybody
GET    /ogc/collections/<name>/items/<anytext:feature> everybody
GET    /ogc/collections/<name>/queryables            everybody
GET    /ogc/collections/<name>/schema                everybody
GET    /ogc/collections/<name>/tiles                 everybody
GET    /ogc/collections/<name>/tiles/<grid>          everybody
GET    /ogc/collections/<name>/tiles/<grid>/<z>/<y>/<x> everybody
GET    /ogc/conformance                              everybody
GET    /ogc/tileMatrixSets                           everybody
GET    /ogc/tileMatrixSets/<grid>                    everybody

GET    /sign-in                                      everybody
POST   /sign-in                                      everybody
GET    /sign-in/code                                 everybody
POST   /sign-in/code                                 everybody
GET    /sign-in/outside                              everybody
GET    /sign-in/outside/back                         everybody
POST   /sign-out                                     everybody
GET    /account                                      staff
GET    /account/password                             staff
POST   /account/password                             staff
GET    /account/codes                                staff
POST   /account/codes/start                          staff
POST   /account/codes/confirm                        staff
POST   /account/codes/recovery                       staff
POST   /account/codes/off                            staff
POST   /account/sessions/<int:number>/end            staff
POST   /account/sessions/end                         staff

GET    /admin                                        admin
GET    /plan                                         inspector approver planner admin
POST   /plan/new                                     planner admin
GET    /plan/law.json                                inspector approver planner admin
GET    /plan/weights.json                            inspector approver planner admin
GET    /plan/<code>                                  inspector approver planner admin
POST   /plan/<code>/copy                             planner admin
POST   /plan/<code>/delete                           planner admin
POST   /plan/<code>/restore                          planner admin
GET    /plan/<code>/edit                             inspector approver planner admin
GET    /plan/<code>/edit/<step>                      inspector approver planner admin
POST   /plan/<code>/edit/<step>                      planner admin
POST   /plan/<code>/run                              planner admin
GET    /plan/<code>/tiles/<int:z>/<int:x>/<int:y>.png inspector approver planner admin
GET    /plan/<code>/files/<kind>                     inspector approver planner admin
GET    /plan/<code>/why                              inspector approver planner admin
GET    /plan/<code>/why.json                         inspector approver planner admin
POST   /plan/<code>/block                            planner admin
POST   /plan/<code>/force                            planner admin
POST   /plan/<code>/unblock                          planner admin
POST   /plan/<code>/unforce                          planner admin
GET    /plan/scenarios                               inspector approver planner admin
POST   /plan/scenarios                               planner admin
GET    /plan/scenarios/compare                       inspector approver planner admin
GET    /plan/scenarios/<code>                        inspector approver planner admin
POST   /plan/scenarios/<code>/details                planner admin
POST   /plan/scenarios/<code>/money                  planner admin
POST   /plan/scenarios/<code>/lock                   planner admin
POST   /plan/scenarios/<code>/unlock                 planner admin
POST   /plan/scenarios/<code>/copy                   planner admin
POST   /plan/scenarios/<code>/away                   planner admin
POST   /plan/scenarios/<code>/back                   planner admin
POST   /plan/scenarios/<code>/comments               inspector approver planner admin
POST   /plan/scenarios/<code>/comments/<int:number>/remove inspector approver planner admin
GET    /plan/scenarios/<code>/draw                   planner admin
POST   /plan/scenarios/<code>/try                    planner admin
POST   /plan/scenarios/<code>/plants                 planner admin
POST   /plan/scenarios/<code>/plant                  planner admin
POST   /plan/scenarios/<code>/plant/remove           planner admin
GET    /plan/scenarios/<code>/sheet.pdf              inspector approver planner admin
GET    /plan/scenarios/<code>/scenario.gpkg          inspector approver planner admin
GET    /plan/scenarios/<code>/scenario.xlsx          inspector approver planner admin
GET    /plan/scenarios/compare/sheet.pdf             inspector approver planner admin
GET    /plan/scenarios/of-study/<code>.pdf           inspector approver planner admin

GET    /jobs/<id>                                    staff
GET    /jobs/<id>.json                               staff
POST   /jobs/<id>/cancel                             staff

GET    /admin/layers                                 planner admin
POST   /admin/layers/corners                         planner admin
GET    /admin/layers/<name>/versions                 planner admin
GET    /admin/layers/<name>/versions.csv             planner admin
GET    /admin/layers/<name>/versions/<what>.geojson  planner admin
POST   /admin/layers/<name>/versions/<int:old>/restore planner admin
GET    /admin/layers/<name>/versions/restoring/<job> planner admin
GET    /admin/layers/<name>/versions/<int:which>/figures planner admin
GET    /admin/layers/<name>/features                 planner admin
GET    /admin/layers/<name>/features.<kind>          planner admin
GET    /admin/layers/<name>/near.geojson             planner admin
GET    /admin/layers/<name>/new                      planner admin
POST   /admin/layers/<name>/new                      planner admin
GET    /admin/layers/<name>/features/<key>           planner admin
POST   /admin/layers/<name>/features/<key>           planner admin
POST   /admin/layers/<name>/features/<key>/delete    planner admin
POST   /admin/layers/<name>/features/<key>/undo/<int:which> planner admin
GET    /admin/users                                  admin
GET    /admin/users/new                              admin
POST   /admin/users/new                              admin
GET    /admin/users/<int:number>                     admin
POST   /admin/users/<int:number>                     admin
POST   /admin/users/<int:number>/reset               admin
POST   /admin/users/<int:number>/disable             admin
POST   /admin/users/<int:number>/enable              admin
GET    /admin/tokens                                 admin
POST   /admin/tokens                                 admin
POST   /admin/tokens/<int:number>/end                admin
GET    /admin/import                                 planner admin
POST   /admin/import                                 planner admin
POST   /admin/import/begin                           planner admin
PUT    /admin/import/<int:number>/piece              planner admin
GET    /admin/import/<int:number>                    planner admin
POST   /admin/import/<int:number>/file               planner admin
POST   /admin/import/<int:number>/place              planner admin
POST   /admin/import/<int:number>/columns            planner admin
POST   /admin/import/<int:number>/again              planner admin
POST   /admin/import/<int:number>/apply              planner admin
POST   /admin/import/<int:number>/undo               planner admin
POST   /admin/import/<int:number>/redo               planner admin
POST   /admin/import/<int:number>/drop               planner admin
GET    /admin/import/<int:number>/refused.csv        planner admin

GET    /cases                                        staff
GET    /cases.<kind>                                 staff
GET    /samplings.<kind>                             staff
GET    /cases/<code>                                 staff
GET    /cases/<code>/files/<int:number>              staff
POST   /cases/<code>/add/<what>                      officer inspector approver admin
GET    /cases/<code>/edit                            officer inspector approver admin
POST   /cases/<code>/edit                            officer inspector approver admin
POST   /cases/<code>/step/<action>                   officer inspector approver admin
POST   /cases/<code>/use/<report>/<int:number>      officer inspector approver admin
GET    /cases/new                                    officer inspector approver admin
POST   /cases/new                                    officer inspector approver admin
GET    /cases/<code>/split                           inspector approver admin
POST   /cases/<code>/split                           inspector approver admin
POST   /cases/<code>/propose                         inspector approver admin
POST   /cases/<code>/show/<int:number>               inspector approver admin
POST   /cases/<code>/void/<kind>/<int:number>        inspector approver admin
POST   /cases/<code>/withdraw                        approver admin

GET    /desk                                         staff
GET    /desk.<kind>                                  staff
GET    /publications                                 inspector approver admin
POST   /publications/<int:number>/approve            inspector approver admin
POST   /publications/<int:number>/send-back          inspector approver admin
GET    /audit                                        admin
GET    /audit.csv                                    admin
GET    /audit.json                                   admin

GET    /inbox.<kind>                                 officer inspector approver admin
GET    /inbox                                        officer inspector approver admin
GET    /inbox/<code>                                 officer inspector approver admin
GET    /inbox/<code>/files/<sha>                     officer inspector approver admin
GET    /inbox/<code>/photos/<int:number>             officer inspector approver admin
POST   /inbox/<code>/<action>                        officer inspector approver admin
POST   /inbox/undo/<int:number>                      officer inspector approver admin
"""


def written():
    """{(method, rule): roles or None for everybody}."""
    out = {}
    for line in filter(None, map(str.strip, TABLE.splitlines())):
        method, rule, *who = line.split()
        assert (method, rule) not in out, f"{method} {rule} stands twice"
        roles = frozenset(ROLES) if who == ["staff"] else frozenset(SHORT[w] for w in who if w != "everybody")
        out[method, rule] = None if who == ["everybody"] else roles
    return out


WRITTEN = written()
CLOSED = sorted(key for key, roles in WRITTEN.items() if roles is not None)
OUTSIDE = {("POST", "/subscribe/stop/<token>")}  # one click in a mail program: the address is the proof (RFC 8058)
UNSAFE = sorted(key for key in WRITTEN if key[0] in security.UNSAFE and key not in OUTSIDE)
WHO = ("nobody", *ROLES)


@pytest.fixture(scope="module")
def house(tmp_path_factory):
    """The app with every view replaced by one that says it was reached, and one client for each role."""
    folder = tmp_path_factory.mktemp("roles")
    services = types.SimpleNamespace(accounts=Accounts(folder))
    app = create_app(Settings(data_dir=folder), services)
    for endpoint, view in app.view_functions.items():
        app.view_functions[endpoint] = reached(view)
    clients = {"nobody": people.visitor(app)}
    clients |= {role: people.signed_in(app, people.person(services, role)) for role in ROLES}
    yield types.SimpleNamespace(app=app, services=services, clients=clients)
    services.accounts.close()


def reached(view):
    @functools.wraps(view)
    def inside(**_values):
        return "inside"

    return inside


def address(app, method, rule):
    """An address that leads to this rule."""
    found = next(r for r in app.url_map.iter_rules() if r.rule == rule and method in r.methods)
    values = {name: {"IntegerConverter": 1, "UUIDConverter": uuid.UUID(int=1)}.get(type(c).__name__, "x")
              for name, c in found._converters.items()}  # fmt: skip
    with app.test_request_context():
        return app.url_map.bind("localhost").build(found.endpoint, values, method=method)


def who(app, rule, method):
    """Who may use a route, as the table writes it."""
    found = next(r for r in app.url_map.iter_rules() if r.rule == rule and method in r.methods)
    roles = security.roles_of(app, found.endpoint)
    named = "staff" if roles == set(ROLES) else " ".join(short for short, role in SHORT.items() if role in roles)
    return "everybody" if security.is_public(app, found.endpoint) else named or "nobody: it carries no mark"


def sent(house, who, method, rule, **options):
    client = house.clients[who] if isinstance(who, str) else who
    options.setdefault("headers", {"X-CSRF": client.csrf} if method in security.UNSAFE else {})
    return client.open(address(house.app, method, rule), method=method, **options)


def forged(answer):
    return answer.status_code == 400 and translations("vi").gettext(security.FORGED) in answer.text


def asked_to_sign_in(answer):
    return answer.status_code == 303 and urlsplit(answer.location).path == "/sign-in"


def test_the_table_lists_every_route_exactly(house):
    there = {(method, rule) for rule, methods, _, _ in security.routes(house.app) for method in methods}
    lines = [f"{method:6} {rule:44} {who(house.app, rule, method)}" for method, rule in sorted(there - set(WRITTEN))]
    assert not lines, "routes that are missing in TABLE, as they are marked now:\n" + "\n".join(lines)
    assert sorted(set(WRITTEN) - there) == [], "lines of TABLE without a route"


def test_every_route_carries_one_mark(house):
    for rule, _methods, endpoint, is_open in security.routes(house.app):
        assert is_open != bool(security.roles_of(house.app, endpoint)), f"{rule}: public or for roles, not both"


@pytest.mark.parametrize("who", WHO)
def test_every_route_with_every_role(house, who):
    wrong = []
    for (method, rule), roles in WRITTEN.items():
        answer = sent(house, who, method, rule)
        if roles is None or who in roles:
            good = answer.status_code == 200 and answer.text == "inside"
        elif who == "nobody":
            good = asked_to_sign_in(answer) or answer.status_code == 401
        else:
            good = answer.status_code == 403 and "inside" not in answer.text
        if not good:
            wrong.append(f"{who}: {method} {rule} gives {answer.status_code}")
    assert wrong == []


@pytest.mark.parametrize("method, rule", UNSAFE)
def test_a_hand_made_request_is_refused(house, method, rule):
    """Without the token, with one of another person, of another browser, changed, or sent by another site."""
    roles = WRITTEN[method, rule]
    who = "nobody" if roles is None else sorted(roles)[0]
    client = house.clients[who]
    own = {"X-CSRF": client.csrf}
    assert sent(house, who, method, rule).text == "inside"
    assert sent(house, who, method, rule, headers={}, data={"csrf": client.csrf}).text == "inside"
    bad = [
        {"headers": {}},
        {"headers": {"X-CSRF": ""}},
        {"headers": {}, "data": {"csrf": ""}},
        {"headers": {}, "json": {"csrf": client.csrf}},
        {"headers": {"X-CSRF": client.csrf[:-1] + ("A" if client.csrf[-1] != "A" else "B")}},
        {"headers": {"X-CSRF": "é." + client.csrf}},
        {"headers": {"X-CSRF": people.visitor(house.app).csrf}},
        {"headers": {"X-CSRF": house.clients["nobody" if who != "nobody" else "planner"].csrf}},
        {"headers": own | {"Sec-Fetch-Site": "cross-site"}},
    ]
    for options in bad:
        assert forged(sent(house, who, method, rule, **options)), options


@pytest.mark.parametrize("method, rule", sorted(OUTSIDE))
def test_what_others_may_send_needs_no_form(house, method, rule):
    assert sent(house, "nobody", method, rule, headers={"Sec-Fetch-Site": "cross-site"}).text == "inside"
    marked = {(m, r) for r, methods, end, _ in security.routes(house.app) for m in methods
              if m in security.UNSAFE and getattr(house.app.view_functions[end], "takes_outside", False)}  # fmt: skip
    assert marked == OUTSIDE


def test_a_planted_cookie_is_of_no_use_against_somebody_signed_in(house):
    """A pair of cookie and token that another browser got does not open forms of a session."""
    other = people.visitor(house.app)
    victim = people.signed_in(house.app, people.person(house.services, "inspector"))
    victim.set_cookie(security.FORM_COOKIE, other.get_cookie(security.FORM_COOKIE).value)
    assert forged(sent(house, victim, "POST", "/account/sessions/end", headers={"X-CSRF": other.csrf}))


def test_tokens_differ_and_are_all_good(house):
    client = people.visitor(house.app)
    cookie = client.get_cookie(security.FORM_COOKIE).value
    with house.app.test_request_context(headers={"Cookie": f"{security.FORM_COOKIE}={cookie}"}):
        made = {security.csrf_token() for _ in range(20)}
    assert len(made) == 20
    for one in made:
        assert sent(house, client, "POST", "/sign-in", headers={"X-CSRF": one}).text == "inside"


@pytest.mark.parametrize("method, rule", CLOSED)
def test_a_disabled_person_is_out_at_once(house, method, rule):
    role = sorted(WRITTEN[method, rule])[0]
    person = people.person(house.services, role, number=2)
    client = people.signed_in(house.app, person)
    assert sent(house, client, method, rule).text == "inside"
    house.services.accounts.set_active("test", person.id, False)
    try:
        assert asked_to_sign_in(sent(house, client, method, rule, headers={})) or method in security.UNSAFE
        assert "inside" not in sent(house, client, method, rule).text
    finally:
        house.services.accounts.set_active("test", person.id, True)
    assert "inside" not in sent(house, client, method, rule).text, "enabled again, but the session stays dead"


def test_another_role_ends_the_session_and_a_new_scope_is_in_force_at_once(house):
    person = people.person(house.services, "approver", number=3)
    client = people.signed_in(house.app, person)
    people.person(house.services, "approver", wards=("11383",), number=3)
    with client:
        assert sent(house, client, "GET", "/cases").text == "inside"
        assert security.user().wards == ("11383",)
    house.services.accounts.edit("test", person.id, name=person.name, role="planner", wards=(), media=())
    assert asked_to_sign_in(sent(house, client, "GET", "/cases"))


def test_a_one_time_password_opens_one_page_only(house):
    person = people.person(house.services, "administrator", number=4)
    house.services.accounts.reset("test", person.id)
    client = people.signed_in(house.app, person)
    for method, rule in CLOSED:
        answer = sent(house, client, method, rule)
        if rule == security.OWN_PASSWORD:
            assert answer.text == "inside"
        elif "administrator" in WRITTEN[method, rule]:
            assert answer.status_code == 303 and urlsplit(answer.location).path == security.OWN_PASSWORD, rule


def test_a_script_whose_session_ended_is_told_so(house):
    client = house.clients["nobody"]
    answer = sent(house, "nobody", "POST", "/cases/new", headers={"X-CSRF": client.csrf, "Accept": "application/json"})
    assert answer.status_code == 401 and "message" in answer.json


def test_who_is_asked_to_sign_in_comes_back_to_the_page(house):
    client = house.clients["nobody"]
    asked = client.get("/cases?stage=confirmed&q=s%C3%B4ng%20R%E1%BA%BF%26")
    back = parse_qs(urlsplit(asked.location).query)["next"][0]
    assert back == "/cases?stage=confirmed&q=s%C3%B4ng%20R%E1%BA%BF%26"
    for page, back in (
        ("http://localhost/cases/new?x=1", "/cases/new?x=1"),
        ("http://elsewhere/cases", None),
        ("", None),
    ):
        asked = client.post("/cases/new", headers={"Referer": page})
        assert parse_qs(urlsplit(asked.location).query).get("next") == (back and [back]), page


def test_methods_that_only_look_need_no_token_and_the_gate_holds_for_all_methods(house):
    for method in ("HEAD", "OPTIONS"):
        assert asked_to_sign_in(house.clients["nobody"].open("/cases", method=method))
        assert house.clients["planner"].open("/admin", method=method).status_code == 403
    assert house.clients["administrator"].head("/admin").status_code == 200


def test_only_a_marked_view_takes_more(tmp_path):
    app = create_app(Settings(data_dir=tmp_path, max_request_bytes=4096), views=())
    bp = Blueprint("sizes", __name__)

    @bp.post("/small")
    @security.public
    def small():
        return str(len(request.get_data()))

    @bp.post("/large")
    @security.public
    @security.takes_up_to(8000)
    def large():
        return str(len(request.get_data()))

    app.register_blueprint(bp)
    client = people.visitor(app)
    for path, size, code in (
        ("/small", 4000, 200),
        ("/small", 5000, 413),
        ("/large", 5000, 200),
        ("/large", 9000, 413),
    ):
        answer = client.post(path, data=b"x" * size, headers={"X-CSRF": client.csrf})
        assert answer.status_code == code, (path, size)
        assert code != 200 or answer.text == str(size)
    # without a length the body is counted while it is read
    chunks = {"input_stream": io.BytesIO(b"x" * 9000), "environ_overrides": {"wsgi.input_terminated": True}}
    assert client.post("/large", headers={"X-CSRF": client.csrf}, **chunks).status_code == 413


def test_marks_are_for_roles_that_there_are():
    for roles in ((), ("public",), ("inspector", "king")):
        with pytest.raises(ValueError, match="roles are"):
            security.allowed(*roles)
