package provision

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/scimjit/provision/internal/records"
	"github.com/scimjit/provision/store"
)

// maxCredentials is how many live credentials a connection may have: two, so
// that the old one works until the identity provider has the new one.
const maxCredentials = 2

// storedCredential is a credential with the version of its record.
type storedCredential = records.Entry[records.StoredCredential]

// credentialBook is the credentials of one connection in a transaction. What it
// changes, an event tells.
type credentialBook struct {
	connection string
	tx         records.ReadWriter
	now        time.Time
	append     func(*store.Event) error
}

// updateCredentials runs fn on the credentials of a connection, in a
// transaction.
func (d *Directory) updateCredentials(ctx context.Context, fn func(*credentialBook) error) error {
	return d.update(ctx, d.why(), func(c *change) error {
		return fn(&credentialBook{connection: d.connection, tx: c.tx, now: c.now, append: c.append})
	})
}

// all returns the credentials, expired ones included, in order of id.
func (b *credentialBook) all() ([]storedCredential, error) {
	return records.Credential.List(b.tx, "", 0)
}

// credentialTerms are what differs between a secret that is generated and one
// that a configuration chose.
type credentialTerms struct {
	// alone revokes every other credential. Otherwise those are revoked that
	// have expired or are of the other method.
	alone bool

	// ends says that the credential must end in the future: where no time is
	// given, after credentialLifetime.
	ends bool

	// pending says that the credential waits to be activated.
	pending bool

	// known says that somebody knew the secret before: another process may set
	// or revoke it at the same time.
	known bool
}

// place lists a new credential, unless the same is listed. It returns the one
// that is, and the hashes of the others that it has revoked.
func (b *credentialBook) place(made records.StoredCredential, terms credentialTerms) (placed records.StoredCredential, revoked []string, err error) {
	made.Created = b.now
	if terms.ends {
		if made.Expires, err = b.expiry(made.Expires); err != nil {
			return made, nil, err
		}
	}
	if terms.pending {
		return b.placePending(made)
	}
	all, err := b.all()
	if err != nil {
		return made, nil, err
	}
	placed = made
	if i := slices.IndexFunc(all, func(old storedCredential) bool { return isSame(&old.Value, &made) }); i >= 0 {
		placed = all[i].Value
	}
	leaving, err := b.makeRoom(all, placed, terms.alone)
	if err != nil {
		return made, nil, err
	}
	revoked, err = b.revoke(leaving)
	if err != nil || placed.ID != made.ID {
		return placed, revoked, err
	}
	placed.Noticed = expiryNotice(placed.Expires, b.now)
	return placed, revoked, b.save(&storedCredential{Key: placed.ID, Value: placed}, store.CredentialCreated, termsOf(placed)...)
}

// isSame reports whether a credential is listed that has the secret and the end of a new
// one.
func isSame(old, made *records.StoredCredential) bool {
	return old.Hash == made.Hash && old.Expires.Equal(made.Expires) && !isPending(old)
}

// makeRoom returns those of all credentials that leave for one to be live: of the other
// method, expired, or, where it is to be alone, all others. The error is that too many
// stay. Others that are pending stay so.
func (b *credentialBook) makeRoom(all []storedCredential, one records.StoredCredential, alone bool) (leaving []storedCredential, err error) {
	live := 0
	for _, old := range all {
		c := &old.Value
		switch {
		case c.ID == one.ID:
		case alone, pendingOver(c, b.now), !isPending(c) && (c.Method != one.Method || hasExpired(c.Expires, b.now)):
			leaving = append(leaving, old)
		case !isPending(c):
			live++
		}
	}
	if live >= maxCredentials {
		return nil, &CredentialError{
			Code: credentialMany, Connection: b.connection,
			Reason: fmt.Sprintf("%d credentials are live, revoke one first", maxCredentials),
		}
	}
	return leaving, nil
}

// termsOf are what an event tells of a new credential: how it is used and until when,
// null for ever, and until when it waits.
func termsOf(c records.StoredCredential) []store.Change {
	terms := []store.Change{{Attribute: "method", After: mustJSON(c.Method)}}
	if c.UserName != "" {
		terms = append(terms, store.Change{Attribute: "userName", After: mustJSON(c.UserName)})
	}
	terms = append(terms, store.Change{Attribute: "expires", After: timeJSON(c.Expires)})
	if isPending(&c) {
		terms = append(terms, store.Change{Attribute: pendingUntil, After: timeJSON(c.PendingUntil)})
	}
	return terms
}

