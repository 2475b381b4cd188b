package ldap_test

import (
	"testing"

	"github.com/scimjit/provision"
	"github.com/scimjit/provision/internal/preset"
	"github.com/scimjit/provision/jit/ldap"
)

// Each kind of directory that a connection may name has its attributes here.
func TestKinds(t *testing.T) {
	for _, kind := range preset.Directories() {
		err := ldap.Validate("corp", provision.LDAP{
			URLs: []string{"ldaps://dc1.example:636"}, BaseDNs: []string{"DC=example"}, Preset: kind.Name,
		})
		if err != nil {
			t.Errorf("%s: %v", kind.Name, err)
		}
	}
}
