package account_test

import (
	"bytes"
	"encoding/json"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/scimjit/provision/internal/account"
	"github.com/scimjit/provision/store"
)

func TestRead(t *testing.T) {
	var cases []struct {
		Name       string          `json:"name"`
		User       json.RawMessage `json:"user"`
		Attributes []string        `json:"attributes"`
		Want       account.Person  `json:"want"`
	}
	read(t, "testdata/person.json", &cases)
	for _, c := range cases {
		t.Run(c.Name, func(t *testing.T) {
			var paths []account.Path
			for _, name := range c.Attributes {
				path, ok := account.ParsePath(name)
				if !ok || path.Name != name {
					t.Fatalf("path %q is %+v, %t", name, path, ok)
				}
				paths = append(paths, path)
			}
			doc := store.Document(compact(t, c.User))
			got := account.Read(doc, paths)
			for name, value := range c.Want.Attributes {
				c.Want.Attributes[name] = compact(t, value)
			}
			if diff := gocmp.Diff(c.Want, got); diff != "" {
				t.Errorf("person (-want +got):\n%s", diff)
			}
			if active := account.IsActive(doc); active != c.Want.Active {
				t.Errorf("IsActive is %t", active)
			}
			a := store.Account{Status: "active", Company: "ACME", Facts: store.Facts{WasActive: true}}
			want := a
			want.UserName, want.ExternalID, want.Email = c.Want.UserName, c.Want.ExternalID, c.Want.Email
			want.Name, want.DisplayName, want.Attributes = c.Want.Name, c.Want.DisplayName, c.Want.Attributes
			want.Facts.Company, want.Facts.TimeZone = c.Want.Company, c.Want.TimeZone
			got.WriteTo(&a)
			if diff := gocmp.Diff(want, a); diff != "" {
				t.Errorf("account (-want +got):\n%s", diff)
			}
		})
	}
}

func compact(t *testing.T, raw json.RawMessage) json.RawMessage {
	t.Helper()
	var out bytes.Buffer
	if err := json.Compact(&out, raw); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func TestParsePath(t *testing.T) {
	const enterprise = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"
	for _, test := range []struct {
		path string
		ok   bool
	}{
		{"title", true},
		{"name.givenName", true},
		{enterprise + ":department", true},
		{enterprise + ":manager.value", true},
		{"urn:example:User:password", true}, // of an extension it is another attribute
		{"", false},
		{".", false},
		{"name.", false},
		{".givenName", false},
		{"name.given.name", false},
		{"name given", false},
		{`emails[type eq "work"].value`, false},
		{`"title"`, false},
		{enterprise + ":", false},
		{"password", false},
		{"Password", false},
		{"URN:ietf:params:scim:schemas:core:2.0:User:password", false},
	} {
		if _, ok := account.ParsePath(test.path); ok != test.ok {
			t.Errorf("%q is a path: %t, want %t", test.path, ok, test.ok)
		}
	}
}
