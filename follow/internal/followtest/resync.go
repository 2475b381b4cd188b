package followtest

import (
	"context"
	"errors"
	"time"

	"github.com/scimjit/provision"
	"github.com/scimjit/provision/store"
)

// lose removes every event that there is, unseen.
func (w *world[Tx]) lose() {
	w.Helper()
	w.mu.Lock()
	w.now = w.now.Add(48 * time.Hour)
	w.mu.Unlock()
	w.engine.Retention = 24 * time.Hour
	w.check(w.engine.RunOnce(w.Context()))
}

// deliverUntil delivers until a condition holds after some event.
func (w *world[Tx]) deliverUntil(done func(provision.Delivery) bool) {
	w.Helper()
	ctx, cancel := context.WithTimeout(w.Context(), 30*time.Second)
	defer cancel()
	w.after = func(d provision.Delivery) {
		if done(d) {
			cancel()
		}
	}
	if err := w.follower.Deliver(ctx, provision.DeliveryOptions{}); !errors.Is(err, context.Canceled) {
		w.Fatalf("Deliver returned %v", err)
	}
	w.after = nil
}

// Whose events are gone reads the accounts, and then hears of what follows.
func fellBehind[Tx any](w *world[Tx]) {
	ada, bob, cyd := w.login("ada"), w.login("bob"), w.login("cyd")
	w.check(w.follower.Consumer().DeliverOnce(w.Context(), w.follower.Take))
	w.check(w.dir.Disable(w.Context(), ada.ID))
	w.check(w.dir.DeleteAccount(w.Context(), bob.ID))
	w.lose()
	read := 0
	w.deliverUntil(func(d provision.Delivery) bool {
		if d.Event.Sequence == 0 {
			read++
		}
		if read == 3 && d.Event.Sequence == 0 {
			w.check(w.dir.Disable(w.Context(), cyd.ID))
		}
		return d.Event.Type == store.AccountDisabled
	})
	w.check(w.follower.Consumer().DeliverOnce(w.Context(), w.follower.Take))
	w.expectAccounts()
}

// A connection may be deleted and its events be gone before the application has
// seen either.
func fellBehindDeleted[Tx any](w *world[Tx]) {
	w.login("ada")
	w.check(w.follower.Consumer().DeliverOnce(w.Context(), w.follower.Take))
	w.check(w.dir.DeleteConnection(w.Context(), nil))
	w.lose()
	w.deliverUntil(func(d provision.Delivery) bool { return d.Event.Type == store.ConnectionDeleted })
	if n := len(w.seen); w.seen[n-1].Event.Type != store.ConnectionDeleted || w.seen[n-2].Event.Type != store.AccountDeleted {
		w.Errorf("the last events are %s and %s", w.seen[n-2].Event.Type, w.seen[n-1].Event.Type)
	}
}

// An account that fails keeps no other from being read, and is tried again when
// the application starts.
func resyncFails[Tx any](w *world[Tx]) {
	ada, bob := w.login("ada"), w.login("bob")
	w.refuse[ada.ID] = errors.New("no room for ada")
	if err := w.follower.Resync(w.Context(), connection); !errors.Is(err, w.refuse[ada.ID]) {
		w.Errorf("Resync returned %v", err)
	}
	w.expectStatus(ada.ID, "")
	w.expectStatus(bob.ID, "active")
	clear(w.refuse)
	w.deliverUntil(func(d provision.Delivery) bool { return d.Event.Sequence > 0 }) // of the link
	w.check(w.follower.Consumer().DeliverOnce(w.Context(), w.follower.Take))
	w.expectAccounts()

	w.seen = nil
	w.login("cyd")
	w.deliverUntil(func(d provision.Delivery) bool { return d.Event.Sequence > 0 })
	if w.seen[0].Event.Sequence == 0 {
		w.Error("the accounts were read once more")
	}
	if err := w.follower.Resync(w.Context(), "nowhere"); !errors.Is(err, provision.ErrNotFound) {
		w.Errorf("an unknown connection: %v", err)
	}
}

// An account that changes after it was read again, and before it is written, stays
// what the event has made of it.
func resyncLate[Tx any](w *world[Tx]) {
	ada := w.login("ada")
	w.store.then = func() {
		w.check(w.dir.Disable(w.Context(), ada.ID))
		list := w.events()
		w.check(w.follower.Take(w.Context(), w.delivery(list[len(list)-1], 1)))
	}
	w.check(w.follower.Resync(w.Context(), connection))
	w.expectStatus(ada.ID, "disabled")
}

// A store that was restored from a backup has smaller numbers than the application has
// seen. It forgets what it has seen, reads the accounts, and hears of what follows.
func restored[Tx any](w *world[Tx]) {
	ada := w.login("ada")
	w.check(w.follower.Consumer().DeliverOnce(w.Context(), w.follower.Take))
	w.check(w.db.InTx(w.Context(), func(tx Tx) error {
		for _, text := range []string{
			`INSERT INTO follow_accounts (consumer, connection, account, sequence, version, hostid) VALUES ('users-table', 'corp', 'gone', 1001, 7, 'host-gone')`,
			`UPDATE follow_accounts SET sequence = 1000, version = 1000 WHERE account <> 'gone'`,
			`UPDATE follow_connections SET fence = fence + 1000`,
			`UPDATE users SET status = 'as it was later'`,
		} {
			if _, err := w.db.Exec(w.Context(), tx, text); err != nil {
				return err
			}
		}
		return nil
	}))
	w.check(w.engine.Restored(w.Context()))
	w.deliverUntil(func(d provision.Delivery) bool {
		if d.Event.Sequence == 0 {
			w.check(w.dir.Disable(w.Context(), ada.ID))
		}
		return d.Event.Type == store.AccountDisabled
	})
	w.check(w.follower.Consumer().DeliverOnce(w.Context(), w.follower.Take))
	w.expectAccounts()
	var gone, host string
	w.check(w.db.InTx(w.Context(), func(tx Tx) error {
		_, err := w.db.Row(w.Context(), tx, []any{&gone, &host}, `SELECT account, hostid FROM follow_accounts WHERE version = 0 AND account <> ''`)
		return err
	}))
	if gone != "gone" || host != "host-gone" {
		w.Errorf("the account that is gone is %q of %q", gone, host)
	}
}
