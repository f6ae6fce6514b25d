"""The needs of the steps: each looks at one Ask and returns what is Missing, nothing when it is met.

A Need stands in the table of server/remediation.py; its words, with the settings, stand on the method page.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from itertools import takewhile

from server.i18n import N_
from server.situation import EVIDENCE, Label, Missing


@dataclass(frozen=True)
class Need:
    """check: Ask -> list of Missing. words: msgid; its values are the names in Rules.

    told: whether the method page tells it; what only keeps a form from contradicting itself is not told.
    """

    code: str
    words: str
    check: Callable
    kind: str = "proof"
    told: bool = True


def need(words, kind="proof", *, told=True):
    return lambda check: Need(check.__name__, words, check, kind, told)


def _there(ask, *kinds, since=None):
    """Evidence of these kinds; with since, only what is dated on that day or later."""
    found = [e for e in ask.situation.evidence if e.kind in kinds]
    return found if since is None else [e for e in found if e.dated and e.dated >= since]


def _lacks(kind):
    return Missing(f"{kind}_missing", N_("%(what)s: missing"), {"what": Label(EVIDENCE[kind])})


# --- what was seen and done ---


@need(N_("a visit record, or data such as measurements"))
def visit_or_data(ask):
    if _there(ask, "visit_record", "data", "lab_report") or ask.situation.samplings:
        return []
    return [Missing("visit_or_data_missing", N_("visit record or data: missing"))]


@need(N_("a record of the boundary, the warning or the order"))
def containment(ask):
    if _there(ask, "containment", "order", since=ask.situation.before_from):
        return []
    return [Missing("containment_missing", N_("record of the boundary, warning or order: missing"))]


@need(N_("a photo of it"))
def photo(ask):
    found = _there(ask, "photo", "photo_before", "photo_after", since=ask.situation.before_from)
    return [] if found else [_lacks("photo")]


@need(N_("evidence of the start: the notice or a photo"))
def start_evidence(ask):
    since = ask.situation.decision_on
    if _there(ask, "start_notice", "photo", since=since):
        return []
    if since is None:
        return [Missing("start_evidence_missing", N_("evidence of the start: missing"))]
    words = N_("evidence of the start, of %(since)s or later: missing")
    return [Missing("start_evidence_missing", words, {"since": since})]


@need(N_("a statement that the work is done"))
def completion(ask):
    since = ask.situation.proof_from
    if _there(ask, "completion", since=since):
        return []
    if since and _there(ask, "completion"):
        words = N_("statement that the work is done: the one on file is older than %(since)s, when work began anew")
        return [Missing("completion_missing", words, {"since": since})]
    return [_lacks("completion")]


@need(N_("a dated photo after the work"))
def photo_after(ask):
    return [] if _photos(ask)[1] else [_missing_photo(ask, "photo_after")]


@need(N_("new evidence, put in after the rejection"))
def new_evidence(ask):
    since = ask.situation.in_stage_since
    for e in ask.situation.evidence:
        day = e.added or e.dated
        if since is None or (day and day >= since):
            return []
    return [Missing("new_evidence_missing", N_("new evidence since the rejection: missing"), {"since": since})]


# --- samplings ---


def occasions(ask):
    """[(day, compliant, ids of users who answer for it)] since the work was done up to today, oldest first.

    Samplings of one day are one occasion, as good as its worst result; None where any of them is not judged. A
    sampling that no established limit judges counts as compliant when a numbered decision names it and its results
    keep the limits of that decision (Sampling.acceptable).
    """
    s = ask.situation
    since = _verified_since(s)
    decisions = [e for e in _there(ask, "limit_decision") if e.number.strip()]
    days = {}
    for sampling in s.samplings:
        if sampling.voided_by or since is None or not since <= sampling.taken_on <= s.today:
            continue
        open_ = sampling.compliant is None and sampling.acceptable
        accepted = [e.by for e in decisions if open_ and sampling.id in e.samplings]
        verdict = True if accepted else sampling.compliant
        days.setdefault(sampling.taken_on, []).append((verdict, {sampling.entered_by, *accepted}))
    return [(day, _worst([v for v, _who in found]), set().union(*(who for _v, who in found)))
            for day, found in sorted(days.items())]  # fmt: skip


def _verified_since(situation):
    return situation.work_done_on or situation.in_stage_since


def _worst(verdicts):
    return False if False in verdicts else None if None in verdicts else True


def counted(ask):
    """The most recent occasions in a row that are compliant.

    What is not judged ends the row too: else a bad result could be mended by leaving out the parameter that is bad.
    """
    found = occasions(ask)
    good = list(takewhile(lambda occasion: occasion[1], reversed(found)))
    return good[::-1]


def required(ask):
    """(samplings, days) that this case needs: its own numbers, never below the settings."""
    s, rules = ask.situation, ask.rules
    return max(s.needed_samples or 0, rules.samples), max(s.needed_days or 0, rules.days)


@need(N_("%(samples)s or more compliant samplings in a row that span at least %(days)s days"))
def compliant_samplings(ask):
    run, found = counted(ask), occasions(ask)
    samples, days = required(ask)
    span = (run[-1][0] - run[0][0]).days if run else 0
    if len(run) >= samples and span >= days:
        return []
    values = {"have": len(run), "need": samples, "span": span, "days": days}
    if run:
        values["from"] = max(run[0][0] + timedelta(days=days), found[-1][0] + timedelta(days=1))
    out = [_samplings_lacking(values)]
    judged = [o for o in found if o[1] is not None]
    if judged and judged[-1][1] is False:
        words = N_("the last result exceeds (sampling of %(on)s); counting begins anew after it")
        out.append(Missing("last_exceeds", words, {"on": judged[-1][0]}))
    unjudged = sum(o[1] is None for o in found)
    if unjudged:
        words = N_("not judged, and the row ends there without a numbered decision on the limits: samplings of %(n)s days")
        out.append(Missing("unjudged", words, {"n": unjudged}))
    return out


def _samplings_lacking(values):
    if not values["have"]:
        return Missing("samplings_missing", N_("%(have)s of %(need)s compliant samplings"), values)
    if values["have"] < values["need"]:
        words = N_("%(have)s of %(need)s compliant samplings; the last of them may be taken from %(from)s on")
        return Missing("samplings_missing", words, values)
    words = N_("%(have)s compliant samplings span %(span)s of %(days)s days; one more may be taken from %(from)s on")
    return Missing("span_too_short", words, values)


@need(N_("a non-compliant result, or a list of faults"), kind="field")
def failed_or_faults(ask):
    if ask.fields.get("faults") or any(o[1] is False for o in occasions(ask)):
        return []
    words = N_("a non-compliant result, or a list of faults: missing")
    return [Missing("faults_missing", words, kind="field", field="faults")]


# --- the pair of photos ---


def _photos(ask, *, others_only=False):
    """(photos before, photos after) that count: dated, of this round, not from the future."""
    s = ask.situation
    dated = [e for e in s.evidence if e.dated and e.dated <= s.today and not (others_only and e.by == ask.actor.id)]
    before = [e for e in dated if e.kind == "photo_before" and (not s.before_from or e.dated >= s.before_from)]
    after = [e for e in dated if e.kind == "photo_after" and (not s.proof_from or e.dated >= s.proof_from)]
    return before, after


def _is_pair(before, after):
    return bool(before and after) and max(e.dated for e in after) > min(e.dated for e in before)


def _missing_photo(ask, kind):
    since = ask.situation.proof_from if kind == "photo_after" else ask.situation.before_from
    values = {"what": Label(EVIDENCE[kind])}
    if not _there(ask, kind):
        return Missing(f"{kind}_missing", N_("%(what)s: missing"), values)
    if not any(e.dated for e in _there(ask, kind)):
        return Missing(f"{kind}_missing", N_("%(what)s: has no date"), values)
    if since and not _there(ask, kind, since=since):
        return Missing(f"{kind}_missing", N_("%(what)s: none from %(since)s on"), values | {"since": since})
    return Missing(f"{kind}_missing", N_("%(what)s: its date lies in the future"), values)


@need(N_("a dated pair of photos, the one after later than the one before"))
def photo_pair(ask):
    before, after = _photos(ask)
    if _is_pair(before, after):
        return []
    if before and after:
        words = N_("photo after: of %(after)s, not later than the photo before of %(before)s")
        days = {"after": max(e.dated for e in after), "before": min(e.dated for e in before)}
        return [Missing("photo_order", words, days)]
    found = {"photo_before": before, "photo_after": after}
    return [_missing_photo(ask, kind) for kind, photos in found.items() if not photos]


# --- who ---


@need(N_("an approver who neither entered nor uploaded any of the counted results, nor uploaded the pair of photos"),
      kind="identity")  # fmt: skip
def other_approver(ask):
    out = []
    since = _verified_since(ask.situation)
    involved = {e.by for e in _there(ask, "lab_report") if not (e.dated and since) or e.dated >= since}
    involved = involved.union(*(who for _day, _verdict, who in counted(ask)))
    for sampling in ask.situation.samplings:
        if sampling.voided_by and (since is None or sampling.taken_on >= since):
            involved |= {sampling.entered_by, sampling.voided_by}
    if ask.actor.id in involved:
        words = N_("an approver is needed who entered or uploaded none of the counted results")
        out.append(Missing("approver_entered_results", words, kind="identity"))
    if _is_pair(*_photos(ask)) and not _is_pair(*_photos(ask, others_only=True)):
        words = N_("an approver is needed who did not upload the pair of photos")
        out.append(Missing("approver_uploaded_photos", words, kind="identity"))
    return out


# --- the form against the case ---


@need(N_("containment, or a written reason why it is not needed"), kind="field")
def contained_or_reason(ask):
    if ask.situation.stage == "contained" or ask.fields.get("no_containment"):
        return []
    words = N_("reason why containment is not needed: missing")
    return [Missing("no_containment_missing", words, kind="field", field="no_containment")]


@need(N_("a decision not dated in the future, a deadline not in the past"), kind="field", told=False)
def order_of_days(ask):
    out, on, today = [], ask.fields.get("decision_on"), ask.situation.today
    if on and on > today:
        out.append(_field("decision_on", "decision_in_future", N_("the decision lies in the future")))
    for name in ("plan_due", "deadline"):
        if ask.fields.get(name, today) < today:
            out.append(_field(name, f"{name}_past", N_("this day has passed")))
    return out


def _field(name, code, words, values=None):
    return Missing(code, words, values or {}, kind="field", field=name)


@need(N_("a day of completion in this round of work, not in the future"), kind="field", told=False)
def done_in_this_round(ask):
    done, s = ask.fields.get("work_done_on"), ask.situation
    since = max((day for day in (s.proof_from, s.decision_on) if day), default=s.in_stage_since)
    if done and done > ask.situation.today:
        return [_field("work_done_on", "done_in_future", N_("the day of completion lies in the future"))]
    if done and since and done < since:
        words = N_("the work cannot have been done before %(since)s")
        return [_field("work_done_on", "done_too_early", words, {"since": since})]
    return []


@need(N_("at least %(samples)s samplings over at least %(days)s days asked for"), kind="field")
def enough_asked(ask):
    out = []
    for name, least in (("needed_samples", ask.rules.samples), ("needed_days", ask.rules.days)):
        if ask.fields.get(name) is not None and ask.fields[name] < least:
            out.append(_field(name, f"{name}_too_low", N_("not fewer than %(least)s"), {"least": least}))
    return out


@need(N_("a reason, or the hotspot of which it is a duplicate"), kind="field")
def reason_or_duplicate(ask):
    if ask.fields.get("reason") or ask.fields.get("merged_into"):
        return []
    words = N_("a reason, or the hotspot of which it is a duplicate: missing")
    return [_field("reason", "reason_missing", words)]


@need(N_("another hotspot than this one"), kind="field", told=False)
def not_itself(ask):
    into = ask.fields.get("merged_into")
    if into and ask.situation.code and into.casefold() == ask.situation.code.casefold():
        return [_field("merged_into", "merged_into_itself", N_("a hotspot cannot be a duplicate of itself"))]
    return []


# --- the watch ---


@need(N_("%(watch_months)s months of watch that have passed"), kind="state")
def watch_passed(ask):
    s = ask.situation
    if s.watch_until is None:
        return [Missing("watch_unknown", N_("the dates of the watch are not known"), kind="state")]
    if s.today > s.watch_until:
        return []
    words = N_("the watch lasts until %(until)s")
    return [Missing("watch_running", words, {"until": s.watch_until}, kind="state")]


@need(N_("no exceedance and fewer than %(relapse_reports)s citizen reports within %(relapse_radius_m)s m since closing"),
      kind="state")  # fmt: skip
def watch_clean(ask):
    s = ask.situation
    if not _relapsed(ask):
        return []
    words = N_("a relapse is due: %(exceedances)s exceedances and %(reports)s reports since closing")
    values = {"exceedances": s.exceedances_since_watch, "reports": s.reports_since_watch}
    return [Missing("relapse_due", words, values, kind="state")]


@need(
    N_("an exceedance, or %(relapse_reports)s citizen reports within %(relapse_radius_m)s m since closing"),
    kind="state",
)
def relapse_cause(ask):
    if _relapsed(ask):
        return []
    words = N_("no exceedance, and %(have)s of %(need)s reports within %(radius)s m since closing")
    rules = ask.rules
    values = {
        "have": ask.situation.reports_since_watch,
        "need": rules.relapse_reports,
        "radius": rules.relapse_radius_m,
    }
    return [Missing("relapse_cause_missing", words, values, kind="state")]


def _relapsed(ask):
    s = ask.situation
    return s.exceedances_since_watch >= 1 or s.reports_since_watch >= ask.rules.relapse_reports
