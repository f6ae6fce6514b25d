"""The book of scenarios: named sets of new plants by year, their unit costs, locks and comments.

Tables of their own beside the layers in the GeoPackage. Every change is one transaction with its audit row and goes up
by one revision; plants of earlier revisions stay, comments that were taken back and scenarios that were put away too.
A locked scenario cannot change and keeps the figures of the moment it was locked; it can be copied.
"""

import json
from dataclasses import asdict
from datetime import UTC, datetime

import sqlalchemy as sa

from layers import audit
from server import scenarioledger, studyplants
from server.i18n import N_
from server.scenariobook import (
    CHANGED,
    LOCKED,
    MOST_NAME,
    NO_ANSWER,
    NOT_PLANTS,
    READERS,
    STEPS,
    TAKE_BACK,
    WRITERS,
    Comment,
    Conflict,
    ScenarioError,
    checked,
    comment_rows,
    lock_rows,
    metadata,
    packed,
    plant_of,
    plant_rows,
    readable_money,
    readable_name,
    readable_text,
    scenario_of,
    scenario_rows,
    told,
)
from server.scenarioground import ground
from server.scenarioplants import Money
from server.tablecolumns import complete


class Scenarios:
    """The scenarios of one city. now: aware clock. studies: gives the book of siting studies, or None."""

    def __init__(self, store, figures, *, now, studies=lambda: None):
        self._store, self._figures, self._now, self._studies = store, figures, now, studies
        with store.transaction() as con:
            metadata.create_all(con)
            complete(con, plant_rows)

    # --- reading ---

    def all(self, *, hidden=False):
        """Scenarios without their plants, newest change first; hidden: those put away instead."""
        away = scenario_rows.c.hidden_at.isnot(None) if hidden else scenario_rows.c.hidden_at.is_(None)
        query = (
            sa.select(scenario_rows).where(away).order_by(scenario_rows.c.changed_at.desc(), scenario_rows.c.id.desc())
        )
        with self._store.reading() as con:
            return [scenario_of(row) for row in con.execute(query).mappings()]

    def get(self, code):
        """The Scenario with its plants; KeyError where there is none."""
        with self._store.reading() as con:
            return self._get(con, code)

    def _get(self, con, code):
        row = con.execute(sa.select(scenario_rows).where(scenario_rows.c.code == code)).mappings().one_or_none()
        if row is None:
            raise KeyError(code)
        query = sa.select(plant_rows).where(plant_rows.c.scenario == row["id"], plant_rows.c.last_revision.is_(None))
        return scenario_of(row, [plant_of(r) for r in con.execute(query.order_by(plant_rows.c.number)).mappings()])

    def at_revision(self, code, revision):
        """The plants as an earlier revision had them."""
        with self._store.reading() as con:
            number = self._get(con, code).id
            query = sa.select(plant_rows).where(
                plant_rows.c.scenario == number, plant_rows.c.first_revision <= revision,
                sa.or_(plant_rows.c.last_revision.is_(None), plant_rows.c.last_revision >= revision),
            )  # fmt: skip
            return tuple(plant_of(r) for r in con.execute(query.order_by(plant_rows.c.number)).mappings())

    def history(self, code):
        """The steps of a scenario, newest first: dicts revision, at, who, action (of STEPS), plants (how many there were).

        Every step but a comment made a revision, so the journal's order tells which.
        """
        with self._store.reading() as con:
            found = [
                r for r in audit.rows(con, thing=f"scenario:{code}") if r["action"].removeprefix("scenario.") in STEPS
            ]
            number = self._get(con, code).id
            held = con.execute(
                sa.select(plant_rows.c.first_revision, plant_rows.c.last_revision).where(
                    plant_rows.c.scenario == number
                )
            ).all()
        out = []
        for revision, r in enumerate(reversed(found), start=1):
            plants = sum(a <= revision and (b is None or revision <= b) for a, b in held)
            out.append({"revision": revision, "at": r["at"], "who": r["who"], "plants": plants,
                        "action": r["action"].removeprefix("scenario.")})  # fmt: skip
        return out[::-1]

    def ground(self):
        """The scenarioground.Ground of today."""
        return ground(self._figures, self._now().date())

    def try_out(self, plants, money=None):
        """What plants would change, nothing written: scenarioledger.outcome of today. Raises ScenarioError."""
        checked(plants, self._now().date())
        return scenarioledger.outcome(self.ground(), plants, money)

    def figures(self, code):
        """The figures of a scenario: those of the lock where it is locked, else of today.

        With `frozen_at` (ISO or None) and, where frozen, `differs`: whether today's data would give others.
        """
        with self._store.reading() as con:
            scenario = self._get(con, code)
            query = sa.select(lock_rows.c.figures).where(
                lock_rows.c.scenario == scenario.id, lock_rows.c.opened_at.is_(None)
            )
            frozen = con.scalar(query)
        fresh = self._figures.kept("scenario", self._fresh, code, scenario.revision, self._now().date())
        if frozen is None:
            return fresh | {"frozen_at": None, "differs": False}
        kept = json.loads(frozen)
        same = [_gist(y) for y in kept["years"]] == [_gist(y) for y in fresh["years"]]
        return kept | {"frozen_at": scenario.locked_at, "differs": not same}

    def _fresh(self, code, _revision, _today):
        scenario = self.get(code)
        return self.try_out(scenario.plants, scenario.money)

    def comments(self, code, user=None):
        """Comments, oldest first."""
        now = self._now()
        with self._store.reading() as con:
            number = self._get(con, code).id
            query = sa.select(comment_rows).where(comment_rows.c.scenario == number).order_by(comment_rows.c.id)
            rows = con.execute(query).mappings().all()
        return [
            Comment(r["id"], r["at"], r["who"], r["role"], r["revision"], "" if r["taken_back_at"] else r["text"],
                    r["taken_back_at"] is not None, _may_go(r, user, now))
            for r in rows
        ]  # fmt: skip

    def counts(self):
        """{scenario code: (plants, comments that stand)}."""
        with self._store.reading() as con:
            held = {code: [0, 0] for code in con.scalars(sa.select(scenario_rows.c.code))}
            for place, table, stands in (
                (0, plant_rows, plant_rows.c.last_revision),
                (1, comment_rows, comment_rows.c.taken_back_at),
            ):
                query = (sa.select(scenario_rows.c.code, sa.func.count()).join(table, table.c.scenario == scenario_rows.c.id)
                         .where(stands.is_(None)).group_by(scenario_rows.c.code))  # fmt: skip
                for code, n in con.execute(query):
                    held[code][place] = n
        return {code: tuple(n) for code, n in held.items()}

    # --- writing ---

    def create(self, user, name, *, note="", plants=(), money=None, study=None, copied_from=None):
        """A new scenario; returns its code."""
        _may(user)
        values = {
            "name": readable_name(name),
            "note": readable_text(note),
            "money": packed(readable_money(money or Money())),
        }
        checked(plants, self._now().date())
        at = self._stamp()
        with self._store.transaction() as con:
            n = (con.scalar(sa.select(sa.func.max(scenario_rows.c.id))) or 0) + 1
            code = f"KB-{n:04d}"
            row = values | {"code": code, "revision": 1, "study": study, "copied_from": copied_from,
                            "created_by": user.name, "created_at": at, "changed_by": user.name, "changed_at": at}  # fmt: skip
            number = con.execute(scenario_rows.insert().values(id=n, **row)).inserted_primary_key[0]
            self._put(con, number, 1, plants)
            self._note(con, user, "create", code, new=values | {
                "study": study, "copied_from": copied_from, "plants": [told(p) for p in plants]})  # fmt: skip
        return code

    def from_study(self, user, code, name="", *, year=2030):
        """A new scenario of the chosen sites of a study; returns its code. The years can be changed then."""
        studies = self._studies()
        try:
            study, result = studies.get(code), studies.result(code)
        except (KeyError, AttributeError):
            study = result = None
        if result is None:
            raise ScenarioError(NO_ANSWER, [(None, "study", NO_ANSWER, {})])
        try:
            plants, currency = studyplants.plants_of_study(code, result, year)
        except ValueError:
            raise ScenarioError(NOT_PLANTS, [(None, "study", NOT_PLANTS, {})]) from None
        return self.create(
            user, name or study["name"][:MOST_NAME], plants=plants, money=Money(currency=currency), study=code
        )

    def copy(self, user, code, name):
        """A copy, never locked; returns its code."""
        one = self.get(code)
        return self.create(user, name, note=one.note, plants=one.plants, money=one.money, study=one.study,
                           copied_from=one.code)  # fmt: skip

    def describe(self, user, code, revision, *, name=None, note=None, money=None):
        """Change name, note or unit costs; what is None stays."""
        with self._changing(user, code, revision) as (con, one):
            new = {}
            if name is not None:
                new["name"] = readable_name(name)
            if note is not None:
                new["note"] = readable_text(note)
            if money is not None:
                new["money"] = packed(readable_money(money))
            old = {"name": one.name, "note": one.note, "money": packed(one.money)}
            new = {k: v for k, v in new.items() if v != old[k]}
            if new:
                self._save(con, user, one, new)
                self._note(con, user, "describe", code, old={k: old[k] for k in new}, new=new)
        return self.get(code)

    def set_plants(self, user, code, revision, plants):
        """The plants as they shall be from now on; those of before stay kept with their revisions."""
        plants = tuple(plants)
        checked(plants, self._now().date())
        with self._changing(user, code, revision) as (con, one):
            before = {p.number: p for p in one.plants}
            after = {p.number: p for p in plants}
            gone = [n for n, p in before.items() if after.get(n) != p]
            fresh = [p for n, p in after.items() if before.get(n) != p]
            if gone or fresh:
                self._save(con, user, one, {})
                con.execute(plant_rows.update().where(
                    plant_rows.c.scenario == one.id, plant_rows.c.last_revision.is_(None), plant_rows.c.number.in_(gone)
                ).values(last_revision=one.revision))  # fmt: skip
                self._put(con, one.id, one.revision + 1, fresh)
                self._note(con, user, "plants", code, old={"plants": [told(before[n]) for n in gone]},
                           new={"plants": [told(p) for p in fresh]})  # fmt: skip
        return self.get(code)

    def lock(self, user, code, revision):
        """Lock it with name and date, and keep its figures as they are now."""
        figures = self.figures(code)
        with self._changing(user, code, revision) as (con, one):
            kept = {k: v for k, v in figures.items() if k not in ("frozen_at", "differs")}
            at = self._stamp()
            self._save(con, user, one, {"locked_by": user.name, "locked_at": at})
            con.execute(lock_rows.insert().values(scenario=one.id, revision=one.revision + 1, by=user.name, at=at,
                                               figures=packed(kept)))  # fmt: skip
            self._note(con, user, "lock", code, new={"revision": one.revision + 1, "data_version": kept["version"]})
        return self.get(code)

    def unlock(self, user, code, revision):
        """Open a locked one again; the figures it kept stay with the closed lock."""
        with self._changing(user, code, revision, locked=True) as (con, one):
            self._save(con, user, one, {"locked_by": None, "locked_at": None})
            con.execute(lock_rows.update().where(lock_rows.c.scenario == one.id, lock_rows.c.opened_at.is_(None))
                        .values(opened_by=user.name, opened_at=self._stamp()))  # fmt: skip
            self._note(con, user, "unlock", code, old={"locked_by": one.locked_by, "locked_at": one.locked_at})
        return self.get(code)

    def put_away(self, user, code, revision, *, away=True):
        """Take a scenario from the list, or put it back; a locked one can be put away too."""
        with self._changing(user, code, revision, locked=None) as (con, one):
            self._save(con, user, one, {"hidden_at": self._stamp() if away else None})
            self._note(con, user, "put_away" if away else "take_out", code)
        return self.get(code)

    def comment(self, user, code, text):
        """Write under a scenario, locked or not; returns the comment's number."""
        if user.role not in READERS:
            raise ScenarioError(N_("Your role does not comment on scenarios."))
        text = readable_text(text)
        if not text:
            raise ScenarioError(N_("Write the comment first."), [(None, "text", N_("Write the comment first."), {})])
        with self._store.transaction() as con:
            one = self._get(con, code)
            values = {"scenario": one.id, "at": self._stamp(), "who_id": user.id, "who": user.name, "role": user.role,
                      "revision": one.revision, "text": text}  # fmt: skip
            number = con.execute(comment_rows.insert().values(values)).inserted_primary_key[0]
            self._note(con, user, "comment", code, new={"comment": number, "letters": len(text)})
        return number

    def take_back(self, user, code, number):
        """Take one's own comment back, within fifteen minutes."""
        with self._store.transaction() as con:
            one = self._get(con, code)
            query = sa.select(comment_rows).where(comment_rows.c.id == number, comment_rows.c.scenario == one.id)
            row = con.execute(query).mappings().one_or_none()
            if row is None:
                raise KeyError(number)
            if not _may_go(row, user, self._now()):
                raise ScenarioError(N_("A comment can be taken back by its writer, within 15 minutes."))
            con.execute(comment_rows.update().where(comment_rows.c.id == number).values(taken_back_at=self._stamp()))
            self._note(con, user, "take_back", code, old={"comment": number})

    # --- inside ---

    def _changing(self, user, code, revision, *, locked=False):
        _may(user)
        return _Change(self, code, revision, locked)

    def _save(self, con, user, one, changes):
        done = con.execute(
            scenario_rows.update().where(scenario_rows.c.id == one.id, scenario_rows.c.revision == one.revision)
            .values(revision=one.revision + 1, changed_by=user.name, changed_at=self._stamp(), **changes)
        )  # fmt: skip
        if done.rowcount != 1:
            raise Conflict(CHANGED, code=one.code)

    @staticmethod
    def _put(con, number, revision, plants):
        rows = [asdict(p) | {"scenario": number, "first_revision": revision, "flows": packed([list(f) for f in p.flows])}
                for p in plants]  # fmt: skip
        if rows:
            con.execute(plant_rows.insert(), rows)

    def _stamp(self):
        return self._now().astimezone(UTC).isoformat(timespec="milliseconds")

    def _note(self, con, user, action, code, *, old=None, new=None):
        audit.append(con, at=self._now().astimezone(UTC), who=user.name, who_id=user.id, role=user.role,
                     action=f"scenario.{action}", thing=f"scenario:{code}", old=old, new=new)  # fmt: skip


