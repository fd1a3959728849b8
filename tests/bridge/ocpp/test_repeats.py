"""bridge.ocpp.repeats: what counts as the same call again."""

from bridge.ocpp.frames import Call, CallResult
from bridge.ocpp.repeats import Repeats, State


def call(unique_id: str = "a", **payload: int) -> Call:
    return Call(unique_id=unique_id, action="StatusNotification", payload=payload)


def test_a_call_is_new_then_open_then_answered() -> None:
    repeats, reply = Repeats(), CallResult(unique_id="a", payload={})
    first = call()
    assert repeats.look(first) is State.NEW
    assert repeats.look(call()) is State.OPEN
    repeats.answered(first, reply)
    assert repeats.look(call()) is reply


def test_an_id_used_again_for_something_else_is_new_and_the_older_answer_is_not_kept_for_it() -> None:
    repeats = Repeats()
    first, second = call(n=1), call(n=2)
    assert repeats.look(first) is State.NEW
    assert repeats.look(second) is State.NEW
    repeats.answered(first, CallResult(unique_id="a", payload={}))
    assert repeats.look(call(n=2)) is State.OPEN
    repeats.forget(first)
    assert repeats.look(call(n=2)) is State.OPEN
    repeats.forget(second)
    assert repeats.look(call(n=2)) is State.NEW
    repeats.forget(call("never"))
