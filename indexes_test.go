package provision_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/scimjit/provision"
	"github.com/scimjit/provision/scim/filter"
	"github.com/scimjit/provision/scim/schema"
	"github.com/scimjit/provision/store"
)

// markedSet is the standard set with marks of a host.
func markedSet(t *testing.T, attributes ...string) *schema.Set {
	t.Helper()
	definitions := schema.StandardDefinitions()
	definitions[0].Index = append(definitions[0].Index, attributes...)
	set, err := schema.Compile(definitions...)
	if err != nil {
		t.Fatal(err)
	}
	return set
}

// titles has names that are the same, that clash, and that have no key.
var titles = []string{"Engineer", "ENGINEER", "Ingénieur", "Inge\u0301nieur", " engineer ", "Straße", "STRASSE", "", strings.Repeat("x", 900), strings.Repeat("ﬃ", 500)}

// process is one process on a store: an engine, and the schemas that it serves.
type process struct {
	engine *provision.Engine
	set    *schema.Set
}

func (p *process) content(t *testing.T, n int, title string) provision.Content {
	t.Helper()
	rt := p.set.Type("User")
	var d schema.Decoder
	d.Allow = schema.LooseSchemas
	o, err := d.Resource(rt, fmt.Appendf(nil, `{"userName":"u%d","title":%q,"nickName":"n%d"}`, n, title, n%3))
	if err != nil {
		t.Fatal(err)
	}
	return provision.Content{Document: o.AppendJSON(nil), Keys: rt.Keys(o), Display: rt.Display(o)}
}

