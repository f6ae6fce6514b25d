"""The forms of the steps: their fields, and what was typed made into values."""

from dataclasses import dataclass, replace
from datetime import date

from server.i18n import N_
from server.situation import Label, Missing


@dataclass(frozen=True)
class Field:
    """One entry of the form of a step. kind: text, date, number, choice, user, case or facility.

    A field named like one of Situation is written into it when it is given. choices: (code, msgid) pairs.
    most: letters of a text, or the greatest number. setting: name in Rules, what stands in the form at first.
    """

    name: str
    kind: str
    label: str
    required: bool = True
    choices: tuple = ()
    most: int = 2000
    setting: str = ""


def cleaned(form, raw):
    """({name: typed value}, [Missing]) of what came in for the Fields of a form.

    raw: {name: text as typed, or a value of the right type}; dates as YYYY-MM-DD. What is left empty is absent from
    the values, what no Field names is dropped.
    """
    values, missing = {}, []
    for f in form:
        given = raw.get(f.name)
        given = given.strip() if isinstance(given, str) else given
        if given is None or given == "":
            if f.required:
                missing.append(_of_form(f, "missing", N_("%(what)s: missing")))
            continue
        try:
            values[f.name] = _TYPED[f.kind](given, f)
        except (ValueError, TypeError, OverflowError):
            missing.append(_of_form(f, "invalid", N_("%(what)s: cannot be read")))
    return values, missing


def _of_form(f, problem, words):
    return Missing(f"{f.name}_{problem}", words, {"what": Label(f.label)}, "field", f.name)


def _text(given, f):
    if not isinstance(given, str) or len(given) > f.most:
        raise ValueError(f.name)
    return given


def _date(given, f):
    if type(given) is date:
        return given
    return date.fromisoformat(given)


def _number(given, f):
    whole = int(given) if isinstance(given, str) else given
    if type(whole) is not int or not 0 <= whole <= f.most:
        raise ValueError(f.name)
    return whole


def _user(given, f):
    return _number(given, replace(f, most=2**53))


def _choice(given, f):
    if given not in dict(f.choices):
        raise ValueError(f.name)
    return given


_TYPED = {
    "text": _text,
    "date": _date,
    "number": _number,
    "choice": _choice,
    "user": _user,
    "case": _text,
    "facility": _text,
}
