package provision_test

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/scimjit/provision"
	"github.com/scimjit/provision/policy"
	"github.com/scimjit/provision/store"
)

const ada = `{"userName":"ada@example.com","externalId":"1","active":true}`

func TestUserLifecycle(t *testing.T) {
	onEveryStore(t, func(t *testing.T, st store.Store) {
		tn := newTenant(t, st, `{}`)
		id := tn.user(ada)
		first := tn.account("ada@example.com")
		if first.Status != policy.StatusActive {
			t.Fatalf("a new account is %s, want active", first.Status)
		}
		at := tn.lastEvent()
		tn.set(id, `{"userName":"ada@example.com","externalId":"1","active":false}`)
		tn.expectStatus("ada@example.com", policy.StatusDisabled)
		tn.set(id, ada)
		tn.expectStatus("ada@example.com", policy.StatusActive)
		tn.set(id, `{"userName":"Ada.Byron@example.com","externalId":"1","active":true}`)
		if got := tn.account("ada.byron@EXAMPLE.com").ID; got != first.ID {
			t.Errorf("a renamed user has account %s, want %s", got, first.ID)
		}
		want := []store.EventType{store.AccountDisabled, store.AccountActivated, store.AccountUpdated}
		if diff := cmp.Diff(want, tn.events(at)); diff != "" {
			t.Errorf("events (-want +got):\n%s", diff)
		}
	})
}

func TestUnchangedUpdateWritesNothing(t *testing.T) {
	onEveryStore(t, func(t *testing.T, st store.Store) {
		tn := newTenant(t, st, `{}`)
		id := tn.user(ada)
		group := tn.group("IT", id)
		at := tn.lastEvent()
		tn.clock.add(1e9)
		tn.set(id, ada)
		tn.join(group, id)
		tn.leave(group, "nobody")
		tn.rename(group, "IT")
		if got := tn.events(at); len(got) != 0 {
			t.Errorf("events %v, want none", got)
		}
		for typ, id := range map[string]string{"User": id, "Group": group} {
			r, err := tn.dir.Get(t.Context(), typ, id, 0)
			if err != nil {
				t.Fatal(err)
			}
			if r.Version != 1 || !r.Modified.Equal(r.Created) {
				t.Errorf("%s has version %d, modified %s, want 1, %s", typ, r.Version, r.Modified, r.Created)
			}
		}
	})
}

// A required group gates people whenever their membership becomes known, and by
// whatever change.
func TestGate(t *testing.T) {
	onEveryStore(t, func(t *testing.T, st store.Store) {
		tn := newTenant(t, st, `{"requiredGroups":"IT,Support"}`)
		id := tn.user(ada)
		tn.expectStatus("ada@example.com", policy.StatusStaged)
		group := tn.group("it", id)
		tn.expectStatus("ada@example.com", policy.StatusActive)
		tn.leave(group, id)
		tn.expectStatus("ada@example.com", policy.StatusDisabled)
		tn.join(group, id)
		tn.expectStatus("ada@example.com", policy.StatusActive)
		tn.rename(group, "Sales")
		tn.expectStatus("ada@example.com", policy.StatusDisabled)
		tn.rename(group, "Support")
		tn.expectStatus("ada@example.com", policy.StatusActive)
		tn.remove("Group", group)
		tn.expectStatus("ada@example.com", policy.StatusDisabled)
		tn.setPolicy(`{}`)
		tn.expectStatus("ada@example.com", policy.StatusActive)
	})
}

func TestNestedGroups(t *testing.T) {
	onEveryStore(t, func(t *testing.T, st store.Store) {
		tn := newTenant(t, st, `{"requiredGroups":"Top"}`)
		id := tn.user(ada)
		inner := tn.group("Inner", id)
		middle := tn.group("Middle", inner)
		top := tn.group("Top", middle)
		tn.expectStatus("ada@example.com", policy.StatusActive)
		if diff := cmp.Diff([]string{"Inner", "Middle", "Top"}, groupNames(tn.account("ada@example.com"))); diff != "" {
			t.Errorf("groups (-want +got):\n%s", diff)
		}
		tn.join(inner, top) // a cycle
		tn.leave(middle, inner)
		tn.expectStatus("ada@example.com", policy.StatusDisabled)
		tn.join(middle, inner)
		tn.expectStatus("ada@example.com", policy.StatusActive)
	})
}

