package account_test

import (
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/scimjit/provision/internal/account"
	"github.com/scimjit/provision/policy"
	"github.com/scimjit/provision/store"
)

// propertyPolicies are the policies of random cases.
var propertyPolicies = []string{
	`{}`,
	`{"requiredGroups":"A","siteAdminGroups":"B","readOnlySiteAdminGroups":"C","roles":[{"groups":"*","role":"r"},{"groups":"id:xB","role":"s"}]}`,
	`{"requiredGroups":["A","id:xC"],"siteAdminGroups":"id:xA","groupAdminGroups":"B","excludedGroups":"C","roleEvidenceMaxAgeDays":7,"deprovisionMethod":"delete"}`,
	`{"deprovisionUsers":false,"requiredGroups":"A","siteAdminGroups":"A","passwordGroups":"C","deprovisionGroups":false,"twoFactor":"always","company":"Acme","companyMode":"force"}`,
	`{"provisionGroups":false,"onMissingGroups":"empty","siteAdminGroups":"A,B","requiredGroups":"A,B","timeZone":"Europe/Paris","emailDomains":["example.com"]}`,
	`{"onMissingGroups":"deny","siteAdminGroups":"D","deprovisionMethod":"delete","deleteAfterDays":5,"permissions":{"ftp":true}}`,
}

// random makes cases.
type random struct{ *rand.Rand }

func (r random) chance(n int) bool { return r.IntN(n) == 0 }

func pick[T any](r random, list ...T) T { return list[r.IntN(len(list))] }

func some[T any](r random, list ...T) []T {
	return slices.DeleteFunc(slices.Clone(list), func(T) bool { return r.IntN(3) > 0 })
}

var sources = []store.Source{store.SourceSCIM, store.SourceJIT, store.SourceSync, store.SourceDefault, store.SourceOperator}

// rows returns memberships of Ann and of groups in groups, each pair by one
// source.
func (r random) rows() []string {
	var rows []string
	groups := []string{"A", "B", "C", "D", "E"}
	for _, member := range append([]string{"ann"}, groups...) {
		for _, group := range some(r, groups...) {
			rows = append(rows, fmt.Sprint(member, " ", group, " ", pick(r, sources...)))
		}
	}
	return rows
}

var externalIDs = map[string]string{"A": "xA", "B": "xB", "C": "xC"}

// account returns an account as a policy may have made it.
func (r random) account() *store.Account {
	a := (&accountData{}).account()
	a.Status = pick(r, policy.StatusActive, policy.StatusActive, policy.StatusDisabled, policy.StatusStaged)
	a.Facts = r.facts(a.Facts)
	if r.chance(6) {
		a.ResourceID = ""
	}
	for _, id := range some(r, "A", "B", "C", "F") {
		a.Groups = append(a.Groups, store.AccountGroup{ID: id, Name: id, Source: pick(r, sources...), Admin: a.Status == policy.StatusActive && r.chance(3)})
	}
	if a.Facts.WasActive = a.Status != policy.StatusStaged; a.Status != policy.StatusActive {
		return a
	}
	a.SiteAdmin, a.Roles = r.chance(2), some(r, "r", "s")
	a.ReadOnlySiteAdmin = !a.SiteAdmin && r.chance(2)
	switch r.IntN(5) {
	case 0:
		a.Held, a.Reasons = true, []policy.Reason{{Effect: policy.EffectHeld}}
	case 1:
		a.Reasons = []policy.Reason{{Effect: policy.EffectKeptByOperator}}
	case 2:
		a.Reasons = []policy.Reason{{Effect: policy.EffectKeptAsLastAdmin}}
	}
	return a
}

// facts changes some facts.
func (r random) facts(f store.Facts) store.Facts {
	f.Blocks = some(r, store.SourceSCIM, store.SourceSync, store.SourceOperator)
	f.Company, f.TimeZone = pick(r, "", "Lee"), pick(r, "", "Europe/Berlin", "Nowhere")
	f.LoggedIn = f.LoggedIn || r.chance(3)
	if r.chance(2) {
		f.Login = &store.LoginFacts{Evidence: pick(r, policy.EvidenceKnown, policy.EvidenceKnown, policy.EvidenceAbsent, policy.EvidenceOverage), Known: pick(r, time.Time{}, created, now)}
		for _, id := range some(r, "A", "B", "C") {
			f.Login.Groups = append(f.Login.Groups, store.LoginGroup{ID: id, Value: pick(r, id, "x"+id)})
		}
	}
	if r.chance(3) {
		f.HostGroups = []store.AccountGroup{{ID: "host", Name: "Host", Source: store.SourceDefault}}
	}
	return f
}

