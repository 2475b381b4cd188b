package ldap

import (
	"cmp"
	"context"
	"encoding/binary"
	"iter"
	"strconv"

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
	// Another connection looks up what belongs to the entries of a page: on this one the
	// server keeps the page.
	err = s.server.use(ctx, true, func(other *client) error {
		for _, base := range s.server.groupsBases {
			err := r.base(ctx, base, s.server.groups, s.server.mapping.groupAttributes, groupsPage, "groups", func(e entry) error {
				if err := other.rest(ctx, e); err != nil {
					return err
				}
				g := s.server.mapping.group(e)
				members, err := s.members(ctx, other, &g)
				if err != nil {
					return err
				}
				return fn(g.sync(members))
			})
			if err != nil {
				return err
			}
		}
		return nil
	})
	if err == nil {
		r.end()
	}
	return err
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
	return append(members, g.names...), nil
}

// memberIDs returns the ids of the members of a group that has changed. Who has none, such
// as a person of another domain, comes by the key of the DN, so that it is counted. Where
// one is not to be seen who should be, the group has a problem.
func (s *source) memberIDs(ctx context.Context, c *client, g *group, sid []byte) ([]string, error) {
	members := append([]string(nil), g.names...)
	if s.ids == nil && len(g.members) > lookups {
		if err := s.readIDs(ctx, c); err != nil {
			return nil, err
		}
	}
	others := 0
	for _, name := range g.members {
		id, ok := s.ids[hash(ldapdn.Key(name))]
		if !ok {
			m := member{name: name}
			if err := s.lookUp(ctx, c, &m, &others); err != nil {
				return nil, err
			}
			if m.hidden {
				g.problem = cmp.Or(g.problem, ProblemMembers)
				return nil, nil
			}
			id = cmp.Or(m.id, ldapdn.Key(name))
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
	s.ids = map[[16]byte]string{}
	m := s.server.mapping
	err := s.eachPerson(ctx, c, s.server.people, func(e entry) {
		if id, ok := m.id(e, fieldID); ok {
			s.ids[hash(ldapdn.Key(e.DN))] = id
		}
	})
	if err != nil {
		return err
	}
	for _, base := range s.server.groupsBases {
		q := query{base: base, scope: goldap.ScopeWholeSubtree, filter: s.server.groups, attributes: m.fields[fieldGroupID], page: peoplePage}
		err := c.pages(ctx, "reading the ids of groups", q, func(page []*goldap.Entry) error {
			for _, e := range page {
				if id, ok := m.id(entry{e}, fieldGroupID); ok {
					s.ids[hash(ldapdn.Key(e.DN))] = id
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// member is one of a group, by its DN.
type member struct {
	name   string
	id     string // empty: neither a person nor a group by the filters, or without a readable id
	hidden bool   // it is not to be seen, and should be
}

// lookUp finds out who a member is whose id is not known. others counts those of the group
// that are neither people nor groups.
func (s *source) lookUp(ctx context.Context, c *client, m *member, others *int) error {
	at, ok := ldapdn.Parse(m.name)
	if !ok {
		return nil
	}
	inside := false
	for _, kind := range []struct {
		bases         []string
		filter, field string
	}{{s.server.peopleBases, s.server.people, fieldID}, {s.server.groupsBases, s.server.groups, fieldGroupID}} {
		if !below(kind.bases, at) {
			continue
		}
		if inside = true; s.ids != nil { // it would be among them
			continue
		}
		q := query{base: m.name, scope: goldap.ScopeBaseObject, filter: kind.filter, attributes: s.server.mapping.fields[kind.field]}
		found, _, err := c.find(ctx, "looking up a member", q, 1)
		if goldap.IsErrorWithCode(err, goldap.LDAPResultNoSuchObject) {
			continue
		}
		if err != nil {
			return err
		}
		if len(found) == 1 {
			m.id, _ = s.server.mapping.id(found[0], kind.field)
			return nil
		}
	}
	if !inside {
		return nil
	}
	// A computer, or a person whom the filter leaves out, is to be seen all the same. Who
	// is not may be somebody for whom the rights are lost.
	if *others++; *others > lookups {
		m.hidden = true
		return nil
	}
	_, seen, err := c.read(ctx, "looking up a member", m.name, "1.1")
	m.hidden = !seen
	return err
}

func below(bases []string, at ldapdn.DN) bool {
	for _, base := range bases {
		if b, ok := ldapdn.Parse(base); ok && b.Has(at) {
			return true
		}
	}
	return false
}
