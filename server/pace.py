"""How often somebody may do something: a sliding count per key, in memory, forgotten at a new start."""

import threading
import time
from collections import OrderedDict, deque

MAX_KEYS = 50_000


class Pace:
    """At most `times` within `seconds` for each key. Safe for several threads; memory is bounded."""

    def __init__(self, times, seconds, *, clock=time.monotonic):
        self.times, self.seconds, self._clock = times, seconds, clock
        self._lock = threading.Lock()
        self._seen = OrderedDict()  # key -> moments, oldest first; the key used longest ago first

    def wait(self, key):
        """Whole seconds until this key may go on, 0 when it may now. Counts nothing."""
        with self._lock:
            return self._wait(key)

    def take(self, key):
        """As wait(), and counts one when it may go on."""
        with self._lock:
            left = self._wait(key)
            if left == 0:
                self._seen.setdefault(key, deque()).append(self._clock())
                self._seen.move_to_end(key)
                while len(self._seen) > MAX_KEYS:
                    self._seen.popitem(last=False)
            return left

    def _wait(self, key):
        moments, now = self._seen.get(key), self._clock()
        while moments and moments[0] <= now - self.seconds:
            moments.popleft()
        if moments is not None and not moments:
            del self._seen[key]
        if not moments or len(moments) < self.times:
            return 0
        return max(1, int(moments[0] + self.seconds - now) + 1)