func TestPatternByExternalID(t *testing.T) {
	onEveryStore(t, func(t *testing.T, st store.Store) {
		tn := newTenant(t, st, `{"siteAdminGroups":["id:g-1"]}`)
		id := tn.user(ada)
		group := tn.group("Whatever", id)
		if tn.account("ada@example.com").SiteAdmin {
			t.Error("site admin before the group has the external id")
		}
		c := content(t, "Group", `{"displayName":"Whatever","externalId":"g-1"}`)
		tn.change(group, func(d *provision.Draft) { d.Write(c) })
		if !tn.account("ada@example.com").SiteAdmin {
			t.Error("not site admin after the group has the external id")
		}
	})
}

func TestDelete(t *testing.T) {
	onEveryStore(t, func(t *testing.T, st store.Store) {
		tn := newTenant(t, st, `{}`)
		id := tn.user(ada)
		group := tn.group("IT", id)
		first := tn.account("ada@example.com").ID
		at := tn.lastEvent()
		tn.remove("User", id)
		if diff := cmp.Diff([]store.EventType{store.GroupUpdated, store.AccountDisabled}, tn.events(at)); diff != "" {
			t.Errorf("events (-want +got):\n%s", diff)
		}
		tn.expectStatus("ada@example.com", policy.StatusDisabled)
		if got := tn.account("ada@example.com").Groups; len(got) != 0 {
			t.Errorf("the account of a deleted user carries %v", got)
		}
		g, err := tn.dir.Get(t.Context(), "Group", group, store.WithMembers)
		if err != nil {
			t.Fatal(err)
		}
		if len(g.Members) != 0 || g.Version != 2 {
			t.Errorf("the group has members %v and version %d, want none and 2", g.Members, g.Version)
		}
		tn.user(ada)
		again := tn.account("ada@example.com")
		if again.ID != first || again.Status != policy.StatusActive {
			t.Errorf("the person who came back has account %s, %s; want %s, active", again.ID, again.Status, first)
		}
	})
}

// A new hire with a recycled name must not inherit.
func TestRecycledName(t *testing.T) {
	const ids = `{"externalIdImmutable":true}`
	tests := []struct {
		name, policy   string
		second         string
		same, recycled bool
	}{
		{"same immutable externalId", ids, `{"userName":"countess@example.com","externalId":"1","active":true}`, true, false},
		{"other immutable externalId, same name", ids, `{"userName":"ada@example.com","externalId":"2","active":true}`, false, true},
		{"same externalId, other name", `{}`, `{"userName":"countess@example.com","externalId":"1","active":true}`, false, true},
		{"same externalId, same name", `{}`, `{"userName":"Ada@example.com","externalId":"1","active":true}`, true, false},
		{"same externalId, name that only clashes", `{}`, `{"userName":"ada@example.com ","externalId":"1","active":true}`, false, true},
		{"no externalId, same name", `{}`, `{"userName":"ADA@example.com","active":true}`, true, false},
		{"other externalId, same name", `{}`, `{"userName":"ada@example.com","externalId":"2","active":true}`, false, true},
		{"no externalId, other name", `{}`, `{"userName":"grace@example.com","active":true}`, false, false},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			onEveryStore(t, func(t *testing.T, st store.Store) {
				tn := newTenant(t, st, test.policy)
				id := tn.user(ada)
				first := tn.account("ada@example.com").ID
				tn.remove("User", id)
				at := tn.lastEvent()
				tn.user(test.second)
				var second struct{ UserName string }
				if err := json.Unmarshal([]byte(test.second), &second); err != nil {
					t.Fatal(err)
				}
				linked := false
				for _, a := range tn.accounts(second.UserName) {
					linked = linked || a.ID == first && a.Status == policy.StatusActive
				}
				if linked != test.same {
					t.Errorf("the first account was taken over: %t, want %t", linked, test.same)
				}
				recycled := strings.Contains(cmp.Diff(tn.events(at), nil), string(store.AccountIdentityRecycled))
				if recycled != test.recycled {
					t.Errorf("event identity_recycled: %t, want %t", recycled, test.recycled)
				}
			})
		})
	}
}

