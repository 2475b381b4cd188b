package store

import "context"

// Watcher hears in which scopes events are appended. Its methods do not wait, but for
// the question that Look asks.
type Watcher interface {
	// C receives a value when there is something that Take returns.
	C() <-chan struct{}

	// Take returns the scopes to which this Store has committed events since
	// [Store.Watch] or the last Take or Look: each once, in no order. It asks nobody.
	Take() []string

	// Look returns what Take does, and the scopes to which others may have appended
	// events since [Store.Watch] or the last Look that succeeded: other processes, or
	// another Store on the same data. It asks one question for all scopes, which
	// costs far less than a View of each. It names a scope also where it cannot
	// tell, such as at first, but not again and again while nothing happens.
	//
	// Events are seen by a Look that begins after their commit.
	Look(ctx context.Context) ([]string, error)

	// Close ends watching. Closing twice is not an error.
	Close()
}
