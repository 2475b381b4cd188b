package provision

import (
	"context"
	"crypto/subtle"
	"crypto/tls"
	"errors"
	"fmt"

	"github.com/scimjit/provision/internal/records"
	"github.com/scimjit/provision/store"
)

// The settings have of a secret that it is there. Its sealed text is a record of its
// own beside them, which is written and removed in the transaction that saves them.

// The names of the secrets of a connection, as [Directory.OpenSecret] takes them.
const (
	secretBindPassword = "ldap.bindPassword"
	secretClientKey    = "ldap.clientKey"
)

// maxSecret is how many bytes a secret may have.
const maxSecret = 16 << 10

// secretField is where the settings say whether there is a secret.
type secretField struct {
	name string
	of   func(*Connection) *SecretText // nil where the settings have no room for it
}

var secretFields = []secretField{
	{secretBindPassword, func(c *Connection) *SecretText {
		if c.LDAP == nil {
			return nil
		}
		return &c.LDAP.BindPassword
	}},
	{secretClientKey, func(c *Connection) *SecretText {
		if c.LDAP == nil {
			return nil
		}
		return &c.LDAP.ClientKey
	}},
}

// secretOf returns what settings say of a secret, or nil.
func secretOf(c *Connection, name string) *SecretText {
	for _, f := range secretFields {
		if f.name == name {
			return f.of(c)
		}
	}
	return nil
}

// ErrSecretPlace says that a secret is for other settings than those that it was asked for
// with: it was given for other servers, or another account.
var ErrSecretPlace = errors.New("provision: the secret was given for other settings than these")

// OpenSecret returns the text of a secret of the connection, "ldap.bindPassword" or
// "ldap.clientKey". It is for what connects to the place that the secret is for: keep
// it no longer than that, and never log it.
//
// with are the settings that it is used with. A secret that is new in them, as they were not
// saved, is its own text. The one that is stored is opened where the settings that are
// stored send it to the same servers, in the same way, for the same account; otherwise the
// error is [ErrSecretPlace]. So what still works by settings of before never has the
// secret of those that replaced them, and nobody has it sent to a server of their own.
//
// The error is [ErrNotFound] where there is none, and wraps [ErrSealed] where
// [Engine.Secrets] cannot open it.
func (d *Directory) OpenSecret(ctx context.Context, name string, with Connection) (string, error) {
	if s := secretOf(&with, name); s != nil && s.text != nil && *s.text != "" {
		return *s.text, nil
	}
	var sealed records.Entry[[]byte]
	err := d.read(ctx, func(r store.Reader) error {
		conn, err := d.engine.connections.load(d.connection, r)
		if err != nil {
			return err
		}
		if sealed, err = records.Sealed.Find(r, name); err != nil {
			return err
		}
		if !with.LDAP.sharesSecrets(conn.LDAP) {
			return ErrSecretPlace
		}
		return nil
	})
	if errors.Is(err, ErrNotFound) {
		return "", notFound("secret", name)
	}
	if err != nil {
		return "", err
	}
	text, err := d.engine.openSecret(d.connection, name, sealed.Value)
	return string(text), err
}

func (e *Engine) openSecret(connection, name string, sealed []byte) ([]byte, error) {
	if e.Secrets == nil {
		return nil, fmt.Errorf("provision: %s of connection %q cannot be opened: Engine.Secrets is nil: %w", name, connection, ErrSealed)
	}
	text, err := e.Secrets.Open(connection, name, sealed)
	if err != nil {
		return nil, fmt.Errorf("provision: %s of connection %q cannot be opened: %w", name, connection, err)
	}
	return text, nil
}

// ResealSecrets seals all secrets of all connections anew, as [Engine.Secrets] seals
// now, and returns how many there are. Call it when the first key is another one; see
// [NewSecretKeys]. It may be called again after an error, which names the secret that
// could not be opened; what came before it is sealed anew.
func (e *Engine) ResealSecrets(ctx context.Context) (sealed int, err error) {
	ids, err := e.connectionIDs(ctx)
	if err != nil {
		return 0, err
	}
	for _, id := range ids {
		n := 0
		err := e.store().Update(ctx, id, func(_ context.Context, tx store.Tx) error {
			list, err := records.Sealed.List(tx, "", 0)
			if err != nil {
				return err
			}
			for i := range list {
				text, err := e.openSecret(id, list[i].Key, list[i].Value)
				if err != nil {
					return err
				}
				if list[i].Value, err = e.Secrets.Seal(id, list[i].Key, text); err != nil {
					return err
				}
				if err := records.Sealed.Save(tx, &list[i]); err != nil {
					return err
				}
			}
			n = len(list)
			return nil
		})
		if err != nil {
			return sealed, err
		}
		sealed += n
	}
	return sealed, nil
}

