package provision_test

import (
	"errors"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/scimjit/provision"
	"github.com/scimjit/provision/docs"
	"github.com/scimjit/provision/internal/advice"
	"github.com/scimjit/provision/internal/preset"
	"github.com/scimjit/provision/policy"
	"github.com/scimjit/provision/scim"
	"github.com/scimjit/provision/store/memory"
)

// refusalCodes are the codes that a request may be refused with, by protocol.
func refusalCodes(t *testing.T) map[string][]string {
	codes := map[string][]string{
		"saml": slices.Concat(codesIn(t, "policy/denial.go", codeSources["policy/denial.go"]), codesIn(t, "jit/denial.go", codeSources["jit/denial.go"]), codesIn(t, "jit/saml/errors.go", codeSources["jit/saml/errors.go"])),
		"ldap": codesIn(t, "jit/ldap/errors.go", codeSources["jit/ldap/errors.go"]),
		"sync": codesIn(t, "sync_status.go", codeSources["sync_status.go"]),
		"scim": codesIn(t, "credential_auth.go", codeSources["credential_auth.go"]),
	}
	for _, r := range scim.Refusals() {
		codes["scim"] = append(codes["scim"], string(r.Code))
	}
	return codes
}

// Every refusal has a cause, a way to mend it and an anchor in the guide, and a kind of
// change for which every provider has a text.
func TestEveryCodeHasAdvice(t *testing.T) {
	page, err := os.ReadFile("docs/troubleshooting.md")
	if err != nil {
		t.Fatal(err)
	}
	anchors := map[string]bool{}
	for line := range strings.Lines(string(page)) {
		if heading, ok := strings.CutPrefix(strings.TrimLeft(strings.TrimSpace(line), "#"), " "); ok && strings.HasPrefix(line, "##") {
			anchors["docs/troubleshooting.md#"+strings.ReplaceAll(strings.ReplaceAll(strings.ToLower(heading), "'", ""), " ", "-")] = true
		}
	}
	for protocol, codes := range refusalCodes(t) {
		if len(codes) < 3 {
			t.Errorf("%s has %d codes", protocol, len(codes))
		}
		for _, code := range codes {
			row, ok := docs.Find(protocol, code)
			if !ok || row.Cause == "" || row.How == "" || !anchors[row.Guide] {
				t.Errorf("%s %s: %+v", protocol, code, row)
			}
			if kind := advice.Kind(code); !slices.Contains(advice.Kinds(), kind) {
				t.Errorf("%s %s has the kind %q", protocol, code, kind)
			}
		}
	}
	for _, provider := range advice.Providers() {
		if _, known := preset.Lookup(provider); !known && !slices.Contains([]string{"ping", "directory"}, provider) {
			t.Errorf("nobody knows the provider %s", provider)
		}
		for _, kind := range advice.Kinds() {
			if advice.Place(provider, kind) == "" {
				t.Errorf("%s has no place for %s", provider, kind)
			}
		}
	}
}

// A refused request is proved in the words of the provider of its protocol.
func TestProveRequest(t *testing.T) {
	for _, test := range []struct {
		name, dialect, preset string
		request               provision.Request
		provider, place       string
	}{
		{"SCIM of Okta", "okta", "", refusal("not_unique", ""), "okta", "To App"},
		{"SCIM of Entra with SAML", "entra", "okta", refusal("required", ""), "entra", "Mappings"},
		{"a login", "auto", "okta", provision.Request{Protocol: "saml", Status: 403, Code: "conflict"}, "okta", "Attribute Statements"},
		{"SCIM of any, with SAML of Okta", "auto", "okta", refusal("required", ""), "okta", "To App"},
		{"any", "auto", "", refusal("required", ""), "generic", "attribute mapping"},
		{"a directory", "auto", "", provision.Request{Protocol: "ldap", Status: 403, Code: "ldap_ambiguous"}, "directory", "At the directory"},
	} {
		t.Run(test.name, func(t *testing.T) {
			tn := newTenant(t, memory.New(), `{}`)
			_, err := tn.dir.As(tester).UpdateConnection(t.Context(), func(c *provision.Connection) error {
				c.Dialect = test.dialect
				if test.preset != "" {
					c.SAML = &provision.SAML{Preset: test.preset}
				}
				return nil
			})
			if err != nil {
				t.Fatal(err)
			}
			tn.note(test.request)
			page, err := tn.dir.Requests(t.Context(), provision.RequestQuery{})
			if err != nil {
				t.Fatal(err)
			}
			proof, err := tn.dir.ProveRequest(t.Context(), page.Requests[0].ID)
			if err != nil || proof.Remedy == nil || proof.Remedy.Provider != test.provider || !strings.Contains(proof.Remedy.Place, test.place) || proof.Remedy.Cause == "" {
				t.Errorf("%+v, %v", proof.Remedy, err)
			}
		})
	}
	tn := newTenant(t, memory.New(), `{}`)
	if _, err := tn.dir.ProveRequest(t.Context(), "zz"); !errors.Is(err, provision.ErrNotFound) {
		t.Errorf("an unknown request: %v", err)
	}
}

// An account is proved by rule, group, source and the request that wrote the group.
func TestProveAccount(t *testing.T) {
	onOwnStores(t, func(t *testing.T, st provision.Store) {
		tn := newTenant(t, st, `{"siteAdminGroups":"Admins"}`)
		ada := tn.user(`{"userName":"ada","active":true}`)
		admins := tn.group("Admins", ada)
		tn.note(provision.Request{Protocol: "scim", Method: "POST", Path: "/Groups", Status: 201, Resource: admins}, write(ada))
		later := write(admins)
		later.Path = "/Groups/" + admins
		tn.clock.add(60_000_000_000)
		tn.note(later) // after the account has changed
		proof, err := tn.dir.ProveAccount(t.Context(), tn.account("ada").ID)
		if err != nil || len(proof.Evidence) != len(proof.Reasons) {
			t.Fatalf("%+v, %v", proof, err)
		}
		i := slices.IndexFunc(proof.Evidence, func(e provision.Evidence) bool {
			return e.Reason.Option == "siteAdminGroups" && e.Reason.Effect == policy.EffectGranted
		})
		if i < 0 {
			t.Fatalf("no reason: %+v", proof.Reasons)
		}
		e := proof.Evidence[i]
		if e.GroupID != admins || e.Source != "scim" || e.Request == nil || e.Request.Method != http.MethodPost || !strings.Contains(e.Remedy.Place, "group") {
			t.Errorf("%+v, request %+v", e, e.Request)
		}
	})
}
