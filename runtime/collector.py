"""Python's collector of cyclic garbage, set for a process that holds much and must answer soon.

Rule: what is there when the process begins its work stays, and is not looked through again; the oldest objects are
looked through seldom. Looking through the state of ten thousand chargers holds up everybody for more than 0.1 s.
"""

import gc

YOUNG = 10_000  # new objects until the youngest are looked through: some 1 ms of work
MIDDLE, OLD = 5, 200  # rounds of the younger ones until the next older ones have their turn


def settle() -> None:
    """Collect once, and leave alone what is there now."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(YOUNG, MIDDLE, OLD)
