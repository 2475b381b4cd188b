package provision_test

import (
	"bytes"
	gocmp "cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/scimjit/provision"
	"github.com/scimjit/provision/internal/clocktest"
	"github.com/scimjit/provision/jit"
	"github.com/scimjit/provision/policy"
	"github.com/scimjit/provision/store"
	"github.com/scimjit/provision/store/memory"
)

// loginScript is one story of testdata/login.json. A step does one thing and
// says what must follow.
type loginScript struct {
	Name    string
	Dialect string
	NoSCIM  bool
	Policy  json.RawMessage
	Local   []provision.LocalAccount
	Steps   []loginStep
}

type loginStep struct {
	// What happens.
	Login   *loginIdentity
	Create  json.RawMessage // a user by SCIM
	Put     json.RawMessage // a user by SCIM, of Of
	Group   json.RawMessage // a group by SCIM
	Members []string        // of Group
	Join    string          // the group of Of
	Leave   string          // the group of Of
	Delete  string          // a user by SCIM
	Do      string          // disable, enable, deleteAccount, unbind, deleteDue or close (the connection)
	Policy  json.RawMessage
	Advance string
	Of      string // whom it is about
	As      string // a name for what is created, or for who logged in

	// What follows.
	Is       string // the same account or resource as that of a name
	Conflict string // the attribute of which a create is refused
	Denied   policy.Denial
	Cause    []string // texts that the cause names
	Account  map[string]any
	Accounts *int // not deleted
	Groups   []string
	Events   []store.EventType
	Quiet    bool // no event
}

type loginIdentity struct {
	ID, NameID, NameIDFormat, NameQualifier string
	UserName, Email, GivenName, FamilyName  string
	Name, DisplayName, Company, TimeZone    string
	Groups                                  []provision.IdentityGroup
	Evidence                                string
	Attributes                              map[string]string
}

func (i *loginIdentity) identity(t *testing.T) provision.Identity {
	t.Helper()
	evidence, ok := map[string]policy.Evidence{"": policy.EvidenceKnown, "absent": policy.EvidenceAbsent, "overage": policy.EvidenceOverage}[i.Evidence]
	if !ok {
		t.Fatalf("unknown evidence %q", i.Evidence)
	}
	format := i.NameIDFormat
	switch format {
	case "persistent":
		format = jit.NameIDPersistent
	case "transient":
		format = jit.NameIDTransient
	}
	return provision.Identity{
		ID: i.ID, NameID: provision.NameID{Value: i.NameID, Format: format, NameQualifier: i.NameQualifier},
		UserName: i.UserName, Email: i.Email, GivenName: i.GivenName, FamilyName: i.FamilyName,
		Name: i.Name, DisplayName: i.DisplayName, Company: i.Company, TimeZone: i.TimeZone,
		Groups: i.Groups, Evidence: evidence, Attributes: i.Attributes,
	}
}

// hostAccounts is a Linker with a list.
type hostAccounts []provision.LocalAccount

func (h hostAccounts) LocalAccounts(ctx context.Context, _ string, q provision.LocalQuery) ([]provision.LocalAccount, error) {
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	var out []provision.LocalAccount
	for _, a := range h {
		if store.NameKey(a.UserName) == store.NameKey(q.UserName) || q.Email != "" && store.NameKey(a.Email) == store.NameKey(q.Email) {
			out = append(out, a)
		}
	}
	return out, nil
}

// loginRun plays a script.
type loginRun struct {
	*tenant
	resources map[string]string // by the script's name
	accounts  map[string]string
	conn      provision.Connection
	seen      int64
}

func TestLoginScripts(t *testing.T) {
	data, err := os.ReadFile("testdata/login.json")
	if err != nil {
		t.Fatal(err)
	}
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.DisallowUnknownFields()
	var scripts []loginScript
	if err := dec.Decode(&scripts); err != nil {
		t.Fatal(err)
	}
	onEveryStore(t, func(t *testing.T, st store.Store) {
		for i, script := range scripts {
			t.Run(script.Name, func(t *testing.T) {
				id := fmt.Sprintf("c%d", i)
				r := &loginRun{resources: map[string]string{}, accounts: map[string]string{}}
				r.tenant = &tenant{t: t, clock: newClock()}
				r.engine = &provision.Engine{Store: clocktest.New(st, r.clock.Now), Now: r.clock.Now}
				if script.Local != nil {
					r.engine.Linker = hostAccounts(script.Local)
				}
				r.dir = r.engine.Directory(id).Via(store.SourceSCIM).As(provision.Actor{Kind: "scim", ID: "credential"})
				r.conn = provision.Connection{ID: id, Dialect: script.Dialect, SCIM: !script.NoSCIM, Attributes: []string{"title"}}
				r.save(script.Policy)
				for n, step := range script.Steps {
					t.Run(fmt.Sprint("step ", n+1), func(t *testing.T) {
						r.t = t
						r.step(step)
					})
					if t.Failed() {
						return
					}
				}
			})
		}
	})
}

