package scim_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/scimjit/provision/scim"
	"github.com/scimjit/provision/store"
	"github.com/scimjit/provision/store/memory"
)

// watch makes a service whose Before records what it is asked and answers by
// veto.
func watch(t *testing.T, st store.Store, veto func(context.Context, scim.Operation) error) (*service, *[]scim.Operation) {
	t.Helper()
	s := newService(t, &noted{Store: st}, "")
	var asked []scim.Operation
	s.handler.(*scim.Handler).Before = func(ctx context.Context, op scim.Operation) error {
		if op.Credential == "" {
			t.Error("Before does not get the credential")
		}
		op.Credential = ""
		asked = append(asked, op)
		return veto(ctx, op)
	}
	return s, &asked
}

func allow(context.Context, scim.Operation) error { return nil }

const (
	patchTitle = `{"schemas":["urn:ietf:params:scim:api:messages:2.0:PatchOp"],"Operations":[{"op":"replace","path":"title","value":"Dr"}]}`
	adaUser    = `{` + coreUser + `"userName":"ada@example.com"}`
)

// beforeRequests are requests of acme, with what Before is asked of each. <user>
// is the id of a user of acme, whom /Me is about.
var beforeRequests = []struct {
	name, method, path, body string
	want                     []scim.Operation
}{
	{"create", "POST", "/Users", `{` + coreUser + `"userName":"new@example.com"}`, []scim.Operation{{Method: "POST", Type: "User"}}},
	{"create a group", "POST", "/Groups", `{` + coreGroup + `"displayName":"New"}`, []scim.Operation{{Method: "POST", Type: "Group"}}},
	{"replace", "PUT", "/Users/<user>", adaUser, []scim.Operation{{Method: "PUT", Type: "User", ID: "<user>"}}},
	{"patch", "PATCH", "/Users/<user>", patchTitle, []scim.Operation{{Method: "PATCH", Type: "User", ID: "<user>"}}},
	{"patch me", "PATCH", "/Me", patchTitle, []scim.Operation{{Method: "PATCH", Type: "User", ID: "<user>"}}},
	{"delete nobody", "DELETE", "/Users/nobody", "", []scim.Operation{{Method: "DELETE", Type: "User", ID: "nobody"}}},
	{"get", "GET", "/Users/<user>", "", nil},
	{"list", "GET", "/Users", "", nil},
	{"search", "POST", "/Users/.search", `{"schemas":["urn:ietf:params:scim:api:messages:2.0:SearchRequest"]}`, nil},
	{"schemas", "GET", "/Schemas", "", nil},
	{"no endpoint", "POST", "/Nothing", "{}", nil},
	{"no method", "PUT", "/Users", "{}", nil},
	{"bulk", "POST", "/Bulk", bulkOf(
		`{"method":"POST","bulkId":"a","path":"/Users","data":{`+coreUser+`"userName":"bulk@example.com"}}`,
		`{"method":"PATCH","path":"/Users/bulkId:a","data":`+patchTitle+`}`,
		`{"method":"DELETE","path":"/Groups/nobody"}`,
	), []scim.Operation{{Method: "POST", Type: "User"}, {Method: "PATCH", Type: "User", ID: "<new>"}, {Method: "DELETE", Type: "Group", ID: "nobody"}}},
	{"bulk in a circle", "POST", "/Bulk", circle, []scim.Operation{{Method: "POST", Type: "Group"}, {Method: "POST", Type: "Group"}}},
	{"delete", "DELETE", "/Users/<user>", "", []scim.Operation{{Method: "DELETE", Type: "User", ID: "<user>"}}},
}

func bulkOf(operations ...string) string {
	return `{"schemas":["urn:ietf:params:scim:api:messages:2.0:BulkRequest"],"Operations":[` + strings.Join(operations, ",") + `]}`
}

