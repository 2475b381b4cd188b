package provision_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/scimjit/provision"
	"github.com/scimjit/provision/policy"
	"github.com/scimjit/provision/store"
)

// explain returns the explanation of the account with a user name.
func (tn *tenant) explain(userName string) provision.Explanation {
	tn.t.Helper()
	got, err := tn.dir.Explain(tn.t.Context(), tn.account(userName).ID)
	if err != nil {
		tn.t.Fatal(err)
	}
	return got
}

// An explanation has the reasons of the account, and the options that did not
// apply.
func TestExplain(t *testing.T) {
	onEveryStore(t, func(t *testing.T, st store.Store) {
		tn := newTenant(t, st, `{"requiredGroups":"Staff","siteAdminGroups":"Admins","roles":[{"groups":"All*","role":"editor"}]}`)
		staff := tn.group("Staff", tn.user(ada))
		tn.group("All of them", staff)
		at := tn.lastEvent()
		got := tn.explain("ada@example.com")
		if diff := cmp.Diff(tn.account("ada@example.com"), got.Account); diff != "" {
			t.Errorf("account (-stored +explained):\n%s", diff)
		}
		if got.Status != policy.StatusActive || tn.lastEvent() != at {
			t.Errorf("status %s, %d new events; want active and none", got.Status, tn.lastEvent()-at)
		}
		want := map[policy.Reason]bool{
			{Option: "requiredGroups", Pattern: "Staff", Group: "Staff", Effect: policy.EffectAdmitted}:             true,
			{Option: "roles", Pattern: "All*", Group: "All of them", Effect: policy.EffectGranted, Value: "editor"}: true,
			{Option: "siteAdminGroups", Effect: policy.EffectNotMatched}:                                            true,
			{Option: "passwordGroups", Effect: policy.EffectOff}:                                                    true,
		}
		for _, reason := range append(got.Reasons, got.Account.Reasons...) {
			delete(want, reason)
		}
		for reason := range want {
			t.Errorf("the explanation has no reason %+v: %+v", reason, got.Reasons)
		}
		for _, reason := range got.Account.Reasons {
			n := 0
			for _, r := range got.Reasons {
				if r == reason {
					n++
				}
			}
			if n != 1 {
				t.Errorf("the explanation has reason %+v %d times, want once", reason, n)
			}
		}
	})
}

// What an explanation says is what the account is, whatever became of the
// person.
func TestExplainAgrees(t *testing.T) {
	for _, policyJSON := range crowdPolicies {
		t.Run(policyJSON, func(t *testing.T) {
			onEveryStore(t, func(t *testing.T, st store.Store) {
				tn := crowd(t, st, policyJSON)
				for _, a := range tn.everyAccount() {
					got, err := tn.dir.Explain(t.Context(), a.ID)
					if err != nil {
						t.Fatal(err)
					}
					if got.Status != a.Status {
						t.Errorf("account %q is %s, the explanation says %s: %+v", a.UserName, a.Status, got.Status, got.Reasons)
					}
				}
			})
		})
	}
}

// The explanation says what the policy decides, and what keeps the account in
// spite of it.
func TestExplainKeptAccounts(t *testing.T) {
	const canceled, lastAdmin = policy.EffectKeptByOperator, policy.EffectKeptAsLastAdmin
	tests := []struct {
		name   string
		do     func(tn *tenant)
		status policy.Status // what the policy says
		effect policy.Effect // of the last reason
	}{
		{"held", func(tn *tenant) { tn.setPolicy(`{"requiredGroups":"Nobody"}`) }, policy.StatusDisabled, policy.EffectHeld},
		{"canceled", func(tn *tenant) {
			tn.setPolicy(`{"requiredGroups":"Nobody"}`)
			if err := tn.operator().Keep(tn.t.Context(), tn.account("u0").ID); err != nil {
				tn.t.Fatal(err)
			}
		}, policy.StatusDisabled, canceled},
		{"last site admin", func(tn *tenant) {
			tn.engine.Limits.Deprovision = -1
			root := tn.group("Root", tn.user(graceBody))
			tn.setPolicy(`{"siteAdminGroups":"Root"}`)
			tn.rename(root, "Others")
		}, policy.StatusActive, lastAdmin},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			onEveryStore(t, func(t *testing.T, st store.Store) {
				tn := newTenant(t, st, `{}`)
				tn.people(12)
				test.do(tn)
				name := "u0"
				if test.effect == lastAdmin {
					name = "grace@example.com"
				}
				got := tn.explain(name)
				last := got.Reasons[len(got.Reasons)-1]
				if got.Account.Status != policy.StatusActive || got.Status != test.status || last != (policy.Reason{Effect: test.effect}) {
					t.Errorf("the account is %s, the policy says %s, the last reason is %+v; want active, %s, %q",
						got.Account.Status, got.Status, last, test.status, test.effect)
				}
			})
		})
	}
}

