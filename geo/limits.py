"""Is a measured value within the limit that was in force on its day?

A limit is one row of a frame (see COLUMNS), chosen by medium, parameter, date, kind of water, column or
class, flow class and averaging time. Nothing is guessed: where the table has several rows and the choice
was not said, the answer is "choice_needed", and says between what.

States: meets, exceeds, not_measured, fault_or_calibrating, not_required; and not_judged, which is no
verdict at all, with the reason as its word.

Unverified limits. A row whose confidence is "verified-text" or "verified-secondary" gives a verdict. A
number that is only "background", "proposal" or blank in confidence gives not_judged / limit_unverified;
how the value compares is kept as `indication`, for a remark that is marked so, never as a verdict. It
counts as proof only after somebody named a decision for it: accept(verdict, decision) makes it a verdict
on the basis of that decision, and says so. A row without a number ("not-established") gives not_judged /
limit_not_established, which no decision can mend: there is nothing to compare with.
"""

from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal

import numpy as np
import pandas as pd

from geo import units

STATES = ("meets", "exceeds", "not_measured", "fault_or_calibrating", "not_required", "not_judged")
REASONS = (
    "limit_unverified",
    "limit_not_established",
    "no_limit",
    "choice_needed",
    "choice_not_in_table",
    "regulation_not_in_force",
    "factor_needed",
    "unit_missing",
    "unit_unknown",
    "unit_differs",
    "value_impossible",
    "detection_limit_too_coarse",
    "above_measuring_range",
)
VERIFIED = frozenset({"verified-text", "verified-secondary"})
PERMIT = "permit"  # confidence of a factor that a permit or a decision states
COLUMNS = (
    *("row", "regulation", "medium", "parameter", "unit", "limit_min", "limit_max", "not_detected", "factor_rule"),
    *("valid_from", "valid_until", "transition_until", "water", "column", "flow_class", "averaging"),
    *("reference", "confidence"),
)
_CHOICES = ("water", "column", "flow_class", "averaging")
_NO_RATIO = frozenset({"pH", "temperature", "LAeq"})  # scales on which "twice as much" says nothing
_BELOW_ZERO = frozenset({"temperature", "LAeq"})


@dataclass(frozen=True)
class Factor:
    """Kq, Kf or K of one discharge point. confidence: as in the tables, or PERMIT where a permit states it."""

    name: str
    value: float
    confidence: str
    reference: str
    row: str = ""

    @property
    def verified(self):
        return self.confidence in VERIFIED or self.confidence == PERMIT


@dataclass(frozen=True)
class Limit:
    """A row of the limits frame. Bounds in `unit` before factors; None is no bound; factor_rule names the factors."""

    row: str
    regulation: str
    parameter: str
    unit: str
    low: float | None
    high: float | None
    not_detected: bool
    factor_rule: tuple[str, ...]
    reference: str
    confidence: str

    @property
    def established(self):
        return self.not_detected or self.low is not None or self.high is not None

    @property
    def verified(self):
        return self.confidence in VERIFIED


@dataclass(frozen=True)
class Choice:
    """The limit that applies, or the reason why none does, with what could be chosen: ((field, values), ...)."""

    limit: Limit | None
    reason: str = ""
    open: tuple[tuple[str, tuple[str, ...]], ...] = ()


@dataclass(frozen=True)
class Verdict:
    """One value against one limit. word: the state, or the reason where it is not_judged.

    value, unit, sign: as given. limit_min, limit_max: after the factors, in limit_unit; factor: their
    product. ratio: value over the upper limit (limit over value for a lower one); at least that much
    where sign is ">", None on a scale without ratios or below a detection limit. verified: the limit and
    all its factors are. indication: meets or exceeds against an unverified limit. decision: who took it.
    open: what must be said first, see Choice.
    """

    state: str
    word: str
    parameter: str
    on: date
    value: float | None = None
    unit: str = ""
    sign: str = ""
    regulation: str = ""
    row: str = ""
    limit_min: float | None = None
    limit_max: float | None = None
    limit_unit: str = ""
    not_detected: bool = False
    factor: float = 1.0
    factors: tuple[Factor, ...] = ()
    ratio: float | None = None
    reference: str = ""
    confidence: str = ""
    verified: bool = False
    indication: str = ""
    decision: str = ""
    open: tuple[tuple[str, tuple[str, ...]], ...] = ()


@dataclass(frozen=True)
class Next:
    """The verdict on the same value once the limit changes: from that day, if it stays as it is."""

    since: date
    verdict: Verdict