// circle makes two groups that are members of each other.
var circle = bulkOf(
	`{"method":"POST","bulkId":"a","path":"/Groups","data":{`+coreGroup+`"displayName":"A","members":[{"value":"bulkId:b"}]}}`,
	`{"method":"POST","bulkId":"b","path":"/Groups","data":{`+coreGroup+`"displayName":"B","members":[{"value":"bulkId:a"}]}}`,
)

// Before is asked once for each write, those of a bulk request included, and for
// nothing else.
func TestBefore(t *testing.T) {
	for name, open := range stores {
		t.Run(name, func(t *testing.T) {
			s, asked := watch(t, open(t), allow)
			user := s.must("POST", "/Users", adaUser)
			s.handler.(*scim.Handler).Me = func(*http.Request, scim.Principal) (string, error) { return user, nil }
			covered := map[string]bool{}
			for _, row := range beforeRequests {
				*asked = nil
				a := s.do(row.method, strings.ReplaceAll(row.path, "<user>", user), acmeToken, row.body)
				if a.status >= 500 {
					t.Errorf("%s: %d %s", row.name, a.status, a.body)
				}
				var want []scim.Operation
				for i, op := range row.want {
					op.Connection = "acme"
					op.ID = strings.ReplaceAll(op.ID, "<user>", user)
					if op.ID == "<new>" && i < len(*asked) {
						op.ID = (*asked)[i].ID
						if len(op.ID) != len(user) {
							t.Errorf("%s: the id is %q, want that of the new user", row.name, op.ID)
						}
					}
					want = append(want, op)
				}
				if diff := cmp.Diff(want, *asked); diff != "" {
					t.Errorf("%s: what Before was asked (-want +got):\n%s", row.name, diff)
				}
				if len(row.want) > 0 {
					covered[scim.RouteOf(row.method, row.path)] = true
				}
			}
			for _, route := range scim.Routes() {
				writes := strings.Contains(route, "*") && !strings.HasPrefix(route, "GET ") && !strings.HasSuffix(route, ".search")
				if writes && !covered[route] {
					t.Errorf("no request of this test is answered by %s", route)
				}
			}
		})
	}
}

// A refused write changes nothing, and the answer is what Before says.
func TestBeforeRefuses(t *testing.T) {
	secret := errors.New("the secret cause")
	tests := []struct {
		name     string
		err      error
		status   int
		scimType string
		detail   string
		logged   bool
	}{
		{"any error", secret, 403, "", "this service does not allow the operation", true},
		{"an Error", &scim.Error{Status: 409, Type: "uniqueness", Detail: "the seats are used up"}, 409, "uniqueness", "the seats are used up", false},
		{"a wrapped Error", fmt.Errorf("asking: %w", &scim.Error{Status: 400, Detail: "not now"}), 400, "", "not now", false},
		{"an Error for later", &scim.Error{Status: 503, Detail: "try again", Err: secret}, 503, "", "try again", true},
		{"what the engine calls not found", store.ErrNotFound, 403, "", "this service does not allow the operation", true},
	}
	for _, test := range tests {
		for name, open := range stores {
			t.Run(test.name+"/"+name, func(t *testing.T) {
				refuse := false
				s, asked := watch(t, open(t), func(context.Context, scim.Operation) error {
					if refuse {
						return test.err
					}
					return nil
				})
				user := s.must("POST", "/Users", adaUser)
				s.handler.(*scim.Handler).Me = func(*http.Request, scim.Principal) (string, error) { return user, nil }
				refuse = true
				before := s.state("acme")
				for _, row := range beforeRequests {
					if len(row.want) == 0 {
						continue
					}
					*asked = nil
					a := s.do(row.method, strings.ReplaceAll(row.path, "<user>", user), acmeToken, row.body)
					if strings.Contains(a.body, secret.Error()) {
						t.Errorf("%s: the answer tells the cause: %s", row.name, a.body)
					}
					if row.path == "/Bulk" {
						if want := fmt.Sprintf(`"status":"%d"`, test.status); a.status != 200 || !strings.Contains(a.body, want) {
							t.Errorf("%s: %d %s, want %s inside", row.name, a.status, a.body, want)
						}
						continue
					}
					if a.status != test.status {
						t.Errorf("%s: %d %s, want %d", row.name, a.status, a.body, test.status)
					}
					checkError(t, a, test.scimType, test.detail)
				}
				if diff := cmp.Diff(before, s.state("acme")); diff != "" {
					t.Errorf("a refused write changed something (-before +after):\n%s", diff)
				}
				if got := s.log.Len() > 0; got != test.logged {
					t.Errorf("logged %t, want %t: %s", got, test.logged, s.log)
				}
			})
		}
	}
}

