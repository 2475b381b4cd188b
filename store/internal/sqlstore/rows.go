package sqlstore

import (
	"cmp"
	"slices"

	"github.com/scimjit/provision/store"
)

// Resource implements [store.ResourceReader] with one statement.
func (r *Reader) Resource(typ, id string, with store.Parts) (*store.Resource, error) {
	var (
		found *store.Resource
		scan  = resourceScan{memory: r.memory}
	)
	query, args := r.resourceQuery(id, with)
	var groups, members []store.Membership
	err := r.conn.Query(query, func(row Scanner) error {
		res, err := scan.next(row)
		if err != nil {
			return err
		}
		switch res.Position {
		case -1:
			groups = append(groups, scan.membership(res.ID, id))
		case -2:
			members = append(members, scan.membership(id, res.ID))
		default:
			found = res
		}
		return nil
	}, args...)
	if err != nil {
		return nil, err
	}
	if found == nil || (typ != "" && found.Type != typ) {
		return nil, noResource(typ, id)
	}
	sortMemberships(groups)
	sortMemberships(members)
	found.Groups, found.Members = groups, members
	return found, nil
}

func noResource(typ, id string) error {
	return &store.NotFoundError{Kind: cmp.Or(typ, store.KindResource), ID: id}
}

// resourceQuery returns the statement that reads a resource with the parts
// asked for, and its arguments.
func (r *Reader) resourceQuery(id string, with store.Parts) (string, []any) {
	args := []any{r.scope, id, r.scope, id, r.scope, id}
	legs := with & (store.WithGroups | store.WithMembers)
	in := 0
	if r.memory != nil {
		in = 1
	}
	switch legs {
	case 0:
		args = args[:2]
	case store.WithGroups, store.WithMembers:
		args = args[:4]
	}
	return resourceQueries[in][legs], args
}

// resourceQueries holds the statement for each combination of parts, outside
// and inside a Tx.
var resourceQueries = [2][4]string{
	{
		resourceByID, resourceByID + groupsLeg,
		resourceByID + membersLeg, resourceByID + groupsLeg + membersLeg,
	},
	{
		resourceInTx, resourceInTx + groupsLeg,
		resourceInTx + membersLeg, resourceInTx + groupsLeg + membersLeg,
	},
}

// resourceScan reads rows of resourceColumns and the packed keys.
type resourceScan struct {
	memory   *memory
	resource store.Resource
	text     [3]string // created, modified, keys
}

// next reads one row. A row with a negative position is a membership, see
// membership.
func (s *resourceScan) next(row Scanner) (*store.Resource, error) {
	r := &s.resource
	r.Document = nil
	err := row.Scan(&r.Position, &r.Type, &r.ID, &r.Version, &s.text[0], &s.text[1], &r.Display,
		(*[]byte)(&r.Document), &r.Source, &s.text[2])
	if err != nil || r.Position < 0 {
		return r, err
	}
	if r.Created, err = parseTime(s.text[0]); err != nil {
		return nil, about(r.Type, r.ID, err)
	}
	if r.Modified, err = parseTime(s.text[1]); err != nil {
		return nil, about(r.Type, r.ID, err)
	}
	s.memory.putResource(r.ID, storedResource{typ: r.Type, position: r.Position, version: r.Version, keys: s.text[2]})
	found := *r
	return &found, nil
}

// membership returns the membership that the row read last stands for.
func (s *resourceScan) membership(group, member string) store.Membership {
	return store.Membership{
		Group: group, Member: member, Kind: s.resource.Type,
		Display: s.resource.Display, Source: s.resource.Source,
	}
}

func compareMemberships(a, b store.Membership) int {
	return cmp.Or(
		cmp.Compare(a.Group, b.Group),
		cmp.Compare(a.Member, b.Member),
		cmp.Compare(a.Source, b.Source),
	)
}

// sortMemberships orders the rows of a leg, which has no order of its own but
// comes in that of an index.
func sortMemberships(m []store.Membership) {
	if !slices.IsSortedFunc(m, compareMemberships) {
		slices.SortFunc(m, compareMemberships)
	}
}
