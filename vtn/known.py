"""What is remembered of one VEN: what waits for it, and what it was given and handed since that was read.

Rule: what came since is kept as it came and put in its place only when somebody needs the whole, which mostly is never:
when a VEN has answered its events it is read anew. For a VEN in whose payload there are only events that it has never
had, ``News`` says all that its next poll needs.
"""

from dataclasses import dataclass
from datetime import datetime

from vtn.payloads import Contents, Shared, contents
from vtn.services.events import after, changed_at, joined, over_at
from vtn.services.polling import Waiting
from vtn.store.eventrows import Assignment, Handout
from vtn.store.rows import AT_ONCE, NEVER

_KEPT = 100  # things done at a VEN that answers nothing; then they are put in their place


@dataclass(frozen=True, slots=True, kw_only=True)
class News:
    """New events of a VEN that it has never been handed; all that it had before has left its payload at ``since``."""

    assignments: tuple[Assignment, ...]  # in the order of their making
    changed: datetime | None  # when an event of the VEN was last made or changed
    contents: Contents  # see ``payloads.contents``
    named: tuple[str, ...] | None  # resources, if they are the same for all the events
    since: datetime
    until: datetime  # when the first of them leaves the payload


@dataclass(slots=True, kw_only=True)  # not frozen, as there is one for almost every poll; nobody changes it
class Known:
    """A registered VEN and what waits for it, as read at ``read_at``, and what happened since."""

    ven_id: str
    signs: bool  # every message of it has to be signed
    waiting: Waiting
    read_at: datetime
    quiet_until: datetime | None  # nothing is due before; None: not before something changes
    done: tuple[Handout | tuple[Assignment, ...], ...] = ()  # what it was handed and given since, in order
    news: News | None = None
    over_at: datetime | None = None  # when what it was handed has left its payload; None: nothing was given
    changed: datetime | None = None  # when the newest event it was given was made

    def whole(self) -> "Known":
        """Return it with everything put in its place."""
        if not self.done:
            return self
        assignments = self.waiting.assignments
        for each in self.done:
            assignments = after(assignments, each) if isinstance(each, Handout) else joined(assignments, each)
        waits = self.waiting
        waiting = Waiting(
            assignments=assignments, queue_due=waits.queue_due, greeting=waits.greeting, closing=waits.closing
        )
        return Known(
            ven_id=self.ven_id,
            signs=self.signs,
            waiting=waiting,
            read_at=self.read_at,
            quiet_until=self.quiet_until,
        )

    def handed(self, handed: Handout) -> "Known":
        """Return it, if it is whole, with what it was handed of what waits."""
        return Known(
            ven_id=self.ven_id,
            signs=self.signs,
            waiting=self.waiting,
            read_at=self.read_at,
            quiet_until=_quiet_after(self.waiting, handed),
            done=(handed,),
        )

    def given(self, new: tuple[Assignment, ...]) -> "Known":
        """Return it with new events."""
        quiet = self.quiet_until
        if not self.waiting.closing:
            dues = (quiet, *(each.due for each in new))
            quiet = min((each for each in dues if each is not None), default=None)
        old_over_at = over_at(self.waiting.assignments) if self.over_at is None else self.over_at
        before = () if self.news is None else self.news.assignments
        old = changed_at(self.waiting.assignments) if self.changed is None else self.changed
        changed = max((each for each in (old, changed_at(new)) if each is not None), default=None)
        news = _news(joined(before, new), old_over_at, changed)
        return Known(
            ven_id=self.ven_id,
            signs=self.signs,
            waiting=self.waiting,
            read_at=self.read_at,
            quiet_until=quiet,
            done=(*self.done, new),
            news=news,
            over_at=NEVER if news is None else old_over_at,
            changed=changed,
        )

    def only_news(self, now: datetime) -> News | None:
        """Return the news if nothing else comes into the answer to a poll."""
        news, waits = self.news, self.waiting
        if news is None or waits.closing or not news.since <= now < news.until or len(self.done) > _KEPT:
            return None
        return None if waits.greeting and waits.queue_due is not None and waits.queue_due <= now else news

    def handed_news(self, news: News, shared: Shared, handed: Handout) -> "Known":
        """Return it with its news handed out."""
        queue, again = self.waiting.queue_due, shared.again
        due = None if again is None else handed.at + again
        return Known(
            ven_id=self.ven_id,
            signs=self.signs,
            waiting=self.waiting,
            read_at=self.read_at,
            quiet_until=due if queue is None or (due is not None and due < queue) else queue,
            done=(*self.done, handed),
            over_at=max(news.since, shared.over_at),
            changed=self.changed,
        )


def _news(assignments: tuple[Assignment, ...], since: datetime, changed: datetime | None) -> News | None:
    """Return news; ``None`` if one of these events has been at the VEN before."""
    first = assignments[0].resource_ids
    if any([each.due != AT_ONCE or each.state.answered_modification is not None for each in assignments]):
        return None
    ends = [each.stored.payload_end for each in assignments]
    return News(
        assignments=assignments,
        changed=changed,
        contents=contents(assignments, changed),
        named=first if all([each.resource_ids == first for each in assignments]) else None,
        since=since,
        until=min([each for each in ends if each is not None], default=NEVER),
    )


def _quiet_after(waiting: Waiting, made: Handout) -> datetime | None:
    """Return ``quiet_until`` as it is once this payload is handed out."""
    dues = [None if again is None else made.at + again for again in {again for _, _, again in made.events}]
    if len(made.events) < len(waiting.assignments):
        named = {event_id for event_id, _, _ in made.events}
        dues += [each.due for each in waiting.assignments if each.state.event_id not in named]
    return min([each for each in (*dues, waiting.queue_due) if each is not None], default=None)
