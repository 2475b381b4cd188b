package main

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/scimjit/provision"
	"github.com/scimjit/provision/policy"
	"github.com/scimjit/provision/store"
)

func TestAccountPage(t *testing.T) {
	tests := []struct {
		name    string
		account provision.Account
		want    []string
	}{
		{"nothing known", provision.Account{UserName: "ann"},
			[]string{"Logged in: ann", `Roles</th><td><span class="soft">none</span>`, `Groups</th><td><span class="soft">none</span>`, "No option of the policy applied"}},
		{"display name", provision.Account{UserName: "ann", DisplayName: "Ann"}, []string{"Logged in: Ann<"}},
		{"full admin before roles", provision.Account{SiteAdmin: true, Roles: []string{"agent"}}, []string{"<li>site admin</li><li>agent</li>"}},
		{"read-only admin", provision.Account{ReadOnlySiteAdmin: true}, []string{"<td>read-only site admin</td>"}},
		{"groups by name", provision.Account{Groups: []store.AccountGroup{
			{ID: "1", Name: "Zoo", Source: store.SourceDefault}, {ID: "2", Name: "Art", Source: store.SourceJIT, Admin: true},
		}}, []string{"<li>Art (source: jit), group admin</li><li>Zoo (source: default)</li>"}},
		{"reasons", provision.Account{Reasons: []policy.Reason{{Option: "roles", Pattern: "A*", Group: "A&B", Effect: policy.EffectGranted, Value: "x"}}},
			[]string{`<td data-label="Pattern">A*</td><td data-label="Group">A&amp;B</td><td data-label="Effect">granted x</td>`}},
	}
	pages, err := newPages()
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			w := httptest.NewRecorder()
			pages.account(w, httptest.NewRequest(http.MethodPost, "/", nil), &test.account, "")
			if w.Code != http.StatusOK {
				t.Fatalf("%d %s", w.Code, w.Body)
			}
			for _, want := range test.want {
				if !strings.Contains(w.Body.String(), want) {
					t.Errorf("the page lacks %q: %s", want, w.Body)
				}
			}
			if strings.Contains(w.Body.String(), "go on to") {
				t.Error("the page tells a way to go on that is not there")
			}
		})
	}
}
