package policy

import (
	"cmp"
	"slices"
	"strings"
	"time"
)

// Policy is a compiled [Config]. It never changes: any number of goroutines may
// use it at once.
type Policy struct {
	config  Config
	matcher matcher
	roles   []role
	permits bool // some permission is not left to the host
}

// role is a role grant in the order in which roles are granted.
type role struct {
	name string
	list int // in the matcher
}

// Compile checks every option and returns the policy that they make, or a
// *[ConfigError] for the first fault. Later changes of c do not reach the
// policy.
//
// The arguments are the names of the permissions that the host has beside
// "webdav", "ftp" and "sftp": option permissions may name no others.
func (c Config) Compile(permissions ...string) (*Policy, error) {
	c = c.Clone()
	if err := c.verify(); err != nil {
		return nil, err
	}
	var err error
	if c.Permissions, err = c.Permissions.Named(permissions...); err != nil {
		return nil, err
	}
	c.spellOut()
	p := &Policy{config: c, matcher: newMatcher(c.lists()), permits: c.Permissions.set()}
	for i, grant := range c.Roles {
		p.roles = append(p.roles, role{name: grant.Role, list: firstRole + i})
	}
	slices.SortStableFunc(p.roles, func(a, b role) int { return cmp.Compare(a.name, b.name) })
	return p, nil
}

// The pattern lists that are matched, as indexes into a matcher. Role grants
// follow in the order of the configuration.
const (
	excludedList = iota // the first three are asked group by group,
	includedList
	groupAdminList
	requiredList // the others whether any group matches
	siteAdminList
	readOnlyList
	passwordList
	firstRole

	groupLists = requiredList
)

// lists returns the pattern lists of c by index.
func (c *Config) lists() []Patterns {
	lists := []Patterns{
		excludedList:   c.ExcludedGroups,
		includedList:   c.IncludedGroups,
		groupAdminList: c.GroupAdminGroups,
		requiredList:   c.RequiredGroups,
		siteAdminList:  c.SiteAdminGroups,
		readOnlyList:   c.ReadOnlySiteAdminGroups,
		passwordList:   c.PasswordGroups,
	}
	for _, grant := range c.Roles {
		lists = append(lists, grant.Groups)
	}
	return lists
}

// Config returns the configuration that p was compiled from, with defaults in
// place of empty values and the time zone by its IANA name. It is a copy; where
// a login asks, the methods below are cheaper.
func (p *Policy) Config() Config {
	return p.config.Clone()
}

// ProvisionsOnFirstLogin reports whether a login by an unknown person creates
// them, on a connection with or without SCIM.
func (p *Policy) ProvisionsOnFirstLogin(scim bool) bool {
	return p.config.ProvisionOnFirstLogin == FirstLoginProvision ||
		p.config.ProvisionOnFirstLogin == FirstLoginAuto && !scim
}

// AllowsSSO reports whether a person who authenticates by a may log in through
// the identity provider.
func (p *Policy) AllowsSSO(a Authentication) bool {
	return a != AuthenticationPassword || p.config.AllowSSOForPasswordUsers
}

// EvidenceSince returns the first day whose evidence of groups still counts at
// now, at its beginning in UTC: it counts for as many whole days after it as
// option roleEvidenceMaxAgeDays says. Without ok all evidence counts, for ever.
func (p *Policy) EvidenceSince(now time.Time) (day time.Time, ok bool) {
	most := p.config.RoleEvidenceMaxAgeDays
	if most == Forever {
		return time.Time{}, false
	}
	return now.UTC().AddDate(0, 0, -most).Truncate(24 * time.Hour), true
}

// RolesLapsed reports whether evidence of groups that is as old as known, a day
// at its beginning in UTC, has lapsed by now: see [Group.Lapsed].
func (p *Policy) RolesLapsed(known, now time.Time) bool {
	first, ok := p.EvidenceSince(now)
	return ok && known.Before(first)
}

// TrustsEmail reports whether the domain of an e-mail address is one of
// emailDomains, so that the address is verified. A subdomain is another domain.
func (p *Policy) TrustsEmail(email string) bool {
	at := strings.LastIndexByte(email, '@')
	if at <= 0 {
		return false
	}
	return slices.ContainsFunc(p.config.EmailDomains, func(domain string) bool {
		return EqualLower(domain, email[at+1:])
	})
}

// NeedsExternalIDs reports whether any pattern names a group by id, so that a
// caller who would have to look up [Group.ExternalID] knows whether it must.
func (p *Policy) NeedsExternalIDs() bool { return len(p.matcher.ids) > 0 }
