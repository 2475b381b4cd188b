package account

import (
	"slices"

	"github.com/scimjit/provision/store"
)

// eraseKeeps are the attributes whose changes say nothing of who a person is.
var eraseKeeps = []string{"status", "sequence"}

// Erase returns an event without what it says of the person of its account, and
// whether that is another one: type, ids, time, cause and reasons stay, and of the
// changes those of the status. Reasons name options, groups and ids, not people.
func Erase(ev *store.Event) (erased *store.Event, changed bool) {
	names := func(c store.Change) bool { return !slices.Contains(eraseKeeps, c.Attribute) }
	if !slices.ContainsFunc(ev.Changes, names) {
		return ev, false
	}
	next := *ev
	next.Changes = slices.DeleteFunc(slices.Clone(ev.Changes), names)
	if len(next.Changes) == 0 {
		next.Changes = nil
	}
	return &next, true
}
