"""Fixtures shared by the tests: data folders, and a second process to look at them with GDAL."""

import os
import shutil
from datetime import date
from pathlib import Path

import pytest
import second_process
from hypothesis import settings

from layers import starter
from layers.store import Store

ROOT = Path(__file__).resolve().parents[1]
settings.register_profile("here", deadline=None)  # the machine is shared: no test is judged by its time
settings.load_profile("here")


@pytest.fixture(scope="session")
def starter_store(tmp_path_factory):
    """A data folder filled with the starter layers, once. Read only: a test that writes takes `filled`."""
    folder = tmp_path_factory.mktemp("starter")
    store = Store(folder)
    assert starter.fill(store, today=date(2026, 11, 22)) is True
    store.close()
    return folder


@pytest.fixture(scope="session")
def starter_facts(starter_store):
    """An open Store on `starter_store`, for reading."""
    store = Store(starter_store)
    yield store
    store.close()


@pytest.fixture
def filled(starter_store, tmp_path):
    """An open Store on a copy of `starter_store`, for writing."""
    store = Store(shutil.copytree(starter_store, tmp_path / "filled"))
    yield store
    store.close()


@pytest.fixture
def store(tmp_path):
    """An open, empty Store."""
    store = Store(tmp_path / "data")
    yield store
    store.close()


@pytest.fixture(scope="session")
def processes():
    before = os.environ.get("PYTHONPATH")
    yield second_process.context(ROOT)
    if before is None:
        del os.environ["PYTHONPATH"]
    else:
        os.environ["PYTHONPATH"] = before


@pytest.fixture
def elsewhere(processes):
    """Starts code in a process of its own: elsewhere(code, *args) gives a second_process.Child."""
    started = []

    def start(code, *args):
        started.append(second_process.Child(processes, code, args))
        return started[-1]

    yield start
    for child in started:
        child.close()


@pytest.fixture
def ask(elsewhere):
    """What code said first in a process of its own: ask(code, *args)."""
    return lambda code, *args: elsewhere(code, *args).hear()
