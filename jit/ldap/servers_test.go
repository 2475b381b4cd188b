package ldap_test

import (
	"slices"
	gosync "sync"
	"testing"

	"github.com/jimlambrt/gldap"

	"github.com/scimjit/provision"
	"github.com/scimjit/provision/internal/ldaptest"
	"github.com/scimjit/provision/jit/ldap"
)

// passwords has a fake note the passwords that come.
func passwords(f *ldaptest.Fake) (seen func() []string) {
	var mu gosync.Mutex
	var list []string
	f.Bind = func(_, password string) int {
		mu.Lock()
		defer mu.Unlock()
		list = append(list, password)
		return gldap.ResultSuccess
	}
	return func() []string {
		mu.Lock()
		defer mu.Unlock()
		return slices.Clone(list)
	}
}

// A server that is asked by settings of before, such as by a sync that goes on, never gets
// the password that was given for another one.
func TestNewPasswordGoesToNewServer(t *testing.T) {
	before, after := ldaptest.NewFake(t), ldaptest.NewFake(t)
	before.Search, after.Search = fakeDirectory{people: 10}.search, fakeDirectory{people: 10}.search
	atBefore, atAfter := passwords(before), passwords(after)
	s := fakeSettings(before)
	s.GroupBaseDNs = nil
	d := newDoor(t, s, "old")
	connection := func() provision.Connection {
		c, err := d.engine.Directory("dir").Connection(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	old, err := d.servers.Of(connection())
	if err != nil {
		t.Fatal(err)
	}
	mustRead(t, old, "")
	_, err = d.engine.Directory("dir").UpdateConnection(t.Context(), func(c *provision.Connection) error {
		c.LDAP.URLs, c.LDAP.BindPassword = []string{after.URL}, provision.NewSecret("new")
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	before.Cut() // so that it binds again
	_, err = read(t, old, "")
	wantCode(t, "by the settings of before", err, ldap.CodeSetting)
	fresh, err := d.servers.Of(connection())
	if err != nil || fresh == old {
		t.Fatalf("the directory is that of before, or %v", err)
	}
	mustRead(t, fresh, "")
	if got := [][]string{atBefore(), atAfter()}; slices.Contains(got[0], "new") || slices.Contains(got[1], "old") || len(got[1]) == 0 {
		t.Errorf("passwords %q", got)
	}
}

// Settings that are not saved have a directory of their own, and no stored password for
// another server.
func TestUnsavedSettings(t *testing.T) {
	mine, theirs := ldaptest.NewFake(t), ldaptest.NewFake(t)
	mine.Search, theirs.Search = fakeDirectory{people: 10}.search, fakeDirectory{people: 4}.search
	atMine, atTheirs := passwords(mine), passwords(theirs)
	s := fakeSettings(mine)
	s.GroupBaseDNs = nil
	d := newDoor(t, s, "stored")
	saved, err := d.engine.Directory("dir").Connection(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	pooled, err := d.servers.Of(saved)
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name   string
		change func(*provision.LDAP)
		people int // 0: it is not asked
	}{
		{"another base", func(l *provision.LDAP) { l.BaseDNs = []string{"ou=other,dc=example,dc=com"} }, 10},
		{"another server", func(l *provision.LDAP) { l.URLs = []string{theirs.URL} }, 0},
		{"another server with its password", func(l *provision.LDAP) { l.URLs, l.BindPassword = []string{theirs.URL}, provision.NewSecret("typed") }, 4},
		{"another password", func(l *provision.LDAP) { l.BindPassword = provision.NewSecret("typed") }, 10},
	} {
		edited := saved.Clone()
		tt.change(edited.LDAP)
		server, err := d.servers.Open(edited)
		if err != nil {
			t.Fatal(err)
		}
		if r, err := server.Check(t.Context()); err != nil || r.People != tt.people {
			t.Errorf("%s: %+v, %v", tt.name, r, err)
		}
		server.Close()
		if other, err := d.servers.Of(edited); err != nil || other == pooled {
			t.Errorf("%s: it is the directory of the saved settings, or %v", tt.name, err)
		}
		if pooled, err = d.servers.Of(saved); err != nil {
			t.Fatal(err)
		}
	}
	if got := atTheirs(); slices.Contains(got, "stored") || !slices.Contains(atMine(), "typed") {
		t.Errorf("passwords there %q, and here %q", got, atMine())
	}
}
