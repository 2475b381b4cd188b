package provision_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/scimjit/provision"
	"github.com/scimjit/provision/internal/records"
	"github.com/scimjit/provision/store"
	"github.com/scimjit/provision/store/memory"
	"github.com/scimjit/provision/store/sqlite"
)

// eve is a person whose every name is to be found easily.
const (
	eve     = `{"userName":"eve-kaplan@example.com","externalId":"x-eve-kaplan","active":true,"name":{"givenName":"Eve","familyName":"Kaplan"},"displayName":"Eve Kaplan","emails":[{"value":"eve-kaplan@example.com"}]}`
	renamed = `{"userName":"Kaplan.eve@example.com","externalId":"x-eve-kaplan","active":true,"name":{"givenName":"Eve","familyName":"Kaplan-Ito"},"emails":[{"value":"mail-kaplan@example.com"}]}`
)

// traces returns what a store still has of eve.
func (tn *tenant) traces() (found []string) {
	tn.t.Helper()
	note := func(what string, v any) {
		text, err := json.Marshal(v)
		if err != nil {
			tn.t.Fatal(err)
		}
		if strings.Contains(strings.ToLower(string(text)), "kaplan") {
			found = append(found, what+" "+string(text))
		}
	}
	err := tn.engine.Store.View(tn.t.Context(), "acme", func(_ context.Context, r store.Reader) error {
		events, err := r.Events(0, 0)
		for _, ev := range events {
			note("event", ev)
		}
		accounts, fault := r.Accounts(store.AccountQuery{})
		for _, a := range accounts {
			note("account", a)
		}
		for _, part := range []int{0, 1} {
			entries, err := r.LogEntries(store.LogQuery{Part: part})
			if err != nil {
				return err
			}
			for _, e := range entries {
				note("request", string(e.Data)+strings.Join(e.Keys, " "))
			}
		}
		page, other := r.Query(store.Query{Limit: 10_000})
		for _, res := range page.Resources {
			note("resource", res)
		}
		for _, row := range records.Rows() {
			for _, kind := range []string{row.Name, row.Name + "/table"} { // and of a consumer
				list, err := r.Records(kind, "", 0)
				if err != nil {
					return err
				}
				for _, rec := range list {
					note("record "+kind, rec.Key+string(rec.Value))
				}
			}
		}
		return errors.Join(err, fault, other)
	})
	if err != nil {
		tn.t.Fatal(err)
	}
	return found
}

// A person whose account is deleted leaves everything that is kept, in whichever way
// they are deleted and however many events there are. That they were there stays.
func TestErasure(t *testing.T) {
	for _, way := range []struct {
		name, policy string
		end          func(tn *tenant, user, account string)
	}{
		{"by DELETE", `{"deprovisionMethod":"delete"}`, func(tn *tenant, user, _ string) { tn.remove("User", user) }},
		{"by active", `{"deprovisionMethod":"delete"}`, func(tn *tenant, user, _ string) {
			tn.set(user, strings.Replace(renamed, `"active":true`, `"active":false`, 1))
			tn.remove("User", user) // the resource is the identity provider's
		}},
		{"after days", `{"deprovisionMethod":"delete","deleteAfterDays":3}`, func(tn *tenant, user, _ string) {
			tn.remove("User", user)
			tn.clock.add(4 * 24 * time.Hour)
			tn.runOnce()
		}},
		{"by an operator", `{}`, func(tn *tenant, _, account string) {
			if err := tn.engine.Directory("acme").As(tester).DeleteAccount(tn.t.Context(), account); err != nil {
				tn.t.Fatal(err)
			}
		}},
		{"with the connection", `{"deprovisionMethod":"delete"}`, func(tn *tenant, _, _ string) {
			if err := tn.engine.Directory("acme").DeleteConnection(tn.t.Context(), nil); err != nil {
				tn.t.Fatal(err)
			}
		}},
	} {
		for _, others := range []int{3, 1100} {
			if others > 1000 && way.name != "by DELETE" && way.name != "with the connection" {
				continue // it is the same code
			}
			t.Run(fmt.Sprintf("%s among %d", way.name, others), func(t *testing.T) {
				onEveryStore(t, func(t *testing.T, st store.Store) {
					tn := newTenant(t, st, way.policy)
					tn.engine.Logger = slog.New(slog.DiscardHandler)
					tn.engine.Limits.Deprovision = -1
					tn.engine.RetentionBytes = 1<<20 - 1 // every event is counted
					consumer := tn.engine.Consumer("table")
					refuse := func(_ context.Context, d provision.Delivery) error {
						if d.Account != nil && strings.Contains(d.Account.UserName, "kaplan") {
							return errors.New("nobody named kaplan")
						}
						return nil
					}
					user := tn.user(eve)
					tn.deliverAttempt(consumer, refuse)
					tn.set(user, renamed)
					group := tn.group("G", user)
					for i := range others {
						tn.user(fmt.Sprintf(`{"userName":"user %d"}`, i))
					}
					tn.set(user, eve)
					tn.set(user, renamed)
					tn.runOnce() // counts the events
					account := tn.account("kaplan.eve@example.com").ID
					if len(tn.traces()) < 5 {
						t.Fatalf("the test leaves few traces: %v", tn.traces())
					}
					name := provision.NameID{Value: "login-kaplan@example.com", Format: "urn:oasis:names:tc:SAML:1.1:nameid-format:emailAddress"}
					tn.login(provision.Identity{UserName: "kaplan.eve@example.com", NameID: name, Session: &provision.Session{Index: "s1", NameID: name}})
					before := tn.events(0)
					way.end(tn, user, account)
					if others > 1000 {
						tn.runOnce()
					}
					if diff := cmp.Diff([]string(nil), tn.traces()); diff != "" {
						t.Errorf("traces (-want +got):\n%s", diff)
					}
					after := tn.events(0)
					if diff := cmp.Diff(before, after[:len(before)]); diff != "" || !slices.Contains(after, store.AccountDeleted) {
						t.Errorf("types of the events, deleted %t (-want +got):\n%s", slices.Contains(after, store.AccountDeleted), diff)
					}
					tn.runOnce()
					size, err := records.EventSize.View(t.Context(), st, "acme", "")
					if err != nil || size.Value.Bytes != tn.bytes() {
						t.Errorf("%d bytes are counted, want %d; %v", size.Value.Bytes, tn.bytes(), err)
					}
					_ = group
				})
			})
		}
	}
}

