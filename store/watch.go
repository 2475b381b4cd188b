package store

import "context"

// Watcher hears in which scopes events are appended. Its methods do not wait, but for
// the question that Look asks.
type Watcher interface {
	// C receives a value when there is something that Take returns.
	C() <-chan struct{}

	// Take returns what this Store has committed since [Store.Watch] or the last Take
	// or Look: each scope once, in no order. It asks nobody.
	Take() []Appended

	// Look returns what Take does, and the scopes to which others may have appended
	// events since [Store.Watch] or the last Look that succeeded: other processes, or
	// another Store on the same data. It asks one question for all scopes, which
	// costs far less than a View of each. It names a scope also where it cannot
	// tell, such as at first, but not again and again while nothing happens.
	//
	// Events are seen by a Look that begins after their commit.
	Look(ctx context.Context) ([]Appended, error)

	// Close ends watching. Closing twice is not an error.
	Close()
}

// Appended says that events were appended to a scope. It may bring them, so that who
// follows the events need not read what was just written.
type Appended struct {
	Scope string

	// Events are events that were appended, in order and without a gap. There may be
	// others, before and after them. Nil says only that there is something to read.
	// An event of an account comes only where its transaction has put that account.
	Events []*Event

	// Accounts are those that were put by the transactions of Events, as the last of
	// these left them. Somebody else may have changed them since.
	Accounts []*Account
}
