package main

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"time"
)

// keyPair is an RSA key with its certificate. Nobody needs to trust the issuer
// of the certificate: the other side pins it.
type keyPair struct {
	key         *rsa.PrivateKey
	certificate *x509.Certificate
	pem         []byte
}

const (
	keyBits       = 2048
	keyYears      = 10
	serialBits    = 159 // RFC 5280 section 4.1.2.2: positive, at most 20 octets
	onlyOwner     = 0o600
	groupOrOthers = 0o077
)

// newKeyPair makes a key with a self-signed certificate of ten years, of a server where
// it is for addresses. SAML changes certificates by hand on both sides, so a short life
// would only make outages.
func newKeyPair(name string, now time.Time, addresses ...net.IP) (*keyPair, error) {
	key, err := rsa.GenerateKey(rand.Reader, keyBits)
	if err != nil {
		return nil, err
	}
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), serialBits))
	if err != nil {
		return nil, err
	}
	template := &x509.Certificate{
		SerialNumber: serial,
		Subject:      pkix.Name{CommonName: name},
		NotBefore:    now.Add(-time.Hour),
		NotAfter:     now.AddDate(keyYears, 0, 0),
		KeyUsage:     x509.KeyUsageDigitalSignature | x509.KeyUsageKeyEncipherment,
		IPAddresses:  addresses,
	}
	certificate, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return nil, err
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, err
	}
	text := pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private})
	text = append(text, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: certificate})...)
	return parseKeyPair(text)
}

// parseKeyPair reads a key and its certificate, in either order.
func parseKeyPair(text []byte) (*keyPair, error) {
	pair, err := tls.X509KeyPair(text, text)
	if err != nil {
		return nil, err
	}
	key, ok := pair.PrivateKey.(*rsa.PrivateKey)
	if !ok {
		return nil, errors.New("the key is not an RSA key")
	}
	return &keyPair{key: key, certificate: pair.Leaf, pem: text}, nil
}

// samlKeyFile says where the key of the service providers is kept: in the file
// of the flag, else beside the database file, else (empty) nowhere.
func (o options) samlKeyFile() string {
	switch {
	case o.samlKey != "":
		return o.samlKey
	case o.sqliteFile():
		return o.db + ".saml-key.pem"
	}
	return ""
}

// loadSAMLKey returns the key of the service providers. One that no flag names
// is made at the first start. Who loses it has to give the new metadata to all
// identity providers.
func loadSAMLKey(o options, logger *slog.Logger) (*keyPair, error) {
	file := o.samlKeyFile()
	if file == "" {
		if !o.demoLogin {
			logger.Warn("the key of the service providers ends with this process: use flag -saml-key to keep what identity providers know")
		}
		return newKeyPair("provision service provider", time.Now())
	}
	pair, err := readKeyPair(file, logger)
	if errors.Is(err, fs.ErrNotExist) && o.samlKey == "" {
		return createSAMLKey(file)
	}
	return pair, err
}

// loadSpareKey returns the pair of flag -saml-spare-key, or nil.
func loadSpareKey(o options, logger *slog.Logger) (*keyPair, error) {
	if o.samlSpareKey == "" {
		return nil, nil
	}
	return readKeyPair(o.samlSpareKey, logger)
}

func readKeyPair(file string, logger *slog.Logger) (*keyPair, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("key of the service provider: %w", err)
	}
	if info, err := os.Stat(file); err == nil && runtime.GOOS != "windows" && info.Mode().Perm()&groupOrOthers != 0 {
		logger.Warn("the key of the service provider can be read by others", "file", file, "mode", info.Mode().Perm().String())
	}
	pair, err := parseKeyPair(text)
	if err != nil {
		return nil, fmt.Errorf("key of the service provider: %s: %w", file, err)
	}
	return pair, nil
}

// createSAMLKey makes a key and its file, which is whole or not there.
func createSAMLKey(file string) (*keyPair, error) {
	pair, err := newKeyPair("provision service provider", time.Now())
	if err != nil {
		return nil, err
	}
	temporary, err := os.CreateTemp(filepath.Dir(file), filepath.Base(file)+".*")
	if err != nil {
		return nil, fmt.Errorf("key of the service provider: %w", err)
	}
	_, err = temporary.Write(pair.pem)
	err = errors.Join(err, temporary.Chmod(onlyOwner), temporary.Sync(), temporary.Close())
	if err == nil {
		err = os.Rename(temporary.Name(), file)
	}
	if err != nil {
		_ = os.Remove(temporary.Name())
		return nil, fmt.Errorf("key of the service provider: %w", err)
	}
	return pair, nil
}
