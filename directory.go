package provision

import (
	"context"
	"errors"

	"github.com/scimjit/provision/internal/account"
	"github.com/scimjit/provision/internal/records"
	"github.com/scimjit/provision/store"
)

// Resource types that the engine itself knows. Every other type is kept, found
// and versioned alike, but no account is derived from it.
const (
	TypeUser  = "User"
	TypeGroup = "Group"
)

// Directory is the operations of one connection. It is a small value, safe for
// concurrent use; make one per request.
type Directory struct {
	engine     *Engine
	connection string
	actor      Actor
	source     store.Source
	forced     bool        // past the mass guard
	recognized *Recognized // nil: nobody is to be confirmed
}

// As returns a Directory whose changes are recorded as those of actor.
func (d *Directory) As(actor Actor) *Directory {
	c := *d
	c.actor = actor
	return &c
}

// Via returns a Directory that writes facts for a source: [store.SourceSCIM] for
// what an identity provider says by SCIM. Until then its facts are an operator's.
func (d *Directory) Via(source store.Source) *Directory {
	c := *d
	c.source = source
	return &c
}

// via is Via, also of the kind of the actor.
func (d *Directory) via(source store.Source) *Directory {
	return d.Via(source).As(Actor{Kind: string(source), ID: d.actor.ID})
}

// why returns the cause of what the Directory does.
func (d *Directory) why() cause {
	why := cause{actor: d.actor, source: d.source}
	if d.forced {
		return why.decided(account.Force)
	}
	return why
}

// writing returns the cause of a change of one resource.
func (d *Directory) writing(typ, id string) cause {
	why := d.why()
	why.prepare = func(c *change) {
		c.tx.Expect(func(r store.Reader) {
			_, _ = r.Resource(typ, id, 0)
			if typ == TypeUser {
				_, _ = r.AccountOf(id)
				_, _ = r.Ancestors(id)
				expectCounts(r)
			}
		})
	}
	return why
}

// update is a transaction of the Directory.
func (d *Directory) update(ctx context.Context, why cause, fn func(*change) error) error {
	why.recognized = d.recognized
	return d.engine.update(ctx, d.connection, why, fn)
}

// view reads a snapshot of the connection.
func (d *Directory) view(ctx context.Context, fn func(store.Reader) error) error {
	if d.connection == store.Global {
		return notFound("connection", d.connection)
	}
	return d.engine.store().View(ctx, d.connection, func(_ context.Context, r store.Reader) error {
		d.recognized.expect(r)
		if err := d.recognized.confirm(r); err != nil {
			return err
		}
		return fn(r)
	})
}

// read is view for a function that always reads about the same, which is announced: a
// store over a network runs it first with a reader that finds nothing. Reads that are
// announced behind it go along, such as [store.NothingMore].
func (d *Directory) read(ctx context.Context, fn func(store.Reader) error, also ...store.Read) error {
	if d.connection == store.Global {
		return notFound("connection", d.connection)
	}
	return d.engine.store().View(ctx, d.connection, func(_ context.Context, r store.Reader) error {
		d.recognized.expect(r)
		r.Expect(func(r store.Reader) { _ = fn(r) })
		r.Expect(also...)
		if err := d.recognized.confirm(r); err != nil {
			return err
		}
		return fn(r)
	})
}

// exists returns ErrNotFound for a connection that does not exist, which a store
// reads as an empty one.
func (d *Directory) exists(r store.RecordReader) error {
	_, err := records.LiveConnection(r)
	if errors.Is(err, store.ErrNotFound) {
		return notFound("connection", d.connection)
	}
	return err
}

// ID returns the id of the connection.
func (d *Directory) ID() string { return d.connection }

// Get returns one resource with the parts asked for, or [ErrNotFound].
func (d *Directory) Get(ctx context.Context, typ, id string, with store.Parts) (*Resource, error) {
	var r *Resource
	err := d.read(ctx, func(rd store.Reader) error {
		var err error
		r, err = readResource(rd, typ, id, with)
		return err
	}, store.NothingMore)
	return r, err
}

// FirstMembers is a part of a resource for [Directory.Get], [Directory.Create] and
// [Directory.Update] instead of [store.WithMembers], by which a group of any size
// takes little memory. Resource.Members has at most one more than MembersPage. Where
// it has that one, [Directory.Members] goes on behind the member before the last.
const FirstMembers store.Parts = 1 << 7

// MembersPage is how many memberships are read at once.
const MembersPage = 1000

// readResource reads a resource with parts, of which FirstMembers is no store's.
func readResource(r store.Reader, typ, id string, with store.Parts) (*Resource, error) {
	if with&FirstMembers != 0 {
		r.Expect(func(r store.Reader) { _, _ = r.Memberships(id, "", MembersPage+1) })
	}
	found, err := r.Resource(typ, id, with&^FirstMembers)
	if err != nil || with&FirstMembers == 0 {
		return found, err
	}
	out := *found // the store may share it
	out.Members, err = r.Memberships(out.ID, "", MembersPage+1)
	return &out, err
}

