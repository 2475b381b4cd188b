package provision

import "github.com/scimjit/provision/store"

// nestingReader reads which groups are in which.
type nestingReader interface {
	MembershipsOf(members ...string) ([]store.Membership, error)
	GroupsIn(groups ...string) ([]store.Membership, error)
}

// tooDeep returns those of the members, which are groups, that would make a chain of
// more groups than most by being in the group. In a chain each group is in the next
// one, and none is there twice: a cycle ends where it meets itself. The longest chain
// is found where no groups are in each other, and among those that are a long one.
//
// It does not matter whether the members are in the group already. Groups above and
// below are read a level at a time, each once, and not further than it matters.
func tooDeep(r nestingReader, most int, group string, members []string) (deep []string, err error) {
	if len(members) == 0 {
		return nil, nil
	}
	above, err := readChains([]string{group}, nil, most, r.MembershipsOf, func(m store.Membership) (from, to string) { return m.Member, m.Group })
	if err != nil {
		return nil, err
	}
	// A member that is above closes a cycle: the chain begins with it, so that it
	// goes up another way.
	for _, m := range members {
		above.passed[m] = true
	}
	top := above.longest(group)
	below, err := readChains(members, above.next, most-top, r.GroupsIn, func(m store.Membership) (from, to string) { return m.Group, m.Member })
	if err != nil {
		return nil, err
	}
	for _, m := range members {
		if m != group && top+below.longest(m) > most {
			deep = append(deep, m)
		}
	}
	return deep, nil
}

// chains are the groups next to groups, in one direction.
type chains struct {
	next   map[string][]string // by group, of all that were found
	passed map[string]bool     // no chain goes through them
	length map[string]int      // of the longest chain from a group, where it is known
}

// readChains reads the groups next to some, and next to these, at most so many times:
// what is found then ends chains that have one group more. It stops at those of end.
func readChains(from []string, end map[string][]string, times int, read func(...string) ([]store.Membership, error), edge func(store.Membership) (from, to string)) (*chains, error) {
	c := &chains{next: map[string][]string{}, passed: map[string]bool{}, length: map[string]int{}}
	for id := range end {
		c.passed[id] = true
	}
	for _, id := range from {
		c.next[id] = nil
	}
	for ; len(from) > 0 && times > 0; times-- {
		rows, err := read(from...)
		if err != nil {
			return nil, err
		}
		from = nil
		for _, row := range rows {
			id, to := edge(row)
			c.next[id] = append(c.next[id], to)
			if _, known := c.next[to]; !known && !c.passed[to] {
				c.next[to] = nil
				from = append(from, to)
			}
		}
	}
	return c, nil
}

// longest returns how many groups the longest chain from a group has, itself included.
func (c *chains) longest(id string) int {
	if n, known := c.length[id]; known {
		return n
	}
	was, n := c.passed[id], 0
	c.passed[id] = true
	for _, to := range c.next[id] {
		if !c.passed[to] {
			n = max(n, c.longest(to))
		}
	}
	c.passed[id], c.length[id] = was, n+1
	return n + 1
}
