package provision_test

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math/big"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/scimjit/provision"
	"github.com/scimjit/provision/store"
)

// Each row of the table of warnings warns of a connection, and an ordinary one
// has none.
func TestWarnings(t *testing.T) {
	const saml = `"saml":{"preset":"entra","metadata":"<EntityDescriptor/>"}`
	tests := []struct{ want, settings string }{
		{"", `{"scim":true}`},
		{"", `{"scim":true,` + saml + `,"policy":{"provisionOnFirstLogin":true,"onMissingGroups":"deny"}}`},
		{"no_way_in first_login_without_logins", `{"policy":{"provisionOnFirstLogin":true}}`},
		{"saml_without_metadata saml_without_id", `{"saml":{"preset":"okta"}}`},
		{"saml_without_metadata", `{"saml":{"preset":"okta","mapping":{"id":"uid"}}}`},
		{"", `{"ldap":{"bindDN":"CN=a","bindPassword":{"set":true}}}`},
		{"", `{"ldap":{"bindDN":"CN=a","bindPassword":{"set":true},"login":true},"policy":{"provisionOnFirstLogin":false,"onMissingGroups":"empty"}}`},
		{"nobody_is_created", `{"ldap":{"bindDN":"CN=a","bindPassword":{"set":true},"login":true,"intervalSeconds":-1},"policy":{"provisionOnFirstLogin":false}}`},
		{"ldap_without_password ldap_reads_nothing", `{"ldap":{"bindDN":"CN=a","intervalSeconds":-1}}`},
		{"ldap_without_tls ldap_anonymous", `{"ldap":{"urls":["ldap://dc1.example"],"insecureNoTLS":true}}`},
		{"nobody_is_created", `{` + saml + `,"policy":{"provisionOnFirstLogin":false}}`},
		{"", `{"scim":true,` + saml + `,"policy":{"provisionOnFirstLogin":false}}`},
		{"missing_groups_without_logins", `{"scim":true,"policy":{"onMissingGroups":"empty"}}`},
		{"", `{"scim":true,"policy":{"onMissingGroups":"keep"}}`},
		{"missing_groups_without_use", `{` + saml + `,"policy":{"onMissingGroups":"empty","deprovisionGroups":false}}`},
		{"", `{` + saml + `,"policy":{"onMissingGroups":"empty","deprovisionGroups":false,"requiredGroups":"A"}}`},
		{"link_without_domains", `{"scim":true,"policy":{"link":"email"}}`},
		{"", `{"scim":true,"policy":{"link":"email","emailDomains":"example.com"}}`},
		{"methods_without_deprovisioning", `{"scim":true,"policy":{"deprovisionUsers":false,"deprovisionMethod":"delete"}}`},
		{"delete_with_google", `{"scim":true,"dialect":"google","policy":{"deprovisionMethod":"delete"}}`},
		{"saml_without_metadata saml_without_id delete_with_google", `{"scim":true,"saml":{"preset":"Google"},"policy":{"deprovisionMethod":"delete"}}`},
		{"delete_days_without_delete", `{"scim":true,"policy":{"deleteAfterDays":3}}`},
		{"keep_without_groups", `{"scim":true,"policy":{"provisionGroups":false,"deprovisionGroups":false}}`},
		{"excluded_without_groups included_without_groups", `{"scim":true,"policy":{"provisionGroups":false,"includedGroups":"A","excludedGroups":"B"}}`},
		{"excluded_not_included", `{"scim":true,"policy":{"includedGroups":"Sales*, IT","excludedGroups":"Support"}}`},
		{"included_excluded", `{"scim":true,"policy":{"includedGroups":"Sales*, IT","excludedGroups":"S*, it"}}`},
		{"", `{"scim":true,"policy":{"includedGroups":"Sales*, IT","excludedGroups":"S*"}}`},
		{"default_moment_without_groups", `{"scim":true,"policy":{"defaultGroupsAt":"login"}}`},
		{"default_groups_without_logins", `{"scim":true,"policy":{"defaultGroupsAt":"login","defaultGroups":"A"}}`},
		{"read_only_overridden", `{"scim":true,"policy":{"siteAdminGroups":"*Admins","readOnlySiteAdminGroups":"Read Admins"}}`},
		{"everyone_admin", `{"scim":true,"policy":{"allowEveryoneAdmin":true}}`},
		{"everyone_admin", `{"scim":true,"policy":{"allowEveryoneAdmin":true,"siteAdminGroups":"Admins"}}`},
		{"", `{"scim":true,"policy":{"allowEveryoneAdmin":true,"siteAdminGroups":"*"}}`},
		{"group_admins_without_groups", `{"scim":true,"policy":{"provisionGroups":false,"groupAdminGroups":"A"}}`},
		{"group_admins_excluded", `{"scim":true,"policy":{"groupAdminGroups":"A,b","excludedGroups":"a,B,C"}}`},
		{"group_admins_excluded", `{"scim":true,"policy":{"groupAdminGroups":"Sales Leads","excludedGroups":"* leads"}}`},
		{"", `{"scim":true,"policy":{"groupAdminGroups":"* Leads","excludedGroups":"Sales Leads"}}`},
		{"group_admins_not_included", `{"scim":true,"policy":{"groupAdminGroups":"Leads","includedGroups":"Sales*, IT"}}`},
		{"", `{"scim":true,"policy":{"groupAdminGroups":"Leads","includedGroups":"id:7"}}`},
		{"role_without_groups", `{"scim":true,"policy":{"roles":[{"role":"editor"}]}}`},
		{"evidence_without_logins", `{"scim":true,"policy":{"roleEvidenceMaxAgeDays":0,"siteAdminGroups":"A"}}`},
		{"evidence_without_rights", `{` + saml + `,"policy":{"roleEvidenceMaxAgeDays":7}}`},
		{"", `{"scim":true,"policy":{"roleEvidenceMaxAgeDays":30}}`},
		{"sso_without_password_groups", `{"scim":true,"policy":{"allowSSOForPasswordUsers":true}}`},
		{"sso_without_logins", `{"scim":true,"policy":{"allowSSOForPasswordUsers":true,"passwordGroups":"A"}}`},
		{"forced_company_without_company", `{"scim":true,"policy":{"companyMode":"force"}}`},
	}
	untried := map[string]bool{}
	for _, code := range provision.SettingWarningCodes() {
		untried[code] = true
	}
	for _, test := range tests {
		t.Run(test.settings, func(t *testing.T) {
			c := provision.Connection{ID: "acme"}
			if err := json.Unmarshal([]byte(test.settings), &c); err != nil {
				t.Fatal(err)
			}
			if c.LDAP != nil {
				c.LDAP.BaseDNs = []string{"DC=example"}
				if c.LDAP.URLs == nil {
					c.LDAP.URLs = []string{"ldaps://dc1.example"}
				}
			}
			if err := c.Validate(); err != nil {
				t.Error(err)
			}
			if diff := cmp.Diff(strings.Fields(test.want), codes(t, c.Warnings()), cmpopts.EquateEmpty()); diff != "" {
				t.Errorf("warnings (-want +got):\n%s", diff)
			}
		})
		for _, code := range strings.Fields(test.want) {
			delete(untried, code)
		}
	}
	for code := range untried {
		t.Errorf("no connection has the warning %s", code)
	}
}

