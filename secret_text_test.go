package provision_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/scimjit/provision"
)

const canary = "canary-Xy7"

// Whatever prints a secret says whether there is one, and no more.
func TestSecretTextShowsNothing(t *testing.T) {
	conn := provision.Connection{ID: "acme", LDAP: &provision.LDAP{BindPassword: provision.NewSecret(canary)}}
	var log bytes.Buffer
	slog.New(slog.NewTextHandler(&log, nil)).Info("saved", "secret", conn.LDAP.BindPassword, "ldap", *conn.LDAP)
	slog.New(slog.NewJSONHandler(&log, nil)).Info("saved", "secret", conn.LDAP.BindPassword, "ldap", conn.LDAP)
	shown := []string{log.String(), conn.LDAP.BindPassword.String()}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
		shown = append(shown, fmt.Sprintf(verb, conn.LDAP.BindPassword), fmt.Sprintf(verb, *conn.LDAP), fmt.Sprintf(verb, conn))
	}
	data, err := json.Marshal(conn)
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range append(shown, string(data)) {
		if strings.Contains(text, canary) || strings.Contains(text, fmt.Sprintf("%x", canary)) {
			t.Errorf("the secret is in %s", text)
		}
	}
	if want := `"bindPassword":{"set":true}`; !strings.Contains(string(data), want) || strings.Contains(string(data), "clientKey") {
		t.Errorf("JSON is %s, want %s and no clientKey", data, want)
	}
}

func TestSecretTextJSON(t *testing.T) {
	for _, test := range []struct {
		json      string
		set, zero bool
	}{
		{`null`, false, true},
		{`{"set":false}`, false, true},
		{`{"set":true}`, true, false},
		{`"new"`, true, false},
		{`""`, false, false}, // it removes one
	} {
		var got provision.SecretText
		if err := json.Unmarshal([]byte(test.json), &got); err != nil || got.Set() != test.set || got.IsZero() != test.zero {
			t.Errorf("%s is %v, zero %t, %v", test.json, got, got.IsZero(), err)
		}
	}
	for _, wrong := range []string{`["` + canary + `"]`, `{"set":"` + canary + `"}`} {
		var s provision.SecretText
		if err := json.Unmarshal([]byte(wrong), &s); err == nil || strings.Contains(err.Error(), canary) {
			t.Errorf("%s: error %v", wrong, err)
		}
	}
}

func key(b byte) []byte { return bytes.Repeat([]byte{b}, 32) }

func keys(t *testing.T, keys ...[]byte) *provision.SecretKeys {
	t.Helper()
	s, err := provision.NewSecretKeys(keys...)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// A sealed text opens by each key that is there, in its place, as it was sealed.
func TestSecretKeys(t *testing.T) {
	sealed, err := keys(t, key(1), key(2)).Seal("acme", "ldap.bindPassword", []byte(canary))
	if err != nil {
		t.Fatal(err)
	}
	again, _ := keys(t, key(1)).Seal("acme", "ldap.bindPassword", []byte(canary))
	if bytes.Equal(sealed, again) || bytes.Contains(sealed, []byte(canary)) {
		t.Error("two seals are the same, or have the text")
	}
	changed := bytes.Clone(sealed)
	changed[len(changed)-1]++
	tests := []struct {
		name       string
		keys       *provision.SecretKeys
		connection string
		secret     string
		sealed     []byte
		opens      bool
	}{
		{"the key that sealed", keys(t, key(1)), "acme", "ldap.bindPassword", sealed, true},
		{"an old key", keys(t, key(3), key(1)), "acme", "ldap.bindPassword", sealed, true},
		{"the second key of the two", keys(t, key(2)), "acme", "ldap.bindPassword", sealed, false},
		{"another connection", keys(t, key(1)), "acm", "eldap.bindPassword", sealed, false},
		{"another name", keys(t, key(1)), "acme", "ldap.clientKey", sealed, false},
		{"changed", keys(t, key(1)), "acme", "ldap.bindPassword", changed, false},
		{"cut", keys(t, key(1)), "acme", "ldap.bindPassword", sealed[:8], false},
		{"nothing", keys(t, key(1)), "acme", "ldap.bindPassword", nil, false},
		{"another format", keys(t, key(1)), "acme", "ldap.bindPassword", append([]byte{2}, sealed[1:]...), false},
	}
	for _, test := range tests {
		text, err := test.keys.Open(test.connection, test.secret, test.sealed)
		if test.opens && string(text) != canary || test.opens != (err == nil) || err != nil && !errors.Is(err, provision.ErrSealed) {
			t.Errorf("%s: opens %q, %v", test.name, text, err)
		}
	}
	for _, wrong := range [][][]byte{nil, {key(1)[:31]}, {key(1), append(key(1), 1)}} {
		if _, err := provision.NewSecretKeys(wrong...); err == nil {
			t.Errorf("%d keys of wrong lengths were taken", len(wrong))
		}
	}
}
