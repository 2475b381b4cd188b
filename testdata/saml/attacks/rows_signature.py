"""Messages that an attacker made of signed ones, and signatures that must not count."""

from message import *
from rows import accept, reject

EVIL = {"id": "_evil", "subject": ADMIN, "groups": ("Everyone", "Admins")}


def evil(signature="", **fields):
    """What the attacker wants to be read: an assertion of an admin."""
    return assertion(signature=signature, **{**EVIL, **fields})


def split(signed):
    """Returns a signed message without its signature, and the signature."""
    return cut_signature(signed)


def into_signature(signature, what, tag=None):
    """Puts something at the end of a Signature."""
    body = what if tag is None else f"<ds:{tag}>{what}</ds:{tag}>"
    return signature.replace("</ds:Signature>", body + "</ds:Signature>")


def with_signature(text, signature):
    """Puts a Signature after the first Issuer of a message."""
    at = text.index("</saml:Issuer>") + len("</saml:Issuer>")
    return text[:at] + signature + text[at:]


def wrap_response(into):
    """The signed response inside an evil one: inside its Signature, or before it."""
    original, signature = split(signed_response(assertion()))
    outer = response(evil(), id="_evilresponse")
    if into:
        return with_signature(outer, into_signature(signature, original))
    return with_signature(outer, original + signature)


def wrap_inside():
    """XSW 4: the signed assertion is a child of the evil one."""
    return response(evil(more=signed_assertion()))


def wrap_copy():
    """XSW 5: the evil assertion carries the signature, the original follows without."""
    original, signature = split(signed_assertion())
    return response(evil(signature), original)


def wrap_signature(tag=None):
    """XSW 6 and 8: the evil assertion carries the signature, which holds the original."""
    original, signature = split(signed_assertion())
    return response(evil(into_signature(signature, original, tag)))


def wrap_extensions():
    """XSW 7: the evil assertion, with the same ID, is in an Extensions element."""
    return response(signed_assertion(), extensions=f"<samlp:Extensions>{evil(id='_assertion1')}</samlp:Extensions>")


def edited(old, new, **fields):
    return response(sub(signed_assertion(**fields), old, new))


def by_hand(references, **fields):
    """An assertion with a signature of the identity provider over any references."""
    return response(assertion(signature=signature_by_hand(references), **fields))


def pss(method, salt="digest"):
    """An assertion that is signed by RSA-PSS, which xmlsec1 learnt in 1.3."""
    options = ("-sigopt", "rsa_padding_mode:pss", "-sigopt", f"rsa_pss_saltlen:{salt}")
    return response(assertion(signature=signature_by_hand(reference("#_assertion1", value=right_digest()), method, options=options)))


PSS = "http://www.w3.org/2007/05/xmldsig-more#"


def right_digest(**fields):
    """The digest that the signature of an assertion has to name."""
    return signed_assertion(**fields).split("<ds:DigestValue>")[1].split("<")[0]


def signature_value(**fields):
    return cut(signed_assertion(**fields), "<ds:SignatureValue>", "</ds:SignatureValue>")[1]


def smuggled(where):
    """The digest of the evil assertion stands where a loose search finds it first."""
    _, signature = split(signed_assertion())
    forged = right_digest(**{**EVIL, "id": "_assertion1"})
    bait = f'<ds:DigestValue xmlns:ds="{DS}">{forged}</ds:DigestValue>'
    body = evil(signature, id="_assertion1")
    if where == "StatusDetail":
        return response(body, detail=f"<samlp:StatusDetail>{bait}</samlp:StatusDetail>")
    return response(body, extensions=f"<samlp:Extensions>{bait}</samlp:Extensions>")


def two_references():
    """The identity provider signed two elements with one signature; the second is not ours to read."""
    own = right_digest()
    other = right_digest(id="_evil", subject=ADMIN, groups=("Admins",))
    return by_hand(reference("#_assertion1", value=own) + reference("#_evil", value=other))


