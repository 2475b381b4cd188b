package followtest

import (
	"errors"
	"math/rand/v2"

	"github.com/scimjit/provision"
	"github.com/scimjit/provision/follow"
	"github.com/scimjit/provision/store"
)

// An event that comes again changes nothing, also when it is older than those of
// other accounts; one that is redriven late does.
func repeats[Tx any](w *world[Tx]) {
	ada, bob := w.login("ada"), w.login("bob")
	list := w.events()
	first, second := list[0], list[len(list)-1]
	for _, ev := range []*provision.Event{second, first, second, first} { // ada's was parked, and is redriven
		w.check(w.follower.Take(w.Context(), w.delivery(ev, 1)))
	}
	if len(w.seen) != 2 || w.status(ada.ID) != "active" || w.status(bob.ID) != "active" {
		w.Errorf("%d events were taken, ada is %q, bob is %q", len(w.seen), w.status(ada.ID), w.status(bob.ID))
	}
	w.expectOnce([]*provision.Event{first, second})
}

// Who was cut off and writes late changes nothing.
func fence[Tx any](w *world[Tx]) {
	ada, bob := w.login("ada"), w.login("bob")
	list := w.events()
	w.check(w.follower.Take(w.Context(), w.delivery(list[0], 2)))
	err := w.follower.Take(w.Context(), w.delivery(list[len(list)-1], 1))
	if !errors.Is(err, follow.ErrFenced) || w.status(bob.ID) != "" {
		w.Errorf("a smaller fence: %v, bob is %q", err, w.status(bob.ID))
	}
	w.check(w.follower.Take(w.Context(), w.delivery(list[len(list)-1], 2)))
	if w.status(ada.ID) != "active" || w.status(bob.ID) != "active" {
		w.Error("the process that took over has changed nothing")
	}
}

// What the function has written before it failed is undone, and the event comes
// again.
func failures[Tx any](w *world[Tx]) {
	ada := w.login("ada")
	d := w.delivery(w.events()[0], 1)
	for _, text := range []string{"no", panicking} {
		w.refuse[ada.ID] = errors.New(text)
		panicked, err := caught(func() error { return w.follower.Take(w.Context(), d) })
		if panicked != (text == panicking) || !panicked && !errors.Is(err, w.refuse[ada.ID]) || w.status(ada.ID) != "" {
			w.Errorf("%s: panicked %t, %v; ada is %q", text, panicked, err, w.status(ada.ID))
		}
	}
	clear(w.refuse)
	w.check(w.follower.Take(w.Context(), d))
	w.expectOnce(w.events()[:1])
}

func caught(fn func() error) (panicked bool, err error) {
	defer func() { panicked = panicked || recover() != nil }()
	return false, fn()
}

// News of parking come before the events that are parked.
func parkedEvents[Tx any](w *world[Tx]) {
	ada := w.login("ada")
	waiting := w.events()[0]
	parked := &provision.Event{Type: store.DeliveryParked, Sequence: waiting.Sequence + 9, Connection: connection, AccountID: ada.ID}
	w.check(w.follower.Take(w.Context(), w.delivery(parked, 1)))
	if len(w.seen) != 1 || w.seen[0].Account != nil {
		w.Errorf("news of parking came as %+v", w.seen)
	}
	w.check(w.follower.Take(w.Context(), w.delivery(waiting, 1)))
	w.check(w.follower.Take(w.Context(), w.delivery(parked, 1)))
	if len(w.seen) != 2 || w.status(ada.ID) != "active" {
		w.Errorf("%d events were taken, ada is %q", len(w.seen), w.status(ada.ID))
	}
}

// An account that was read long ago does not take the place of a newer one.
func outdated[Tx any](w *world[Tx]) {
	ada := w.login("ada")
	late := w.delivery(w.events()[0], 1)
	w.check(w.dir.Disable(w.Context(), ada.ID))
	w.check(w.follower.Consumer().Skip(w.Context(), connection))
	w.check(w.follower.Resync(w.Context(), connection))
	if err := w.follower.Take(w.Context(), late); err == nil {
		w.Error("an outdated account was taken")
	}
	w.expectStatus(ada.ID, "disabled")
	w.check(w.follower.Take(w.Context(), w.delivery(late.Event, 1)))
	w.expectStatus(ada.ID, "disabled")
}

func (w *world[Tx]) expectStatus(account, status string) {
	w.Helper()
	if got := w.status(account); got != status {
		w.Errorf("the account is %q, want %q", got, status)
	}
}