class _Change:
    """A transaction with the scenario as it is, after asking revision and lock (None: either way)."""

    def __init__(self, book, code, revision, locked):
        self._book, self._code, self._revision, self._locked = book, code, revision, locked

    def __enter__(self):
        self._transaction = self._book._store.transaction()
        con = self._transaction.__enter__()
        try:
            one = self._book._get(con, self._code)
            if one.revision != self._revision:
                raise Conflict(CHANGED, code=self._code)
            if self._locked is not None and one.locked != self._locked:
                raise ScenarioError(LOCKED if one.locked else N_("%(code)s is not locked."), code=self._code)
        except BaseException as error:
            self._transaction.__exit__(type(error), error, error.__traceback__)
            raise
        return con, one

    def __exit__(self, *error):
        return self._transaction.__exit__(*error)


def _may(user):
    if user.role not in WRITERS:
        raise ScenarioError(N_("Scenarios are written by planners and administrators. You may read and comment."))


def _may_go(row, user, now):
    mine = user is not None and row["who_id"] == user.id and row["taken_back_at"] is None
    return mine and now.astimezone(UTC) - datetime.fromisoformat(row["at"]) <= TAKE_BACK


def _gist(year):
    return year["year"], round(year["gained"]["likely"], 3), round(year["people_gained"], 3), year["hotspots"]
