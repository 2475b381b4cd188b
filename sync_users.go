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
	id      string                       // empty: create
	content *Content                     // nil: it has it already
	keeping func(store.Document) Content // of SyncUser
	entry   *syncEntry
	returns bool                 // it was absent
	turns   bool                 // the block of the sync is set or lifted
	refused *store.ConflictError // by somebody who had its name, address or id
	replace string               // the resource of somebody else, who had the name and is gone
}

// syncRenames is how many renamed users wait for the end of the users. They are in
// memory; where there are more, the first ones are written before.
const syncRenames = 20_000

// planUser finds out what to write of a user.
func (s *syncing) planUser(u *SyncUser) {
	x := s.users
	e := x.read(u.Content.Document)
	w := userWrite{
		key:     cmp.Or(u.Key, e.external, account.Text(u.Content.Document, x.nameKey)),
		content: &u.Content, keeping: u.Keeping, entry: e,
	}
	if code := s.unusable(u, e); code != "" {
		s.leaveAlone(w, code)
		return
	}
	id := s.byExternalID(e)
	if id == "" {
		id = x.names[e.name]
		if old := x.entries[id]; old != nil && e.external != "" && old.external != "" {
			s.ids.count(old, e)
			s.again = append(s.again, w) // perhaps the other one is gone or renamed
			return
		}
	}
	s.planFound(w, id)
}

// unusable says why nothing of a user can be written, or "".
func (s *syncing) unusable(u *SyncUser, e *syncEntry) string {
	first, pending := s.pending[e.external]
	switch {
	case u.Problem != "":
		return u.Problem
	case e.name == "":
		return problemNoName
	case e.external == "":
		return ""
	case s.unclear[e.external]:
		return problemNotUnique
	case pending && first == e.name:
		return problemTwice
	case pending:
		s.unclear[e.external] = true
		return problemNotUnique
	}
	return ""
}

// leaveAlone reports a user of the source of whom nothing is written. Whoever is meant
// is present; where nobody knows who is, everybody may be.
func (s *syncing) leaveAlone(w userWrite, code string) {
	s.problem(TypeUser, w.key, w.entry.name, code)
	x := s.users
	id := s.byExternalID(w.entry)
	if id == "" && w.entry.name != "" {
		id = x.names[w.entry.name]
	}
	old := x.entries[id]
	s.ids.count(old, w.entry)
	if s.unidentified(old, w.entry) || old == nil || old.external != "" && w.entry.external != "" && old.external != w.entry.external {
		return
	}
	old.seen = true
	x.call(w.key, id)
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
	if old := x.entries[id]; old != nil && old.mark != records.SyncHas && old.mark != records.SyncInactive && !s.immutable {
		return ""
	}
	return id
}

// planFound plans the write of a user whose resource is known; "" is none.
func (s *syncing) planFound(w userWrite, id string) {
	old := s.users.entries[id]
	if old == nil {
		if w.entry.external != "" {
			s.pending[w.entry.external] = w.entry.name
		}
		s.batch = append(s.batch, w)
		return
	}
	if old.seen {
		s.planTwice(w, id)
		return
	}
	s.ids.count(old, w.entry)
	old.seen, w.entry.seen = true, true
	s.users.call(w.key, id)
	w.id, w.returns = id, old.mark == records.SyncAbsent
	w.turns = w.entry.active == (old.mark == records.SyncInactive)
	w.entry.owner, w.entry.decided = old.owner, old.decided
	if old.sum == w.entry.sum || old.decided {
		w.content, w.entry.sum = nil, old.sum
	}
	switch {
	case w.content == nil && old.mark == w.entry.state():
		s.report.Users.Unchanged++
	case !w.entry.active && old.mark != records.SyncInactive:
		s.leaving = append(s.leaving, w)
	case w.content != nil && w.entry.external != "" && old.external == w.entry.external && old.name != w.entry.name:
		s.renamed = append(s.renamed, w)
		s.renaming[id] = w.entry.name
	default:
		s.batch = append(s.batch, w)
	}
}

// planTwice reports a user whom the source had before. Where the two have one externalId and
// different names, nobody knows who is meant: the one who has the name stays as they are,
// nobody is renamed, and nobody is made.
func (s *syncing) planTwice(w userWrite, id string) {
	old, code := s.users.entries[id], problemTwice
	if e := w.entry; e.external != "" && old.external == e.external && cmp.Or(s.renaming[id], old.name) != e.name {
		s.unclear[e.external] = true
		code = problemNotUnique
	}
	s.problem(TypeUser, w.key, w.entry.name, code)
}

// dropUnclear reports those of some writes, of which nobody knows whom they mean, and
// returns the others.
func (s *syncing) dropUnclear(list []userWrite) []userWrite {
	if len(s.unclear) == 0 {
		return list
	}
	return slices.DeleteFunc(list, func(w userWrite) bool {
		drop := s.unclear[w.entry.external] && (w.id == "" || s.renaming[w.id] != "")
		if drop {
			s.problem(TypeUser, w.key, w.entry.name, problemNotUnique)
		}
		return drop
	})
}