func (r *loginRun) save(policyJSON json.RawMessage) {
	r.t.Helper()
	if policyJSON != nil {
		if err := json.Unmarshal(policyJSON, &r.conn.Policy); err != nil {
			r.t.Fatal(err)
		}
	}
	if _, err := r.engine.Directory(r.conn.ID).As(tester).UpdateConnection(r.t.Context(), with(r.conn)); err != nil {
		r.t.Fatal(err)
	}
}

func (r *loginRun) step(s loginStep) {
	r.t.Helper()
	r.seen = r.tail()
	switch {
	case s.Login != nil:
		tried, wouldFail := r.engine.Directory(r.conn.ID).TryLogin(r.t.Context(), s.Login.identity(r.t))
		if r.tail() != r.seen {
			r.t.Error("a login that is only tried was stored")
		}
		a, err := r.engine.Directory(r.conn.ID).Login(r.t.Context(), s.Login.identity(r.t))
		r.expectTried(tried, wouldFail, a, err)
		r.expectLogin(s, a, err)
	case s.Create != nil:
		res, err := r.put("User", "", s.Create, nil)
		r.created(s, res, err)
	case s.Group != nil:
		res, err := r.put("Group", r.resources[s.Of], s.Group, s.Members)
		r.created(s, res, err)
	case s.Put != nil:
		res, err := r.put("User", r.resources[s.Of], s.Put, nil)
		r.created(s, res, err)
	case s.Join != "":
		r.join(r.resources[s.Join], r.resources[s.Of])
	case s.Leave != "":
		r.leave(r.resources[s.Leave], r.resources[s.Of])
	case s.Delete != "":
		r.remove("User", r.resources[s.Delete])
	case s.Do != "":
		r.do(s)
	case s.Policy != nil:
		r.save(s.Policy)
	case s.Advance != "":
		d, err := time.ParseDuration(s.Advance)
		if err != nil {
			r.t.Fatal(err)
		}
		r.clock.add(d)
	case s.Account == nil && s.Accounts == nil && s.Groups == nil:
		r.t.Fatal("the step does and expects nothing")
	}
	r.expect(s)
}

func (r *loginRun) tail() int64 {
	r.t.Helper()
	list, err := r.dir.Events(r.t.Context(), 0, 0)
	if err != nil {
		r.t.Fatal(err)
	}
	return int64(len(list))
}

func (r *loginRun) put(typ, id string, body json.RawMessage, members []string) (*provision.Resource, error) {
	c := content(r.t, typ, string(body))
	fn := func(d *provision.Draft) error {
		d.Write(c)
		if members != nil {
			d.ClearMembers()
		}
		for _, m := range members {
			d.AddMember(r.resources[m])
		}
		return nil
	}
	if id == "" {
		return r.dir.Create(r.t.Context(), typ, 0, fn)
	}
	return r.dir.Update(r.t.Context(), typ, id, 0, fn)
}

func (r *loginRun) created(s loginStep, res *provision.Resource, err error) {
	r.t.Helper()
	if s.Denied != "" {
		r.expectDenied(s, err)
		return
	}
	if s.Conflict != "" {
		var conflict *store.ConflictError
		if !errors.As(err, &conflict) || conflict.Attribute != s.Conflict {
			r.t.Errorf("error %v, want a conflict of %s", err, s.Conflict)
		}
		return
	}
	if err != nil {
		r.t.Fatal(err)
	}
	if s.Is != "" && res.ID != r.resources[s.Is] {
		r.t.Errorf("the resource is %q, want %q of %q", res.ID, r.resources[s.Is], s.Is)
	}
	if s.As == "" {
		return
	}
	if s.Is == "" && slices.Contains(values(r.resources), res.ID) {
		r.t.Errorf("the resource is not a new one")
	}
	r.resources[s.As] = res.ID
	list, err := r.dir.Accounts(r.t.Context(), store.AccountQuery{})
	if err != nil {
		r.t.Fatal(err)
	}
	for _, a := range list {
		if a.ResourceID == res.ID {
			r.accounts[s.As] = a.ID
		}
	}
}

func values(m map[string]string) (out []string) {
	for _, v := range m {
		out = append(out, v)
	}
	return out
}

