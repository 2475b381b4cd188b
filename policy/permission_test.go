package policy_test

import (
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/scimjit/provision/policy"
)

// The names of permissions are those of the table and those of the host, in any
// case, and nothing else.
func TestPermissionNames(t *testing.T) {
	yes, no := true, false
	tests := []struct {
		name  string
		given policy.Permissions
		want  policy.Permissions
		wrong string // the name that is refused
	}{
		{"as on a form", policy.Permissions{"WebDAV": &yes, "FTP": &no, "SFTP": nil}, policy.Permissions{"webdav": &yes, "ftp": &no, "sftp": nil}, ""},
		{"of the host", policy.Permissions{"restapi": &yes}, policy.Permissions{"RestAPI": &yes}, ""},
		{"nothing", policy.Permissions{}, policy.Permissions{}, ""},
		{"not given", nil, nil, ""},
		{"one letter more", policy.Permissions{"webdavv": &yes}, nil, "webdavv"},
		{"blank around", policy.Permissions{"ftp ": &yes}, nil, "ftp "},
		{"not of this host", policy.Permissions{"imap": &yes}, nil, "imap"},
		{"a long s", policy.Permissions{"ſftp": &yes}, nil, "ſftp"},
		{"two spellings", policy.Permissions{"FTP": &yes, "ftp": &no}, nil, "ftp"},
		{"two spellings of the host's", policy.Permissions{"RESTAPI": &yes, "restapi": &no}, nil, "restapi"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got, err := test.given.Named("RestAPI")
			if test.wrong != "" {
				var wrong *policy.ConfigError
				if !errors.As(err, &wrong) || wrong.Option != "permissions" || wrong.Value != test.wrong {
					t.Errorf("got %v, want a ConfigError of %q", err, test.wrong)
				}
				return
			}
			if diff := cmp.Diff(test.want, got); diff != "" || err != nil {
				t.Errorf("%v (-want +got)\n%s", err, diff)
			}
			p, err := policy.Config{Permissions: test.given}.Compile("RestAPI")
			if err != nil {
				t.Fatal(err)
			}
			for name, allowed := range test.want {
				if got := p.Config().Permissions[name]; !cmp.Equal(got, allowed) {
					t.Errorf("the policy has %s %v, want %v", name, got, allowed)
				}
			}
		})
	}
}
