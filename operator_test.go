package provision_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/scimjit/provision"
	"github.com/scimjit/provision/policy"
	"github.com/scimjit/provision/store"
)

// operate runs an operator's action on the account with a user name.
func (tn *tenant) operate(userName string, action func(*provision.Directory, string) error) {
	tn.t.Helper()
	if err := action(tn.operator(), tn.account(userName).ID); err != nil {
		tn.t.Fatal(err)
	}
}

func (tn *tenant) operator() *provision.Directory { return tn.engine.Directory("acme").As(tester) }

func (tn *tenant) disable(userName string) {
	tn.t.Helper()
	tn.operate(userName, func(d *provision.Directory, id string) error { return d.Disable(tn.t.Context(), id) })
}

func (tn *tenant) enable(userName string) {
	tn.t.Helper()
	tn.operate(userName, func(d *provision.Directory, id string) error { return d.Enable(tn.t.Context(), id) })
}

func (tn *tenant) markLoggedIn(userName string) {
	tn.t.Helper()
	tn.operate(userName, func(d *provision.Directory, id string) error { return d.MarkLoggedIn(tn.t.Context(), id) })
}

func (tn *tenant) deleteAccount(userName string) {
	tn.t.Helper()
	tn.operate(userName, func(d *provision.Directory, id string) error { return d.DeleteAccount(tn.t.Context(), id) })
}

const (
	adaActive   = `{"userName":"ada@example.com","externalId":"1","title":"Countess","active":true}`
	adaInactive = `{"userName":"ada@example.com","externalId":"1","active":false}`
)

// What an operator disabled only an operator enables, and what the identity
// provider disabled only the identity provider.
func TestOperatorBlock(t *testing.T) {
	onEveryStore(t, func(t *testing.T, st store.Store) {
		tn := newTenant(t, st, `{}`)
		id := tn.user(ada)
		at := tn.lastEvent()
		tn.disable("ada@example.com")
		tn.disable("ada@example.com")
		tn.expectStatus("ada@example.com", policy.StatusDisabled)
		list, err := tn.dir.Events(t.Context(), at, 0)
		if err != nil || len(list) != 1 || list[0].Type != store.AccountDisabled || list[0].Actor != tester {
			t.Errorf("events %v, %v; want one, account.disabled by %v", list, err, tester)
		}
		r, err := tn.dir.Get(t.Context(), "User", id, 0)
		if err != nil || r.Version != 1 {
			t.Errorf("the resource has version %d, %v; want the first", r.Version, err)
		}
		tn.set(id, adaActive)
		tn.expectStatus("ada@example.com", policy.StatusDisabled)
		tn.set(id, adaInactive)
		tn.enable("ada@example.com")
		tn.expectStatus("ada@example.com", policy.StatusDisabled)
		tn.set(id, ada)
		tn.expectStatus("ada@example.com", policy.StatusActive)
	})
}

func TestOperatorBlockOfStaged(t *testing.T) {
	onEveryStore(t, func(t *testing.T, st store.Store) {
		tn := newTenant(t, st, `{"requiredGroups":"IT"}`)
		id := tn.user(ada)
		tn.disable("ada@example.com")
		group := tn.group("IT", id)
		tn.expectStatus("ada@example.com", policy.StatusDisabled)
		tn.leave(group, id)
		tn.enable("ada@example.com")
		tn.expectStatus("ada@example.com", policy.StatusStaged)
	})
}

