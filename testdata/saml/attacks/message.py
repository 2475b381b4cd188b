"""Builds SAML messages as text and signs and encrypts them with xmlsec1.

Messages are text, not trees: most attacks are a matter of which bytes stand
where, and a serializer would tidy them away.
"""

import base64
import hashlib
import os
import subprocess
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
KEYS = os.path.join(HERE, "..", "testkeys")

IDP = "https://idp.example.com/metadata"
SP = "https://sp.example.com/saml/acme/metadata"
ACS = "https://sp.example.com/saml/acme/acs"

# The id of the request that the tests make: they take all randomness of the
# request from a source of zeros.
REQUEST = "_" + "00" * 20

# The tests' clock stands at NOW; connections allow a skew of 60 seconds.
ISSUED = "2026-01-01T12:00:00Z"
NOW = "2026-01-01T12:00:30Z"
NOT_BEFORE = "2026-01-01T11:59:00Z"
NOT_AFTER = "2026-01-01T12:05:00Z"

DS = "http://www.w3.org/2000/09/xmldsig#"
MORE = "http://www.w3.org/2001/04/xmldsig-more#"
ENC = "http://www.w3.org/2001/04/xmlenc#"
ENC11 = "http://www.w3.org/2009/xmlenc11#"
EXC = "http://www.w3.org/2001/10/xml-exc-c14n#"
ENVELOPED = DS + "enveloped-signature"
RSA_SHA256 = MORE + "rsa-sha256"
SHA256 = ENC + "sha256"
ASSERTION = "urn:oasis:names:tc:SAML:2.0:assertion"
PROTOCOL = "urn:oasis:names:tc:SAML:2.0:protocol"
FORMATS = "urn:oasis:names:tc:SAML:1.1:nameid-format:"
BEARER = "urn:oasis:names:tc:SAML:2.0:cm:bearer"
SUCCESS = "urn:oasis:names:tc:SAML:2.0:status:Success"

PERSON = "ann@example.com"
ADMIN = "admin@example.com"


def attr(**values):
    """Returns text of XML attributes, without those that are None."""
    return "".join(f' {k}="{v}"' for k, v in values.items() if v is not None)


def attribute(name, *values, friendly=None):
    """Returns an Attribute element. The values are XML."""
    uri = "urn:oasis:names:tc:SAML:2.0:attrname-format:basic"
    body = "".join(f"<saml:AttributeValue>{v}</saml:AttributeValue>" for v in values)
    return f"<saml:Attribute{attr(Name=name, FriendlyName=friendly, NameFormat=uri)}>{body}</saml:Attribute>"


def person_attributes(email, groups):
    return (attribute("uid", "id-" + email.split("@")[0]) + attribute("email", email)
            + attribute("firstName", "Ann") + attribute("lastName", "Example")
            + attribute("groups", *groups))


def confirmation(method=BEARER, recipient=ACS, in_response_to=REQUEST, not_after=NOT_AFTER):
    data = attr(InResponseTo=in_response_to, NotOnOrAfter=not_after, Recipient=recipient)
    return (f'<saml:SubjectConfirmation Method="{method}">'
            f"<saml:SubjectConfirmationData{data}/></saml:SubjectConfirmation>")


def restriction(*audiences):
    return ("<saml:AudienceRestriction>" + "".join(f"<saml:Audience>{a}</saml:Audience>" for a in audiences)
            + "</saml:AudienceRestriction>")


def name_id(value, kind="emailAddress"):
    return f'<saml:NameID Format="{FORMATS}{kind}">{value}</saml:NameID>'


# The arguments of assertion and response are parts of the message; most are
# there for one attack.

def assertion(id="_assertion1", subject=PERSON, groups=("Everyone", "Engineering"), issuer=IDP, signature="",
              conditions=None, not_before=NOT_BEFORE, not_after=NOT_AFTER, audience=None, name=None,
              confirmations=None, attributes=None, email=None, extra="", more="", **confirm):
    if conditions is None:
        audience = restriction(SP) if audience is None else audience
        conditions = (f"<saml:Conditions{attr(NotBefore=not_before, NotOnOrAfter=not_after)}>"
                      f"{audience}</saml:Conditions>")
    if confirmations is None:
        confirmations = confirmation(**confirm)
    if attributes is None:
        attributes = person_attributes(email or (subject if "<" not in subject else PERSON), groups)
    name = name_id(subject) if name is None else name
    return (f'<saml:Assertion xmlns:saml="{ASSERTION}"{extra} ID="{id}" IssueInstant="{ISSUED}" Version="2.0">\n'
            f"<saml:Issuer>{issuer}</saml:Issuer>{signature}\n"
            f"<saml:Subject>{name}{confirmations}</saml:Subject>\n"
            f"{conditions}\n"
            f'<saml:AuthnStatement AuthnInstant="{ISSUED}"><saml:AuthnContext><saml:AuthnContextClassRef>'
            "urn:oasis:names:tc:SAML:2.0:ac:classes:PasswordProtectedTransport"
            "</saml:AuthnContextClassRef></saml:AuthnContext></saml:AuthnStatement>\n"
            f"<saml:AttributeStatement>{attributes}</saml:AttributeStatement>{more}\n"
            "</saml:Assertion>")


