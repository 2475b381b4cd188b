package ldap_test

import (
	"net/http"
	"slices"
	"testing"

	"github.com/scimjit/provision"
	"github.com/scimjit/provision/internal/ldaptest"
)

// memberUid has the account name of people, whatever their userName is mapped to: in whole
// syncs, in those of changes, and at logins.
func TestMemberUidOfMappedUserNames(t *testing.T) {
	d := ldaptest.Slapd(t, ldaptest.SlapdOptions{LDIF: people()})
	mapped := settings(d, func(s *provision.LDAP) { s.Mapping = map[string]string{"userName": "mail"} })
	server := open(t, mapped, d.Password)
	whole := mustRead(t, server, "")
	ada := whole.users["ada@example.com"]
	if g := whole.groups["unix"]; !slices.Contains(g.Members, ada.Key) {
		t.Errorf("members %q, without ada %q", g.Members, ada.Key)
	}
	if g := mustRead(t, server, whole.mark).groups["unix"]; !slices.Contains(g.Members, text(ada.Content, "externalId")) || len(g.Members) != 2 {
		t.Errorf("among changes: members %q", g.Members)
	}
	h := newDoor(t, mapped, d.Password)
	if w := h.post("ada", "correct horse", nil); w.Code != http.StatusOK || !slices.ContainsFunc(h.account.Groups, func(g provision.AccountGroup) bool { return g.Name == "unix" }) {
		t.Errorf("at the login: status %d, %+v\n%s", w.Code, h.account, h.log)
	}
}