// query finds the users with a title, as the handler does.
func (p *process) query(t *testing.T, text string, rows int) ([]string, error) {
	t.Helper()
	expr, err := filter.Parse(text, filter.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	f, err := filter.Compile(p.set.Type("User"), expr, filter.Options{})
	if err != nil {
		t.Fatal(err)
	}
	page, err := p.engine.Directory("acme").Query(t.Context(), store.Query{Types: []string{"User"}, Filter: f, Limit: 1000, ScanRows: rows})
	var ids []string
	for _, r := range page.Resources {
		ids = append(ids, r.ID)
	}
	return ids, err
}

// TestIndexing marks attributes of a directory that is there. At every step of the
// indexing, with writes of processes old and new between, queries find what they would
// find without an index; a process that ends loses nothing; and in the end the index
// answers them.
func TestIndexing(t *testing.T) {
	onEveryStore(t, func(t *testing.T, st store.Store) {
		tn := newTenant(t, st, `{}`)
		random := rand.New(rand.NewPCG(3, 0)) //nolint:gosec // tests must be repeatable
		marked := markedSet(t, "title", "nickName")
		before := &process{tn.engine, standard}
		now := func() *process { // a new one each time, as after a restart
			return &process{&provision.Engine{Store: st, Now: tn.clock.Now, Indexes: marked.Indexes()}, marked}
		}
		users := map[string]string{} // by id, their titles
		write := func(p *process, id string) {
			t.Helper()
			title := titles[random.IntN(len(titles))]
			if len(title) > schema.MaxIndexed && p.set != standard {
				title = "" // such a value is refused from now on
			}
			n := random.IntN(1 << 30)
			if id != "" {
				n += 1 << 31
			}
			c := p.content(t, n, title)
			fill := func(d *provision.Draft) error {
				d.Write(c)
				return nil
			}
			dir := p.engine.Directory("acme").Via(store.SourceSCIM)
			var r *provision.Resource
			var err error
			if id == "" {
				r, err = dir.Create(t.Context(), "User", 0, fill)
			} else {
				r, err = dir.Update(t.Context(), "User", id, 0, fill)
			}
			if err != nil {
				t.Fatal(err)
			}
			users[r.ID] = title
		}
		some := func() string {
			ids := slices.Sorted(func(yield func(string) bool) {
				for id := range users {
					if !yield(id) {
						return
					}
				}
			})
			return ids[random.IntN(len(ids))]
		}
		for range 130 {
			write(before, "")
		}
		check := func(what string) {
			t.Helper()
			for _, title := range []string{"engineer", "INGÉNIEUR", "straße", "strasse", strings.Repeat("X", 900), strings.Repeat("ﬃ", 500)} {
				var want []string
				for id, have := range users {
					f := store.Compare{Path: store.Path{Keys: []string{"title"}, Type: store.String}, Op: store.EQ, Value: title}
					if ok, _ := store.Match(f, &store.Resource{Document: store.Document(fmt.Sprintf(`{"title":%q}`, have))}, nil); ok {
						want = append(want, id)
					}
				}
				for _, p := range []*process{now(), {tn.engine, marked}} { // one serves marks that its engine was not told of
					got, err := p.query(t, fmt.Sprintf("title eq %q", title), 0)
					slices.Sort(got)
					slices.Sort(want)
					if err != nil || !slices.Equal(got, want) {
						t.Fatalf("%s: title %.20q: %d users, want %d, %v", what, title, len(got), len(want), err)
					}
				}
			}
		}
		narrow := func() bool {
			_, err := now().query(t, `title eq "Straße"`, 100)
			var scan *store.ScanError
			if err != nil && !errors.As(err, &scan) {
				t.Fatal(err)
			}
			return err == nil
		}
		check("before")
		if narrow() {
			t.Error("an index is used that is not there")
		}
		step := func(what string) (more bool) {
			t.Helper()
			more, err := provision.IndexStep(now().engine, t.Context(), "acme")
			if err != nil {
				t.Fatal(err)
			}
			check(what)
			return more
		}
		for range 3 {
			step("untouched")
		}
		p, err := now().engine.Directory("acme").Indexing(t.Context())
		if err != nil || p.Done != 100 || p.Total != 130 || !slices.Equal(p.Building, []string{"User:nickName", "User:title"}) || p.Complete != nil {
			t.Errorf("progress %+v, %v", p, err)
		}
		write(before, "") // takes it all back
		if p, err := now().engine.Directory("acme").Indexing(t.Context()); err != nil || p.Building != nil {
			t.Errorf("progress after a write that knows no marks: %+v, %v", p, err)
		}
		for n := 0; step(fmt.Sprintf("step %d", n)); n++ {
			write(now(), "")
			write(now(), some())
			id := some()
			if err := tn.dir.Delete(t.Context(), "User", id, nil); err != nil {
				t.Fatal(err)
			}
			delete(users, id)
			check("after writes")
			if narrow() {
				t.Error("an index is used that is not complete")
			}
		}
		if !narrow() {
			t.Error("the index is not used")
		}
		if p, err := now().engine.Directory("acme").Indexing(t.Context()); err != nil || len(p.Complete) != 2 || p.Building != nil {
			t.Errorf("progress in the end: %+v, %v", p, err)
		}
		write(before, some())
		check("a write that knows no marks")
		if narrow() {
			t.Error("an index is used that is not complete any more")
		}
		versions := versionsOf(t, st)
		if err := now().engine.RunOnce(t.Context()); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(versions, versionsOf(t, st)); diff != "" {
			t.Errorf("indexing changes versions:\n%s", diff)
		}
		tn.setPolicy(`{"provisionOnFirstLogin":true}`)
		a, err := now().engine.Directory("acme").Login(t.Context(), provision.Identity{
			ID: "1", UserName: "login@example.com", Email: "login@example.com", Attributes: map[string]string{"title": "Straße"}})
		if err != nil {
			t.Fatal(err)
		}
		users[a.ResourceID] = "Straße"
		check("in the end")
		if !narrow() {
			t.Error("the index is not used")
		}
	})
}

// versionsOf returns the versions of the resources.
func versionsOf(t *testing.T, st store.Store) map[string]int64 {
	t.Helper()
	page, err := (&provision.Engine{Store: st}).Directory("acme").Query(t.Context(), store.Query{Types: []string{"User"}, Limit: 1000})
	if err != nil {
		t.Fatal(err)
	}
	versions := map[string]int64{}
	for _, r := range page.Resources {
		versions[r.ID] = r.Version
	}
	return versions
}
