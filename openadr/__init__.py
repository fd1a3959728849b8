"""OpenADR 2.0b, pure: messages, times, timeline, exchange rules, codec; no I/O, no clock, no random draw."""
