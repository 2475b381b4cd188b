package provision

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"time"

	"github.com/scimjit/provision/internal/records"
	"github.com/scimjit/provision/store"
)

// OnceKey is a text that is used once, such as the id of an assertion: of all who use
// it, on every replica, exactly one is the first, and every other one gets a
// [*ReplayError]. It is what replay caches are made of. See [Identity.Once],
// [Logout.Once] and [Plumbing.Once].
type OnceKey struct {
	// Text may have any length. A store keeps its hash.
	Text string

	// Until is when it may be used again. The time has come when it has by [Engine.Now]
	// and by the clock of the store, which replicas have in common: whoever checks an
	// expiry of its own keeps the key at least as long.
	//
	// A clock that is set back makes a key count for longer, never shorter: that is safe
	// where a key names one thing, such as an assertion, and locks out who uses the same
	// key again and again. One that jumps ahead makes the key and what it names expire
	// together; the key is kept for an hour more, and counts while work waits for the
	// jump ([Engine.ConfirmClock]), so that it still counts when the clock is set right.
	// [Engine.Run] removes keys whose time has passed.
	Until time.Time
}

// ReplayError says that a key was used before, and counts still. Nothing was stored.
type ReplayError struct{ Key string }

// Error implements error. It is for the log: a key may hold text of a client.
func (e *ReplayError) Error() string { return fmt.Sprintf("provision: used before: %q", e.Key) }

// Once uses keys in a transaction of their own: all of them, or where one of them was
// used before none, and the error is a [*ReplayError]. What is done once is better done
// in the same transaction, as [Directory.Login] does: whoever uses a key first and then
// fails cannot try again.
func (p Plumbing) Once(ctx context.Context, connection string, keys ...OnceKey) error {
	return p.engine.store().Update(ctx, connection, func(_ context.Context, tx store.Tx) error {
		tx.Expect(expectKeys(keys))
		uses, err := p.engine.firstUse(tx, keys)
		if err != nil {
			return err
		}
		return saveUses(tx, uses)
	})
}

// onceRecord returns the key of the record of a text.
func onceRecord(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:])
}

// expectKeys announces what firstUse reads.
func expectKeys(keys []OnceKey) store.Read {
	return func(r store.Reader) {
		for _, key := range keys {
			_, _ = records.Once.Load(r, onceRecord(key.Text))
		}
	}
}

// firstUse returns what saveUses stores, or a ReplayError.
func (e *Engine) firstUse(r store.Reader, keys []OnceKey) (uses []records.Entry[struct{}], err error) {
	for _, key := range keys {
		use, err := records.Once.Load(r, onceRecord(key.Text))
		if err != nil {
			return nil, err
		}
		if use.Stored() {
			now, err := e.surest(r)
			if err != nil {
				return nil, err
			}
			if now.Before(use.Expires) {
				return nil, &ReplayError{Key: key.Text}
			}
		}
		use.Expires = key.Until.UTC()
		if !slices.ContainsFunc(uses, func(u records.Entry[struct{}]) bool { return u.Key == use.Key }) {
			uses = append(uses, use)
		}
	}
	return uses, nil
}

// saveUses stores uses.
func saveUses(w store.RecordWriter, uses []records.Entry[struct{}]) error {
	for i := range uses {
		if err := records.Once.Save(w, &uses[i]); err != nil {
			return err
		}
	}
	return nil
}

// firstWithin reports whether a text is used for the first time within a span, by the
// clock of the store, and uses it then. One that was ahead keeps nobody waiting.
func (c *change) firstWithin(text string, span time.Duration) (first bool, err error) {
	use, err := records.Once.Load(c.tx, onceRecord(text))
	if err != nil {
		return false, err
	}
	now, err := c.tx.Now()
	if err != nil || use.Stored() && records.Ahead(use.Expires, now, span) {
		return false, err
	}
	use.Expires = now.Add(span)
	return true, records.Once.Save(c.tx, &use)
}

// pruneOnce removes the keys of a connection whose time has passed for so long that
// no clock that jumps unseen can have made it so, allowances that are full again,
// attempts that count no more, and portal links that are over.
func (e *Engine) pruneOnce(ctx context.Context, connection string) error {
	due := false
	err := e.store().View(ctx, connection, func(_ context.Context, r store.Reader) error {
		keys, err := records.Once.List(r, "", 1)
		if err != nil {
			return err
		}
		allowances, err := records.Allowance.List(r, "", 1)
		if err != nil {
			return err
		}
		attempts, err := records.Attempts.List(r, "", 1)
		if err != nil {
			return err
		}
		links, err := records.Portal.List(r, "", 1)
		due = len(keys)+len(allowances)+len(attempts)+len(links) > 0
		return err
	})
	if err != nil || !due {
		return err
	}
	return e.store().Update(ctx, connection, func(_ context.Context, tx store.Tx) error {
		now, err := e.surest(tx)
		if err != nil {
			return err
		}
		if _, err = records.Once.Prune(tx, now.Add(-jumpWithin)); err != nil {
			return err
		}
		if _, err = records.Attempts.Prune(tx, now); err != nil {
			return err
		}
		if _, err = records.Portal.Prune(tx, now); err != nil {
			return err
		}
		_, err = records.Allowance.Prune(tx, now)
		return err
	})
}
