"""The imports of one city: which file waits at which step, who chose what, and what became of it.

They lie in tables of their own beside the layers, each file in a folder of its own under imports/. An
import changes only with the revision that its reader saw. The long work, checking and applying, is
done by server/importwork.py, which tells its outcome here in the transaction of what it did.
"""

import json
import shutil
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import sqlalchemy as sa

from layers import audit, wholefiles
from layers.catalogue import ALL
from layers.store import KEPT_FOR
from server import importdoor
from server.citytime import local
from server.docket import CLASSERS
from server.i18n import N_
from server.importdoor import ImportProblem
from server.importmemory import Memory

MODES = ("upsert", "replace", "append")
FILLED = ("source", "confidence", "geometry_quality")  # blank required fields that may get one value for all rows
STATES = ("coming", "checking", "layer", "place", "columns", "ready", "refused", "failed", "stopped", "applying",
          "applied", "undoing", "redoing", "undone", "dropped")  # fmt: skip
WAITING = ("layer", "place", "columns", "ready", "refused", "failed", "stopped")  # a person may choose anew
DOES = {"apply": "applying", "undo": "undoing", "redo": "redoing"}
BUSY = ("checking", *DOES.values())
BEFORE = {
    "applying": "ready",
    "undoing": "applied",
    "redoing": "undone",
}  # where work that wrote nothing leaves an import
FORGOTTEN = timedelta(days=1)  # a file that did not come whole
STOPPED = {"en": "The work was stopped. Nothing was written.", "vi": "Công việc đã dừng. Không có gì được ghi."}
GRACE = timedelta(seconds=60)  # between an import that waits for its job and the job's number in it
CHECK, APPLY = "import-check", "import-apply"

