package provision

import (
	"cmp"
	"context"
	"crypto/sha256"

	"github.com/scimjit/provision/internal/account"
	"github.com/scimjit/provision/internal/naming"
	"github.com/scimjit/provision/internal/records"
	"github.com/scimjit/provision/store"
)

// syncIndex is what a connection has of one resource type, as far as a sync must
// know: how to find an object, and whether it has changed. It is read in pages,
// so it may be behind other writers; every write looks again.
type syncIndex struct {
	nameKey  string            // the attribute that names an object
	external map[string]string // ids by externalId
	names    map[string]string // ids by the form of the name
	keys     map[string]string // ids by the key of the source
	entries  map[string]*syncEntry
}

type syncEntry struct {
	external, name string
	sum            [sha256.Size]byte // of the document
	active         bool
	mark           records.SyncMark // or ""
	seen           bool             // in the source
	logins         bool             // only logins have written it
}

func newSyncIndex(typ string) *syncIndex {
	x := &syncIndex{
		nameKey:  "displayName",
		external: map[string]string{}, names: map[string]string{}, keys: map[string]string{},
		entries: map[string]*syncEntry{},
	}
	if typ == TypeUser {
		x.nameKey = "userName"
	}
	return x
}

// read returns the entry of a document.
func (x *syncIndex) read(doc store.Document) *syncEntry {
	return &syncEntry{
		external: account.Text(doc, "externalId"),
		name:     x.form(account.Text(doc, x.nameKey)),
		sum:      sha256.Sum256(doc),
		active:   account.IsActive(doc),
	}
}

// put records what an object has now.
func (x *syncIndex) put(id string, e *syncEntry) {
	if old := x.entries[id]; old != nil {
		x.forget(id, old)
	}
	x.entries[id] = e
	if e.external != "" {
		x.external[e.external] = id
	}
	if e.name != "" {
		x.names[e.name] = id
	}
}

func (x *syncIndex) forget(id string, e *syncEntry) {
	if x.external[e.external] == id {
		delete(x.external, e.external)
	}
	if x.names[e.name] == id {
		delete(x.names, e.name)
	}
	delete(x.entries, id)
}

// find returns the id of the object with a name that groups use, or "".
func (x *syncIndex) find(name string) string {
	for _, by := range []map[string]string{x.keys, x.external} {
		if id := by[name]; id != "" {
			return id
		}
	}
	return x.names[x.form(name)]
}

// form returns the form of a name by which two are the same: see sameGroupName.
func (x *syncIndex) form(name string) string {
	if x.nameKey == "displayName" {
		name = naming.Normal(name)
	}
	return naming.Form(name)
}

// foreign counts the objects that the source has not and no sync has ever reported.
func (x *syncIndex) foreign() int {
	n := 0
	for _, e := range x.entries {
		if e.foreign() {
			n++
		}
	}
	return n
}

// foreign reports whether the source has not an object that no sync has ever
// reported.
func (e *syncEntry) foreign() bool { return !e.seen && e.mark == "" }

// load reads the index of a type.
func (s *syncing) load(ctx context.Context, typ string) (*syncIndex, error) {
	x := newSyncIndex(typ)
	q := store.Query{Types: []string{typ}, Limit: syncPage, NoTotal: true}
	for more := true; more; {
		var page store.Page
		err := s.view(ctx, func(r store.Reader) error {
			var err error
			page, err = r.Query(q)
			return err
		})
		if err != nil {
			return nil, err
		}
		for _, r := range page.Resources {
			e := x.read(r.Document)
			if r.Source == store.SourceJIT {
				e.logins, e.sum = true, [sha256.Size]byte{} // written also where it says the same: the sync adopts it
			}
			x.put(r.ID, e)
			q.After = r.Position
		}
		more = len(page.Resources) == syncPage
	}
	return x, nil
}

// loadMarks reads what earlier syncs marked.
func (s *syncing) loadMarks(ctx context.Context) error {
	for last, more := "", true; more; {
		var list []records.Entry[records.SyncMark]
		err := s.view(ctx, func(r store.Reader) error {
			var err error
			list, err = records.Synced.List(r, last, syncPage)
			return err
		})
		if err != nil {
			return err
		}
		for _, m := range list {
			last = m.Key
			e := cmp.Or(s.users.entries[last], s.groups.entries[last])
			if e == nil {
				s.orphans = append(s.orphans, last)
				continue
			}
			e.mark = m.Value
			if x := s.users; x.entries[last] == e && e.external != "" {
				x.external[e.external] = last // rather than one that no sync wrote
			}
		}
		more = len(list) == syncPage
	}
	return nil
}
