package provision_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/scimjit/provision"
	"github.com/scimjit/provision/policy"
	"github.com/scimjit/provision/scim/scimsync"
	"github.com/scimjit/provision/store"
)

const exported = `{"id":"2819c223-7f76-453a-919d-413861904646","userName":"ada","externalId":"1"}
{"id":"u.2~x","userName":"bob","active":false}
{"id":"G_1","displayName":"Staff","members":[{"value":"2819c223-7f76-453a-919d-413861904646"},{"value":"G_2"}]}
{"id":"G_2","displayName":"Inner","members":[{"value":"u.2~x"}]}
`

// What another server had comes with its ids, once.
func TestImport(t *testing.T) {
	onEveryStore(t, func(t *testing.T, st store.Store) {
		tn := newTenant(t, st, `{"requiredGroups":"Staff"}`)
		d := tn.engine.Directory("acme").As(tester)
		var told []provision.Progress
		err := d.Import(t.Context(), scimsync.JSONLines(strings.NewReader(exported)), func(p provision.Progress) { told = append(told, p) })
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff([]provision.Progress{{Done: 2, Total: 2}, {Done: 4, Total: 4}}, told); diff != "" {
			t.Errorf("progress (-want +got):\n%s", diff)
		}
		r, err := d.Get(t.Context(), "User", "2819c223-7f76-453a-919d-413861904646", store.WithGroups)
		if err != nil || len(r.Groups) != 1 || r.Groups[0].Group != "G_1" || r.Source != store.SourceSCIM {
			t.Errorf("ada is %+v, %v", r, err)
		}
		if a := tn.account("ada"); a.Status != policy.StatusActive || a.ResourceID != "2819c223-7f76-453a-919d-413861904646" {
			t.Errorf("the account of ada is %+v", a)
		}
		if a := tn.account("bob"); a.Status != policy.StatusDisabled {
			t.Errorf("bob is %s", a.Status)
		}
		at := tn.lastEvent()
		if err := d.Import(t.Context(), scimsync.JSONLines(strings.NewReader(exported)), nil); !errors.Is(err, provision.ErrImported) {
			t.Errorf("again: %v, want ErrImported", err)
		}
		if got := tn.events(at); len(got) != 0 {
			t.Errorf("the second import made %v", got)
		}
	})
}

// An import that ended early goes on, and changes nothing of what is there.
func TestImportResumes(t *testing.T) {
	onEveryStore(t, func(t *testing.T, st store.Store) {
		tn := newTenant(t, st, `{}`)
		var lines strings.Builder
		for i := range 450 {
			fmt.Fprintf(&lines, `{"id":"id-%d","userName":"u%d"}`+"\n", i, i)
		}
		lines.WriteString(`{"id":"g","displayName":"All","members":[{"value":"id-7"},{"value":"id-449"}]}`)
		d := tn.engine.Directory("acme").As(tester)
		ctx, cancel := context.WithCancel(t.Context())
		err := d.Import(ctx, scimsync.JSONLines(strings.NewReader(lines.String())), func(provision.Progress) { cancel() })
		if !errors.Is(err, context.Canceled) {
			t.Fatalf("a canceled import: %v", err)
		}
		at := tn.lastEvent()
		if err := d.Import(t.Context(), scimsync.JSONLines(strings.NewReader(lines.String())), nil); err != nil {
			t.Fatal(err)
		}
		if n := tn.countEvents(at, store.AccountCreated); n != 250 {
			t.Errorf("the second part created %d accounts, want 250", n)
		}
		if n, err := d.MemberCount(t.Context(), "g"); n != 2 || err != nil {
			t.Errorf("%d members, %v", n, err)
		}
	})
}

func TestImportRefuses(t *testing.T) {
	tests := []struct{ name, line, want string }{
		{"no id", `{"userName":"ada"}`, "the id must be"},
		{"an id that no URL has", `{"id":"a/b","userName":"ada"}`, `User "a/b": the id must be`},
		{"a taken id", `{"id":"same","userName":"ada"}` + "\n" + `{"id":"same","userName":"bob"}`, `User "same": a User with this id`},
		{"a taken name", `{"id":"1","userName":"ada"}` + "\n" + `{"id":"2","userName":"ADA"}`, `User "2"`},
		{"an unknown member", `{"id":"1","userName":"ada"}` + "\n" + `{"id":"g","displayName":"G","members":[{"value":"nobody"}]}`, `group "g": provision: member "nobody"`},
	}
	onEveryStore(t, func(t *testing.T, st store.Store) {
		for n, test := range tests {
			t.Run(test.name, func(t *testing.T) {
				engine := &provision.Engine{Store: st}
				d := engine.Directory(fmt.Sprintf("c%d", n))
				if _, err := d.SaveConnection(t.Context(), provision.Connection{SCIM: true}); err != nil {
					t.Fatal(err)
				}
				err := d.Import(t.Context(), scimsync.JSONLines(strings.NewReader(test.line)), nil)
				if err == nil || !strings.Contains(err.Error(), test.want) {
					t.Errorf("error %v, want one with %q", err, test.want)
				}
			})
		}
		engine := &provision.Engine{Store: st}
		if err := engine.Directory("nobody").Import(t.Context(), scimsync.JSONLines(strings.NewReader("")), nil); !errors.Is(err, provision.ErrNotFound) {
			t.Errorf("an unknown connection: %v", err)
		}
		var argument *provision.ArgumentError
		if err := engine.Directory("c0").Import(t.Context(), nil, nil); !errors.As(err, &argument) {
			t.Errorf("no source: %v", err)
		}
		if _, err := engine.Directory("c0").Sync(t.Context(), nil, provision.SyncOptions{}); !errors.As(err, &argument) {
			t.Errorf("no source of a sync: %v", err)
		}
	})
}

// An id is of one group only, the host's or the identity provider's.
func TestImportOfHostGroup(t *testing.T) {
	onEveryStore(t, func(t *testing.T, st store.Store) {
		d := newTenant(t, st, `{}`).engine.Directory("acme")
		if err := d.RegisterGroups(t.Context(), provision.HostGroup{ID: "h1", Name: "Everyone"}); err != nil {
			t.Fatal(err)
		}
		err := d.Import(t.Context(), scimsync.JSONLines(strings.NewReader(`{"id":"h1","displayName":"Staff"}`)), nil)
		if err == nil || !strings.Contains(err.Error(), `Group "h1": a group of the host has this id`) {
			t.Errorf("error %v", err)
		}
		if _, err := d.Get(t.Context(), "Group", "h1", 0); !errors.Is(err, provision.ErrNotFound) {
			t.Errorf("the group: %v, want ErrNotFound", err)
		}
	})
}
