"""Messages that an identity provider signed as they are: who, for whom, when."""

from message import *
from rows import GROUPS, accept, reject


def plain(**fields):
    """A response around an assertion that is signed on its own."""
    outer = {k[1:]: fields.pop(k) for k in list(fields) if k.startswith("_")}
    return response(signed_assertion(**fields), **outer)


def whole(**fields):
    """A response that is signed as a whole."""
    outer = {k[1:]: fields.pop(k) for k in list(fields) if k.startswith("_")}
    return signed_response(assertion(**fields), **outer)


def many(values):
    """The names of so many groups, in order."""
    return [f"group-{i:04}" for i in range(values)]


def only_groups(values):
    """No attribute but groups."""
    return attribute("groups", *many(values))


TYPED = '<saml:AttributeValue xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:type="xs:string">'
PREFIXES = f'<ds:Transform Algorithm="{EXC}"><ec:InclusiveNamespaces xmlns:ec="{EXC}" PrefixList="xs"></ec:InclusiveNamespaces></ds:Transform>'
PAST, FUTURE = "2026-01-01T11:00:00Z", "2026-01-01T13:00:00Z"
EMPTY_NAME = f'<saml:NameID Format="{FORMATS}emailAddress"></saml:NameID>'

ROWS = [
    # What an honest identity provider sends.
    accept("valid-assertion-signed", "a signed assertion in an unsigned response", lambda: plain()),
    accept("valid-response-signed", "an assertion in a signed response", lambda: whole()),
    accept("valid-both-signed", "a signed assertion in a signed response",
           lambda: signed_response(signed_assertion())),
    accept("valid-encrypted", "a signed assertion, encrypted with AES-256-GCM and RSA-OAEP",
           lambda: response(encrypted(signed_assertion())), random=True),
    accept("valid-encrypted-in-signed-response", "an encrypted assertion in a signed response",
           lambda: signed_response(encrypted(assertion())), random=True),
    accept("valid-encrypted-cbc", "an assertion in a signed response, encrypted with AES-128-CBC and RSA-OAEP",
           lambda: signed_response(encrypted(assertion(), ENC + "aes128-cbc", session="aes-128")), random=True),
    accept("valid-xml-declaration", "an XML declaration, as many identity providers write it",
           lambda: '<?xml version="1.0" encoding="UTF-8"?>\n' + plain()),
    accept("valid-without-key-info", "a signature without KeyInfo",
           lambda: plain(sig={"key_info": ""})),

    accept("valid-sha512", "RSA-SHA512 and a SHA-512 digest",
           lambda: plain(sig={"method": MORE + "rsa-sha512", "digest": ENC + "sha512"})),
    accept("valid-inclusive-canonicalization", "a transform by inclusive canonicalization",
           lambda: whole(_sig={"transforms": (ENVELOPED, "http://www.w3.org/TR/2001/REC-xml-c14n-20010315")})),
    accept("valid-canonicalization-with-comments", "a canonicalization that keeps comments, of an assertion without",
           lambda: plain(sig={"transforms": (ENVELOPED, EXC + "WithComments")})),
    accept("valid-inclusive-namespaces", "typed attribute values whose prefix the transform lists",
           lambda: plain(extra=' xmlns:xs="http://www.w3.org/2001/XMLSchema"', sig={"transforms": (ENVELOPED, PREFIXES)},
                         attributes=person_attributes(PERSON, ["Everyone", "Engineering"]).replace("<saml:AttributeValue>", TYPED))),

    # Audience.
    reject("wrong-audience", "AudienceRestriction names another service provider", "audience",
           lambda: plain(audience=restriction("https://other.example.com/metadata"))),
    reject("no-audience", "Conditions without AudienceRestriction", "audience", lambda: plain(audience="")),
    reject("empty-audience", "an empty Audience", "audience", lambda: plain(audience=restriction(""))),
    reject("second-restriction-of-another", "two AudienceRestrictions, of which one names another: both must hold (SAML core section 2.5.1.4)",
           "audience", lambda: plain(audience=restriction(SP) + restriction("https://other.example.com/metadata"))),
    accept("several-audiences", "one AudienceRestriction that names us and another: one is enough",
           lambda: plain(audience=restriction("https://other.example.com/metadata", SP))),
    reject("no-conditions", "no Conditions at all", "shape", lambda: plain(conditions="")),
    reject("audience-prefix", "an audience that begins like ours", "audience",
           lambda: plain(audience=restriction(SP + ".evil.example"))),

    # Time. The skew is 60 seconds.
    reject("expired", "Conditions expired an hour ago", "expired", lambda: plain(not_after=PAST)),
    reject("not-yet-valid", "Conditions begin in an hour", "not_yet_valid", lambda: plain(not_before=FUTURE)),
    reject("now-equals-not-on-or-after", "now is NotOnOrAfter plus the skew: one must be before it",
           "expired", lambda: plain(not_after="2026-01-01T11:59:30Z")),
    accept("now-before-not-on-or-after", "a second before NotOnOrAfter plus the skew",
           lambda: plain(not_after="2026-01-01T11:59:31Z")),
    accept("now-equals-not-before", "now is NotBefore less the skew",
           lambda: plain(not_before="2026-01-01T12:01:30Z")),
    reject("now-before-not-before", "a second before NotBefore less the skew", "not_yet_valid",
           lambda: plain(not_before="2026-01-01T12:01:31Z")),
    reject("confirmation-expired", "SubjectConfirmationData expired an hour ago", "expired",
           lambda: plain(confirmations=confirmation(not_after=PAST))),
    accept("confirmation-of-a-day", "SubjectConfirmationData good for a day",
           lambda: plain(confirmations=confirmation(not_after="2026-01-02T12:00:00Z"))),
    reject("confirmation-for-ever", "SubjectConfirmationData that never ends: its use would be remembered for ever", "lifetime",
           lambda: plain(confirmations=confirmation(not_after="9999-12-31T23:59:59Z"), not_after="9999-12-31T23:59:59Z")),
    reject("confirmation-without-end", "SubjectConfirmationData without NotOnOrAfter (SAML profiles section 4.1.4.2)", "confirmation",
           lambda: plain(confirmations=confirmation(not_after=None))),

    # Whose message it is, and whose request it answers.
    reject("wrong-recipient", "Recipient is the ACS of another service provider", "recipient",
           lambda: plain(recipient="https://other.example.com/acs")),
    reject("no-recipient", "no Recipient", "recipient", lambda: plain(recipient=None)),
    reject("wrong-destination", "Destination of a signed response is another ACS", "destination",
           lambda: whole(_destination="https://other.example.com/acs")),
    reject("wrong-destination-unsigned", "Destination of an unsigned response is another ACS", "destination",
           lambda: plain(_destination="https://other.example.com/acs")),
    reject("missing-destination", "a signed response without Destination (SAML bindings section 3.5.5.2)", "destination",
           lambda: whole(_destination=None)),
    accept("missing-destination-unsigned", "an unsigned response without Destination: Recipient covers it",
           lambda: plain(_destination=None)),
    reject("wrong-issuer", "Issuer of the assertion is another identity provider", "issuer",
           lambda: plain(issuer="https://evil.example.com/metadata")),
    reject("wrong-response-issuer", "Issuer of the response is another identity provider", "issuer",
           lambda: whole(_issuer="https://evil.example.com/metadata")),
    reject("wrong-in-response-to", "an answer to a request that we did not make", "in_response_to",
           lambda: plain(in_response_to="_another", _in_response_to="_another")),
    reject("forged-response-in-response-to", "the unsigned response says that it answers our request, the assertion answers another",
           "in_response_to", lambda: plain(in_response_to="_another")),
    reject("contradicting-response-in-response-to", "the assertion answers our request, the response says that it answers another", "in_response_to",
           lambda: plain(_in_response_to="_another")),
    reject("no-in-response-to-in-assertion", "only the unsigned response says that it answers our request", "in_response_to",
           lambda: plain(in_response_to=None)),
    reject("idp-initiated-off", "an answer to no request, where that is off", "unsolicited",
           lambda: plain(in_response_to=None, _in_response_to=None), browser="none"),
    reject("idp-initiated-off-asked", "an answer to no request, in a browser that made one", "in_response_to",
           lambda: plain(in_response_to=None, _in_response_to=None)),
    accept("idp-initiated-on", "an answer to no request, where that is allowed",
           lambda: plain(in_response_to=None, _in_response_to=None), connection="idp-initiated", browser="none"),
    reject("idp-initiated-unknown-request", "an answer to a request that we did not make, where no request is needed", "no_request",
           lambda: plain(in_response_to="_another", _in_response_to="_another"), connection="idp-initiated", browser="none"),
    reject("other-browser", "a valid response whose request another browser made", "in_response_to",
           lambda: plain(), browser="other"),
    reject("other-person-other-browser", "a valid response for another person whose request another browser made", "in_response_to",
           lambda: plain(subject="bob@example.com"), browser="other"),
    reject("other-browser-relay-state", "a valid response and its RelayState in another browser", "no_request",
           lambda: plain(), browser="other-relay-state"),
    reject("lost-relay-state", "a valid response without RelayState", "no_request",
           lambda: plain(), browser="lost-relay-state"),
    reject("no-cookie", "a valid response from a browser that made no request", "no_request",
           lambda: plain(), browser="none"),
    reject("idp-initiated-answer", "an answer to the request of another browser, where no request is needed", "no_request",
           lambda: plain(), connection="idp-initiated", browser="none"),
    reject("idp-initiated-answer-stripped", "the same, and the unsigned response does not say that it is an answer", "no_request",
           lambda: plain(_in_response_to=None), connection="idp-initiated", browser="none"),
    reject("replay", "a valid response twice", "replay", lambda: plain(), times=2),
    reject("replay-idp-initiated", "a valid response to no request, twice", "replay",
           lambda: plain(in_response_to=None, _in_response_to=None), connection="idp-initiated", browser="none", times=2),
    reject("holder-of-key", "no bearer confirmation", "confirmation",
           lambda: plain(confirmations=confirmation("urn:oasis:names:tc:SAML:2.0:cm:holder-of-key"))),
    reject("no-confirmation", "a Subject without SubjectConfirmation", "confirmation", lambda: plain(confirmations="")),
    reject("status-failed", "a signed response whose status is AuthnFailed", "status",
           lambda: whole(_status="urn:oasis:names:tc:SAML:2.0:status:Responder")),

    # The person.
    reject("empty-name-id", "an empty NameID", "name_id", lambda: plain(name=EMPTY_NAME)),
    reject("blank-name-id", "a NameID of white space", "name_id", lambda: plain(name=name_id(" \n "))),
    reject("long-name-id", "a NameID of 257 letters", "name_id", lambda: plain(name=name_id("a" * 257))),
    reject("control-name-id", "a NameID with a control character", "name_id",
           lambda: plain(name=name_id("ann&#9;@example.com"))),
    accept("padded-name-id", "a space before a NameID makes it another name, a line break after it is layout",
           lambda: plain(name=name_id(" ann@example.com\n"))),
    reject("no-name-id", "a Subject without NameID", "name_id", lambda: plain(name="")),
    reject("encrypted-id-empty", "an EncryptedID in place of the NameID, with nothing in it", "decryption",
           lambda: plain(name=f'<saml:EncryptedID><xenc:EncryptedData xmlns:xenc="{ENC}"/></saml:EncryptedID>')),
    reject("name-id-with-element", "an element inside NameID splits its text", "name_id",
           lambda: plain(name=name_id("admin<b>@</b>@example.com"), email=PERSON)),
    accept("name-id-comment", "a comment inside NameID: the whole text counts, not what is before it",
           lambda: plain(subject="admin@example.com<!-- -->.evil.com", email="admin@example.com.evil.com"),
           subject="admin@example.com.evil.com", advisory="CVE-2017-11427"),
    accept("name-id-cdata", "a CDATA section inside NameID: the whole text counts",
           lambda: plain(subject="<![CDATA[admin@example.com]]>.evil.com", email="admin@example.com.evil.com"),
           subject="admin@example.com.evil.com"),
    accept("name-id-character-reference", "a letter of a signed NameID, written as a reference: it is the same text",
           lambda: plain().replace(f">{PERSON}</saml:NameID>", f">&#97;{PERSON[1:]}</saml:NameID>")),
    accept("attribute-comment", "a comment inside an AttributeValue: the whole text counts",
           lambda: plain(groups=("Everyone", "Admins<!-- -->Not")), groups=["AdminsNot", "Everyone"], advisory="CVE-2017-11427"),
    reject("name-id-processing-instruction", "a processing instruction inside NameID", "document",
           lambda: plain(subject="admin@example.com<?x y?>.evil.com")),

    # Attributes.
    accept("same-attribute-twice", "one Attribute element for each value: the values are merged",
           lambda: plain(attributes=person_attributes(PERSON, ["Everyone"]) + attribute("groups", "Engineering")
                         + attribute("groups", "Sales")), groups=["Engineering", "Everyone", "Sales"]),
    accept("second-attribute-statement", "attributes in two statements are merged",
           lambda: plain(more=f'<saml:AttributeStatement>{attribute("groups", "Sales")}</saml:AttributeStatement>'),
           groups=["Engineering", "Everyone", "Sales"]),
    reject("nested-xml-in-value", "an element inside the value of a mapped attribute: neither glued together nor left out of a list that then is too short",
           "attribute", lambda: plain(groups=("Everyone", 'Adm<b>x</b>ins'))),
    accept("nested-xml-in-unmapped-value", "an element inside the value of an attribute that nobody reads",
           lambda: plain(attributes=person_attributes(PERSON, GROUPS) + attribute("photo", "<b>x</b>"))),
    accept("friendly-name", "attributes that are known by their FriendlyName only",
           lambda: plain(attributes=attribute("uid", "id-ann") + attribute("urn:oid:0.9.2342.19200300.100.1.3", PERSON, friendly="email")
                         + attribute("firstName", "Ann") + attribute("lastName", "Example")
                         + attribute("urn:example:groups", "Everyone", "Engineering", friendly="groups"))),
    reject("two-signed-assertions", "two assertions, both signed: whose audience and time would count?", "assertions",
           lambda: response(signed_assertion(), signed_assertion(id="_assertion2", subject=ADMIN, groups=("Admins",)))),
    reject("two-assertions-in-signed-response", "two assertions in a signed response", "assertions",
           lambda: signed_response(assertion(), assertion(id="_assertion2", subject=ADMIN, groups=("Admins",)))),
    reject("no-assertion", "a signed response of success without assertion", "assertions", lambda: signed_response()),

    # The ceiling of elements.
    accept("values-1000-assertion-signed", "1,000 attribute values in a signed assertion, as many as an identity may have groups",
           lambda: plain(attributes=only_groups(1000)), groups=many(1000)),
    reject("values-2600-assertion-signed", "2,600 attribute values in a signed assertion", "assertion_too_large",
           lambda: plain(attributes=only_groups(2600))),
]
