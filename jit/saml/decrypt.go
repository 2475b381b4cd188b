package saml

import (
	"crypto"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"crypto/rsa"
	"errors"

	"github.com/beevik/etree"
	"github.com/russellhaering/gosaml2/types"
	dsig "github.com/russellhaering/goxmldsig"
)

const (
	xencNamespace   = "http://www.w3.org/2001/04/xmlenc#"
	xenc11Namespace = "http://www.w3.org/2009/xmlenc11#"

	// Each key is tried with each of ours, which takes a millisecond or two.
	maxEncryptedKeys = 8
)

// dataCipher is an algorithm for data.
type dataCipher struct {
	keySize       int
	authenticated bool
}

var ciphers = map[string]dataCipher{
	types.MethodAES128GCM: {16, true},
	types.MethodAES192GCM: {24, true},
	types.MethodAES256GCM: {32, true},
	types.MethodAES128CBC: {16, false},
	methodAES192CBC:       {24, false},
	types.MethodAES256CBC: {32, false},
}

const methodAES192CBC = "http://www.w3.org/2001/04/xmlenc#aes192-cbc"

// oaepMasks are the digests of the mask generation function of RSA-OAEP, by its
// algorithm; the digests of its label are the digestMethods. SHA-1 is no
// signature there and is not weak: it is what counts where none is named.
var oaepMasks = map[string]crypto.Hash{
	xenc11Namespace + "mgf1sha1":   crypto.SHA1,
	xenc11Namespace + "mgf1sha256": crypto.SHA256,
	xenc11Namespace + "mgf1sha384": crypto.SHA384,
	xenc11Namespace + "mgf1sha512": crypto.SHA512,
}

// decrypt returns the plaintext of an EncryptedAssertion or the like (SAML core
// section 2.2.4), and its EncryptedData. gosaml2 is not used: of the digests
// of RSA-OAEP it knows SHA-1 by its name, and no mask generation function, one
// EncryptedKey and one key of ours.
func (sp *ServiceProvider) decrypt(el *etree.Element) (text []byte, data *etree.Element, err error) {
	if len(sp.keys) == 0 {
		return nil, nil, refuse(CodeDecryption, "%s, and this service provider has no key", el.Tag)
	}
	if data, err = only(el, xencNamespace, "EncryptedData"); err != nil {
		return nil, nil, &Error{Code: CodeDecryption, Err: err}
	}
	algorithm, err := encryptionMethod(data)
	if err != nil {
		return nil, nil, err
	}
	method, ok := ciphers[attribute(algorithm, dsig.AlgorithmAttr)]
	if !ok {
		return nil, nil, refuse(CodeAlgorithm, "cipher %q", attribute(algorithm, dsig.AlgorithmAttr))
	}
	value, err := cipherValue(data)
	if err != nil {
		return nil, nil, err
	}
	if err := agreement(data); err != nil {
		return nil, nil, err
	}
	key, err := sp.unwrap(encryptedKeys(el, data), method.keySize)
	if err != nil {
		return nil, nil, err
	}
	if text, err = method.open(key, value); err != nil {
		return nil, nil, &Error{Code: CodeDecryption, Err: err}
	}
	return text, data, nil
}

// encryptedKeys returns the keys within or beside an EncryptedData; a
// RetrievalMethod names one of them.
func encryptedKeys(el, data *etree.Element) []*etree.Element {
	var keys []*etree.Element
	for _, info := range children(data, dsig.Namespace, dsig.KeyInfoTag) {
		keys = append(keys, children(info, xencNamespace, "EncryptedKey")...)
	}
	return append(keys, children(el, xencNamespace, "EncryptedKey")...)
}

// agreement refuses a key that both sides have to agree on, by its name.
func agreement(data *etree.Element) error {
	for _, info := range children(data, dsig.Namespace, dsig.KeyInfoTag) {
		for _, method := range children(info, xencNamespace, "AgreementMethod") {
			return refuse(CodeAlgorithm, "key agreement %q", attribute(method, dsig.AlgorithmAttr))
		}
	}
	return nil
}

