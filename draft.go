package provision

import (
	"bytes"
	"errors"
	"slices"

	"github.com/scimjit/provision/internal/account"
	"github.com/scimjit/provision/store"
)

// Draft is a resource that is being created or changed inside a transaction. It
// holds the attributes and the pending changes of the memberships; members are
// never loaded unless asked for.
//
// A Draft is valid only inside the function that received it.
type Draft struct {
	change   *change
	resource Resource
	before   *Resource // nil when creating
	wrote    bool
	ends     []store.Source // of which it removes members; nil: all that its cause may end

	deletes bool // the resource goes, with all its members

	most  int               // members that it may change; 0: any
	large bool              // it changes more, which are not recorded
	want  []string          // members that are still to be taken, of SetMembers
	diff  *memberDifference // the changes of members, compared with what is stored
	stage int64             // by which they are staged; 0: they are written

	cleared    bool            // the members start from none
	members    map[string]bool // pending: true adds, false removes
	order      []string        // the keys of members in the order of their first change
	stored     []store.Membership
	loaded     bool // stored has been read: nothing of it changes before the draft is applied
	tolerances []string
	misused    error
}

// Content is the attributes of a resource in the form that a store keeps.
type Content struct {
	Document store.Document // canonical; see [store.Document]
	Keys     []store.Key    // index entries, never nil
	Display  string         // displayName, or userName where there is none
}

// ID returns the id of the resource.
func (d *Draft) ID() string { return d.resource.ID }

// Version returns the version of the resource, 0 when it is being created.
func (d *Draft) Version() int64 { return d.resource.Version }

// Resource returns the resource as it was read, without members and groups, or
// nil when it is being created. It must not be changed.
func (d *Draft) Resource() *Resource { return d.before }

// Write gives the resource its content. The caller must not change the content
// afterwards.
func (d *Draft) Write(c Content) {
	d.resource.Document, d.resource.Keys, d.resource.Display = c.Document, c.Keys, c.Display
	d.wrote = true
}

// Tolerated records dialect rules that the request needed; the events of the
// change name them.
func (d *Draft) Tolerated(names ...string) { d.tolerances = append(d.tolerances, names...) }

// mayEnd reports whether the draft may end memberships of a source.
func (d *Draft) mayEnd(s store.Source) bool {
	if d.ends != nil {
		return slices.Contains(d.ends, s)
	}
	return d.change.mayEnd(s)
}

// AddMember makes a user or group a direct member of the group, known from the
// source that the directory writes for; see [Directory.Via]. Adding a member twice
// adds one.
func (d *Draft) AddMember(id string) { d.setMember(id, true) }

// RemoveMember ends a direct membership. What an operator or a default added is
// removed by an operator only. Removing one that does not exist is no change.
func (d *Draft) RemoveMember(id string) { d.setMember(id, false) }

// ClearMembers ends all direct memberships that RemoveMember would; members
// added later stay.
func (d *Draft) ClearMembers() {
	d.cleared, d.members, d.order, d.want = true, nil, nil, nil
}

// SetMembers makes the members those that are named: it is ClearMembers, and AddMember
// for each. The caller must not change the list afterwards.
func (d *Draft) SetMembers(ids []string) {
	d.ClearMembers()
	switch {
	case d.most == 0:
		d.want = ids // later: there may be very many
	case len(ids) > d.most:
		d.large = true
	default:
		for _, id := range ids {
			d.AddMember(id)
		}
	}
}

// takeWanted adds what SetMembers has left for later.
func (d *Draft) takeWanted() {
	want := d.want
	d.want = nil
	for _, id := range want {
		d.AddMember(id)
	}
}

func (d *Draft) setMember(id string, member bool) {
	if d.resource.Type != TypeGroup {
		d.misused = errors.New("provision: only a group has members")
		return
	}
	if d.takeWanted(); d.large {
		return
	}
	if d.members == nil {
		d.members = map[string]bool{}
	}
	if _, known := d.members[id]; !known {
		if d.most > 0 && len(d.order) == d.most {
			d.large = true
			return
		}
		d.order = append(d.order, id)
	}
	d.members[id] = member
}

// readable returns the error by which a draft is done again where it can be as large
// as it is.
func (d *Draft) readable() error {
	d.takeWanted()
	if d.large {
		return errLarge
	}
	return nil
}

// storedMembers returns the memberships that are stored, unless the draft may change
// fewer.
func (d *Draft) storedMembers(read func(group, after string, limit int) ([]store.Membership, error)) ([]store.Membership, error) {
	limit := 0
	if d.most > 0 {
		limit = 2*d.most + 1
	}
	list, err := read(d.resource.ID, "", limit)
	if err == nil && limit > 0 && len(list) == limit {
		err = errLarge
	}
	return list, err
}

