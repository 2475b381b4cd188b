package provision

import (
	"context"
	"crypto/sha256"
	"slices"

	"github.com/scimjit/provision/internal/account"
	"github.com/scimjit/provision/internal/naming"
	"github.com/scimjit/provision/internal/records"
	"github.com/scimjit/provision/store"
)

// syncIndex is what a connection has of one resource type, as far as a sync must
// know: how to find an object, and whether it has changed. It is read in pages,
// so it may be behind other writers; every write looks again.
type syncIndex struct {
	nameKey  string              // the attribute that names an object
	external map[string]string   // ids by externalId
	names    map[string]string   // ids by the form of the name
	keys     map[string]string   // ids by the key of the source
	alike    map[string][]string // ids of several that have one key, which is in keys no more
	entries  map[string]*syncEntry
}

type syncEntry struct {
	external, name string            // external is that of the source, where it knows another one
	sum            [sha256.Size]byte // of the document
	active         bool
	mark           records.SyncState // or ""
	known          string            // records.SyncMark.ID
	owner          store.Source      // who writes it
	decided        bool              // by its owner, whatever the sync says
	seen           bool              // in the source
}

// state is what a sync marks of a user of the source.
func (e *syncEntry) state() records.SyncState {
	if e.active {
		return records.SyncHas
	}
	return records.SyncInactive
}

func newSyncIndex(typ string) *syncIndex {
	x := &syncIndex{
		nameKey:  "displayName",
		external: map[string]string{}, names: map[string]string{}, keys: map[string]string{},
		alike:   map[string][]string{},
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

// call records how the source calls an object. A key of several means none of them.
func (x *syncIndex) call(key, id string) {
	other, called := x.keys[key]
	switch ids := x.alike[key]; {
	case len(ids) > 0 && !slices.Contains(ids, id):
		x.alike[key] = append(ids, id)
	case len(ids) > 0:
	case called && other != id:
		x.alike[key] = []string{other, id}
		delete(x.keys, key)
	default:
		x.keys[key] = id
	}
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

// foreign counts the objects that the source has not and that are not the sync's.
func (x *syncIndex) foreign() int {
	n := 0
	for _, e := range x.entries {
		if !e.seen && e.foreign(x.nameKey) {
			n++
		}
	}
	return n
}

// foreign reports whether an object that the source has not is another's: no sync has ever
// reported it, or it is a group that SCIM has taken over.
func (e *syncEntry) foreign(nameKey string) bool {
	return e.mark == "" || e.decided && nameKey == "displayName"
}

// know has an object known by the externalId that the source gave it. Of two that have
// one, it is that of the sync.
func (x *syncIndex) know(id string, mark records.SyncMark) {
	e := x.entries[id]
	e.mark, e.known = mark.State, mark.ID
	if mark.ID != "" && mark.ID != e.external {
		if x.external[e.external] == id {
			delete(x.external, e.external)
		}
		e.external = mark.ID
	}
	if e.external != "" {
		x.external[e.external] = id
	}
}

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
			e.owner, e.decided = r.Source, s.conn.decidedBy(r.Source, s.source)
			if r.Source == store.SourceJIT {
				e.sum = [sha256.Size]byte{} // written also where it says the same: the sync adopts it
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
			switch {
			case s.users.entries[last] != nil:
				s.users.know(last, m.Value) // rather than one that no sync wrote
				if s.users.entries[last].brought() {
					s.ids.brought++
				}
			case s.groups.entries[last] != nil:
				s.groups.entries[last].mark = m.Value.State
			default:
				s.orphans = append(s.orphans, last)
			}
		}
		more = len(list) == syncPage
	}
	return nil
}
