package records

import "slices"

// Waits reports whether an account may not have been derived yet. Its key is where it
// comes in a walk over all: its id, or where the job is of some people the user. An
// account of nobody among these waits for nothing.
//
// The first walk meets every account. It leaves to the second who would be
// deprovisioned, and to the third who would only gain. Both meet an account
// once more.
func (j *DeriveJob) Waits(account, key string) bool {
	return !j.Surveyed && j.Survey.waits(key) ||
		!j.Removed && j.Removing.left(account, key) || j.Granting.left(account, key)
}

// Join makes the job derive the accounts of some people from now on, nil: all of
// them, beside those that it has not derived yet. A new job derives these only.
func (j *DeriveJob) Join(of *People, isNew bool) {
	switch {
	case isNew:
		j.Of = of
	case j.Of == nil:
	case of == nil:
		j.Of, j.Survey = nil, Walk{} // the order is another one
	default:
		j.Of = j.Of.with(of)
		if j.Of == nil {
			j.Survey = Walk{}
		}
	}
	if of != nil {
		j.Lists = union(j.Lists, of.Lists)
	}
	j.Renew()
}

// Renew makes the job derive every account from now on.
func (j *DeriveJob) Renew() {
	j.Survey.renew() // one that has ended begins at the first account
	j.Surveyed, j.Met, j.Active, j.Gone, j.Hold = false, 0, 0, 0, false
	j.Counted, j.Decided = "", false
	j.Removed, j.Removing, j.Granting = false, Walk{}, Walk{}
}

// Done reports whether nothing is left to do, where granted says that the third
// walk has ended.
func (j *DeriveJob) Done(granted bool) bool {
	return !j.Opening.Left() && j.Surveyed && (j.Removed || !j.Removing.Some()) && (granted || !j.Granting.Some())
}

// Walk goes over accounts, a batch at a time: over all of them in order of id,
// or over those that another walk has left to it.
//
// A change that comes while it goes over all makes it walk on, past the end and
// round again, to where it stood. So every account is met after the last change
// that needed it.
type Walk struct {
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

// walkList is how many accounts a walk lists. The list is written with each
// batch.
const walkList = 2000

// Leave leaves an account to the walk.
func (w *Walk) Leave(account string) {
	switch {
	case w.Many:
	case len(w.Left) < walkList:
		w.Left = append(w.Left, account)
	default:
		w.Left, w.Many = nil, true
	}
}

// Some reports whether anything was left to the walk that it has not met yet.
func (w *Walk) Some() bool { return w.Many || len(w.Left) > 0 }

// left reports whether an account may have been left to the walk, which has not
// met it yet.
func (w *Walk) left(account, key string) bool {
	return w.Many && key > w.Cursor || slices.Contains(w.Left, account)
}

// waits reports whether a walk over all accounts has not met one yet.
func (w *Walk) waits(key string) bool {
	if key > w.Cursor && (w.Until == "" || key <= w.Until) {
		return true
	}
	return key <= w.Again
}

// renew makes a walk over all accounts meet every one from now on.
func (w *Walk) renew() { w.Again, w.Until = w.Cursor, "" }

// Take removes the next of the accounts that were left and are listed, at most
// size, and reports whether they are the last.
func (w *Walk) Take(size int) (ids []string, done bool) {
	size = min(size, len(w.Left))
	ids, w.Left = w.Left[:size], w.Left[size:]
	return ids, len(w.Left) == 0
}

// Met moves the walk past a page of all accounts, in order of id: ids are those
// after Cursor, and more says that others may follow. It returns how many of them
// are in this round, and whether the walk is done.
func (w *Walk) Met(ids []string, more bool) (met int, done bool) {
	if w.Until != "" {
		if i := slices.IndexFunc(ids, func(id string) bool { return id > w.Until }); i >= 0 {
			ids, more = ids[:i], false
		}
	}
	if len(ids) > 0 {
		w.Cursor = ids[len(ids)-1]
	}
	if !more {
		done = w.Again == ""
		w.Cursor, w.Until, w.Again = "", w.Again, ""
	}
	return len(ids), done
}

// People are the users whose accounts a job derives: those in its lists, and who is in
// one of its groups while the job meets them. Whoever joins or leaves a group meanwhile
// is derived by that.
type People struct {
	Lists  []string `json:"lists,omitempty"`
	Groups []string `json:"groups,omitempty"`
}

// PeopleParts is how many lists and groups a job looks through for each page. Of more,
// it derives all accounts.
const PeopleParts = 50

// with returns the people of both, or nil where that is all.
func (p *People) with(other *People) *People {
	all := &People{Lists: union(p.Lists, other.Lists), Groups: union(p.Groups, other.Groups)}
	if len(all.Lists)+len(all.Groups) > PeopleParts {
		return nil
	}
	return all
}

func union(a, b []string) []string {
	return slices.Compact(slices.Sorted(slices.Values(slices.Concat(a, b))))
}
