package provision_test

import (
	"context"
	"flag"
	"fmt"
	"log/slog"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/scimjit/provision"
	"github.com/scimjit/provision/policy"
	"github.com/scimjit/provision/scim/schema"
	"github.com/scimjit/provision/store"
	"github.com/scimjit/provision/store/memory"
	"github.com/scimjit/provision/store/sqlite"
)

var rederiveAccounts = flag.Int("rederive.accounts", 10_000, "accounts that BenchmarkRederive derives again")

// rederivePolicy grants role reader to the members of one group, and editor to
// those of another.
const rederivePolicy = `{"requiredGroups": ["Everyone"], "excludedGroups": ["Region *"], "company": "Example Ltd",
	"siteAdminGroups": ["Platform *"], "roles": [{"groups": [%q], "role": "reader"}, {"groups": [%q], "role": "editor"}]}`

// BenchmarkRederive measures how long it takes from an edit of the policy until
// the last account follows it. Each person is in three groups. The first edit
// grants a role to all, or to one in a hundred, the second takes it away, and so
// on. Who gains is met twice, by the first walk of the job and by the last.
//
// Beside the time it reports the processor time of the process, which depends
// less on what else a machine does, and how long the 99th of 100 batches kept
// other changes waiting.
func BenchmarkRederive(b *testing.B) {
	accounts := *rederiveAccounts
	benchOnEveryStore(b, fmt.Sprintf("accounts=%d/", accounts), func(b *testing.B, st store.Store) {
		r := newRederivation(b, st, accounts)
		b.Run("changed=all", func(b *testing.B) { r.run(b, &r.readers, "Everyone", accounts) })
		b.Run("changed=1%", func(b *testing.B) { r.run(b, &r.editors, "Department 7", accounts/100) })
	})
}

// benchOnEveryStore runs benchmarks on each store.
func benchOnEveryStore(b *testing.B, prefix string, bench func(b *testing.B, st store.Store)) {
	stores := []struct {
		name string
		open func(b *testing.B) (store.Store, error)
	}{
		{"memory", func(*testing.B) (store.Store, error) { return memory.New(), nil }},
		{"sqlite", func(b *testing.B) (store.Store, error) {
			return sqlite.Open(b.Context(), sqlite.Config{Path: filepath.Join(b.TempDir(), "bench.db")})
		}},
	}
	for _, s := range stores {
		b.Run(prefix+"store="+s.name, func(b *testing.B) {
			st, err := s.open(b)
			if err != nil {
				b.Fatal(err)
			}
			defer func() { _ = st.Close() }()
			bench(b, st)
		})
	}
}

// BenchmarkLogin measures the login of somebody who is in three groups: the first
// one, which creates the person, and another that changes nothing.
func BenchmarkLogin(b *testing.B) {
	benchOnEveryStore(b, "", func(b *testing.B, st store.Store) {
		config, err := policy.Parse([]byte(`{"provisionOnFirstLogin": true, "requiredGroups": "Staff", "roles": [{"groups": "Tools", "role": "editor"}]}`))
		if err != nil {
			b.Fatal(err)
		}
		engine := &provision.Engine{Store: st}
		if _, err := engine.Directory("acme").As(tester).SaveConnection(b.Context(), provision.Connection{ID: "acme", Policy: config}); err != nil {
			b.Fatal(err)
		}
		dir, people := engine.Directory("acme"), 0
		login := func(b *testing.B, person int) {
			name := fmt.Sprintf("person%d@example.com", person)
			_, err := dir.Login(b.Context(), provision.Identity{
				ID: name, UserName: name, Email: name, DisplayName: "Person", Groups: asserted("Staff", "Tools", "Berlin"),
			})
			if err != nil {
				b.Fatal(err)
			}
		}
		b.Run("first", func(b *testing.B) {
			for b.Loop() {
				people++
				login(b, people)
			}
		})
		b.Run("again", func(b *testing.B) {
			login(b, 0)
			for b.Loop() {
				login(b, 0)
			}
		})
		many := make([]string, 470)
		for i := range many {
			many[i] = fmt.Sprintf("Group %d", i)
		}
		b.Run("again with 470 groups", func(b *testing.B) {
			id := provision.Identity{ID: "many", UserName: "many@example.com", Groups: asserted(append(many, "Staff")...)}
			if _, err := dir.Login(b.Context(), id); err != nil {
				b.Fatal(err)
			}
			for b.Loop() {
				if _, err := dir.Login(b.Context(), id); err != nil {
					b.Fatal(err)
				}
			}
		})
	})
}

// rederivation is a directory whose accounts follow rederivePolicy.
type rederivation struct {
	engine           *provision.Engine
	readers, editors string
	batches          []time.Duration // how long each took
}

// nobody is a group that does not exist.
const nobody = "Nobody"

func newRederivation(b *testing.B, st store.Store, accounts int) *rederivation {
	b.Helper()
	r := &rederivation{
		engine:  &provision.Engine{Store: st, Logger: slog.New(slog.DiscardHandler)},
		readers: nobody, editors: nobody,
	}
	r.save(b)
	r.populate(b, accounts)
	r.settle(b)
	return r
}