def twice_signed_info():
    """A second SignedInfo, with the digest of the evil assertion, before the signed one."""
    _, signature = split(signed_assertion())
    forged = right_digest(**{**EVIL, "id": "_assertion1"})
    second = signed_info(reference("#_assertion1", value=forged))
    return response(evil(signature.replace("<ds:SignedInfo>", second + "<ds:SignedInfo>", 1), id="_assertion1"))


def digest_comment(forge):
    """A comment inside DigestValue."""
    text = signed_assertion()
    if not forge:
        return response(text.replace("<ds:DigestValue>", "<ds:DigestValue><!-- -->", 1))
    _, signature = split(text)
    forged = right_digest(**{**EVIL, "id": "_assertion1"})
    return response(evil(signature.replace("<ds:DigestValue>", f"<ds:DigestValue><!--{forged}-->", 1), id="_assertion1"))


def void(spoil):
    """The identity provider signed the digest of nothing, which a verifier gets that cannot canonicalize."""
    return by_hand(reference("#_assertion1", value=digest(b"")), **EVIL | {"id": "_assertion1", "extra": spoil})


def hmac():
    """The certificate, which is public, is the HMAC key."""
    return response(signed_assertion(sig={"method": MORE + "hmac-sha256", "key_info": ""},
                                     sign_options=("--hmackey", key_file("idp.crt"))))


def unsigned_with_method(method):
    """A signature that only names an algorithm."""
    text = evil(template("_evil", method=method, value=digest(b"")))
    return response(text)


def dsa():
    info = '<ds:KeyInfo><ds:KeyValue/></ds:KeyInfo>'
    return response(signed_assertion(sig={"method": DS + "dsa-sha1", "key_info": info}, key="dsa", **EVIL))


def key_info(info):
    return response(signed_assertion(sig={"key_info": info}))


KEY_NAME = "<ds:KeyInfo><ds:KeyName>idp</ds:KeyName></ds:KeyInfo>"
KEY_VALUE = "<ds:KeyInfo><ds:KeyValue/></ds:KeyInfo>"


def borrowed_certificate():
    """The attacker signs and names the certificate of the identity provider."""
    text = signed_assertion(key="attacker", **EVIL)
    _, own = cut(text, "<ds:X509Certificate>", "</ds:X509Certificate>")
    return response(text.replace(own, f"<ds:X509Certificate>{certificate('idp')}</ds:X509Certificate>"))


def signature_without(start, end):
    """A signature that lacks a part."""
    text, _ = cut(signed_assertion(), start, end)
    return response(text)


XPATH = (f'<ds:Transform Algorithm="http://www.w3.org/TR/1999/REC-xpath-19991116"><ds:XPath xmlns:saml="{ASSERTION}">'
         "not(ancestor-or-self::saml:NameID)</ds:XPath></ds:Transform>")
XSLT = ('<ds:Transform Algorithm="http://www.w3.org/TR/1999/REC-xslt-19991116">'
        '<xsl:stylesheet xmlns:xsl="http://www.w3.org/1999/XSL/Transform" version="1.0"><xsl:template match="/">'
        "<nothing></nothing></xsl:template></xsl:stylesheet></ds:Transform>")


def attributes_aside(place):
    """Attributes that nobody signed, beside the signed ones."""
    statement = (f'<saml:AttributeStatement xmlns:saml="{ASSERTION}">'
                 + attribute("groups", "Admins") + "</saml:AttributeStatement>")
    text = signed_assertion()
    if place == "response":
        return response(statement, text)
    return response(text.replace("</ds:Signature>", f"<ds:Object>{statement}</ds:Object></ds:Signature>", 1))


def cbc_zero():
    return response(encrypted_by_hand(bytes(32)))


DECOY = f'<xenc:EncryptedData xmlns:xenc="{ENC}"><xenc:EncryptionMethod Algorithm="{ENC11}aes128-gcm"/></xenc:EncryptedData>'


def cbc_response(**fields):
    return response(encrypted(signed_assertion(), ENC + "aes128-cbc", session="aes-128"), **fields)


def status_last(text):
    """Moves the Status after the assertion: an inspection sees it last."""
    rest, status = cut(text, "<samlp:Status>", "</samlp:Status>")
    return rest.replace("</samlp:Response>", status + "</samlp:Response>")


