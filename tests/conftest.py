"""Fixtures for all tests: databases of both kinds (see ``tests/databases.py``)."""

pytest_plugins = ("tests.databases",)