func TestOperatorDeletesAccount(t *testing.T) {
	onEveryStore(t, func(t *testing.T, st store.Store) {
		tn := newTenant(t, st, `{}`)
		id := tn.user(ada)
		group := tn.group("IT", id)
		first := tn.account("ada@example.com").ID
		at := tn.lastEvent()
		tn.deleteAccount("ada@example.com")
		if _, err := tn.dir.Get(t.Context(), "User", id, 0); !errors.Is(err, provision.ErrNotFound) {
			t.Errorf("the resource: %v, want ErrNotFound", err)
		}
		if len(tn.members(group)) != 0 {
			t.Error("the group still has the member")
		}
		tombstone, err := tn.dir.Account(t.Context(), first)
		if err != nil || tombstone.Status != policy.StatusDeleted || tombstone.UserName != "" || tombstone.Email != "" {
			t.Errorf("the account is %+v, %v; want a tombstone", tombstone, err)
		}
		if diff := cmp.Diff([]store.EventType{store.GroupUpdated, store.AccountDeleted}, tn.events(at)); diff != "" {
			t.Errorf("events (-want +got):\n%s", diff)
		}
		tn.user(ada)
		if again := tn.account("ada@example.com"); again.ID == first || again.Status != policy.StatusActive {
			t.Errorf("the person who came back has account %s, %s; want a fresh one, active", again.ID, again.Status)
		}
	})
}

// How a person authenticates is fixed when the host says that they logged in.
func TestMarkLoggedIn(t *testing.T) {
	for _, loggedIn := range []bool{false, true} {
		onEveryStore(t, func(t *testing.T, st store.Store) {
			tn := newTenant(t, st, `{"passwordGroups":"Guests"}`)
			id := tn.user(ada)
			if loggedIn {
				tn.markLoggedIn("ada@example.com")
			}
			tn.group("Guests", id)
			want := policy.AuthenticationPassword
			if loggedIn {
				want = policy.AuthenticationSSO
			}
			if got := tn.account("ada@example.com").Authentication; got != want {
				t.Errorf("logged in %t: authentication %s, want %s", loggedIn, got, want)
			}
		})
	}
}

func TestOperatorUnknownAccount(t *testing.T) {
	actions := []struct {
		name string
		do   func(*provision.Directory, string) error
	}{
		{"Disable", func(d *provision.Directory, id string) error { return d.Disable(t.Context(), id) }},
		{"Enable", func(d *provision.Directory, id string) error { return d.Enable(t.Context(), id) }},
		{"MarkLoggedIn", func(d *provision.Directory, id string) error { return d.MarkLoggedIn(t.Context(), id) }},
		{"AddGroup", func(d *provision.Directory, id string) error { return d.AddGroup(t.Context(), id, "g") }},
		{"RemoveGroup", func(d *provision.Directory, id string) error { return d.RemoveGroup(t.Context(), id, "g") }},
		{"Edit", func(d *provision.Directory, id string) error {
			return d.Edit(t.Context(), id, provision.AccountEdit{TwoFactor: policy.TwoFactorNever})
		}},
		{"DeleteAccount", func(d *provision.Directory, id string) error { return d.DeleteAccount(t.Context(), id) }},
	}
	for _, action := range actions {
		t.Run(action.name, func(t *testing.T) {
			onEveryStore(t, func(t *testing.T, st store.Store) {
				tn := newTenant(t, st, `{}`)
				id := tn.user(ada)
				deleted := tn.account("ada@example.com").ID
				tn.deleteAccount("ada@example.com")
				tn.user(ada)
				foreign := tn.account("ada@example.com").ID
				if _, err := tn.engine.Directory("other").As(tester).UpdateConnection(t.Context(), with(provision.Connection{ID: "other"})); err != nil {
					t.Fatal(err)
				}
				at := tn.lastEvent()
				for _, id := range []string{"", "nobody", id, deleted} {
					if err := action.do(tn.operator(), id); !errors.Is(err, provision.ErrNotFound) {
						t.Errorf("account %q: %v, want ErrNotFound", id, err)
					}
				}
				if err := action.do(tn.engine.Directory("other"), foreign); !errors.Is(err, provision.ErrNotFound) {
					t.Errorf("an account of another connection: %v, want ErrNotFound", err)
				}
				if got := tn.events(at); len(got) != 0 {
					t.Errorf("refused actions left events %v", got)
				}
			})
		})
	}
}

