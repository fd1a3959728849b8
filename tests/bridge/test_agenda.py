"""Who is looked at now: whoever was touched, and whoever's time has come, each once."""

from bridge.agenda import Agenda
from tests.bridge.parts import at


def test_touched_and_due_names_come_once() -> None:
    agenda: Agenda[str] = Agenda()
    agenda.touch(("b", "a", "b"))
    agenda.appoint("a", at(5))
    agenda.appoint("c", at(10))
    assert agenda.take(at(5)) == ("b", "a")
    assert agenda.take(at(9)) == ()
    assert agenda.take(at(10)) == ("c",)
    assert agenda.take(at(99)) == ()


def test_an_earlier_appointment_replaces_a_later_one() -> None:
    agenda: Agenda[str] = Agenda()
    agenda.appoint("a", at(10))
    agenda.appoint("a", at(5))
    agenda.appoint("a", at(7))
    assert agenda.take(at(6)) == ("a",)
    assert agenda.take(at(20)) == ()


def test_a_clock_set_back_forgets_every_appointment() -> None:
    agenda: Agenda[str] = Agenda()
    agenda.appoint("a", at(10))
    agenda.clear()
    assert agenda.take(at(20)) == ()


def test_no_more_than_asked_for_are_taken_and_the_longest_waiting_first() -> None:
    agenda: Agenda[str] = Agenda()
    agenda.touch("abc")
    assert agenda.take(at(0), 2) == ("a", "b")
    agenda.touch("ad")
    agenda.appoint("e", at(5))
    assert agenda.take(at(10), 3) == ("c", "a", "d")
    assert agenda.take(at(10), 3) == ("e",)
    assert agenda.take(at(10), 3) == ()