func TestDeprovisionByDeleting(t *testing.T) {
	onEveryStore(t, func(t *testing.T, st store.Store) {
		tn := newTenant(t, st, `{"deprovisionMethod":"delete"}`)
		id := tn.user(`{"userName":"ada@example.com","externalId":"1","displayName":"Ada","active":true}`)
		first := tn.account("ada@example.com").ID
		tn.set(id, `{"userName":"ada@example.com","externalId":"1","active":false}`)
		if got := tn.accounts("ada@example.com"); len(got) != 0 {
			t.Errorf("%d accounts with the name are left", len(got))
		}
		tombstone, err := tn.dir.Account(t.Context(), first)
		if err != nil {
			t.Fatal(err)
		}
		data, err := json.Marshal(tombstone)
		if err != nil {
			t.Fatal(err)
		}
		if tombstone.Status != policy.StatusDeleted || strings.Contains(string(data), "Ada") || strings.Contains(string(data), "ada@") {
			t.Errorf("the tombstone is %s", data)
		}
		last, err := tn.dir.Events(t.Context(), tn.lastEvent()-1, 0)
		if err != nil || len(last) != 1 || last[0].Type != store.AccountDeleted {
			t.Fatalf("the last event is %v, %v, want account.deleted", last, err)
		}
		if data, err = json.Marshal(last[0]); err != nil || strings.Contains(string(data), "ada") || strings.Contains(string(data), "Ada") {
			t.Errorf("the event of the deletion keeps personal data: %s, %v", data, err)
		}
		if _, err := tn.dir.Get(t.Context(), "User", id, 0); err != nil {
			t.Errorf("the resource is not readable any more: %v", err)
		}
		tn.set(id, ada)
		if again := tn.account("ada@example.com"); again.ID == first || again.Status != policy.StatusActive {
			t.Errorf("reactivated account is %s, %s; want a fresh one, active", again.ID, again.Status)
		}
	})
}

func TestSuppressedDeprovisioning(t *testing.T) {
	onEveryStore(t, func(t *testing.T, st store.Store) {
		tn := newTenant(t, st, `{"deprovisionUsers":false}`)
		id := tn.user(ada)
		at := tn.lastEvent()
		tn.set(id, `{"userName":"ada@example.com","externalId":"1","active":false}`)
		tn.set(id, `{"userName":"ada@example.com","externalId":"1","active":false,"title":"Countess"}`)
		tn.expectStatus("ada@example.com", policy.StatusActive)
		want := []store.EventType{store.AccountDeprovisionSuppressed}
		if diff := cmp.Diff(want, tn.events(at)); diff != "" {
			t.Errorf("events (-want +got):\n%s", diff)
		}
		tn.setPolicy(`{}`)
		tn.expectStatus("ada@example.com", policy.StatusDisabled)
	})
}

func TestAccountProjection(t *testing.T) {
	tests := []struct {
		name, body string
		want       provision.Account
	}{
		{"primary e-mail, formatted name", `{"userName":"a","name":{"formatted":"A. B.","givenName":"A"},"emails":[{"value":"w@x","type":"work"},{"value":"p@x","primary":true}]}`,
			provision.Account{UserName: "a", Email: "p@x", Name: "A. B.", DisplayName: "A. B."}},
		{"work e-mail, given and family name", `{"userName":"a","name":{"givenName":"Ada","familyName":"Byron"},"emails":[{"value":"h@x","type":"home"},{"value":"w@x","type":"Work"}]}`,
			provision.Account{UserName: "a", Email: "w@x", Name: "Ada Byron", DisplayName: "Ada Byron"}},
		{"first e-mail, display name", `{"userName":"a","displayName":"D","emails":[{"value":"1@x"},{"value":"2@x"}]}`,
			provision.Account{UserName: "a", Email: "1@x", DisplayName: "D"}},
		{"user name as e-mail", `{"userName":"a@x"}`, provision.Account{UserName: "a@x", Email: "a@x"}},
		{"user name is no e-mail", `{"userName":"a"}`, provision.Account{UserName: "a"}},
		{"company and time zone", `{"userName":"a","timezone":"Europe/Oslo","urn:ietf:params:scim:schemas:extension:enterprise:2.0:User":{"organization":"Acme"}}`,
			provision.Account{UserName: "a", Company: "Acme", TimeZone: "Europe/Oslo"}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			onEveryStore(t, func(t *testing.T, st store.Store) {
				tn := newTenant(t, st, `{}`)
				tn.user(test.body)
				a := tn.account("a" + strings.TrimPrefix(test.want.UserName, "a"))
				got := provision.Account{
					UserName: a.UserName, Email: a.Email, Name: a.Name, DisplayName: a.DisplayName,
					Company: a.Company, TimeZone: a.TimeZone,
				}
				if diff := cmp.Diff(test.want, got); diff != "" {
					t.Errorf("account (-want +got):\n%s", diff)
				}
			})
		})
	}
}