func asJSON(t *testing.T, v any) string {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// edit runs Directory.Edit on the account with a user name.
func (tn *tenant) edit(userName string, e provision.AccountEdit) {
	tn.t.Helper()
	tn.operate(userName, func(d *provision.Directory, id string) error { return d.Edit(tn.t.Context(), id, e) })
}

// takeGroup runs Directory.RemoveGroup on the account with a user name.
func (tn *tenant) takeGroup(userName, group string) error {
	tn.t.Helper()
	return tn.operator().RemoveGroup(tn.t.Context(), tn.account(userName).ID, group)
}

// groupOf returns the id of a group that an account carries.
func (tn *tenant) groupOf(userName, name string) string {
	tn.t.Helper()
	for _, g := range tn.account(userName).Groups {
		if g.Name == name {
			return g.ID
		}
	}
	tn.t.Fatalf("account %q does not carry %q", userName, name)
	return ""
}

// An operator takes what only the account still carries, and it does not come
// back; what the identity provider reports is refused.
func TestRemoveGroup(t *testing.T) {
	tests := []struct {
		name   string
		policy string
		do     func(tn *tenant, group, id string) // makes the account carry "G", or the host's "H"
		err    error
	}{
		{"kept after the membership", `{"deprovisionGroups":false}`, func(tn *tenant, group, id string) {
			tn.join(group, id)
			tn.leave(group, id)
		}, nil},
		{"kept after the group", `{"deprovisionGroups":false}`, func(tn *tenant, group, id string) {
			tn.join(group, id)
			tn.remove("Group", group)
		}, nil},
		{"kept after the resource", `{"deprovisionGroups":false,"deprovisionUsers":false}`, func(tn *tenant, group, id string) {
			tn.join(group, id)
			tn.remove("User", id)
		}, nil},
		{"default", `{"defaultGroups":["G"]}`, func(*tenant, string, string) {}, nil},
		{"default, after the resource", `{"defaultGroups":["G"]}`, func(tn *tenant, _, id string) { tn.remove("User", id) }, nil},
		{"the host's", `{"defaultGroups":["h"]}`, func(*tenant, string, string) {}, nil},
		{"the host's, after the resource", `{"defaultGroups":["h"]}`, func(tn *tenant, _, id string) { tn.remove("User", id) }, nil},
		{"an operator's", `{}`, func(tn *tenant, group, id string) { tn.as("operator").join(group, id) }, nil},
		{"reported", `{}`, func(tn *tenant, group, id string) { tn.join(group, id) }, provision.ErrReported},
		{"reported as a group", `{}`, func(tn *tenant, group, id string) { tn.join(group, tn.group("Inner", id)) }, provision.ErrReported},
		{"reported, and a default", `{"defaultGroups":["G"]}`, func(tn *tenant, group, id string) { tn.join(group, id) }, provision.ErrReported},
		{"reported, not carried any more", `{"deprovisionGroups":false}`, func(tn *tenant, group, id string) {
			tn.join(group, id)
			tn.setPolicy(`{"deprovisionGroups":false,"excludedGroups":"G"}`)
		}, provision.ErrReported},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			onEveryStore(t, func(t *testing.T, st store.Store) {
				tn := newTenant(t, st, test.policy)
				tn.register("17 H")
				group := tn.group("G")
				id := tn.user(ada)
				test.do(tn, group, id)
				name := "G"
				if strings.Contains(test.policy, `"h"`) {
					name = "H"
				}
				carried := tn.groupOf("ada@example.com", name)
				at := tn.lastEvent()
				if err := tn.takeGroup("ada@example.com", carried); !errors.Is(err, test.err) {
					t.Fatalf("error %v, want %v", err, test.err)
				}
				if test.err != nil {
					tn.groupOf("ada@example.com", "G")
					if got := tn.events(at); len(got) != 0 {
						t.Errorf("the refusal left events %v", got)
					}
					return
				}
				list, err := tn.dir.Events(t.Context(), at, 0)
				if err != nil || len(list) != 1 || list[0].Type != store.AccountUpdated || list[0].Actor != tester ||
					len(list[0].Changes) != 1 || list[0].Changes[0].Attribute != "groups" {
					t.Errorf("events %v, %v; want one, account.updated, of groups", list, err)
				}
				if err := tn.takeGroup("ada@example.com", carried); !errors.Is(err, provision.ErrNotFound) {
					t.Errorf("a second time: %v, want ErrNotFound", err)
				}
				tn.engine.Limits.Deprovision = -1
				tn.setPolicy(`{"company":"Acme",` + test.policy[1:len(test.policy)-1] + comma(test.policy) + `"timeZone":"UTC"}`)
				if got := groupNames(tn.account("ada@example.com")); len(got) != 0 {
					t.Errorf("deriving again brought back %v", got)
				}
			})
		})
	}
}

