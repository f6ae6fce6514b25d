"""What the pages of accounts show: wards in groups, scopes in words, moments, browsers, the journal of an account."""

from layers.letters import sort_key
from server.figures import WARD_KINDS
from server.i18n import N_, gettext, moment, ngettext, text
from server.words import word

_BROWSERS = (("Edg", "Edge"), ("coc_coc", "Cốc Cốc"), ("OPR/", "Opera"), ("SamsungBrowser", "Samsung Internet"),
             ("Firefox/", "Firefox"), ("FxiOS", "Firefox"), ("Chrome/", "Chrome"), ("CriOS", "Chrome"),
             ("Safari/", "Safari"))  # fmt: skip
_SYSTEMS = (("Android", "Android"), ("iPhone", "iPhone"), ("iPad", "iPad"), ("Windows", "Windows"),
            ("Mac OS X", "macOS"), ("Linux", "Linux"))  # fmt: skip
_DONE = {
    "user add": N_("Account added"),
    "user edit": N_("Account changed"),
    "user disable": N_("Account disabled"),
    "user enable": N_("Account enabled"),
    "user reset": N_("One-time password given"),
    "password change": N_("Password changed"),
    "codes on": N_("One-time codes switched on"),
    "codes off": N_("One-time codes switched off"),
    "recovery codes new": N_("New recovery codes made"),
    "recovery code used": N_("A recovery code was used"),
    "contact keep": N_("Contact data of a report kept"),
    "contact forget": N_("Contact data of a report forgotten"),
    "token make": N_("Token made"),
    "token end": N_("Token ended"),
}
_FIELDS = {"name": N_("Name"), "role": N_("Role"), "wards": N_("Wards"), "media": N_("Media")}


def sentences(error):
    """{field: sentence in the reader's language} of an AccountError; "" is the form as a whole."""
    return {p.field: gettext(p.sentence, **p.values) for p in error.problems}


def browser(agent):
    """A browser and its system from how it names itself.

    >>> browser("Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0")
    'Firefox, Linux'
    """
    found = [next((name for mark, name in marks if mark in agent), "") for marks in (_BROWSERS, _SYSTEMS)]
    return ", ".join(filter(None, found)) or gettext("a browser that does not say which")


def _ward_rows(store):
    rows = store.snapshot("admin_units")
    return rows[rows["kind"].isin(WARD_KINDS)].drop(columns="geometry", errors="ignore").to_dict("records")


def ward_codes(store):
    """The codes that a scope may name."""
    return {r["code"] for r in _ward_rows(store)}


def ward_names(store):
    """{code: name} of the wards in the reader's language."""
    return {r["code"]: text(r, "name") for r in _ward_rows(store)}


def ward_groups(store):
    """Wards to choose from, by former district: [{name, wards: [{code, name}]}], each in the order of the alphabet."""
    admin = store.snapshot("admin_units")
    districts = {r["code"]: text(r, "name") for r in admin[admin["kind"] == "district"].to_dict("records")}
    groups = {}
    for r in _ward_rows(store):
        district = r["district_old"]
        name = districts.get(district) if isinstance(district, str) else None
        groups.setdefault(name or gettext("Former Hải Dương"), []).append({"code": r["code"], "name": text(r, "name")})
    for wards in groups.values():
        wards.sort(key=lambda w: sort_key(bare(w["name"])))
    last = gettext("Former Hải Dương")
    order = sorted(groups, key=lambda name: (name == last, sort_key(name)))
    return [{"name": name, "wards": groups[name]} for name in order]


def bare(name):
    """A ward's name without the word for its kind."""
    for kind in ("Phường ", "Xã ", "Đặc khu "):
        name = name.removeprefix(kind)
    return name


def scope(user, names, few=3):
    """Where and for what somebody works, in words. names: {code: name} of the wards."""
    if not user.wards:
        where = gettext("Whole city")
    elif len(user.wards) <= few:
        where = ", ".join(names.get(w, w) for w in user.wards)
    else:
        where = ngettext("%(num)s ward", "%(num)s wards", len(user.wards))
    what = ", ".join(word("medium", m) for m in user.media) if user.media else gettext("all media")
    return f"{where} · {what}"


def journal(rows, names):
    """Audit rows of an account for its page: {at, who, done, changes: [{field, before, after}]}."""
    out = []
    for r in rows:
        old, new = r["old"] or {}, r["new"] or {}
        changes = [
            {
                "field": gettext(_FIELDS[k]),
                "before": _value(k, old.get(k), names),
                "after": _value(k, new.get(k), names),
            }
            for k in _FIELDS
            if r["action"] == "user edit" and old.get(k) != new.get(k)
        ]
        out.append(
            {
                "at": moment(r["at"]),
                "who": r["who"],
                "done": done(r["action"]),
                "changes": changes,
            }
        )
    return out


def done(action):
    """What the audit of accounts calls an action, in the reader's words."""
    return gettext(_DONE.get(action, action))


def _value(field, value, names):
    if field == "role":
        return word("role", value)
    if field == "wards":
        return ", ".join(names.get(w, w) for w in value or ()) or gettext("Whole city")
    if field == "media":
        return ", ".join(word("medium", m) for m in value or ()) or gettext("all media")
    return value
