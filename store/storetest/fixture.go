package storetest

import (
	"encoding/json"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/scimjit/provision/policy"
	"github.com/scimjit/provision/store"
)

// base is a time with more digits than any store needs.
func (s *suite) base() time.Time {
	return time.Date(2026, 1, 2, 3, 4, 5, 678901234, time.UTC).Truncate(s.opts.Precision)
}

// resource returns the first version of a resource with its index keys.
func (s *suite) resource(typ, id, document string) *store.Resource {
	return newResource(typ, id, document, s.base())
}

func newResource(typ, id, document string, at time.Time) *store.Resource {
	doc := store.Document(document)
	return &store.Resource{
		ID: id, Type: typ, Version: 1, Created: at, Modified: at.Add(time.Hour),
		Display: display(doc), Document: doc, Keys: keysOf(doc),
	}
}

// display is what schema resource types do for users and groups.
func display(doc store.Document) string {
	for _, name := range []string{"displayName", "userName"} {
		if v, ok := doc.Get(name); ok {
			return v.Text()
		}
	}
	return ""
}

// indexed are the attributes that the resources of the tests are indexed by.
var indexed = map[string]struct {
	path   []string
	exact  bool
	unique bool
}{
	"userName":     {path: []string{"userName"}, unique: true},
	"externalId":   {path: []string{"externalId"}, exact: true},
	"displayName":  {path: []string{"displayName"}},
	"emails.value": {path: []string{"emails", "value"}},
}

func keysOf(doc store.Document) []store.Key {
	keys := []store.Key{} // not nil: a replacement must not keep the old ones
	for name, attribute := range indexed {
		for v := range doc.Values(attribute.path...) {
			keys = append(keys, store.Key{Attribute: name, Value: folded(name, v.Text()), Unique: attribute.unique})
		}
	}
	return keys
}

func folded(attribute, value string) string {
	if indexed[attribute].exact {
		return value
	}
	return store.NameKey(value)
}

// user and group return resources that have little in them.
func (s *suite) user(name string) *store.Resource {
	return s.resource("User", "id-"+name, fmt.Sprintf(`{"userName":%q}`, name))
}

func (s *suite) group(name string) *store.Resource {
	return s.resource("Group", "id-"+name, fmt.Sprintf(`{"displayName":%q}`, name))
}

// account returns an account in which every field has a value.
func (s *suite) account(id, resource string) *store.Account {
	yes := true
	return &store.Account{
		ID: id, Connection: scope, UserName: "User " + id, ExternalID: "ext-" + id, Email: id + "@Example.com",
		Name: "Name " + id, DisplayName: "Display " + id, Status: policy.StatusActive, Authentication: policy.AuthenticationSSO,
		Roles: []string{"admin", "editor"}, Groups: []store.AccountGroup{{ID: "g", Name: "G", Admin: true, Source: store.SourceSCIM}},
		TwoFactor: policy.TwoFactorAlways, Permissions: policy.Permissions{"ftp": &yes, "sftp": nil},
		Company: "Acme", TimeZone: "Europe/Berlin", Attributes: map[string]json.RawMessage{"title": json.RawMessage(`"Dr \u003c"`)},
		Held: true, Version: 7, Reasons: []policy.Reason{{Option: "requiredGroups", Pattern: "a*", Group: "G", Effect: policy.EffectGranted, Value: "editor"}, {Effect: policy.EffectHeld}},
		ResourceID: resource, Created: s.base(), Modified: s.base().Add(time.Minute),
		Facts: store.Facts{
			Company: "ACME", TimeZone: "CET", Blocks: []store.Source{store.SourceSync}, Suppressed: []store.Source{store.SourceSCIM},
			WasActive: true, LoggedIn: true, DefaultGroups: []string{"Everyone"},
			HostGroups:        []store.AccountGroup{{ID: "h", Name: "H", Source: store.SourceDefault}},
			AuthenticationSet: true,
		},
	}
}

// event returns an event in which every field has a value.
func (s *suite) event(id string) *store.Event {
	return &store.Event{
		Time: s.base(), Type: store.AccountUpdated, Connection: scope, Actor: store.Actor{Kind: "scim", ID: "cred"},
		Resource: &store.ResourceRef{Type: "User", ID: id}, AccountID: "acc-" + id,
		Account:    &store.EventAccount{ID: "acc-" + id, HostID: "host-" + id, Status: policy.StatusActive, Version: 7},
		Changes:    []store.Change{{Attribute: "status", Before: json.RawMessage(`"staged"`), After: json.RawMessage(`"active"`)}},
		Reasons:    []policy.Reason{{Option: "provisioning", Effect: policy.EffectLoginDenied, Value: "conflict"}},
		Tolerances: []string{"textBooleans"},
	}
}

// fill writes something of everything to a scope: a user and a group in which
// they are, with account, event and records.
func (s *suite) fill(t *testing.T, st store.Store, scope string) {
	t.Helper()
	updateIn(t, st, scope, func(tx store.Tx) error {
		return all(
			tx.PutResource(s.user("ann")), tx.PutResource(s.user("bob")), tx.PutResource(s.group("staff")),
			put(tx, "id-staff", "id-ann"), put(tx, "id-staff", "id-bob"),
			tx.PutAccount(s.account("acc-ann", "id-ann")),
			tx.AppendEvent(s.event("id-ann")), tx.AppendEvent(s.event("id-bob")),
			tx.AppendLog(entry(0, 1, "odd", "all"), entry(0, 2, "all"), entry(1, 1)),
			tx.PutRecord(&store.Record{Kind: "lease", Key: "k", Value: []byte("v"), Expires: s.base()}),
			tx.PutRecord(&store.Record{Kind: "lease", Key: "l", Value: []byte{0, 255}}),
		)
	})
}

