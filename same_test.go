package provision_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/scimjit/provision"
	"github.com/scimjit/provision/internal/clocktest"
	"github.com/scimjit/provision/internal/postgrestest"
	"github.com/scimjit/provision/internal/records"
	"github.com/scimjit/provision/scim"
	"github.com/scimjit/provision/store"
	"github.com/scimjit/provision/store/memory"
	"github.com/scimjit/provision/store/sqlite"
)

// FuzzStores lets anything happen on an engine over each store: what the random walk
// does, and requests with filters, orders, pages and cursors. The engines cannot be told
// apart: not by an error or an answer, nor by what they have stored after any step.
//
// The choices are bytes of the input as long as there are some, and those of the seed
// after them.
func FuzzStores(f *testing.F) {
	for seed := range uint64(4) {
		f.Add(seed, []byte(nil))
	}
	f.Fuzz(func(t *testing.T, seed uint64, input []byte) {
		file, err := sqlite.Open(t.Context(), sqlite.Config{Path: filepath.Join(t.TempDir(), "test.db"), Synchronous: sqlite.Normal})
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = file.Close() }()
		var walks []*sameWalk
		for _, st := range []store.Store{memory.New(), file, postgrestest.Open(t)} {
			walks = append(walks, newSameWalk(t, st, seed, input))
		}
		for range sameSteps {
			for _, w := range walks {
				w.step()
			}
			compareWalks(t, walks)
		}
		for _, w := range walks {
			w.finishJob()
			w.seen = 0 // events may have been replaced
		}
		compareWalks(t, walks)
	})
}

// sameSteps is how many steps a run of FuzzStores has.
const sameSteps = 40

// choices is a source of the bytes of an input, and then of random numbers.
type choices struct {
	input []byte
	rest  rand.PCG
}

// Uint64 returns a number in which a byte says where, between the least and the greatest.
func (c *choices) Uint64() uint64 {
	if len(c.input) == 0 {
		return c.rest.Uint64()
	}
	n := uint64(c.input[0])
	c.input = c.input[1:]
	return n * 0x0101010101010101
}

// sameWalk is a random walk that remembers what came of its steps.
type sameWalk struct {
	*randomWalk
	st      store.Store
	handler *scim.Handler
	seen    int64    // the last event that was compared
	results []string // of the step
}

func newSameWalk(t *testing.T, st store.Store, seed uint64, input []byte) *sameWalk {
	source := &choices{input: input, rest: *rand.NewPCG(seed, 5)}
	tn := &tenant{t: t, clock: newClock()}
	tn.engine = &provision.Engine{
		Store: clocktest.New(st, tn.clock.Now), Now: tn.clock.Now, Rand: rand.NewChaCha8([32]byte{byte(seed)}), Logger: slog.New(slog.DiscardHandler),
		Limits: provision.Limits{Inline: 1 + int(seed%4), Batch: 2, Deprovision: []int{-1, 1, 3}[seed%3]},
	}
	tn.dir = tn.engine.Directory("acme").Via(store.SourceSCIM).As(provision.Actor{Kind: "scim", ID: "credential"})
	tn.setPolicy(everyPolicy[0])
	if _, err := tn.engine.Directory("acme").As(tester).SetCredential(t.Context(), provision.Secret{Token: sameToken}, time.Time{}); err != nil {
		t.Fatal(err)
	}
	w := &sameWalk{randomWalk: &randomWalk{tenant: tn, rng: rand.New(source)}, st: st}
	w.handler = &scim.Handler{
		Engine: tn.engine, Logger: slog.New(slog.DiscardHandler), Limits: scim.Limits{Rate: -1},
		BaseURL: func(*http.Request, string) string { return "https://sp.example/scim/v2" },
	}
	w.told = func(err error) { w.results = append(w.results, fmt.Sprint(err)) }
	return w
}

// step takes one step a second, and asks for lists. The first ones make what the others
// are about.
func (w *sameWalk) step() {
	w.results = nil
	w.clock.add(time.Second)
	switch kind := w.one("User", "User", "Group"); {
	case len(w.users)+len(w.groups) < 8:
		w.created(kind, w.ask("POST", "/"+kind+"s", w.document(kind)))
	case w.rng.IntN(2) == 0:
		w.randomWalk.step()
	default:
		w.request()
	}
	for range w.rng.IntN(5) {
		w.list()
	}
}

// compareWalks compares what came of the last step, and what is stored.
func compareWalks(t *testing.T, walks []*sameWalk) {
	t.Helper()
	first := walks[0]
	want, seen := first.everything(), 0
	for _, w := range walks[1:] {
		if diff := cmp.Diff(first.results, w.results); diff != "" {
			t.Fatalf("steps %v: results of %T differ (-memory +this):\n%s", w.log, w.st, diff)
		}
		got := w.everything()
		if diff := cmp.Diff(want, got, cmpopts.EquateEmpty()); diff != "" {
			t.Fatalf("steps %v: what %T holds differs (-memory +this):\n%s", w.log, w.st, diff)
		}
		seen = max(seen, len(got.Events))
	}
	for _, w := range walks {
		w.seen += int64(seen)
	}
}

// held is what a store holds.
type held struct {
	Resources   []*store.Resource
	Memberships []store.Membership
	Accounts    []*store.Account
	First, Last int64
	Events      []string // as JSON, which were not compared before
	Records     []*store.Record
	Global      []*store.Record
}

func (w *sameWalk) everything() held {
	w.t.Helper()
	var h held
	err := w.st.View(w.t.Context(), "acme", func(_ context.Context, r store.Reader) error {
		page, err := r.Query(store.Query{Limit: 1 << 20, With: store.WithGroups | store.WithMembers})
		var all []string
		for i, one := range page.Resources {
			c := *one
			c.Position = int64(i) // which numbers they are is the choice of a store
			h.Resources, all = append(h.Resources, &c), append(all, c.ID)
		}
		var errs [5]error
		h.Memberships, errs[0] = r.MembershipsOf(all...)
		h.Accounts, errs[1] = r.Accounts(store.AccountQuery{})
		events, eventErr := r.Events(w.seen, 0)
		h.First, h.Last, errs[2] = r.EventRange()
		for _, e := range events {
			text, err := json.Marshal(e) // which is all that a host is promised of it
			h.Events, errs[3] = append(h.Events, string(text)), errors.Join(errs[3], err)
		}
		errs[4] = readRecords(r, &h.Records)
		return errors.Join(err, eventErr, errors.Join(errs[:]...))
	})
	err = errors.Join(err, w.st.View(w.t.Context(), store.Global, func(_ context.Context, r store.Reader) error {
		return readRecords(r, &h.Global)
	}))
	if err != nil {
		w.t.Fatal(err)
	}
	return h
}

// readRecords reads the records of all kinds.
func readRecords(r store.Reader, into *[]*store.Record) error {
	for _, row := range records.Rows() {
		list, err := r.Records(row.Name, "", 0)
		if err != nil {
			return err
		}
		*into = append(*into, list...)
	}
	return nil
}
