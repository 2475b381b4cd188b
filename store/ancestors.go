package store

import (
	"cmp"
	"slices"
)

// Ancestors is [MemberReader.Ancestors] by a function that is
// [MemberReader.MembershipsOf]: one read for each level of groups, and each member once.
// It is for stores that wait for nothing between two reads.
func Ancestors(read func(members ...string) ([]Membership, error), members ...string) ([]Membership, error) {
	if len(members) == 0 {
		return nil, nil
	}
	all, err := read(members...)
	if err != nil || len(all) == 0 {
		return nil, err
	}
	asked := make(map[string]bool, len(members))
	for _, m := range members {
		asked[m] = true
	}
	for rows := all; ; {
		var above []string
		for _, m := range rows {
			if !asked[m.Group] {
				asked[m.Group] = true
				above = append(above, m.Group)
			}
		}
		if len(above) == 0 {
			return all, nil
		}
		if rows, err = read(above...); err != nil {
			return nil, err
		}
		if len(rows) > 0 {
			all = append(all, rows...)
			slices.SortFunc(all, CompareMemberships)
		}
	}
}

// CompareMemberships is the order of [MemberReader.Ancestors] and
// [MemberReader.MembershipsOf].
func CompareMemberships(a, b Membership) int {
	return cmp.Or(cmp.Compare(a.Member, b.Member), cmp.Compare(a.Group, b.Group), cmp.Compare(a.Source, b.Source))
}
