//go:build unix

package provision_test

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/scimjit/provision"
	"github.com/scimjit/provision/internal/postgrestest"
	"github.com/scimjit/provision/jit"
	"github.com/scimjit/provision/jit/saml"
	"github.com/scimjit/provision/jit/samltest"
	"github.com/scimjit/provision/policy"
	"github.com/scimjit/provision/store"
	"github.com/scimjit/provision/store/postgres"
)

// wired is a tenant on PostgreSQL behind a wire that counts how often it is waited for.
func wired(t *testing.T, policyJSON string) (*tenant, *postgrestest.Wire) {
	t.Helper()
	wire := postgrestest.NewWire(t, postgrestest.Start(t).Database(t))
	st, err := postgres.Open(t.Context(), postgres.Config{URL: wire.URL})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = st.Close() })
	tn := &tenant{t: t, engine: &provision.Engine{Store: st, Logger: slog.New(slog.DiscardHandler)}, clock: newClock()}
	tn.dir = tn.engine.Directory("acme").Via(store.SourceSCIM).As(provision.Actor{Kind: "scim", ID: "credential"})
	tn.setPolicy(policyJSON)
	connect(t, st, 3) // one for each transaction of a login that is refused
	return tn, wire
}

// connect makes a store have so many connections, by views in each other.
func connect(t *testing.T, st store.Store, n int) {
	t.Helper()
	if n == 0 {
		return
	}
	err := st.View(t.Context(), "acme", func(_ context.Context, r store.Reader) error {
		_, err := r.IsMember("nobody", "nobody")
		connect(t, st, n-1)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// loginSite is an application in which people log in by SAML. It counts how often the
// answer of the identity provider waits for the store.
type loginSite struct {
	*tenant
	idp   *samltest.IDP
	url   string
	trips int
}

func newLoginSite(t *testing.T, policyJSON string) *loginSite {
	tn, wire := wired(t, policyJSON)
	s := &loginSite{tenant: tn, idp: samltest.New(t)}
	conn, err := tn.engine.Directory("acme").Connection(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	conn.SAML = &provision.SAML{Metadata: s.idp.Metadata(), AllowIDPInitiated: true}
	if _, err := tn.engine.Directory("acme").As(tester).UpdateConnection(t.Context(), with(conn)); err != nil {
		t.Fatal(err)
	}
	handler := &saml.Handler{
		Engine: tn.engine, Logger: tn.engine.Logger,
		BaseURL: func(connection string) string { return s.url + "/saml/" + connection },
		Login: &jit.LoginHandler{Engine: tn.engine, Logger: tn.engine.Logger, OnLogin: func(w http.ResponseWriter, _ *http.Request, _ *provision.Account, _ string) {
			w.WriteHeader(http.StatusNoContent)
		}},
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !strings.HasSuffix(r.URL.Path, "/acs") {
			handler.ServeHTTP(w, r)
			return
		}
		s.trips = wire.Count(func() { handler.ServeHTTP(w, r) })
	}))
	t.Cleanup(server.Close)
	s.url = server.URL
	return s
}

// A login of somebody known waits five times for the store: for the connection, to take
// its turn with what the identity says, for the account, for its user, and for the
// commit, which has the used keys.
func TestTripsOfLogins(t *testing.T) {
	s := newLoginSite(t, `{"provisionOnFirstLogin":true,"siteAdminGroups":"id:Admins","defaultGroups":["Everybody","Later"],"roleEvidenceMaxAgeDays":30}`)
	s.group("Everybody")
	s.user(`{"userName":"cal@example.com","emails":[{"value":"cal@example.com"}]}`)
	s.user(`{"userName":"dee@example.com","emails":[{"value":"dee@example.com"}]}`)
	ann := samltest.User{Email: "ann@example.com", GivenName: "Ann", Groups: []string{"Admins", "Staff"}}
	silent := samltest.User{Email: "ann@example.com", GivenName: "Ann"}
	renamed := samltest.User{ID: "ann@example.com", Email: "ann@example.com", GivenName: "Anna", Groups: ann.Groups}
	for _, test := range []struct {
		name  string
		who   samltest.User
		later time.Duration
		trips int
	}{
		{"somebody new, with new groups", ann, 0, 16},
		{"somebody new", samltest.User{Email: "bob@example.com", Groups: []string{"Staff"}}, 0, 13},
		{"somebody known", ann, 0, 5},
		{"somebody known, the next day", ann, 24 * time.Hour, 5},
		{"somebody known of whose groups nothing is said", silent, 24 * time.Hour, 5},
		{"somebody known who is renamed", renamed, 24 * time.Hour, 8},
		{"a user of SCIM for the first time", samltest.User{Email: "dee@example.com"}, 0, 5},
		{"a user of SCIM for the first time, who joins a group", samltest.User{Email: "cal@example.com", Groups: []string{"Staff"}}, 0, 9},
		{"a user of SCIM", samltest.User{Email: "cal@example.com", Groups: []string{"Staff"}}, 0, 5},
	} {
		s.engine.Now = func() time.Time { return time.Now().Add(test.later) }
		got := s.idp.Login(t, s.url+"/saml/acme/login", test.who)
		if got.Status != http.StatusNoContent || s.trips != test.trips {
			t.Errorf("%s: %d trips, want %d; status %d: %s", test.name, s.trips, test.trips, got.Status, got.Body)
		}
	}
}

// A batch derives a hundred accounts and waits six times at most, whatever it reads of
// them. The second one finds nobody more. The first after an edit reads, in a trip of its
// own, what the connection has indexed.
func TestTripsOfBatches(t *testing.T) {
	const people = 100
	for _, test := range []struct {
		name          string
		before, after string // policies
		appears       string // a group, at last
		trips         []int  // of each batch of the job
	}{
		{"a new text", `{}`, `{"company":"Acme"}`, "", []int{5, 3}},
		{"a right that is taken away", `{"roles":[{"groups":"Staff","role":"r"}]}`, `{}`, "", []int{5, 3}},
		{"a right that is given", `{}`, `{"roles":[{"groups":"id:nobody,Staff","role":"r"}]}`, "", []int{6, 4}},
		{"people who leave", `{}`, `{"requiredGroups":"Nobody","deprovisionMethod":"delete","deleteAfterDays":3}`, "", []int{5, 3}},
		{"a default group that appears", `{"defaultGroups":["Host A","Later"]}`, `{"defaultGroups":["Host A","Later"]}`, "Later", []int{5, 5}},
	} {
		t.Run(test.name, func(t *testing.T) {
			tn, wire := wired(t, test.before)
			if err := tn.operator().RegisterGroups(t.Context(), provision.HostGroup{ID: "h1", Name: "Host A"}); err != nil {
				t.Fatal(err)
			}
			tn.settings(func(c *provision.Connection) { c.Attributes = []string{"title"} })
			tn.group("Staff", tn.people(people)...)
			tn.engine.Limits = provision.Limits{Inline: 10, Deprovision: -1}
			config, err := policy.Parse([]byte(test.after))
			if err != nil {
				t.Fatal(err)
			}
			tn.settings(func(c *provision.Connection) { c.Policy = config })
			if test.appears != "" {
				tn.group(test.appears)
			}
			var trips []int
			for more := true; more && len(trips) < 10; {
				trips = append(trips, wire.Count(func() { more, err = provision.Work(tn.engine, t.Context(), "acme") }))
				if err != nil {
					t.Fatal(err)
				}
			}
			if !slices.Equal(trips, test.trips) || slices.Max(trips) > 6 {
				t.Errorf("batches of %v trips, want %v", trips, test.trips)
			}
		})
	}
}

// settings changes those of the connection.
func (tn *tenant) settings(fn func(*provision.Connection)) {
	tn.t.Helper()
	_, err := tn.operator().UpdateConnection(tn.t.Context(), func(c *provision.Connection) error {
		fn(c)
		return nil
	})
	if err != nil {
		tn.t.Fatal(err)
	}
}

// A batch of a sync by which a hundred people join a group derives their accounts, and
// waits six times beside what a sync waits for that changes nothing.
func TestTripsOfSyncedMembers(t *testing.T) {
	tn, wire := wired(t, `{"roles":[{"groups":"Staff","role":"r"}]}`)
	everybody := listed{t: t, groups: map[string][]string{"Staff": nil}}
	for i := range 100 {
		name := fmt.Sprintf("u%d", i)
		everybody.users = append(everybody.users, fmt.Sprintf(`{"userName":%q}`, name))
		everybody.groups["Staff"] = append(everybody.groups["Staff"], name)
	}
	nobody := everybody
	nobody.groups = map[string][]string{"Staff": {}}
	sync := func(src listed) int {
		return wire.Count(func() {
			if _, err := tn.dir.Sync(t.Context(), src, provision.SyncOptions{}); err != nil {
				t.Error(err)
			}
		})
	}
	sync(nobody)
	unchanged, joining := sync(nobody), sync(everybody)
	if got := joining - unchanged; got != 6 {
		t.Errorf("%d trips, of which %d are those of a sync that changes nothing: %d, want 6", joining, unchanged, got)
	}
	if n := len(tn.all("r")); n != 100 {
		t.Errorf("%d accounts have the role", n)
	}
}

// all returns the accounts that have a role.
func (tn *tenant) all(role string) (list []*provision.Account) {
	tn.t.Helper()
	found, err := tn.dir.Accounts(tn.t.Context(), store.AccountQuery{})
	if err != nil {
		tn.t.Fatal(err)
	}
	for _, a := range found {
		if slices.Contains(a.Roles, role) {
			list = append(list, a)
		}
	}
	return list
}
