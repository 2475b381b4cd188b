package account_test

import (
	"bytes"
	"cmp"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/scimjit/provision/internal/account"
	"github.com/scimjit/provision/policy"
	"github.com/scimjit/provision/store"
)

// decideCase is one case of testdata/decide: what becomes of the account of Ann,
// whose resource is "ann".
type decideCase struct {
	Name   string          `json:"name"`
	Policy json.RawMessage `json:"policy"`
	Before *accountData    `json:"before"` // absent for a new account
	Next   json.RawMessage `json:"next"`   // what is different from before

	Memberships []string          `json:"memberships"` // "member group source"
	ExternalIDs map[string]string `json:"externalIds"` // of groups

	Source store.Source `json:"source"` // default: scim
	LogsIn bool         `json:"logsIn"`
	Trace  bool         `json:"trace"`

	OtherAdmin bool   `json:"otherAdmin"` // the answers
	MayGo      string `json:"mayGo"`      // default: hold

	Want decideWant `json:"want"`
}

// decideWant is what the case expects.
type decideWant struct {
	Decides     policy.Status     `json:"decides"` // default: the status of after
	NotAdmitted bool              `json:"notAdmitted"`
	Reasons     [][4]string       `json:"reasons"` // of the decision, where they matter
	Open        []string          `json:"open"`
	Changes     []string          `json:"changes"` // attributes
	Notes       []store.EventType `json:"notes"`
	Event       store.EventType   `json:"event"`
	Is          []string          `json:"is"`    // see is
	After       *accountData      `json:"after"` // absent where it is refused
}

// accountData is an account as the cases write it. The zero value is that of an
// active person to whom the policy gives nothing.
type accountData struct {
	Resource       string                `json:"resource"` // default: ann; "-" for none
	UserName       string                `json:"userName"`
	Email          string                `json:"email"`
	EmailVerified  bool                  `json:"emailVerified"`
	Status         policy.Status         `json:"status"` // default: active
	Held           bool                  `json:"held"`
	Authentication policy.Authentication `json:"authentication"` // default: sso
	SiteAdmin      bool                  `json:"siteAdmin"`
	ReadOnly       bool                  `json:"readOnlySiteAdmin"`
	Roles          []string              `json:"roles"`
	Groups         []groupData           `json:"groups"`
	TwoFactor      policy.TwoFactor      `json:"twoFactor"` // default: site
	Permissions    policy.Permissions    `json:"permissions"`
	Company        string                `json:"company"`
	TimeZone       string                `json:"timeZone"`
	Reasons        [][4]string           `json:"reasons"` // option, pattern, group, effect
	Facts          store.Facts           `json:"facts"`   // wasActive is true for an active account
}

// groupData is a group of an account: "id/name source", with " admin" for an
// admin of the group. Without a name it is the id.
type groupData string

func (g groupData) group() store.AccountGroup {
	parts := strings.Fields(string(g))
	id, name, _ := strings.Cut(parts[0], "/")
	return store.AccountGroup{ID: id, Name: cmp.Or(name, id), Source: store.Source(parts[1]), Admin: len(parts) == 3 && parts[2] == "admin"}
}

func (d *accountData) account() *store.Account {
	a := &store.Account{
		ID: "a1", Connection: "acme", ResourceID: "ann", Version: 1, Created: created, Modified: created,
		UserName: d.UserName, Email: d.Email, EmailVerified: d.EmailVerified, Status: policy.StatusActive, Held: d.Held,
		Authentication: policy.AuthenticationSSO, SiteAdmin: d.SiteAdmin, ReadOnlySiteAdmin: d.ReadOnly,
		Roles: append([]string{}, d.Roles...), Groups: []store.AccountGroup{},
		TwoFactor: policy.TwoFactorSite, Permissions: policy.Permissions{"ftp": nil, "sftp": nil, "webdav": nil},
		Company: d.Company, TimeZone: d.TimeZone, Reasons: reasons(d.Reasons), Facts: d.Facts,
	}
	set(&a.Status, d.Status)
	set(&a.Authentication, d.Authentication)
	set(&a.TwoFactor, d.TwoFactor)
	if d.Permissions != nil {
		a.Permissions = d.Permissions
	}
	if d.Resource != "" {
		a.ResourceID = strings.Trim(d.Resource, "-")
	}
	for _, g := range d.Groups {
		a.Groups = append(a.Groups, g.group())
	}
	a.Facts.WasActive = a.Facts.WasActive || a.Status == policy.StatusActive
	return a
}

