"""The PKI tool: authorities by role, certificates by profile, trust files, inventory; command ``oadr-certs``."""