// comma separates what is added to a policy from what it has.
func comma(policyJSON string) string {
	if policyJSON == "{}" {
		return ""
	}
	return ","
}

// What an operator edits stays as it is when the account is derived again.
func TestEdit(t *testing.T) {
	onEveryStore(t, func(t *testing.T, st store.Store) {
		tn := newTenant(t, st, `{"twoFactor":"always","permissions":{"ftp":true},"passwordGroups":"Guests"}`)
		id := tn.user(ada)
		yes, no := true, false
		steps := []struct {
			name  string
			do    func()
			login policy.Authentication
			two   policy.TwoFactor
			perms string
			event string // attributes of the event, "" for none
		}{
			{"as created", func() {}, policy.AuthenticationSSO, policy.TwoFactorAlways, `{"ftp":true,"sftp":null,"webdav":null}`, ""},
			{"two-factor", func() { tn.edit("ada@example.com", provision.AccountEdit{TwoFactor: policy.TwoFactorNever}) },
				policy.AuthenticationSSO, policy.TwoFactorNever, `{"ftp":true,"sftp":null,"webdav":null}`, "twoFactor"},
			{"permissions", func() {
				tn.edit("ada@example.com", provision.AccountEdit{Permissions: policy.Permissions{"ftp": &no, "sftp": &yes, "webdav": nil}})
			}, policy.AuthenticationSSO, policy.TwoFactorNever, `{"ftp":false,"sftp":true,"webdav":null}`, "permissions"},
			{"one permission", func() {
				tn.edit("ada@example.com", provision.AccountEdit{Permissions: policy.Permissions{"ftp": nil}})
			}, policy.AuthenticationSSO, policy.TwoFactorNever, `{"ftp":null,"sftp":true,"webdav":null}`, "permissions"},
			{"the same", func() {
				tn.edit("ada@example.com", provision.AccountEdit{TwoFactor: policy.TwoFactorNever, Permissions: policy.Permissions{"ftp": nil}})
			}, policy.AuthenticationSSO, policy.TwoFactorNever, `{"ftp":null,"sftp":true,"webdav":null}`, ""},
			{"the policy decides how to log in", func() { tn.group("Guests", id) },
				policy.AuthenticationPassword, policy.TwoFactorNever, `{"ftp":null,"sftp":true,"webdav":null}`, "authentication"},
			{"an operator does", func() { tn.edit("ada@example.com", provision.AccountEdit{Authentication: policy.AuthenticationSSO}) },
				policy.AuthenticationSSO, policy.TwoFactorNever, `{"ftp":null,"sftp":true,"webdav":null}`, "authentication"},
			{"derived again", func() {
				tn.setPolicy(`{"twoFactor":"site","permissions":{"ftp":true},"passwordGroups":"Guest?","company":"Acme"}`)
			}, policy.AuthenticationSSO, policy.TwoFactorNever, `{"ftp":null,"sftp":true,"webdav":null}`, "company"},
			{"logged in", func() { tn.markLoggedIn("ada@example.com") },
				policy.AuthenticationSSO, policy.TwoFactorNever, `{"ftp":null,"sftp":true,"webdav":null}`, ""},
			{"an operator again", func() {
				tn.edit("ada@example.com", provision.AccountEdit{Authentication: policy.AuthenticationPassword})
			},
				policy.AuthenticationPassword, policy.TwoFactorNever, `{"ftp":null,"sftp":true,"webdav":null}`, "authentication"},
			{"no longer in the group", func() { tn.rename(tn.groupOf("ada@example.com", "Guests"), "Others") },
				policy.AuthenticationPassword, policy.TwoFactorNever, `{"ftp":null,"sftp":true,"webdav":null}`, "groups"},
		}
		for _, step := range steps {
			at := tn.lastEvent()
			step.do()
			a := tn.account("ada@example.com")
			if perms := asJSON(t, a.Permissions); a.Authentication != step.login || a.TwoFactor != step.two || perms != step.perms {
				t.Errorf("%s: %s, %s, %s; want %s, %s, %s", step.name, a.Authentication, a.TwoFactor, perms, step.login, step.two, step.perms)
			}
			list, err := tn.dir.Events(t.Context(), at, 0)
			if err != nil {
				t.Fatal(err)
			}
			got := ""
			for _, ev := range list {
				if ev.AccountID != "" {
					got += ev.Changes[0].Attribute
				}
			}
			if got != step.event {
				t.Errorf("%s: the account's events are of %q, want %q", step.name, got, step.event)
			}
		}
	})
}