@dataclass(frozen=True)
class Judgement:
    """A sampling as a whole. basis: "limits", "decision" (a named one was needed), "" where nothing is decided.

    exceeding, undecided, missing: parameters, sorted.
    """

    compliant: bool | None
    basis: str = ""
    exceeding: tuple[str, ...] = ()
    undecided: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()


@dataclass(frozen=True)
class Tally:
    """Results against what was due. share: met of all due; possible: what it could be at best; complete: judged."""

    due: int
    meets: int
    exceeds: int
    not_measured: int
    fault_or_calibrating: int
    not_judged: int

    @property
    def share(self):
        return self.meets / self.due if self.due else None

    @property
    def possible(self):
        return 1 - self.exceeds / self.due if self.due else None

    @property
    def complete(self):
        return (self.meets + self.exceeds) / self.due if self.due else None


def choose(
    parameter, on, limits, *, medium, water="", column="", flow_class="", averaging="", regulation="", transitional=None
):
    """The limit for a parameter on a day, as a Choice.

    A blank field of a row fits every choice; several codes in a field are parted by ";". Of two rows that
    fit, the one that is more specific counts. transitional: whether the discharge point keeps the older
    regulation while it may (True), follows the present one (False), or nobody said (None: then, in such
    a period, choice_needed). regulation: the one a permit names; it must be in force, or usable still.
    """
    day = np.datetime64(on)
    until, transition = limits["valid_until"].to_numpy(), limits["transition_until"].to_numpy()
    here = (_texts(limits, "medium") == medium) & (limits["valid_from"].to_numpy() <= day)
    in_force = here & (np.isnat(until) | (until >= day))
    kept = here & ~in_force & (transition >= day)
    if regulation:
        usable = (in_force | kept) & (_texts(limits, "regulation") == regulation)
        if not usable.any():
            return Choice(None, "regulation_not_in_force", (("regulation", (regulation,)),))
    else:
        usable = in_force
        if kept.any() and (old := kept & _fits(_texts(limits, "water"), water)).any():
            if transitional is None:
                names = tuple(sorted(set(_texts(limits, "regulation")[old])))
                return Choice(None, "choice_needed", (("transitional", names),))
            usable = old if transitional else in_force
    found = np.flatnonzero(usable & (_texts(limits, "parameter") == parameter))
    if not len(found):
        return Choice(None, "no_limit")
    given = {"water": water, "column": column, "flow_class": flow_class, "averaging": averaging}
    codes = {name: _texts(limits, name) for name in _CHOICES}
    for name in _CHOICES:
        narrower = found[_fits(codes[name][found], given[name])]
        if not len(narrower):
            return Choice(None, "choice_not_in_table", ((name, _split(codes[name][found])),))
        found = narrower
    unsaid = tuple((n, _split(codes[n][found])) for n in _CHOICES if not given[n] and any(codes[n][found]))
    if unsaid:
        return Choice(None, "choice_needed", unsaid)
    specific = sum((codes[name][found] != "").astype(int) for name in _CHOICES)
    found = found[specific == specific.max()]
    if len(found) > 1:
        return Choice(None, "choice_needed", (("row", tuple(_texts(limits, "row")[found])),))
    return Choice(_limit(limits.iloc[found[0]]))


def compare(value, unit, sign, limit, *, on, factors=(), flag="", required=True):
    """Verdict on a value against a chosen Limit.

    value: a number; None or NaN is not measured. sign: "" | "<" (below a detection limit) | ">" (above the
    measuring range). A "<" value meets if even the detection limit does; where that is above the limit
    nothing is known (detection_limit_too_coarse). flag: "" | "fault" | "calibrating": the number is kept
    and not judged. required=False: an absent value is not_required; a present one is judged all the same.
    Raises ValueError: another sign or flag.
    """
    if sign not in ("", "<", ">") or flag not in ("", "fault", "calibrating"):
        raise ValueError(f"A sign is '', '<' or '>', a flag '', 'fault' or 'calibrating'; not {sign!r}, {flag!r}.")
    absent = value is None or value != value
    said = Verdict("not_judged", "", limit.parameter, on, None if absent else float(value), unit, sign)
    said = replace(
        said,
        regulation=limit.regulation,
        row=limit.row,
        reference=limit.reference,
        confidence=limit.confidence,
        limit_unit=limit.unit,
        limit_min=limit.low,
        limit_max=limit.high,
        not_detected=limit.not_detected,
    )
    if flag:
        return _with(said, "fault_or_calibrating")
    if absent:
        return _with(said, "not_measured" if required else "not_required")
    if not limit.established:
        return _with(said, "not_judged", "limit_not_established")
    by_name = {f.name: f for f in factors}
    if lacking := tuple(n for n in limit.factor_rule if n not in by_name):
        return replace(_with(said, "not_judged", "factor_needed"), open=tuple((n, ()) for n in lacking))
    used = tuple(by_name[n] for n in limit.factor_rule)
    product = Decimal(1)
    for factor in used:
        product *= units.exact(factor.value)
    low, high = (None if b is None else units.exact(b) * product for b in (limit.low, limit.high))
    said = replace(said, factors=used, factor=float(product), limit_min=_float(low), limit_max=_float(high))
    try:
        measured = units.convert(value, unit, limit.unit)
    except units.UnitError as e:
        return _with(said, "not_judged", e.code)
    if not _possible(measured, limit.parameter):
        return _with(said, "not_judged", "value_impossible")
    found = _place(measured, sign, low, high, limit.not_detected)
    if not found:
        return _with(said, "not_judged", "detection_limit_too_coarse" if sign == "<" else "above_measuring_range")
    said = replace(said, ratio=_ratio(measured, sign, low, high, limit.parameter))
    if limit.verified and all(f.verified for f in used):
        return replace(_with(said, found), verified=True)
    return replace(_with(said, "not_judged", "limit_unverified"), indication=found)


