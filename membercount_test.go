package provision_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/scimjit/provision/store"
	"github.com/scimjit/provision/store/memory"
)

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
