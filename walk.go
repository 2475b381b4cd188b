package provision

import (
	"errors"
	"slices"

	"github.com/scimjit/provision/store"
)

// walk goes over accounts, a batch at a time: over all of them in order of id,
// or over those that another walk has left to it.
//
// A change that comes while it goes over all makes it walk on, past the end and
// round again, to where it stood. So every account is met after the last change
// that needed it.
type walk struct {
	// Cursor is the last account that was met in this round.
	Cursor string `json:"cursor,omitempty"`

	// Again, when not empty, asks for another round up to this account.
	Again string `json:"again,omitempty"`

	// Until, when not empty, ends this round after this account.
	Until string `json:"until,omitempty"`

	// Left are the accounts that another walk has left to this one. When they
	// are many they are not listed: then this walk goes over all.
	Left []string `json:"left,omitempty"`
	Many bool     `json:"many,omitempty"`
}

const (
	// walkList is how many accounts a walk lists. The list is written with each
	// batch.
	walkList = 2000

	// walkPage is how many accounts a walk reads at once. walkEvents ends a
	// batch early: writing costs much more than reading, and other changes wait
	// meanwhile.
	walkPage   = 100
	walkEvents = 100
)

// leave leaves an account to the walk.
func (w *walk) leave(account string) {
	switch {
	case w.Many:
	case len(w.Left) < walkList:
		w.Left = append(w.Left, account)
	default:
		w.Left, w.Many = nil, true
	}
}

// some reports whether anything was left to the walk that it has not met yet.
func (w *walk) some() bool { return w.Many || len(w.Left) > 0 }

// left reports whether an account may have been left to the walk, which has not
// met it yet.
func (w *walk) left(account string) bool {
	return w.Many && account > w.Cursor || slices.Contains(w.Left, account)
}

// waits reports whether a walk over all accounts has not met one yet.
func (w *walk) waits(account string) bool {
	if account > w.Cursor && (w.Until == "" || account <= w.Until) {
		return true
	}
	return account <= w.Again
}

// renew makes a walk over all accounts meet every one from now on.
func (w *walk) renew() { w.Again, w.Until = w.Cursor, "" }

// step calls visit with the accounts of the next batch and reports whether the
// walk is done.
func (w *walk) step(c *change, visit func(*Account) error) (done bool, err error) {
	tx := recall(c.tx)
	c.tx = tx
	most := c.engine.Limits.batch()
	for n := 0; n < most && c.events < walkEvents && !done; {
		var list []*Account
		if list, done, err = w.next(tx, min(walkPage, most-n)); err != nil {
			return false, err
		}
		if err := tx.readGroups(list); err != nil {
			return false, err
		}
		for _, a := range list {
			if err := visit(a); err != nil {
				return false, err
			}
		}
		n += len(list)
	}
	return done, nil
}

// next returns at most size accounts and reports whether they are the last.
func (w *walk) next(r store.AccountReader, size int) (list []*Account, done bool, err error) {
	if len(w.Left) > 0 {
		return w.nextLeft(r, size)
	}
	list, err = r.Accounts(store.AccountQuery{After: w.Cursor, Limit: size})
	if err != nil {
		return nil, false, err
	}
	ended := len(list) < size
	if w.Until != "" {
		if i := slices.IndexFunc(list, func(a *Account) bool { return a.ID > w.Until }); i >= 0 {
			list, ended = list[:i], true
		}
	}
	if len(list) > 0 {
		w.Cursor = list[len(list)-1].ID
	}
	if ended {
		done = w.Again == ""
		w.Cursor, w.Until, w.Again = "", w.Again, ""
	}
	return list, done, nil
}

func (w *walk) nextLeft(r store.AccountReader, size int) (list []*Account, done bool, err error) {
	size = min(size, len(w.Left))
	for _, id := range w.Left[:size] {
		a, err := r.Account(id)
		if errors.Is(err, store.ErrNotFound) {
			continue
		}
		if err != nil {
			return nil, false, err
		}
		list = append(list, a)
	}
	w.Left = w.Left[size:]
	return list, len(w.Left) == 0, nil
}