// Members loads the members of the group as the draft stands, once for each
// source that knows them.
func (d *Draft) Members() ([]store.Membership, error) {
	if err := d.readable(); err != nil {
		return nil, err
	}
	var list []store.Membership
	known := map[string]bool{}
	if !d.cleared && d.before != nil {
		if !d.loaded {
			var err error
			if d.stored, err = d.storedMembers(d.change.tx.Memberships); err != nil {
				return nil, err
			}
			d.loaded = true
		}
		for _, m := range d.stored {
			if keep, changed := d.members[m.Member]; !changed || keep {
				known[m.Member] = true
				list = append(list, m)
			}
		}
	}
	for _, id := range d.order {
		if !d.members[id] || known[id] {
			continue
		}
		r, err := memberOf(d.change.tx, id)
		if err != nil {
			return nil, err
		}
		list = append(list, store.Membership{Group: d.resource.ID, Member: id, Source: d.change.source, Kind: r.Type, Display: r.Display})
	}
	return list, nil
}

// Member returns a direct member of the group as the draft stands, without its
// source, if an identity provider says that it is one. It costs the same in a group of
// any size.
func (d *Draft) Member(id string) (m store.Membership, is bool, err error) {
	if err := d.readable(); err != nil {
		return m, false, err
	}
	is, changed := d.members[id]
	if !changed && !d.cleared && d.before != nil && id != "" {
		if is, err = d.change.tx.IsMember(d.resource.ID, id); err != nil {
			return m, false, err
		}
	}
	if !is {
		return m, false, nil
	}
	r, err := memberOf(d.change.tx, id)
	if err != nil {
		return m, false, err
	}
	return store.Membership{Group: d.resource.ID, Member: id, Kind: r.Type, Display: r.Display}, true, nil
}

// apply writes what the draft changed and derives the accounts it touches.
func (d *Draft) apply() error {
	d.change.tolerances = d.tolerances
	d.change.resource = &store.ResourceRef{Type: d.resource.Type, ID: d.resource.ID}
	content := d.before == nil || d.claims() || (d.wrote && !bytes.Equal(d.before.Document, d.resource.Document))
	if d.misused != nil {
		return d.misused
	}
	if d.before == nil && !d.wrote {
		return errors.New("provision: the draft of a new resource was not written")
	}
	if err := d.checkUnique(); err != nil {
		return err
	}
	if d.before == nil {
		// A membership row must not precede the group it belongs to.
		if err := d.put(); err != nil {
			return err
		}
	}
	delta, err := d.applyMembers()
	if err != nil {
		return err
	}
	if d.before != nil && (content || !delta.empty()) {
		if !content {
			d.resource.Document, d.resource.Keys, d.resource.Display = d.before.Document, nil, d.before.Display
		}
		if err := d.put(); err != nil {
			return err
		}
	}
	if !content && delta.empty() {
		return nil
	}
	switch d.resource.Type {
	case TypeUser:
		return d.change.userWritten(d.before, &d.resource)
	case TypeGroup:
		return d.change.groupWritten(d.before, &d.resource, delta)
	}
	return nil
}

func (d *Draft) put() error {
	d.resource.Version++
	d.resource.Modified = d.change.now
	if d.before == nil || d.change.adopts() && !d.change.conn.decidedBy(d.before.Source, d.change.source) {
		d.resource.Source = d.change.source
	}
	if d.before == nil && d.resource.Keys == nil {
		d.resource.Keys = []store.Key{}
	}
	r := d.resource // the store may keep the pointer
	err := d.change.putResource(&r)
	d.resource.Position = r.Position
	return err
}

// applyMembers writes the pending membership changes. Its cost depends on how
// many there are, and on the size of the group only after ClearMembers.
func (d *Draft) applyMembers() (memberDelta, error) {
	var delta memberDelta
	c := d.change
	if d.diff != nil {
		return d.showMembers()
	}
	if err := d.readable(); err != nil {
		return delta, err
	}
	order := d.order
	if d.cleared && d.before != nil {
		known, err := d.removeOthers(&delta)
		if err != nil {
			return delta, err
		}
		order = slices.DeleteFunc(slices.Clone(order), func(id string) bool { return known[id] && d.members[id] })
	}
	if len(d.order) > c.engine.Limits.members() {
		return delta, &LimitError{Limit: "Limits.Members", Max: c.engine.Limits.members()}
	}
	c.tx.Expect(func(r store.Reader) { expectMembers(r, order) })
	for _, id := range order {
		if !d.members[id] {
			if err := d.removeMember(id, &delta); err != nil {
				return delta, err
			}
			continue
		}
		if err := d.addMember(id, &delta); err != nil {
			return delta, err
		}
	}
	return delta, c.checkNesting(d.resource.ID, delta.added)
}

