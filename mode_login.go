package provision

import (
	"github.com/scimjit/provision/internal/records"
	"github.com/scimjit/provision/policy"
)

// While a connection is paused, people who have an account log in by what it is. What the
// login tells is stored as a fact; nothing follows from it before the connection resumes.

// enterPaused lets in, or refuses, somebody by the account as it is stored.
func (l *login) enterPaused(p *loginPerson, next *Account) (*Account, error) {
	if refused := l.refusal(p, p.account, p.account.Status == policy.StatusActive); refused != nil {
		return nil, refused
	}
	after := p.account.Clone()
	after.Facts.Login = next.Facts.Login
	if err := l.storeFacts(p.account, after); err != nil {
		return nil, err
	}
	if err := l.rememberSession(after.ID); err != nil {
		return nil, err
	}
	return after.Clone(), nil
}

// denyPaused refuses somebody who has no account.
func (l *login) denyPaused() error {
	return denied(policy.DeniedPaused, "connection %q is paused until %s, and %q has no account yet", l.conn.ID, timeText(l.conn.Until), l.identity.userName())
}

// joinToLogIn returns the account of a user who has none: of one who waits, as long as the
// job of the new mode has not come to them.
func (l *login) joinToLogIn(r *Resource) (*Account, error) {
	a, err := l.joinUnlessPaused(r)
	if err == nil && a == nil {
		err = denied(policy.DeniedDisabled, "the account of %q was deleted, or an operator leaves them out", r.Display)
	}
	return a, err
}

func (l *login) joinUnlessPaused(r *Resource) (*Account, error) {
	if l.waits() {
		w, err := records.Waiting.Load(l.tx, r.ID)
		if err == nil && w.Stored() {
			err = l.denyPaused()
		}
		return nil, err
	}
	resource := l.resource
	a, _, err := l.joinNow(r)
	l.resource = resource
	return a, err
}