_metadata = sa.MetaData()
_imports = sa.Table(
    "imports",
    _metadata,
    sa.Column("number", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("revision", sa.Integer, nullable=False),
    sa.Column("at", sa.Text, nullable=False),  # UTC, ISO
    sa.Column("changed_at", sa.Text, nullable=False),
    sa.Column("who_id", sa.Integer, nullable=False),
    sa.Column("who", sa.Text, nullable=False),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("size", sa.Integer, nullable=False),
    sa.Column("sha256", sa.Text),
    sa.Column("state", sa.Text, nullable=False, index=True),
    sa.Column("layer", sa.Text),
    sa.Column("choices", sa.Text, nullable=False),  # JSON, see Import
    sa.Column("job", sa.Text),
    sa.Column("base", sa.Integer),
    sa.Column("counts", sa.Text),  # JSON
    sa.Column("written", sa.Integer),
    sa.Column("written_at", sa.Text),
    sa.Column("restored", sa.Integer),
    sa.Column("error", sa.Text),  # JSON: {"en", "vi"}
    sqlite_autoincrement=True,
)
_versions = sa.table(
    "layer_versions", sa.column("layer"), sa.column("version"), sa.column("who"), sa.column("at"), sa.column("id")
)


@dataclass(frozen=True)
class Import:
    """One file and how far it is.

    choices: what was chosen: layer_by ("person" or "columns"), sheet, reading (as server.imports.option writes it),
    columns {column: field, "" for left out}, fill {field: value}, mode, seen (the columns were confirmed).
    base: the version of the layer that the trial was made against. counts: new, changed, same, missing,
    refused. written: the version it became; restored: the one that took it back; of rows in the register the number
    of the going-over in mark(). error: {"en", "vi"}.
    """

    number: int
    revision: int
    at: str
    changed_at: str
    who_id: int
    who: str
    name: str
    size: int
    sha256: str | None
    state: str
    layer: str | None
    choices: dict
    job: str | None
    base: int | None
    counts: dict | None
    written: int | None
    written_at: str | None
    restored: int | None
    error: dict | None

    @property
    def code(self):
        return f"I-{self.number:04}"

    def mark(self, going):
        """What the reason of every event of one going-over of the register begins with."""
        return f"{self.code}.{going} "

    @property
    def gated(self):
        return self.layer in ALL and ALL[self.layer].gated

    @property
    def busy(self):
        return self.state in BUSY


class ImportConflict(ImportProblem):
    """Somebody else was quicker. held: the import as it is now."""

    def __init__(self, held):
        self.held = held
        super().__init__(N_("Somebody else went on with this import meanwhile. Look at it as it is now."), "conflict")


class Imports:
    """The imports of a store. jobs: server.jobs.Jobs, or None where only the tables are read; now: a clock."""

    def __init__(self, store, jobs=None, *, now=lambda: datetime.now(UTC)):
        self.store, self.jobs, self.now = store, jobs, now
        self.home = Path(store.data_dir) / "imports"
        self.home.mkdir(exist_ok=True)
        self.memory = Memory(store, self._now)
        with store.transaction() as con:
            _metadata.create_all(con)

    # --- reading ---

    def get(self, number):
        """One Import; KeyError where there is none."""
        with self.store.reading() as con:
            return self._row(con, number)

    def recent(self, most=20, before=None):
        """The newest first, of those with a smaller number than `before`; without those whose file never came whole."""
        query = sa.select(_imports).where(_imports.c.state.not_in(("coming", "dropped")))
        query = query if before is None else query.where(_imports.c.number < before)
        with self.store.reading() as con:
            rows = con.execute(query.order_by(_imports.c.number.desc()).limit(most)).mappings()
            return [self.settled(_import(r)) for r in rows]

    def folder(self, number):
        return self.home / str(int(number))

    def path(self, one):
        """Where the file of an import lies; ImportProblem where it is kept no more."""
        path = self.folder(one.number) / one.name
        if not path.is_file():
            raise ImportProblem(
                N_("The file of this import is kept no more. Bring it again to go on with it."), "forgotten"
            )
        return path

    def read(self, number, name):
        """A document that the work wrote into the folder of an import, or None."""
        try:
            return json.loads((self.folder(number) / name).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return None

    def settled(self, one):
        """The import, after a look at its job: work that failed or was stopped leaves it waiting for a person."""
        if not one.busy:
            return one
        job = None
        with suppress(KeyError):
            job = self.jobs.get(one.job) if self.jobs and one.job else None
        if job is not None and not job.over:
            return one
        young = self.now() - datetime.fromisoformat(one.changed_at) < GRACE
        if job is None and (self.jobs is None or (one.job is None and young)):
            return one
        state = "stopped" if job is not None and job.state == "cancelled" else "failed"
        lost = {
            "en": "The work on this import was lost with its program. Nothing was written; begin it again.",
            "vi": "Công việc của lần nạp này bị mất cùng chương trình. Chưa có gì được ghi; hãy làm lại.",
        }
        error = STOPPED if state == "stopped" else (job.error if job is not None and job.error else lost)
        state = BEFORE.get(one.state, state)
        with self.store.transaction() as con:
            now = self._row(con, one.number)
            if (now.state, now.job) != (one.state, one.job):  # the work ended well between the two looks
                return now
            return self._save(con, now, state=state, error=error)

    def newest(self, con, layer):
        """(version, who, at) of the newest version of a layer as this transaction sees it; version 0 for none."""
        query = sa.select(_versions.c.version, _versions.c.who, _versions.c.at).where(_versions.c.layer == layer)
        row = con.execute(query.order_by(_versions.c.id.desc()).limit(1)).first()
        return tuple(row) if row else (0, None, None)

    def newest_of(self, layer):
        """(version, who) of the newest version of a layer."""
        with self.store.reading() as con:
            return self.newest(con, layer)[:2]

    def moment(self):
        """Now, as the tables keep it."""
        return self._now()

    # --- the file comes ---

    def begin(self, user, name, size, *, layer=None, most=importdoor.MAX_BYTES):
        """A new import that waits for its file; ImportProblem where the file cannot be taken."""
        self.sweep()
        name = importdoor.checked_name(name)
        size = importdoor.checked_size(size, self.home, most)
        at, raster = self._now(), Path(name).suffix in importdoor.RASTERS
        layer = self._layer(layer, raster) if layer else None
        with self.store.transaction() as con:
            made = con.execute(
                _imports.insert().values(
                    revision=1, at=at, changed_at=at, who_id=user.id, who=user.name, name=name, size=size,
                    state="coming", layer=layer, choices=json.dumps({"layer_by": "person"} if layer else {}),
                )
            )  # fmt: skip
            number = made.inserted_primary_key[0]
            shutil.rmtree(self.folder(number), ignore_errors=True)
            self.folder(number).mkdir()
            return self._row(con, number)

    def piece(self, user, number, at, stream):
        """Take the next piece of a file; (bytes that are there, the Import). The last one starts the check."""
        one = self.get(number)
        if one.state != "coming" or one.who_id != user.id:
            raise ImportProblem(N_("This import does not wait for a file. Begin it again."), "state")
        have = importdoor.write_piece(self.folder(number) / one.name, at, stream, one.size)
        return have, self.arrived(user, one) if have == one.size else one

    def receive(self, user, name, stream, size, *, layer=None):
        """Take a whole file that a form sent."""
        one = self.begin(user, name, size, layer=layer, most=importdoor.FORM_BYTES)
        have, one = self.piece(user, one.number, 0, stream)
        if have != size:
            self.drop(user, one.number, one.revision)
            raise ImportProblem(N_("The file did not come whole. Send it again."), "order", have=have)
        return one

    def arrived(self, user, one):
        """The file is whole: it gets its checksum, an audit row and its first check."""
        sha = importdoor.digest(self.folder(one.number) / one.name)
        with self.store.transaction() as con:
            now = self._row(con, one.number)
            if now.state != "coming":
                return now
            self._audit(con, user, "receive", now, {"name": now.name, "bytes": now.size, "sha256": sha})
            one = self._save(con, now, sha256=sha)
        return self.check(user, one)

    # --- what people choose ---

    def choose(self, user, number, revision, **chosen):
        """Keep a choice (layer, sheet, reading, columns, fill, mode, seen) and check again with it."""
        with self.store.transaction() as con:
            one = self._held(con, number, revision, WAITING)
            choices = dict(one.choices)
            layer = one.layer
            if "layer" in chosen:
                layer = self._layer(chosen.pop("layer"), Path(one.name).suffix in importdoor.RASTERS)
                if (layer, chosen.get("sheet", choices.get("sheet"))) != (one.layer, choices.get("sheet")):
                    for name in ("columns", "fill", "seen", "reading"):
                        choices.pop(name, None)
                choices["layer_by"] = "person"
            choices |= chosen
            one = self._save(con, one, layer=layer, choices=choices, counts=None, base=None)
        return self.check(user, one)

    def check(self, user, one):
        """Start the check of an import; the Import in state `checking`."""
        return self._start(user, one.number, one.revision, CHECK, {}, "checking", (*WAITING, "coming"))

    def apply(self, user, number, revision):
        """Start writing what the trial showed."""
        return self._start(user, number, revision, APPLY, {"do": "apply"}, "applying", ("ready",))

    def undo(self, user, number, revision):
        """Start putting the version before back."""
        self._not_overtaken(user, self.get(number))
        return self._start(user, number, revision, APPLY, {"do": "undo"}, "undoing", ("applied",))

    def redo(self, user, number, revision):
        """Start putting back what was undone."""
        self._not_overtaken(user, self.get(number))
        return self._start(user, number, revision, APPLY, {"do": "redo"}, "redoing", ("undone",))

    def _not_overtaken(self, user, one):
        if one.gated and user.role not in CLASSERS:
            raise ImportProblem(
                N_("Planners do not write in the register of cases: an administrator takes this back."), "role"
            )
        with self.store.reading() as con:
            self.overtaken(con, one)

    def overtaken(self, con, one):
        """ImportProblem where the layer changed after this import, so that taking it back would take more back."""
        if one.gated and not one.written:  # from before marks were kept
            raise ImportProblem(N_("What went into the register is changed there, case by case."), "gated")
        if one.gated:  # server/caserows.py looks at each case
            return
        if one.layer not in ALL:  # a raster: server/importrasters.py looks
            return
        version, who, at = self.newest(con, one.layer)
        if version != (one.restored or one.written):
            raise ImportProblem(
                N_("The layer was changed after this import: version %(version)s by %(who)s on %(day)s. Taking the "
                   "import back would take that back too. Look at the versions of the layer."),
                "overtaken", version=version, who=who, day=local(at).date().isoformat() if at else "",
            )  # fmt: skip

    def drop(self, user, number, revision):
        """Lay an import aside that was not applied; its file goes."""
        with self.store.transaction() as con:
            one = self._held(con, number, revision, (*WAITING, "coming"))
            self._audit(con, user, "drop", one, {"name": one.name})
            one = self._save(con, one, state="dropped")
        shutil.rmtree(self.folder(number), ignore_errors=True)
        return one

    # --- what the work tells ---

    def expected(self, number, revision, state):
        """The Import that a job was started for; None where people have gone on since, or it is done already."""
        with suppress(KeyError):
            one = self.get(number)
            if (one.revision, one.state) == (revision, state):
                return one
        return None

    def found(self, one, state, **values):
        """The outcome of a check; None where people have gone on since, so that it is of no use."""
        with self.store.transaction() as con:
            now = self._row(con, one.number)
            if (now.revision, now.state) != (one.revision, one.state):
                return None
            return self._save(con, now, state=state, **values)

    def done_in(self, con, user, one, action, **values):
        """The outcome of applying or taking back, inside the transaction that wrote it."""
        now = self._row(con, one.number)
        if (now.revision, now.state) != (one.revision, one.state):
            raise ImportConflict(now)
        new = {"name": one.name, "layer": one.layer, "sha256": one.sha256} | {
            k: v for k, v in values.items() if k in ("written", "restored") and v
        }
        self._audit(con, user, action, now, new)
        return self._save(con, now, error=None, **values)

    def write(self, number, name, document):
        """Keep a document beside the file, whole or not at all."""
        wholefiles.write(self.folder(number) / name, json.dumps(document, ensure_ascii=False, allow_nan=False))

    # --- inside ---

    def sweep(self):
        """Let go of files that never came whole, and of those that can be undone no more."""
        now = self.now().astimezone(UTC)
        half, old = (now - FORGOTTEN).isoformat(), (now - KEPT_FOR).isoformat()
        with self.store.transaction() as con:
            gone = sa.select(_imports.c.number).where(_imports.c.state == "coming", _imports.c.at < half)
            lost = list(con.scalars(gone))
            if lost:
                con.execute(_imports.update().where(_imports.c.number.in_(lost)).values(state="dropped"))
            past = sa.select(_imports.c.number).where(_imports.c.changed_at < old, _imports.c.state.not_in(BUSY))
            lost += list(con.scalars(past))
        for number in lost:
            shutil.rmtree(self.folder(number), ignore_errors=True)

    def _start(self, user, number, revision, kind, payload, state, states):
        """The import in a busy state and its job, which knows the revision it works for."""
        with self.store.transaction() as con:
            one = self._held(con, number, revision, states)
            one = self._save(con, one, state=state, error=None, job=None)
        job = self.jobs.start(kind, {"import": number, "revision": one.revision, **payload}, who=user)
        with self.store.transaction() as con:
            con.execute(_imports.update().where(_imports.c.number == number).values(job=job))
        return replace(one, job=job)

    def _layer(self, name, raster):
        known = (f"raster:{slot}" for slot in RASTER_SLOTS) if raster else (n for n in ALL if can_import(n))
        if name not in known:
            raise ImportProblem(N_("This file cannot go into that layer. Choose another one from the list."), "layer")
        return name

    def _held(self, con, number, revision, states):
        one = self._row(con, number)
        if one.revision != revision or one.state not in states:
            raise ImportConflict(one)
        return one

    def _row(self, con, number):
        row = con.execute(sa.select(_imports).where(_imports.c.number == number)).mappings().first()
        if row is None:
            raise KeyError(number)
        return _import(row)

    def _save(self, con, one, **values):
        packed = {
            k: json.dumps(v, ensure_ascii=False) if k in _JSON and v is not None else v for k, v in values.items()
        }
        packed |= {"revision": one.revision + 1, "changed_at": self._now()}
        con.execute(_imports.update().where(_imports.c.number == one.number).values(**packed))
        return self._row(con, one.number)

    def _audit(self, con, user, action, one, new):
        audit.append(
            con, at=self.now().astimezone(UTC), who=user.name, who_id=user.id, role=user.role, action=f"import.{action}",
            thing=f"import:{one.code}", new=new,
        )  # fmt: skip

    def _now(self):
        return self.now().astimezone(UTC).isoformat(timespec="milliseconds")


RASTER_SLOTS = ("population", "elevation", "land_cover")
_JSON = ("choices", "counts", "error")


def can_import(name):
    """Whether files may go into a layer: the tables of the gate itself change through the register only."""
    return name == "hotspots" or not ALL[name].gated


def _import(row):
    values = {k: json.loads(v) if k in _JSON and v is not None else v for k, v in row.items()}
    return Import(**values)