// deliverAttempt delivers to a consumer, which parks who is refused, until nothing
// else waits.
func (tn *tenant) deliverAttempt(c provision.Consumer, fn func(context.Context, provision.Delivery) error) {
	ctx, cancel := context.WithCancel(tn.t.Context())
	_ = c.Deliver(ctx, func(ctx context.Context, d provision.Delivery) error {
		if d.Event.Type == store.DeliveryParked {
			cancel()
		}
		return fn(ctx, d)
	}, provision.DeliveryOptions{Attempts: 1})
}

// A consumer that has seen nothing yet learns of the person what happened, and in the
// end that the account is deleted.
func TestErasedPersonIsDelivered(t *testing.T) {
	onEveryStore(t, func(t *testing.T, st store.Store) {
		tn := newTenant(t, st, `{"deprovisionMethod":"delete"}`)
		user := tn.user(eve)
		account := tn.account("eve-kaplan@example.com").ID
		tn.set(user, renamed)
		tn.remove("User", user)
		var got []string
		err := tn.engine.Consumer("table").DeliverOnce(t.Context(), func(_ context.Context, d provision.Delivery) error {
			if d.Event.AccountID == account {
				got = append(got, fmt.Sprintf("%s, version %d, now %s %q", d.Event.Type, d.Event.Account.Version, d.Account.Status, d.Account.UserName))
			}
			return nil
		})
		want := []string{`account.created, version 1, now deleted ""`, `account.updated, version 2, now deleted ""`, `account.deleted, version 3, now deleted ""`}
		if diff := cmp.Diff(want, got); diff != "" || err != nil {
			t.Errorf("%v (-want +got):\n%s", err, diff)
		}
	})
}

// Those of others stay as they are, also of one who is only disabled.
func TestErasureSparesOthers(t *testing.T) {
	tn := newTenant(t, memory.New(), `{"deprovisionMethod":"delete"}`)
	id := tn.user(ada)
	tn.set(id, `{"userName":"ada2@example.com","externalId":"1","active":true}`)
	before := tn.kept()
	user := tn.user(eve)
	tn.remove("User", user)
	if diff := cmp.Diff(before, tn.kept()[:len(before)]); diff != "" {
		t.Errorf("events of others (-want +got):\n%s", diff)
	}
}

// Many who are deleted while Run erases others come to an end, too, and each event is
// looked at a bounded number of times.
func TestErasureGoesOn(t *testing.T) {
	reads := &eventReads{Store: memory.New()}
	tn := newTenant(t, reads, `{"deprovisionMethod":"delete"}`)
	tn.engine.Limits.Deprovision = -1
	var users []string
	for i := range 20 {
		users = append(users, tn.user(strings.ReplaceAll(eve, "eve-kaplan", fmt.Sprintf("eve-kaplan-%d", i))))
	}
	for i := range 1500 {
		tn.user(fmt.Sprintf(`{"userName":"user %d"}`, i))
	}
	for _, u := range users {
		tn.remove("User", u)
	}
	reads.events = 0
	for more := true; more; {
		var err error
		if more, err = provision.Erase(tn.engine, t.Context(), "acme"); err != nil {
			t.Fatal(err)
		}
	}
	if n := len(tn.kept()); reads.events > 2*n {
		t.Errorf("%d events were looked at, of %d", reads.events, n)
	}
	if traces := tn.traces(); len(traces) > 0 {
		t.Errorf("%d traces, such as %s", len(traces), traces[0])
	}
}

// The file of a database has nothing of a deleted person, either.
func TestErasureOfFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "erase.db")
	st, err := sqlite.Open(t.Context(), sqlite.Config{Path: path})
	if err != nil {
		t.Fatal(err)
	}
	tn := newTenant(t, st, `{"deprovisionMethod":"delete"}`)
	for i := range 300 {
		tn.user(fmt.Sprintf(`{"userName":"user %d"}`, i))
	}
	user := tn.user(eve)
	tn.group("G", user)
	for i := range 20 { // pages are divided and joined
		tn.set(user, []string{renamed, eve}[i%2])
		tn.user(fmt.Sprintf(`{"userName":"other %d"}`, i))
	}
	grep := func() bool {
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		return bytes.Contains(bytes.ToLower(data), []byte("kaplan"))
	}
	tn.remove("User", user)
	if err := st.Close(); err != nil {
		t.Fatal(err)
	}
	if grep() {
		t.Error("the file has the name of a deleted person")
	}
}