def judge(
    value, unit, sign, parameter, on, limits, *, medium, factors=(), flag="", required=True, decision="", **choice
):
    """Verdict on one value by the limit in force on its day: choose, then compare, then accept.

    choice: water, column, flow_class, averaging, regulation, transitional, see choose.

    >>> frame = pd.DataFrame([dict(
    ...     row="r1", regulation="Q", medium="surface_water", parameter="BOD5", unit="mg/L", limit_min=None,
    ...     limit_max=4.0, not_detected=False, factor_rule="", valid_from=pd.Timestamp(2023, 9, 12),
    ...     valid_until=pd.NaT, transition_until=pd.NaT, water="", column="A", flow_class="", averaging="",
    ...     reference="table 2", confidence="verified-text")])
    >>> v = judge(6000, "µg/L", "", "BOD5", date(2024, 1, 1), frame, medium="surface_water", column="A")
    >>> v.state, v.ratio, v.row
    ('exceeds', 1.5, 'r1')
    """
    choice = choose(parameter, on, limits, medium=medium, **choice)
    if choice.limit:
        return accept(
            compare(value, unit, sign, choice.limit, on=on, factors=factors, flag=flag, required=required), decision
        )
    absent = value is None or value != value
    state = "fault_or_calibrating" if flag else "not_judged" if not absent else "not_measured"
    if absent and not flag and not required:
        state = "not_required"
    said = Verdict(state, state, parameter, on, None if absent else float(value), unit, sign, open=choice.open)
    return replace(said, word=choice.reason) if state == "not_judged" else said


def judge_next(value, unit, sign, parameter, on, limits, *, medium, factors=(), decision="", **choice):
    """The next change of the limit after a day as Next, or None: "would fail from ..." where it exceeds then.

    A change to a row whose number nobody entered yet, or to a scheme with other columns, is told too.
    """
    rows = limits[limits["medium"] == medium]
    ends = pd.concat([rows["valid_until"], rows["transition_until"]]) + pd.Timedelta(days=1)
    days = pd.concat([rows["valid_from"], ends]).dropna().unique()
    now = choose(parameter, on, rows, medium=medium, **choice)
    for day in sorted(d.date() for d in pd.DatetimeIndex(days)):
        if day <= on:
            continue
        then = choose(parameter, day, rows, medium=medium, **choice)
        if (then.limit and then.limit.row) != (now.limit and now.limit.row):
            said = judge(
                value, unit, sign, parameter, day, rows, medium=medium, factors=factors, decision=decision, **choice
            )
            return Next(day, said)
    return None


def accept(verdict, decision):
    """The verdict after a named decision that its unverified limit may be used; any other verdict unchanged."""
    if decision and verdict.state == "not_judged" and verdict.word == "limit_unverified":
        return replace(_with(verdict, verdict.indication), decision=decision)
    return verdict


def expected(samplings, named=()):
    """Parameters that every sampling of a case must hold: those named for it, and all that were ever reported.

    samplings: iterable of iterables of verdicts. What has no limit at all is left out unless named. Taken
    over the whole case, this is what keeps a result from getting better by being left out.
    """
    seen = {v.parameter for verdicts in samplings for v in verdicts if v.word != "no_limit"}
    return frozenset(named) | {p for p in seen if p}