func set[T comparable](to *T, value T) {
	var zero T
	if value != zero {
		*to = value
	}
}

func reasons(list [][4]string) []policy.Reason {
	out := make([]policy.Reason, len(list))
	for i, r := range list {
		effect, value, _ := strings.Cut(r[3], " ")
		out[i] = policy.Reason{Option: r[0], Pattern: r[1], Group: r[2], Effect: policy.Effect(effect), Value: value}
	}
	return out
}

var (
	created = time.Date(2030, 1, 2, 3, 4, 5, 0, time.UTC)
	now     = created.AddDate(0, 1, 0)
)

// next returns the account with the change of the case.
func (c *decideCase) next(t *testing.T) *store.Account {
	t.Helper()
	var d accountData
	if c.Before != nil {
		decode(t, encode(t, c.Before), &d)
	}
	if c.Next != nil {
		decode(t, c.Next, &d)
	}
	next := d.account()
	if c.Before == nil {
		*next = store.Account{ID: next.ID, Connection: next.Connection, ResourceID: next.ResourceID, Created: now, UserName: next.UserName, Email: next.Email, Facts: d.Facts}
	}
	return next
}

func (c *decideCase) input(t *testing.T) account.Input {
	t.Helper()
	config, err := policy.Parse(c.Policy)
	if err != nil {
		t.Fatal(err)
	}
	in := account.Input{
		Next: c.next(t), Groups: graph(c.Memberships, c.ExternalIDs, "ann"), Policy: compile(t, config),
		Now: now, Source: store.SourceSCIM, LogsIn: c.LogsIn, Trace: c.Trace,
	}
	if c.Before != nil {
		in.Before = c.Before.account()
	}
	set(&in.Source, c.Source)
	return in
}