// Members returns a page of the direct memberships in a group, in ascending order of
// member id, then source, behind a member: those of about MembersPage members, each
// with all its sources, and whether there are more. Each page is a snapshot of its
// own: who is a member all the while is there once. The error is [ErrNotFound] where
// there are none and the group does not exist.
func (d *Directory) Members(ctx context.Context, group, after string) (page []store.Membership, more bool, err error) {
	return d.members(ctx, group, after, func(r store.Reader) error {
		_, err := r.Resource(TypeGroup, group, 0)
		return err
	})
}

// members is Members, which asks whether the group exists.
func (d *Directory) members(ctx context.Context, group, after string, exists func(store.Reader) error) (page []store.Membership, more bool, err error) {
	err = d.read(ctx, func(r store.Reader) (err error) {
		if page, err = r.Memberships(group, after, MembersPage); err == nil && len(page) == 0 {
			err = exists(r)
		}
		return err
	})
	if err != nil {
		return nil, false, err
	}
	if more = len(page) == MembersPage; more {
		page = wholeMembers(page)
	}
	return page, more, nil
}

// UserNamed returns the user with a user name, without groups. Names are compared as
// everywhere ([store.SameName]): somebody whose name only clashes is somebody else.
// The error is [ErrNotFound] where there is none.
func (d *Directory) UserNamed(ctx context.Context, userName string) (*Resource, error) {
	var found []*Resource
	err := d.view(ctx, func(r store.Reader) (err error) {
		if err = d.exists(r); err == nil {
			found, err = finder{tx: r}.matching("userName", userName)
		}
		return err
	})
	if err == nil && len(found) == 0 {
		err = notFound("user", userName)
	}
	if err != nil {
		return nil, err
	}
	return found[0], nil
}

// Create makes a resource of a type from what fn writes to the draft, derives
// the account of a user, and returns the resource with the parts asked for.
//
// When SCIM or a sync creates what only logins have written, the resource of the
// login is changed instead, and keeps its id and its account.
//
// fn may run more than once, also outside the transaction where members are many; see
// [Directory.Update]. It must give the draft its content with [Draft.Write]. A taken unique key is a [*store.ConflictError], an unknown
// member a [*MemberError], a user who may not be linked to an account that the
// host has a [*DeniedError]; then nothing is stored.
func (d *Directory) Create(ctx context.Context, typ string, with store.Parts, fn func(*Draft) error) (*Resource, error) {
	id, err := d.engine.newID()
	if err != nil {
		return nil, err
	}
	open := func(c *change) (*Draft, error) {
		return &Draft{change: c, resource: Resource{ID: id, Type: typ, Created: c.now}}, nil
	}
	var (
		out      *Resource
		draft    *Draft
		draftErr error
	)
	why := d.why()
	why.prepare = func(c *change) {
		draft = &Draft{change: c, resource: Resource{ID: id, Type: typ}, most: d.engine.Limits.inlineMembers()}
		if draftErr = fn(draft); draftErr == nil {
			c.tx.Expect(draft.expect)
		}
	}
	err = d.update(ctx, why, func(c *change) error {
		if draftErr != nil {
			return draftErr
		}
		draft.resource.Created = c.now
		if err := draft.adopt(); err != nil {
			return err
		}
		if err := draft.apply(); err != nil {
			return err
		}
		r, err := draft.result(with)
		out = r
		return err
	})
	if errors.Is(err, errLarge) {
		return (&largeChange{Directory: d, cause: d.why(), isNew: true, open: open, fn: fn, with: with}).run(ctx)
	}
	return out, err
}

// Update changes one resource by what fn writes to the draft, derives the
// accounts that the change touches, and returns the resource with the parts
// asked for. When the draft ends as it began nothing is written: no new
// version, no event.
//
// fn may run more than once and may return [ErrVersion] to refuse a version.
//
// More members than [Limits.InlineMembers] are changed in several transactions, which
// leave others their turns, and are seen all at once by the last. Of one that fails, or
// whose process ends, nothing is ever seen. Where the group changes meanwhile, fn runs
// again, and after some times the error is an [*UnavailableError].
//
// The error is [ErrNotFound] for an unknown id, a [*GuardError] when the draft
// takes out the last site admin, and otherwise as for Create.
func (d *Directory) Update(ctx context.Context, typ, id string, with store.Parts, fn func(*Draft) error) (*Resource, error) {
	open := func(c *change) (*Draft, error) {
		r, err := c.tx.Resource(typ, id, 0)
		if err != nil {
			return nil, err
		}
		return &Draft{change: c, resource: *r, before: r}, nil
	}
	var out *Resource
	err := d.update(ctx, d.writing(typ, id), func(c *change) error {
		draft, err := open(c)
		if err != nil {
			return err
		}
		draft.most = d.engine.Limits.inlineMembers()
		if err := fn(draft); err != nil {
			return err
		}
		if err := draft.apply(); err != nil {
			return err
		}
		res, err := draft.result(with)
		out = res
		return err
	})
	if errors.Is(err, errLarge) {
		return (&largeChange{Directory: d, cause: d.why(), open: open, fn: fn, with: with}).run(ctx)
	}
	return out, err
}