// run measures edits that give a role to a group and take it away by turns.
func (r *rederivation) run(b *testing.B, role *string, group string, changed int) {
	spent, used, edits := map[string]time.Duration{}, map[string]time.Duration{}, map[string]int{}
	r.batches = nil
	for b.Loop() {
		what, to := "grant", group
		if *role != nobody {
			what, to = "revoke", nobody
		}
		first, start, cpu := r.lastEvent(b), time.Now(), cpuTime()
		*role = to
		r.save(b)
		r.settle(b)
		spent[what] += time.Since(start)
		used[what] += cpuTime() - cpu
		edits[what]++
		// The change of the connection and the end of the job are events, too.
		if n := r.lastEvent(b) - first - 2; n != int64(changed) {
			b.Fatalf("%d accounts changed, want %d", n, changed)
		}
	}
	for what, n := range edits {
		b.ReportMetric(spent[what].Seconds()/float64(n), what+"-s/op")
		b.ReportMetric(used[what].Seconds()/float64(n), what+"-cpu-s/op")
	}
	slices.Sort(r.batches)
	b.ReportMetric(r.batches[len(r.batches)*99/100].Seconds()*1000, "batch-p99-ms")
}

func (r *rederivation) save(b *testing.B) {
	b.Helper()
	config, err := policy.Parse(fmt.Appendf(nil, rederivePolicy, r.readers, r.editors))
	if err != nil {
		b.Fatal(err)
	}
	conn := provision.Connection{ID: "acme", SCIM: true, Policy: config}
	if _, err := r.engine.Directory(conn.ID).As(tester).UpdateConnection(b.Context(), with(conn)); err != nil {
		b.Fatal(err)
	}
}

// settle works until no account is pending.
func (r *rederivation) settle(b *testing.B) {
	b.Helper()
	for more := true; more; {
		var err error
		start := time.Now()
		if more, err = provision.Work(r.engine, b.Context(), "acme"); err != nil {
			b.Fatal(err)
		}
		r.batches = append(r.batches, time.Since(start))
	}
}

func (r *rederivation) lastEvent(b *testing.B) (last int64) {
	b.Helper()
	err := r.engine.Store.View(b.Context(), "acme", func(_ context.Context, v store.Reader) (err error) {
		_, last, err = v.EventRange()
		return err
	})
	if err != nil {
		b.Fatal(err)
	}
	return last
}

// populate creates the people, then their groups: one with all, a department
// with one in a hundred and a region with one in ten.
func (r *rederivation) populate(b *testing.B, accounts int) {
	b.Helper()
	const together = 5000
	members := map[string][]string{}
	for from := 0; from < accounts; from += together {
		r.inOne(b, func(dir *provision.Directory) error {
			for i := from; i < min(from+together, accounts); i++ {
				id, err := create(b.Context(), dir, "User", fmt.Sprintf(rederivePerson, i))
				if err != nil {
					return err
				}
				for _, group := range []string{"Everyone", fmt.Sprintf("Department %d", i%100), fmt.Sprintf("Region %d", i%10)} {
					members[group] = append(members[group], id)
				}
			}
			return nil
		})
	}
	r.inOne(b, func(dir *provision.Directory) error {
		for name, ids := range members {
			if _, err := create(b.Context(), dir, "Group", fmt.Sprintf(`{"displayName":%q}`, name), ids...); err != nil {
				return err
			}
		}
		return nil
	})
}

// rederivePerson is a user, with a number for %d.
const rederivePerson = `{"userName":"person%[1]d@example.com","externalId":"00u%[1]d","active":true,
	"name":{"formatted":"Person %[1]d","givenName":"Person","familyName":"%[1]d"},"displayName":"Person %[1]d","title":"Engineer",
	"emails":[{"value":"person%[1]d@example.com","type":"work","primary":true},{"value":"person%[1]d@home.example","type":"home"}],
	"phoneNumbers":[{"value":"+1-555-0100","type":"work"}],"locale":"en-US","timezone":"America/New_York",
	"urn:ietf:params:scim:schemas:extension:enterprise:2.0:User":{"employeeNumber":"%[1]d","department":"Tools","organization":"Example"}}`

func create(ctx context.Context, dir *provision.Directory, typ, body string, members ...string) (id string, err error) {
	rt := standard.Type(typ)
	d := schema.Decoder{Allow: schema.LooseSchemas}
	o, err := d.Resource(rt, []byte(body))
	if err != nil {
		return "", err
	}
	made, err := dir.Create(ctx, typ, 0, func(d *provision.Draft) error {
		d.Write(provision.Content{Document: o.AppendJSON(nil), Keys: rt.Keys(o), Display: rt.Display(o)})
		for _, m := range members {
			d.AddMember(m)
		}
		return nil
	})
	if err != nil {
		return "", err
	}
	return made.ID, nil
}

// inOne runs fn on a directory whose changes are one transaction of the store,
// so that making many people does not wait for the disk each time. A small
// Limits.Inline leaves the members of groups to a job.
func (r *rederivation) inOne(b *testing.B, fn func(*provision.Directory) error) {
	b.Helper()
	err := r.engine.Store.Update(b.Context(), "acme", func(_ context.Context, tx store.Tx) error {
		engine := &provision.Engine{Store: oneTx{r.engine.Store, tx}, Limits: provision.Limits{Inline: 1, InlineMembers: 1 << 30}}
		return fn(engine.Directory("acme").Via(store.SourceSCIM).Via(store.SourceSCIM).As(provision.Actor{Kind: "scim", ID: "credential"}))
	})
	if err != nil {
		b.Fatal(err)
	}
}

// oneTx is a store whose updates all go to one transaction.
type oneTx struct {
	store.Store
	tx store.Tx
}

func (s oneTx) Update(ctx context.Context, _ string, fn func(context.Context, store.Tx) error) error {
	return fn(ctx, s.tx)
}
