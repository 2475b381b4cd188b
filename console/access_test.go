package console_test

import (
	"encoding/json"
	"net/http"
	"reflect"
	"strings"
	"testing"

	"github.com/scimjit/provision"
	"github.com/scimjit/provision/console"
	"github.com/scimjit/provision/policy"
)

// A customer changes what is about their own people. Settings that reach further, and
// addresses where the application reaches private ones, are the operator's; a form that
// sends back what it has read changes nothing of them.
func TestSettingsOfCustomers(t *testing.T) {
	const stored = `"name":"zebra own","scim":true`
	metadata := `"saml":{"metadataURL":"https://idp.example/metadata"}`
	ldap := `"ldap":{"urls":["ldaps://dc1.example"],"baseDNs":["DC=a"]}`
	for _, test := range []struct {
		body           string
		setting        string // that is refused, empty: none
		private        bool   // the application reaches private addresses
		onlyByOperator bool   // an operator may
	}{
		{`{` + stored + `,"policy":{"requiredGroups":"Staff","company":"Example"}}`, "", false, true},
		{`{"name":"other","scim":true,"policy":{"requiredGroups":"Staff"}}`, "", false, true},
		{`{` + stored + `,"dialect":"okta","policy":{"requiredGroups":"Staff"}}`, "", false, true},
		{`{` + stored + `,"policy":{"requiredGroups":"Staff","link":"email","emailDomains":"a.example"}}`, "policy.", false, true},
		{`{` + stored + `,"policy":{"requiredGroups":"Staff","allowEveryoneAdmin":true}}`, "policy.allowEveryoneAdmin", false, true},
		{`{` + stored + `,"policy":{"requiredGroups":"Staff","externalIdImmutable":true}}`, "policy.externalIdImmutable", false, true},
		{`{` + stored + `,"policy":{"requiredGroups":"Staff"},"attributes":["title"]}`, "attributes", false, true},
		{`{` + stored + `,"policy":{"requiredGroups":"Staff"},"disabled":true}`, "disabled", false, true},
		{`{` + stored + `,"policy":{"requiredGroups":"Staff"},` + metadata + `}`, "", false, true},
		{`{` + stored + `,"policy":{"requiredGroups":"Staff"},` + metadata + `}`, "saml.metadataURL", true, true},
		{`{` + stored + `,"policy":{"requiredGroups":"Staff"},` + ldap + `}`, "", false, true},
		{`{` + stored + `,"policy":{"requiredGroups":"Staff"},` + ldap + `}`, "ldap.urls", true, true},
	} {
		for _, who := range []console.Viewer{customer(own, "connection.save"), operator} {
			f := filled(t)
			f.viewer, f.engine.Outbound.AllowPrivate = who, test.private
			before := f.state()
			w := f.send(request{method: "PUT", path: "/connections/own", body: test.body, header: map[string]string{"If-Match": `"1"`}})
			refused := test.setting != "" && who.Role == console.RoleCustomer
			var p console.Problem
			_ = json.Unmarshal(w.Body.Bytes(), &p)
			switch {
			case !refused && w.Code != 200:
				t.Errorf("%s by %s: %d %s", test.body, who.Role, w.Code, w.Body)
			case refused && (w.Code != 403 || p.Code != "setting_operator_only" || !strings.HasPrefix(p.Field, test.setting)):
				t.Errorf("%s by %s: %d %s, want 403 for %s", test.body, who.Role, w.Code, w.Body, test.setting)
			case refused && f.state() != before:
				t.Errorf("%s by %s has changed something", test.body, who.Role)
			}
		}
	}
	f := filled(t)
	f.viewer = customer(own, "policy.preview")
	f.expect("POST", "/connections/own/preview", `{"requiredGroups":"Staff","link":"email","emailDomains":["a.example"]}`, 403, "setting_operator_only")
	f.expect("POST", "/connections/own/preview", `{"requiredGroups":"Nobody"}`, 200, "[")
}

// Each setting and each option has somebody who may change it, and what nobody has thought
// of is the operator's.
func TestSettingFor(t *testing.T) {
	for name, want := range map[string]console.SettingAccess{
		"name": console.ForCustomer, "saml": console.ForCustomer, "saml.preset": console.ForCustomer, "saml.metadataURL": console.ForCustomerOutside,
		"ldap.urls": console.ForCustomerOutside, "ldap.bindPassword": console.ForCustomer, "managedBy": console.ForNobody, "id": console.ForNobody,
		"disabled": console.ForOperator, "attributes": console.ForOperator, "unheard": console.ForOperator, "sam": console.ForOperator,
		"policy.company": console.ForCustomer, "policy.link": console.ForOperator,
	} {
		if got := console.SettingFor(name); got != want {
			t.Errorf("%s is for %s, want %s", name, got, want)
		}
	}
	for _, o := range policy.Options() {
		if got := console.SettingFor("policy." + o.Key); (got == console.ForOperator) != o.OperatorOnly {
			t.Errorf("%s is for %s", o.Key, got)
		}
	}
	// A new field of a connection is thought about here: for whom is it?
	known := "id name dialect policy attributes scim saml ldap disabled managedBy mode until"
	typ := reflect.TypeFor[provision.Connection]()
	for i := range typ.NumField() {
		key, _, _ := strings.Cut(typ.Field(i).Tag.Get("json"), ",")
		if key != "-" && !strings.Contains(" "+known+" ", " "+key+" ") {
			t.Errorf("setting %q: say in access.go who may change it, and here that it was thought of", key)
		}
	}
}

// Nothing of this is ever a customer's, whatever the table says: it decides about others than
// their own people, or past what protects these.
func TestNeverForCustomers(t *testing.T) {
	for _, never := range []string{
		"connections.", "connection.delete", "mode.", "plan.", "links.", "memberships.", "held.", "sync.run", "portal.", "parked.", "hostgroups.save",
		"clock.", "accounts.disable", "accounts.enable", "accounts.delete", "accounts.edit", "accounts.derive", "accounts.unbind",
	} {
		found := false
		for _, o := range console.Operations() {
			if strings.HasPrefix(o.Name, never) {
				found = true
				if o.ForCustomer || o.ForEveryone {
					t.Errorf("%s may be a customer's", o.Name)
				}
			}
		}
		if !found {
			t.Errorf("there is no operation %s", never)
		}
	}
	for _, o := range console.Operations() { // support only reads
		if o.ForSupport && o.Method != http.MethodGet && !strings.HasPrefix(o.Name, "policy.") {
			t.Errorf("%s changes something, and support may", o.Name)
		}
	}
}
