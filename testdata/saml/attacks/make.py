#!/usr/bin/env python3
"""Makes the SAML responses of this directory, attacks.json, which says what must become of each, and the
metadata of the identity provider that signs them.

It needs xmlsec1, openssl and the standard library of Python 3. Running it
again changes no byte, but for the fixtures that hold something random
(encryption, DSA): those are kept when they exist, but for --anew.

    ./make.py [--anew]
"""

import json
import os
import sys

sys.dont_write_bytecode = True

import rows_content  # noqa: E402
import rows_document  # noqa: E402
import rows_encryption  # noqa: E402
import rows_signature  # noqa: E402
from message import DS, HERE, IDP, PROTOCOL, certificate  # noqa: E402


METADATA = f"""<EntityDescriptor xmlns="urn:oasis:names:tc:SAML:2.0:metadata" entityID="{IDP}">
  <IDPSSODescriptor protocolSupportEnumeration="{PROTOCOL}">
    <KeyDescriptor use="signing">
      <ds:KeyInfo xmlns:ds="{DS}"><ds:X509Data><ds:X509Certificate>{certificate("idp")}</ds:X509Certificate></ds:X509Data></ds:KeyInfo>
    </KeyDescriptor>
    <SingleSignOnService Binding="urn:oasis:names:tc:SAML:2.0:bindings:HTTP-Redirect" Location="https://idp.example.com/sso"/>
  </IDPSSODescriptor>
</EntityDescriptor>
"""


def main():
    with open(os.path.join(HERE, "..", "idp-metadata.xml"), "w", encoding="utf-8") as f:
        f.write(METADATA)
    listed = []
    names = set()
    for row in rows_content.ROWS + rows_signature.ROWS + rows_encryption.ROWS + rows_document.ROWS:
        if row["name"] in names:
            raise SystemExit(f"two rows {row['name']!r}")
        names.add(row["name"])
        listed.append(write(dict(row)))
    with open(os.path.join(HERE, "attacks.json"), "w", encoding="utf-8") as f:
        f.write("[\n" + ",\n".join("  " + json.dumps(row) for row in listed) + "\n]\n")
    for file in os.listdir(HERE):
        if file.endswith(".xml") and file.removesuffix(".xml") not in names:
            os.remove(os.path.join(HERE, file))


def write(row):
    """Writes the file of a row and returns what the manifest says of it."""
    make, random = row.pop("make", None), row.pop("random", False)
    if make is not None:
        row["file"] = row["name"] + ".xml"
        path = os.path.join(HERE, row["file"])
        if not random or "--anew" in sys.argv or not os.path.exists(path):
            made = make()
            with open(path, "wb") as f:
                f.write(made if isinstance(made, bytes) else (made + "\n").encode())
    order = ["name", "file", "generate", "advisory", "mechanism", "expect", "code", "subject", "groups",
             "connection", "browser", "times", "now"]
    unknown = set(row) - set(order)
    if unknown:
        raise SystemExit(f"{row['name']}: unknown {unknown}")
    return {key: row[key] for key in order if row.get(key) is not None}


if __name__ == "__main__":
    main()
