"""Simulated equipment for rehearsals, tests and load: an EV analogue and OCPP charge points on an independent
library.
"""
