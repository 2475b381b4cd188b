"""Messages with parts that openssl and xmlsec1 encrypted in the ways that identity providers know."""

from message import *
from rows import accept, reject

OAEP, OAEP11 = ENC + "rsa-oaep-mgf1p", ENC11 + "rsa-oaep"
SHA = {"sha1": DS + "sha1", "sha256": ENC + "sha256", "sha384": MORE + "sha384", "sha512": ENC + "sha512"}
GCM, CBC = ENC11 + "aes256-gcm", ENC + "aes256-cbc"
SECRET = bytes(range(32))
XS = "http://www.w3.org/2001/XMLSchema"


def wrapped(digest="sha1", mask="sha1", transport=OAEP11, named=True, method=None, key="sp", extra="", label=None, after=""):
    """Returns an EncryptedKey that openssl made."""
    options = ["-pkeyopt", "rsa_padding_mode:oaep", "-pkeyopt", f"rsa_oaep_md:{digest}", "-pkeyopt", f"rsa_mgf1_md:{mask}"]
    if label is not None:
        options += ["-pkeyopt", f"rsa_oaep_label:{label.hex()}"]
    value = run("openssl", "pkeyutl", "-encrypt", "-certin", "-inkey", key_file(key + ".crt"), *options, stdin=SECRET)
    if method is None:
        method = ""
        if label is not None:
            method += f"<xenc:OAEPparams>{base64.b64encode(label).decode()}</xenc:OAEPparams>"
        if named:
            method += f'<ds:DigestMethod xmlns:ds="{DS}" Algorithm="{SHA[digest]}"/>'
        if named and transport == OAEP11:
            method += f'<xenc11:MGF xmlns:xenc11="{ENC11}" Algorithm="{ENC11}mgf1{mask}"/>'
    return (f'<xenc:EncryptedKey xmlns:xenc="{ENC}"{extra}><xenc:EncryptionMethod Algorithm="{transport}">{method}</xenc:EncryptionMethod>'
            f"<xenc:CipherData><xenc:CipherValue>{base64.b64encode(value).decode()}</xenc:CipherValue></xenc:CipherData>{after}</xenc:EncryptedKey>")


def encrypted_with(text, info, beside="", data=GCM, tag="EncryptedAssertion", around=""):
    """Returns what SAML wraps around an encrypted element. xmlsec1 encrypts it with SECRET, and info is its KeyInfo."""
    blank = (f'<xenc:EncryptedData xmlns:xenc="{ENC}" Type="{ENC}Element"><xenc:EncryptionMethod Algorithm="{data}"/>'
             f'<ds:KeyInfo xmlns:ds="{DS}"><ds:KeyName>secret</ds:KeyName></ds:KeyInfo>'
             "<xenc:CipherData><xenc:CipherValue/></xenc:CipherData></xenc:EncryptedData>")
    with tempfile.TemporaryDirectory() as directory:
        document, secret = os.path.join(directory, "data.xml"), os.path.join(directory, "secret")
        with open(document, "w", encoding="utf-8", newline="") as f:
            f.write(f'<saml:{tag} xmlns:saml="{ASSERTION}"{around}>{text}</saml:{tag}>')
        with open(secret, "wb") as f:
            f.write(SECRET)
        out = xmlsec("--encrypt", blank, "--aeskey:secret", secret, "--xml-data", document, "--node-xpath", "/*/*")
    return sub(sub(out, "<ds:KeyName>secret</ds:KeyName>", info), f"</saml:{tag}>", f"{beside}</saml:{tag}>")


def good(key=None, **more):
    return response(encrypted_with(signed_assertion(), wrapped() if key is None else key, **more))


def outside():
    """The prefixes of the assertion and of its types are declared around what is encrypted."""
    types = f' xmlns:xs="{XS}" xmlns:xsi="{XS}-instance"'
    attributes = attribute("uid", "id-ann") + attribute("email", PERSON) + attribute("groups", "Everyone", "Engineering")
    attributes = attributes.replace("<saml:AttributeValue>", '<saml:AttributeValue xsi:type="xs:string">')
    inside = sign(f'<saml:EncryptedAssertion xmlns:saml="{ASSERTION}"{types}>'
                  + sub(assertion(signature=template(), attributes=attributes), f' xmlns:saml="{ASSERTION}"', "") + "</saml:EncryptedAssertion>")
    text = inside[inside.index("<saml:Assertion"):inside.index("</saml:EncryptedAssertion>")]
    return response(encrypted_with(text, wrapped(), around=types))


