package ldap

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"sync"
	"time"
)

// refusedAccount remembers that the password of the service account was refused, so that
// what strangers send does not have it tried again and again until the account is locked.
type refusedAccount struct {
	// one is taken by whoever binds while no bind has succeeded since the last refusal:
	// those who come at the same time wait for what the first one hears.
	one chan struct{}

	salt string

	mu     sync.Mutex
	proven bool     // the last bind succeeded
	answer *Error   // the refusal; nil without one
	digest [32]byte // of the password that was refused
	until  time.Time
}

func newRefusedAccount() *refusedAccount {
	return &refusedAccount{one: make(chan struct{}, 1), salt: rand.Text()}
}

// begin is called before the service account is bound with a password, and done after. It
// returns the refusal that is remembered, or the error of ctx.
func (r *refusedAccount) begin(ctx context.Context, password string) (done func(), err error) {
	done = func() {}
	if !r.isProven() {
		ctx, cancel := context.WithTimeout(ctx, answerWithin)
		defer cancel()
		select {
		case r.one <- struct{}{}:
			done = func() { <-r.one }
		case <-ctx.Done():
			return nil, explain(ctx, "", "waiting for another bind of the service account", ctx.Err())
		}
	}
	if err := r.refusal(password); err != nil {
		done()
		return nil, err
	}
	return done, nil
}

func (r *refusedAccount) isProven() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.proven
}

// remembers reports whether a password was refused within [asideFor].
func (r *refusedAccount) remembers() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.answer != nil && time.Now().Before(r.until)
}

// refusal returns the refusal of a password, or nil where there is none or it was one of
// another password.
func (r *refusedAccount) refusal(password string) error {
	if !r.remembers() {
		return nil
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.answer == nil || r.digestOf(password) != r.digest {
		return nil
	}
	again := *r.answer
	return &again
}

// note remembers how a bind with a password went.
func (r *refusedAccount) note(password string, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	var known *Error
	switch {
	case err == nil:
		r.proven, r.answer = true, nil
	case errors.As(err, &known) && known.Code == CodeBind:
		again := *known
		r.proven, r.answer, r.digest, r.until = false, &again, r.digestOf(password), time.Now().Add(asideFor)
	}
}

func (r *refusedAccount) digestOf(password string) [32]byte {
	return sha256.Sum256([]byte(r.salt + password))
}
