package provision_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/scimjit/provision"
	"github.com/scimjit/provision/jit"
	"github.com/scimjit/provision/policy"
	"github.com/scimjit/provision/scim/scimsync"
	"github.com/scimjit/provision/store"
)

// kinds is a store that notes which kinds of records are written, so that a test
// can read them all.
type kinds struct {
	store.Store
	written []string
}

func (s *kinds) Update(ctx context.Context, scope string, fn func(context.Context, store.Tx) error) error {
	return s.Store.Update(ctx, scope, func(ctx context.Context, tx store.Tx) error {
		return fn(ctx, kindsTx{tx, s})
	})
}

type kindsTx struct {
	store.Tx
	kinds *kinds
}

func (tx kindsTx) PutRecord(r *store.Record) error {
	if !slices.Contains(tx.kinds.written, r.Kind) {
		tx.kinds.written = append(tx.kinds.written, r.Kind)
	}
	return tx.Tx.PutRecord(r)
}

// all returns everything that the store keeps of a connection.
func (s *kinds) all(t *testing.T, connection string) map[string]any {
	t.Helper()
	out := map[string]any{}
	err := s.View(t.Context(), connection, func(_ context.Context, r store.Reader) error {
		page, err := r.Query(store.Query{Limit: 1000, With: store.WithGroups | store.WithMembers})
		if err != nil {
			return err
		}
		out["resources"] = page.Resources
		if out["accounts"], err = r.Accounts(store.AccountQuery{}); err != nil {
			return err
		}
		if out["events"], err = r.Events(0, 0); err != nil {
			return err
		}
		for _, kind := range s.written {
			records, err := r.Records(kind, "", 0)
			if err != nil {
				return err
			}
			if len(records) > 0 {
				out["record "+kind] = records
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// foreign are the ids of things of connection acme.
type foreign struct{ account, user, group, credential, token, link, request string }

// gone says that an answer must be that there is no such thing.
func gone(err error) error {
	if errors.Is(err, provision.ErrNotFound) {
		return nil
	}
	return errors.Join(errors.New("want ErrNotFound"), err)
}

// none says that a list must be empty.
func none(n int, err error) error {
	if n > 0 {
		err = errors.Join(fmt.Errorf("there are %d", n), err)
	}
	return err
}

// own says that an answer must succeed and tell nothing of acme.
func own(answer any, err error) error {
	if err != nil {
		return err
	}
	text, err := json.Marshal(answer)
	if err == nil && strings.Contains(string(text), "zebra") {
		err = fmt.Errorf("tells of the other connection: %s", text)
	}
	return err
}

// tenantMethods has a row for each method of a directory: what it does when
// another connection uses the ids, names and keys of acme.
func tenantMethods(t *testing.T) map[string]func(context.Context, *provision.Directory, foreign) error {
	type ctx = context.Context
	type dir = *provision.Directory
	user := content(t, "User", `{"userName":"zebra@example.com","externalId":"zebra-1"}`)
	group := content(t, "Group", `{"displayName":"zebra-group"}`)
	write := func(c provision.Content, members ...string) func(*provision.Draft) error {
		return func(d *provision.Draft) error {
			d.Write(c)
			for _, id := range members {
				d.AddMember(id)
			}
			return nil
		}
	}
	nothing := func(*provision.Draft) error { return nil }
	nobody, err := policy.Parse([]byte(`{"requiredGroups":"Nobody"}`))
	if err != nil {
		t.Fatal(err)
	}
	return map[string]func(ctx, dir, foreign) error{
		"Account": func(c ctx, d dir, x foreign) error { _, err := d.Account(c, x.account); return gone(err) },
		"AccountCounts": func(c ctx, d dir, _ foreign) error {
			n, err := d.AccountCounts(c)
			return own(n, err)
		},
		"Accounts": func(c ctx, d dir, _ foreign) error {
			list, err := d.Accounts(c, store.AccountQuery{})
			return own(list, err)
		},
		"As":  func(_ ctx, d dir, _ foreign) error { return own(d.As(tester).ID(), nil) },
		"Via": func(_ ctx, d dir, _ foreign) error { return own(d.Via(store.SourceSCIM).ID(), nil) },
		"LatestEvents": func(c ctx, d dir, x foreign) error {
			all, err := d.LatestEvents(c, store.EventQuery{})
			of, ofErr := d.LatestEvents(c, store.EventQuery{Account: x.account})
			return errors.Join(own(all, err), own(of, ofErr))
		},
		"Held": func(c ctx, d dir, _ foreign) error {
			list, err := d.Held(c, "", 0)
			return own(list, err)
		},
		"Jobs": func(c ctx, d dir, _ foreign) error {
			list, err := d.Jobs(c)
			return own(list, err)
		},
		"DeriveAgain": func(c ctx, d dir, x foreign) error {
			return errors.Join(gone(d.DeriveAgain(c, provision.Whose{Account: x.account})), gone(d.DeriveAgain(c, provision.Whose{Group: x.group})))
		},
		"PreviewTotals": func(c ctx, d dir, _ foreign) error {
			p, err := d.PreviewTotals(c, nobody)
			return own(p, err)
		},
		"Keep": func(c ctx, d dir, x foreign) error { return gone(d.Keep(c, x.account)) },
		"ID":   func(_ ctx, d dir, _ foreign) error { return own(d.ID(), nil) },
		"Connection": func(c ctx, d dir, _ foreign) error {
			conn, err := d.Connection(c)
			return own(conn.ID, err)
		},
		"Indexing": func(c ctx, d dir, _ foreign) error {
			p, err := d.Indexing(c)
			if p.Total > 0 {
				return errors.New("it counts the resources of the other connection")
			}
			return err
		},
		"UpdateConnection": func(c ctx, d dir, _ foreign) error {
			conn, err := d.UpdateConnection(c, func(*provision.Connection) error { return nil })
			return own(conn.ID, err)
		},
		"SaveConnection": func(c ctx, d dir, _ foreign) error {
			if _, err := d.SaveConnection(c, provision.Connection{ID: "acme"}); err == nil {
				return errors.New("it saved the other connection")
			}
			return nil
		},
		"Credentials": func(c ctx, d dir, _ foreign) error {
			list, err := d.Credentials(c)
			if len(list) != 0 {
				err = errors.Join(err, errors.New("it lists what is not its own"))
			}
			return err
		},
		"SetCredential": func(c ctx, d dir, x foreign) error {
			var taken *provision.CredentialError
			if _, err := d.SetCredential(c, provision.Secret{Token: x.token}, time.Time{}); !errors.As(err, &taken) {
				return errors.Join(errors.New("the secret of the other connection: want a CredentialError"), err)
			}
			return nil
		},
		"IssueToken": func(c ctx, d dir, _ foreign) error {
			_, cred, err := d.IssueToken(c, time.Time{})
			return own(cred, err)
		},
		"ActivateCredential": func(c ctx, d dir, x foreign) error {
			_, err := d.ActivateCredential(c, x.credential)
			return gone(err)
		},
		"IssueCredential": func(c ctx, d dir, _ foreign) error {
			_, cred, err := d.IssueCredential(c, provision.NewCredential{Method: "basic"})
			return own(cred, err)
		},
		"ExtendCredential": func(c ctx, d dir, x foreign) error {
			_, err := d.ExtendCredential(c, x.credential, time.Time{})
			return gone(err)
		},
		"RevokeCredential":  func(c ctx, d dir, x foreign) error { return gone(d.RevokeCredential(c, x.credential)) },
		"RevokeCredentials": func(c ctx, d dir, _ foreign) error { return d.RevokeCredentials(c) },
		"Link":              func(c ctx, d dir, x foreign) error { return gone(d.Link(c, x.account, "row 1")) },
		"Import": func(c ctx, d dir, _ foreign) error {
			return d.Import(c, scimsync.JSONLines(strings.NewReader(`{"id":"zebra","userName":"zebra@example.com"}`)), nil)
		},
		"DeleteConnection": func(c ctx, d dir, _ foreign) error { return d.DeleteConnection(c, nil) },
		"Forced":           func(_ ctx, d dir, _ foreign) error { return own(d.Forced().ID(), nil) },
		"Create": func(c ctx, d dir, x foreign) error {
			var member *provision.MemberError
			if _, err := d.Create(c, "Group", 0, write(group, x.user)); !errors.As(err, &member) {
				return errors.Join(errors.New("a member of the other connection: want a MemberError"), err)
			}
			r, err := d.Create(c, "User", 0, write(user))
			if err == nil && r.ID == x.user {
				err = errors.New("the id is that of the other connection")
			}
			return err
		},
		"Delete":        func(c ctx, d dir, x foreign) error { return gone(d.Delete(c, "User", x.user, nil)) },
		"DeleteAccount": func(c ctx, d dir, x foreign) error { return gone(d.DeleteAccount(c, x.account)) },
		"Disable":       func(c ctx, d dir, x foreign) error { return gone(d.Disable(c, x.account)) },
		"Edit": func(c ctx, d dir, x foreign) error {
			return gone(d.Edit(c, x.account, provision.AccountEdit{TwoFactor: policy.TwoFactorAlways}))
		},
		"Enable": func(c ctx, d dir, x foreign) error { return gone(d.Enable(c, x.account)) },
		"EndLogin": func(c ctx, d dir, _ foreign) error {
			if _, err := d.EndLogin(c, provision.Logout{NameID: zebra().NameID}); !errors.Is(err, provision.ErrNotFound) {
				return errors.Join(errors.New("ends the login of the other connection"), err)
			}
			return nil
		},
		"Sessions": func(c ctx, d dir, x foreign) error {
			list, err := d.Sessions(c, x.account)
			return own(list, err)
		},
		"Events":  func(c ctx, d dir, _ foreign) error { list, err := d.Events(c, 0, 0); return own(list, err) },
		"Explain": func(c ctx, d dir, x foreign) error { _, err := d.Explain(c, x.account); return gone(err) },
		"Get":     func(c ctx, d dir, x foreign) error { _, err := d.Get(c, "", x.user, 0); return gone(err) },
		"UserNamed": func(c ctx, d dir, _ foreign) error {
			_, err := d.UserNamed(c, "zebra@example.com")
			return gone(err)
		},
		"HostGroups": func(c ctx, d dir, _ foreign) error {
			list, err := d.HostGroups(c)
			return own(list, err)
		},
		"Login": func(c ctx, d dir, x foreign) error {
			a, err := d.Login(c, zebra())
			if err == nil && (a.ID == x.account || a.Connection != d.ID()) {
				err = fmt.Errorf("found account %s of %s", a.ID, a.Connection)
			}
			return err
		},
		"MarkLoggedIn": func(c ctx, d dir, x foreign) error { return gone(d.MarkLoggedIn(c, x.account)) },
		"MemberCount": func(c ctx, d dir, x foreign) error {
			n, err := d.MemberCount(c, x.group)
			if n != 0 {
				return fmt.Errorf("counts %d members", n)
			}
			return err
		},
		"Members": func(c ctx, d dir, x foreign) error {
			page, _, err := d.Members(c, x.group, "")
			if len(page) > 0 {
				return fmt.Errorf("members: %v", page)
			}
			return gone(err)
		},
		"Preview": func(c ctx, d dir, _ foreign) error {
			for change, err := range d.Preview(c, nobody) {
				return errors.Join(fmt.Errorf("tells of %v", change), err)
			}
			return nil
		},
		"Query": func(c ctx, d dir, _ foreign) error {
			page, err := d.Query(c, store.Query{Limit: 100})
			return own(page.Resources, err)
		},
		"RefreshMetadata": func(c ctx, d dir, _ foreign) error {
			var wrong *provision.ConnectionError
			if changed, err := d.RefreshMetadata(c); changed || !errors.As(err, &wrong) {
				return errors.Join(errors.New("there is no address to fetch it from"), err)
			}
			return nil
		},
		"RegisterGroups": func(c ctx, d dir, x foreign) error {
			return d.RegisterGroups(c, provision.HostGroup{ID: x.group, Name: "Mine"}, provision.HostGroup{ID: "17", Name: "zebra-host"})
		},
		"ChooseLink": func(c ctx, d dir, x foreign) error {
			return gone(d.ChooseLink(c, x.user, provision.ChooseNew, ""))
		},
		"MakePlan": func(c ctx, d dir, _ foreign) error {
			var live *provision.ModeError
			if _, err := d.MakePlan(c); !errors.As(err, &live) || live.Connection != d.ID() {
				return errors.Join(errors.New("a live connection has nothing to plan"), err)
			}
			return nil
		},
		"Plan": func(c ctx, d dir, _ foreign) error { _, err := d.Plan(c); return gone(err) },
		"PlanPeople": func(c ctx, d dir, _ foreign) error {
			_, err := d.PlanPeople(c, "", provision.PlanQuery{})
			return gone(err)
		},
		"SetMode": func(c ctx, d dir, _ foreign) error {
			conn, err := d.SetMode(c, provision.ModeChange{Mode: provision.ModePaused, Until: time.Date(2030, 1, 9, 0, 0, 0, 0, time.UTC)})
			return own(conn.ID, err)
		},
		"Release":     func(c ctx, d dir, x foreign) error { return gone(d.Release(c, x.account)) },
		"AddGroup":    func(c ctx, d dir, x foreign) error { return gone(d.AddGroup(c, x.account, x.group)) },
		"RemoveGroup": func(c ctx, d dir, x foreign) error { return gone(d.RemoveGroup(c, x.account, x.group)) },
		"Sync": func(c ctx, d dir, x foreign) error {
			src := chained{
				users:  []provision.SyncUser{{Content: user}},
				groups: []provision.SyncGroup{{Content: group, Members: []string{x.user, x.account, "zebra@example.com"}}},
			}
			report, err := d.Sync(c, src, provision.SyncOptions{Force: true})
			if report.Users.Created != 1 || report.Groups.Created != 1 || report.MembersAdded != 1 {
				return errors.Join(fmt.Errorf("report %+v", report), err)
			}
			return err
		},
		"TryLogin": func(c ctx, d dir, x foreign) error {
			a, err := d.TryLogin(c, zebra())
			if err == nil && (a.ID == x.account || a.Connection != d.ID()) {
				err = fmt.Errorf("found account %s of %s", a.ID, a.Connection)
			}
			return err
		},
		"SyncNow": func(c ctx, d dir, _ foreign) error { // it has no directory, whatever the other one has
			_, err := d.SyncNow(c, provision.SyncOptions{})
			var wrong *provision.ConnectionError
			if !errors.As(err, &wrong) || wrong.Connection != d.ID() {
				return fmt.Errorf("it says %w", err)
			}
			return nil
		},
		"Activity": func(c ctx, d dir, _ foreign) error {
			a, err := d.Activity(c)
			if a.Request != nil || a.Change != nil || a.Refusal != nil {
				return errors.Join(fmt.Errorf("it was heard of: %+v", a), err)
			}
			return err
		},
		"Traffic": func(c ctx, d dir, _ foreign) error {
			list, err := d.Traffic(c, time.Time{})
			return none(len(list), err)
		},
		"Requests": func(c ctx, d dir, x foreign) error {
			page, err := d.Requests(c, provision.RequestQuery{})
			if err := none(len(page.Requests), err); err != nil {
				return err
			}
			page, err = d.Requests(c, provision.RequestQuery{Account: x.account, Resource: x.user, UserName: "zebra@example.com"})
			return none(len(page.Requests), err)
		},
		"Request":      func(c ctx, d dir, x foreign) error { _, err := d.Request(c, x.request); return gone(err) },
		"ProveRequest": func(c ctx, d dir, x foreign) error { _, err := d.ProveRequest(c, x.request); return gone(err) },
		"ProveAccount": func(c ctx, d dir, x foreign) error { _, err := d.ProveAccount(c, x.account); return gone(err) },
		"PortalLinks": func(c ctx, d dir, _ foreign) error {
			list, err := d.PortalLinks(c)
			return none(len(list), err)
		},
		"RevokePortalLink": func(c ctx, d dir, x foreign) error { return gone(d.RevokePortalLink(c, x.link)) },
		"CreatePortalLink": func(c ctx, d dir, _ foreign) error {
			told, link, err := d.CreatePortalLink(c, provision.NewPortalLink{Operations: portalRights})
			if err == nil && (link.ID == "" || !strings.HasPrefix(told.Code, d.ID()+"~")) {
				err = fmt.Errorf("the code is %q", told.Code)
			}
			return err
		},
		"SyncStatus": func(c ctx, d dir, _ foreign) error {
			s, err := d.SyncStatus(c)
			if s.Running != nil || s.Last != nil && s.Last.Report.Users.Created != 1 {
				return errors.Join(fmt.Errorf("the status is %+v", s), err)
			}
			return err
		},
		"OpenSecret": func(c ctx, d dir, _ foreign) error {
			_, err := d.OpenSecret(c, "ldap.bindPassword", provision.Connection{})
			return gone(err)
		},
		"Unbind": func(c ctx, d dir, x foreign) error { return gone(d.Unbind(c, x.account)) },
		"Warnings": func(c ctx, d dir, x foreign) error {
			list, err := d.Warnings(c)
			for _, w := range list {
				if w.Value == x.credential {
					return errors.Join(fmt.Errorf("tells of credential %q", w.Value), err)
				}
			}
			return err
		},
		"Update": func(c ctx, d dir, x foreign) error { _, err := d.Update(c, "", x.user, 0, nothing); return gone(err) },
	}
}

// zebra is a person of acme who has logged in.
func zebra() provision.Identity {
	return provision.Identity{
		ID: "zebra-1", NameID: provision.NameID{Value: "zebra", Format: jit.NameIDPersistent},
		UserName: "zebra@example.com", Evidence: policy.EvidenceKnown, Groups: []provision.IdentityGroup{{Name: "Staff"}},
	}
}

// fillTenant gives acme one of everything: accounts, all held, of which one has
// logged in; groups, credentials, and what the engine keeps about them.
func fillTenant(t *testing.T, tn *tenant) foreign {
	t.Helper()
	x := foreign{user: tn.user(`{"userName":"zebra@example.com","externalId":"zebra-1"}`), token: strings.Repeat("zebra", 8)}
	cred, err := tn.operator().SetCredential(t.Context(), provision.Secret{Token: x.token}, time.Time{})
	if err != nil {
		t.Fatal(err)
	}
	x.credential = cred.ID
	x.group = tn.group("Staff", append(tn.people(11), x.user)...)
	tn.register("17 zebra-host")
	a, err := tn.dir.Login(t.Context(), zebra())
	if err != nil {
		t.Fatal(err)
	}
	x.account = a.ID
	tn.issue(time.Time{})
	tn.rename(x.group, "zebra-group")
	tn.setPolicy(`{"requiredGroups":"Staff","defaultGroups":["zebra-host","zebra-later"],"deleteAfterDays":1}`)
	_, link := tn.portal(provision.NewPortalLink{Operations: portalRights})
	x.link = link.ID
	tn.engine.Plumbing().NoteRequest("acme", provision.Request{
		Time: tn.clock.Now(), Protocol: "scim", Method: "PATCH", Outcome: provision.RequestRefused, Account: x.account, Resource: x.user, UserName: "zebra@example.com",
	})
	if err := tn.engine.Plumbing().FlushRequests(t.Context()); err != nil {
		t.Fatal(err)
	}
	page, err := tn.dir.Requests(t.Context(), provision.RequestQuery{Account: x.account})
	if err != nil || len(page.Requests) == 0 {
		t.Fatalf("%+v, %v", page, err)
	}
	x.request = page.Requests[0].ID
	return x
}

// Whatever a connection asks a method of Directory about another one, that is not
// there, and nothing of it changes. A method without a row fails.
func TestTenantOfEveryMethod(t *testing.T) {
	onEveryStore(t, func(t *testing.T, st store.Store) {
		seen := &kinds{Store: st}
		tn := newTenant(t, seen, `{"requiredGroups":"Staff","defaultGroups":["zebra-host","zebra-later"]}`)
		x := fillTenant(t, tn)
		rows := tenantMethods(t)
		typ := reflect.TypeFor[*provision.Directory]()
		for i := range typ.NumMethod() {
			name := typ.Method(i).Name
			if rows[name] == nil {
				t.Errorf("there is no row for method %s", name)
				continue
			}
			t.Run(name, func(t *testing.T) {
				other := provision.Connection{ID: "other." + name, SCIM: true}
				other.Policy.ProvisionOnFirstLogin = policy.FirstLoginProvision
				if _, err := tn.engine.Directory(other.ID).As(tester).UpdateConnection(t.Context(), with(other)); err != nil {
					t.Fatal(err)
				}
				before := seen.all(t, "acme")
				if err := rows[name](t.Context(), tn.engine.Directory(other.ID).As(tester), x); err != nil {
					t.Error(err)
				}
				if diff := cmp.Diff(before, seen.all(t, "acme")); diff != "" {
					t.Errorf("acme changed (-before +after):\n%s", diff)
				}
			})
		}
	})
}
