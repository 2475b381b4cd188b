package ldap

import (
	"cmp"
	"context"
	"encoding/binary"
	"iter"
	"strconv"
	"strings"

	goldap "github.com/go-ldap/ldap/v3"

	"github.com/scimjit/provision"
	"github.com/scimjit/provision/internal/ldapdn"
)

// lookups is how many members of the changed groups are looked up one by one. Beyond that
// the ids of everybody are read.
const lookups = 200

// Groups implements [provision.SyncSource]. A directory without any group says nothing
// about groups: it looks the same to whom may not see them.
func (s *source) Groups(ctx context.Context) iter.Seq2[provision.SyncGroup, error] {
	known, err := true, error(nil)
	if s.since == nil {
		err = s.server.use(ctx, true, func(c *client) (err error) {
			known, err = s.hasGroups(ctx, c)
			return err
		})
	}
	if err == nil && !known {
		s.next.Groups = s.next.People // there is nothing to go on from
		return nil
	}
	return func(yield func(provision.SyncGroup, error) bool) {
		stopped := false
		if err == nil {
			err = s.server.use(ctx, true, func(c *client) error {
				return s.readGroups(ctx, c, func(g provision.SyncGroup) error {
					if !yield(g, nil) {
						stopped = true
						return errStopped
					}
					return nil
				})
			})
		}
		if err != nil && !stopped {
			yield(provision.SyncGroup{}, err)
		}
	}
}

// hasGroups reports whether there are groups. A base DN that is named for groups must have
// some.
func (s *source) hasGroups(ctx context.Context, c *client) (bool, error) {
	found := false
	for _, base := range s.server.groupsBases {
		q := query{base: base, scope: goldap.ScopeWholeSubtree, filter: s.server.groups, attributes: []string{"1.1"}}
		list, _, err := c.find(ctx, "looking for groups below "+strconv.Quote(base), q, 1)
		if err != nil {
			return false, err
		}
		some := len(list) > 0
		if !some && len(s.server.GroupBaseDNs) > 0 {
			return false, &Error{Code: CodeEmpty, Server: c.host.address, Reason: "the search has no groups below " + strconv.Quote(base) + "; give the service account the right to read them, mend the filter, or take the base DN out"}
		}
		found = found || some
	}
	return found, nil
}

func (s *source) readGroups(ctx context.Context, c *client, fn func(provision.SyncGroup) error) error {
	r, err := s.reading(ctx, c, &s.next.Groups, sinceOf(s.since, false))
	if err != nil {
		return err
	}
	for _, base := range s.server.groupsBases {
		err := r.base(ctx, base, s.server.groups, s.server.mapping.groupAttributes, groupsPage, "groups", func(e entry) error {
			var g group
			var members []string
			// Another connection looks up what belongs to an entry: on this one the server
			// keeps the page. Where that one is lost, only the entry is begun again.
			err := s.server.use(ctx, true, func(other *client) (err error) {
				if err := other.rest(ctx, e); err != nil {
					return err
				}
				g = s.server.mapping.group(e)
				members, err = s.members(ctx, other, &g)
				return err
			})
			if err != nil {
				return err
			}
			out := g.sync(members)
			if len(g.unseen) > 0 {
				out.MayBe = s.mayBe(g.unseen)
			}
			return fn(out)
		})
		if err != nil {
			return err
		}
	}
	r.end()
	return nil
}

// members returns the members of a group as a sync names them: by the keys of people and
// groups, which a whole source has; otherwise by their ids.
func (s *source) members(ctx context.Context, c *client, g *group) ([]string, error) {
	sid := first(g.entry.values("objectSid"))
	if s.since != nil {
		return s.memberIDs(ctx, c, g, sid)
	}
	members := make([]string, 0, len(g.members)+len(g.names))
	for _, dn := range g.members {
		members = append(members, ldapdn.Key(dn))
	}
	members = append(members, s.primary[string(sid)]...)
	for _, name := range g.names {
		members = append(members, cmp.Or(s.names[name], name))
	}
	return members, nil
}

// memberIDs returns the ids of the members of a group that has changed. Who has none, such
// as a person of another domain, or one who is not to be seen, comes by the key of the DN.
func (s *source) memberIDs(ctx context.Context, c *client, g *group, sid []byte) (members []string, err error) {
	g.unseen = map[string]bool{}
	for _, name := range g.names {
		if s.namedByUserName() {
			members = append(members, name)
			continue
		}
		id, err := s.idNamed(ctx, c, name)
		if err != nil {
			return nil, err
		}
		if id == "" {
			id = ldapdn.Key("\x00" + name) // it is counted, and nobody's
		}
		members = append(members, id)
	}
	if s.ids == nil && len(g.members) > lookups {
		if err := s.readIDs(ctx, c); err != nil {
			return nil, err
		}
	}
	for _, name := range g.members {
		id, ok := s.ids[hash(ldapdn.Key(name))]
		if !ok {
			if id, err = s.lookUp(ctx, c, name); err != nil {
				return nil, err
			}
			if id == "" {
				id = ldapdn.Key(name)
				g.unseen[id] = true
			}
		}
		members = append(members, id)
	}
	if !s.server.mapping.primary || len(sid) < 12 {
		return members, nil
	}
	primary, err := s.primaryIDs(ctx, c, sid)
	if err == nil && len(primary) == 0 {
		var seen bool
		if seen, err = s.seesPrimary(ctx, c); !seen {
			g.problem = cmp.Or(g.problem, ProblemMembers)
		}
	}
	return append(members, primary...), err
}

