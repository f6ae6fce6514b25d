"""The table of steps is whole, and random walks through it: no proof is lost, no gate is passed without it."""

from collections import Counter
from dataclasses import fields, replace
from datetime import date, timedelta

from flask import Flask, g
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from layers.catalogue import STAGE
from server import clocks, i18n, remediation, stageguide, words, workdays
from server.people import ROLES
from server.remediation import (
    ACTIVE,
    BACK,
    BY_ACTION,
    NEEDS,
    STAGES,
    STAYS,
    TRANSITIONS,
    UNDONE,
    Actor,
    Evidence,
    GateError,
    LastStep,
    Rules,
    Sampling,
    Situation,
    decide,
    offers,
)
from server.situation import CONFIDENCE, EVIDENCE, RULES

DAY = timedelta(days=1)
ACTORS = [Actor(i, role) for i, role in enumerate([*ROLES, *ROLES], 1)] + [Actor(0, "system")]
DECIDERS = [a for a in ACTORS if a.role in ("approver", "administrator")]
NAMES = {f.name for f in fields(Situation)}


# --- the table ---


def leads_to(transition):
    return {BACK: ACTIVE, STAYS: transition.sources, UNDONE: ()}.get(transition.to, (transition.to,))


def test_every_row_is_whole():
    assert len(BY_ACTION) == len(TRANSITIONS)
    for t in TRANSITIONS:
        assert t.sources and set(t.sources) <= set(STAGES) and len(set(t.sources)) == len(t.sources)
        assert t.to in (*STAGES, BACK, STAYS, UNDONE)
        assert t.roles and set(t.roles) <= {*ROLES, "system"}
        assert t.undo in ("yes", "unpublished", "never")
        assert t.clock in ("", *clocks.CLOCKS)
        assert t.law is None or t.law.confidence in CONFIDENCE
        assert not t.override or any(n.kind == "proof" for n in t.needs)
        for f in t.fields:
            assert f.kind in ("text", "date", "number", "choice", "user", "case", "facility")
            assert (f.kind == "choice") is bool(f.choices)
            assert not f.setting or hasattr(Rules(), f.setting)
        assert len({f.name for f in t.fields}) == len(t.fields)


def test_what_lets_a_case_be_watched_is_never_open_to_people_without_a_role():
    for t in TRANSITIONS:
        if t.to in ("watched", "done", "plan_approved"):
            assert set(t.roles) <= {"approver", "administrator", "system"}, t.action
        assert "planner" not in t.roles
        if "system" in t.roles:
            assert not t.override and t.action in ("complete", "relapse")
    assert [t.action for t in TRANSITIONS if t.to == "watched"] == ["close"]
    assert [t.action for t in TRANSITIONS if t.to == "done"] == ["complete"]


def test_identity_is_never_overridable():
    assert {n.code for n in NEEDS.values() if n.kind == "identity"} == {"other_approver"}
    assert all(n.check.__name__ == code for code, n in NEEDS.items())


def test_the_clock_of_a_row_runs_in_the_stage_it_leads_to():
    for t in TRANSITIONS:
        for stage in leads_to(t) if t.clock else ():
            assert stage in clocks.CLOCKS[t.clock][2], (t.action, stage)
    running = {stage for _label, _rule, stages in clocks.CLOCKS.values() for stage in stages}
    assert running == set(STAGES) - {"done", "rejected", "suspended"}


def test_no_stage_is_unreachable_or_a_dead_end():
    reached, ways = {"received"}, True
    while ways:
        ways = {to for t in TRANSITIONS for to in leads_to(t) if reached & set(t.sources)} - reached
        reached |= ways
    assert reached == set(STAGES)
    for stage in STAGES:
        onward = {to for t in TRANSITIONS if stage in t.sources for to in leads_to(t)} - {stage}
        assert onward, stage


def test_every_stage_has_the_same_words_everywhere():
    assert [c.value for c in STAGE] == list(STAGES)
    assert set(STAGES) < set(words.STAGES)


def test_everything_said_has_vietnamese():
    said = [RULES[n][i] for n in RULES for i in (0, 1)] + [law.words for _l, _u, law in RULES.values()]
    said += [*CONFIDENCE.values(), *EVIDENCE.values(), *clocks.STATES.values(), *remediation.ROLES.values()]
    said += [text for label, rule_, _stages in clocks.CLOCKS.values() for text in (label, rule_)]
    for t in TRANSITIONS:
        said += [t.label, t.event, *(n.words for n in t.needs), *(f.label for f in t.fields)]
        said += [label for f in t.fields for _code, label in f.choices] + ([t.law.words] if t.law else [])
    vietnamese = i18n.translations("vi")
    same = {"m", ""}
    assert [text for text in set(said) if vietnamese.gettext(text) == text and text not in same] == []