// expectMembers announces what changes of members read.
func expectMembers(r store.Reader, members []string) {
	for _, id := range members {
		_, _ = r.Resource("", id, 0)
	}
	_, _ = r.MembershipsOf(members...)
}

// expect announces what the creation of the resource reads, by the connection as it was
// a moment ago.
func (d *Draft) expect(r store.Reader) {
	conn := d.change.engine.connections.recall(d.change.connection)
	if conn == nil || !d.wrote {
		return
	}
	store.Insertion(&d.resource)(r)
	expectMembers(r, d.order)
	f := finder{tx: r, conn: conn}
	if d.change.adopts() {
		_, _ = f.adoptable(&d.resource)
	}
	if d.resource.Type != TypeUser {
		return
	}
	person, a := account.Read(d.resource.Document, conn.attributes), &Account{}
	person.WriteTo(a)
	_, _ = r.AccountOf(d.resource.ID)
	expectCounts(r)
	_, _, _ = f.former(person)
	_, _ = r.Accounts(othersWith(a.Email))
}

// checkNesting refuses groups that became members of a group by which groups are
// nested too deep.
func (c *change) checkNesting(group string, added []store.Membership) error {
	var nested []string
	for _, m := range added {
		if m.Kind == TypeGroup {
			nested = append(nested, m.Member)
		}
	}
	most := c.engine.Limits.nesting()
	deep, err := tooDeep(c.tx, most, group, nested)
	if err != nil || len(deep) == 0 {
		return err
	}
	return &LimitError{Limit: "Limits.Nesting", Max: most, Member: deep[0]}
}

// removeOthers removes every stored member that the draft does not add again. What
// logins said of those whom it does counts no more once the group is taken over. It
// returns who is a member already from the source of the change.
func (d *Draft) removeOthers(delta *memberDelta) (known map[string]bool, err error) {
	stored, err := d.storedMembers(d.change.tx.UnnamedMemberships)
	if err != nil {
		return nil, err
	}
	known = map[string]bool{}
	d.change.tx.Expect(func(r store.Reader) { // who leaves is asked for by each deletion
		var leaving []string
		for _, m := range stored {
			if !d.members[m.Member] {
				leaving = append(leaving, m.Member)
			}
		}
		_, _ = r.MembershipsOf(leaving...)
	})
	for _, m := range stored {
		stays := d.members[m.Member]
		if m.Source == d.change.source {
			known[m.Member] = true
		}
		if !d.mayEnd(m.Source) || stays && (m.Source != store.SourceJIT || !d.claims()) {
			continue
		}
		removed, err := d.change.tx.DeleteMembership(m.Group, m.Member, m.Source)
		if err != nil {
			return nil, err
		}
		if removed && !stays {
			delta.removed = append(delta.removed, m)
		}
	}
	return known, nil
}

func (d *Draft) removeMember(id string, delta *memberDelta) error {
	if d.before == nil {
		return nil
	}
	sources := d.ends
	if sources == nil {
		sources = d.change.endable()
	}
	any := false
	for _, source := range sources {
		removed, err := d.change.tx.DeleteMembership(d.resource.ID, id, source)
		if err != nil {
			return err
		}
		any = any || removed
	}
	if !any {
		return nil
	}
	m := store.Membership{Group: d.resource.ID, Member: id}
	if r, err := d.change.tx.Resource("", id, 0); err == nil {
		m.Kind = r.Type
	} else if !errors.Is(err, store.ErrNotFound) {
		return err
	}
	delta.removed = append(delta.removed, m)
	return nil
}

func (d *Draft) addMember(id string, delta *memberDelta) error {
	c := d.change
	r, err := memberOf(c.tx, id)
	if err != nil {
		return err
	}
	m := store.Membership{Group: d.resource.ID, Member: id, Source: c.source, Kind: r.Type}
	added, err := c.tx.PutMembership(m)
	if err != nil || !added {
		return err
	}
	delta.added = append(delta.added, m)
	return nil
}

// result returns the resource as it is after the change.
func (d *Draft) result(with store.Parts) (*Resource, error) {
	if with&^store.WithGroups != 0 {
		return readResource(d.change.tx, d.resource.Type, d.resource.ID, with)
	}
	r := d.resource
	if with == 0 {
		return &r, nil
	}
	var err error
	r.Groups, err = d.change.tx.MembershipsOf(r.ID)
	return &r, err
}