// primaryIDs returns the ids of the people whose primary group is that with a SID.
func (s *source) primaryIDs(ctx context.Context, c *client, sid []byte) (ids []string, err error) {
	rid := strconv.FormatUint(uint64(binary.LittleEndian.Uint32(sid[len(sid)-4:])), 10)
	err = s.eachPerson(ctx, c, allOf(s.server.people, equals("primaryGroupID", rid)), func(e entry) {
		if id, ok := s.server.mapping.id(e, fieldID); ok {
			ids = append(ids, id)
		}
	})
	return ids, err
}

// seesPrimary reports whether primary groups are to be seen below each base: everybody has
// one.
func (s *source) seesPrimary(ctx context.Context, c *client) (bool, error) {
	if s.sees {
		return true, nil
	}
	for _, base := range s.server.peopleBases {
		q := query{base: base, scope: goldap.ScopeWholeSubtree, filter: allOf(s.server.people, "(primaryGroupID=*)"), attributes: []string{"1.1"}}
		found, _, err := c.find(ctx, "looking for primary groups", q, 1)
		if err != nil || len(found) == 0 {
			return false, err
		}
	}
	s.sees = true
	return true, nil
}

// readIDs reads the ids of everybody and every group.
func (s *source) readIDs(ctx context.Context, c *client) error {
	s.ids, s.alike = map[[16]byte]string{}, map[[16]byte]bool{}
	m := s.server.mapping
	note := func(e entry, field string) {
		key := hash(ldapdn.Key(e.DN))
		id, ok := m.id(e, field)
		if other, twice := s.ids[key]; twice && other != id || s.alike[key] {
			s.alike[key] = true
			delete(s.ids, key)
		} else if ok {
			s.ids[key] = id
		}
	}
	err := s.eachPerson(ctx, c, s.server.people, func(e entry) { note(e, fieldID) })
	if err != nil {
		return err
	}
	for _, base := range s.server.groupsBases {
		q := query{base: base, scope: goldap.ScopeWholeSubtree, filter: s.server.groups, attributes: m.fields[fieldGroupID], page: peoplePage}
		err := c.pages(ctx, "reading the ids of groups", q, func(page []*goldap.Entry) error {
			for _, e := range page {
				note(entry{e}, fieldGroupID)
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// lookUp returns the id of a member, by the DN: "" for one who is neither a person nor a
// group by the filters, or not to be seen.
func (s *source) lookUp(ctx context.Context, c *client, name string) (id string, err error) {
	at, ok := ldapdn.Parse(name)
	if !ok || s.ids != nil && !s.alike[hash(at.Key())] { // it would be among them
		return "", nil
	}
	for _, kind := range s.kinds() {
		if !below(kind.bases, at) {
			continue
		}
		q := query{base: name, scope: goldap.ScopeBaseObject, filter: kind.filter, attributes: s.server.mapping.fields[kind.field]}
		found, _, err := c.find(ctx, "looking up a member", q, 1)
		if goldap.IsErrorWithCode(err, goldap.LDAPResultNoSuchObject) {
			continue
		}
		if err != nil {
			return "", err
		}
		if len(found) == 1 {
			id, _ = s.server.mapping.id(found[0], kind.field)
			return id, nil
		}
	}
	return "", nil
}

// namedByUserName reports whether memberUid names people as their userName does.
func (s *source) namedByUserName() bool {
	names := s.server.mapping.fields[fieldUserName]
	return len(names) == 1 && strings.EqualFold(names[0], accountName)
}

// idNamed returns the id of the person with an account name, or "".
func (s *source) idNamed(ctx context.Context, c *client, name string) (id string, err error) {
	for _, base := range s.server.peopleBases {
		q := query{base: base, scope: goldap.ScopeWholeSubtree, filter: allOf(s.server.people, equals(accountName, name)), attributes: s.server.mapping.fields[fieldID]}
		found, more, err := c.find(ctx, "looking up a member", q, 1)
		if err != nil {
			return "", err
		}
		if len(found) == 1 && !more {
			id, _ = s.server.mapping.id(found[0], fieldID)
			return id, nil
		}
	}
	return "", nil
}

// kind is what members of groups are.
type kind struct {
	bases         []string
	filter, field string
}

func (s *source) kinds() []kind {
	return []kind{{s.server.peopleBases, s.server.people, fieldID}, {s.server.groupsBases, s.server.groups, fieldGroupID}}
}

// mayBe is for [provision.SyncGroup.MayBe] of a group with members who have no id: whoever
// is found by their id, under another DN than theirs, is none of them.
func (s *source) mayBe(unseen map[string]bool) func(context.Context, string) (bool, error) {
	m, asked := s.server.mapping, 0
	return func(ctx context.Context, id string) (may bool, err error) {
		if asked++; asked > lookups {
			return true, nil
		}
		may = true
		err = s.server.use(ctx, true, func(c *client) error {
			for _, kind := range s.kinds() {
				attribute := m.fields[kind.field][0]
				if m.ids[strings.ToLower(attribute)] != nil {
					continue // it is written in bytes
				}
				for _, base := range kind.bases {
					q := query{base: base, scope: goldap.ScopeWholeSubtree, filter: allOf(kind.filter, equals(attribute, id)), attributes: []string{"1.1"}}
					found, _, err := c.find(ctx, "looking for who left a group", q, 1)
					if err != nil {
						return err
					}
					if len(found) == 1 {
						may = unseen[ldapdn.Key(found[0].DN)]
						return nil
					}
				}
			}
			return nil
		})
		return may, err
	}
}

func below(bases []string, at ldapdn.DN) bool {
	for _, base := range bases {
		if b, ok := ldapdn.Parse(base); ok && b.Has(at) {
			return true
		}
	}
	return false
}