def test_every_setting_has_its_words_and_every_rule_can_be_said():
    assert set(RULES) == set(Rules.__dataclass_fields__)
    values = {name: i for i, name in enumerate(RULES, 100)}
    for n in NEEDS.values():
        assert "%" not in n.words % values
    for _label, rule_, _stages in clocks.CLOCKS.values():
        assert "%" not in rule_ % values


# --- the method page ---


def spoken(language, rules=None):
    with Flask("x").test_request_context():
        g.language = language
        return stageguide.guide(rules or Rules(), workdays.CALENDAR, date(2026, 11, 22))


def test_the_guide_is_made_from_the_table():
    for language in ("vi", "en"):
        told = spoken(language)
        assert [s["action"] for s in told["steps"]] == [t.action for t in TRANSITIONS]
        assert [s["code"] for s in told["path"]] == list(STAGES)
        assert len(told["clocks"]) == len(clocks.CLOCKS) and len(told["settings"]) == len(RULES)
        assert all(s["to"] and s["who"] and s["sources"] and (s["needs"] or s["form"]) for s in told["steps"])
        assert all(s["needs"] or s["form"] for s in told["path"])
    assert (
        "5 or more compliant samplings in a row that span at least 60 days"
        in spoken("en", Rules(samples=5, days=60))["closing"]
    )


def test_the_example_of_the_guide_is_the_one_worked_by_hand():
    assert [row["said"] for row in spoken("en")["example"]] == [
        ["2 of 3 compliant samplings; the last of them may be taken from 12 Dec 2026 on"],
        ["3 compliant samplings span 29 of 30 days; one more may be taken from 12 Dec 2026 on"],
        [],
    ]
    assert spoken("vi")["example"][0]["said"] == ["2/3 đợt lấy mẫu đạt; đợt cuối được lấy từ ngày 12/12/2026"]


def test_every_missing_thing_can_be_said_in_both_languages():
    """Every Missing that the walks of a bare case meet, with dates and numbers as each language writes them."""
    today = date(2026, 12, 15)
    for stage in STAGES:
        bare = Situation(stage, today, proof_from=today, before_from=today, decision_on=today, in_stage_since=today)
        for actor in ACTORS:
            for offer in offers(bare, actor):
                for missing in offer.missing:
                    said = {}
                    for language in ("vi", "en"):
                        with Flask("x").test_request_context():
                            g.language = language
                            said[language] = remediation.sentence(missing)
                    assert said["vi"] != said["en"] and "%(" not in said["vi"] + said["en"]
                    assert str(today) not in said["en"]


# --- a helpful world: every stage can be reached through the gate ---

START = date(2026, 3, 2)


def filled(transition, today):
    """A form that says something sensible for every field."""
    ahead = {"deadline": today + 200 * DAY, "plan_due": today + 20 * DAY}
    by_kind = {"text": "as the minutes say", "number": 90, "choice": "2", "user": 3, "case": "HP-9", "date": today}
    out = {f.name: ahead.get(f.name, by_kind[f.kind]) for f in transition.fields}
    for f in transition.fields:
        if f.setting:
            out[f.name] = getattr(Rules(), f.setting)
    return out


def helped(situation):
    """The same case half a year later with every proof that could be asked for, entered by people without a role."""
    today = situation.today + 400 * DAY
    proof = [
        Evidence(kind, today - DAY, 90, today - DAY) for kind in EVIDENCE if kind not in ("photo_before", "lab_report")
    ]
    before = Evidence("photo_before", situation.today, 90)
    results = tuple(Sampling(situation.relapses * 1000 + i, today - i * DAY, True, 90) for i in (2, 20, 40))
    return replace(
        situation,
        today=today,
        evidence=(*situation.evidence, *proof, before),
        samplings=(*situation.samplings, *results),
    )


def after(situation, step, actor):
    return replace(situation, **step.changes, last_step=LastStep(step.action, actor.id, situation.today, old=step.old))


def test_every_stage_is_reached_by_steps_that_the_gate_lets_through_and_every_step_is_taken():
    first = Situation("received", START, code="HP-1", opened_on=START, in_stage_since=START)
    seen, taken, waiting = {"received"}, set(), [(first, 0)]
    while waiting:
        case, depth = waiting.pop(0)
        for world in (helped(case), helped(replace(case, exceedances_since_watch=1))):
            for offer in offers(world, DECIDERS[0]):
                t = offer.transition
                try:
                    step = decide(world, DECIDERS[0], t.action, filled(t, world.today))
                except GateError:
                    continue
                if t.action in taken:
                    continue
                taken.add(t.action)
                seen.add(step.stage)
                waiting.append((after(world, step, DECIDERS[0]), depth + 1))
    assert seen == set(STAGES)
    assert taken == set(BY_ACTION)


