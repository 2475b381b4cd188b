#!/usr/bin/env bash
# Makes the test keys and certificates, those that are missing. The keys are
# public: they protect nothing but the tests.
set -euo pipefail
cd "$(dirname "$0")"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# certify NAME: a self-signed certificate with fixed dates, which only the ca
# command of OpenSSL 3.0 can set.
certify() {
  local dir="$work/$1"
  mkdir "$dir" && touch "$dir/index"
  cat >"$dir/ca.cnf" <<CNF
[ca]
default_ca = test
[test]
database = $dir/index
new_certs_dir = $dir
serial = $dir/serial
policy = any
default_md = sha256
x509_extensions = extensions
[any]
commonName = supplied
[extensions]
subjectKeyIdentifier = hash
CNF
  openssl req -new -key "$1.key" -subj "/CN=$1 of the tests of provision" -out "$dir/csr" 2>/dev/null
  openssl ca -batch -selfsign -config "$dir/ca.cnf" -rand_serial -keyfile "$1.key" -in "$dir/csr" -notext \
    -startdate "$2" -enddate "$3" -out "$1.crt" 2>/dev/null
}

note='TEST KEY. It is public and protects nothing.'
for name in idp attacker sp; do
  if [ ! -e "$name.key" ]; then
    { echo "$note"; openssl genrsa 2048 2>/dev/null; } >"$name.key"
    certify "$name" 20200101000000Z 21000101000000Z
  fi
done
if [ ! -e dsa.key ]; then
  { echo "$note"; openssl dsaparam -genkey -noout 1024 2>/dev/null; } >dsa.key
  certify dsa 20200101000000Z 21000101000000Z
fi
