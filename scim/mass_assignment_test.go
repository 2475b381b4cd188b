package scim_test

import (
	"encoding/json"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/scimjit/provision"
	"github.com/scimjit/provision/policy"
	"github.com/scimjit/provision/scim"
	"github.com/scimjit/provision/store"
)

// grabs are attributes of a user that would grant something if anybody listened
// to them. <admins> is the id of a group whose members are site admins.
var grabs = map[string]string{
	"id":                `"chosen"`,
	"meta":              `{"resourceType":"Group","version":"W/\"99\"","location":"https://evil.example","created":"2001-01-01T00:00:00Z"}`,
	"groups":            `[{"value":"<admins>","display":"Admins","type":"direct"}]`,
	"roles":             `[{"value":"auditor","primary":true},{"value":"admin"},{"value":"siteAdmin"}]`,
	"entitlements":      `[{"value":"siteAdmin"},{"value":"admin"}]`,
	"x509Certificates":  `[{"value":"MIIB"}]`,
	"userType":          `"siteAdmin"`,
	"password":          `"a-password-that-nobody-keeps"`,
	"siteAdmin":         `true`,
	"readOnlySiteAdmin": `true`,
	"admin":             `true`,
	"status":            `"active"`,
	"held":              `false`,
	"wasActive":         `true`,
	"accountId":         `"chosen"`,
	"connection":        `"other"`,
	"authentication":    `"password"`,
	"twoFactor":         `"never"`,
	"permissions":       `{"webdav":true,"ftp":true,"sftp":true}`,
	"attributes":        `{"title":"root"}`,
	"urn:example:params:scim:schemas:extension:admin:2.0:User": `{"siteAdmin":true}`,
}

// massService is a service with a policy that grants by group, the groups that
// it grants by, and the same ids each time.
func massService(t *testing.T, st store.Store, dialect, required string) (s *service, admins string) {
	t.Helper()
	s = newService(t, st, dialect)
	s.engine.Rand = rand.NewChaCha8([32]byte{2})
	now := time.Date(2030, 1, 2, 3, 4, 5, 0, time.UTC)
	s.engine.Now = func() time.Time { return now }
	config, err := policy.Parse([]byte(`{"requiredGroups":"` + required + `","siteAdminGroups":"Admins","groupAdminGroups":"Admins","passwordGroups":"Admins","roles":[{"groups":"Admins","role":"auditor"}]}`))
	if err != nil {
		t.Fatal(err)
	}
	conn := provision.Connection{ID: "acme", Dialect: dialect, SCIM: true, Policy: config, Attributes: []string{"title"}}
	if _, err := s.engine.Directory(conn.ID).As(provision.Actor{Kind: "operator", ID: "test"}).UpdateConnection(t.Context(), with(conn)); err != nil {
		t.Fatal(err)
	}
	return s, s.must("POST", "/Groups", `{`+coreGroup+`"displayName":"Admins"}`)
}

// accounts returns all accounts of acme, facts included.
func (s *service) accounts() []*provision.Account {
	s.t.Helper()
	list, err := s.engine.Directory("acme").Accounts(s.t.Context(), store.AccountQuery{})
	if err != nil {
		s.t.Fatal(err)
	}
	return list
}

// A client that sends everything gets an account like one that sends a user name
// only.
func TestMassAssignment(t *testing.T) {
	const plain = `{` + coreUser + `"userName":"ada@example.com"}`
	for name, open := range stores {
		for _, dialect := range scim.Dialects() {
			for _, required := range []string{"", "Admins"} {
				t.Run(name+"/"+dialect.Name+"/required "+required, func(t *testing.T) {
					twin, _ := massService(t, open(t), dialect.Name, required)
					twin.must("POST", "/Users", plain)
					want := twin.accounts()

					s, admins := massService(t, open(t), dialect.Name, required)
					all := grabAll(plain, admins)
					id := s.must("POST", "/Users", all)
					s.expectNothing("POST", id, want)
					s.must("PUT", "/Users/"+id, all)
					s.expectNothing("PUT", id, want)
					for attribute, value := range grabs {
						value = strings.ReplaceAll(value, "<admins>", admins)
						key := mustText(t, attribute)
						for _, op := range []string{"add", "replace"} {
							s.grab(id, `{"op":"`+op+`","path":`+key+`,"value":`+value+`}`)
							s.grab(id, `{"op":"`+op+`","value":{`+key+`:`+value+`}}`)
						}
						s.expectNothing("PATCH "+attribute, id, want)
					}
					// What does grant is the membership.
					s.must("PATCH", "/Groups/"+admins, `{"schemas":["urn:ietf:params:scim:api:messages:2.0:PatchOp"],"Operations":[{"op":"add","path":"members","value":[{"value":"`+id+`"}]}]}`)
					if a := s.accounts()[0]; !a.SiteAdmin || a.Status != policy.StatusActive {
						t.Errorf("a member of Admins is no admin: %+v", a)
					}
				})
			}
		}
	}
}

// grabAll adds all grabs to a resource.
func grabAll(plain, admins string) string {
	var b strings.Builder
	b.WriteString(strings.TrimSuffix(plain, "}"))
	for attribute, value := range grabs {
		b.WriteString(`,"` + attribute + `":` + strings.ReplaceAll(value, "<admins>", admins))
	}
	return b.String() + "}"
}

// mustText returns a value as JSON.
func mustText(t *testing.T, v any) string {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// grab sends one PATCH operation; it may be refused, as the client's fault.
func (s *service) grab(id, operation string) {
	s.t.Helper()
	a := s.do("PATCH", "/Users/"+id, acmeToken, `{"schemas":["urn:ietf:params:scim:api:messages:2.0:PatchOp"],"Operations":[`+operation+`]}`)
	if a.status != 200 && a.status != 400 {
		s.t.Errorf("%s: %d %s", operation, a.status, a.body)
	}
}

// expectNothing compares all accounts with those of the twin, and looks for what
// the resource must not hold.
func (s *service) expectNothing(what, id string, want []*provision.Account) {
	s.t.Helper()
	if diff := cmp.Diff(want, s.accounts()); diff != "" {
		s.t.Errorf("%s granted something (-want +got):\n%s", what, diff)
	}
	a := s.do("GET", "/Users/"+id, acmeToken, "")
	user := a.json(s.t)
	meta, _ := user["meta"].(map[string]any)
	if user["id"] != id || meta["resourceType"] != "User" || meta["created"] != "2030-01-02T03:04:05.000Z" || meta["location"] != "https://sp.example/scim/v2/Users/"+id {
		s.t.Errorf("%s chose the id or meta: %s", what, a.body)
	}
	for _, attribute := range []string{"groups", "password", "siteAdmin", "status", "attributes", "permissions", "urn:example:params:scim:schemas:extension:admin:2.0:User"} {
		if list, isList := user[attribute].([]any); user[attribute] != nil && (!isList || len(list) > 0) {
			s.t.Errorf("%s left %s: %s", what, attribute, a.body)
		}
	}
	events, err := s.engine.Directory("acme").Events(s.t.Context(), 0, 0)
	if err != nil {
		s.t.Fatal(err)
	}
	for _, ev := range events {
		if text := mustText(s.t, ev); strings.Contains(text, "a-password-that-nobody-keeps") {
			s.t.Errorf("%s: an event holds the password: %s", what, text)
		}
	}
}