// A tombstone is explained by what it was deleted for.
func TestExplainDeleted(t *testing.T) {
	onEveryStore(t, func(t *testing.T, st store.Store) {
		tn := newTenant(t, st, `{}`)
		tn.user(ada)
		id := tn.account("ada@example.com").ID
		tn.deleteAccount("ada@example.com")
		got, err := tn.dir.Explain(t.Context(), id)
		if err != nil || got.Status != policy.StatusDeleted {
			t.Fatalf("status %s, %v", got.Status, err)
		}
		if diff := cmp.Diff(got.Account.Reasons, got.Reasons); diff != "" || len(got.Reasons) != 1 {
			t.Errorf("reasons (-account +explanation):\n%s", diff)
		}
	})
}

// An account whose derivation waits for a job is explained by what it will be.
func TestExplainPending(t *testing.T) {
	onEveryStore(t, func(t *testing.T, st store.Store) {
		tn := newTenant(t, st, `{}`)
		tn.engine.Limits = provision.Limits{Inline: 1, Deprovision: -1}
		tn.people(3)
		tn.setPolicy(`{"requiredGroups":"Nobody"}`)
		if got := tn.explain("u0"); got.Account.Status != policy.StatusActive || !got.Account.Pending || got.Status != policy.StatusDisabled {
			t.Errorf("the account is %s, pending %t, the policy says %s; want active, true, disabled", got.Account.Status, got.Account.Pending, got.Status)
		}
	})
}

func TestExplainErrors(t *testing.T) {
	onEveryStore(t, func(t *testing.T, st store.Store) {
		tn := newTenant(t, st, `{}`)
		tn.user(ada)
		id := tn.account("ada@example.com").ID
		if _, err := tn.engine.Directory("other").As(tester).UpdateConnection(t.Context(), with(provision.Connection{ID: "other"})); err != nil {
			t.Fatal(err)
		}
		for connection, account := range map[string]string{"acme": "unknown", "other": id, "nobody": id, "": id} {
			if _, err := tn.engine.Directory(connection).Explain(t.Context(), account); !errors.Is(err, provision.ErrNotFound) {
				t.Errorf("account %q of connection %q: %v, want ErrNotFound", account, connection, err)
			}
		}
	})
}

// The event of what no option decides says what did, with its code or value.
func TestReasonsOfEvents(t *testing.T) {
	tests := []struct {
		name string
		do   func(tn *tenant)
		want []policy.Reason
	}{
		{"login of an unknown person", func(tn *tenant) {
			_, err := tn.dir.Login(tn.t.Context(), provision.Identity{ID: "1", UserName: "nobody@example.com"})
			if err == nil {
				tn.t.Error("the login is let in")
			}
		}, []policy.Reason{
			{Option: "provisionOnFirstLogin", Effect: policy.EffectNotCreated},
			{Effect: policy.EffectLoginDenied, Value: string(policy.DeniedNotProvisioned)},
		}},
		{"deleted by an operator", func(tn *tenant) {
			tn.user(ada)
			if err := tn.operator().DeleteAccount(tn.t.Context(), tn.account("ada@example.com").ID); err != nil {
				tn.t.Fatal(err)
			}
		}, []policy.Reason{{Effect: policy.EffectDeletedByOperator}}},
		{"granted role", func(tn *tenant) {
			tn.setPolicy(`{"roles":[{"groups":"Staff","role":"editor"}]}`)
			tn.group("Staff", tn.user(ada))
		}, []policy.Reason{{Option: "roles", Pattern: "Staff", Group: "Staff", Effect: policy.EffectGranted, Value: "editor"}}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			onEveryStore(t, func(t *testing.T, st store.Store) {
				tn := newTenant(t, st, `{}`)
				test.do(tn)
				list, err := tn.dir.Events(t.Context(), 0, 0)
				if err != nil {
					t.Fatal(err)
				}
				if diff := cmp.Diff(test.want, list[len(list)-1].Reasons); diff != "" {
					t.Errorf("reasons of %s (-want +got):\n%s", list[len(list)-1].Type, diff)
				}
			})
		})
	}
}

