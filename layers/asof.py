"""The store as it was at a moment: read only, for figures that must be computed again with the data of then."""

import threading
from datetime import UTC, datetime

from layers.catalogue import ALL
from layers.errors import StoreError, said


class StoreAsOf:
    """The layers of a store as they were in use at a moment (time with zone); give it to Figures in place of the store.

    Raises StoreError for a moment before the first version or in the future; snapshot() raises it for a layer
    whose rows of then are no longer kept. What is no layer, such as the raster of people, is as it is today.
    """

    def __init__(self, store, moment):
        if moment > datetime.now(UTC):
            raise StoreError(
                said(
                    "{moment} lies in the future; choose an earlier moment.",
                    "{moment} ở tương lai; hãy chọn thời điểm sớm hơn.",
                    moment=moment.isoformat(timespec="minutes"),
                )
            )
        self.moment, self.data_dir = moment, store.data_dir
        self._store, self._lock, self._snapshots = store, threading.Lock(), {}
        self._versions = {name: store.version_at(name, moment) for name in ALL}

    def versions(self):
        """The version number of every layer and table that had rows by then."""
        return {name: number for name, number in self._versions.items() if number}

    def stamp(self):
        """A short text that stays the same."""
        return f"as of {self.moment.astimezone(UTC).isoformat(timespec='milliseconds')}"

    def data_version(self):
        """(sum of the version numbers, the moment as UTC ISO text)."""
        return sum(self._versions.values()), self.moment.astimezone(UTC).isoformat(timespec="milliseconds")

    def snapshot(self, name):
        """As Store.snapshot, of that moment; do not write into it."""
        with self._lock:
            if name not in self._snapshots:
                self._snapshots[name] = self._store.as_of(name, self.moment)
            return self._snapshots[name]
