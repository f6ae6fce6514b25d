"""Putting an earlier version of a layer back: a small one at once, a large one as work with a bar.

What somebody saw is what is replaced: where the layer has another version by then, nothing is written.
"""

from server.i18n import N_
from server.jobs import Stopped

KIND = "put-back"
AT_ONCE = 5_000  # rows; as many more take longer than a page may wait


def large(version):
    """Whether putting a version (of Store.history) back is work for the worker."""
    return version["rows"] > AT_ONCE


def start(services, user, name, number, expected):
    """Put the work in; the id of its job. expected: the version that is replaced."""
    return services.jobs.start(KIND, {"layer": name, "version": number, "expected": expected}, who=user)


def of(services, user, name, id):
    """The job of this kind for a layer; KeyError where it is another one, or somebody else's."""
    job = services.jobs.get(id)
    mine = job.who_id == user.id or user.role == "administrator"
    if job.kind != KIND or job.payload["layer"] != name or not mine:
        raise KeyError(id)
    return job


def job(services, task):
    """Do it; {"version"} that was written."""
    name, number, expected = (task.payload[k] for k in ("layer", "version", "expected"))
    store = services.store
    newest = store.history(name)[0]
    if newest["version"] == expected + 1 and (newest["source"], newest["who"]) == (f"version {number}", task.who.name):
        return {"version": newest["version"]}  # written by work that died before it could tell
    rows = next((v["rows"] for v in store.history(name) if v["version"] == number), 0)

    def step(share):
        if task.stop():
            raise Stopped
        task.tell(0.95 * share, N_("%(n)s of %(total)s rows are put back"), n=round(rows * share), total=rows)

    task.tell(0.0, N_("Version %(n)s is read"), n=number)
    store.restore(name, number, who=task.who.name, expected=expected, step=step)
    return {"version": store.versions()[name]}
