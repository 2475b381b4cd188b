package provision_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/scimjit/provision"
	"github.com/scimjit/provision/store"
	"github.com/scimjit/provision/store/memory"
)

// mailed is a user of a source that has some e-mails of them, of which one is written: the
// one that is there, else the first.
func mailed(t *testing.T, id string, emails ...string) provision.SyncUser {
	t.Helper()
	with := func(email string) provision.SyncUser {
		if email == "" {
			return person(t, id, id)
		}
		return person(t, id, id, fmt.Sprintf(`"emails":[{"value":%q,"primary":true}]`, email))
	}
	first := ""
	if len(emails) > 0 {
		first = emails[0]
	}
	u := with(first)
	u.Keeping = func(stored store.Document) provision.Content {
		for v := range stored.Values("emails", "value") {
			if email := v.Text(); len(emails) == 0 || slices.Contains(emails, email) {
				return with(email).Content
			}
		}
		return u.Content
	}
	return u
}

// The e-mail that is there stays, unless somebody else has it by now.
func TestSyncKeepsEmails(t *testing.T) {
	type people map[string][]string
	for _, test := range []struct {
		name    string
		runs    []people
		want    map[string]string
		updated int // by the last run
	}{
		{"a missing one", []people{{"ann": {"ann@x"}}, {"ann": nil}}, map[string]string{"ann": "ann@x"}, 0},
		{"a missing one, twice", []people{{"ann": {"ann@x"}}, {"ann": nil}, {"ann": nil}}, map[string]string{"ann": "ann@x"}, 0},
		{"one of several", []people{{"ann": {"ann@x"}}, {"ann": {"a@x", "ann@x"}}}, map[string]string{"ann": "ann@x"}, 0},
		{"the first of others", []people{{"ann": {"ann@x"}}, {"ann": {"a@x", "b@x"}}}, map[string]string{"ann": "a@x"}, 1},
		{"another one", []people{{"ann": {"ann@x"}}, {"ann": {"a@x"}}}, map[string]string{"ann": "a@x"}, 1},
		{"nobody had one", []people{{"ann": nil}, {"ann": nil}}, map[string]string{"ann": ""}, 0},
		{"a newcomer has it", []people{{"ann": {"ann@x"}}, {"ann": nil, "bob": {"ann@x"}}}, map[string]string{"ann": "", "bob": "ann@x"}, 1},
		{"a newcomer has it later", []people{{"ann": {"ann@x"}}, {"ann": nil}, {"ann": nil, "bob": {"ANN@x"}}}, map[string]string{"ann": "", "bob": "ANN@x"}, 1},
		{"somebody who was there has it", []people{{"ann": {"ann@x"}, "bob": {"bob@x"}}, {"ann": nil, "bob": {"ann@x"}}}, map[string]string{"ann": "", "bob": "ann@x"}, 2},
		{"somebody else has the second", []people{{"ann": {"ann@x"}}, {"ann": {"a@x", "ann@x"}, "bob": {"ann@x"}}}, map[string]string{"ann": "a@x", "bob": "ann@x"}, 1},
	} {
		for _, unique := range []string{`{}`, `{"uniqueEmails":true}`} {
			t.Run(test.name+unique, func(t *testing.T) {
				tn := newTenant(t, memory.New(), unique)
				var last provision.SyncReport
				for _, run := range test.runs {
					var list []provision.SyncUser
					for _, id := range []string{"ann", "bob"} {
						if emails, ok := run[id]; ok {
							list = append(list, mailed(t, id, emails...))
						}
					}
					dry := tn.from(folk(list...), provision.SyncOptions{DryRun: true})
					last = tn.from(folk(list...), provision.SyncOptions{})
					if len(last.Problems) > 0 || dry.Users.Unchanged < last.Users.Unchanged {
						t.Errorf("report %+v, dry %+v", last, dry)
					}
				}
				if last.Users.Updated != test.updated {
					t.Errorf("report %+v, want %d updated", last, test.updated)
				}
				for id, want := range test.want {
					if got := tn.account(id).Email; got != want {
						t.Errorf("%s has %q, want %q", id, got, want)
					}
				}
			})
		}
	}
}
