package provision_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/scimjit/provision"
	"github.com/scimjit/provision/store"
	"github.com/scimjit/provision/store/memory"
)

// members returns the ids of the members of a group.
func (tn *tenant) members(group string) map[string]bool {
	tn.t.Helper()
	g, err := tn.dir.Get(tn.t.Context(), "Group", group, store.WithMembers)
	if err != nil {
		tn.t.Fatal(err)
	}
	ids := map[string]bool{}
	for _, m := range g.Members {
		ids[m.Member] = true
	}
	return ids
}

func TestDraftMembers(t *testing.T) {
	tests := []struct {
		name   string
		change func(d *provision.Draft, a, b string)
		want   string // of "a" and "b", starting from "a"
	}{
		{"add", func(d *provision.Draft, _, b string) { d.AddMember(b) }, "ab"},
		{"add twice", func(d *provision.Draft, _, b string) { d.AddMember(b); d.AddMember(b) }, "ab"},
		{"add what is there", func(d *provision.Draft, a, _ string) { d.AddMember(a) }, "a"},
		{"remove", func(d *provision.Draft, a, _ string) { d.RemoveMember(a) }, ""},
		{"remove what is not there", func(d *provision.Draft, _, b string) { d.RemoveMember(b) }, "a"},
		{"remove a foreign id", func(d *provision.Draft, _, _ string) { d.RemoveMember("x") }, "a"},
		{"add and remove", func(d *provision.Draft, _, b string) { d.AddMember(b); d.RemoveMember(b) }, "a"},
		{"remove and add", func(d *provision.Draft, a, _ string) { d.RemoveMember(a); d.AddMember(a) }, "a"},
		{"clear", func(d *provision.Draft, _, _ string) { d.ClearMembers() }, ""},
		{"replace", func(d *provision.Draft, _, b string) { d.ClearMembers(); d.AddMember(b) }, "b"},
		{"replace by the same", func(d *provision.Draft, a, _ string) { d.ClearMembers(); d.AddMember(a) }, "a"},
		{"add and clear", func(d *provision.Draft, _, b string) { d.AddMember(b); d.ClearMembers() }, ""},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			onEveryStore(t, func(t *testing.T, st store.Store) {
				tn := newTenant(t, st, `{}`)
				a, b := tn.user(`{"userName":"a"}`), tn.user(`{"userName":"b"}`)
				group := tn.group("G", a)
				var drafted []string
				asked := map[string]bool{}
				tn.change(group, func(d *provision.Draft) {
					test.change(d, a, b)
					for _, id := range []string{a, b, "nobody", ""} {
						m, is, err := d.Member(id)
						if err != nil || is && (m.Member != id || m.Kind != "User" || m.Display == "") {
							t.Errorf("%+v, %v", m, err)
						}
						if is {
							asked[id] = true
						}
					}
					list, err := d.Members()
					if err != nil {
						t.Fatal(err)
					}
					for _, m := range list {
						drafted = append(drafted, m.Member)
					}
				})
				want := map[string]bool{}
				for _, c := range test.want {
					want[map[rune]string{'a': a, 'b': b}[c]] = true
				}
				got := tn.members(group)
				if diff := cmp.Diff(want, got); diff != "" {
					t.Errorf("members (-want +got):\n%s", diff)
				}
				if diff := cmp.Diff(want, asked); diff != "" {
					t.Errorf("members of the draft, one by one (-want +got):\n%s", diff)
				}
				if len(drafted) != len(got) {
					t.Errorf("the draft listed %v, then the group has %v", drafted, got)
				}
				for name, id := range map[string]string{"a": a, "b": b} {
					if carries := len(tn.account(name).Groups) == 1; carries != want[id] {
						t.Errorf("account %s carries the group: %t, want %t", name, carries, want[id])
					}
				}
				g, err := tn.dir.Get(t.Context(), "Group", group, 0)
				if err != nil {
					t.Fatal(err)
				}
				if changed := g.Version == 2; changed == want[a] && len(want) == 1 {
					t.Errorf("version %d after %v became %v", g.Version, a, want)
				}
			})
		})
	}
}