// The account is linked to the row, and the function finds that in every later
// event, the deletion included.
func links[Tx any](w *world[Tx]) {
	ada := w.login("ada")
	w.check(w.dir.Disable(w.Context(), ada.ID)) // delivered with the first: read before the link
	w.check(w.dir.DeleteAccount(w.Context(), w.login("bob").ID))
	w.check(w.follower.Consumer().DeliverOnce(w.Context(), w.follower.Take))
	if got := w.account(ada.ID).HostID; got != "row "+ada.ID {
		w.Errorf("ada is linked to %q", got)
	}
	w.check(w.dir.DeleteAccount(w.Context(), ada.ID))
	w.check(w.follower.Consumer().DeliverOnce(w.Context(), w.follower.Take))
	taken := map[string]int{}
	for _, d := range w.seen {
		if d.Account == nil {
			continue
		}
		if taken[d.Account.ID]++; taken[d.Account.ID] > 1 && d.Account.HostID != "row "+d.Account.ID {
			w.Errorf("event %d came with host id %q", d.Event.Sequence, d.Account.HostID)
		}
	}
	w.expectOnce(w.events())
	w.expectAccounts()
}

// A process that dies between the commit and the link leaves both to the next.
func linkAfterCrash[Tx any](w *world[Tx]) {
	ada := w.login("ada")
	d := w.delivery(w.events()[0], 1)
	w.store.err = errors.New("the store is away")
	if err := w.follower.Take(w.Context(), d); !errors.Is(err, w.store.err) || w.status(ada.ID) != "active" {
		w.Errorf("without a link: %v, ada is %q", err, w.status(ada.ID))
	}
	w.store.err = nil
	w.check(w.follower.Take(w.Context(), d))
	if got := w.account(ada.ID).HostID; got != "row "+ada.ID {
		w.Errorf("ada is linked to %q", got)
	}
	w.expectOnce(w.events()[:1])
}

// late is a delivery of a process that may have been cut off.
type late struct {
	provision.Delivery
	cut bool // the table has seen a greater fence
}

// anyOrder delivers as two processes may: events come again, accounts overtake
// each other, old events are redriven, and each process writes late what it read
// before it was cut off.
func anyOrder[Tx any](w *world[Tx]) {
	seed := rand.Uint64()
	w.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 1))
	names := []string{"ada", "bob", "cyd", "dan"}
	var (
		accounts []string
		waiting  = map[string][]*provision.Event{}
		known    int64
		done     []*provision.Event
		lates    []late
		fence    = int64(1)
	)
	for _, name := range names {
		accounts = append(accounts, w.login(name).ID)
	}
	news := func() {
		for _, ev := range w.events() {
			if ev.Sequence > known {
				waiting[ev.AccountID], known = append(waiting[ev.AccountID], ev), ev.Sequence
			}
		}
	}
	take := func(d provision.Delivery) {
		w.check(w.follower.Take(w.Context(), d))
		for i := range lates {
			lates[i].cut = lates[i].cut || lates[i].Fence < d.Fence
		}
	}
	deliver := func(account string, again bool) {
		if list := waiting[account]; len(list) > 0 {
			take(w.delivery(list[0], fence))
			if !again { // or the process died before it could say so
				done, waiting[account] = append(done, list[0]), list[1:]
			}
		}
	}
	for range 150 {
		account := accounts[r.IntN(len(accounts))]
		switch r.IntN(8) {
		case 0:
			w.check(w.dir.Disable(w.Context(), account))
		case 1:
			w.check(w.dir.Enable(w.Context(), account))
		case 2, 3, 4:
			deliver(account, r.IntN(3) == 0)
		case 5:
			if len(done) > 0 {
				take(w.delivery(done[r.IntN(len(done))], fence))
			}
		case 6: // another process takes over, and goes on with what the first was about to write
			if list := waiting[account]; len(list) > 0 {
				lates = append(lates, late{Delivery: w.delivery(list[0], fence)})
			}
			fence++
		case 7:
			if len(lates) > 0 && lates[0].cut {
				if err := w.follower.Take(w.Context(), lates[0].Delivery); !errors.Is(err, follow.ErrFenced) {
					w.Errorf("a late write: %v", err)
				}
				lates = lates[1:]
			}
		}
		news()
	}
	for left := true; left; news() { // linking makes events, too
		left = false
		for _, account := range accounts {
			for len(waiting[account]) > 0 {
				left = true
				deliver(account, false)
			}
		}
	}
	w.expectAccounts()
	w.expectOnce(w.events())
}