def tampered_cipher():
    """One bit of the cipher text differs: the tag of GCM must show it."""
    text = encrypted(signed_assertion())
    head, tail = text.rsplit("<xenc:CipherValue>", 1)
    at = 200
    return response(head + "<xenc:CipherValue>" + tail[:at] + ("A" if tail[at] != "A" else "B") + tail[at + 1:])


ROWS = [
    # Signature wrapping, by the numbers that the literature gives the shapes.
    reject("xsw-1", "a signed response inside the Signature of an evil one", "shape", lambda: wrap_response(True)),
    reject("xsw-2", "a signed response before the Signature of an evil one", "shape", lambda: wrap_response(False)),
    reject("xsw-3", "an evil assertion before the signed one", "assertions", lambda: response(evil(), signed_assertion()), "CVE-2025-47949"),
    reject("xsw-3-after", "an evil assertion after the signed one", "assertions", lambda: response(signed_assertion(), evil())),
    reject("xsw-4", "a signed assertion inside an evil one", "shape", wrap_inside),
    reject("xsw-5", "the signature moved to an evil assertion, the original follows", "shape", wrap_copy),
    reject("xsw-6", "the signature moved to an evil assertion, the original inside the signature", "shape", wrap_signature),
    reject("xsw-7", "an evil assertion of the same ID in Extensions", "shape", wrap_extensions),
    reject("xsw-8", "the signature moved to an evil assertion, the original in an Object of the signature", "shape",
           lambda: wrap_signature("Object")),
    reject("same-id-twice", "an evil assertion with the ID of the signed one, before it", "shape",
           lambda: response(evil(id="_assertion1"), signed_assertion())),
    reject("encrypted-and-plain", "a signed encrypted assertion beside an unsigned plain one", "assertions",
           lambda: response(encrypted(signed_assertion()), evil()), random=True),
    reject("plain-and-encrypted-unsigned", "a signed plain assertion beside an unsigned encrypted one", "assertions",
           lambda: response(signed_assertion(), encrypted(evil())), random=True),
    reject("encrypted-nested", "an unsigned encrypted assertion that holds the signed one", "shape",
           lambda: response(encrypted(evil(more=signed_assertion()))), random=True),

    # Nothing signed, or not what is read.
    reject("unsigned", "no signature at all", "signature", lambda: response(evil())),
    reject("encrypted-unsigned", "an encrypted assertion that nobody signed: anybody may encrypt", "signature",
           lambda: response(encrypted(evil())), random=True),
    reject("tampered-name-id", "another NameID under the signature", "signature", lambda: edited(f">{PERSON}</saml:NameID>", f">{ADMIN}</saml:NameID>")),
    reject("tampered-group", "another group under the signature", "signature",
           lambda: edited(">Engineering</saml:AttributeValue>", ">Admins</saml:AttributeValue>")),
    reject("tampered-audience", "another audience, changed to ours, under the signature", "signature",
           lambda: edited("https://other.example.com/metadata", SP, audience=restriction("https://other.example.com/metadata"))),
    reject("tampered-signature-value", "the SignatureValue of another message of the identity provider", "signature",
           lambda: edited(signature_value(), signature_value(subject="bob@example.com"))),
    reject("tampered-inside-signed-response", "a signed assertion that was changed before the response was signed", "signature",
           lambda: signed_response(sub(signed_assertion(), f">{PERSON}</saml:NameID>", f">{ADMIN}</saml:NameID>"))),
    reject("reference-to-another-element", "the signature of the evil assertion refers to another, signed element", "shape",
           lambda: response(evil(split(signed_assertion())[1]))),
    reject("reference-empty-uri", "a reference to the whole document on an assertion", "shape",
           lambda: by_hand(reference("", value=right_digest()))),
    reject("two-references", "one signature of two elements", "shape", two_references, "CVE-2026-33487"),
    reject("two-references-same-id", "two references to the same ID, the second with the digest of an evil assertion", "shape",
           lambda: by_hand(reference("#_assertion1", value=right_digest())
                           + reference("#_assertion1", value=right_digest(**EVIL | {"id": "_assertion1"})), **EVIL | {"id": "_assertion1"}),
           "CVE-2026-33487"),
    reject("no-reference", "a signature of nothing", "signature", lambda: by_hand("")),
    reject("two-signed-infos", "two SignedInfo elements in one Signature", "shape", twice_signed_info, "CVE-2025-29774"),
    reject("digest-comment-forged", "a forged digest in a comment inside DigestValue", "signature",
           lambda: digest_comment(True), "CVE-2025-29775"),
    accept("digest-comment-benign", "an empty comment inside DigestValue: the digest is the same",
           lambda: digest_comment(False), advisory="CVE-2025-29775"),
    reject("digest-in-status-detail", "the digest of an evil assertion in StatusDetail", "signature",
           lambda: smuggled("StatusDetail"), "CVE-2024-45409"),
    reject("digest-in-extensions", "the digest of an evil assertion in Extensions", "signature",
           lambda: smuggled("Extensions"), "CVE-2024-45409"),
    reject("void-canonicalization", "a relative namespace that some canonicalizers fail on, under a digest of nothing", "document",
           lambda: void(' xmlns:x="1"')),
    reject("void-canonicalization-plain", "a digest of nothing", "signature", lambda: void("")),
    reject("foreign-transform-xpath", "a transform that leaves NameID out of what is signed", "algorithm",
           lambda: response(signed_assertion(sig={"transforms": (ENVELOPED, XPATH, EXC)}))),
    reject("foreign-transform-xslt", "a transform that replaces what is signed", "algorithm",
           lambda: by_hand(reference("#_assertion1", value=digest(b"<nothing></nothing>"), transforms=(ENVELOPED, XSLT, EXC)),
                           **EVIL | {"id": "_assertion1"})),

    # Keys and algorithms.
    accept("valid-rsa-pss", "RSA-PSS", lambda: pss(PSS + "sha256-rsa-MGF1"), random=True),
    reject("rsa-pss-short-salt", "RSA-PSS with a salt of another length than its name says", "signature",
           lambda: pss(PSS + "sha256-rsa-MGF1", "20"), random=True),
    reject("rsa-pss-as-pkcs1", "RSA-PSS that says it is PKCS #1", "signature", lambda: pss(RSA_SHA256), random=True),
    reject("rsa-pss-parameters", "RSA-PSS with parameters of its own", "algorithm", lambda: pss(PSS + "rsa-pss"), random=True),
    reject("rsa-pss-sha1", "RSA-PSS with SHA-1", "algorithm", lambda: pss(PSS + "sha1-rsa-MGF1"), random=True),
    accept("valid-signature-lines", "white space of all kinds inside SignatureValue",
           lambda: response(sub(signed_assertion(), "<ds:SignatureValue>", "<ds:SignatureValue>\n\t &#13;"))),
    reject("attacker-key", "signed by another key, whose certificate is in KeyInfo", "signature",
           lambda: response(signed_assertion(key="attacker", **EVIL))),
    reject("attacker-key-response", "a response signed by another key, whose certificate is in KeyInfo", "signature",
           lambda: signed_response(evil(), key="attacker")),
    reject("attacker-key-borrowed-certificate", "signed by another key, with the certificate of the identity provider in KeyInfo", "signature",
           borrowed_certificate),
    reject("attacker-key-no-key-info", "signed by another key, without KeyInfo", "signature",
           lambda: response(signed_assertion(key="attacker", sig={"key_info": ""}, **EVIL))),
    reject("service-provider-key", "signed by the key of the service provider", "signature",
           lambda: response(signed_assertion(key="sp", **EVIL))),
    accept("key-value", "KeyInfo with a key and no certificate: the keys are those of the metadata", lambda: key_info(KEY_VALUE)),
    reject("key-value-attacker", "KeyInfo with the key of an attacker", "signature",
           lambda: response(signed_assertion(key="attacker", sig={"key_info": KEY_VALUE}, **EVIL))),
    accept("key-name", "KeyInfo with a name and no certificate: the keys are those of the metadata", lambda: key_info(KEY_NAME)),
    accept("certificate-missing", "X509Data without certificate: nobody needs it",
           lambda: signature_without("<ds:X509Certificate>", "</ds:X509Certificate>"), advisory="GO-2020-0046"),
    accept("certificate-garbage", "a certificate that is none: nobody reads it",
           lambda: response(signed_assertion(sig={"key_info": ""}).replace(
               "</ds:Signature>", "<ds:KeyInfo><ds:X509Data><ds:X509Certificate>Z2FyYmFnZQ==</ds:X509Certificate></ds:X509Data></ds:KeyInfo></ds:Signature>"))),
    reject("signature-empty", "an empty Signature", "signature",
           lambda: response(evil(f'<ds:Signature xmlns:ds="{DS}"/>')), "GO-2020-0046"),
    reject("signed-info-missing", "a Signature without SignedInfo", "signature",
           lambda: signature_without("<ds:SignedInfo>", "</ds:SignedInfo>"), "GO-2020-0046"),
    reject("signature-value-missing", "a Signature without SignatureValue", "signature",
           lambda: signature_without("<ds:SignatureValue>", "</ds:SignatureValue>"), "GO-2020-0046"),
    reject("signature-method-missing", "a SignedInfo without SignatureMethod", "signature",
           lambda: signature_without("<ds:SignatureMethod", "/>"), "GO-2020-0046"),
    reject("hmac", "HMAC with the certificate as key", "algorithm", hmac),
    reject("algorithm-none", "a signature algorithm that is none", "algorithm", lambda: unsigned_with_method(DS + "none")),
    reject("algorithm-empty", "a signature algorithm without name", "algorithm", lambda: unsigned_with_method("")),
    reject("dsa-sha1", "a DSA key in KeyInfo", "algorithm", dsa, random=True),
    reject("rsa-md5", "RSA-MD5 of the right key", "algorithm",
           lambda: response(signed_assertion(sig={"method": MORE + "rsa-md5"}))),
    reject("sha1-signature", "RSA-SHA1 of the right key", "algorithm",
           lambda: response(signed_assertion(sig={"method": DS + "rsa-sha1"}))),
    reject("sha1-digest", "a SHA-1 digest under RSA-SHA256", "algorithm",
           lambda: response(signed_assertion(sig={"digest": DS + "sha1"}))),
    reject("sha1-encrypted", "RSA-SHA1 inside an encrypted assertion", "algorithm",
           lambda: response(encrypted(signed_assertion(sig={"method": DS + "rsa-sha1", "digest": DS + "sha1"}))), random=True),
    accept("sha1-allowed", "RSA-SHA1 of the right key, where that is allowed",
           lambda: response(signed_assertion(sig={"method": DS + "rsa-sha1", "digest": DS + "sha1"})), connection="sha1"),
    reject("sha1-allowed-md5", "RSA-MD5 where only SHA-1 is allowed", "algorithm",
           lambda: response(signed_assertion(sig={"method": MORE + "rsa-md5"})), connection="sha1"),

    # Encryption.
    reject("cbc-all-zero", "AES-CBC whose plain text is zeros, without padding", "algorithm", cbc_zero, "GHSA-hwqm-qvj9-4jr2", random=True),
    reject("cbc-bad-padding", "AES-CBC whose padding is longer than the text", "algorithm",
           lambda: response(encrypted_by_hand(b"x" * 15 + b"\xff")), random=True),
    reject("cbc-all-zero-signed", "the same in a signed response", "decryption",
           lambda: signed_response(encrypted_by_hand(bytes(32))), "GHSA-hwqm-qvj9-4jr2", random=True),
    reject("cbc-bad-padding-signed", "bad padding in a signed response", "decryption",
           lambda: signed_response(encrypted_by_hand(b"x" * 15 + b"\xff")), random=True),
    reject("cbc-not-xml-signed", "AES-CBC of what is not XML in a signed response", "document",
           lambda: signed_response(encrypted_by_hand(b"x" * 15 + b"\x01")), random=True),
    reject("cbc-unsigned-response", "AES-CBC without signed response: whoever changes the cipher text learns from the answers", "algorithm",
           lambda: response(encrypted(signed_assertion(), ENC + "aes128-cbc", session="aes-128")), random=True),
    reject("cbc-gcm-decoy-extensions", "AES-CBC without signed response, and an EncryptedData of AES-GCM in Extensions that hides it", "shape",
           lambda: cbc_response(extensions=f"<samlp:Extensions>{DECOY}</samlp:Extensions>"), random=True),
    reject("cbc-gcm-decoy-status", "the same in StatusDetail, after the assertion", "shape",
           lambda: status_last(cbc_response(detail=f"<samlp:StatusDetail>{DECOY}</samlp:StatusDetail>")), random=True),
    reject("cbc-gcm-decoy-assertion", "the same beside the EncryptedData, in an element of another name", "shape",
           lambda: cbc_response().replace("</saml:EncryptedAssertion>", f"<saml:Advice>{DECOY}</saml:Advice></saml:EncryptedAssertion>"), random=True),
    reject("cbc-not-xml", "AES-CBC of what is not XML", "algorithm",
           lambda: response(encrypted_by_hand(b"x" * 15 + b"\x01")), random=True),
    reject("rsa-1-5", "the RSA 1.5 key transport", "algorithm",
           lambda: response(encrypted(signed_assertion(), transport=ENC + "rsa-1_5")), random=True),
    reject("encrypted-for-another", "an assertion that is encrypted for another key", "decryption",
           lambda: response(encrypted(signed_assertion(), key="attacker")), random=True),
    reject("cipher-tampered", "a changed cipher text of AES-GCM", "decryption", tampered_cipher, random=True),
    reject("cipher-empty", "an EncryptedAssertion without content", "decryption",
           lambda: response(f'<saml:EncryptedAssertion xmlns:saml="{ASSERTION}"/>')),

    # What nobody signed, beside what somebody signed.
    reject("id-pollution", "an unsigned assertion with the signed ID in an attribute of another namespace", "document",
           lambda: response(evil(id="_evil", extra=' xmlns:x="urn:x" x:ID="_assertion1"', signature=split(signed_assertion())[1]))),
    reject("id-pollution-case", "an unsigned assertion with the signed ID in attributes of like names", "shape",
           lambda: response(evil(id="_evil", extra=' Id="_assertion1" id="_assertion1" AssertionID="_assertion1"',
                                 signature=split(signed_assertion())[1]))),
    reject("id-pollution-xml", "an unsigned assertion with the signed ID in xml:id", "document",
           lambda: response(evil(id="_evil", extra=' xml:id="_assertion1"', signature=split(signed_assertion())[1]))),
    reject("id-pollution-only", "the signed assertion has its ID in another namespace", "document",
           lambda: response(signed_assertion().replace(' ID="_assertion1"', ' xmlns:x="urn:x" x:ID="_assertion1"', 1))),
    reject("foreign-namespace-assertion", "the signature on an Assertion of another namespace", "shape",
           lambda: response(evil(split(signed_assertion())[1], id="_assertion1").replace(f'xmlns:saml="{ASSERTION}"', 'xmlns:saml="urn:x"', 1))),
    reject("foreign-namespace-beside", "an Assertion of another namespace beside the signed one", "shape",
           lambda: response(evil().replace(f'xmlns:saml="{ASSERTION}"', 'xmlns:saml="urn:x"', 1), signed_assertion())),
    accept("attributes-in-response", "attributes of an admin in the unsigned response",
           lambda: attributes_aside("response")),
    reject("attributes-in-signature", "attributes of an admin in an Object of the signature, which is not signed itself", "shape",
           lambda: attributes_aside("object")),
    reject("relative-namespace-on-response", "a relative namespace on the unsigned response", "document",
           lambda: response(signed_assertion(), extra=' xmlns:x="1"')),
    reject("prefix-rebound", "the prefix of the signature is bound to another namespace", "shape",
           lambda: edited(f'<ds:Signature xmlns:ds="{DS}">', '<ds:Signature xmlns:ds="urn:x">')),
]