// expiry returns when a credential ends that shall end at a time; zero means
// after credentialLifetime.
func (b *credentialBook) expiry(at time.Time) (time.Time, error) {
	if at.IsZero() {
		at = b.now.Add(credentialLifetime)
	}
	at = at.UTC().Truncate(time.Millisecond)
	if hasExpired(at, b.now) {
		return at, &CredentialError{
			Code: credentialPast, Connection: b.connection, Field: "expires",
			Reason: fmt.Sprintf("%s has passed: it must be in the future", at.Format(time.RFC3339)),
		}
	}
	return at, nil
}

// extend changes when a credential expires.
func (b *credentialBook) extend(id string, until time.Time) (records.StoredCredential, error) {
	cred, err := records.Credential.Find(b.tx, id)
	if err != nil {
		return cred.Value, err
	}
	before := cred.Value.Expires
	if pendingOver(&cred.Value, b.now) {
		return cred.Value, notFound("credential", id)
	}
	if cred.Value.Expires, err = b.expiry(until); err != nil || cred.Value.Expires.Equal(before) {
		return cred.Value, err
	}
	cred.Value.Noticed = expiryNotice(cred.Value.Expires, b.now)
	return cred.Value, b.save(&cred, store.ConnectionUpdated,
		store.Change{Attribute: "expires", Before: timeJSON(before), After: timeJSON(cred.Value.Expires)})
}

// revoke removes credentials and returns their hashes.
func (b *credentialBook) revoke(creds []storedCredential) (hashes []string, err error) {
	for _, cred := range creds {
		if err := records.Credential.Delete(b.tx, cred.Key, 0); err != nil {
			return nil, err
		}
		if err := b.tell(cred.Key, store.CredentialRevoked); err != nil {
			return nil, err
		}
		hashes = append(hashes, cred.Value.Hash)
	}
	return hashes, nil
}

// tend writes when credentials were used, by id, tells of those that expire soon, and
// revokes those that have waited too long, whose hashes it returns.
func (b *credentialBook) tend(used map[string]time.Time) (revoked []string, err error) {
	if revoked, err = b.dropPending(); err != nil {
		return nil, err
	}
	return revoked, b.tendLive(used)
}

