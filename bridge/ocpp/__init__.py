"""OCPP 1.6J and 2.0.1: chargers dial in, limits go out as charging profiles, meter values come back."""