func TestMappedAttributes(t *testing.T) {
	onEveryStore(t, func(t *testing.T, st store.Store) {
		tn := newTenant(t, st, `{}`)
		department := "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:department"
		tn.user(`{"userName":"ada","title":"Countess","name":{"givenName":"Ada"},"phoneNumbers":[{"value":"1"}],` +
			`"urn:ietf:params:scim:schemas:extension:enterprise:2.0:User":{"department":"Analysis"}}`)
		conn := provision.Connection{ID: "acme", SCIM: true, Attributes: []string{"Title", "name.givenName", "phoneNumbers", department, "nickName"}}
		if _, err := tn.engine.Directory(conn.ID).As(tester).UpdateConnection(t.Context(), with(conn)); err != nil {
			t.Fatal(err)
		}
		want := store.Attributes{
			"Title": json.RawMessage(`"Countess"`), "name.givenName": json.RawMessage(`"Ada"`),
			"phoneNumbers": json.RawMessage(`[{"value":"1"}]`), department: json.RawMessage(`"Analysis"`),
		}
		if diff := cmp.Diff(want, tn.account("ada").Attributes); diff != "" {
			t.Errorf("attributes (-want +got):\n%s", diff)
		}
		for _, bad := range []string{"", "password", "emails[type eq \"work\"]", "name.", "a b"} {
			conn.Attributes = []string{bad}
			if _, err := tn.engine.Directory(conn.ID).As(tester).UpdateConnection(t.Context(), with(conn)); err == nil {
				t.Errorf("attribute %q was accepted", bad)
			}
		}
	})
}

// TestInvalidTimeZone expects the option's zone for a name that nobody knows,
// and an event that says so.
func TestInvalidTimeZone(t *testing.T) {
	onEveryStore(t, func(t *testing.T, st store.Store) {
		tn := newTenant(t, st, `{"timeZone":"Europe/Berlin"}`)
		before := tn.lastEvent()
		tn.user(`{"userName":"ann","timezone":"Middle/Earth"}`)
		if got := tn.account("ann").TimeZone; got != "Europe/Berlin" {
			t.Errorf("time zone %q", got)
		}
		list, err := tn.dir.Events(t.Context(), before, 0)
		if err != nil || len(list) != 1 {
			t.Fatalf("%d events, %v", len(list), err)
		}
		want := policy.Reason{Option: "timeZone", Effect: policy.EffectInvalid}
		if !slices.Contains(list[0].Reasons, want) {
			t.Errorf("the event has the reasons %v, want %v among them", list[0].Reasons, want)
		}
	})
}

// The event that creates an account says what it is created with, and leaves out
// what is empty.
func TestCreatedWith(t *testing.T) {
	onEveryStore(t, func(t *testing.T, st store.Store) {
		tn := newTenant(t, st, `{"permissions":{"ftp":false}}`)
		tn.user(`{"userName":"ada@example.com","displayName":"Ada","emails":[{"value":"ada@example.com","type":"work"}]}`)
		list, err := tn.dir.Events(t.Context(), tn.lastEvent()-1, 0)
		if err != nil || len(list) != 1 || list[0].Type != store.AccountCreated {
			t.Fatalf("events %v, %v", list, err)
		}
		var got []string
		for _, c := range list[0].Changes {
			if len(c.Before) > 0 && string(c.Before) != "null" {
				t.Errorf("%s was %s before", c.Attribute, c.Before)
			}
			got = append(got, c.Attribute+" "+string(c.After))
		}
		want := []string{
			`userName "ada@example.com"`, `email "ada@example.com"`, `displayName "Ada"`,
			`status "active"`, `authentication "sso"`, `twoFactor "site"`,
			`permissions {"ftp":false,"sftp":null,"webdav":null}`,
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("changes (-want +got):\n%s", diff)
		}
		a := tn.account("ada@example.com")
		told := &store.EventAccount{ID: a.ID, Status: policy.StatusActive, Version: 1}
		if diff := cmp.Diff(told, list[0].Account); diff != "" || list[0].AccountID != a.ID {
			t.Errorf("account %q (-want +got):\n%s", list[0].AccountID, diff)
		}
	})
}
