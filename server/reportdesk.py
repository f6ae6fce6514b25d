"""Reading citizens' reports: the inbox of officers, what lies near, the thread of a case, what a sender follows."""

import json
from datetime import datetime, time, timedelta

import sqlalchemy as sa

from server import codes, handling, reportbook, workdays
from server.drafts import KINDS
from server.reportbook import by_code, photo, report, root_of, row_of, utc
from server.situation import Rules
from server.vicinity import SIMILAR_TIME, Vicinity

FAR_M = 50  # a stranger learns distances to so many metres


class ReportDesk:
    """Reading, and what the operations on reports are made of.

    store: layers.store.Store. files: server.files.Files. now: gives the moment, with the city's zone.
    """

    def __init__(self, store, files, *, now, rules=None, calendar=workdays.CALENDAR):
        self.store, self.files, self.now = store, files, now
        self.rules, self.calendar = rules or Rules(), calendar
        with store.transaction() as con:
            reportbook.metadata.create_all(con)
        self.vicinity = Vicinity(store)

    def __contains__(self, code):
        with self.store.reading() as con:
            return row_of(con, report.c.code == (codes.read(code or "") or "")) is not None

    # --- what officers see ---

    def inbox(self, user, *, every=False):
        """The open reports (every: all) that are this person's, newest first, as dicts; see _shown()."""
        with self.store.reading() as con:
            query = sa.select(report).where(report.c.same_as.is_(None)).order_by(report.c.id.desc())
            if not every:
                query = query.where(report.c.state.in_(handling.OPEN))
            return self._shown(con, [r for r in con.execute(query) if covers(user, r)])

    def get(self, code):
        """One report as in inbox(), with acts, others (reports that say the same) and asked_for. KeyError."""
        with self.store.reading() as con:
            row = by_code(con, code)
            root = root_of(con, row)
            others = con.execute(sa.select(report).where(report.c.same_as == root.id).order_by(report.c.id)).all()
            names = ("code", "words", "place", "lon", "lat", "smell", "colour", "seen_on", "reopened")
            return self._shown(con, [root])[0] | {
                "asked_for": row.code,
                "others": [{n: getattr(o, n) for n in names} | {"at": self._city(o.at)} for o in others],
                "acts": self._acts(con, root),
            }

    def _acts(self, con, row):
        made = reportbook.acts_of(con, row)
        for act in made:
            act["at"] = self._city(act["at"])
            act["can_undo"] = (
                act is made[-1] and act["action"] != "undo" and act["state_to"] == row.state
                and act["at"].date() == self.now().date()
            )  # fmt: skip
        return made

    def similar(self, code):
        """Other reports within 300 m and three days, nearest first: as in inbox(), with metres and same_kind."""
        with self.store.reading() as con:
            row = root_of(con, by_code(con, code))
            near = self.vicinity.similar(con, row)
            shown = self._shown(con, [r for r, _ in near])
        return [
            s | {"metres": metres, "same_kind": _alike(row.kind, s["kind"])}
            for s, (_r, metres) in zip(shown, near, strict=True)
        ]

    def _shown(self, con, rows):
        """at: city time; due, clock: what presses most (None where no clock runs); photos: checksums for
        /photos/, those of people who said the same behind; waiting: photos announced but not yet here;
        supporters: how many said the same; similar: how many others within 300 m and three days.
        """
        if not rows:
            return []
        same = {r.id: [] for r in rows}
        for other in con.execute(sa.select(report.c.id, report.c.same_as).where(report.c.same_as.in_(same))):
            same[other.same_as].append(other.id)
        shas, sent = reportbook.photos_of(con, [i for k, v in same.items() for i in (k, *v)])
        names = ("code", "kind", "smell", "colour", "words", "lon", "lat", "accuracy_m", "ward", "ward_basis",
                 "place", "seen_on", "language", "commune", "reopened")  # fmt: skip
        out = []
        for row in rows:
            clock = self._clock(row)
            here = sent.get(row.id, ())
            out.append(
                {n: getattr(row, n) for n in names}
                | {
                    "at": self._city(row.at), "media": KINDS[row.kind][1], "state": self._state(row),
                    "due": clock and clock.due, "clock": clock,
                    "late": bool(clock and clock.state in ("late", "very_late")), "case": row.case_code,
                    "photos": [s for i in (row.id, *same[row.id]) for s in shas.get(i, ())],
                    "waiting": sum(s not in here for s in json.loads(row.promised)),
                    "supporters": len(same[row.id]), "similar": len(self.vicinity.similar(con, row)),
                }
            )  # fmt: skip
        return out

    def messages(self, code):
        """What was said on a report, oldest first, as dicts: id, at, kind, by (citizen or staff), who, role, text,
        files (of staff: sha, name, media_type), photos (of citizens: checksums), act, taken_back. KeyError.
        """
        with self.store.reading() as con:
            return self._messages(con, root_of(con, by_code(con, code)))

    def _messages(self, con, row):
        return [m | {"at": self._city(m["at"])} for m in reportbook.messages_of(con, row)]

    def wards(self):
        """The units a report may name: {code: (name_vi, name_en)}."""
        return self.vicinity.wards()

    # --- time ---

    def _city(self, text):
        return datetime.fromisoformat(text).astimezone(self.now().tzinfo)

    def _clock(self, row):
        return handling.due(
            row.state, self._city(row.clock_at), row.answer_from, self.now(), rules=self.rules, calendar=self.calendar
        )

    def _state(self, row):
        quiet = self.now().date() - timedelta(days=handling.QUIET_DAYS)
        return "closed" if row.state == "answered" and row.changed_on <= quiet else row.state

    # --- near a point ---

    def similar_near(self, lon, lat, kind):
        """What a stranger may know of open reports of the same sort near a point, at most three.

        ref (to say the same), kind, metres (to 50 m), at, days ago, people. No words, no photo, no code.
        """
        since, out = self.now() - SIMILAR_TIME, {}
        with self.store.reading() as con:
            for near, away in self.vicinity.reports(con, lon, lat, since=since):
                row = root_of(con, near)
                if row.id in out or not _alike(kind, row.kind) or row.state not in (*handling.OPEN, "joined"):
                    continue
                people = 1 + con.scalar(sa.select(sa.func.count()).where(report.c.same_as == row.id))
                at, metres = self._city(row.at), max(FAR_M, round(away / FAR_M) * FAR_M)
                days = (self.now().date() - at.date()).days
                out[row.id] = {
                    "ref": row.ref, "kind": row.kind, "metres": metres, "at": at, "days": days, "people": people,
                }  # fmt: skip
        return list(out.values())[:3]

    def hotspots_near(self, lon, lat):
        """Published hotspots still open within 500 m, nearest first: code, metres, stage, name_vi, name_en."""
        return self.vicinity.hotspots(lon, lat)

    def count_near(self, geometry, metres, since):
        """How many reports came in, or were said not to be fixed, round a geometry since a day (city time)."""
        start = utc(datetime.combine(since, time(), self.now().tzinfo))
        with self.store.reading() as con:
            rows = self.vicinity.round(con, geometry, metres)
        return sum(max(r.at, r.clock_at) >= start and r.state not in ("closed", "not_ours") for r in rows)

    def entries(self, codes):
        """What the thread of a case says of these reports: dicts with kind, number, at, day, action, role, actor,
        text, data (the report as in inbox()), files (of officers) and refs; action as of messages, or "receive".
        """
        out = []
        with self.store.reading() as con:
            rows = con.execute(sa.select(report).where(report.c.code.in_(list(codes)))).all()
            for row in rows:
                tied = {"kind": "report", "refs": [{"kind": "report", "code": row.code}]}
                shown = self._shown(con, [row])[0]
                out.append(
                    tied | {"number": row.id, "at": shown["at"], "day": row.seen_on, "action": "receive",
                            "role": "public", "text": row.words, "data": shown}
                )  # fmt: skip
                for m in self._messages(con, row):
                    told = {"by": m["by"], "photos": m["photos"], "taken_back": m["taken_back"]}
                    out.append(
                        tied | {"number": m["id"], "at": m["at"], "day": m["at"].date(), "action": m["kind"],
                                "role": m["role"], "actor": m["who"] or "", "text": m["text"], "data": told,
                                "files": m["files"]}
                    )  # fmt: skip
        return out

    # --- what a sender follows ---

    def followed(self, code):
        """What the holder of a code sees: nothing about people, nothing internal. KeyError.

        What the sender wrote; state, since (day), answer_by (day or None), late, hotspot (its public row, or
        None), joined (to a case, published or not), commune, photos (number, sha, message), messages, steps (acts
        that hold: id, at, action), same (said the same as another report), can_say ("answer", "add", "not_fixed"),
        can_withdraw.
        """
        with self.store.reading() as con:
            own = by_code(con, code)
            row = root_of(con, own)
            shots = con.execute(sa.select(photo).where(photo.c.report == own.id).order_by(photo.c.number)).all()
            messages = [m | {"who": None} for m in self._messages(con, row) if _for_sender(m, own, row)]
            steps = [a for a in reportbook.acts_of(con, row) if not a["undone"] and a["action"] != "undo"]
            waiting = len(reportbook.receipt_of(con, own).missing)
        state, today = self._state(row), self.now().date()
        runs = state in ("received", "checking", "passed")
        by = handling.answer_day(row.answer_from, rules=self.rules, calendar=self.calendar) if runs else None
        public = self.store.snapshot("hotspots")
        here = public[public["code"] == row.case_code].to_dict("records") if row.case_code else []
        names = ("code", "ref", "kind", "place", "ward", "smell", "colour", "words", "lon", "lat", "seen_on")
        return {n: getattr(own, n) for n in names} | {
            "at": self._city(own.at), "state": state, "since": row.changed_on, "answer_by": by,
            "late": bool(by and today > by), "hotspot": here[0] if here else None, "commune": row.commune,
            "joined": state == "joined" and row.case_code is not None, "waiting": waiting, "messages": messages,
            "photos": [{"number": p.number, "sha": p.sha, "message": p.message} for p in shots],
            "steps": [{"id": a["id"], "at": self._city(a["at"]), "action": a["action"]} for a in steps if a["action"] != "ask"],
            "same": own.id != row.id, "reopened": row.reopened,
            "can_say": handling.may_say(state, first=own.id == row.id), "can_withdraw": state in handling.OPEN,
        }  # fmt: skip

    def photo_of(self, code, number):
        """The checksum of the sender's own photo with this number. KeyError."""
        with self.store.reading() as con:
            own = by_code(con, code)
            sha = con.scalar(sa.select(photo.c.sha).where(photo.c.report == own.id, photo.c.number == number))
        if sha is None:
            raise KeyError(number)
        return sha


def _alike(kind, other):
    return kind == other or bool(set(KINDS[kind][1]) & set(KINDS[other][1]))


def covers(user, row):
    return any(user.covers(place, KINDS[row.kind][1]) for place in {row.commune or row.ward, row.ward})


def _for_sender(message, own, row):
    """Questions go to the first sender only, answers also to those who said the same; each sees own words."""
    if message["by"] == "citizen":
        return message["sender"] == own.id
    return own.id == row.id or message["kind"] != "ask"