func put(tx store.Tx, group, member string) error {
	_, err := tx.PutMembership(store.Membership{Group: group, Member: member, Source: store.SourceSCIM, Kind: "User"})
	return err
}

// state is all that a scope holds, in a form that can be compared.
type state struct {
	Added       int // resources that are found by a key which was added
	Resources   []*store.Resource
	Total       int
	Memberships []store.Membership
	Accounts    []*store.Account
	First, Last int64
	Events      []string // as JSON: that is all a host sees of them
	Log         []*store.LogEntry
	Found       []string // entries that are found by a key
	Records     []*store.Record
}

// dump reads everything in a scope.
func dump(t *testing.T, st store.Store, scope string) (got state) {
	t.Helper()
	viewIn(t, st, scope, func(r store.Reader) error {
		var s state
		page, err := r.Query(store.Query{Limit: 1 << 20, With: store.WithGroups | store.WithMembers})
		s.Resources, s.Total = page.Resources, page.Total
		for _, group := range s.Resources {
			rows, memberErr := r.Memberships(group.ID, "", 0)
			s.Memberships = append(s.Memberships, rows...)
			err = errors.Join(err, memberErr)
		}
		added, addedErr := r.Query(store.Query{Filter: store.Compare{Path: path(store.String, "userName"), Op: store.EQ, Value: "ann", Key: addedAttribute, Folded: "ann"}})
		s.Added, err = added.Total, errors.Join(err, addedErr)
		accounts, accountErr := r.Accounts(store.AccountQuery{})
		s.Accounts = accounts
		events, eventErr := r.Events(0, 0)
		for _, e := range events {
			text, jsonErr := json.Marshal(e)
			s.Events = append(s.Events, string(text))
			err = errors.Join(err, jsonErr)
		}
		first, last, rangeErr := r.EventRange()
		s.First, s.Last = first, last
		for _, q := range []store.LogQuery{{}, {Part: 1}, {Part: 7}, {Key: "odd"}, {Key: "all"}, {Key: "new"}} {
			entries, logErr := r.LogEntries(q)
			if q.Key == "" {
				s.Log = append(s.Log, entries...)
			}
			for _, number := range entryNumbers(entries) {
				s.Found = append(s.Found, fmt.Sprintf("%+v: %d", q, number))
			}
			err = errors.Join(err, logErr)
		}
		for _, kind := range []string{"lease", "once"} {
			records, recordErr := r.Records(kind, "", 0)
			s.Records = append(s.Records, records...)
			err = errors.Join(err, recordErr)
		}
		got = s
		return errors.Join(err, accountErr, eventErr, rangeErr)
	})
	return got
}

// addedAttribute is the name of keys that no resource has but by AddKeys.
const addedAttribute = "added"

// same fails the test when two values differ. Nil and empty are the same.
func same(t *testing.T, what string, got, want any) {
	t.Helper()
	if diff := cmp.Diff(want, got, cmpopts.EquateEmpty()); diff != "" {
		t.Errorf("%s (-want +got):\n%s", what, diff)
	}
}

// missing and changed are the errors of what is not there and of what has another
// version.
func missing(kind, id string) error { return &store.NotFoundError{Kind: kind, ID: id} }

func changed(kind, id string) error { return &store.VersionError{Kind: kind, ID: id} }

// is fails the test when an error is not the one wanted. Those of missing and changed
// are also the sentinels that callers ask for.
func is(t *testing.T, what string, err, want error) {
	t.Helper()
	if !errors.Is(err, want) || want == nil && err != nil {
		t.Errorf("%s: error %v, want %v", what, err, want)
	}
	for _, sentinel := range []error{store.ErrNotFound, store.ErrVersion} {
		if errors.Is(err, sentinel) != errors.Is(want, sentinel) {
			t.Errorf("%s: error %v is %v: %t", what, err, sentinel, errors.Is(err, sentinel))
		}
	}
}

// conflict fails the test unless err is a conflict on an attribute with a
// resource, or with any where id is empty.
func conflict(t *testing.T, err error, attribute, id string) {
	t.Helper()
	var c *store.ConflictError
	if !errors.As(err, &c) || c.Attribute != attribute || id != "" && c.ID != id {
		t.Errorf("error %v (%+v), want a conflict on %q with %q", err, c, attribute, id)
	}
}

// ids returns the ids of resources, in order.
func ids(resources []*store.Resource) []string {
	list := make([]string, len(resources))
	for i, r := range resources {
		list[i] = r.ID
	}
	return list
}

// strip returns copies of resources as a reader returns them without parts.
func strip(resources ...*store.Resource) []*store.Resource {
	list := make([]*store.Resource, len(resources))
	for i, r := range resources {
		c := *r
		c.Keys, c.Groups, c.Members = nil, nil, nil
		list[i] = &c
	}
	return list
}
