"""Work that takes longer than a page may wait: a queue that outlives a restart, worked off by a process of its own.

What waits lies in a queue of Huey, in var/jobs.db; `queue` is the one place that would name a server queue (Redis,
PostgreSQL) instead. What became of it lies beside it in tables of our own, since a queue forgets what it gave out:
a job whose worker died is begun again, so its function must be able to begin anew.
"""

import json
import logging
import secrets
import time
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import sqlalchemy as sa
from huey import SqliteHuey

from layers import geopackage
from layers.errors import LayerError, StoreError

FILE_NAME = "jobs.db"
ATTEMPTS = 3  # after so many deaths of its worker a job is not begun again
DEAD_AFTER = 20.0  # seconds without a sign of life of the worker
KEPT_DAYS = 30
TELL_EVERY, LOOK_EVERY = 0.25, 0.25  # seconds between writes of progress, between looks for a wish to stop
ENDED = ("done", "failed", "cancelled")
log = logging.getLogger("cangxanh")

_metadata = sa.MetaData()
_jobs = sa.Table(
    "jobs",
    _metadata,
    sa.Column("number", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("id", sa.Text, nullable=False, unique=True),
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("payload", sa.Text, nullable=False),
    sa.Column("who_id", sa.Integer, nullable=False),
    sa.Column("state", sa.Text, nullable=False, index=True),  # waiting | running | done | failed | cancelled
    sa.Column("share", sa.Double, nullable=False, default=0.0),
    sa.Column("words", sa.Text, nullable=False, default=""),
    sa.Column("values", sa.Text, nullable=False, default="{}"),
    sa.Column("result", sa.Text),
    sa.Column("error", sa.Text),
    sa.Column("created", sa.Text, nullable=False),
    sa.Column("begun", sa.Text),
    sa.Column("ended", sa.Text),
    sa.Column("attempts", sa.Integer, nullable=False, default=0),
    sa.Column("stop", sa.Boolean, nullable=False, default=False),
    sa.Column("beat", sa.Double, nullable=False, default=0.0),  # time.time() of the worker's last sign of life
    sqlite_autoincrement=True,
)
_log = sa.Table(
    "job_log",
    _metadata,
    sa.Column("number", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("job", sa.Text, nullable=False, index=True),
    sa.Column("at", sa.Text, nullable=False),
    sa.Column("text", sa.Text, nullable=False),
)


class Stopped(Exception):
    """Raised by the function of a job that saw the wish to stop."""


@dataclass(frozen=True)
class Job:
    """One piece of work. share: 0 to 1; words: a message id, with its values; result: what the function gave back;
    error: {"en", "vi"} when it failed; created, begun, ended: UTC, ISO; attempts: how often it was begun."""

    id: str
    kind: str
    payload: dict
    who_id: int
    state: str
    share: float
    words: str
    values: dict
    result: dict | None
    error: dict | None
    created: str
    begun: str | None
    ended: str | None
    attempts: int
    stop: bool

    @property
    def over(self):
        return self.state in ENDED


def queue(data_dir):
    """Where the ids of waiting jobs lie."""
    return SqliteHuey("cangxanh", filename=str(Path(data_dir) / FILE_NAME), results=False, timeout=30)


class Jobs:
    """The jobs of one data folder. Safe to use from several threads and processes.

    wake: called after a job was put in, such as to start the worker.
    """

    def __init__(self, data_dir, wake=lambda: None):
        self.data_dir, self.wake = Path(data_dir), wake
        self._engine = geopackage.engine(self.data_dir / FILE_NAME)
        with self._writing() as con:
            _metadata.create_all(con)
        self.queue = queue(self.data_dir)
        self._performer = None
        # The worker gives this its meaning; a server only puts ids in.
        self._perform = self.queue.task(name="perform")(lambda id: self._performer(id))

    def _writing(self):
        return _Writing(self._engine)

    # --- asking ---

    def start(self, kind, payload, *, who):
        """Put a job in; its id. payload: JSON-able. who: a User."""
        id, now = secrets.token_urlsafe(12), _now()
        with self._writing() as con:
            old = time.time() - KEPT_DAYS * 86400
            gone = sa.select(_jobs.c.id).where(_jobs.c.state.in_(ENDED), _jobs.c.beat < old, _jobs.c.beat > 0)
            con.execute(_log.delete().where(_log.c.job.in_(gone)))
            con.execute(_jobs.delete().where(_jobs.c.id.in_(gone)))
            con.execute(_jobs.insert().values(id=id, kind=kind, payload=json.dumps(payload, ensure_ascii=False),
                                              who_id=who.id, state="waiting", created=now))  # fmt: skip
        self._perform(id)
        self.wake()
        return id

    def get(self, id):
        """The Job; KeyError where there is none."""
        with self._engine.connect() as con:
            row = con.execute(sa.select(_jobs).where(_jobs.c.id == id)).mappings().first()
        if row is None:
            raise KeyError(id)
        return _job(row)

    def of(self, kind=None, who_id=None):
        """Jobs, newest first."""
        query = sa.select(_jobs).order_by(_jobs.c.number.desc())
        query = query if kind is None else query.where(_jobs.c.kind == kind)
        query = query if who_id is None else query.where(_jobs.c.who_id == who_id)
        with self._engine.connect() as con:
            return [_job(row) for row in con.execute(query).mappings()]

    def unfinished(self):
        """How many jobs wait or run."""
        with self._engine.connect() as con:
            return con.scalar(sa.select(sa.func.count()).select_from(_jobs).where(_jobs.c.state.not_in(ENDED)))

    def log(self, id):
        """[(at, text)], oldest first."""
        query = sa.select(_log.c.at, _log.c.text).where(_log.c.job == id).order_by(_log.c.number)
        with self._engine.connect() as con:
            return [tuple(row) for row in con.execute(query)]

    def cancel(self, id, who):
        """Ask a job to stop; one that still waits ends at once. Whether there was anything to stop."""
        with self._writing() as con:
            job = con.execute(sa.select(_jobs).where(_jobs.c.id == id)).mappings().first()
            if job is None:
                raise KeyError(id)
            if job["state"] in ENDED:
                return False
            values = {"stop": True}
            if job["state"] == "waiting":
                values |= {"state": "cancelled", "ended": _now(), "beat": time.time()}
            con.execute(_jobs.update().where(_jobs.c.id == id).values(**values))
            _say(con, id, f"asked to stop by {who.login}")
        return True

    # --- working ---

    def recover(self):
        """Put in again what a worker took and did not end, or what never came into the queue; after a few times no more."""
        dead = time.time() - DEAD_AFTER
        with self._writing() as con:
            orphans = con.execute(
                sa.select(_jobs.c.id, _jobs.c.attempts, _jobs.c.stop).where(
                    _jobs.c.state == "running", _jobs.c.beat < dead
                )
            ).all()
            for id, attempts, stop in orphans:
                row = _jobs.update().where(_jobs.c.id == id)
                if stop:
                    con.execute(row.values(state="cancelled", ended=_now()))
                elif attempts >= ATTEMPTS:
                    error = {
                        "en": f"The work was broken off {attempts} times with its program. Look at the log.",
                        "vi": f"Công việc bị ngắt {attempts} lần cùng chương trình. Hãy xem nhật ký.",
                    }
                    con.execute(row.values(state="failed", ended=_now(), error=json.dumps(error, ensure_ascii=False)))
                else:
                    con.execute(row.values(state="waiting"))
                    _say(con, id, "the program ended before the work did; it begins anew")
            waiting = con.scalars(
                sa.select(_jobs.c.id).where(_jobs.c.state == "waiting").order_by(_jobs.c.number)
            ).all()
        queued = {task.args[0] for task in self.queue.pending() if task.args}
        for id in waiting:
            if id not in queued:
                self._perform(id)

    def work(self, perform, *, once=False, ended=lambda: False):
        """Take jobs out of the queue and call perform(Task) for each, until `ended`; once: until the queue is empty."""
        self._performer = lambda id: self._do(id, perform)
        looked = 0.0
        while not ended():
            if time.monotonic() - looked > DEAD_AFTER / 4:
                self.recover()
                looked = time.monotonic()
            task = self.queue.dequeue()
            if task is not None:
                self.queue.execute(task)
            elif once:
                return
            else:
                time.sleep(0.2)

    def _do(self, id, perform):
        with self._writing() as con:
            mine = con.execute(
                _jobs.update()
                .where(_jobs.c.id == id, _jobs.c.state == "waiting")
                .values(state="running", begun=_now(), beat=time.time(), attempts=_jobs.c.attempts + 1)
            ).rowcount
            if not mine:
                return  # another worker has it, or it was cancelled
            row = con.execute(sa.select(_jobs).where(_jobs.c.id == id)).mappings().one()
            _say(con, id, "begun")
        task = Task(self, _job(row))
        try:
            result, state, error = perform(task), "done", None
        except Stopped:
            result, state, error = None, "cancelled", None
        except Exception as e:
            result, state, error = None, "failed", sentence(e)
            task.note(f"{type(e).__name__}: {e}")
            if not told(e):
                log.exception("job %s (%s) failed", id, row["kind"])
        with self._writing() as con:
            values = {"state": state, "ended": _now(), "beat": time.time()}
            values |= {"result": json.dumps(result, ensure_ascii=False)} if result is not None else {}
            values |= {"error": json.dumps(error, ensure_ascii=False)} if error else {}
            values |= {"share": 1.0} if state == "done" else {}
            con.execute(_jobs.update().where(_jobs.c.id == id).values(**values))
            _say(con, id, state)

    def release(self):
        """What runs here goes back into the queue: the worker is asked to end, which is not the job's fault."""
        with self._writing() as con:
            running = con.scalars(sa.select(_jobs.c.id).where(_jobs.c.state == "running")).all()
            for id in running:
                values = {"state": "waiting", "attempts": _jobs.c.attempts - 1}
                con.execute(_jobs.update().where(_jobs.c.id == id).values(**values))
                _say(con, id, "put back: the server ends; the work begins anew with it")

    def beat(self):
        """A sign of life for whatever runs here."""
        with self._writing() as con:
            con.execute(_jobs.update().where(_jobs.c.state == "running").values(beat=time.time()))

    def close(self):
        """Let go of the file."""
        with suppress(sa.exc.DatabaseError), self._engine.connect() as con:
            con.connection.driver_connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
        self._engine.dispose()
        self.queue.storage.close()


class Task:
    """A job that is being done, as its function sees it. who: a User, set by the worker."""

    def __init__(self, jobs, job):
        self._jobs, self.id, self.kind, self.payload, self.who_id = jobs, job.id, job.kind, job.payload, job.who_id
        self.who, self._told, self._looked, self._stop = None, 0.0, 0.0, job.stop

    def tell(self, share, words="", **values):
        """How far it is: a share from 0 to 1 and a message id with its values. Cheap: most calls write nothing."""
        now = time.monotonic()
        if now - self._told < TELL_EVERY and share < 1:
            return
        self._told = now
        with self._jobs._writing() as con:
            con.execute(
                _jobs.update()
                .where(_jobs.c.id == self.id)
                .values(
                    share=min(max(float(share), 0.0), 1.0), words=words, values=json.dumps(values), beat=time.time()
                )
            )

    def note(self, text):
        """A line of the job's log, in English."""
        with self._jobs._writing() as con:
            _say(con, self.id, text)

    def stop(self):
        """Whether somebody asked it to stop."""
        now = time.monotonic()
        if not self._stop and now - self._looked > LOOK_EVERY:
            self._looked = now
            self._stop = self._jobs.get(self.id).stop
        return self._stop


def told(error):
    """Whether an error is one that people can mend: it carries its sentence."""
    return isinstance(error, LayerError) or (hasattr(error, "en") and hasattr(error, "vi"))


def sentence(error):
    """{"en", "vi"} of an error for people."""
    if told(error):
        english = getattr(error, "en", None) or str(error)
        return {"en": english, "vi": getattr(error, "vi", None) or english}
    return {
        "en": "The work failed because of a mistake in the program. The log says where; nothing was changed.",
        "vi": "Công việc thất bại do lỗi trong chương trình. Nhật ký cho biết ở đâu; không có gì bị thay đổi.",
    }


class _Writing:
    def __init__(self, engine):
        self._engine = engine

    def __enter__(self):
        self._con = self._engine.connect().execution_options(writes=True)
        self._begun = self._con.begin()
        return self._con

    def __exit__(self, kind, error, trace):
        try:
            if kind is None:
                self._begun.commit()
            else:
                self._begun.rollback()
        finally:
            self._con.close()
        if kind is sa.exc.OperationalError:
            raise StoreError(f"{FILE_NAME} cannot be written ({error.orig}). Check the disk.") from error


def _job(row):
    loaded = {
        name: None if row[name] is None else json.loads(row[name]) for name in ("payload", "values", "result", "error")
    }
    return Job(**{name: loaded.get(name, row[name]) for name in Job.__dataclass_fields__})


def _say(con, id, text):
    con.execute(_log.insert().values(job=id, at=_now(), text=str(text)[:2000]))


def _now():
    return datetime.now(UTC).isoformat(timespec="milliseconds")
