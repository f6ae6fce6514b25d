"""Samplings of a case: taken in, judged by the limit in force on their day, and read back.

A verdict is kept as it was given when the result was entered, with regulation, row, factor and value.
Whether a sampling as a whole is compliant depends on what the case was ever measured for, so that a
result never gets better by leaving something out (geo.limits.expected).
"""

import json
from dataclasses import asdict, fields
from datetime import date

import sqlalchemy as sa

from geo import limits, units
from layers import standards
from server.casebook import CaseError, packed, results, samplings
from server.i18n import N_, translations

MEDIA = standards.MEDIA
CHOICES = ("water", "column", "flow_class", "averaging", "regulation", "transitional")
_VERDICT = {f.name for f in fields(limits.Verdict)}


def judged(medium, on, given, choice):
    """Verdicts of results. given: dicts of parameter (as typed), value (None: not measured), unit, sign.

    choice: of CHOICES; what is blank was not said. CaseError names every result that cannot be read.
    """
    if medium not in MEDIA:
        raise CaseError(N_("Choose what was sampled: waste water, surface water, air, soil or another medium."))
    if not given:
        raise CaseError(N_("Enter at least one result."))
    chosen = {k: v for k, v in choice.items() if k in CHOICES and v not in ("", None)}
    frame, out, seen = standards.limits(), [], set()
    for i, r in enumerate(given, start=1):
        code = standards.parameter(r["parameter"], medium)
        if code is None:
            raise CaseError(N_("Result %(row)s: the parameter “%(name)s” is not known."), row=i, name=r["parameter"])
        if code in seen:
            raise CaseError(N_("Result %(row)s: %(name)s is given twice."), row=i, name=code)
        seen.add(code)
        sign = r.get("sign") or ""
        if sign not in ("", "<", ">"):
            raise CaseError(N_("Result %(row)s: the sign is <, > or nothing."), row=i)
        try:
            said = limits.judge(r.get("value"), r.get("unit") or "", sign, code, on, frame, medium=medium,
                                factors=_factors(r), flag=r.get("flag") or "", **chosen)  # fmt: skip
        except (ValueError, units.UnitError) as e:
            raise CaseError(N_("Result %(row)s (%(name)s): %(why)s"), row=i, name=code, why=str(e)) from e
        out.append(said)
    return out


def _factors(result):
    return tuple(
        limits.Factor(name, float(value), limits.PERMIT, result.get("factor_source") or "")
        for name, value in (result.get("factors") or {}).items()
    )


def insert(con, case, values, verdicts, signed):
    """Write one sampling with its verdicts; the id."""
    number = con.execute(samplings.insert().values(case=case, **values, **signed)).inserted_primary_key[0]
    con.execute(
        results.insert(),
        [
            {"sampling": number, "parameter": v.parameter, "value": v.value, "unit": v.unit, "sign": v.sign,
             "verdict": packed(asdict(v))}
            for v in verdicts
        ],
    )  # fmt: skip
    return number


def of_case(con, code):
    """The samplings of a case, oldest first: dicts with `verdicts` and `judgement`; voided ones have none.

    acceptable: whether it would be compliant if a named decision let its unverified limits be used.
    """
    rows = [dict(r) for r in con.execute(
        sa.select(samplings).where(samplings.c.case == code).order_by(samplings.c.taken_on, samplings.c.id)
    ).mappings()]  # fmt: skip
    by_id = {r["id"]: r | {"verdicts": [], "choice": json.loads(r["choice"])} for r in rows}
    query = sa.select(results).where(results.c.sampling.in_(by_id)).order_by(results.c.id)
    for r in con.execute(query).mappings():
        by_id[r["sampling"]]["verdicts"].append(_verdict(json.loads(r["verdict"])))
    valid = [r for r in by_id.values() if r["voided"] is None]
    required = {
        medium: limits.expected([r["verdicts"] for r in valid if r["medium"] == medium])
        for medium in {r["medium"] for r in valid}
    }
    for r in by_id.values():
        r["judgement"] = None if r["voided"] else limits.judge_set(r["verdicts"], required[r["medium"]])
        used = [limits.accept(v, "x") for v in r["verdicts"]]
        r["acceptable"] = not r["voided"] and limits.judge_set(used, required[r["medium"]]).compliant is True
    return list(by_id.values())


def _verdict(values):
    kept = {k: v for k, v in values.items() if k in _VERDICT}
    kept["on"] = date.fromisoformat(kept["on"])
    kept["factors"] = tuple(limits.Factor(**f) for f in kept.get("factors", ()))
    kept["open"] = tuple((name, tuple(found)) for name, found in kept.get("open", ()))
    return limits.Verdict(**kept)


_STATES = {
    "meets": N_("within the limit"),
    "exceeds": N_("over the limit"),
    "not_measured": N_("not measured"),
    "fault_or_calibrating": N_("fault or calibration"),
    "not_required": N_("not required"),
    "not_judged": N_("not judged"),
}


def words(verdicts, language):
    """What the public reads of a sampling: each value, the limit of its day with its regulation, and the verdict.

    An unverified limit gives no verdict and is told as such.
    """
    translate, out = translations(language).gettext, []
    for v in verdicts:
        name = standards.parameters()[v.parameter].label(language)
        value = "–" if v.value is None else f"{v.sign}{_number(v.value, language)} {v.unit}".strip()
        state = translate(_STATES[v.state])
        bounds = "–".join(_number(b, language) for b in (v.limit_min, v.limit_max) if b is not None)
        if bounds and (v.verified or v.decision):
            state += f" ({bounds} {v.limit_unit}, {v.regulation})"
        elif v.word == "limit_unverified":
            state += f" ({translate(N_('the limit is not verified'))})"
        out.append(f"{name} {value}: {state}")
    return "; ".join(out) + "."


def _number(value, language):
    written = f"{value:,.6g}"
    return written.translate(str.maketrans(",.", ".,")) if language == "vi" else written
