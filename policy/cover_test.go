package policy_test

import (
	"math/rand/v2"
	"testing"

	"github.com/scimjit/provision/policy"
)

func TestCovers(t *testing.T) {
	tests := []struct {
		list policy.Patterns
		text string
		want bool
	}{
		{nil, "IT", false},
		{policy.Patterns{"it"}, "IT", true},
		{policy.Patterns{"it", "Sales"}, "Support", false},
		{policy.Patterns{"*"}, "IT", true},
		{policy.Patterns{"*"}, "*", true},
		{policy.Patterns{"*"}, "id:7", true},
		{policy.Patterns{"?*"}, "id:7", false},
		{policy.Patterns{"id:7"}, "id:7", true},
		{policy.Patterns{"id:7"}, "id:8", false},
		{policy.Patterns{"id:7"}, "7", false},
		{policy.Patterns{"*lead*"}, "Sales Leads", true},
		{policy.Patterns{"Sales*"}, "Sales ? Leads*", true},
		{policy.Patterns{"Sales ?"}, "Sales *", false},
		{policy.Patterns{"Sales ?*"}, "Sales *", false},
		{policy.Patterns{"Sales *"}, "Sales ?*", true},
		{policy.Patterns{"*a*b"}, "*a?*b", true},
		{policy.Patterns{"*a?b"}, "*a*b", false},
		{policy.Patterns{"Team ?"}, "Team ä", true},
		{policy.Patterns{"Team ?"}, "Team ?", true},
		{policy.Patterns{`100\*`}, "100*", false},
		{policy.Patterns{"100*"}, `100\*`, true},
		{policy.Patterns{"*"}, `\x`, false},
	}
	for _, test := range tests {
		if got := test.list.Covers(test.text); got != test.want {
			t.Errorf("%q covers %q: %v, want %v", test.list, test.text, got, test.want)
		}
	}
}

// What a covered pattern matches, the list matches.
func TestCoversIsTrue(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	text := func(alphabet string, n int) string {
		b := make([]byte, 1+random.IntN(n))
		for i := range b {
			b[i] = alphabet[random.IntN(len(alphabet))]
		}
		return string(b)
	}
	covered := 0
	for range 20_000 {
		wide, narrow := text("ab?*", 5), text("ab?*", 5)
		if !(policy.Patterns{wide}).Covers(narrow) {
			continue
		}
		covered++
		p := compile(t, policy.Config{RequiredGroups: policy.Patterns{wide}})
		q := compile(t, policy.Config{RequiredGroups: policy.Patterns{narrow}})
		for range 20 {
			facts := policy.Facts{Groups: []policy.Group{{ID: "g", Name: text("ab", 6)}}}
			if q.Decide(facts).Admitted && !p.Decide(facts).Admitted {
				t.Fatalf("%q does not match %q, which %q matches", wide, facts.Groups[0].Name, narrow)
			}
		}
	}
	if covered < 1000 {
		t.Errorf("%d pairs were covered: too few to say anything", covered)
	}
}
