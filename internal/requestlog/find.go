package requestlog

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"github.com/scimjit/provision/store"
)

// Find selects entries. Those must fit that its fields name; an empty one names none.
type Find struct {
	Who      []string // keys, of which an entry has one; see [KeysOf]
	Outcome  Outcome
	Protocol string
	Refusal  string
	Text     string // in any field, in any case

	Known, Strangers bool // only these; both or neither: all

	Since, Until time.Time
	Before       int64 // with a smaller number; 0: all
	Limit        int   // at most so many, 1 or more
}

// KeysOf returns the keys by which entries about a person or a resource are found: of what
// is not empty.
func KeysOf(account, resource, externalID, userName string) []string {
	e := Entry{Account: account, Resource: resource, ExternalID: externalID, UserName: userName}
	return strings.Fields(string(e.appendKeys(nil)))
}

// KeysOfResources returns the keys of resources that entries with one of some keys are
// about. By them somebody is found whose resource is gone: what created it has the names.
func KeysOfResources(r store.LogReader, keys []string) (list []string, err error) {
	for _, key := range keys {
		found, err := r.LogEntries(store.LogQuery{Part: part(!Strangers), Key: key, Limit: mostResources})
		if err != nil {
			return nil, err
		}
		for _, l := range found {
			e, err := read(l)
			if err != nil {
				return nil, err
			}
			if e.Resource != "" && e.Outcome() == Succeeded {
				list = append(list, keyOfResource(e.Resource))
			}
		}
	}
	return list, nil
}

// mostResources is how many entries are looked at for the resources of somebody.
const mostResources = 20

const (
	foundAtOnce = 500    // entries are read at a time
	lookedAt    = 20_000 // entries are looked at for one page
)

// Search returns entries, the newest first, and the number before which it goes on; 0 where
// there are no more. A page may be short, or empty, and there are more: no more than some
// thousand entries are looked at.
func (f Find) Search(r store.LogReader) (list []*Entry, next int64, err error) {
	before := f.Before
	if !f.Until.IsZero() {
		if end := numberAt(f.Until); before == 0 || end < before {
			before = end
		}
	}
	for looked := 0; ; {
		found, rest, err := f.page(r, before)
		if err != nil {
			return nil, 0, err
		}
		for _, l := range found {
			e, err := read(l)
			if err != nil {
				return nil, 0, err
			}
			if !f.fits(l, e) {
				continue
			}
			if list = append(list, e); len(list) == f.Limit {
				return list, e.Number, nil
			}
		}
		if looked += len(found); rest == 0 || looked >= lookedAt {
			return list, rest, nil
		}
		before = rest
	}
}

// page returns the next entries that may fit, and the number before which it goes on; 0
// where there are no more.
func (f *Find) page(r store.LogReader, before int64) (found []*store.LogEntry, rest int64, err error) {
	for _, strangers := range []bool{false, true} {
		if f.Known != f.Strangers && f.Strangers != strangers {
			continue
		}
		for _, key := range f.narrow() {
			list, err := r.LogEntries(store.LogQuery{
				Part: part(strangers), Key: key, From: f.from(), Before: before, Limit: foundAtOnce,
			})
			if err != nil {
				return nil, 0, err
			}
			if len(list) == foundAtOnce { // there may be more, which come before what is older elsewhere
				rest = max(rest, list[len(list)-1].Number)
			}
			found = append(found, list...)
		}
	}
	found = slices.DeleteFunc(found, func(l *store.LogEntry) bool { return l.Number < rest })
	slices.SortStableFunc(found, func(a, b *store.LogEntry) int {
		return cmp.Or(cmp.Compare(b.Number, a.Number), cmp.Compare(a.Part, b.Part))
	})
	return slices.CompactFunc(found, func(a, b *store.LogEntry) bool { return a.Number == b.Number && a.Part == b.Part }), rest, nil
}

func (f *Find) from() int64 {
	if f.Since.IsZero() {
		return 0
	}
	return numberAt(f.Since)
}

// narrow returns keys of which each entry that fits has one: the most telling ones.
func (f *Find) narrow() []string {
	switch {
	case f.Refusal != "":
		return []string{keyOfRefusal(f.Refusal)}
	case len(f.Who) > 0:
		return f.Who
	case f.Outcome != "" && f.Outcome != Succeeded:
		return []string{keyOfOutcome(f.Outcome)}
	}
	return []string{""}
}

func (f *Find) fits(l *store.LogEntry, e *Entry) bool {
	switch {
	case f.Outcome != "" && f.Outcome != e.Outcome(),
		f.Protocol != "" && f.Protocol != e.Protocol,
		f.Refusal != "" && f.Refusal != e.Refusal,
		len(f.Who) > 0 && !slices.ContainsFunc(f.Who, func(key string) bool { return slices.Contains(l.Keys, key) }):
		return false
	}
	return f.Text == "" || e.says(strings.ToLower(f.Text))
}

// says reports whether a text is in one of the fields.
func (e *Entry) says(text string) bool {
	for _, field := range []string{
		e.Path, e.Detail, e.Code, e.Type, e.Method, e.Credential, e.Account, e.Resource, e.ExternalID, e.Refusal,
		string(e.Outcome()), e.Protocol, strings.Join(e.Tolerances, " "),
	} {
		if strings.Contains(strings.ToLower(field), text) {
			return true
		}
	}
	return false
}

// ReadEntry returns the entry with a number, or [store.ErrNotFound].
func ReadEntry(r store.LogReader, number int64) (*Entry, error) {
	for _, strangers := range []bool{false, true} {
		list, err := r.LogEntries(store.LogQuery{Part: part(strangers), From: number, Before: number + 1, Limit: 1})
		if err != nil {
			return nil, err
		}
		if len(list) == 1 {
			return read(list[0])
		}
	}
	return nil, &store.NotFoundError{Kind: "request", ID: ID(number)}
}
