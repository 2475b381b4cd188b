package provision_test

import (
	"fmt"
	"testing"

	"github.com/scimjit/provision"
	"github.com/scimjit/provision/store"
)

// Users who exchange their names or addresses are written by the sync that says so, and
// each stays who they are.
func TestSyncExchanges(t *testing.T) {
	type row struct{ id, name, email string }
	for _, test := range []struct {
		name          string
		before, after []row
		problems      int
	}{
		{"two names", []row{{"1", "ann", ""}, {"2", "bob", ""}}, []row{{"1", "bob", ""}, {"2", "ann", ""}}, 0},
		{"three names", []row{{"1", "ann", ""}, {"2", "bob", ""}, {"3", "cat", ""}}, []row{{"1", "bob", ""}, {"2", "cat", ""}, {"3", "ann", ""}}, 0},
		{"two addresses", []row{{"1", "ann", "a@x"}, {"2", "bob", "b@x"}}, []row{{"1", "ann", "b@x"}, {"2", "bob", "a@x"}}, 0},
		{"names and addresses", []row{{"1", "ann", "a@x"}, {"2", "bob", "b@x"}}, []row{{"1", "bob", "b@x"}, {"2", "ann", "a@x"}}, 0},
		{"a newcomer takes a name that becomes free", []row{{"1", "ann", ""}, {"2", "bob", ""}}, []row{{"1", "bob", ""}, {"2", "cat", ""}, {"3", "ann", ""}}, 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			onEveryStore(t, func(t *testing.T, st store.Store) {
				tn := newTenant(t, st, `{"uniqueEmails":true}`)
				run := func(rows []row) provision.SyncReport {
					var users []provision.SyncUser
					for _, r := range rows {
						more := `"displayName":"x"`
						if r.email != "" {
							more = fmt.Sprintf(`"emails":[{"value":%q,"primary":true}]`, r.email)
						}
						users = append(users, person(t, r.id, r.name, more))
					}
					return tn.from(folk(users...), provision.SyncOptions{})
				}
				run(test.before)
				ids := map[string]string{}
				for _, r := range test.before {
					ids[r.id] = tn.account(r.name).ID
				}
				if report := run(test.after); len(report.Problems) != test.problems {
					t.Errorf("report %+v", report)
				}
				for _, r := range test.after {
					if a := tn.account(r.name); ids[r.id] != "" && a.ID != ids[r.id] || a.ExternalID != r.id || r.email != "" && a.Email != r.email {
						t.Errorf("%s is %s, %s, %q; was %s", r.name, a.ExternalID, a.ID, a.Email, ids[r.id])
					}
				}
				if report := run(test.after); report.Users.Unchanged != len(test.after) || len(report.Problems) != 0 {
					t.Errorf("again: %+v", report)
				}
			})
		})
	}
}