// codes returns the codes of warnings, which must be for people, too.
func codes(t *testing.T, list []provision.Warning) []string {
	t.Helper()
	var out []string
	for _, w := range list {
		out = append(out, w.Code)
		if text := w.String(); w.Field == "" || w.Text == "" || !strings.HasPrefix(text, w.Field) || !strings.HasSuffix(text, "["+w.Code+"]") {
			t.Errorf("warning %+v reads %q", w, text)
		}
	}
	return out
}

// warned returns the codes and values of the warnings that events tell after a
// sequence, after the work that is due.
func (tn *tenant) warned(after int64) []string {
	tn.t.Helper()
	tn.runOnce()
	list, err := tn.dir.Events(tn.t.Context(), after, 0)
	if err != nil {
		tn.t.Fatal(err)
	}
	var out []string
	for _, ev := range list {
		if ev.Type != store.ConnectionWarning {
			continue
		}
		var w provision.Warning
		if err := json.Unmarshal(ev.Changes[0].After, &w); err != nil {
			tn.t.Fatal(err)
		}
		if r := ev.Reasons[0]; r.Option != w.Field || r.Value != w.Code || w.Text == "" || ev.Changes[0].Attribute != "warning" {
			tn.t.Errorf("event %+v of warning %+v", ev, w)
		}
		out = append(out, strings.TrimSpace(w.Code+" "+w.Value))
	}
	return out
}

// standing returns the codes and values of the warnings of acme.
func (tn *tenant) standing() []string {
	tn.t.Helper()
	list, err := tn.dir.Warnings(tn.t.Context())
	if err != nil {
		tn.t.Fatal(err)
	}
	codes(tn.t, list)
	var out []string
	for _, w := range list {
		out = append(out, strings.TrimSpace(w.Code+" "+w.Value))
	}
	return out
}

