"""A second process for tests: the only place where GDAL may open a live file, and one that can be killed.

Where the system can fork, the libraries are imported once and each process starts in milliseconds.
"""

import multiprocessing
import os
import traceback

LIBRARIES = ["pyogrio.raw", "geopandas", "sqlalchemy.dialects.sqlite"]


class Child:
    """Runs code with `args`, `say(value)` and `hear()`; values are plain and travel both ways."""

    def __init__(self, context, code, args):
        self._pipe, there = context.Pipe()
        self._process = context.Process(target=_run, args=(code, args, there), daemon=True)
        self._process.start()
        there.close()

    def say(self, value):
        self._pipe.send(value)

    def hear(self):
        """The next value it said. Fails with its traceback if it failed; EOFError when it is gone."""
        what, value = self._pipe.recv()
        assert what == "value", value
        return value

    def rest(self):
        """All that it said until its end."""
        out = []
        while True:
            try:
                out.append(self.hear())
            except (EOFError, OSError):
                self._process.join()
                return out

    def kill(self):
        self._process.kill()

    def close(self):
        self._process.kill()
        self._process.join()
        self._process.close()
        self._pipe.close()


def context(root):
    """Where children come from; root: the project, for their imports."""
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [str(root), os.environ.get("PYTHONPATH")]))
    if "forkserver" not in multiprocessing.get_all_start_methods():
        return multiprocessing.get_context("spawn")
    made = multiprocessing.get_context("forkserver")
    made.set_forkserver_preload(LIBRARIES)
    return made


def _run(code, args, pipe):
    names = {"args": args, "say": lambda value: pipe.send(("value", value)), "hear": pipe.recv}
    try:
        exec(compile(code, "<second process>", "exec"), names)
    except BaseException:
        pipe.send(("error", traceback.format_exc()))
    pipe.close()