# --- random walks ---


def forms(transition, today):
    """Forms of every sort: whole, with holes, with hostile values."""
    good = filled(transition, today)
    hostile = st.sampled_from(["", None, "<script>", "9" * 5000, -1, 10**30, date(1, 1, 1), date(9999, 12, 31), [], {}])
    holes = st.dictionaries(st.sampled_from(sorted(good)), hostile, max_size=2) if good else st.just({})
    return st.one_of(st.just(good), holes.map(lambda h: good | h), st.just({}))


# An ordinary life, with a relapse after the watch was passed.
LIFE = ("check", "confirm", "contain", "approve_plan", "start", "finish", "close", "complete", "relapse")
LIFE += ("contain", "approve_plan", "start")
REASONS = st.sampled_from([None, "", "short", "x" * 39, "The laboratory is flooded; see minutes 12/BB of December."])


class Walk(RuleBasedStateMachine):
    """One case, everybody who acts on it, and a book kept beside it of what must not be lost."""

    def __init__(self):
        super().__init__()
        self.case = Situation("received", START, code="HP-1", opened_on=START, in_stage_since=START)
        self.evidence, self.samplings = [], []
        self.steps = Counter()

    @initialize(steps=st.integers(0, len(LIFE)))
    def part_of_a_life_lies_behind(self, steps):
        """Some first steps of an ordinary life, each through the gate; so walks begin at every stage."""
        for action in LIFE[:steps]:
            self.work_is_proven(90)
            self.something_happens_in_the_watch(int(action == "relapse"), 0)
            self.try_step(DECIDERS[0], action, self.form_of(action), None)
            self.case = replace(self.case, today=self.case.today + 366 * DAY * (action == "close"))

    def form_of(self, action):
        form = filled(BY_ACTION[action], self.case.today)
        return form | ({"work_done_on": self.case.today - 45 * DAY} if action == "finish" else {})

    @rule(days=st.sampled_from([0, 1, 3, 10, 31, 200, 366]))
    def time_passes(self, days):
        self.case = replace(self.case, today=self.case.today + days * DAY)

    @rule(
        kind=st.sampled_from(sorted(EVIDENCE)), ago=st.sampled_from([None, -5, 0, 1, 40, 500]), by=st.sampled_from(ACTORS),
    )  # fmt: skip
    def evidence_comes_in(self, kind, ago, by):
        dated = None if ago is None else self.case.today - ago * DAY
        ids = tuple(s.id for s in self.samplings[-1:])
        self.evidence.append(Evidence(kind, dated, by.id, self.case.today, "1/QĐ" if ago else "", ids))
        self.case = replace(self.case, evidence=(*self.case.evidence, self.evidence[-1]))

    @rule(
        ago=st.integers(0, 60), compliant=st.sampled_from([True, True, True, None, False]), by=st.sampled_from(ACTORS)
    )
    def sampling_comes_in(self, ago, compliant, by):
        self.samplings.append(Sampling(len(self.samplings) + 1, self.case.today - ago * DAY, compliant, by.id))
        self.case = replace(self.case, samplings=(*self.case.samplings, self.samplings[-1]))

    @rule(by=st.sampled_from([90, *(a.id for a in ACTORS)]))
    def work_is_proven(self, by):
        """What an honest office brings in over two months, all by one person."""
        self.case = replace(self.case, today=self.case.today + 60 * DAY)
        for kind in sorted(EVIDENCE):
            ago = 59 if kind in ("photo_before", "completion") else 30
            self.evidence.append(Evidence(kind, self.case.today - ago * DAY, by, self.case.today))
        for ago in (40, 20, 0):
            self.samplings.append(Sampling(len(self.samplings) + 1, self.case.today - ago * DAY, True, by))
        self.case = replace(self.case, evidence=tuple(self.evidence), samplings=tuple(self.samplings))

    @precondition(lambda self: self.case.stage in ("watched", "done"))
    @rule(exceedances=st.integers(0, 1), reports=st.integers(0, 3))
    def something_happens_in_the_watch(self, exceedances, reports):
        self.case = replace(self.case, exceedances_since_watch=exceedances, reports_since_watch=reports)

    @precondition(lambda self: self.case.last_step)
    @rule()
    def the_last_step_is_published(self):
        self.case = replace(self.case, last_step=replace(self.case.last_step, published=True))

    @rule(data=st.data(), actor=st.sampled_from(ACTORS), override=REASONS)
    def somebody_tries_any_step(self, data, actor, override):
        action = data.draw(st.sampled_from([*BY_ACTION, "steal"]))
        form = data.draw(forms(BY_ACTION[action], self.case.today)) if action in BY_ACTION else {}
        self.try_step(actor, action, form, override)

    @rule(data=st.data(), actor=st.sampled_from(DECIDERS), override=REASONS)
    def an_approver_tries_a_step_of_the_table(self, data, actor, override):
        here = [o.transition for o in offers(self.case, actor)]
        action = data.draw(st.sampled_from([t.action for t in here if t.action not in ("merge", "reject")]))
        self.try_step(actor, action, self.form_of(action), override)

    def try_step(self, actor, action, form, override):
        was = self.case
        offered = {o.transition.action: o for o in offers(was, actor, form)}
        offer = offered.get(action)
        try:
            step = decide(was, actor, action, form, override)
        except GateError as refused:
            assert refused.missing and refused.code and str(refused) and refused.sentence
            assert offer is None or not offer.allowed
            assert (offer is None) is (refused.code == "not_from_here")
            if offer and offer.overridable and override and len(override) >= 40:
                assert all(m.kind == "field" for m in refused.missing)
            return
        transition = BY_ACTION[action]
        assert actor.role in transition.roles
        assert offer.allowed is (not step.overridden)
        if step.overridden:
            assert transition.override and len(step.override) >= 40 and actor.role in ("approver", "administrator")
            assert set(step.overridden) <= {n.code for n in transition.needs if n.kind == "proof"}
            assert actor.id not in {s.entered_by for s in was.samplings}
        assert set(step.changes) <= NAMES and set(step.changes) == set(step.old)
        assert step.stage == step.changes["stage"] and step.stage_before == step.changes["stage_before"]
        self.holds_where_it_leads(was, step, transition, actor)
        self.case = after(was, step, actor)
        self.steps[action] += 1

    def holds_where_it_leads(self, was, step, transition, actor):
        if transition.to == UNDONE:
            assert step.changes == was.last_step.old
            assert was.last_step.action not in ("undo", "split")
            if was.last_step.action in ("close", "complete", "relapse", "reopen"):
                assert not was.last_step.published
        elif transition.to == STAYS:
            assert step.stage == was.stage
        elif transition.to == BACK:
            assert step.stage == was.stage_before
        else:
            assert step.stage == transition.to
        if step.action == "close":
            assert step.overridden or proven_by_hand(was, actor)
        if step.action == "complete":
            assert was.today > was.watch_until and not was.exceedances_since_watch and was.reports_since_watch < 2
        if step.action == "relapse":
            assert step.changes["relapses"] == was.relapses + 1
            assert was.exceedances_since_watch or was.reports_since_watch >= 2
        if step.stage == "watched":
            assert step.action in ("close", "undo")

    @invariant()
    def nothing_is_lost(self):
        assert list(self.case.evidence) == self.evidence
        assert list(self.case.samplings) == self.samplings

    @invariant()
    def the_case_stands_in_a_stage_and_has_a_way_on(self):
        assert self.case.stage in STAGES
        assert [o for o in offers(self.case, DECIDERS[0]) if o.transition.action != "undo"]

    def teardown(self):
        WALKED.update(self.steps)