func (tn *tenant) expectWarnings(what string, at int64, told, standing []string) {
	tn.t.Helper()
	expectSame(tn.t, what+": told", told, tn.warned(at))
	expectSame(tn.t, what+": standing", standing, tn.standing())
}

// A credential is warned of before its end, after it, and where it has none. Each
// warning is told once, on every replica together.
func TestWarningsOfCredentials(t *testing.T) {
	onEveryStore(t, func(t *testing.T, st store.Store) {
		tn := newTenant(t, st, `{}`)
		tn.save(provision.Connection{ID: "acme", SCIM: true})
		_, cred := tn.issue(tn.clock.Now().Add(31 * oneDay))
		at := tn.lastEvent()
		tn.expectWarnings("31 days before", at, nil, nil)
		tn.clock.add(oneDay)
		ending := []string{"credential_expiring " + cred.ID}
		tn.expectWarnings("30 days before", at, ending, ending)
		tn.engine = &provision.Engine{Store: tn.engine.Store, Now: tn.clock.Now}
		tn.expectWarnings("after a restart", at, ending, ending)
		tn.clock.add(30 * oneDay)
		expired := "credential_expired " + cred.ID
		tn.expectWarnings("after its end", at, append(ending, expired), []string{expired})
		if _, err := tn.operator().ExtendCredential(t.Context(), cred.ID, tn.clock.Now().Add(10*oneDay)); err != nil {
			t.Fatal(err)
		}
		at = tn.lastEvent()
		tn.expectWarnings("extended by a little", at, ending, ending)

		tn.setCredential(provision.Secret{Token: strings.Repeat("x", 32)}, time.Time{})
		forever := []string{"credential_never_expires " + tn.credentials()[0].ID}
		at = tn.lastEvent()
		tn.expectWarnings("for ever", at, forever, forever)
		if _, err := tn.operator().UpdateConnection(t.Context(), func(c *provision.Connection) error { c.Disabled = true; return nil }); err != nil {
			t.Fatal(err)
		}
		tn.expectWarnings("a disabled connection", tn.lastEvent(), nil, nil)
	})
}

// An edit that makes a setting useless tells it, once.
func TestWarningsOfEdits(t *testing.T) {
	onEveryStore(t, func(t *testing.T, st store.Store) {
		tn := newTenant(t, st, `{}`)
		at := tn.lastEvent()
		tn.save(provision.Connection{ID: "acme", SCIM: true})
		tn.expectWarnings("an ordinary edit", at, nil, nil)
		tn.setPolicy(`{"link":"email"}`)
		link := []string{"link_without_domains"}
		tn.expectWarnings("useless", at, link, link)
		at = tn.lastEvent()
		tn.setPolicy(`{"link":"email","company":"Acme"}`)
		tn.expectWarnings("still useless", at, nil, link)
		tn.setPolicy(`{"link":"email","emailDomains":"example.com"}`)
		tn.expectWarnings("useful", at, nil, nil)

		other := tn.engine.Directory("other")
		if _, err := other.SaveConnection(t.Context(), provision.Connection{}); err != nil {
			t.Fatal(err)
		}
		list, err := other.Events(t.Context(), 0, 0)
		if err != nil || len(list) != 1 || list[0].Type != store.ConnectionUpdated {
			t.Errorf("a new connection, of whose warnings its maker knows: %v, %v", list, err)
		}
	})
}

// A default group that does not exist is warned of, also in an explanation, and one
// that the identity provider has deleted and made again.
func TestWarningsOfDefaultGroups(t *testing.T) {
	onEveryStore(t, func(t *testing.T, st store.Store) {
		tn := newTenant(t, st, `{}`)
		tn.save(provision.Connection{ID: "acme", SCIM: true})
		tn.setPolicy(`{"defaultGroups":["Everyone","Mine"]}`)
		at := tn.lastEvent()
		missing := []string{"default_group_missing Everyone", "default_group_missing Mine"}
		tn.expectWarnings("none is there", at, missing, missing)
		tn.user(ada)
		expectSame(t, "explained", []string{"default_group_missing", "default_group_missing"}, codes(t, tn.explain("ada@example.com").Warnings))

		var waits []string
		for _, r := range tn.explain("ada@example.com").Reasons {
			if r.Option == "defaultGroups" {
				waits = append(waits, r.String())
			}
		}
		expectSame(t, "ada waits", []string{`defaultGroups of "Everyone": not matched`, `defaultGroups of "Mine": not matched`}, waits)

		tn.register("17 mine")
		first := tn.group("everyone")
		tn.expectWarnings("both are there", at, missing, nil)
		tn.carries("ada@example.com", "everyone default", "mine default")

		tn.rename(first, "All")
		again := tn.group("Everyone")
		tn.expectWarnings("renamed: nobody lost it", at, missing, nil)
		tn.remove("Group", again)
		tn.rename(first, "Everyone")
		tn.expectWarnings("renamed back", at, missing, nil)

		tn.remove("Group", first)
		at = tn.lastEvent()
		tn.expectWarnings("deleted", at, missing[:1], missing[:1])
		tn.group("EVERYONE")
		lost := []string{"default_group_lost Everyone"}
		at = tn.lastEvent()
		tn.expectWarnings("made again", at, lost, lost)
		tn.user(`{"userName":"bob@example.com"}`)
		tn.expectWarnings("others get it", at, lost, lost)
		tn.clock.add(31 * oneDay)
		tn.expectWarnings("a month later", at, lost, nil)
	})
}