// input returns a change of the account of Ann, or her first.
func (r random) input(t *testing.T) account.Input {
	t.Helper()
	config, err := policy.Parse([]byte(pick(r, propertyPolicies...)))
	if err != nil {
		t.Fatal(err)
	}
	in := account.Input{
		Groups: graph(r.rows(), externalIDs, "ann"), Policy: compile(t, config), Now: now,
		Source: pick(r, store.SourceSCIM, store.SourceJIT, store.SourceSync, store.SourceOperator), LogsIn: r.chance(5), Trace: r.chance(5),
	}
	if r.chance(5) {
		in.Next = &store.Account{ID: "a1", Connection: "acme", ResourceID: "ann", Created: now, Facts: r.facts(store.Facts{})}
		return in
	}
	in.Before = r.account()
	in.Next = in.Before.Clone()
	switch r.IntN(3) {
	case 0:
		in.Next.Facts = r.facts(in.Next.Facts)
	case 1:
		in.Next.ResourceID = pick(r, "", "ann")
	}
	return in
}

// copied returns an input that shares nothing that a decision might change.
func copied(in account.Input) account.Input {
	if in.Before != nil {
		in.Before = in.Before.Clone()
	}
	in.Next = in.Next.Clone()
	return in
}

func (r random) answers() account.Answers {
	return account.Answers{OtherAdmin: r.chance(2), MayGo: account.Verdict(r.IntN(int(account.Keep) + 1))}
}

// eachRandom runs a property on random cases.
func eachRandom(t *testing.T, property func(t *testing.T, r random)) {
	t.Helper()
	for seed := range uint64(3000) {
		property(t, random{rand.New(rand.NewPCG(seed, 7))})
		if t.Failed() {
			t.Fatalf("seed %d", seed)
		}
	}
}

// same compares two values, the fast way first.
func same(t *testing.T, what string, want, got any) {
	t.Helper()
	if !reflect.DeepEqual(want, got) {
		t.Errorf("%s differs (-want +got):\n%s", what, gocmp.Diff(want, got))
	}
}

// TestDecisionIsPure decides about the same twice: it says the same, and changes
// neither what is stored nor the groups.
func TestDecisionIsPure(t *testing.T) {
	eachRandom(t, func(t *testing.T, r random) {
		in, answers := r.input(t), r.answers()
		before, groups := copied(in).Before, fmt.Sprintf("%+v", in.Groups)
		decide := func() (account.Output, *store.Account, []account.Question) {
			d := account.Decide(copied(in))
			alone, open := d.Account(), d.Open()
			out := d.Settle(answers)
			return out, alone, open
		}
		out, alone, open := decide()
		again, aloneAgain, openAgain := decide()
		same(t, "what is decided the second time", []any{out, alone, open}, []any{again, aloneAgain, openAgain})
		d := account.Decide(in)
		next := in.Next.Clone()
		_, _ = d.Account(), d.Open()
		same(t, "next, before it is settled", next, in.Next)
		_ = d.Settle(answers)
		same(t, "the account before", before, in.Before)
		if after := fmt.Sprintf("%+v", in.Groups); after != groups {
			t.Errorf("the groups were %s\nand are %s", groups, after)
		}
	})
}

// TestZeroAnswers: whoever forgets to answer takes nobody out but those whom a
// request takes out, and never the last admin.
func TestZeroAnswers(t *testing.T) {
	eachRandom(t, func(t *testing.T, r random) {
		in := copied(r.input(t))
		before := in.Before
		if before == nil || before.Status != policy.StatusActive {
			return
		}
		blocked := slices.DeleteFunc(slices.Clone(in.Next.Facts.Blocks), func(s store.Source) bool { return slices.Contains(before.Facts.Blocks, s) })
		asked := in.Source != store.SourceSync && (len(blocked) > 0 || before.ResourceID != "" && in.Next.ResourceID == "")
		byOperator := slices.Contains(in.Next.Facts.Blocks, store.SourceOperator)
		out := account.Decide(in).Settle(account.Answers{})
		switch {
		case out.Refused:
			if !asked || !account.IsAdmin(before) {
				t.Errorf("refused without a request on an admin: %+v", before)
			}
		case account.IsAdmin(before) && !account.IsAdmin(out.After):
			t.Errorf("the last admin is gone: %+v", out.After)
		case out.After.Status != policy.StatusActive && !asked && !byOperator, out.Counted:
			t.Errorf("somebody was taken out: %+v", out.After)
		}
	})
}

