package account

import (
	"slices"

	"github.com/scimjit/provision/policy"
	"github.com/scimjit/provision/store"
)

// SetBlock records that a source says whether the person must not be active.
// Each source lifts only its own block.
func SetBlock(facts *store.Facts, s store.Source, blocked bool) {
	i := slices.Index(facts.Blocks, s)
	switch {
	case blocked && i < 0:
		facts.Blocks = append(facts.Blocks, s)
	case !blocked && i >= 0:
		facts.Blocks = slices.Delete(facts.Blocks, i, i+1)
	}
}

// BlockedByProvider reports whether a source other than an operator says that
// the person must not be active.
func BlockedByProvider(a *store.Account) bool {
	return slices.ContainsFunc(a.Facts.Blocks, func(s store.Source) bool { return s != store.SourceOperator })
}

// Deprovisioned reports whether the identity provider took the person out.
func Deprovisioned(a *store.Account) bool {
	return a.Status == policy.StatusDisabled && (BlockedByProvider(a) || a.ResourceID == "")
}

// Gains reports whether an account may do something after that it may not
// before.
func Gains(before, after *store.Account) bool {
	switch {
	case after.Status == policy.StatusActive && before.Status != policy.StatusActive,
		after.SiteAdmin && !before.SiteAdmin,
		after.ReadOnlySiteAdmin && !before.ReadOnlySiteAdmin:
		return true
	}
	for _, role := range after.Roles {
		if !slices.Contains(before.Roles, role) {
			return true
		}
	}
	for _, g := range after.Groups {
		had := slices.IndexFunc(before.Groups, func(have store.AccountGroup) bool { return have.ID == g.ID })
		if had < 0 || g.Admin && !before.Groups[had].Admin {
			return true
		}
	}
	return false
}

// KnowGroups records that somebody who knows the groups better than logins has
// written the person.
func KnowGroups(facts *store.Facts) {
	if facts.Login != nil {
		login := *facts.Login
		login.Evidence = policy.EvidenceKnown
		facts.Login = &login
	}
}
