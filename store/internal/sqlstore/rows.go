package sqlstore

import (
	"cmp"
	"fmt"
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

// Types implements [store.ResourceReader].
func (r *Reader) Types(ids ...string) (map[string]string, error) {
	types := make(map[string]string, len(ids))
	if len(ids) == 0 {
		return types, nil
	}
	err := r.conn.Query(typesOfResources, func(row Scanner) error {
		var id, typ string
		err := row.Scan(&id, &typ)
		types[id] = typ
		return err
	}, r.scope, ids)
	return types, err
}

func noResource(typ, id string) error {
	return &store.NotFoundError{Kind: cmp.Or(typ, store.KindResource), ID: id}
}

// resourceQuery returns the statement that reads a resource with the parts
// asked for, and its arguments.
func (r *Reader) resourceQuery(id string, with store.Parts) (string, []any) {
	args := []any{r.scope, id, r.scope, id, r.scope, r.scope, id, r.scope}
	legs := with & (store.WithGroups | store.WithMembers)
	in := 0
	if r.memory != nil {
		in = 1
	}
	switch legs {
	case 0:
		args = args[:2]
	case store.WithGroups, store.WithMembers:
		args = args[:5]
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

	// documents, when not nil, is where documents are copied to; those before stay.
	documents *[]byte
}

// documentColumn reads the document of a row.
type documentColumn struct{ scan *resourceScan }

// Scan implements [database/sql.Scanner]: what a driver gives need not be copied
// twice.
func (d documentColumn) Scan(src any) error {
	room := d.scan.documents
	start := len(*room)
	switch src := src.(type) {
	case string:
		*room = append(*room, src...)
	case []byte:
		*room = append(*room, src...)
	default:
		return fmt.Errorf("a document is a %T", src)
	}
	d.scan.resource.Document = (*room)[start:len(*room):len(*room)]
	return nil
}

// next reads one row. A row with a negative position is a membership, see
// membership.
func (s *resourceScan) next(row Scanner) (*store.Resource, error) {
	if err := s.read(row); err != nil || s.resource.Position < 0 {
		return &s.resource, err
	}
	r := s.resource
	s.memory.putResource(r.ID, storedResource{typ: r.Type, position: r.Position, version: r.Version, display: r.Display, keys: s.text[2]})
	return &r, nil
}

// read reads one row into s.resource.
func (s *resourceScan) read(row Scanner) error {
	r := &s.resource
	r.Document = nil
	document := any((*[]byte)(&r.Document))
	if s.documents != nil {
		document = documentColumn{s}
	}
	err := row.Scan(&r.Position, &r.Type, &r.ID, &r.Version, &s.text[0], &s.text[1], &r.Display,
		document, &r.Source, &s.text[2])
	if err != nil || r.Position < 0 {
		return err
	}
	if r.Created, err = parseTime(s.text[0]); err != nil {
		return about(r.Type, r.ID, err)
	}
	if r.Modified, err = parseTime(s.text[1]); err != nil {
		return about(r.Type, r.ID, err)
	}
	return nil
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