// takeSecrets seals the new secrets of settings that are saved, and removes those that
// are not to be kept. It returns the names of those that are others than before. The
// settings have no text afterwards.
func (c *change) takeSecrets(before *compiled) (replaced []string, err error) {
	next := c.conn
	moved := next.LDAP != nil && before.LDAP != nil && next.LDAP.sendsElsewhere(before.LDAP)
	for _, f := range secretFields {
		now, was := f.of(&next.Connection), f.of(&before.Connection)
		had := was != nil && was.set
		switch {
		case now != nil && now.text != nil && *now.text != "":
			news, err := c.sealSecret(f.name, *now.text, had)
			if err != nil {
				return nil, err
			}
			if news {
				replaced = append(replaced, f.name)
			}
			*now = SecretText{set: true}
			continue
		case now != nil && now.text == nil && had && !moved:
			*now = SecretText{set: true}
			continue
		case now != nil:
			*now = SecretText{}
		}
		if had || before.policy == nil { // settings that could not be read may have had one
			if err := records.Sealed.Clear(c.tx, f.name); err != nil {
				return nil, err
			}
		}
	}
	if err := c.checkBind(before, moved); err != nil {
		return nil, err
	}
	return replaced, c.checkClientKey(before, len(replaced) > 0)
}

// checkBind refuses an account without a password, which would be nobody, and a password
// without an account. Settings that have stood like that may stay, and a password that is
// lost as the server has another address is warned about.
func (c *change) checkBind(before *compiled, moved bool) error {
	now, was := c.conn.LDAP, before.LDAP
	field, reason := now.wrongBind()
	if stood, _ := was.wrongBind(); field == "" || field == stood || moved && was.BindPassword.set {
		return nil
	}
	return &ConnectionError{Connection: c.conn.ID, Field: field, Reason: reason}
}

// wrongBind says which half of the account is missing, as far as secrets were taken.
func (l *LDAP) wrongBind() (field, reason string) {
	switch {
	case l == nil:
	case l.BindDN == "" && l.BindPassword.set:
		return "ldap.bindDN", "there is a password and no account that it is of"
	case l.BindDN != "" && !l.BindPassword.set && l.ClientCertificate == "":
		return secretBindPassword, "it is missing: a bind without one is anonymous, whatever bindDN says"
	}
	return "", ""
}

// sealSecret stores a secret, unless it is the one that is stored, and reports whether
// it was another one.
func (c *change) sealSecret(name, text string, had bool) (news bool, err error) {
	wrong := &ConnectionError{Connection: c.conn.ID, Field: name}
	if c.engine.Secrets == nil {
		wrong.Reason = "it cannot be kept: whoever runs the application must set Engine.Secrets, as by NewSecretKeys, so that secrets are sealed"
		return false, wrong
	}
	if len(text) > maxSecret {
		wrong.Reason = fmt.Sprintf("it has more than %d bytes", maxSecret)
		return false, wrong
	}
	stored, err := records.Sealed.Load(c.tx, name)
	if err != nil {
		return false, err
	}
	if had && stored.Stored() {
		old, err := c.engine.Secrets.Open(c.conn.ID, name, stored.Value)
		if err == nil && subtle.ConstantTimeCompare(old, []byte(text)) == 1 {
			return false, nil
		}
	}
	if stored.Value, err = c.engine.Secrets.Seal(c.conn.ID, name, []byte(text)); err != nil {
		return false, fmt.Errorf("provision: sealing %s of connection %q: %w", name, c.conn.ID, err)
	}
	return true, records.Sealed.Save(c.tx, &stored)
}

// checkClientKey refuses a certificate for the directory without its key, where one of
// the two is another one than before.
func (c *change) checkClientKey(before *compiled, replaced bool) error {
	l := c.conn.LDAP
	if l == nil {
		return nil
	}
	wrong := &ConnectionError{Connection: c.conn.ID, Field: secretClientKey}
	switch {
	case l.ClientCertificate == "" && !l.ClientKey.set:
		return nil
	case l.ClientCertificate == "":
		wrong.Reason = "there is no certificate that it is the key of"
		return wrong
	case !l.ClientKey.set:
		wrong.Reason = "the key of the certificate is missing; it is removed when the server that it is for changes"
		return wrong
	case !replaced && before.LDAP != nil && before.LDAP.ClientCertificate == l.ClientCertificate:
		return nil
	}
	sealed, err := records.Sealed.Find(c.tx, secretClientKey)
	if err != nil {
		return err
	}
	key, err := c.engine.openSecret(c.conn.ID, secretClientKey, sealed.Value)
	if err != nil {
		return err
	}
	if _, err := tls.X509KeyPair([]byte(l.ClientCertificate), key); err != nil {
		wrong.Reason = "it is not the key of the certificate, in PEM and without a password"
		return wrong
	}
	return nil
}

// dropSecrets removes the secrets of a connection that is deleted.
func dropSecrets(tx store.RecordWriter) error {
	for _, f := range secretFields {
		if err := records.Sealed.Clear(tx, f.name); err != nil {
			return err
		}
	}
	return nil
}