def response(*children, id="_response1", destination=ACS, in_response_to=REQUEST, issuer=IDP, signature="",
             status=SUCCESS, detail="", extra="", extensions="", tag="Response"):
    attributes = attr(Destination=destination, ID=id, InResponseTo=in_response_to, IssueInstant=ISSUED, Version="2.0")
    return (f'<samlp:{tag} xmlns:samlp="{PROTOCOL}"{extra}{attributes}>\n'
            f'<saml:Issuer xmlns:saml="{ASSERTION}">{issuer}</saml:Issuer>{signature}{extensions}\n'
            f'<samlp:Status><samlp:StatusCode Value="{status}"/>{detail}</samlp:Status>\n'
            + "".join(c + "\n" for c in children) + f"</samlp:{tag}>")


CERTIFICATE = "<ds:KeyInfo><ds:X509Data/></ds:KeyInfo>"


def reference(uri, digest=SHA256, transforms=(ENVELOPED, EXC), value=""):
    steps = "".join(t if t.startswith("<") else f'<ds:Transform Algorithm="{t}"></ds:Transform>' for t in transforms)
    return (f'<ds:Reference URI="{uri}"><ds:Transforms>{steps}</ds:Transforms>'
            f'<ds:DigestMethod Algorithm="{digest}"></ds:DigestMethod><ds:DigestValue>{value}</ds:DigestValue></ds:Reference>')


def signed_info(references, method=RSA_SHA256, namespace=""):
    """Returns a SignedInfo in canonical form."""
    return (f'<ds:SignedInfo{namespace}><ds:CanonicalizationMethod Algorithm="{EXC}"></ds:CanonicalizationMethod>'
            f'<ds:SignatureMethod Algorithm="{method}"></ds:SignatureMethod>{references}</ds:SignedInfo>')


def template(id="_assertion1", method=RSA_SHA256, key_info=CERTIFICATE, references=None, **ref):
    """Returns a Signature for xmlsec1 to fill in."""
    references = reference("#" + id, **ref) if references is None else references
    return (f'<ds:Signature xmlns:ds="{DS}">{signed_info(references, method)}'
            f"<ds:SignatureValue/>{key_info}</ds:Signature>")


def key_file(name):
    return os.path.join(KEYS, name)


def run(*args, stdin=None):
    done = subprocess.run(args, input=stdin, capture_output=True)
    if done.returncode != 0:
        raise SystemExit(f"{' '.join(args)}\n{done.stderr.decode()}")
    return done.stdout


def xmlsec(command, text, *options):
    """Runs xmlsec1 on a document and returns what it writes, without the XML declaration."""
    with tempfile.TemporaryDirectory() as directory:
        source, target = os.path.join(directory, "in.xml"), os.path.join(directory, "out.xml")
        with open(source, "w", encoding="utf-8", newline="") as f:
            f.write(text)
        run("xmlsec1", command, "--output", target, "--id-attr:ID", ASSERTION + ":Assertion",
            "--id-attr:ID", PROTOCOL + ":Response", "--id-attr:ID", PROTOCOL + ":LogoutResponse",
            "--id-attr:ID", PROTOCOL + ":LogoutRequest", *options, source)
        with open(target, encoding="utf-8", newline="") as f:
            return f.read().split("?>\n", 1)[1].rstrip("\n")


def sign(text, id="_assertion1", key="idp", options=None):
    """Fills in the Signature that is a child of the element with an ID."""
    if options is None:
        options = ("--privkey-pem", key_file(key + ".key") + "," + key_file(key + ".crt"))
    node = f"//*[@ID='{id}']/*[local-name()='Signature']"
    return xmlsec("--sign", text, *options, "--node-xpath", node)


def signed_assertion(key="idp", sig=None, sign_options=None, **fields):
    """Returns an assertion that is signed on its own."""
    id = fields.get("id", "_assertion1")
    sig = sig or {}
    return sign(assertion(signature=template(id, **sig), **fields), id, key, sign_options)


def signed_response(*children, key="idp", sig=None, **fields):
    """Returns a response that is signed as a whole."""
    id = fields.get("id", "_response1")
    return sign(response(*children, signature=template(id, **(sig or {})), **fields), id, key)


def digest(data):
    return base64.b64encode(hashlib.sha256(data).digest()).decode()


