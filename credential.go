package provision

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/scimjit/provision/internal/records"
	"github.com/scimjit/provision/internal/spelling"
	"github.com/scimjit/provision/store"
)

// tokenPrefix starts every generated token, so that leak scanners recognize it.
const tokenPrefix = "scimjit_"

// minSecretLength is the least length, in bytes, of a token or password that a
// configuration chooses. Secrets are kept as one SHA-256, so they must not be
// guessable.
const minSecretLength = 32

// Secret is the secret part of a credential: a bearer token, or a user name
// and password for HTTP Basic. Generated ones begin with "scimjit_", so that leak
// scanners recognize them; a token or password that a configuration chooses has at
// least 32 bytes.
type Secret struct {
	Token    string
	UserName string
	Password string
}

// hash is the key a credential is found by. It covers the whole secret, so a
// wrong user name, a wrong password and an unknown token are all the same
// lookup that finds nothing.
func (s Secret) hash() [sha256.Size]byte {
	if s.Token != "" {
		return sha256.Sum256([]byte("token\x00" + s.Token))
	}
	return sha256.Sum256([]byte("basic\x00" + s.UserName + "\x00" + s.Password))
}

// Validate checks what a configuration chose. The error is a [*CredentialError], which
// never quotes a secret.
func (s Secret) Validate() error {
	wrong := func(code, field, reason string) error {
		return &CredentialError{Code: code, Field: field, Reason: reason}
	}
	short := func(field, text string) error {
		return wrong(credentialShort, field, fmt.Sprintf("it must have at least %d characters, and has %d", minSecretLength, len(text)))
	}
	switch {
	case strings.TrimSpace(s.Token) != s.Token:
		return wrong(credentialSpace, "token", "the token begins or ends with white space, which no client can send")
	case strings.Contains(s.UserName, ":"):
		return wrong(credentialColon, "userName", fmt.Sprintf("the user name %q has a colon, which HTTP Basic cannot carry", shorten(s.UserName)))
	case s.Token != "" && (s.UserName != "" || s.Password != ""):
		return wrong(credentialMethods, "", "there must be a token or a user name and password, not both")
	case s.Token != "" && len(s.Token) < minSecretLength:
		return short("token", s.Token)
	case s.Token == "" && s.UserName == "":
		return wrong(credentialNoName, "userName", "the user name is missing")
	case s.Token == "" && len(s.Password) < minSecretLength:
		return short("password", s.Password)
	}
	return nil
}

// The methods of a credential.
const (
	methodToken = "token"
	methodBasic = "basic"
)

// Credential is what is known of a secret without knowing it.
type Credential struct {
	ID         string    `json:"id"`
	Connection string    `json:"connection"`
	Method     string    `json:"method"`             // "token" or "basic"
	UserName   string    `json:"userName,omitempty"` // of method "basic"
	Created    time.Time `json:"created"`
	Expires    time.Time `json:"expires,omitzero"` // zero: never

	// PendingUntil is until when a credential waits to be activated, see
	// [Directory.ActivateCredential]; zero for one that counts.
	PendingUntil time.Time `json:"pendingUntil,omitzero"`

	// LastUsed is accurate to about a minute, and zero for a credential that was
	// never used. [Engine.Run] writes it.
	LastUsed time.Time `json:"lastUsed,omitzero"`
}

// credentialOf returns what a host may know of a stored credential.
func credentialOf(c records.StoredCredential) Credential {
	return Credential{
		ID: c.ID, Connection: c.Connection, Method: c.Method, UserName: c.UserName,
		Created: c.Created, Expires: c.Expires, PendingUntil: c.PendingUntil, LastUsed: c.LastUsed,
	}
}

// credentialLifetime is how long a generated credential counts where
// nobody says otherwise.
const credentialLifetime = 365 * 24 * time.Hour

// SetCredential makes a secret the only credential of a connection: others are
// revoked at once. Setting the same secret with the same expiry again changes
// nothing. A zero expires never expires.
//
// The connection must exist. A weak secret is a [*CredentialError].
func (d *Directory) SetCredential(ctx context.Context, secret Secret, expires time.Time) (Credential, error) {
	return d.makeCredential(ctx, secret, expires, credentialTerms{alone: true, known: true})
}

