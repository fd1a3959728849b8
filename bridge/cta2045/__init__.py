"""CTA-2045 (EcoPort): the bridge as a universal communications module (UCM) for smart grid devices (SGD).

Rule: this package and ``bridge.ocpp`` do not know each other. Bytes are ``frames``, turns on the line are ``link``,
meaning is ``commands`` and ``intermediate``; all of these are pure, and only ``serial``, ``module`` and ``fleet`` wait.
"""