func (r *loginRun) do(s loginStep) {
	r.t.Helper()
	operator := r.engine.Directory(r.conn.ID).As(tester)
	var err error
	switch s.Do {
	case "disable":
		err = operator.Disable(r.t.Context(), r.accounts[s.Of])
	case "enable":
		err = operator.Enable(r.t.Context(), r.accounts[s.Of])
	case "deleteAccount":
		err = operator.DeleteAccount(r.t.Context(), r.accounts[s.Of])
	case "unbind":
		err = operator.Unbind(r.t.Context(), r.accounts[s.Of])
	case "deleteDue":
		err = provision.DeleteDue(r.engine, r.t.Context(), r.conn.ID)
	case "close":
		r.conn.Disabled = true
		r.save(nil)
	default:
		r.t.Fatalf("unknown do %q", s.Do)
	}
	if err != nil {
		r.t.Fatal(err)
	}
}

// expectTried compares what a login that was tried said with what came of it.
func (r *loginRun) expectTried(tried *provision.Account, wouldFail error, a *provision.Account, err error) {
	r.t.Helper()
	var want, got *provision.DeniedError
	if errors.As(err, &want) {
		if !errors.As(wouldFail, &got) || got.Code != want.Code {
			r.t.Errorf("tried: %v, want %v", wouldFail, want)
		}
		return
	}
	if wouldFail != nil || err != nil {
		r.t.Errorf("tried: %v, then %v", wouldFail, err)
		return
	}
	if diff := cmp.Diff(a.EventAccount(), tried.EventAccount(), cmpopts.IgnoreFields(store.EventAccount{}, "ID")); diff != "" {
		r.t.Errorf("the account as tried (-then +tried):\n%s", diff)
	}
}

func (r *loginRun) expectDenied(s loginStep, err error) {
	r.t.Helper()
	var denied *provision.DeniedError
	if !errors.As(err, &denied) {
		r.t.Fatalf("error %v, want a refusal with code %s", err, s.Denied)
	}
	if denied.Code != s.Denied {
		r.t.Errorf("code %s (%s), want %s", denied.Code, denied.Cause, s.Denied)
	}
	for _, text := range s.Cause {
		if !strings.Contains(denied.Cause, text) {
			r.t.Errorf("cause %q does not name %q", denied.Cause, text)
		}
		if strings.Contains(denied.Public(), text) {
			r.t.Errorf("the public text %q names %q", denied.Public(), text)
		}
	}
	if s.As != "" {
		r.accounts[s.As] = denied.Account
	}
	if s.Is != "" && denied.Account != r.accounts[s.Is] {
		r.t.Errorf("the refusal names account %q, want that of %q", denied.Account, s.Is)
	}
}

func (r *loginRun) expectLogin(s loginStep, a *provision.Account, err error) {
	r.t.Helper()
	if s.Denied != "" {
		r.expectDenied(s, err)
		return
	}
	if err != nil {
		r.t.Fatal(err)
	}
	if a.Status != policy.StatusActive {
		r.t.Errorf("the account is %s", a.Status)
	}
	if s.Is != "" && a.ID != r.accounts[s.Is] {
		r.t.Errorf("the account is %q (%s), want %q of %q", a.ID, a.UserName, r.accounts[s.Is], s.Is)
	}
	if s.Is == "" && slices.Contains(values(r.accounts), a.ID) {
		r.t.Errorf("the account %q is not a new one", a.ID)
	}
	if s.As != "" {
		r.accounts[s.As], r.resources[s.As] = a.ID, a.ResourceID
	}
	if stored, err := r.dir.Account(r.t.Context(), a.ID); err != nil || cmp.Diff(stored, a) != "" {
		r.t.Errorf("what Login returned is not what is stored: %v %s", err, cmp.Diff(stored, a))
	}
}

func (r *loginRun) expect(s loginStep) {
	r.t.Helper()
	if s.Account != nil {
		name := gocmp.Or(s.Of, s.As, s.Is)
		a, err := r.dir.Account(r.t.Context(), r.accounts[name])
		if err != nil {
			r.t.Fatalf("the account of %q: %v", name, err)
		}
		if diff := cmp.Diff(s.Account, summary(a, s.Account)); diff != "" {
			r.t.Errorf("account of %q (-want +got):\n%s", name, diff)
		}
	}
	if s.Accounts != nil {
		list, err := r.dir.Accounts(r.t.Context(), store.AccountQuery{Statuses: []string{"staged", "active", "disabled"}})
		if err != nil {
			r.t.Fatal(err)
		}
		if len(list) != *s.Accounts {
			r.t.Errorf("%d accounts, want %d", len(list), *s.Accounts)
		}
	}
	if s.Groups != nil {
		page, err := r.dir.Query(r.t.Context(), store.Query{Types: []string{"Group"}, Limit: 100})
		if err != nil {
			r.t.Fatal(err)
		}
		names := []string{}
		for _, g := range page.Resources {
			names = append(names, g.Display)
		}
		if diff := cmp.Diff(s.Groups, names); diff != "" {
			r.t.Errorf("groups (-want +got):\n%s", diff)
		}
	}
	if s.Events != nil || s.Quiet {
		if diff := cmp.Diff(append([]store.EventType{}, s.Events...), r.events(r.seen)); diff != "" {
			r.t.Errorf("events (-want +got):\n%s", diff)
		}
	}
}

