"""The two kinds of row: what must be refused and what must be read right."""

from message import ADMIN, PERSON  # noqa: F401, for the tables

GROUPS = ["Engineering", "Everyone"]


def reject(name, mechanism, code, make=None, advisory=None, **more):
    """A message that logs nobody in; code is in the log."""
    return {"name": name, "mechanism": mechanism, "expect": "reject", "code": code, "make": make,
            "advisory": advisory, **more}


def accept(name, mechanism, make=None, subject=PERSON, groups=None, advisory=None, **more):
    """A message of which only what is signed counts: the person and groups named here."""
    return {"name": name, "mechanism": mechanism, "expect": "accept-signed-only", "subject": subject,
            "groups": GROUPS if groups is None else groups, "make": make, "advisory": advisory, **more}