// An edit of a disabled account and of one whose resource is deleted counts too.
func TestEditInactive(t *testing.T) {
	onEveryStore(t, func(t *testing.T, st store.Store) {
		tn := newTenant(t, st, `{}`)
		id := tn.user(ada)
		tn.remove("User", id)
		tn.edit("ada@example.com", provision.AccountEdit{TwoFactor: policy.TwoFactorAlways, Authentication: policy.AuthenticationPassword})
		tn.user(ada)
		if a := tn.account("ada@example.com"); a.Status != policy.StatusActive || a.TwoFactor != policy.TwoFactorAlways || a.Authentication != policy.AuthenticationPassword {
			t.Errorf("the account is %s, %s, %s", a.Status, a.TwoFactor, a.Authentication)
		}
	})
}

func TestEditRefusals(t *testing.T) {
	onEveryStore(t, func(t *testing.T, st store.Store) {
		tn := newTenant(t, st, `{}`)
		tn.user(ada)
		account, at := tn.account("ada@example.com").ID, tn.lastEvent()
		edits := []struct {
			option string
			edit   provision.AccountEdit
		}{
			{"authentication", provision.AccountEdit{Authentication: "none"}},
			{"twoFactor", provision.AccountEdit{TwoFactor: "sometimes"}},
			{"permissions", provision.AccountEdit{Permissions: policy.Permissions{"": nil}}},
			{"permissions", provision.AccountEdit{Permissions: policy.Permissions{"webdavv": nil}}},
			{"permissions", provision.AccountEdit{Permissions: policy.Permissions{"a\u2028b": nil}}},
			{"permissions", provision.AccountEdit{Permissions: policy.Permissions{"a\xffb": nil}}},
			{"permissions", provision.AccountEdit{Permissions: policy.Permissions{"FTP": nil, "ftp": nil}}},
		}
		for _, row := range edits {
			var wrong *provision.ArgumentError
			if err := tn.operator().Edit(t.Context(), account, row.edit); !errors.As(err, &wrong) || wrong.Argument != row.option {
				t.Errorf("%.40q: %v, want an ArgumentError of %s", fmt.Sprint(row.edit), err, row.option)
			}
		}
		if got := tn.events(at); len(got) != 0 {
			t.Errorf("refused edits left events %v", got)
		}
	})
}

