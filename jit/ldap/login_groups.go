package ldap

import (
	"context"
	"encoding/hex"
	"slices"
	"strconv"
	"time"

	goldap "github.com/go-ldap/ldap/v3"

	"github.com/scimjit/provision"
	"github.com/scimjit/provision/internal/ldapdn"
	"github.com/scimjit/provision/policy"
)

// groupsOf returns the groups of a person, also those that their groups are in. The
// service account searches, never the person. A search that fails, groups that cannot
// be told, and none where the service account sees no member of any group, mean that
// nothing is known: nothing is taken away then.
func (s *Server) groupsOf(ctx context.Context, p *person) ([]provision.IdentityGroup, policy.Evidence, error) {
	var groups []provision.IdentityGroup
	evidence, unknown := policy.EvidenceKnown, ""
	err := s.use(ctx, true, func(c *client) (err error) {
		groups, evidence, unknown, err = s.searchGroups(ctx, c, p)
		if err == nil && unknown == "" && evidence == policy.EvidenceKnown && len(groups) == 0 {
			unknown, err = s.seesNoMembers(ctx, c)
		}
		return err
	})
	switch {
	case ctx.Err() != nil:
		return nil, evidence, ctx.Err()
	case err != nil:
		unknown = err.Error()
	}
	if unknown != "" {
		s.options.Logger.Warn("ldap: the groups of who logs in are not known", "connection", s.options.Connection, "cause", unknown)
		return nil, policy.EvidenceAbsent, nil
	}
	return groups, evidence, nil
}

// searchGroups follows nested groups by the matching rule of the server, or level by level.
// unknown says why they cannot be told, or "".
func (s *Server) searchGroups(ctx context.Context, c *client, p *person) (groups []provision.IdentityGroup, evidence policy.Evidence, unknown string, err error) {
	const levels = 100
	m := s.mapping
	next := []string{s.memberFilter(p.entry.DN)}
	for _, attribute := range m.memberNames {
		next = append(next, equals(attribute, p.accountName()))
	}
	primary := siblingSID(first(p.entry.values("objectSid")), string(first(p.entry.values("primaryGroupID"))))
	if primary != "" && m.primary {
		next = append(next, equals("objectSid", primary))
	}
	seen, hasPrimary := map[string]bool{}, false
	for level := 0; len(next) > 0; level++ {
		if level == levels {
			return nil, policy.EvidenceOverage, "", nil
		}
		found, more, err := s.groupsBy(ctx, c, next)
		if err != nil || more {
			return nil, policy.EvidenceOverage, "", err
		}
		next = next[:0:0]
		for _, e := range found {
			key := ldapdn.Key(e.DN)
			if seen[key] {
				continue
			}
			seen[key] = true
			next = append(next, s.memberFilter(e.DN))
			hasPrimary = hasPrimary || string(first(e.values("objectSid"))) == primary
			g := m.group(e)
			if g.id == "" || g.name == "" {
				return nil, policy.EvidenceAbsent, "the id or the name of the group " + strconv.Quote(plain(e.DN)) + " cannot be read", nil
			}
			groups = append(groups, provision.IdentityGroup{Value: g.id, Name: g.name})
		}
		if len(groups) > provision.MaxIdentityGroups {
			return nil, policy.EvidenceOverage, "", nil
		}
	}
	if m.primary && !hasPrimary {
		unknown, err = s.seesNoPrimary(ctx, c, primary)
	}
	return groups, policy.EvidenceKnown, unknown, err
}

// seesNoPrimary says why the primary group of a person was not among the groups that a
// search found. It is "" where the service account sees the group, which is then not below
// the base DNs, or not found by the filter.
func (s *Server) seesNoPrimary(ctx context.Context, c *client, sid string) (unknown string, err error) {
	if sid == "" {
		return "the primary group of the person cannot be read (objectSid, primaryGroupID)", nil
	}
	_, found, err := c.read(ctx, "looking for the primary group", "<SID="+hex.EncodeToString([]byte(sid))+">", "1.1")
	if err != nil || found {
		return "", err
	}
	return "the primary group of the person cannot be seen", nil
}

// blindFor is how long nobody looks again whether members of groups can be seen.
const blindFor = time.Minute

// seesNoMembers says that the service account sees no member of any group, or "". To whom
// may not read groups everybody looks as if they had none. A base DN that is named for
// groups must have some. That members are seen is asked each time, after the search that
// found nothing: rights may be lost at any moment, and the search ends at the first.
func (s *Server) seesNoMembers(ctx context.Context, c *client) (unknown string, err error) {
	const text = "the service account sees no group with members"
	if s.isBlind() {
		return text, nil
	}
	var members []string
	for _, attribute := range slices.Concat(s.mapping.members, s.mapping.memberNames) {
		members = append(members, "("+attribute+"=*)")
	}
	some := false
	for _, base := range s.groupsBases {
		q := query{base: base, scope: goldap.ScopeWholeSubtree, filter: allOf(s.groups, anyOf(members...)), attributes: []string{"1.1"}}
		_, more, err := c.find(ctx, "looking for groups with members below "+strconv.Quote(base), q, 0)
		if err != nil {
			return "", err
		}
		some = some || more
		if !more && len(s.GroupBaseDNs) > 0 {
			s.setBlind()
			return text + " below " + strconv.Quote(base), nil
		}
	}
	if !some {
		s.setBlind()
		return text, nil
	}
	return "", nil
}

func (s *Server) isBlind() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return time.Now().Before(s.blind)
}

func (s *Server) setBlind() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.blind = time.Now().Add(blindFor)
}

// memberFilter finds the groups that an entry is in.
func (s *Server) memberFilter(dn string) string {
	if s.preset.chain != "" {
		return equals(s.preset.members[0]+":"+s.preset.chain+":", dn)
	}
	var filters []string
	for _, attribute := range s.mapping.members {
		filters = append(filters, equals(attribute, dn))
	}
	return anyOf(filters...)
}

// groupsBy searches the groups that one of several filters finds, some filters at a time:
// long ones cost much memory.
func (s *Server) groupsBy(ctx context.Context, c *client, filters []string) (found []entry, more bool, err error) {
	const together = 20
	names := append([]string{"objectSid"}, s.mapping.fields[fieldGroupID]...)
	names = append(names, s.mapping.fields[fieldGroupName]...)
	for len(filters) > 0 {
		n := min(together, len(filters))
		for _, base := range s.groupsBases {
			q := query{base: base, scope: goldap.ScopeWholeSubtree, filter: allOf(s.groups, anyOf(filters[:n]...)), attributes: names}
			list, cut, err := c.find(ctx, "looking for the groups of who logs in", q, provision.MaxIdentityGroups)
			if err != nil || cut {
				return nil, cut, err
			}
			found = append(found, list...)
		}
		filters = filters[n:]
	}
	return found, false, nil
}
