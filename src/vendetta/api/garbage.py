"""Short pauses of Python's garbage collector, however much the server holds.

A full collection looks at all that lives, and nothing else runs meanwhile: half a second with a thousand nodes, more
than a second with three thousand. Nearly all of that are connections, which end by their reference counts. So what
lives through a full collection is set aside (`gc.freeze`) once it is much; the next one looks at what has come since.

What is set aside and becomes garbage in a circle isn't found then. So everything is looked at again once as much has
come as there was then: the pause for that is as long as ever, and comes as rarely as the server doubles.
"""

import gc
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

MOST_LOOKED_AT = 20_000
"""Objects that one full collection leaves to the next, some 20 ms."""
YOUNGER_TURNS = 2
"""Of collections that look at what is young, some 8,000 objects each, between two full ones: Python's own are 10."""
FEW = 2_000_000
"""So many more objects aren't worth looking at everything again: 3,000 nodes and their connections are 1.2 million."""


class SetAside:
    """A callback of `gc`: sets aside (`gc.freeze`) what a full collection leaves, if that is `most` objects or more.

    Everything is looked at again once more than `few` objects, and more than there were in all the last time, were set
    aside since then.
    """

    def __init__(self, most: int = MOST_LOOKED_AT, few: int = FEW) -> None:
        self._most = most
        self._few = few
        self._kept = 0
        self._since = 0
        self._all = True

    def __call__(self, phase: str, info: Mapping[str, int]) -> None:
        if phase != "stop" or info["generation"] != 2:
            return
        left = len(gc.get_objects(generation=2))
        if left < self._most and not self._all:
            return
        gc.freeze()
        if self._all:
            self._all, self._kept, self._since = False, left, 0
            return
        self._since += left
        if self._since > max(self._few, self._kept):
            # many of them may have ended since
            if gc.get_freeze_count() - self._kept > max(self._few, self._kept):
                gc.unfreeze()
                self._all = True
            self._since = 0


@contextmanager
def short_pauses() -> Iterator[None]:
    """Keep the pauses of `gc` short within the block. The objects that there are now are set aside first."""
    set_aside, thresholds = SetAside(), gc.get_threshold()
    gc.callbacks.append(set_aside)
    gc.set_threshold(*thresholds[:2], YOUNGER_TURNS)
    gc.collect()
    gc.collect()  # Python waits for a fourth more than the last one left, which are none now
    try:
        yield
    finally:
        gc.callbacks.remove(set_aside)
        gc.set_threshold(*thresholds)
        gc.unfreeze()