// An unknown member and one of another connection are the same error, and
// nothing of the request is stored.
func TestForeignMember(t *testing.T) {
	onEveryStore(t, func(t *testing.T, st store.Store) {
		tn := newTenant(t, st, `{}`)
		a := tn.user(`{"userName":"a"}`)
		group := tn.group("G")
		if _, err := tn.engine.Directory("other").As(tester).UpdateConnection(t.Context(), with(provision.Connection{ID: "other"})); err != nil {
			t.Fatal(err)
		}
		c := content(t, "User", `{"userName":"x"}`)
		foreign, err := tn.engine.Directory("other").Create(t.Context(), "User", 0, func(d *provision.Draft) error {
			d.Write(c)
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		at := tn.lastEvent()
		for _, id := range []string{"", "nobody", foreign.ID} {
			_, err := tn.dir.Update(t.Context(), "Group", group, 0, func(d *provision.Draft) error {
				d.AddMember(a)
				d.AddMember(id)
				return nil
			})
			var member *provision.MemberError
			if !errors.As(err, &member) || member.ID != id {
				t.Errorf("adding member %q: error %v, want a MemberError", id, err)
			}
			if got := tn.members(group); len(got) != 0 {
				t.Errorf("adding member %q left members %v", id, got)
			}
		}
		if got := tn.events(at); len(got) != 0 {
			t.Errorf("refused requests left events %v", got)
		}
		if len(tn.account("a").Groups) != 0 {
			t.Error("refused requests changed the account")
		}
	})
}

// 100 clients each add one member to one group at once.
func TestNoLostMember(t *testing.T) {
	onEveryStore(t, func(t *testing.T, st store.Store) {
		tn := newTenant(t, st, `{}`)
		const clients = 100
		users := make([]string, clients)
		for i := range users {
			users[i] = tn.user(fmt.Sprintf(`{"userName":"u%d"}`, i))
		}
		group := tn.group("G")
		var wg sync.WaitGroup
		for _, id := range users {
			wg.Go(func() {
				_, err := tn.dir.Update(t.Context(), "Group", group, 0, func(d *provision.Draft) error {
					d.AddMember(id)
					return nil
				})
				if err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if got := len(tn.members(group)); got != clients {
			t.Errorf("%d members, want %d", got, clients)
		}
		n, err := tn.dir.MemberCount(t.Context(), group)
		if err != nil || n != clients {
			t.Errorf("MemberCount is %d, %v, want %d", n, err, clients)
		}
	})
}

// Exactly one of two conditional writes wins.
func TestConditionalWrites(t *testing.T) {
	onEveryStore(t, func(t *testing.T, st store.Store) {
		tn := newTenant(t, st, `{}`)
		id := tn.user(ada)
		const writers = 8
		errs := make([]error, writers)
		var wg sync.WaitGroup
		for i := range writers {
			c := content(t, "User", fmt.Sprintf(`{"userName":"ada","title":"%d"}`, i))
			wg.Go(func() {
				_, errs[i] = tn.dir.Update(t.Context(), "User", id, 0, func(d *provision.Draft) error {
					if d.Version() != 1 {
						return provision.ErrVersion
					}
					d.Write(c)
					return nil
				})
			})
		}
		wg.Wait()
		won := 0
		for _, err := range errs {
			switch {
			case err == nil:
				won++
			case !errors.Is(err, provision.ErrVersion):
				t.Error(err)
			}
		}
		if won != 1 {
			t.Errorf("%d writers won, want 1", won)
		}
	})
}

func TestUniqueNames(t *testing.T) {
	onEveryStore(t, func(t *testing.T, st store.Store) {
		tn := newTenant(t, st, `{}`)
		tn.user(ada)
		grace := tn.user(`{"userName":"grace@example.com"}`)
		at := tn.lastEvent()
		c := content(t, "User", `{"userName":"ADA@Example.com"}`)
		var conflict *store.ConflictError
		_, err := tn.dir.Create(t.Context(), "User", 0, func(d *provision.Draft) error { d.Write(c); return nil })
		if !errors.As(err, &conflict) || conflict.Attribute != "userName" {
			t.Errorf("creating a second user with the name: %v, want a conflict on userName", err)
		}
		_, err = tn.dir.Update(t.Context(), "User", grace, 0, func(d *provision.Draft) error { d.Write(c); return nil })
		if !errors.As(err, &conflict) {
			t.Errorf("renaming onto the name: %v, want a conflict", err)
		}
		if got := tn.events(at); len(got) != 0 {
			t.Errorf("refused requests left events %v", got)
		}
		tn.expectStatus("grace@example.com", "active")
	})
}

// Members are counted as a SCIM client sees them: each once, however many
// sources know it, and not those of a default or an operator alone.
func TestMemberCount(t *testing.T) {
	const pages = 1000 // memberships are read in pages of so many rows
	st := memory.New()
	tn := newTenant(t, st, `{}`)
	group := tn.group("G")
	var ids []string
	for i := range pages + 3 {
		ids = append(ids, tn.user(fmt.Sprintf(`{"userName":"u%d"}`, i)))
	}
	put := func(id string, sources ...store.Source) {
		t.Helper()
		err := st.Update(t.Context(), "acme", func(_ context.Context, tx store.Tx) error {
			for _, s := range sources {
				if _, err := tx.PutMembership(store.Membership{Group: group, Member: id, Source: s, Kind: "User"}); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	expect := func(want int) {
		t.Helper()
		if n, err := tn.dir.MemberCount(t.Context(), group); err != nil || n != want {
			t.Errorf("MemberCount is %d, %v; want %d", n, err, want)
		}
	}
	expect(0)
	put(ids[0], store.SourceDefault)
	put(ids[1], store.SourceOperator)
	expect(0)
	put(ids[2], store.SourceDefault, store.SourceSCIM, store.SourceSync)
	expect(1)
	for i, id := range ids[3:] {
		put(id, store.SourceSCIM)
		if i == pages/2 {
			expect(i + 2)
		}
	}
	expect(len(ids) - 2)
	for _, id := range ids { // wherever a page ends, a member has more rows on the next
		put(id, store.SourceDefault, store.SourceJIT, store.SourceSync)
	}
	expect(len(ids))
}