func (b *credentialBook) tendLive(used map[string]time.Time) error {
	all, err := b.all()
	if err != nil {
		return err
	}
	for _, cred := range all {
		noticed := cred.Value.Noticed
		if !tendCredential(&cred.Value, b.now, used[cred.Key]) {
			continue
		}
		if cred.Value.Noticed == noticed || cred.Value.Noticed == 0 {
			err = records.Credential.Save(b.tx, &cred)
		} else {
			err = b.save(&cred, store.CredentialExpiring,
				store.Change{Attribute: "expires", After: timeJSON(cred.Value.Expires)},
				store.Change{Attribute: "daysLeft", After: mustJSON(cred.Value.Noticed)})
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// save stores a credential, new or changed, with its event.
func (b *credentialBook) save(cred *storedCredential, typ store.EventType, changes ...store.Change) error {
	if err := records.Credential.Save(b.tx, cred); err != nil {
		return err
	}
	return b.tell(cred.Key, typ, changes...)
}

// tell appends an event about a credential.
func (b *credentialBook) tell(id string, typ store.EventType, changes ...store.Change) error {
	return b.append(&store.Event{Type: typ, Resource: &store.ResourceRef{Type: "Credential", ID: id}, Changes: changes})
}

// tendCredential notes a use and the notice that is due, and reports whether that changed
// the credential. A last use in the future, and a notice whose time is more than an
// hour away, were noted by a clock that was ahead: neither keeps back what comes now.
func tendCredential(c *records.StoredCredential, now, used time.Time) bool {
	if isPending(c) {
		return false
	}
	changed := false
	if used.Sub(c.LastUsed) >= credentialInterval || !used.IsZero() && usedAhead(c.LastUsed, now) {
		c.LastUsed = used
		changed = true
	}
	if c.Noticed != 0 && isLater(expiryNotice(c.Expires, now.Add(jumpWithin)), c.Noticed) {
		c.Noticed = 0
		changed = true
	}
	if days := expiryNotice(c.Expires, now); days != 0 && isLater(c.Noticed, days) {
		c.Noticed = days
		changed = true
	}
	return changed
}

// usedAhead reports whether a last use was noted by a clock that was ahead.
func usedAhead(at, now time.Time) bool { return at.Sub(now) > credentialInterval }

// isLater reports whether a second notice of expiry comes after a first, each as
// days before, or 0 for none.
func isLater(first, second int) bool { return first == 0 || second < first }

// expiryNotice returns which notice of an expiry is the last at a time, as the days
// before, or 0 before the first.
func expiryNotice(expires, now time.Time) int {
	if expires.IsZero() {
		return 0
	}
	for _, days := range []int{1, 7, 30} {
		if expires.Sub(now) <= time.Duration(days)*24*time.Hour {
			return days
		}
	}
	return 0
}

// hasExpired reports whether an expiry has passed; zero never does. A clock that is
// behind lets a credential count, and one that is ahead ends it, for as long as the
// clock is wrong: nothing of that is kept.
func hasExpired(expires, now time.Time) bool { return !expires.IsZero() && !now.Before(expires) }

// timeJSON returns a time as an event shows it, with null for never.
func timeJSON(t time.Time) json.RawMessage {
	if t.IsZero() {
		return nil
	}
	return mustJSON(t)
}

// claimSecret reserves a secret for a connection that exists: no two connections
// may use the same. The claim alone lets nobody in, since a credential counts
// only when the connection lists it too. So one whose connection does not list
// the secret, because it failed or ended in between, is free to take.
func (e *Engine) claimSecret(ctx context.Context, hash, connection string) error {
	if _, err := e.connection(ctx, connection); err != nil {
		return err
	}
	claim, err := records.Secret.View(ctx, e.store(), store.Global, hash)
	if err != nil {
		return err
	}
	holder := claim.Value
	if holder != "" && holder != connection {
		used, err := e.lists(ctx, holder, hash)
		if err != nil {
			return err
		}
		if used {
			return &CredentialError{Code: credentialTaken, Connection: connection, Reason: "another connection uses the same secret"}
		}
	}
	return e.store().Update(ctx, store.Global, func(_ context.Context, tx store.Tx) error {
		claim, err := records.Secret.Load(tx, hash)
		if err != nil {
			return err
		}
		if claim.Stored() && claim.Value != holder && claim.Value != connection {
			return store.ErrVersion // somebody else took it meanwhile
		}
		claim.Value = connection
		return records.Secret.Save(tx, &claim)
	})
}

// lists reports whether a connection has a credential with a secret.
func (e *Engine) lists(ctx context.Context, connection, hash string) (bool, error) {
	found := false
	err := e.store().View(ctx, connection, func(_ context.Context, r store.Reader) error {
		all, err := records.Credential.List(r, "", 0)
		found = slices.ContainsFunc(all, func(c storedCredential) bool { return c.Value.Hash == hash })
		return err
	})
	return found, err
}

// releaseSecrets ends the claims of a connection on secrets that it does not
// list, and drops what is remembered of its credentials. A claim that stays lets
// nobody in, and is no reason to fail what is done.
func (e *Engine) releaseSecrets(ctx context.Context, connection string, hashes ...string) {
	e.credentials.forget(connection)
	for _, hash := range hashes {
		if err := e.releaseSecret(ctx, connection, hash); err != nil && ctx.Err() == nil {
			e.logger().Warn("forgetting a revoked secret", "connection", connection, "error", err)
		}
	}
}

func (e *Engine) releaseSecret(ctx context.Context, connection, hash string) error {
	claim, err := records.Secret.View(ctx, e.store(), store.Global, hash)
	if err != nil || claim.Value != connection {
		return err
	}
	// The version is older than this look, so a claim after it keeps the record.
	if used, err := e.lists(ctx, connection, hash); used || err != nil {
		return err
	}
	err = e.store().Update(ctx, store.Global, func(_ context.Context, tx store.Tx) error {
		return records.Secret.Delete(tx, hash, claim.Version)
	})
	if errors.Is(err, store.ErrVersion) || errors.Is(err, store.ErrNotFound) {
		return nil
	}
	return err
}