def judge_set(verdicts, required):
    """Judgement of one sampling: False if anything exceeds; True only if every required parameter meets.

    None where a required parameter is missing, or any result is not judged (a parameter without a limit
    that is not required is passed over), or nothing is required at all: nothing is compliant by absence.
    With `required` from expected() over the case, deleting results can never turn the answer to True.

    >>> judge_set([], {"COD"})
    Judgement(compliant=None, basis='', exceeding=(), undecided=(), missing=('COD',))
    """
    required = frozenset(required)
    verdicts = [v for v in verdicts if v.parameter in required or v.word not in ("no_limit", "not_required")]
    measured = {v.parameter for v in verdicts if v.value is not None}  # an empty line beside a result says nothing
    verdicts = [v for v in verdicts if v.state != "not_measured" or v.parameter not in measured]
    met = {v.parameter for v in verdicts if v.state == "meets"}
    exceeding = tuple(sorted({v.parameter for v in verdicts if v.state == "exceeds"}))
    undecided = tuple(sorted({v.parameter for v in verdicts if v.state not in ("meets", "exceeds")}))
    missing = tuple(sorted(required - met - set(exceeding) - set(undecided)))
    if exceeding:
        deciding, compliant = [v for v in verdicts if v.state == "exceeds"], False
    elif undecided or missing or not required:
        return Judgement(None, "", (), undecided, missing)
    else:
        deciding, compliant = verdicts, True
    # one limit in force is enough to fail; to pass, all must be
    by_limits = any(v.verified for v in deciding) if exceeding else all(v.verified for v in deciding)
    return Judgement(compliant, "limits" if by_limits else "decision", exceeding, undecided, missing)


def worst(verdicts):
    """(exceeding, ratio) of results: what the worst of them says, as geo.priority wants it.

    True with the greatest ratio over a limit (None if no exceeding result has one), False with the
    greatest ratio if all that was judged meets and nothing is open, else (None, None): not known.
    """
    verdicts = [v for v in verdicts if v.word not in ("no_limit", "not_required")]
    over = [v for v in verdicts if v.state == "exceeds"]
    if not over and (not verdicts or any(v.state != "meets" for v in verdicts)):
        return None, None
    return bool(over), max((v.ratio for v in over or verdicts if v.ratio is not None), default=None)


def tally(verdicts, due):
    """Tally of results of which `due` were due. Deleting one never raises the share: what is not there is not met.

    Raises ValueError where more results are judged than were due.
    """
    count = {s: sum(v.state == s for v in verdicts) for s in STATES}
    there = len(verdicts) - count["not_required"]
    if there > due:
        raise ValueError(f"{there} results, but only {due} were due.")
    return Tally(
        due=due,
        meets=count["meets"],
        exceeds=count["exceeds"],
        not_measured=count["not_measured"] + due - there,
        fault_or_calibrating=count["fault_or_calibrating"],
        not_judged=count["not_judged"],
    )


def _with(verdict, state, word=""):
    return replace(verdict, state=state, word=word or state)


def _texts(limits, name):
    return limits[name].to_numpy(dtype=object)


def _fits(codes, given):
    if not given:
        return np.ones(len(codes), dtype=bool)
    return np.array([not c or given in c.split(";") for c in codes], dtype=bool)


def _split(codes):
    return tuple(sorted({c for several in codes for c in several.split(";") if c}))


def _limit(row):
    low, high = (None if pd.isna(row[c]) else float(row[c]) for c in ("limit_min", "limit_max"))
    rule = tuple(f for f in row["factor_rule"].split("*") if f)
    told = (row["row"], row["regulation"], row["parameter"], row["unit"])
    return Limit(*told, low, high, bool(row["not_detected"]), rule, row["reference"], row["confidence"])


def _possible(measured, parameter):
    if not measured.is_finite() or (parameter == "pH" and not 0 <= measured <= 14):
        return False
    return measured >= 0 or parameter in _BELOW_ZERO


def _place(measured, sign, low, high, not_detected):
    """ "meets", "exceeds", or "" where the true value may lie on either side."""
    if not_detected:
        return "meets" if sign == "<" or (not sign and measured == 0) else "exceeds"
    if sign == "<":
        if low is not None and measured <= low:
            return "exceeds"
        return "meets" if low is None and measured <= high else ""
    if sign == ">":
        if high is not None and measured >= high:
            return "exceeds"
        return "meets" if high is None and measured >= low else ""
    inside = (low is None or measured >= low) and (high is None or measured <= high)
    return "meets" if inside else "exceeds"


def _ratio(measured, sign, low, high, parameter):
    if sign == "<" or parameter in _NO_RATIO or (low is not None and high is not None):
        return None
    if high is not None:
        return float(measured / high) if high else None
    if low is None or sign:
        return None
    return float(low / measured) if measured else None


def _float(bound):
    return None if bound is None else float(bound)
