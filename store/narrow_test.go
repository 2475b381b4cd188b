package store_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/scimjit/provision/store"
)

func TestNarrow(t *testing.T) {
	key := func(attribute, value string) store.Filter {
		return store.Compare{Path: store.Path{Keys: []string{attribute}, Type: store.String}, Op: store.EQ, Value: value, Key: attribute, Folded: value}
	}
	id := func(value string, typ store.ValueType, op store.Operator) store.Filter {
		return store.Compare{Path: store.Path{Keys: []string{"id"}, Type: typ}, Op: op, Value: value}
	}
	scan := store.Present{Path: store.Path{Keys: []string{"x"}}}
	in, has := store.MemberOf{Group: "g"}, store.HasMember{Member: "m"}
	emails := store.Path{Keys: []string{"emails"}}

	keyTerm := func(attribute, value string) store.Term {
		return store.Term{Kind: store.ByKey, Attribute: attribute, Value: value}
	}
	idTerm := func(value string) store.Term { return store.Term{Kind: store.ByID, Value: value} }
	inTerm := store.Term{Kind: store.ByGroup, Value: "g"}
	hasTerm := store.Term{Kind: store.ByMember, Value: "m"}

	for _, test := range []struct {
		name   string
		filter store.Filter
		want   []store.Term
		ok     bool
		exact  bool
	}{
		{"nil", nil, nil, false, false},
		{"scan", scan, nil, false, false},
		{"key", key("a", "1"), []store.Term{keyTerm("a", "1")}, true, false},
		{"key ne", store.Compare{Op: store.NE, Key: "a"}, nil, false, false},
		{"key sw", store.Compare{Op: store.SW, Key: "a"}, nil, false, false},
		{"id", id("1", store.Exact, store.EQ), []store.Term{idTerm("1")}, true, true},
		{"id that folds", id("1", store.String, store.EQ), nil, false, false},
		{"id gt", id("1", store.Exact, store.GT), nil, false, false},
		{"member of", in, []store.Term{inTerm}, true, true},
		{"member of any", store.MemberOf{}, nil, false, false},
		{"has member", has, []store.Term{hasTerm}, true, true},
		{"has any member", store.HasMember{}, nil, false, false},
		{"not", store.Not{Filter: key("a", "1")}, nil, false, false},

		{"and nothing", store.And{}, nil, false, false},
		{"and scans", store.And{scan, scan}, nil, false, false},
		{"and one", store.And{in}, []store.Term{inTerm}, true, true},
		{"and takes what narrows", store.And{scan, key("a", "1"), scan}, []store.Term{keyTerm("a", "1")}, true, false},
		{"and prefers an id", store.And{in, key("a", "1"), id("1", store.Exact, store.EQ)}, []store.Term{idTerm("1")}, true, false},
		{"and prefers a key to a group", store.And{in, key("a", "1"), has}, []store.Term{keyTerm("a", "1")}, true, false},
		{"and prefers two keys to a group", store.And{in, store.Or{key("a", "1"), key("a", "2")}},
			[]store.Term{keyTerm("a", "1"), keyTerm("a", "2")}, true, false},
		{"and prefers fewer", store.And{store.Or{key("a", "1"), key("a", "2")}, key("b", "3")}, []store.Term{keyTerm("b", "3")}, true, false},
		{"and prefers nothing", store.And{key("a", "1"), store.Or{}}, nil, true, false},

		{"or nothing", store.Or{}, nil, true, true},
		{"or all", store.Or{key("a", "1"), in}, []store.Term{keyTerm("a", "1"), inTerm}, true, false},
		{"or exact", store.Or{id("1", store.Exact, store.EQ), has}, []store.Term{idTerm("1"), hasTerm}, true, true},
		{"or with a scan", store.Or{key("a", "1"), scan}, nil, false, false},

		{"any", store.Any{Path: emails, Filter: store.And{key("emails.value", "1"), scan}}, []store.Term{keyTerm("emails.value", "1")}, true, false},
		{"any id", store.Any{Path: emails, Filter: id("1", store.Exact, store.EQ)}, nil, false, false},
		{"any membership", store.Any{Path: emails, Filter: in}, nil, false, false},
		{"any not", store.Any{Path: emails, Filter: store.Not{Filter: key("emails.value", "1")}}, nil, false, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			terms, ok := store.Narrow(test.filter)
			if ok != test.ok {
				t.Fatalf("ok is %t", ok)
			}
			if diff := cmp.Diff(test.want, terms, cmpopts.EquateEmpty()); ok && diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			if exact := store.NarrowIsExact(test.filter); exact != test.exact {
				t.Errorf("exact is %t", exact)
			}
		})
	}
}
