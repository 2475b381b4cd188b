package provision

import (
	"cmp"
	"context"
	"errors"
	"slices"

	"github.com/scimjit/provision/internal/account"
	"github.com/scimjit/provision/internal/records"
	"github.com/scimjit/provision/store"
)

// userWrite is what a sync writes of one user.
type userWrite struct {
	key     string
	id      string   // empty: create
	content *Content // nil: it has it already
	entry   *syncEntry
	returns bool   // it was absent
	replace string // the resource of somebody else, who had the name and is gone
}

// planUser finds out what to write of a user.
func (s *syncing) planUser(u *SyncUser) {
	x := s.users
	e := x.read(u.Content.Document)
	key := cmp.Or(u.Key, e.external, account.Text(u.Content.Document, x.nameKey))
	if e.name == "" {
		s.problem(TypeUser, key, "", problemNoName)
		return
	}
	w := userWrite{key: key, content: &u.Content, entry: e}
	id := s.byExternalID(e)
	if id == "" {
		id = x.names[e.name]
		if old := x.entries[id]; old != nil && e.external != "" && old.external != "" {
			s.again = append(s.again, w) // perhaps the other one is gone or renamed
			return
		}
	}
	s.planFound(w, id)
}

// byExternalID returns the id of the user whom an externalId means, or "". One that
// may be recycled means only whom the last sync had, or who has the name as well.
func (s *syncing) byExternalID(e *syncEntry) string {
	x := s.users
	if e.external == "" {
		return ""
	}
	if id := x.names[e.name]; id != "" && x.entries[id].external == e.external {
		return id
	}
	id := x.external[e.external]
	if old := x.entries[id]; old != nil && old.mark != records.SyncHas && !s.immutable {
		return ""
	}
	return id
}

// planFound plans the write of a user whose resource is known; "" is none.
func (s *syncing) planFound(w userWrite, id string) {
	old := s.users.entries[id]
	if old == nil {
		s.batch = append(s.batch, w)
		return
	}
	if old.seen {
		s.problem(TypeUser, w.key, w.entry.name, problemTwice)
		return
	}
	old.seen, w.entry.seen = true, true
	s.users.keys[w.key] = id
	w.id, w.returns = id, old.mark == records.SyncAbsent
	if old.sum == w.entry.sum {
		w.content = nil
	}
	switch {
	case w.content == nil && old.mark == records.SyncHas:
		s.report.Users.Unchanged++
	case w.content != nil && old.active && !w.entry.active:
		s.leaving = append(s.leaving, w)
	default:
		s.batch = append(s.batch, w)
	}
}

// flush writes the batch.
func (s *syncing) flush(ctx context.Context) error {
	if len(s.batch) == 0 {
		return nil
	}
	err := s.writeUsers(ctx, s.batch)
	s.batch = s.batch[:0]
	return err
}

// writeUsers writes users in one transaction. A user whose name is taken is left
// for another attempt.
func (s *syncing) writeUsers(ctx context.Context, list []userWrite) error {
	ids, failed := make([]string, len(list)), make([]error, len(list))
	for i := range list {
		ids[i] = cmp.Or(list[i].id, "new "+list[i].key) // of a dry run
	}
	at := 0
	err := s.update(ctx, func(c syncChange) error {
		for at = range list {
			id, err := c.syncUser(&list[at])
			var conflict *store.ConflictError
			if err != nil && !errors.As(err, &conflict) && !errors.Is(err, ErrNotFound) {
				return err
			}
			ids[at], failed[at] = id, err
		}
		return nil
	})
	var refused *DeniedError
	if errors.As(err, &refused) {
		// What was written of this user went with the transaction.
		s.problem(TypeUser, list[at].key, list[at].entry.name, problemNotLinked)
		return s.writeUsers(ctx, slices.Delete(slices.Clone(list), at, at+1))
	}
	if err != nil {
		return err
	}
	for i, w := range list {
		if failed[i] != nil {
			s.again = append(s.again, w)
			continue
		}
		s.wrote(w, ids[i])
	}
	s.progress()
	return nil
}

// wrote counts a user that was written.
func (s *syncing) wrote(w userWrite, id string) {
	counts := &s.report.Users
	switch {
	case w.id == "":
		counts.Created++
	case w.content != nil:
		counts.Updated++
	case !w.returns:
		counts.Unchanged++ // it only got its mark
	}
	if w.returns {
		counts.Returned++
	}
	w.entry.seen, w.entry.mark = true, records.SyncHas
	s.users.put(id, w.entry)
	s.users.keys[w.key] = id
}

