package provision

import (
	"context"
	"time"

	"github.com/scimjit/provision/internal/records"
	"github.com/scimjit/provision/store"
)

// A pending credential is one that somebody generated in a form that is not saved yet.
// It lets nobody in, takes nobody's place, and is gone after an hour.

const (
	// pendingFor is how long a credential may wait to be activated.
	pendingFor = time.Hour

	// maxPending is how many may wait at a time. A further one takes the place of the
	// oldest, which nobody has used.
	maxPending = 4
)

// ActivateCredential makes a pending credential count, from the moment at which it
// returns. It is for the button that saves the form in which the credential was
// generated. The live credentials of the other method are revoked in the same
// transaction, as are those that have expired.
//
// One that counts already is returned as it is. The error is [ErrNotFound] for an unknown
// one and for one that has waited for an hour, and a [*CredentialError] where two of the
// method are live, or where its own end has passed: then nothing is changed.
func (d *Directory) ActivateCredential(ctx context.Context, id string) (Credential, error) {
	var placed records.StoredCredential
	var revoked []string
	err := d.updateCredentials(ctx, func(b *credentialBook) (err error) {
		placed, revoked, err = b.activate(id)
		return err
	})
	if err != nil {
		return Credential{}, err
	}
	d.engine.releaseSecrets(ctx, d.connection, revoked...)
	return credentialOf(placed), nil
}

// activate makes a pending credential count. It returns it, and the hashes of those that
// it has revoked.
func (b *credentialBook) activate(id string) (placed records.StoredCredential, revoked []string, err error) {
	cred, err := records.Credential.Find(b.tx, id)
	if err == nil && pendingOver(&cred.Value, b.now) {
		err = notFound("credential", id)
	}
	if err != nil || !isPending(&cred.Value) {
		return cred.Value, nil, err
	}
	if !cred.Value.Expires.IsZero() {
		if _, err := b.expiry(cred.Value.Expires); err != nil {
			return cred.Value, nil, err
		}
	}
	all, err := b.all()
	if err != nil {
		return cred.Value, nil, err
	}
	leaving, err := b.makeRoom(all, cred.Value, false)
	if err != nil {
		return cred.Value, nil, err
	}
	if revoked, err = b.revoke(leaving); err != nil {
		return cred.Value, nil, err
	}
	until := cred.Value.PendingUntil
	cred.Value.PendingUntil = time.Time{}
	cred.Value.Noticed = expiryNotice(cred.Value.Expires, b.now)
	err = b.save(&cred, store.ConnectionUpdated, store.Change{Attribute: pendingUntil, Before: timeJSON(until)})
	return cred.Value, revoked, err
}

// pendingUntil is the attribute by which events tell that a credential waits, or does not
// any more.
const pendingUntil = "pendingUntil"

// placePending lists a new credential that waits, and returns the hashes of those that
// have waited too long for it.
func (b *credentialBook) placePending(made records.StoredCredential) (placed records.StoredCredential, revoked []string, err error) {
	all, err := b.all()
	if err != nil {
		return made, nil, err
	}
	var waiting, leaving []storedCredential
	for _, old := range all {
		switch {
		case !isPending(&old.Value):
		case pendingOver(&old.Value, b.now):
			leaving = append(leaving, old)
		default:
			waiting = append(waiting, old)
		}
	}
	sortByAge(waiting)
	for len(waiting) >= maxPending {
		leaving, waiting = append(leaving, waiting[0]), waiting[1:]
	}
	if revoked, err = b.revoke(leaving); err != nil {
		return made, nil, err
	}
	made.PendingUntil = b.now.Add(pendingFor)
	return made, revoked, b.save(&storedCredential{Key: made.ID, Value: made}, store.CredentialCreated, termsOf(made)...)
}

// dropPending revokes those that have waited too long, and returns their hashes.
func (b *credentialBook) dropPending() (revoked []string, err error) {
	all, err := b.all()
	if err != nil {
		return nil, err
	}
	var over []storedCredential
	for _, cred := range all {
		if pendingOver(&cred.Value, b.now) {
			over = append(over, cred)
		}
	}
	return b.revoke(over)
}

// isPending reports whether a credential waits to be activated.
func isPending(c *records.StoredCredential) bool { return !c.PendingUntil.IsZero() }

// pendingOver reports whether a credential has waited too long. One that would wait for
// longer than it may was made by a clock that was ahead.
func pendingOver(c *records.StoredCredential, now time.Time) bool {
	return isPending(c) && !records.Ahead(c.PendingUntil, now, pendingFor)
}
