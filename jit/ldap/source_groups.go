package ldap

import (
	"context"
	"encoding/binary"
	"iter"
	"strconv"

	goldap "github.com/go-ldap/ldap/v3"

	"github.com/scimjit/provision"
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
		members = append(members, keyOf(dn))
	}
	members = append(members, s.primary[string(sid)]...)
	return append(members, g.names...), nil
}

// memberIDs returns the ids of the members of a group that has changed. Who has none, such
// as a person of another domain, comes by the key of the DN, so that it is counted.
func (s *source) memberIDs(ctx context.Context, c *client, g *group, sid []byte) ([]string, error) {
	members := append([]string(nil), g.names...)
	if s.ids == nil && len(g.members) > lookups {
		if err := s.readIDs(ctx, c); err != nil {
			return nil, err
		}
	}
	for _, dn := range g.members {
		id, ok := s.ids[hash(keyOf(dn))]
		if !ok && s.ids == nil {
			var err error
			if id, err = s.idOf(ctx, c, dn); err != nil {
				return nil, err
			}
		}
		if id == "" {
			id = keyOf(dn)
		}
		members = append(members, id)
	}
	if !s.server.mapping.primary || len(sid) < 12 {
		return members, nil
	}
	rid := strconv.FormatUint(uint64(binary.LittleEndian.Uint32(sid[len(sid)-4:])), 10)
	err := s.eachPerson(ctx, c, allOf(s.server.people, equals("primaryGroupID", rid)), func(e entry) {
		if id, ok := s.server.mapping.id(e, fieldID); ok {
			members = append(members, id)
		}
	})
	return members, err
}

// readIDs reads the ids of everybody and every group.
func (s *source) readIDs(ctx context.Context, c *client) error {
	s.ids = map[[16]byte]string{}
	m := s.server.mapping
	err := s.eachPerson(ctx, c, s.server.people, func(e entry) {
		if id, ok := m.id(e, fieldID); ok {
			s.ids[hash(keyOf(e.DN))] = id
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
					s.ids[hash(keyOf(e.DN))] = id
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

// idOf looks up the id of a person or a group by its DN; empty where it is neither, or
// not below a base DN.
func (s *source) idOf(ctx context.Context, c *client, name string) (string, error) {
	at, ok := parseDN(name)
	if !ok {
		return "", nil
	}
	for _, kind := range []struct {
		bases         []string
		filter, field string
	}{{s.server.peopleBases, s.server.people, fieldID}, {s.server.groupsBases, s.server.groups, fieldGroupID}} {
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
			id, _ := s.server.mapping.id(found[0], kind.field)
			return id, nil
		}
	}
	return "", nil
}

func below(bases []string, at dn) bool {
	for _, base := range bases {
		if b, ok := parseDN(base); ok && b.has(at) {
			return true
		}
	}
	return false
}