// rename writes the users that are renamed. They waited until all users were read, so
// that none is given the name of another one who has the same externalId.
func (s *syncing) rename(ctx context.Context) error {
	list := s.renamed
	s.renamed = nil
	for part := range slices.Chunk(list, syncBatch) {
		s.batch = append(s.batch, part...)
		if err := s.flush(ctx); err != nil {
			return err
		}
	}
	return nil
}

// flush writes the batch.
func (s *syncing) flush(ctx context.Context) error {
	clear(s.pending)
	if s.batch = s.dropUnclear(s.batch); len(s.batch) == 0 {
		return nil
	}
	err := s.writeUsers(ctx, s.batch)
	s.batch = s.batch[:0]
	return err
}

// writeUsers writes users in one transaction. A user whose name is taken is left
// for another attempt.
func (s *syncing) writeUsers(ctx context.Context, list []userWrite) error {
	list, err := s.keepStored(ctx, list)
	if err != nil || len(list) == 0 {
		return err
	}
	ids, failed := make([]string, len(list)), make([]error, len(list))
	for i := range list {
		ids[i] = cmp.Or(list[i].id, "new "+list[i].key) // of a dry run
	}
	at := 0
	err = s.update(ctx, func(c syncChange) error {
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
			w.refused = nil
			_ = errors.As(failed[i], &w.refused) // else it was deleted
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
	case w.content != nil || w.turns && !w.returns:
		counts.Updated++
	case !w.returns:
		counts.Unchanged++ // it only got its mark
	}
	if w.returns {
		counts.Returned++
	}
	w.entry.seen, w.entry.mark = true, w.entry.state()
	s.users.put(id, w.entry)
	s.users.call(w.key, id)
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
	if w.returns || w.turns {
		if err := c.syncBlock(&d.resource, !w.entry.active); err != nil {
			return "", err
		}
	}
	mark := records.SyncMark{State: w.entry.state()}
	if account.Text(d.resource.Document, "externalId") != w.entry.external {
		mark.ID = w.entry.external
	}
	return d.ID(), records.Synced.Put(c.tx, d.ID(), mark)
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
		if c.conn.decidedBy(r.Source, c.source) {
			content = nil // since the sync looked
		}
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

// syncBlock sets or lifts the block of the sync, which no other source does.
func (c syncChange) syncBlock(r *Resource, blocked bool) error {
	c.resource = &store.ResourceRef{Type: r.Type, ID: r.ID}
	before, err := c.tx.AccountOf(r.ID)
	if errors.Is(err, ErrNotFound) {
		if blocked {
			return nil
		}
		return c.userWritten(r, r) // its account was deleted
	}
	if err != nil || slices.Contains(before.Facts.Blocks, store.SourceSync) == blocked {
		return err
	}
	after := before.Clone()
	account.SetBlock(&after.Facts, store.SourceSync, blocked)
	return c.derive(derivation{before, after})
}

// retryUsers tries again the users whose names others had: first those that are
// renamed, as long as one of them makes room for the next, then new ones.
func (s *syncing) retryUsers(ctx context.Context) error {
	if err := s.releaseEmails(ctx); err != nil {
		return err
	}
	var fresh []userWrite
	for tried := -1; len(s.again) != tried; {
		list := s.again
		s.again, tried = nil, 0
		for _, w := range list {
			if w.id == "" {
				fresh = append(fresh, w)
				continue
			}
			w.replace = s.vacant(w.entry.name)
			s.batch, tried = append(s.batch, w), tried+1
		}
		if err := s.flush(ctx); err != nil {
			return err
		}
	}
	if err := s.exchange(ctx); err != nil {
		return err
	}
	for _, w := range fresh {
		s.planAgain(w)
		if err := cmp.Or(s.flush(ctx), s.rename(ctx)); err != nil {
			return err
		}
	}
	for _, w := range s.again {
		s.problem(TypeUser, w.key, w.entry.name, problemConflict)
	}
	return s.takeOut(ctx)
}

// vacant returns the user who has a name and is absent, or "".
func (s *syncing) vacant(name string) string {
	id := s.users.names[name]
	if e := s.users.entries[id]; e != nil && e.mark == records.SyncAbsent {
		return id
	}
	return ""
}

// planAgain plans the write of a user whose name or address another one had. Who still
// has it, is absent and has another externalId is another person: its resource goes,
// and its account stays deprovisioned. Who is bound to the externalId, which is
// immutable, by logins alone is the person.
func (s *syncing) planAgain(w userWrite) {
	x := s.users
	if id := s.byExternalID(w.entry); id != "" {
		s.planFound(w, id)
		return
	}
	named, other, refused := x.entries[x.names[w.entry.name]], (*syncEntry)(nil), ""
	if w.refused != nil {
		refused = w.refused.ID
		other = x.entries[refused]
	}
	w.replace = s.vacant(w.entry.name)
	switch {
	case w.replace != "":
	case named == nil && other != nil && w.refused.Attribute == "externalId":
		s.planFound(w, refused)
		return
	case named == nil && other != nil && other.mark == records.SyncAbsent:
		w.replace = refused
	case named == nil: // whoever had the address may have another one by now
	default:
		s.problem(TypeUser, w.key, w.entry.name, problemNameTaken)
		return
	}
	s.batch = append(s.batch, w)
}
