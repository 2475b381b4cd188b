package provision

import (
	"slices"
	"strings"

	"github.com/scimjit/provision/internal/account"
	"github.com/scimjit/provision/policy"
	"github.com/scimjit/provision/store"
)

// writeGroups makes the memberships that logins know what the identity says.
// Nothing is taken away when nothing is known.
//
// A group that is not there yet is created, so that it has an id, a name and
// members like any other; SCIM adopts it when it creates the group. To a group
// that SCIM or a sync writes, a login adds nobody: they know better.
func (l *login) writeGroups(p *loginPerson, after *Account) error {
	facts := after.Facts.Login
	owned := p.owned()
	missing := l.conn.Policy.OnMissingGroups
	evidence := l.identity.Evidence
	if evidence == policy.EvidenceAbsent && missing == policy.MissingEmpty && owned {
		evidence = policy.EvidenceKnown
	}
	if evidence != policy.EvidenceKnown {
		if owned && missing == policy.MissingDeny {
			d := denied(policy.DeniedNotAdmitted, "nothing is known of the groups of %q, and option onMissingGroups denies that", l.identity.userName())
			d.Account, d.Reasons = accountID(p.account), []policy.Reason{{Option: "onMissingGroups", Effect: policy.EffectDenied}}
			return d
		}
		if p.account == nil {
			facts.Evidence = evidence // nothing was ever known
		}
		return nil
	}
	facts.Evidence = policy.EvidenceKnown
	if err := noteEvidence(l.tx, after, l.now); err != nil {
		return err
	}
	return l.setGroups(p, facts)
}

func accountID(a *Account) string {
	if a == nil {
		return ""
	}
	return a.ID
}

// setGroups makes the identity's groups the only ones that logins know of the
// person.
func (l *login) setGroups(p *loginPerson, facts *store.LoginFacts) error {
	rows, err := l.tx.MembershipsOf(p.resource.ID)
	if err != nil {
		return err
	}
	had, has := map[string]bool{}, map[string]bool{}
	for _, m := range rows {
		had[m.Group] = had[m.Group] || m.Source == store.SourceJIT
	}
	facts.Groups = nil
	for _, asserted := range l.identity.Groups {
		g, err := l.group(asserted)
		if err != nil {
			return err
		}
		if has[g.ID] || !had[g.ID] && knowsBetter(g.Source) {
			continue
		}
		has[g.ID] = true
		facts.Groups = append(facts.Groups, store.LoginGroup{ID: g.ID, Value: asserted.Value})
		if had[g.ID] {
			continue
		}
		m := store.Membership{Group: g.ID, Member: p.resource.ID, Source: store.SourceJIT, Kind: TypeUser}
		if _, err := l.tx.PutMembership(m); err != nil {
			return err
		}
		if err := l.groupChanged(g, memberDelta{added: []store.Membership{m}}); err != nil {
			return err
		}
	}
	slices.SortFunc(facts.Groups, func(a, b store.LoginGroup) int { return strings.Compare(a.ID, b.ID) })
	for _, m := range rows {
		if m.Source != store.SourceJIT || has[m.Group] {
			continue
		}
		if err := l.leaveGroup(m); err != nil {
			return err
		}
	}
	return nil
}

func (l *login) leaveGroup(m store.Membership) error {
	if _, err := l.tx.DeleteMembership(m.Group, m.Member, m.Source); err != nil {
		return err
	}
	g, err := l.tx.Resource(TypeGroup, m.Group, 0)
	if err != nil {
		return err
	}
	return l.groupChanged(g, memberDelta{removed: []store.Membership{m}})
}

// group returns the group that is asserted: the one whose externalId is the
// value, else the one with its name, else a new one. A name is no key to what a
// pattern gives to an id; see [policy.Group.ByName].
//
// Two values with one name, such as CN=Admins of two directories, are two groups.
// The first that a login asserts has the name, for good; every other one is known
// by its whole value, so that a group that somebody makes later is not taken for
// it. Where it matters which is meant, patterns name the value: id:VALUE. A group
// whose name only clashes is another one, which keeps its name.
func (l *login) group(asserted IdentityGroup) (*Resource, error) {
	found, err := l.finder().withExternalID(TypeGroup, asserted.Value)
	if err != nil {
		return nil, err
	}
	if len(found) > 0 {
		return found[0], nil
	}
	for _, name := range []string{asserted.Name, asserted.Value} {
		if found, err = l.finder().groupsNamed(name); err != nil {
			return nil, err
		}
		if len(found) == 0 {
			return l.createGroup(asserted.Value, name)
		}
		if found[0].Source != store.SourceJIT {
			return found[0], nil
		}
	}
	return found[0], nil
}

// createGroup creates a group. Accounts that wait for its name get it when the
// one that logs in is stored.
func (l *login) createGroup(value, name string) (*Resource, error) {
	person := l.resource
	alike, err := l.finder().clashing(TypeGroup, "displayName", name)
	if err != nil {
		return nil, err
	}
	g, err := l.createResource(TypeGroup, account.GroupContent(value, name, l.conn.uniqueGroupNames() && len(alike) == 0))
	if err != nil {
		return nil, err
	}
	err = l.append(&store.Event{Type: store.GroupCreated})
	l.resource, l.appeared = person, append(l.appeared, g)
	return g, err
}