def signature_by_hand(references, method=RSA_SHA256, key="idp", key_info=None, options=()):
    """Signs a SignedInfo as it is, whatever its references say."""
    canonical = signed_info(references, method, f' xmlns:ds="{DS}"')
    value = run("openssl", "dgst", "-sha256", *options, "-sign", key_file(key + ".key"), stdin=canonical.encode())
    if key_info is None:
        key_info = f"<ds:KeyInfo><ds:X509Data><ds:X509Certificate>{certificate(key)}</ds:X509Certificate></ds:X509Data></ds:KeyInfo>"
    return (f'<ds:Signature xmlns:ds="{DS}">{signed_info(references, method)}<ds:SignatureValue>'
            f"{base64.b64encode(value).decode()}</ds:SignatureValue>{key_info}</ds:Signature>")


def certificate(key):
    """Returns a certificate as base64 on one line."""
    with open(key_file(key + ".crt"), encoding="ascii") as f:
        pem = f.read()
    return "".join(pem.split("-----BEGIN CERTIFICATE-----")[1].split("-----END")[0].split())


def encrypted(text, data=ENC11 + "aes256-gcm", transport=ENC + "rsa-oaep-mgf1p", session="aes-256", key="sp"):
    """Returns an EncryptedAssertion that holds an assertion, made by xmlsec1."""
    digest_method = f'<ds:DigestMethod Algorithm="{DS}sha1"/>' if "oaep" in transport else ""
    blank = (f'<xenc:EncryptedData xmlns:xenc="{ENC}" Type="{ENC}Element"><xenc:EncryptionMethod Algorithm="{data}"/>'
             f'<ds:KeyInfo xmlns:ds="{DS}"><xenc:EncryptedKey><xenc:EncryptionMethod Algorithm="{transport}">'
             f"{digest_method}</xenc:EncryptionMethod><xenc:CipherData><xenc:CipherValue/></xenc:CipherData>"
             "</xenc:EncryptedKey></ds:KeyInfo><xenc:CipherData><xenc:CipherValue/></xenc:CipherData></xenc:EncryptedData>")
    wrapped = f'<saml:EncryptedAssertion xmlns:saml="{ASSERTION}">{text}</saml:EncryptedAssertion>'
    with tempfile.NamedTemporaryFile("w", suffix=".xml", encoding="utf-8", newline="") as f:
        f.write(wrapped)
        f.flush()
        return xmlsec("--encrypt", blank, "--pubkey-cert-pem", key_file(key + ".crt"), "--session-key", session,
                      "--xml-data", f.name, "--node-xpath", "/*/*[local-name()='Assertion']")


def encrypted_by_hand(plain, key="sp"):
    """Returns an EncryptedAssertion of AES-128-CBC whose blocks are encrypted without padding."""
    secret, vector = bytes(range(16)), bytes(16)
    blocks = run("openssl", "enc", "-aes-128-cbc", "-nopad", "-K", secret.hex(), "-iv", vector.hex(), stdin=plain)
    wrapped = run("openssl", "pkeyutl", "-encrypt", "-certin", "-inkey", key_file(key + ".crt"),
                  "-pkeyopt", "rsa_padding_mode:oaep", stdin=secret)
    return (f'<saml:EncryptedAssertion xmlns:saml="{ASSERTION}"><xenc:EncryptedData xmlns:xenc="{ENC}" Type="{ENC}Element">'
            f'<xenc:EncryptionMethod Algorithm="{ENC}aes128-cbc"/><ds:KeyInfo xmlns:ds="{DS}"><xenc:EncryptedKey>'
            f'<xenc:EncryptionMethod Algorithm="{ENC}rsa-oaep-mgf1p"><ds:DigestMethod Algorithm="{DS}sha1"/></xenc:EncryptionMethod>'
            f"<xenc:CipherData><xenc:CipherValue>{base64.b64encode(wrapped).decode()}</xenc:CipherValue></xenc:CipherData>"
            "</xenc:EncryptedKey></ds:KeyInfo><xenc:CipherData><xenc:CipherValue>"
            f"{base64.b64encode(vector + blocks).decode()}</xenc:CipherValue></xenc:CipherData></xenc:EncryptedData></saml:EncryptedAssertion>")


def sub(text, old, new):
    """Replaces the only occurrence of old."""
    if text.count(old) != 1:
        raise SystemExit(f"{text.count(old)} occurrences of {old!r}")
    return text.replace(old, new)


def cut(text, start, end):
    """Returns text without, and alone, what stands from start through end."""
    i = text.index(start)
    j = text.index(end, i) + len(end)
    return text[:i] + text[j:], text[i:j]


def cut_signature(text):
    return cut(text, "<ds:Signature ", "</ds:Signature>")
