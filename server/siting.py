"""The book of siting studies: each a question (server/sitespec.py) and the answers that were computed for it.

A study has a revision that grows with every change; a change on an old one gets a Conflict with the study as it is
now. Every step leaves an audit row in the same transaction. A run is done by the job "site" (server/sitework.py), which
writes its files into var/siting/CODE/RUN/ and then calls finished(). Nothing is deleted: a study that is taken away is
hidden, and its runs stay.

A study comes as a dict: code, name, spec, revision, created_by, created_name, created_at, changed_at (UTC, ISO), job,
state (a key of sitewords.STATES), run, ran_revision, stale (the question was changed since the run), summary of the run
or None: value, gap, status, served_m3_day, gain_m3_day, gain_people, cost, sites, free_ha, unchecked, infeasible.
"""

import json
from datetime import UTC

import sqlalchemy as sa

from layers import audit, wholefiles
from server import siteworld
from server.casebook import CaseError, Conflict, NotYours
from server.i18n import N_
from server.sitespec import canonical, checked, kept
from server.sitewords import said

WRITERS = ("planner", "administrator")
FILES = ("spec.json", "result.json", "suitability.tif", "reasons.tif", "study.gpkg", "study.xlsx", "replay.json")
CHANGED = N_(
    "Somebody changed the study %(code)s while you worked on it. Look at it again; nothing of yours was written."
)

metadata = sa.MetaData()
studies = sa.Table(
    "siting_studies",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("code", sa.Text, nullable=False, unique=True),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("spec", sa.Text, nullable=False),
    sa.Column("revision", sa.Integer, nullable=False),
    sa.Column("created_by", sa.Integer, nullable=False),
    sa.Column("created_name", sa.Text, nullable=False),
    sa.Column("created_at", sa.Text, nullable=False),
    sa.Column("changed_at", sa.Text, nullable=False),
    sa.Column("job", sa.Text),
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("run", sa.Text),  # folder of the newest run that was asked for
    sa.Column("runs", sa.Integer, nullable=False),
    sa.Column("done_run", sa.Text),  # folder of the newest run that is whole
    sa.Column("ran_revision", sa.Integer),
    sa.Column("result", sa.Text),  # JSON: the summary of done_run
    sa.Column("hidden", sa.Boolean, nullable=False),
    sqlite_autoincrement=True,
)


