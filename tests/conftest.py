"""For every test: the database fixtures, and hypothesis without deadlines (machines differ), repeatable in CI."""

import os

from hypothesis import settings

pytest_plugins = ("tests.databases",)

settings.register_profile("local", deadline=None)
settings.register_profile("ci", deadline=None, derandomize=True)
settings.load_profile("ci" if os.environ.get("CI") else "local")