// summary returns the members of an account's JSON that want names. Groups are
// their names, with the source after a slash.
func summary(a *provision.Account, want map[string]any) map[string]any {
	data, err := json.Marshal(a)
	if err != nil {
		panic(err)
	}
	var all map[string]any
	if err := json.Unmarshal(data, &all); err != nil {
		panic(err)
	}
	groups := []any{}
	for _, g := range a.Groups {
		groups = append(groups, g.Name+"/"+string(g.Source))
	}
	slices.SortFunc(groups, func(a, b any) int { return strings.Compare(a.(string), b.(string)) })
	all["groups"] = groups
	out := map[string]any{}
	for key := range want {
		out[key] = all[key]
	}
	return out
}

// TestSimultaneousFirstLogins logs one unknown person in many times at once.
func TestSimultaneousFirstLogins(t *testing.T) {
	onEveryStore(t, func(t *testing.T, st store.Store) {
		tn := newTenant(t, st, `{"provisionOnFirstLogin":true}`)
		const clients = 16
		ids := make([]string, clients)
		var wg sync.WaitGroup
		for i := range clients {
			wg.Go(func() {
				// Two engines, as on two replicas.
				engine := tn.engine
				if i%2 == 1 {
					engine = &provision.Engine{Store: tn.engine.Store, Now: tn.clock.Now}
				}
				a, err := engine.Directory("acme").Login(t.Context(), provision.Identity{
					ID: "00u1", UserName: "ann@example.com", Email: "ann@example.com",
					Groups: []provision.IdentityGroup{{Value: "Support"}},
				})
				if err != nil {
					t.Error(err)
					return
				}
				ids[i] = a.ID
			})
		}
		wg.Wait()
		if one := slices.Compact(slices.Sorted(slices.Values(ids))); len(one) != 1 {
			t.Errorf("%d accounts were created: %q", len(one), one)
		}
		if got := groupNames(tn.account("ann@example.com")); len(got) != 1 {
			t.Errorf("groups %q", got)
		}
	})
}

// TestLoginContent stores everything that a login says of somebody new, and once
// more what another says.
func TestLoginContent(t *testing.T) {
	const enterprise = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"
	tn := newTenant(t, memory.New(), `{"provisionOnFirstLogin":true}`)
	id := provision.Identity{
		ID: "00u1", UserName: `Ann "A\B" <L>`, Email: "Ann@example.com", GivenName: "Ann", FamilyName: "Lee",
		Name: "Ann Lee", DisplayName: "Annie", Company: "ACME", TimeZone: "Europe/Berlin",
		Attributes: map[string]string{"nickName": "a", "title": "b", enterprise + ":division": "h"},
	}
	document := func() string {
		a := mustLogin(t, tn, id)
		r, err := tn.dir.Get(t.Context(), "User", a.ResourceID, 0)
		if err != nil {
			t.Fatal(err)
		}
		return string(r.Document)
	}
	want := `{"userName":"Ann \"A\\B\" <L>","name":{"formatted":"Ann Lee","familyName":"Lee","givenName":"Ann"},"displayName":"Annie","nickName":"a","title":"b",` +
		`"timezone":"Europe/Berlin","active":true,"emails":[{"value":"Ann@example.com","type":"work","primary":true}],"` + enterprise + `":{"organization":"ACME","division":"h"}}`
	if diff := cmp.Diff(want, document()); diff != "" {
		t.Errorf("the first login (-want +got):\n%s", diff)
	}
	id = provision.Identity{ID: "00u1", UserName: "ann", Attributes: map[string]string{"title": "c"}}
	want = strings.NewReplacer(`Ann \"A\\B\" <L>`, "ann", `"title":"b"`, `"title":"c"`).Replace(want)
	if diff := cmp.Diff(want, document()); diff != "" {
		t.Errorf("another login (-want +got):\n%s", diff)
	}
}