def encrypted_name(value=None, **more):
    return encrypted_with(name_id(PERSON) if value is None else value, wrapped(), tag="EncryptedID", **more)


def in_assertion(name):
    return response(signed_assertion(name=name))


def retrieved():
    method = f'<ds:RetrievalMethod URI="#_key" Type="{ENC}EncryptedKey"/>'
    return good(method, beside=wrapped(extra=' Id="_key"'))


def replaced_name():
    text = in_assertion(encrypted_name())
    _, own = cut(text, "<saml:EncryptedID", "</saml:EncryptedID>")
    return text.replace(own, encrypted_name(name_id(ADMIN)))


RECIPIENT, STRANGER = f' Recipient="{SP}"', ' Recipient="https://other.example.com/metadata"'

ROWS = [
    *[accept(f"valid-oaep-{d}-mgf1{m}", f"RSA-OAEP with {d} and MGF1 of {m}", lambda d=d, m=m: good(wrapped(d, m)), random=True)
      for d, m in (("sha1", "sha1"), ("sha256", "sha256"), ("sha384", "sha384"), ("sha512", "sha512"), ("sha256", "sha1"), ("sha1", "sha512"))],
    accept("valid-oaep-mgf1p-sha256", "RSA-OAEP of XML Encryption 1.0 with SHA-256 and, as always there, MGF1 of SHA-1",
           lambda: good(wrapped("sha256", "sha1", OAEP)), random=True),
    accept("valid-oaep-unnamed", "RSA-OAEP without digests: SHA-1 is meant", lambda: good(wrapped(named=False)), random=True),
    accept("valid-oaep-label", "RSA-OAEP with a label", lambda: good(wrapped("sha256", "sha256", label=b"provision")), random=True),
    accept("valid-two-encrypted-keys", "two encrypted keys, the second for us", lambda: good(wrapped(key="attacker") + wrapped()), random=True),
    accept("valid-two-encrypted-keys-recipient", "two encrypted keys, ours by its Recipient, the other by an algorithm that we do not have",
           lambda: good(wrapped(method="", transport=ENC + "rsa-1_5", extra=STRANGER) + wrapped(extra=RECIPIENT)), random=True),
    accept("valid-encrypted-key-beside", "encrypted keys beside the encrypted data",
           lambda: good("<ds:X509Data/>", beside=wrapped(key="attacker", extra=STRANGER) + wrapped(extra=RECIPIENT)), random=True),
    accept("valid-encrypted-key-retrieved", "an encrypted key beside the encrypted data, which a RetrievalMethod names", retrieved, random=True),
    accept("valid-encrypted-key-with-lists", "an encrypted key that carries a name and what it is for",
           lambda: good(wrapped(after='<xenc:ReferenceList><xenc:DataReference URI="#_data"/></xenc:ReferenceList><xenc:CarriedKeyName>k</xenc:CarriedKeyName>')), random=True),
    accept("valid-encrypted-prefix-outside", "prefixes of the assertion are declared around what is encrypted", outside, random=True),
    accept("valid-cipher-value-lines", "white space of all kinds inside a CipherValue",
           lambda: good().replace("<xenc:CipherValue>", "<xenc:CipherValue>\n\t &#13;"), random=True),
    accept("valid-cbc-allowed", "AES-CBC without signed response, where that is allowed", lambda: good(data=CBC), random=True, connection="cbc"),
    reject("cbc-allowed-unsigned", "AES-CBC without any signature, where it is allowed without a signed response", "signature",
           lambda: response(encrypted_with(assertion(subject=ADMIN, groups=("Admins",)), wrapped(), data=CBC)), random=True, connection="cbc"),
    reject("cbc-192", "AES-192-CBC without signed response", "algorithm",
           lambda: good().replace(GCM, ENC + "aes192-cbc"), random=True),
    reject("tripledes", "Triple DES", "algorithm", lambda: good().replace(GCM, ENC + "tripledes-cbc"), random=True),

    reject("oaep-digest-unknown", "RSA-OAEP with a digest that we do not have", "algorithm",
           lambda: good(wrapped(method=f'<ds:DigestMethod xmlns:ds="{DS}" Algorithm="{ENC}ripemd160"/>')), random=True),
    reject("oaep-mask-unknown", "RSA-OAEP with a mask generation function that we do not have", "algorithm",
           lambda: good(wrapped(method=f'<xenc11:MGF xmlns:xenc11="{ENC11}" Algorithm="{ENC11}mgf1sha224"/>')), random=True),
    reject("key-wrap", "a key that is wrapped by AES", "algorithm", lambda: good(wrapped(method="", transport=ENC + "kw-aes256")), random=True),
    reject("key-agreement", "a key that both sides agree on", "algorithm",
           lambda: good(f'<xenc:AgreementMethod xmlns:xenc="{ENC}" Algorithm="{ENC11}ECDH-ES"/>'), random=True),
    reject("two-encrypted-keys-for-others", "two encrypted keys, both for others", "decryption",
           lambda: good(wrapped(key="attacker") + wrapped(key="idp")), random=True),
    reject("nine-encrypted-keys", "more encrypted keys than anybody needs, of which each costs time", "shape",
           lambda: good(wrapped(key="attacker") * 8 + wrapped()), random=True),
    reject("key-of-another-size", "an encrypted key that is too long for the cipher", "decryption",
           lambda: good().replace(GCM, ENC11 + "aes128-gcm"), random=True),
    reject("encrypted-key-elsewhere", "an EncryptedKey in the response, which a RetrievalMethod names", "shape",
           lambda: response(encrypted_with(signed_assertion(), f'<ds:RetrievalMethod URI="#_key" Type="{ENC}EncryptedKey"/>'),
                            extensions=f'<samlp:Extensions>{wrapped(extra=" Id=" + chr(34) + "_key" + chr(34))}</samlp:Extensions>'), random=True),

    accept("valid-encrypted-id", "an EncryptedID in place of the NameID", lambda: in_assertion(encrypted_name()), random=True),
    accept("valid-encrypted-id-twice", "an EncryptedID inside an encrypted assertion",
           lambda: response(encrypted_with(signed_assertion(name=encrypted_name()), wrapped())), random=True),
    accept("valid-encrypted-id-cbc", "an EncryptedID by AES-CBC: the signed assertion around it cannot be changed",
           lambda: in_assertion(encrypted_name(data=CBC)), random=True),
    reject("encrypted-id-for-another", "an EncryptedID for another", "decryption",
           lambda: in_assertion(encrypted_with(name_id(PERSON), wrapped(key="attacker"), tag="EncryptedID")), random=True),
    reject("encrypted-id-changed", "another EncryptedID under the signature: anybody may encrypt", "signature",
           replaced_name, random=True),
    reject("encrypted-id-of-an-assertion", "an EncryptedID that holds an assertion", "assertions",
           lambda: in_assertion(encrypted_name(assertion(subject=ADMIN))), random=True),
    reject("encrypted-id-and-name-id", "an EncryptedID beside a NameID", "name_id",
           lambda: in_assertion(name_id(ADMIN) + encrypted_name()), random=True),
    reject("encrypted-id-in-confirmation", "an EncryptedID of who confirms, which nobody reads", "name_id",
           lambda: response(signed_assertion(confirmations=confirmation().replace("<saml:SubjectConfirmationData", encrypted_name() + "<saml:SubjectConfirmationData"))), random=True),
    reject("encrypted-id-blank", "an EncryptedID with a blank NameID", "name_id", lambda: in_assertion(encrypted_name(name_id(" "))), random=True),
    accept("valid-encrypted-attribute", "an EncryptedAttribute with the groups, between others",
           lambda: response(signed_assertion(attributes=person_attributes(PERSON, ["x"]).replace(
               attribute("groups", "x"), encrypted_with(attribute("groups", "Everyone", "Engineering"), wrapped(), tag="EncryptedAttribute")
               + attribute("other", "y")))), random=True),
    reject("encrypted-attribute-of-an-assertion", "an EncryptedAttribute that holds another element", "assertions",
           lambda: response(signed_assertion(attributes=encrypted_with(assertion(), wrapped(), tag="EncryptedAttribute"))), random=True),
    accept("valid-encrypted-id-comment", "a comment inside an encrypted NameID: the whole text counts",
           lambda: response(signed_assertion(name=encrypted_name(name_id("admin@example.com<!-- -->.evil.com")), email="admin@example.com.evil.com")),
           subject="admin@example.com.evil.com", random=True),
]
