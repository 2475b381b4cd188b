"""The two kinds of row: what must be refused and what must be read right."""

from message import ADMIN, PERSON  # noqa: F401, for the tables

GROUPS = ["Engineering", "Everyone"]

# What gosaml2 v0.12.0 lets pass on its own, with the tests' clock: rules of our
# own must refuse these. All others it refuses itself. A test compares both
# lists with the library, so that an upgrade shows what it changes.
LIBRARY_ACCEPTS = {
    # audience and time
    "wrong-audience", "no-audience", "empty-audience", "second-restriction-of-another", "no-conditions", "audience-prefix",
    "expired", "not-yet-valid", "confirmation-for-ever", "now-equals-not-on-or-after", "now-before-not-before",
    # destination and request
    "missing-destination", "wrong-in-response-to", "forged-response-in-response-to", "contradicting-response-in-response-to", "no-in-response-to-in-assertion",
    "idp-initiated-off", "idp-initiated-off-asked", "idp-initiated-answer", "idp-initiated-answer-stripped",
    "other-browser-relay-state", "lost-relay-state", "idp-initiated-unknown-request", "other-browser", "other-person-other-browser", "no-cookie",
    "replay", "replay-idp-initiated",
    # the person
    "empty-name-id", "blank-name-id", "long-name-id", "control-name-id", "no-name-id", "encrypted-id",
    "name-id-processing-instruction", "name-id-with-element", "nested-xml-in-value", "two-signed-assertions", "two-assertions-in-signed-response",
    # algorithms
    "two-references", "sha1-signature", "sha1-digest", "sha1-encrypted", "rsa-1-5", "cbc-unsigned-response",
    "cbc-gcm-decoy-extensions", "cbc-gcm-decoy-status", "cbc-gcm-decoy-assertion",
    # the document
    "doctype-unused", "doctype-system", "doctype-comment", "doctype-entities", "doctype-inside", "attlist",
    "processing-instruction", "processing-instruction-inside", "declaration-inside", "encoding-label", "encoding-utf-7",
    "leading-colon-in-attribute", "two-roots-good-first", "trailing-element", "trailing-text", "leading-text", "deflated",
    "attributes-in-signature", "relative-namespace-on-response",
}


def reject(name, mechanism, code, make=None, advisory=None, **more):
    """A message that logs nobody in; code is in the log."""
    return {"name": name, "mechanism": mechanism, "expect": "reject", "code": code, "make": make,
            "advisory": advisory, "library": "accepts" if name in LIBRARY_ACCEPTS else None, **more}


def accept(name, mechanism, make=None, subject=PERSON, groups=None, advisory=None, **more):
    """A message of which only what is signed counts: the person and groups named here."""
    return {"name": name, "mechanism": mechanism, "expect": "accept-signed-only", "subject": subject,
            "groups": GROUPS if groups is None else groups, "make": make, "advisory": advisory, **more}
