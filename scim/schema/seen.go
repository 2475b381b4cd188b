package schema

import (
	"slices"

	"github.com/scimjit/provision/policy"
)

// seen remembers the keys of one object.
type seen struct {
	orders  uint64          // of the first 64 attributes
	beyond  map[int]bool    // of the others
	unknown []string        // keys that name no attribute
	folded  map[string]bool // the same, folded, once there are many
}

// fewKeys is up to how many unknown keys are compared one by one.
const fewKeys = 8

// add adds a key and reports whether it was new.
func (s *seen) add(a *Attribute, name string) bool {
	switch {
	case a == nil:
		return s.addUnknown(name)
	case a.Order < 64:
		bit := uint64(1) << a.Order
		old := s.orders
		s.orders |= bit
		return old&bit == 0
	case s.beyond[a.Order]:
		return false
	case s.beyond == nil:
		s.beyond = make(map[int]bool)
	}
	s.beyond[a.Order] = true
	return true
}

func (s *seen) addUnknown(name string) bool {
	if len(s.unknown) < fewKeys {
		if slices.ContainsFunc(s.unknown, func(other string) bool { return sameName(other, name) }) {
			return false
		}
		s.unknown = append(s.unknown, name)
		return true
	}
	if s.folded == nil {
		s.folded = make(map[string]bool)
		for _, other := range s.unknown {
			s.folded[policy.Fold(other)] = true
		}
	}
	n := len(s.folded)
	s.folded[policy.Fold(name)] = true
	return len(s.folded) > n
}
