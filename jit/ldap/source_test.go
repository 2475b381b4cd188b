package ldap_test

import (
	"strings"
	"testing"

	"github.com/scimjit/provision/internal/ldaptest"
)

func TestSourceOfSlapd(t *testing.T) {
	d := ldaptest.Slapd(t, ldaptest.SlapdOptions{LDIF: ldaptest.LDIF(2500, 3, 10)})
	got := mustRead(t, open(t, settings(d), d.Password), "")
	if len(got.users) != 2500 || len(got.groups) != 3 {
		t.Fatalf("%d users and %d groups", len(got.users), len(got.groups))
	}
	u := got.users["user7"]
	if id := text(u.Content, "externalId"); len(id) != 36 || u.Problem != "" {
		t.Errorf("externalId %q, problem %q", id, u.Problem)
	}
	if !strings.Contains(string(u.Content.Document), `"emails":[{"value":"user7@example.com","type":"work","primary":true}]`) {
		t.Errorf("document %s", u.Content.Document)
	}
	if g := got.groups["group1"]; len(g.Members) != 10 || g.Members[0] != got.users["user10"].Key {
		t.Errorf("members %q, the first is not %q", g.Members, got.users["user10"].Key)
	}
	if got.mark == "" {
		t.Error("there is no mark")
	}
}
