package account_test

import (
	"encoding/json"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/scimjit/provision/internal/account"
	"github.com/scimjit/provision/policy"
	"github.com/scimjit/provision/store"
)

func TestTextChange(t *testing.T) {
	for _, test := range []struct {
		before, after string
		want          store.Change
	}{
		{"a", "b", store.Change{Attribute: "x", Before: json.RawMessage(`"a"`), After: json.RawMessage(`"b"`)}},
		{"", "b", store.Change{Attribute: "x", After: json.RawMessage(`"b"`)}},
		{"a", "", store.Change{Attribute: "x", Before: json.RawMessage(`"a"`)}},
		{"", "", store.Change{Attribute: "x"}},
	} {
		if diff := gocmp.Diff(test.want, account.TextChange("x", test.before, test.after)); diff != "" {
			t.Errorf("%q to %q (-want +got):\n%s", test.before, test.after, diff)
		}
	}
}

// TestJSONPanics shows what a value does that no account has.
func TestJSONPanics(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("a function was encoded")
		}
	}()
	account.JSON(func() {})
}

func TestBury(t *testing.T) {
	before := store.Account{
		ID: "a", Connection: "acme", HostID: "row 1", UserName: "ann", ExternalID: "1", Email: "ann@example.com", Name: "Ann",
		Status: policy.StatusDisabled, Roles: []string{"r"}, Groups: []store.AccountGroup{{ID: "g"}}, Company: "Acme", TimeZone: "CET",
		Attributes: store.Attributes{"title": []byte(`"Dr"`)}, Version: 7, Created: now.Add(-time.Hour), ResourceID: "u",
		Facts: store.Facts{WasActive: true, Company: "Acme", Login: &store.LoginFacts{Keys: []string{"id/1"}}},
	}
	why := policy.Reason{Option: "deleteAfterDays", Effect: policy.EffectDeleted}
	want := store.Account{
		ID: before.ID, Connection: before.Connection, HostID: before.HostID, Version: before.Version + 1, Created: before.Created, Modified: now,
		Status: policy.StatusDeleted, Authentication: policy.AuthenticationSSO, TwoFactor: policy.TwoFactorSite, Permissions: policy.Permissions{},
		Roles: []string{}, Groups: []store.AccountGroup{}, Reasons: []policy.Reason{why}, Facts: store.Facts{WasActive: true},
	}
	was := before.Clone()
	out := account.Bury(&before, now, why)
	if diff := gocmp.Diff(&want, out.After); diff != "" {
		t.Errorf("tombstone (-want +got):\n%s", diff)
	}
	if diff := gocmp.Diff(was, &before); diff != "" {
		t.Errorf("the account before was changed (-want +got):\n%s", diff)
	}
	if out.Event != store.AccountDeleted || len(out.Changes) != 1 || out.Changes[0].Attribute != "status" || !out.BecameDeleted() || out.BecameAdmin() {
		t.Errorf("outcome %+v", out)
	}
}

// TestCompare is for changes that are no decision.
func TestCompare(t *testing.T) {
	admin := &store.Account{Version: 3, Status: policy.StatusActive, SiteAdmin: true}
	out := account.Compare(admin, admin.Clone(), now, store.AccountUpdated)
	if !out.Changed || out.Event != "" || out.After.Version != 4 || out.BecameAdmin() || out.BecameDeleted() {
		t.Errorf("a note alone: %+v", out)
	}
	out = account.Compare(&store.Account{}, admin.Clone(), now)
	if !out.BecameAdmin() || out.Event != store.AccountActivated {
		t.Errorf("a new admin: %+v", out)
	}
	tombstone := &store.Account{Status: policy.StatusDeleted}
	if out = account.Compare(tombstone, tombstone.Clone(), now); out.Changed || out.BecameDeleted() {
		t.Errorf("a tombstone: %+v", out)
	}
	if out = account.Compare(nil, tombstone.Clone(), now); out.Changed || out.BecameDeleted() {
		t.Errorf("a tombstone of nobody: %+v", out)
	}
}
