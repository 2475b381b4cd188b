package ldap_test

import (
	"errors"
	"maps"
	"slices"
	"testing"

	"github.com/scimjit/provision"
	"github.com/scimjit/provision/internal/ldaptest"
)

func TestChangesOfSlapd(t *testing.T) {
	changes(t, ldaptest.Slapd(t, ldaptest.SlapdOptions{LDIF: ldaptest.LDIF(20, 3, 5)}))
}

// changes brings who was changed and which groups, with ids of members that it has not.
func changes(t *testing.T, d *ldaptest.Server) {
	t.Helper()
	server := open(t, settings(d), d.Password)
	whole := mustRead(t, server, "")
	// All that is there was changed within the overlap, so the mark is set an hour later
	// by hand: what the server says of its own time must not be waited for.
	mark := later(t, whole.mark)
	if got := mustRead(t, server, mark); len(got.users)+len(got.groups) != 0 || got.mark != mark {
		t.Fatalf("without a change: %d users, %d groups, mark %s", len(got.users), len(got.groups), got.mark)
	}
	back := mustRead(t, server, whole.mark)
	if len(back.users) != 20 || len(back.groups) != 3 {
		t.Errorf("within the overlap: %d users and %d groups", len(back.users), len(back.groups))
	}
	g := back.groups["group1"]
	want := []string{}
	for _, name := range []string{"user5", "user6", "user7", "user8", "user9"} {
		want = append(want, text(whole.users[name].Content, "externalId"))
	}
	if !slices.Equal(g.Members, want) {
		t.Errorf("members %q, want the ids %q", g.Members, want)
	}
}

func TestMarkOfAnotherServer(t *testing.T) {
	options := ldaptest.SlapdOptions{LDIF: ldaptest.LDIF(3, 1, 2)}
	a, b := ldaptest.Slapd(t, options), ldaptest.Slapd(t, options)
	mark := mustRead(t, open(t, settings(a), a.Password), "").mark
	for _, wrong := range []string{mark, "{}", "nonsense", `{"people":{"server":"x","at":"yesterday"},"groups":{"server":"x","at":"1"}}`} {
		if _, err := open(t, settings(b), b.Password).Source(t.Context(), wrong); !errors.Is(err, provision.ErrSyncMark) {
			t.Errorf("mark %s: %v", wrong, err)
		}
	}
}

// A whole sync after any changes is the same as changes and then a whole sync.
func TestChangesConverge(t *testing.T) {
	d := ldaptest.Slapd(t, ldaptest.SlapdOptions{LDIF: ldaptest.LDIF(30, 4, 6)})
	server := open(t, settings(d), d.Password)
	e, fresh := newEngine(t, nil), newEngine(t, nil)
	if _, err := sync(t, e, server); err != nil {
		t.Fatal(err)
	}
	d.Move(t, "uid=user3,ou=people,dc=example,dc=com", "uid=renamed3", "")
	d.Replace(t, "uid=user4,ou=people,dc=example,dc=com", "mail", "other@example.com")
	d.Replace(t, "cn=group2,ou=groups,dc=example,dc=com", "member", "uid=user1,ou=people,dc=example,dc=com", "uid=renamed3,ou=people,dc=example,dc=com")
	d.Delete(t, "uid=user5,ou=people,dc=example,dc=com")
	for _, on := range []*provision.Engine{e, fresh} {
		if _, err := sync(t, on, server); err != nil {
			t.Fatal(err)
		}
	}
	if got, want := state(t, e), state(t, fresh); !maps.EqualFunc(got, want, slices.Equal[[]string]) {
		t.Errorf("after changes %v, fresh %v", got, want)
	}
}