// crowd makes accounts of every kind: members of one group and of two, through
// a group, of none, one disabled by an operator, one deactivated, one whose user
// was deleted, and a tombstone. The guards are off.
func crowd(t *testing.T, st store.Store, policyJSON string) *tenant {
	t.Helper()
	tn := newTenant(t, st, policyJSON)
	tn.engine.Limits = provision.Limits{Deprovision: -1, Batch: 2}
	tn.engine.Guard = hostAdmins{"acme": 1}
	ids := tn.people(8)
	staff := tn.group("Staff", ids[:6]...)
	tn.group("Admins", ids[1], ids[2])
	tn.group("All", staff)
	tn.disable("u3")
	tn.set(ids[4], `{"userName":"u4","active":false}`)
	tn.remove("User", ids[5])
	tn.deleteAccount("u7")
	return tn
}

// preview collects what Preview yields.
func (tn *tenant) preview(policyJSON string) ([]provision.AccountChange, error) {
	tn.t.Helper()
	config, err := policy.Parse([]byte(policyJSON))
	if err != nil {
		tn.t.Fatal(err)
	}
	var list []provision.AccountChange
	for change, err := range tn.dir.Preview(tn.t.Context(), config) {
		if err != nil {
			return list, err
		}
		list = append(list, change)
	}
	return list, nil
}

// changed returns the events of accounts after a sequence as changes, in order of
// account.
func (tn *tenant) changed(after int64) []provision.AccountChange {
	tn.t.Helper()
	list, err := tn.dir.Events(tn.t.Context(), after, 0)
	if err != nil {
		tn.t.Fatal(err)
	}
	var out []provision.AccountChange
	for _, ev := range list {
		if ev.AccountID != "" && len(ev.Changes) > 0 {
			a, err := tn.dir.Account(tn.t.Context(), ev.AccountID)
			if err != nil {
				tn.t.Fatal(err)
			}
			name := a.UserName
			if a.Status == policy.StatusDeleted {
				name = "" // a tombstone
			}
			out = append(out, provision.AccountChange{AccountID: a.ID, UserName: name, Changes: ev.Changes, Reasons: ev.Reasons})
		}
	}
	slices.SortFunc(out, func(a, b provision.AccountChange) int { return strings.Compare(a.AccountID, b.AccountID) })
	return out
}

// crowdPolicies change each other's accounts of a crowd.
var crowdPolicies = []string{
	`{}`,
	`{"deprovisionUsers":false,"requiredGroups":"Admins"}`,
	`{"requiredGroups":"Admins","siteAdminGroups":"Admins"}`,
	`{"requiredGroups":"Nobody","deprovisionMethod":"delete"}`,
	`{"requiredGroups":"All","roles":[{"groups":"Staff","role":"editor"}],"groupAdminGroups":"Admins"}`,
	`{"excludedGroups":"All","company":"Acme","companyMode":"force","readOnlySiteAdminGroups":"Staff"}`,
	`{"provisionGroups":false,"timeZone":"Europe/Berlin","passwordGroups":"Staff"}`,
}

