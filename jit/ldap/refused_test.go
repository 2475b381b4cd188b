package ldap_test

import (
	"context"
	"errors"
	"net/http"
	"strings"
	gosync "sync"
	"testing"

	"github.com/jimlambrt/gldap"

	"github.com/scimjit/provision"
	"github.com/scimjit/provision/internal/ldaptest"
	"github.com/scimjit/provision/jit/ldap"
)

// A password of the service account that was refused is not tried again by whoever posts,
// until it is another one.
func TestRefusedAccountIsNotTriedAgain(t *testing.T) {
	f, bound := loginFake(t)
	const right = "changed"
	good := f.Bind
	f.Bind = func(dn, password string) int {
		code := good(dn, password)
		if strings.HasPrefix(dn, "cn=reader,") && password != right {
			return gldap.ResultInvalidCredentials
		}
		return code
	}
	d := newDoor(t, fakeSettings(f), "x")
	var wg gosync.WaitGroup
	for range 20 {
		wg.Go(func() {
			mine := *d
			if w := mine.post("uid0", "right", nil); w.Code != http.StatusServiceUnavailable {
				t.Errorf("status %d", w.Code)
			}
		})
	}
	wg.Wait()
	if n := len(bound()); n != 1 {
		t.Errorf("the password was tried %d times", n)
	}
	_, err := d.engine.Directory("dir").UpdateConnection(t.Context(), func(c *provision.Connection) error {
		c.LDAP.BindPassword = provision.NewSecret(right)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if w := d.post("uid0", "right", nil); w.Code != http.StatusOK {
		t.Errorf("with the right password: status %d\n%s", w.Code, d.log)
	}
}

// A refusal is of one password: the secret may change without the settings.
func TestRefusalIsOfOnePassword(t *testing.T) {
	f := ldaptest.NewFake(t)
	f.Search = fakeDirectory{people: 10, group: map[string][]string{"cn": {"all"}, "entryUUID": {"aaaaaaaa-0000-0000-0000-000000000000"}}}.search
	f.Bind = func(_, password string) int {
		if password != "right" {
			return gldap.ResultInvalidCredentials
		}
		return gldap.ResultSuccess
	}
	secret := ""
	server, err := ldap.NewServer(ldap.Options{
		Connection: "dir", Settings: fakeSettings(f), Outbound: provision.Outbound{AllowPrivate: true},
		Secret: func(context.Context, string) (string, error) { return secret, nil },
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(server.Close)
	for i, step := range []struct {
		secret string
		binds  int64
	}{{"wrong", 1}, {"wrong", 1}, {"other", 2}, {"other", 2}} {
		secret = step.secret
		_, err := read(t, server, "")
		var wrong *ldap.Error
		if !errors.As(err, &wrong) || wrong.Code != ldap.CodeBind || f.Binds.Load() != step.binds {
			t.Errorf("step %d: %v after %d binds, want %d", i, err, f.Binds.Load(), step.binds)
		}
	}
	secret = "right"
	mustRead(t, server, "")
}