// Before may ask the engine: it is outside the transaction.
func TestBeforeAsksTheEngine(t *testing.T) {
	for name, open := range stores {
		t.Run(name, func(t *testing.T) {
			var s *service
			s, _ = watch(t, open(t), func(ctx context.Context, op scim.Operation) error {
				if op.Method != http.MethodDelete {
					return nil
				}
				d := s.engine.Directory(op.Connection)
				r, err := d.Get(ctx, op.Type, op.ID, 0)
				if err != nil {
					return err
				}
				if err := d.Delete(ctx, op.Type, op.ID, nil); err != nil {
					return err
				}
				if r.Display != "ada@example.com" {
					t.Errorf("the resource is %q", r.Display)
				}
				return nil
			})
			user := s.must("POST", "/Users", adaUser)
			if a := s.do("DELETE", "/Users/"+user, acmeToken, ""); a.status != http.StatusNotFound {
				t.Errorf("%d %s, want 404: Before was faster", a.status, a.body)
			}
		})
	}
}

// Who is not authenticated, or of another connection, does not reach Before.
func TestBeforeComesAfterAuthentication(t *testing.T) {
	s, asked := watch(t, memory.New(), allow)
	s.do("POST", "/Users", "wrong", adaUser)
	s.do("POST", "/Users", "", adaUser)
	if len(*asked) > 0 {
		t.Errorf("Before was asked %+v", *asked)
	}
	s.do("POST", "/Users", otherToken, adaUser)
	if want := []scim.Operation{{Connection: "other", Method: "POST", Type: "User"}}; !cmp.Equal(*asked, want) {
		t.Errorf("Before was asked %+v, want %+v", *asked, want)
	}
}

// A request whose context ends while Before works is a 503, not a refusal.
func TestBeforeCanceled(t *testing.T) {
	s, _ := watch(t, memory.New(), allow)
	h := s.handler.(*scim.Handler)
	ctx, cancel := context.WithCancel(t.Context())
	s.handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h.Before = func(ctx context.Context, _ scim.Operation) error {
			cancel()
			return fmt.Errorf("asking: %w", ctx.Err())
		}
		h.ServeHTTP(w, r.WithContext(ctx))
	})
	a := s.do("POST", "/Users", acmeToken, adaUser)
	if a.status != http.StatusServiceUnavailable {
		t.Errorf("%d %s, want 503", a.status, a.body)
	}
}

// The undoing of a bulk operation is not asked about.
func TestBeforeDoesNotStopUndo(t *testing.T) {
	s, asked := watch(t, memory.New(), func(_ context.Context, op scim.Operation) error {
		if op.Method == http.MethodDelete {
			return errors.New("no")
		}
		return nil
	})
	before := s.state("acme")
	nameless := strings.Replace(circle, `"displayName":"B",`, "", 1) // the second group cannot be created
	a := s.do("POST", "/Bulk", acmeToken, nameless)
	if a.status != 200 || strings.Contains(a.body, `"status":"201"`) {
		t.Errorf("%d %s", a.status, a.body)
	}
	if got := s.state("acme"); !cmp.Equal(before.Resources, got.Resources) {
		t.Errorf("resources are left: %s", cmp.Diff(before.Resources, got.Resources))
	}
	for _, op := range *asked {
		if op.Method != http.MethodPost {
			t.Errorf("Before was asked %+v", op)
		}
	}
}