// NewCredential is which credential is generated. The zero value is a token that counts
// at once, for 365 days.
type NewCredential struct {
	Method  string    `json:"method,omitempty"`  // "token", also where it is empty, or "basic"
	Expires time.Time `json:"expires,omitzero"`  // zero: after 365 days
	Pending bool      `json:"pending,omitempty"` // it counts as soon as [Directory.ActivateCredential] says so
}

// IssueCredential generates a bearer token, or a user name and a password for HTTP Basic,
// and returns it. This is the only time it can be read: the store keeps its hash.
// [Directory.Credentials] shows the user name later on, by which people tell two
// credentials apart.
//
// A connection has at most two live credentials. A third is refused with a
// [*CredentialError] rather than put in the place of one that may be in use:
// revoke one of them first. Credentials that have expired, and those of the other
// method, since a connection has one at a time, are revoked at once.
//
// A pending one does none of this before it is activated. It waits for an hour, and is
// gone then. Four may wait; a further one takes the place of the oldest of them.
//
// The connection must have been saved, or the error is [ErrNotFound]. A method that does
// not exist is an [*ArgumentError], an end that has passed a [*CredentialError].
func (d *Directory) IssueCredential(ctx context.Context, n NewCredential) (Secret, Credential, error) {
	secret, err := d.engine.newSecret(n.Method)
	if err != nil {
		return Secret{}, Credential{}, err
	}
	cred, err := d.makeCredential(ctx, secret, n.Expires, credentialTerms{ends: true, pending: n.Pending})
	if err != nil {
		return Secret{}, Credential{}, err
	}
	return secret, cred, nil
}

// IssueToken is [Directory.IssueCredential] of a token that counts at once.
func (d *Directory) IssueToken(ctx context.Context, expires time.Time) (token string, _ Credential, err error) {
	secret, cred, err := d.IssueCredential(ctx, NewCredential{Expires: expires})
	return secret.Token, cred, err
}

// newSecret generates a secret of a method.
func (e *Engine) newSecret(method string) (Secret, error) {
	switch method {
	case "", methodToken:
		text, err := e.Plumbing().NewToken()
		return Secret{Token: text}, err
	case methodBasic:
		name, err := e.random(userNameBytes)
		if err != nil {
			return Secret{}, err
		}
		text, err := e.Plumbing().NewToken()
		return Secret{UserName: "scim-" + name, Password: text}, err
	}
	return Secret{}, &ArgumentError{Argument: "method", Value: shorten(method), Reason: spelling.Hint([]string{methodToken, methodBasic}, method)}
}

// userNameBytes is how much of a generated user name is random: enough that no two
// are the same. It is no secret.
const userNameBytes = 8

// makeCredential claims a secret for a connection, lists the credential there,
// and releases the secrets that this has revoked; or the claim, where it failed.
func (d *Directory) makeCredential(ctx context.Context, secret Secret, expires time.Time, terms credentialTerms) (Credential, error) {
	e := d.engine
	made, err := e.newCredential(d.connection, secret, expires)
	if err != nil {
		return Credential{}, err
	}
	if err := e.claimSecret(ctx, made.Hash, d.connection); err != nil {
		return Credential{}, err
	}
	var placed records.StoredCredential
	var revoked []string
	err = d.updateCredentials(ctx, func(b *credentialBook) (err error) {
		placed, revoked, err = b.place(made, terms)
		return err
	})
	if err != nil {
		e.releaseSecrets(ctx, d.connection, made.Hash)
		return Credential{}, err
	}
	e.releaseSecrets(ctx, d.connection, revoked...)
	if terms.known && placed.ID == made.ID {
		// Another process may have released the claim before the credential was
		// listed. From now on it sees the new version and leaves it alone.
		if err := e.claimSecret(ctx, made.Hash, d.connection); err != nil {
			return Credential{}, err
		}
	}
	return credentialOf(placed), nil
}