WALKED = Counter()


def proven_by_hand(case, actor):
    """Whether a closing is proven, written once more and as plainly as can be, day by day."""
    since = case.work_done_on or case.in_stage_since
    accepted = {i for e in case.evidence if e.kind == "limit_decision" and e.number for i in e.samplings}
    run = []
    for n in range((case.today - since).days + 1):
        of_day = [s for s in case.samplings if s.taken_on == since + n * DAY]
        good = [s.compliant or (s.compliant is None and s.id in accepted) for s in of_day]
        if of_day:
            run = [*run, of_day] if all(good) else []
    days = [of_day[0].taken_on for of_day in run]
    enough = (
        len(run) >= max(case.needed_samples or 3, 3) and days[-1] - days[0] >= max(case.needed_days or 30, 30) * DAY
    )
    others = [e for e in case.evidence if e.dated and e.dated <= case.today and e.by != actor.id]
    before = [e.dated for e in others if e.kind == "photo_before" and e.dated >= (case.before_from or date.min)]
    after_ = [e.dated for e in others if e.kind == "photo_after" and e.dated >= (case.proof_from or date.min)]
    pair = any(a > b for a in after_ for b in before)
    return enough and pair and actor.id not in {s.entered_by for of_day in run for s in of_day}


Walk.TestCase.settings = settings(max_examples=80, stateful_step_count=40, deadline=None)
TestWalk = Walk.TestCase


def test_the_walks_went_somewhere():
    """After TestWalk in this file: the walks are worth something only if they closed cases and came back."""
    if WALKED:
        assert {"close", "undo", "relapse", "suspend"} <= set(WALKED), WALKED
