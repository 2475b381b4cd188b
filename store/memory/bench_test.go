package memory_test

import (
	"context"
	"fmt"
	"runtime"
	"testing"
	"time"

	"github.com/scimjit/provision/policy"
	"github.com/scimjit/provision/store"
	"github.com/scimjit/provision/store/memory"
)

const scope = "acme"

// user returns an enterprise user of 1.7 kB, with keys as a schema makes them.
func user(i int) *store.Resource {
	name := fmt.Sprintf("user%07d", i)
	doc := fmt.Appendf(nil, `{"userName":"%[1]s@example.com","externalId":"ext-%[1]s","displayName":"Display %[1]s","active":true,`+
		`"emails":[{"value":"%[1]s@example.com","type":"work","primary":true},{"value":"%[1]s@home.example","type":"home"}],"note":"`, name)
	for len(doc) < 1700-2 {
		doc = append(doc, 'x')
	}
	doc = append(doc, `"}`...)
	key := func(attribute, value string) store.Key { return store.Key{Attribute: attribute, Value: value} }
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	r := &store.Resource{
		ID: fmt.Sprintf("%026d", i*7919%10_000_019), Type: "User", Version: 1, Created: now, Modified: now, Display: "Display " + name,
		Document: doc,
		Keys: []store.Key{
			key("userName", name+"@example.com"), key("externalId", "ext-"+name), key("displayName", "display "+name),
			key("emails.value", name+"@example.com"), key("emails.value", name+"@home.example"),
		},
	}
	r.Keys[0].Unique = true
	return r
}

func account(i int, r *store.Resource) *store.Account {
	name := r.Display[len("Display "):]
	return &store.Account{
		ID: fmt.Sprintf("%026d", i*7907%10_000_019), Connection: scope, UserName: name + "@example.com", ExternalID: "ext-" + name,
		Email: name + "@example.com", Name: "Name " + name, DisplayName: r.Display, Status: policy.StatusActive, Authentication: policy.AuthenticationSSO,
		TwoFactor: policy.TwoFactorSite, Version: 1, ResourceID: r.ID, Created: r.Created, Modified: r.Modified,
		Reasons: []policy.Reason{{Option: "provisionOnFirstLogin", Effect: "admitted"}},
	}
}

// filled returns a store with n users, their accounts, and a group of all.
func filled(tb testing.TB, n int, members bool) *memory.Store {
	tb.Helper()
	s := memory.New()
	for from := 0; from < n; from += 1000 {
		must(tb, s.Update(context.Background(), scope, func(_ context.Context, tx store.Tx) error {
			if from == 0 {
				must(tb, tx.PutResource(&store.Resource{ID: "group", Type: "Group", Version: 1, Document: store.Document(`{}`)}))
			}
			for i := from; i < min(from+1000, n); i++ {
				r := user(i)
				must(tb, tx.PutResource(r))
				must(tb, tx.PutAccount(account(i, r)))
				if members {
					_, err := tx.PutMembership(store.Membership{Group: "group", Member: r.ID, Source: store.SourceSCIM})
					must(tb, err)
				}
			}
			return nil
		}))
	}
	return s
}

func must(tb testing.TB, err error) {
	tb.Helper()
	if err != nil {
		tb.Fatal(err)
	}
}

// BenchmarkMemory measures what one user with an account costs: compare with
// the 1,700 bytes of the document.
func BenchmarkMemory(b *testing.B) {
	const users = 100_000
	for b.Loop() {
		var before, after runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&before)
		s := filled(b, users, false)
		runtime.GC()
		runtime.ReadMemStats(&after)
		b.ReportMetric(float64(after.HeapAlloc-before.HeapAlloc)/users, "B/user")
		runtime.KeepAlive(s)
	}
}

// BenchmarkUsers shows that cost does not depend on the number of users.
func BenchmarkUsers(b *testing.B) {
	for _, users := range []int{1_000, 100_000} {
		s := filled(b, users, true)
		target := user(users / 2)
		byName := store.Compare{Path: store.Path{Keys: []string{"userName"}, Type: store.String}, Op: store.EQ,
			Value: target.Keys[0].Value, Key: "userName", Folded: target.Keys[0].Value}
		view := func(fn func(r store.Reader) error) func(b *testing.B) {
			return func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					must(b, s.View(b.Context(), scope, func(_ context.Context, r store.Reader) error { return fn(r) }))
				}
			}
		}
		update := func(fn func(tx store.Tx) error) func(b *testing.B) {
			return func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					must(b, s.Update(b.Context(), scope, func(_ context.Context, tx store.Tx) error { return fn(tx) }))
				}
			}
		}
		for _, bench := range []struct {
			name string
			run  func(b *testing.B)
		}{
			{"op=get", view(func(r store.Reader) error {
				_, err := r.Resource("User", target.ID, 0)
				return err
			})},
			{"op=get with groups", view(func(r store.Reader) error {
				_, err := r.Resource("User", target.ID, store.WithGroups)
				return err
			})},
			{"op=filter", view(func(r store.Reader) error {
				page, err := r.Query(store.Query{Types: []string{"User"}, Filter: byName, Limit: 10})
				if page.Total != 1 {
					b.Error("not found")
				}
				return err
			})},
			{"op=last page", view(func(r store.Reader) error {
				_, err := r.Query(store.Query{Types: []string{"User"}, Offset: users - 100, Limit: 100})
				return err
			})},
			{"op=replace", update(func(tx store.Tx) error {
				old, err := tx.Resource("User", target.ID, 0)
				if err != nil {
					return err
				}
				next := *old
				next.Version++
				next.Keys = target.Keys
				return tx.PutResource(&next)
			})},
			{"op=remove and add member", update(func(tx store.Tx) error {
				_, err := tx.DeleteMembership("group", target.ID, "")
				must(b, err)
				_, err = tx.PutMembership(store.Membership{Group: "group", Member: target.ID, Source: store.SourceSCIM})
				return err
			})},
		} {
			b.Run(fmt.Sprintf("%s/users=%d", bench.name, users), bench.run)
		}
	}
}

// BenchmarkInsert is one new user with its account per update.
func BenchmarkInsert(b *testing.B) {
	s := filled(b, 10_000, false)
	i := 10_000
	b.ReportAllocs()
	for b.Loop() {
		b.StopTimer()
		r := user(i)
		a := account(i, r)
		i++
		b.StartTimer()
		must(b, s.Update(b.Context(), scope, func(_ context.Context, tx store.Tx) error {
			must(b, tx.PutResource(r))
			return tx.PutAccount(a)
		}))
	}
}

// BenchmarkParallel reads and writes one scope from all processors at a time: the
// cost is that of its lock, as what is done in a transaction is little.
func BenchmarkParallel(b *testing.B) {
	for _, bench := range []struct {
		name   string
		writes int // one transaction in so many
	}{
		{"reads", 0}, {"writes=1 in 10", 10}, {"writes", 1},
	} {
		b.Run(bench.name, func(b *testing.B) {
			s := filled(b, 1_000, false)
			target := user(500)
			b.ReportAllocs()
			b.RunParallel(func(p *testing.PB) {
				for n := 1; p.Next(); n++ {
					if bench.writes > 0 && n%bench.writes == 0 {
						must(b, s.Update(b.Context(), scope, func(context.Context, store.Tx) error { return nil }))
						continue
					}
					must(b, s.View(b.Context(), scope, func(_ context.Context, r store.Reader) error {
						_, err := r.Resource("User", target.ID, 0)
						return err
					}))
				}
			})
		})
	}
}
