"""Messages that are wrong before anybody asks who signed them."""

import zlib

from message import *
from rows import accept, reject
from rows_signature import evil


def good():
    return response(signed_assertion())


def prefixed(text):
    return lambda: text + good()


def in_response(old, new):
    """A change of the unsigned response around a signed assertion."""
    return lambda: sub(good(), old, new)


OPEN = f'<samlp:Response xmlns:samlp="{PROTOCOL}"'


def other_message(tag, signed=True):
    id = "_response1"
    text = response(tag=tag, signature=template(id) if signed else "")
    return sign(text, id) if signed else text


def request(tag, body=""):
    return (f'<samlp:{tag} xmlns:samlp="{PROTOCOL}" Destination="{ACS}" ID="_request1" IssueInstant="{ISSUED}" Version="2.0">\n'
            f'<saml:Issuer xmlns:saml="{ASSERTION}">{IDP}</saml:Issuer>{body}</samlp:{tag}>')


def deflated():
    squeeze = zlib.compressobj(9, zlib.DEFLATED, -15)
    return squeeze.compress(good().encode()) + squeeze.flush()


LAUGHS = ('<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">'
          '<!ENTITY c "&b;&b;&b;&b;&b;&b;&b;&b;">]>\n')

ROWS = [
    # Another message than a response.
    reject("logout-response", "a signed LogoutResponse", "document", lambda: other_message("LogoutResponse")),
    reject("logout-request-unsigned", "an unsigned LogoutRequest", "document",
           lambda: request("LogoutRequest", f'<saml:NameID xmlns:saml="{ASSERTION}">{ADMIN}</saml:NameID>'), "GHSA-pcgw-qcv5-h8ch"),
    reject("authn-request", "an AuthnRequest", "document", lambda: request("AuthnRequest")),
    reject("bare-assertion", "a signed assertion without response", "document", signed_assertion),
    reject("bare-assertion-unsigned", "an unsigned assertion without response", "document", evil),
    reject("response-of-another-namespace", "a Response of another namespace", "document",
           in_response(f'xmlns:samlp="{PROTOCOL}"', 'xmlns:samlp="urn:x"')),
    reject("soap-envelope", "a response in a SOAP envelope", "document",
           lambda: '<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/"><s:Body>' + good() + "</s:Body></s:Envelope>"),
    accept("xinclude", "an inclusion in the unsigned response, which nobody follows",
           in_response("<samlp:Status>", '<samlp:Extensions><xi:include xmlns:xi="http://www.w3.org/2001/XInclude" '
                       'href="file:///etc/passwd" parse="text"/></samlp:Extensions><samlp:Status>')),
    reject("saml-1-1", "a response of version 1.1", "version",
           lambda: response(signed_assertion()).replace('Version="2.0"', 'Version="1.1"', 1)),

    # What XML offers beside elements and text.
    reject("doctype-unused", "a DOCTYPE without use", "document", prefixed("<!DOCTYPE x>\n")),
    reject("doctype-system", "a DOCTYPE that refers to a file", "document", prefixed('<!DOCTYPE x SYSTEM "file:///etc/passwd">\n')),
    reject("doctype-comment", "a comment inside a DOCTYPE", "document", prefixed("<!DOCTYPE <!-- --> x>\n"), "GO-2020-0050"),
    reject("doctype-entity", "a DOCTYPE that defines an entity, and its use in the NameID of the signed assertion", "document",
           lambda: '<!DOCTYPE x [<!ENTITY e "admin">]>\n' + good().replace(f">{PERSON}</saml:NameID>", ">&e;</saml:NameID>")),
    reject("doctype-entities", "entities that grow", "document", prefixed(LAUGHS)),
    reject("doctype-inside", "a DOCTYPE inside the response", "document", in_response("<samlp:Status>", "<!DOCTYPE x><samlp:Status>")),
    reject("attlist", "an ATTLIST outside a DOCTYPE", "document", in_response("<samlp:Status>", "<!ATTLIST x y CDATA #IMPLIED><samlp:Status>"), "GO-2020-0050"),
    reject("processing-instruction", "a processing instruction before the response", "document", prefixed('<?xml-stylesheet href="x"?>\n')),
    reject("processing-instruction-inside", "a processing instruction inside the response", "document",
           in_response("<samlp:Status>", "<?x y?><samlp:Status>")),
    reject("declaration-inside", "a second XML declaration inside the response", "document",
           in_response("<samlp:Status>", '<?xml version="1.0"?><samlp:Status>')),
    reject("encoding-label", "UTF-8 that says it is UTF-16", "document", prefixed('<?xml version="1.0" encoding="utf-16"?>\n')),
    reject("encoding-utf-16", "UTF-16", "document",
           lambda: ('<?xml version="1.0" encoding="utf-16"?>\n' + good()).encode("utf-16")),
    reject("encoding-utf-7", "UTF-8 that says it is UTF-7", "document", prefixed('<?xml version="1.0" encoding="utf-7"?>\n')),
    reject("not-utf-8", "a byte that is not UTF-8", "document",
           lambda: good().encode().replace(b"<samlp:Status>", b"\xff<samlp:Status>")),
    reject("two-colons-in-element", "an element name with two colons", "document",
           in_response("<samlp:Status>", "<x::y/><samlp:Status>"), "GO-2020-0050"),
    reject("two-colons-in-attribute", "an attribute name with two colons", "document",
           in_response("<samlp:Status>", '<samlp:Status x::y="z">'), "GO-2020-0050"),
    reject("leading-colon-in-attribute", "an attribute name that begins with a colon", "document",
           in_response("<samlp:Status>", '<samlp:Status :a="z">'), "GO-2020-0050"),
    reject("same-attribute-name-twice", "an element with the same attribute twice", "document",
           in_response(' ID="_response1"', ' ID="_response1" ID="_assertion1"')),

    # One document, whole.
    reject("two-roots", "two responses after one another", "document",
           lambda: response(evil(), id="_evilresponse") + "\n" + good(), "CVE-2022-39299"),
    reject("two-roots-good-first", "an evil response after a good one", "document",
           lambda: good() + "\n" + response(evil(), id="_evilresponse"), "CVE-2022-39299"),
    reject("trailing-element", "an element after the response", "document", lambda: good() + "<x/>"),
    reject("trailing-text", "text after the response", "document", lambda: good() + "x"),
    reject("leading-text", "text before the response", "document", prefixed("x")),
    reject("cut-short", "the first half of a response", "document", lambda: good()[:len(good()) // 2]),
    reject("empty", "nothing", "document", lambda: b""),
    reject("not-xml", "what is not XML", "document", lambda: "SAMLResponse"),
    reject("deflated", "a good response, deflated: HTTP-POST does not do that (SAML bindings section 3.5.4)", "document", deflated),

    # Size. These are made by the test.
    reject("deflate-bomb", "32 MiB of spaces, deflated", "document", generate="deflate-bomb", advisory="CVE-2023-26483"),
    accept("plain-150-kib", "150 KiB of response", generate="plain-150-kib"),
    reject("plain-300-kib", "300 KiB of response", "too_large", generate="plain-300-kib"),
    reject("plain-20-mb", "20 MB of response", "too_large", generate="plain-20-mb", advisory="CVE-2025-54572"),
    accept("depth-64", "64 elements inside one another", generate="depth-64"),
    reject("depth-65", "65 elements inside one another", "document", generate="depth-65", advisory="GHSA-qhrp-hfff-vphr"),
    reject("depth-400", "400 elements inside one another", "document", generate="depth-400", advisory="GHSA-qhrp-hfff-vphr"),
    reject("depth-4000", "4,000 elements inside one another", "document", generate="depth-4000", advisory="GHSA-qhrp-hfff-vphr"),
]
