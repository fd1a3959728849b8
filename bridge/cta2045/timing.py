"""The times of the CTA-2045 link layer as data.

Rule: what the standard fixes carries its symbol; what devices in the field need is a setting with its reason.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Timing:
    """Seconds, and a number of tries."""

    ack_delay_s: float = 0.05  # tMA: end of their message to our ACK or NAK, 0.04 to 0.2
    ack_wait_s: float = 0.2  # tMA: so long after the end of our message their ACK may come; from 0 s on it is taken
    latency_s: float = 0.05  # adapters and serial servers hold bytes back: added to every wait for an answer
    gap_s: float = 0.1  # tIM: between messages, at least
    message_s: float = 0.5  # tML: first to last byte of one message
    quiet_s: float = 0.03  # a rejected run is over after such a silence; 0.5 ms is a byte, 16 ms an adapter's pause
    seam_s: float = 0.1  # after such a silence inside an incomplete frame, a new frame may have begun
    reply_delay_s: float = 0.5  # tAR: our ACK to our reply, 0.1 to 3; many devices are deaf for a while after an ACK
    deaf_most_s: float = 2.0  # the delay after our ACK grows to this when a device keeps missing what follows it
    reply_wait_s: float = 3.0  # tAR: their ACK to their reply
    tries: int = 3  # in all, when there is no ACK, or a NAK for the checksum
    backoff_s: tuple[float, float] = (0.1, 2.0)  # before another try, drawn, so that two who collided part
    hold_s: float = 2.0  # a line that is never silent is talked over after this
    repeat_s: float = 3.0  # a reply that comes again within this is a repetition: our ACK was lost
    revert_s: float = 900.0  # back to 19200 bit/s after so long without valid traffic (-B 9.1.3)