// TestSettleTwice derives what was derived: nothing changes.
func TestSettleTwice(t *testing.T) {
	eachRandom(t, func(t *testing.T, r random) {
		in, answers := r.input(t), r.answers()
		in.LogsIn, in.Trace = false, false
		first := account.Decide(copied(in)).Settle(answers)
		if first.Refused || first.After.Status == policy.StatusDeleted {
			return
		}
		second := copied(in)
		second.Before, second.Next = first.After, first.After.Clone()
		out := account.Decide(second).Settle(answers)
		if out.Changed || out.Counted || out.Kept {
			t.Errorf("the second time (-first +second):\n%s", gocmp.Diff(second.Before, out.After))
		}
	})
}

// TestOrderOfMemberships shuffles the memberships of each member: only the order
// of the groups follows, and which of several reasons is given.
func TestOrderOfMemberships(t *testing.T) {
	eachRandom(t, func(t *testing.T, r random) {
		in, answers := r.input(t), r.answers()
		in.Trace = false
		rows := r.rows()
		in.Groups = graph(rows, externalIDs, "ann")
		shuffled := slices.Clone(rows)
		r.Shuffle(len(rows), func(i, j int) { shuffled[i], shuffled[j] = shuffled[j], shuffled[i] })
		other := copied(in)
		other.Groups = graph(shuffled, externalIDs, "ann")
		one, two := account.Decide(in).Settle(answers), account.Decide(other).Settle(answers)
		if one.Refused != two.Refused || one.Counted != two.Counted || one.Kept != two.Kept || one.Event == store.AccountDeleted != (two.Event == store.AccountDeleted) {
			t.Errorf("one order: %+v\nanother: %+v", one, two)
		}
		if one.Refused {
			return
		}
		for _, a := range []*store.Account{one.After, two.After} {
			slices.SortFunc(a.Groups, func(a, b store.AccountGroup) int { return strings.Compare(a.ID, b.ID) })
			for i := range a.Groups {
				a.Groups[i].Source = "" // of the way by which the group was found
			}
			a.Reasons, a.Version, a.Modified = nil, 0, time.Time{}
		}
		same(t, fmt.Sprintf("after the order %v instead of %v", shuffled, rows), one.After, two.After)
	})
}

// TestUndecided changes somebody who follows the policy: where nothing has to be
// decided, deciding makes the same of it, whatever the guards say.
func TestUndecided(t *testing.T) {
	undecided, decided := 0, 0
	eachRandom(t, func(t *testing.T, r random) {
		in := r.input(t)
		in.LogsIn, in.Trace = false, false
		first := account.Decide(copied(in)).Settle(r.answers())
		if first.Refused {
			return
		}
		in.Before, in.Next = first.After, first.After.Clone()
		in.Source = pick(r, store.SourceSCIM, store.SourceSync)
		in.Now = in.Now.Add(time.Duration(r.IntN(40)-8) * 24 * time.Hour)
		in.Next.Name, in.Next.Email = pick(r, "", "Ann"), pick(r, "", "ann@example.com", "ann@example.net")
		in.Next.Attributes = pick(r, nil, store.Attributes{"title": []byte(`"Dr"`)})
		switch r.IntN(6) {
		case 0:
			in.Next.Facts = r.facts(in.Next.Facts)
		case 1:
			in.Next.ResourceID = pick(r, "", "ann")
		}
		out, ok := account.Undecided(copied(in))
		if !ok {
			decided++
			return
		}
		undecided++
		same(t, "what is not decided", account.Decide(copied(in)).Settle(r.answers()), out)
	})
	if undecided < 500 || decided < 500 {
		t.Errorf("%d were not decided, %d were", undecided, decided)
	}
}