// Delete removes a resource and its memberships. The account of a deleted user
// is deprovisioned by the policy; the members of a deleted group are derived
// again. check, when not nil, sees the resource first and may refuse, as with
// [ErrVersion]; it may see it more than once. The error is [ErrNotFound] for an unknown
// id, and a [*GuardError] for the last site admin.
//
// A group of more members than [Limits.InlineMembers] is deleted in several transactions,
// as Update changes one: it is there with all its members, and then it is not.
func (d *Directory) Delete(ctx context.Context, typ, id string, check func(*Resource) error) error {
	open := func(c *change) (*Resource, error) {
		r, err := c.tx.Resource(typ, id, 0)
		if err == nil && check != nil {
			err = check(r)
		}
		return r, err
	}
	err := d.update(ctx, d.writing(typ, id), func(c *change) error {
		r, err := open(c)
		if err != nil {
			return err
		}
		return c.deleteFew(r)
	})
	if errors.Is(err, errLarge) {
		return d.deleteLarge(ctx, d.why(), open)
	}
	return err
}

// MemberCount returns how many direct members a group has for the identity
// provider: as many as a SCIM client reads. Members by a default or an operator
// alone are not among them. An unknown group has none.
func (d *Directory) MemberCount(ctx context.Context, group string) (int, error) {
	n, last := 0, ""
	for {
		page, more, err := d.members(ctx, group, last, func(store.Reader) error { return nil })
		if err != nil {
			return 0, err
		}
		counted := ""
		for _, m := range page {
			if m.Source.Reported() && m.Member != counted { // several sources may know the same member
				n++
				counted = m.Member
			}
			last = m.Member
		}
		if !more {
			return n, nil
		}
	}
}

// wholeMembers returns a page without its last member, of whom more sources may
// be on the next page.
func wholeMembers(page []store.Membership) []store.Membership {
	end := len(page)
	for last := page[end-1].Member; end > 0 && page[end-1].Member == last; {
		end--
	}
	return page[:end]
}

// Account returns an account by id, or [ErrNotFound].
func (d *Directory) Account(ctx context.Context, id string) (*Account, error) {
	var a *Account
	err := d.read(ctx, func(r store.Reader) error {
		var err error
		a, err = readAccount(r, id)
		return err
	})
	return a, err
}

// readAccount returns an account as a host sees it.
func readAccount(r store.Reader, id string) (*Account, error) {
	r.Expect(func(r store.Reader) { _, _ = markPending(r, nil) })
	a, err := r.Account(id)
	if err != nil {
		return nil, err
	}
	list, err := markPending(r, []*Account{a})
	if err != nil {
		return nil, err
	}
	return list[0], nil
}

// Accounts returns the accounts that match q, in ascending order of id. An
// account whose derivation still waits for a job says so in Pending. An unknown
// connection is [ErrNotFound].
func (d *Directory) Accounts(ctx context.Context, q store.AccountQuery) ([]*Account, error) {
	var list []*Account
	err := d.view(ctx, func(r store.Reader) error {
		found, err := r.Accounts(q)
		if err != nil {
			return err
		}
		if len(found) == 0 {
			return d.exists(r)
		}
		list, err = markPending(r, found)
		return err
	})
	return list, err
}

// LatestEvents returns events of the connection, newest first: all, or those of one
// account, as far as they are retained. A page begins behind the sequence of the last event
// of the page before: q.Before. The error is [ErrNotFound] for an unknown connection; an
// unknown account has no events.
func (d *Directory) LatestEvents(ctx context.Context, q store.EventQuery) ([]*Event, error) {
	var list []*Event
	err := d.view(ctx, func(r store.Reader) error {
		var err error
		if list, err = r.LatestEvents(q); err == nil && len(list) == 0 {
			err = d.exists(r)
		}
		return err
	})
	return list, err
}

// Events returns the events of the connection after a sequence, in order, at
// most limit (0: all that are retained), or [ErrNotFound] for an unknown
// connection.
func (d *Directory) Events(ctx context.Context, after int64, limit int) ([]*Event, error) {
	var list []*Event
	err := d.view(ctx, func(r store.Reader) error {
		var err error
		if list, err = r.Events(after, limit); err == nil && len(list) == 0 {
			err = d.exists(r)
		}
		return err
	})
	return list, err
}