// What Preview lists is what saving the policy does, and the policy that is
// saved changes nothing. Nothing is written.
func TestPreview(t *testing.T) {
	seen := map[string]bool{}
	for i, from := range crowdPolicies {
		for _, step := range []int{0, 1, 3} { // to itself and to two others
			to := crowdPolicies[(i+step)%len(crowdPolicies)]
			t.Run(from+" to "+to, func(t *testing.T) {
				onEveryStore(t, func(t *testing.T, st store.Store) {
					tn := crowd(t, st, from)
					at, before := tn.lastEvent(), tn.everyAccount()
					preview, err := tn.preview(to)
					if err != nil {
						t.Fatal(err)
					}
					if diff := cmp.Diff(before, tn.everyAccount()); diff != "" || tn.lastEvent() != at {
						t.Errorf("the preview changed something (-before +after):\n%s", diff)
					}
					if from == to && len(preview) > 0 {
						t.Errorf("the saved policy would change %+v", preview)
					}
					tn.setPolicy(to)
					for i, change := range preview {
						for _, ch := range change.Changes {
							seen[ch.Attribute] = true
						}
						if a, err := tn.dir.Account(t.Context(), change.AccountID); err == nil && a.Status == policy.StatusDeleted {
							preview[i].UserName = ""
							if len(change.Changes) != 1 {
								t.Errorf("a deletion keeps what it removes: %+v", change.Changes)
							}
						}
					}
					if diff := cmp.Diff(tn.changed(at), preview, cmpopts.EquateEmpty()); diff != "" {
						t.Errorf("what the preview said differs from what happened (-happened +said):\n%s", diff)
					}
				})
			})
		}
	}
	for _, attribute := range []string{"status", "roles", "groups", "siteAdmin", "readOnlySiteAdmin", "company"} {
		if !seen[attribute] {
			t.Errorf("no policy of this test changes %s", attribute)
		}
	}
}

func (tn *tenant) everyAccount() []*provision.Account {
	tn.t.Helper()
	list, err := tn.dir.Accounts(tn.t.Context(), store.AccountQuery{})
	if err != nil {
		tn.t.Fatal(err)
	}
	return list
}

// The accounts are read a page at a time, and the store is free while the caller
// looks at one.
func TestPreviewPages(t *testing.T) {
	onEveryStore(t, func(t *testing.T, st store.Store) {
		tn := newTenant(t, st, `{}`)
		tn.engine.Limits.Batch = 2
		tn.people(7)
		config, err := policy.Parse([]byte(`{"requiredGroups":"Nobody"}`))
		if err != nil {
			t.Fatal(err)
		}
		var ids []string
		for change, err := range tn.dir.Preview(t.Context(), config) {
			if err != nil {
				t.Fatal(err)
			}
			ids = append(ids, change.AccountID)
			tn.group(fmt.Sprintf("Group %d", len(ids)))
		}
		if len(ids) != 7 || !slices.IsSorted(ids) {
			t.Errorf("the preview lists %v, want 7 accounts in order", ids)
		}
		for range tn.dir.Preview(t.Context(), config) {
			break // a caller may have seen enough
		}
	})
}

func TestPreviewErrors(t *testing.T) {
	onEveryStore(t, func(t *testing.T, st store.Store) {
		tn := newTenant(t, st, `{}`)
		tn.people(1)
		wrong := policy.Config{DeleteAfterDays: 91}
		n := 0
		for change, err := range tn.dir.Preview(t.Context(), wrong) {
			n++
			var config *policy.ConfigError
			if !errors.As(err, &config) || config.Option != "deleteAfterDays" || change.AccountID != "" {
				t.Errorf("a wrong policy yields %+v, %v", change, err)
			}
		}
		if n != 1 {
			t.Errorf("a wrong policy yields %d times, want once", n)
		}
		for _, id := range []string{"", "unknown"} {
			n := 0
			for _, err := range tn.engine.Directory(id).Preview(t.Context(), policy.Config{}) {
				n++
				if !errors.Is(err, provision.ErrNotFound) {
					t.Errorf("connection %q: %v, want ErrNotFound", id, err)
				}
			}
			if n != 1 {
				t.Errorf("connection %q yields %d times, want once", id, n)
			}
		}
	})
}

// The guards are not simulated: the preview lists what would be held.
func TestPreviewWithoutGuards(t *testing.T) {
	onEveryStore(t, func(t *testing.T, st store.Store) {
		tn := newTenant(t, st, `{"siteAdminGroups":"Staff"}`)
		tn.group("Staff", tn.people(12)...)
		const closed = `{"requiredGroups":"Nobody"}`
		before, err := tn.preview(closed)
		if err != nil || len(before) != 12 {
			t.Fatalf("%d accounts would change, %v; want 12", len(before), err)
		}
		tn.setPolicy(closed)
		if n := len(tn.held()); n != 12 {
			t.Fatalf("%d accounts are held, want 12", n)
		}
		after, err := tn.preview(closed)
		if err != nil || len(after) != 12 {
			t.Errorf("%d held accounts would change, %v; want 12", len(after), err)
		}
	})
}
