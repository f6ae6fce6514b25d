""" "Why not here?": a place as it was typed or clicked, what the study says to it in words, and blocking or forcing it."""

from server import planplaces, sitekinds, siteworld
from server.forms import FormError, text_of
from server.i18n import gettext as _
from server.i18n import language, m3, number, percent
from server.planwords import load_word, measure, source_word, words_of
from server.quantities import quantity

MARKS = {"broken": "✗", "kept": "✓", "open": "?"}


def asked(form):
    """((lon, lat), {}) of the fields lat and lon, or (None, {field: sentence}); (None, {}) where nothing was typed."""
    typed = {name: (form.get(name) or "").strip()[:40] for name in ("lat", "lon")}
    if not any(typed.values()):
        return None, {}
    return planplaces.place(typed["lat"], typed["lon"])


def explained(services, study, lon, lat):
    """The answer for a place, written: head, sentence, state ('free', 'excluded', 'open'), rules, criteria, score, sizes."""
    found = services.studies.explain(study["code"], lon, lat)
    layers = study["spec"]["layers"]
    rules = [_rule(r, layers) for r in found["rules"]]
    broken = [r for r in rules if r["state"] == "broken"]
    asked_of = [words_of("rule", u["code"], layers) for u in found["unchecked"] if u["kind"] == "rule"]
    state = "excluded" if broken else ("free" if found["allowed"] else "open")
    head = {
        "excluded": _("Not here."), "free": _("A plant may stand here."), "open": _("Not known for this place."),
    }[state]  # fmt: skip
    sentences = [r["sentence"] for r in broken]
    if state == "free" and asked_of:
        sentences.append(_("As far as was checked; see below what was not."))
    return {
        "state": state, "head": head, "sentence": " ".join(sentences), "at": [found["lat"], found["lon"]],
        "lat": f"{found['lat']:.5f}", "lon": f"{found['lon']:.5f}",
        "where": _("%(lat)s, %(lon)s (latitude, longitude); measured from the edge of the plot.", lat=f"{found['lat']:.5f}", lon=f"{found['lon']:.5f}"),
        "rules": rules, "criteria": [_criterion(c, layers, siteworld.load_unit(study["spec"])) for c in found["criteria"]],
        "unit": load_word(study["spec"]),
        "score": "" if found["score"] is None else _("Suitability %(score)s of 1.", score=number(found["score"], 2)),
        "sizes": [
            {"capacity": m3(s["capacity_m3_day"]), "allowed": s["allowed"],
             "words": _("may stand here") if s["allowed"] else ", ".join(words_of("rule", c, layers) for c in s["broken"]) or _("not known")}
            for s in found["sizes"]
        ],
        "unchecked": [_("Not checked: %(names)s. No data.", names=", ".join(asked_of))] if asked_of else [],
    }  # fmt: skip


def _rule(rule, layers):
    kind = sitekinds.RULES.get(rule["code"])
    unit = kind.unit if kind else "m"
    word = words_of("rule", rule["code"], layers)
    state = {True: "broken", False: "kept", None: "open"}[rule["broken"]]
    sentence = ""
    if state == "broken":
        sentence = _broken(rule, word, unit)
    why = [words_of("why", w) for w in rule["why"]]
    said = {"broken": _("breaks the rule"), "kept": _("keeps the rule"), "open": _("not known here")}[state]
    return {
        "code": rule["code"], "word": word, "state": state, "mark": MARKS[state], "sentence": sentence,
        "state_word": said + (f" ({'; '.join(why)})" if why else ""), "source": source_word(rule["source"]),
        "measured": measure(rule["measured"], unit), "limit": measure(rule["limit"], unit),
        "by": measure(rule["by"], unit) if rule["by"] else ("–" if state != "kept" else _("nothing is missing")),
    }  # fmt: skip


def _broken(rule, word, unit):
    if rule["measured"] is None or rule["limit"] is None:
        return f"{word}."
    if rule["kind"] == "near" and rule["limit"] == 0:
        return _("%(rule)s: the place lies on it.", rule=word)
    if rule["kind"] == "near" and rule["measured"] == 0:
        return _("%(rule)s: right there, %(limit)s are asked.", rule=word, limit=measure(rule["limit"], unit))
    if rule["kind"] == "near":
        return _(
            "%(rule)s: %(here)s away, %(limit)s are asked, %(by)s missing.",
            rule=word, here=measure(rule["measured"], unit), limit=measure(rule["limit"], unit), by=measure(rule["by"], unit),
        )  # fmt: skip
    return _(
        "%(rule)s: %(here)s here, the limit is %(limit)s.",
        rule=word, here=measure(rule["measured"], unit), limit=measure(rule["limit"], unit),
    )  # fmt: skip


def _criterion(part, layers, load):
    return {
        "word": words_of("criterion", part["code"], layers, load), "measured": measure(part["measured"], part["unit"]),
        "value": number(part["value"], 2), "weight": percent(part["weight"]),
    }  # fmt: skip


# --- block, force, and back ---


def changed(services, user, study, what, form, revision):
    """Do what a form asks; the sentence to say. Raises FormError, Conflict, CaseError, SpecError."""
    book, code = services.studies, study["code"]
    if what == "unblock":
        book.unblock(user, code, revision, _whole(form, "number"))
        return _("The block is taken away. It counts from the next run on.")
    if what == "unforce":
        book.unforce(user, code, revision, text_of(form, "site", 60))
        return _("The site is left to the search again. It counts from the next run on.")
    where = text_of(form, "site", 60)
    if not where:
        where, wrong = asked(form)
        if where is None:
            raise FormError(wrong or {"lat": _("Give a place.")})
    if what == "force":
        book.force(user, code, revision, where)
        return _("A plant will stand there in the next run.")
    reason = text_of(form, "reason", 500)
    if not reason:
        raise FormError({"reason": _("Say why not this place; the reason is kept with the study.")})
    book.block(user, code, revision, where, reason, radius_m=_radius(form))
    return _("The place is blocked. It counts from the next run on.")


def _radius(form):
    typed = text_of(form, "radius_m", 20)
    if not typed:
        return None
    try:
        return quantity(typed, language())
    except ValueError:
        raise FormError({"radius_m": _("Write a number here.")}) from None


def _whole(form, name):
    try:
        return int(form.get(name, ""))
    except ValueError:
        raise FormError({"": _("The form is not complete. Open the page again and send it once more.")}) from None
