package provision

import (
	"slices"
	"strings"

	"github.com/scimjit/provision/internal/account"
	"github.com/scimjit/provision/internal/naming"
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
	groups, err := l.assertedGroups()
	if err != nil {
		return err
	}
	facts.Groups = nil
	for _, asserted := range l.identity.Groups {
		g, err := groups.find(asserted)
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

// assertedGroups finds the groups that an identity asserts. It asks the store for
// all of them at once.
type assertedGroups struct {
	*login
	byValue map[string]*Resource   // by externalId
	byName  map[string][]*Resource // by the key of the name, oldest first
}

func (l *login) assertedGroups() (*assertedGroups, error) {
	g := &assertedGroups{login: l, byValue: map[string]*Resource{}, byName: map[string][]*Resource{}}
	found, err := l.finder().groupsValued(l.identity)
	if err != nil {
		return nil, err
	}
	for _, r := range found {
		if value := account.Text(r.Document, "externalId"); g.byValue[value] == nil {
			g.byValue[value] = r
		}
	}
	if !slices.ContainsFunc(l.identity.Groups, func(asserted IdentityGroup) bool { return g.byValue[asserted.Value] == nil }) {
		return g, nil // nobody asks for the names
	}
	if found, err = l.finder().groupsCalled(l.identity); err != nil {
		return nil, err
	}
	for _, r := range found {
		g.known(r)
	}
	return g, nil
}

func (g *assertedGroups) known(r *Resource) {
	key := naming.Key(r.Display)
	g.byName[key] = append(g.byName[key], r)
}

// find returns the group that is asserted: the one whose externalId is the value,
// else the one with its name, else a new one. A name is no key to what a pattern
// gives to an id; see [policy.Group.ByName].
//
// Two values with one name, such as CN=Admins of two directories, are two groups.
// The first that a login asserts has the name, for good; every other one is known
// by its whole value, so that a group that somebody makes later is not taken for
// it. Where it matters which is meant, patterns name the value: id:VALUE. A group
// whose name only clashes is another one, which keeps its name.
func (g *assertedGroups) find(asserted IdentityGroup) (r *Resource, err error) {
	if r = g.byValue[asserted.Value]; r != nil {
		return r, nil
	}
	for _, name := range []string{asserted.Name, asserted.Value} {
		alike := g.byName[naming.Key(name)]
		i := slices.IndexFunc(alike, func(r *Resource) bool { return sameGroupName(r.Display, name) })
		if i < 0 {
			r, err = g.create(asserted.Value, name, len(alike) == 0)
			return r, err
		}
		if r = alike[i]; r.Source != store.SourceJIT {
			return r, nil
		}
	}
	return r, nil
}

// create creates a group. Accounts that wait for its name get it when the one that
// logs in is stored.
func (g *assertedGroups) create(value, name string, unlike bool) (*Resource, error) {
	person := g.resource
	r, err := g.createResource(TypeGroup, account.GroupContent(value, name, g.conn.uniqueGroupNames() && unlike))
	if err != nil {
		return nil, err
	}
	err = g.append(&store.Event{Type: store.GroupCreated})
	g.resource, g.appeared = person, append(g.appeared, r)
	g.byValue[value] = r
	g.known(r)
	return r, err
}