// unwrap returns the first key of the right size that one of ours opens. A
// Recipient is a hint that nobody needs. An algorithm that we do not have counts
// only where no key is ours.
func (sp *ServiceProvider) unwrap(encrypted []*etree.Element, size int) ([]byte, error) {
	if len(encrypted) > maxEncryptedKeys {
		return nil, refuse(CodeShape, "%d EncryptedKey", len(encrypted))
	}
	var unsupported error
	failure := error(&Error{Code: CodeDecryption, Reason: "no EncryptedKey"})
	for _, el := range encrypted {
		options, err := oaepOptions(el)
		if err != nil {
			unsupported = err
			continue
		}
		value, err := cipherValue(el)
		if err != nil {
			failure = err
			continue
		}
		for _, own := range sp.keys {
			key, err := own.Decrypt(rand.Reader, value, options)
			if err == nil && len(key) == size {
				return key, nil
			}
			failure = &Error{Code: CodeDecryption, Reason: "no key of ours opens it", Err: err}
		}
	}
	if unsupported != nil {
		return nil, unsupported
	}
	return nil, failure
}

// oaepOptions reads the EncryptionMethod of an EncryptedKey (XML Encryption 1.1
// section 5.5.2). PKCS #1 v1.5 is left out, whose errors are an oracle.
func oaepOptions(key *etree.Element) (*rsa.OAEPOptions, error) {
	method, err := encryptionMethod(key)
	if err != nil {
		return nil, err
	}
	digest, err := algorithmOf(method, dsig.Namespace, dsig.DigestMethodTag)
	if err != nil {
		return nil, err
	}
	options := &rsa.OAEPOptions{Hash: crypto.SHA1, MGFHash: crypto.SHA1}
	ok := true
	if digest != "" {
		options.Hash, ok = digestMethods[digest]
	}
	if !ok {
		return nil, refuse(CodeAlgorithm, "RSA-OAEP with the digest method %q", digest)
	}
	switch algorithm := attribute(method, dsig.AlgorithmAttr); algorithm {
	case types.MethodRSAOAEP: // MGF1 with SHA-1
	case types.MethodRSAOAEP2:
		mask, err := algorithmOf(method, xenc11Namespace, "MGF")
		if err != nil {
			return nil, err
		}
		if mask != "" {
			options.MGFHash, ok = oaepMasks[mask]
		}
		if !ok {
			return nil, refuse(CodeAlgorithm, "RSA-OAEP with the mask generation function %q", mask)
		}
	default:
		return nil, refuse(CodeAlgorithm, "key transport %q: only RSA-OAEP is accepted", algorithm)
	}
	for _, params := range children(method, xencNamespace, "OAEPparams") {
		if options.Label, err = binary(params); err != nil {
			return nil, &Error{Code: CodeDecryption, Reason: "OAEPparams", Err: err}
		}
	}
	return options, nil
}

// algorithmOf returns the algorithm of a child, or nothing if there is none.
func algorithmOf(el *etree.Element, space, local string) (string, error) {
	switch found := children(el, space, local); len(found) {
	case 0:
		return "", nil
	case 1:
		return attribute(found[0], dsig.AlgorithmAttr), nil
	}
	return "", refuse(CodeShape, "more than one %s", local)
}

func encryptionMethod(el *etree.Element) (*etree.Element, error) {
	method, err := only(el, xencNamespace, "EncryptionMethod")
	if err != nil {
		return nil, &Error{Code: CodeDecryption, Err: err}
	}
	return method, nil
}

func cipherValue(el *etree.Element) ([]byte, error) {
	data, err := only(el, xencNamespace, "CipherData")
	if err == nil {
		data, err = only(data, xencNamespace, "CipherValue")
	}
	var value []byte
	if err == nil {
		value, err = binary(data)
	}
	if err != nil {
		return nil, &Error{Code: CodeDecryption, Err: err}
	}
	return value, nil
}

var errCiphertext = errors.New("the ciphertext is not of this key")

// open decrypts data (XML Encryption 1.1 sections 5.2.2 and 5.2.4).
func (c dataCipher) open(key, data []byte) ([]byte, error) {
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	if !c.authenticated {
		return openCBC(block, data)
	}
	gcm, err := cipher.NewGCM(block)
	if err != nil || len(data) < gcm.NonceSize() {
		return nil, errCiphertext
	}
	return gcm.Open(nil, data[:gcm.NonceSize()], data[gcm.NonceSize():], nil)
}

// openCBC: the last byte says how long the padding is, whose other bytes may be
// anything.
func openCBC(block cipher.Block, data []byte) ([]byte, error) {
	if len(data) < 2*aes.BlockSize || len(data)%aes.BlockSize != 0 {
		return nil, errCiphertext
	}
	text := make([]byte, len(data)-aes.BlockSize)
	cipher.NewCBCDecrypter(block, data[:aes.BlockSize]).CryptBlocks(text, data[aes.BlockSize:])
	padding := int(text[len(text)-1])
	if padding < 1 || padding > aes.BlockSize {
		return nil, errCiphertext
	}
	return text[:len(text)-padding], nil
}