// newCredential returns what is kept of a secret, under a new id.
func (e *Engine) newCredential(connection string, secret Secret, expires time.Time) (records.StoredCredential, error) {
	if err := secret.Validate(); err != nil {
		var wrong *CredentialError
		if errors.As(err, &wrong) {
			wrong.Connection = connection
		}
		return records.StoredCredential{}, err
	}
	id, err := e.newID()
	if err != nil {
		return records.StoredCredential{}, err
	}
	sum := secret.hash()
	cred := records.StoredCredential{ID: id, Connection: connection, Method: methodBasic, UserName: secret.UserName, Hash: hex.EncodeToString(sum[:])}
	if secret.Token != "" {
		cred.Method = methodToken
	}
	if !expires.IsZero() {
		cred.Expires = expires.UTC()
	}
	return cred, nil
}

// Credentials returns the credentials of a connection, expired and pending ones included,
// oldest first, or [ErrNotFound] for an unknown connection.
func (d *Directory) Credentials(ctx context.Context) ([]Credential, error) {
	var out []Credential
	err := d.view(ctx, func(r store.Reader) error {
		err := d.exists(r)
		if err != nil {
			return err
		}
		out, err = d.credentialsIn(r)
		return err
	})
	return out, err
}

// credentialsIn reads the credentials of the connection, oldest first.
func (d *Directory) credentialsIn(r store.RecordReader) ([]Credential, error) {
	all, err := records.Credential.List(r, "", 0)
	if err != nil {
		return nil, err
	}
	sortByAge(all)
	out, now := make([]Credential, 0, len(all)), d.engine.now()
	for _, stored := range all {
		if pendingOver(&stored.Value, now) {
			continue
		}
		cred := credentialOf(stored.Value)
		if at := d.engine.credentials.lastUsed(d.connection, cred.ID); at.After(cred.LastUsed) || !at.IsZero() && usedAhead(cred.LastUsed, now) {
			cred.LastUsed = at
		}
		out = append(out, cred)
	}
	return out, nil
}

// sortByAge sorts credentials, oldest first.
func sortByAge(list []storedCredential) {
	slices.SortStableFunc(list, func(a, b storedCredential) int { return a.Value.Created.Compare(b.Value.Created) })
}

// ExtendCredential changes when a credential expires, and not its secret. A zero
// until means 365 days from now; an earlier time than before
// ends an overlap by date. A credential that has expired counts again.
//
// An unknown credential is [ErrNotFound], a time that has passed is a
// [*CredentialError].
func (d *Directory) ExtendCredential(ctx context.Context, id string, until time.Time) (Credential, error) {
	var cred records.StoredCredential
	err := d.updateCredentials(ctx, func(b *credentialBook) (err error) {
		cred, err = b.extend(id, until)
		return err
	})
	if err != nil {
		return Credential{}, err
	}
	d.engine.credentials.forget(d.connection)
	return credentialOf(cred), nil
}

// RevokeCredentials revokes all credentials of a connection at once.
func (d *Directory) RevokeCredentials(ctx context.Context) error {
	return d.revokeCredentials(ctx, (*credentialBook).all)
}

// RevokeCredential revokes one credential at once, on every replica: see
// [Engine.SingleProcess]. An unknown one, or one of another connection, is
// [ErrNotFound].
func (d *Directory) RevokeCredential(ctx context.Context, id string) error {
	return d.revokeCredentials(ctx, func(b *credentialBook) ([]storedCredential, error) {
		cred, err := records.Credential.Find(b.tx, id)
		return []storedCredential{cred}, err
	})
}

// revokeCredentials revokes those credentials of a connection that which
// returns.
func (d *Directory) revokeCredentials(ctx context.Context, which func(*credentialBook) ([]storedCredential, error)) error {
	var revoked []string
	err := d.updateCredentials(ctx, func(b *credentialBook) error {
		creds, err := which(b)
		if err == nil {
			revoked, err = b.revoke(creds)
		}
		return err
	})
	if err != nil {
		return err
	}
	d.engine.releaseSecrets(ctx, d.connection, revoked...)
	return nil
}