// syncUser writes one user and returns its id.
func (c syncChange) syncUser(w *userWrite) (string, error) {
	if w.replace != "" {
		if err := c.syncReplace(w.replace); err != nil {
			return "", err
		}
	}
	d, err := c.syncContent(TypeUser, w.id, w.content)
	if err != nil {
		return "", err
	}
	if w.returns {
		if err := c.syncReturn(&d.resource); err != nil {
			return "", err
		}
	}
	return d.ID(), records.Synced.Put(c.tx, d.ID(), records.SyncHas)
}

// syncContent creates a resource, or writes its content where there is some. It
// returns the draft that it has applied.
func (c syncChange) syncContent(typ, id string, content *Content) (*Draft, error) {
	draft := &Draft{change: c.change}
	if id == "" {
		fresh, err := c.engine.newID()
		if err != nil {
			return nil, err
		}
		draft.resource = Resource{ID: fresh, Type: typ, Created: c.now}
	} else {
		r, err := c.tx.Resource(typ, id, 0)
		if err != nil {
			return nil, err
		}
		draft.resource, draft.before = *r, r
		if err := c.mayTakeOver(r, content); err != nil {
			return nil, err
		}
	}
	if content != nil {
		draft.Write(*content)
	}
	if id == "" {
		if err := draft.adopt(); err != nil {
			return nil, err
		}
	}
	return draft, draft.apply()
}

// mayTakeOver refuses to give a person of logins, found by the name, the immutable id
// of somebody else.
func (c syncChange) mayTakeOver(r *Resource, content *Content) error {
	if content == nil || r.Type != TypeUser || r.Source != store.SourceJIT {
		return nil
	}
	other, err := c.finder().boundToOther(r, account.Text(content.Document, "externalId"))
	if err == nil && other {
		err = &store.ConflictError{Attribute: "userName", ID: r.ID}
	}
	return err
}

// syncReplace removes somebody who is absent and whose name another one has now.
func (c syncChange) syncReplace(id string) error {
	r, err := c.tx.Resource(TypeUser, id, 0)
	if errors.Is(err, ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	if err := c.delete(r); err != nil {
		return err
	}
	return records.Synced.Clear(c.tx, id)
}

// syncReturn lifts the block of a user who was absent.
func (c syncChange) syncReturn(r *Resource) error {
	before, err := c.tx.AccountOf(r.ID)
	if errors.Is(err, ErrNotFound) {
		return c.userWritten(r, r) // its account was deleted
	}
	if err != nil {
		return err
	}
	after := before.Clone()
	account.SetBlock(&after.Facts, store.SourceSync, !account.IsActive(r.Document))
	return c.derive(derivation{before, after})
}

// retryUsers tries again the users whose names others had: first those that are
// renamed, as long as one of them makes room for the next, then new ones.
func (s *syncing) retryUsers(ctx context.Context) error {
	var fresh []userWrite
	for tried := -1; len(s.again) != tried; {
		list := s.again
		s.again, tried = nil, 0
		for _, w := range list {
			if w.id == "" {
				fresh = append(fresh, w)
				continue
			}
			s.batch, tried = append(s.batch, w), tried+1
		}
		if err := s.flush(ctx); err != nil {
			return err
		}
	}
	for _, w := range fresh {
		s.planAgain(w)
		if err := s.flush(ctx); err != nil {
			return err
		}
	}
	for _, w := range s.again {
		s.problem(TypeUser, w.key, w.entry.name, problemConflict)
	}
	return nil
}

// planAgain plans the write of a user whose name another one had. Who still has
// it, is absent and has another externalId is another person: its resource goes,
// and its account stays deprovisioned.
func (s *syncing) planAgain(w userWrite) {
	x := s.users
	if id := s.byExternalID(w.entry); id != "" {
		s.planFound(w, id)
		return
	}
	holder := x.names[w.entry.name]
	switch old := x.entries[holder]; {
	case old == nil:
	case old.mark == records.SyncAbsent:
		w.replace = holder
	default:
		s.problem(TypeUser, w.key, w.entry.name, problemNameTaken)
		return
	}
	s.batch = append(s.batch, w)
}