// The certificates of the identity provider are warned of while none is good for
// longer.
func TestWarningsOfCertificates(t *testing.T) {
	onEveryStore(t, func(t *testing.T, st store.Store) {
		tn := newTenant(t, st, `{}`)
		save := func(days ...int) {
			tn.save(provision.Connection{ID: "acme", SAML: &provision.SAML{Preset: "entra", Metadata: metadataOf(t, tn.clock.Now(), days...)}})
		}
		save(40)
		at := tn.lastEvent()
		tn.expectWarnings("40 days before", at, nil, nil)
		tn.clock.add(20 * oneDay)
		ending := []string{"saml_certificate_expiring 28"}
		tn.expectWarnings("20 days before", at, ending, ending)
		tn.clock.add(21 * oneDay)
		expired := []string{"saml_certificate_expired 28"}
		tn.expectWarnings("after its end", at, append(ending, expired...), expired)
		save(-1, 100)
		at = tn.lastEvent()
		tn.expectWarnings("rolled over", at, nil, nil)
		broken := strings.Replace(metadataOf(t, tn.clock.Now(), 100, 100), "MII", "!!!", 1)
		tn.save(provision.Connection{ID: "acme", SAML: &provision.SAML{Preset: "entra", Metadata: broken}})
		at = tn.lastEvent()
		partial := []string{"saml_metadata_partial"}
		tn.expectWarnings("one of two cannot be read", at, partial, partial)
		tn.save(provision.Connection{ID: "acme", SAML: &provision.SAML{Preset: "entra", Metadata: metadataOf(t, tn.clock.Now())}})
		at = tn.lastEvent()
		unusable := []string{"saml_metadata_unusable"}
		tn.expectWarnings("there is no certificate", at, unusable, unusable)
	})
}

var testKey = func() *rsa.PrivateKey {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	return key
}()

// metadataOf returns metadata with certificates that end so many days after a
// time, whose serial numbers are those.
func metadataOf(t *testing.T, now time.Time, days ...int) string {
	t.Helper()
	var keys strings.Builder
	for _, n := range days {
		c := &x509.Certificate{
			SerialNumber: big.NewInt(int64(max(n, 1))), NotBefore: now.Add(-1000 * oneDay), NotAfter: now.Add(time.Duration(n) * oneDay),
		}
		der, err := x509.CreateCertificate(rand.Reader, c, c, testKey.Public(), testKey)
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&keys, `<KeyDescriptor use="signing"><KeyInfo xmlns="http://www.w3.org/2000/09/xmldsig#"><X509Data><X509Certificate>
			%s</X509Certificate></X509Data></KeyInfo></KeyDescriptor>`, base64.StdEncoding.EncodeToString(der))
	}
	return `<EntityDescriptor xmlns="urn:oasis:names:tc:SAML:2.0:metadata" entityID="https://idp.example.com">` +
		`<IDPSSODescriptor protocolSupportEnumeration="urn:oasis:names:tc:SAML:2.0:protocol">` + keys.String() +
		`<KeyDescriptor use="encryption"><KeyInfo xmlns="http://www.w3.org/2000/09/xmldsig#"><X509Data><X509Certificate>none</X509Certificate></X509Data></KeyInfo></KeyDescriptor>` +
		`<SingleSignOnService Binding="urn:oasis:names:tc:SAML:2.0:bindings:HTTP-POST" Location="https://idp.example.com/sso"/>` +
		`</IDPSSODescriptor></EntityDescriptor>`
}

// save replaces the settings of acme.
func (tn *tenant) save(c provision.Connection) {
	tn.t.Helper()
	if _, err := tn.operator().UpdateConnection(tn.t.Context(), with(c)); err != nil {
		tn.t.Fatal(err)
	}
}