class Studies:
    """The studies of one city; services: what siteworld reads them from, with store, jobs and now()."""

    def __init__(self, services):
        self._services, self._store = services, services.store
        with self._store.transaction() as con:
            metadata.create_all(con)

    # --- reading ---

    def all(self, *, hidden=False):
        """The studies, last changed first."""
        query = sa.select(studies).order_by(studies.c.changed_at.desc(), studies.c.id.desc())
        with self._store.reading() as con:
            rows = con.execute(query if hidden else query.where(~studies.c.hidden)).mappings().all()
        return [self._study(row) for row in rows]

    def get(self, code):
        """One study, hidden ones too; KeyError where there is none."""
        with self._store.reading() as con:
            return self._study(self._row(con, code))

    def result(self, code):
        """The whole answer of the newest run that is whole (see server/sitework.py), or None."""
        path = self.paths(code).get("result")
        if path is None:
            return None
        made = json.loads(path.read_text("utf-8"))
        return {"unit": siteworld.load_unit(made["spec"])} | made  # an answer of an earlier program does not name it

    def paths(self, code, run=None):
        """{"folder", "spec", "result", "suitability", "reasons", ...}: the files of a run (the newest whole one) that are there."""
        with self._store.reading() as con:
            row = self._row(con, code)
        run = run or row["done_run"]
        if run is None:
            return {}
        folder = self.folder(code, run)
        there = {name.partition(".")[0]: folder / name for name in FILES if (folder / name).exists()}
        if "study" in there:
            there |= {
                suffix: folder / f"study.{suffix}"
                for suffix in ("gpkg", "xlsx")
                if (folder / f"study.{suffix}").exists()
            }
            del there["study"]
        return {"folder": folder} | there

    def folder(self, code, run):
        return self._store.data_dir / "siting" / code / run

    def explain(self, code, lon, lat):
        """Why here, or why not here: see siteworld.explain. Of the question as it is now."""
        return siteworld.explain(self._services, self.get(code)["spec"], lon, lat)

    # --- writing ---

    def create(self, user, spec, *, copied_from=None):
        """A new study; its code. Raises SpecError."""
        self._allow(user)
        spec = checked(spec)
        with self._store.transaction() as con:
            numbers = con.scalars(sa.select(studies.c.id)).all()
            code, now = f"S-{max(numbers, default=0) + 1:04}", self._now()
            values = {
                "code": code,
                "name": spec["name"],
                "spec": canonical(spec),
                "revision": 1,
                "created_by": user.id,
                "created_name": user.name,
                "created_at": now,
                "changed_at": now,
                "state": "draft",
                "runs": 0,
                "hidden": False,
            }
            con.execute(studies.insert().values(values))
            new = {"name": spec["name"], "spec": spec} | ({"copied_from": copied_from} if copied_from else {})
            self._audit(con, user, "create", code, None, new)
        return code

    def save(self, user, code, revision, spec):
        """Write the question anew; the new revision. Raises SpecError, Conflict."""
        self._allow(user)
        spec = checked(spec)
        with self._store.transaction() as con:
            row = self._held(con, code, revision)
            return self._write(con, user, row, spec, "save")

    def copy(self, user, code):
        """A new study with the same question; its code."""
        spec = dict(self.get(code)["spec"])
        spec["name"] = said(N_("%(name)s (copy)"), name=spec["name"][:180])["vi"]
        return self.create(user, spec, copied_from=code)

    def delete(self, user, code, revision, *, hidden=True):
        """Take a study out of the list, or with hidden=False put it back; nothing is lost."""
        self._allow(user)
        with self._store.transaction() as con:
            row = self._held(con, code, revision)
            changes = {"hidden": hidden, "revision": row["revision"] + 1, "changed_at": self._now()}
            if row["ran_revision"] == row["revision"]:
                changes["ran_revision"] = row["revision"] + 1
            con.execute(studies.update().where(studies.c.code == code).values(changes))
            self._audit(con, user, "hide" if hidden else "show", code, {"hidden": row["hidden"]}, {"hidden": hidden})
        return row["revision"] + 1

    def run(self, user, code):
        """Ask for a run of the question as it is now; the id of its job. A run that waits or works already is given instead."""
        self._allow(user)
        with self._store.transaction() as con:
            row = self._row(con, code)
            if row["state"] == "running" and self._state(row) == "running":
                return row["job"]
            run = f"{row['runs'] + 1:04}"
            folder = self.folder(code, run)
            folder.mkdir(parents=True, exist_ok=True)
            wholefiles.write(folder / "spec.json", row["spec"])
            job = self._services.jobs.start("site", {"code": code, "run": run, "revision": row["revision"]}, who=user)
            changes = {"job": job, "state": "running", "run": run, "runs": row["runs"] + 1}
            con.execute(studies.update().where(studies.c.code == code).values(changes))
            self._audit(con, user, "run", code, None, {"run": run, "revision": row["revision"], "job": job})
        return job

    def finished(self, user, code, run, revision, summary):
        """Note that a run is whole; its files are in place. To be called by the job."""
        with self._store.transaction() as con:
            row = self._row(con, code)
            changes = {"done_run": run, "ran_revision": revision, "result": _json(summary)}
            if row["run"] == run:
                changes["state"] = "done"
            con.execute(studies.update().where(studies.c.code == code).values(changes))
            self._audit(con, user, "finish", code, None, {"run": run, "revision": revision, "summary": summary})

    # --- blocks and forces ---

    def block(self, user, code, revision, where, reason, radius_m=None):
        """Keep a place out of the next run, with a reason; the new revision.

        where: the code of a site of the answer, or (lon, lat). radius_m: half of the distance between sites if not given.
        """
        spec = self._changing(code)
        lon, lat = self._place(code, where)
        radius_m = radius_m or max(spec["candidates"]["apart_m"] / 2, spec["cell_m"])
        spec["block"] = [*spec["block"], {"lon": lon, "lat": lat, "radius_m": radius_m, "reason": reason}]
        spec["force"] = [c for c in spec["force"] if c != where]
        return self._save_step(user, code, revision, spec, "block")

    def unblock(self, user, code, revision, number):
        """Take the block of this number (from 0, as in the spec) away; the new revision."""
        spec = self._changing(code)
        if not 0 <= number < len(spec["block"]):
            raise CaseError(N_("There is no such block."))
        spec["block"] = [b for k, b in enumerate(spec["block"]) if k != number]
        return self._save_step(user, code, revision, spec, "unblock")

    def force(self, user, code, revision, where):
        """Have a site built in the next run; the new revision. where: as in block. The place is kept with the question."""
        spec = self._changing(code)
        lon, lat = self._place(code, where)
        if not isinstance(where, str):
            taken = {g["code"] for g in spec["given"]}
            where = next(name for k in range(1, 10_000) if (name := f"P{k}") not in taken)
        if all(g["code"] != where for g in spec["given"]):
            spec["given"] = [*spec["given"], {"code": where, "lon": lon, "lat": lat}]
        spec["force"] = sorted({*spec["force"], where})
        return self._save_step(user, code, revision, spec, "force")

    def unforce(self, user, code, revision, site):
        """Leave a site to the search again; it stays among the given ones. The new revision."""
        spec = self._changing(code)
        spec["force"] = [c for c in spec["force"] if c != site]
        return self._save_step(user, code, revision, spec, "unforce")

    def _changing(self, code):
        return dict(self.get(code)["spec"])

    def _place(self, code, where):
        if not isinstance(where, str):
            return float(where[0]), float(where[1])
        answer = self.result(code) or {}
        for site in (*answer.get("candidates", ()), *self.get(code)["spec"]["given"]):
            if site["code"] == where:
                return site["lon"], site["lat"]
        raise CaseError(N_("There is no site %(site)s in this study."), site=where)

    def _save_step(self, user, code, revision, spec, action):
        self._allow(user)
        spec = checked(spec)
        with self._store.transaction() as con:
            return self._write(con, user, self._held(con, code, revision), spec, action)

    # --- inside ---

    def _write(self, con, user, row, spec, action):
        old = json.loads(row["spec"])
        if spec == old:
            return row["revision"]
        changes = {"name": spec["name"], "spec": canonical(spec), "revision": row["revision"] + 1}
        con.execute(studies.update().where(studies.c.code == row["code"]).values(changes | {"changed_at": self._now()}))
        names = [k for k in spec if spec[k] != old.get(k)]
        self._audit(con, user, action, row["code"], {k: old.get(k) for k in names}, {k: spec[k] for k in names})
        return row["revision"] + 1

    @staticmethod
    def _allow(user):
        if user.role not in WRITERS:
            raise NotYours(N_("Studies are written by planners and administrators."))

    @staticmethod
    def _row(con, code):
        row = con.execute(sa.select(studies).where(studies.c.code == code)).mappings().first()
        if row is None:
            raise KeyError(code)
        return row

    def _held(self, con, code, revision):
        row = self._row(con, code)
        if row["revision"] != revision:
            raise Conflict(CHANGED, self._study(row), code=code)
        return row

    def _study(self, row):
        summary = None if row["result"] is None else json.loads(row["result"])
        names = ("code", "name", "revision", "created_by", "created_name", "created_at", "changed_at", "job", "run")
        return {name: row[name] for name in (*names, "done_run", "ran_revision", "hidden")} | {
            "spec": kept(row["spec"]),
            "state": self._state(row),
            "stale": self._stale(row),
            "summary": summary,
        }

    def _stale(self, row):
        """Whether the question differs from the one that was answered last."""
        if row["done_run"] is None or row["ran_revision"] == row["revision"]:
            return False
        path = self.folder(row["code"], row["done_run"]) / "spec.json"
        return not path.exists() or path.read_text("utf-8") != row["spec"]

    def _state(self, row):
        """What the table says, or what became of a job that could not say it itself."""
        if row["state"] != "running":
            return row["state"]
        try:
            job = self._services.jobs.get(row["job"])
        except KeyError:
            return "failed"
        return job.state if job.over else "running"

    def _audit(self, con, user, action, code, old, new):
        audit.append(
            con,
            at=self._services.now().astimezone(UTC),
            who=user.name,
            who_id=user.id,
            role=user.role,
            action=f"siting.{action}",
            thing=f"siting:{code}",
            old=old,
            new=new,
        )

    def _now(self):
        return self._services.now().astimezone(UTC).isoformat(timespec="milliseconds")


def _json(value):
    return json.dumps(value, ensure_ascii=False, allow_nan=False)
