package scim_test

import (
	"strings"
	"testing"

	"github.com/scimjit/provision"
	"github.com/scimjit/provision/scim"
)

// Work beyond a limit is refused, with what the limit is, and changes nothing; at the
// limit it is done.
func TestWorkLimits(t *testing.T) {
	for name, open := range stores {
		t.Run(name, func(t *testing.T) {
			s := newService(t, open(t), "okta")
			s.handler.(*scim.Handler).Limits.ScanRows = 2
			s.engine.Limits = provision.Limits{Members: 2}
			ids := []string{
				s.must("POST", "/Users", `{`+coreUser+`"userName":"u0"}`),
				s.must("POST", "/Users", `{`+coreUser+`"userName":"u1"}`),
			}
			group := s.must("POST", "/Groups", `{`+coreGroup+`"displayName":"G"}`)
			scan := func() reply { return s.do("GET", "/Users?filter=title+pr", acmeToken, "") }
			join := func() reply {
				return s.do("PATCH", "/Groups/"+group, acmeToken, `{"schemas":["urn:ietf:params:scim:api:messages:2.0:PatchOp"],"Operations":[{"op":"add","path":"members","value":[{"value":"`+
					strings.Join(ids, `"},{"value":"`)+`"}]}]}`)
			}
			if a := scan(); a.status != 200 {
				t.Errorf("a scan of 2: %d %s", a.status, a.body)
			}
			ids = append(ids, s.must("POST", "/Users", `{`+coreUser+`"userName":"u2"}`))
			if a := scan(); a.status != 400 || !strings.Contains(a.body, `"tooMany"`) {
				t.Errorf("a scan of 3: %d %s, want 400 tooMany", a.status, a.body)
			}
			if a := join(); a.status != 413 || !strings.Contains(a.body, "2") {
				t.Errorf("3 members at once: %d %s, want 413", a.status, a.body)
			}
			if a := s.do("GET", "/Groups/"+group, acmeToken, ""); strings.Contains(a.body, `"value"`) {
				t.Errorf("afterwards: %s", a.body)
			}
			ids = ids[:2]
			if a := join(); a.status >= 300 {
				t.Errorf("2 members at once: %d %s", a.status, a.body)
			}
		})
	}
}