func compile(t *testing.T, config policy.Config) *policy.Policy {
	t.Helper()
	p, err := config.Compile()
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// graph reads what rows say of people and of the groups above them, as a caller
// reads it from a store.
func graph(rows []string, externalIDs map[string]string, people ...string) *account.Graph {
	var all []store.Membership
	for _, row := range rows {
		parts := strings.Fields(row)
		all = append(all, store.Membership{Member: parts[0], Group: parts[1], Source: store.Source(parts[2]), Display: parts[1]})
	}
	slices.SortStableFunc(all, func(a, b store.Membership) int { return strings.Compare(a.Member, b.Member) })
	g := &account.Graph{}
	for next := people; len(next) > 0; {
		next = g.Put(slices.DeleteFunc(slices.Clone(all), func(m store.Membership) bool { return !slices.Contains(next, m.Member) }))
		for _, group := range next {
			g.PutExternalID(group, externalIDs[group])
		}
	}
	return g
}

var verdicts = map[string]account.Verdict{
	"": account.Hold, "let go": account.LetGo, "force": account.Force, "release": account.Release, "keep": account.Keep,
}

var questions = map[account.Question]string{account.OtherAdmin: "otherAdmin", account.MayGo: "mayGo"}

// is names what is true of an outcome.
func is(leaves bool, out *account.Output) []string {
	var list []string
	for _, flag := range []struct {
		name string
		set  bool
	}{
		{"leaving", leaves}, {"refused", out.Refused}, {"changed", out.Changed}, {"counted", out.Counted}, {"kept", out.Kept},
		{"new admin", out.BecameAdmin()}, {"deleted", out.BecameDeleted()},
	} {
		if flag.set {
			list = append(list, flag.name)
		}
	}
	return list
}

func TestDecide(t *testing.T) {
	files, err := filepath.Glob("testdata/decide/*.json")
	if err != nil || len(files) == 0 {
		t.Fatal("no cases: ", err)
	}
	for _, file := range files {
		var cases []decideCase
		read(t, file, &cases)
		for _, c := range cases {
			t.Run(strings.TrimSuffix(filepath.Base(file), ".json")+"/"+c.Name, func(t *testing.T) { c.run(t) })
		}
	}
}

func (c *decideCase) run(t *testing.T) {
	verdict, ok := verdicts[c.MayGo]
	if !ok {
		t.Fatalf("unknown verdict %q", c.MayGo)
	}
	in := c.input(t)
	version := in.Next.Version
	d := account.Decide(in)
	alone, reasons := d.Account(), d.Reasons()
	open, leaves := d.Open(), d.Leaves() // before the guards have had their say
	out := d.Settle(account.Answers{OtherAdmin: c.OtherAdmin, MayGo: verdict})

	got := decideWant{Decides: d.Status(), NotAdmitted: !d.Admitted(), Notes: out.Notes, Event: out.Event, Is: is(leaves, &out)}
	for _, q := range open {
		got.Open = append(got.Open, questions[q])
	}
	for _, change := range out.Changes {
		if out.Event == store.AccountCreated {
			break // all that it is created with
		}
		got.Changes = append(got.Changes, change.Attribute)
	}
	want := c.Want
	want.After, want.Reasons = nil, nil
	if c.Want.After != nil {
		set(&want.Decides, c.Want.After.account().Status)
		set(&want.Decides, c.Want.Decides)
	}
	if diff := gocmp.Diff(want, got); diff != "" {
		t.Errorf("outcome (-want +got):\n%s", diff)
	}
	if d.ID() != in.Next.ID {
		t.Errorf("the account is %q", d.ID())
	}
	if alone.Status != d.Status() {
		t.Errorf("the account by the policy alone is %s, want %s", alone.Status, d.Status())
	}
	c.compare(t, version, &out)
	if c.Want.Reasons != nil {
		if diff := gocmp.Diff(c.Want.Reasons, texts(reasons)); diff != "" {
			t.Errorf("reasons of the decision (-want +got):\n%s", diff)
		}
	}
}

func texts(list []policy.Reason) [][4]string {
	var out [][4]string
	for _, r := range list {
		out = append(out, [4]string{r.Option, r.Pattern, r.Group, strings.TrimSpace(string(r.Effect) + " " + r.Value)})
	}
	return out
}

// compare compares the account after, whose version counts what a host sees.
func (c *decideCase) compare(t *testing.T, version int64, out *account.Output) {
	t.Helper()
	if c.Want.After == nil {
		if out.After != nil {
			t.Errorf("after is %+v, want nothing", out.After)
		}
		return
	}
	want := c.Want.After.account()
	want.Version = version
	if c.Before == nil {
		want.Created, want.Modified = now, time.Time{}
	}
	if c.Want.Event != "" || len(c.Want.Notes) > 0 {
		want.Version, want.Modified = version+1, now
	}
	if want.Status == policy.StatusDeleted {
		want.Permissions = policy.Permissions{}
	}
	if diff := gocmp.Diff(want, out.After); diff != "" {
		t.Errorf("account (-want +got):\n%s", diff)
	}
}

// read decodes a file of testdata, in which every field must be known.
func read(t *testing.T, file string, into any) {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	decode(t, data, into)
}

func decode(t *testing.T, data []byte, into any) {
	t.Helper()
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(into); err != nil {
		t.Fatal(err)
	}
}

func encode(t *testing.T, v any) []byte {
	t.Helper()
	data, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return data
}
