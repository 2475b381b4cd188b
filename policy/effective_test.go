package policy_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/scimjit/provision/policy"
)

func TestEffectiveTwoFactor(t *testing.T) {
	var tests []struct {
		Site, User          policy.TwoFactor
		Overrides, Required bool
	}
	readData(t, "testdata/twofactor.json", &tests)
	for _, test := range tests {
		if got := policy.EffectiveTwoFactor(test.Site, test.Overrides, test.User); got != test.Required {
			t.Errorf("site %q, overrides %v, user %q: got %v", test.Site, test.Overrides, test.User, got)
		}
	}
}

func TestEffectivePermissions(t *testing.T) {
	var tests []struct {
		Name   string
		User   policy.Permissions
		Groups []policy.Permissions
		Want   policy.Permissions
	}
	readData(t, "testdata/permissions.json", &tests)
	for _, test := range tests {
		t.Run(test.Name, func(t *testing.T) {
			got := policy.EffectivePermissions(test.User, test.Groups...)
			if diff := cmp.Diff(test.Want, got); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		})
	}
}

func TestPermissionsAllows(t *testing.T) {
	yes, no := true, false
	tests := []struct {
		name        string
		permissions policy.Permissions
		protocol    string
		host, want  bool
	}{
		{"allowed", policy.Permissions{"ftp": &yes}, "ftp", false, true},
		{"denied", policy.Permissions{"ftp": &no}, "ftp", true, false},
		{"left to a host that allows", policy.Permissions{"ftp": nil}, "ftp", true, true},
		{"left to a host that denies", policy.Permissions{"ftp": nil}, "ftp", false, false},
		{"not named", nil, "ftp", true, true},
		{"ftp covers FTPS", policy.Permissions{"ftp": &yes}, "ftps", false, true},
		{"no ftp, no FTPS", policy.Permissions{"ftp": &no}, "ftps", true, false},
		{"ftp does not cover SFTP", policy.Permissions{"ftp": &yes}, "sftp", false, false},
		{"any case", policy.Permissions{"FTP": &no}, "Ftp", true, false},
		{"FTPS in any case", policy.Permissions{"Ftp": &no}, "FTPS", true, false},
		{"FTPS named", policy.Permissions{"ftp": &no, "ftps": &yes}, "ftps", false, true},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if got := test.permissions.Allows(test.protocol, test.host); got != test.want {
				t.Errorf("got %v, want %v", got, test.want)
			}
		})
	}
}