// An edit names permissions as the policy does: those of the host in any case, and
// what the account has.
func TestEditPermissionNames(t *testing.T) {
	onEveryStore(t, func(t *testing.T, st store.Store) {
		tn := newTenant(t, st, `{}`)
		tn.user(ada)
		yes, no := true, false
		tn.engine.Permissions = []string{"restAPI"}
		tn.edit("ada@example.com", provision.AccountEdit{Permissions: policy.Permissions{"FTP": &no, "RESTapi": &yes}})
		if got, want := asJSON(t, tn.account("ada@example.com").Permissions), `{"ftp":false,"restAPI":true,"sftp":null,"webdav":null}`; got != want {
			t.Errorf("permissions %s, want %s", got, want)
		}
		tn.engine.Permissions = nil
		tn.edit("ada@example.com", provision.AccountEdit{Permissions: policy.Permissions{"restapi": nil}})
		if got, want := asJSON(t, tn.account("ada@example.com").Permissions), `{"ftp":false,"restAPI":null,"sftp":null,"webdav":null}`; got != want {
			t.Errorf("permissions %s, want %s", got, want)
		}
	})
}

// A policy names the permissions of the host, and keeps those that it had.
func TestPermissionsOfTheHost(t *testing.T) {
	onEveryStore(t, func(t *testing.T, st store.Store) {
		tn := newTenant(t, st, `{}`)
		d := tn.engine.Directory("acme").As(tester)
		save := func(name string) (provision.Connection, error) {
			return d.UpdateConnection(t.Context(), func(c *provision.Connection) error {
				c.Policy.Permissions = policy.Permissions{name: new(true)}
				return nil
			})
		}
		_, err := save("restapi")
		var wrong *policy.ConfigError
		if !errors.As(err, &wrong) || wrong.Option != "permissions" || wrong.Value != "restapi" {
			t.Errorf("a permission that the host has not: %v", err)
		}
		tn.engine.Permissions = []string{"restAPI"}
		saved, err := save("restapi")
		if err != nil || saved.Policy.Permissions["restAPI"] == nil {
			t.Errorf("a permission that the host has: %v, %v", saved.Policy.Permissions, err)
		}
		tn.user(ada)
		if got := tn.account("ada@example.com").Permissions["restAPI"]; got == nil || !*got {
			t.Errorf("the account has %v", got)
		}
		for range d.Preview(t.Context(), policy.Config{Permissions: policy.Permissions{"restapi": nil}}) {
			t.Error("a permission of the host changes an account or is refused in a preview")
		}
		other := &provision.Engine{Store: st}
		if c, err := other.Directory("acme").UpdateConnection(t.Context(), func(c *provision.Connection) error { c.Disabled = true; return nil }); err != nil || !c.Disabled {
			t.Errorf("disabling by a host without the permission: %v", err)
		}
	})
}

// An edit keeps a held account held.
func TestEditHeld(t *testing.T) {
	onEveryStore(t, func(t *testing.T, st store.Store) {
		tn := newTenant(t, st, `{"requiredGroups":"Staff"}`)
		tn.rename(tn.group("Staff", tn.people(12)...), "Others")
		tn.edit("u0", provision.AccountEdit{TwoFactor: policy.TwoFactorAlways})
		if a := tn.account("u0"); !a.Held || a.Status != policy.StatusActive || a.TwoFactor != policy.TwoFactorAlways {
			t.Errorf("the account is %s, held %t, %s", a.Status, a.Held, a.TwoFactor)
		}
		if diff := cmp.Diff(12, len(tn.held())); diff != "" {
			t.Errorf("held (-want +got):\n%s", diff)
		}
	})
}

// To choose what the policy had chosen is a choice too: it is fixed.
func TestEditConfirms(t *testing.T) {
	onEveryStore(t, func(t *testing.T, st store.Store) {
		tn := newTenant(t, st, `{"passwordGroups":"Guests"}`)
		id := tn.user(ada)
		at := tn.lastEvent()
		tn.edit("ada@example.com", provision.AccountEdit{Authentication: policy.AuthenticationSSO})
		if got := tn.events(at); len(got) != 0 {
			t.Errorf("what changes nothing made events %v", got)
		}
		tn.group("Guests", id)
		if a := tn.account("ada@example.com"); a.Authentication != policy.AuthenticationSSO {
			t.Errorf("authentication %s, want sso", a.Authentication)
		}
	})
}
