package provision_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"golang.org/x/text/unicode/norm"

	"github.com/scimjit/provision"
	"github.com/scimjit/provision/policy"
	"github.com/scimjit/provision/store"
)

// randomName returns one of few names that people confuse: other cases, other
// normal forms, letters that fold into ASCII, other widths and scripts, white
// space at the ends, and sometimes a hidden character.
func randomName(r *rand.Rand) string {
	letters := [][]string{
		{"s", "S", "\u017f", "\uff53", "\u0455"},
		{"k", "K", "\u212a", "\u043a"},
		{"i", "I", "\u0130", "\u0131", "i\u0307"},
		{"\u00e9", "e\u0301", "E\u0301", "\u00c9", "e"},
		{"\u03c3", "\u03a3", "\u03c2"},
	}
	var b strings.Builder
	for _, choice := range letters[:1+r.IntN(len(letters))] {
		if r.IntN(3) > 0 {
			b.WriteString(choice[r.IntN(2)])
		} else {
			b.WriteString(choice[r.IntN(len(choice))])
		}
	}
	name := b.String()
	switch r.IntN(12) {
	case 0:
		name += " "
	case 1:
		name = "\u00a0" + name
	case 2:
		name = norm.NFD.String(name)
	case 3:
		name += []string{"\u200b", "\u202e", "\a", "\r\n"}[r.IntN(4)]
	}
	return name
}

// people is what must be true of names: which person has which, whatever wrote it.
type people struct {
	*tenant
	accounts map[string]string // by a name that led to it
	synced   []string
}

// TestNamesAndPeople lets SCIM, logins and syncs meet with names that people
// confuse. No two people become one, and no person two.
func TestNamesAndPeople(t *testing.T) {
	onEveryStore(t, func(t *testing.T, st store.Store) {
		for seed := range uint64(20) {
			r := rand.New(rand.NewPCG(seed, 10))
			p := &people{tenant: &tenant{t: t, engine: &provision.Engine{Store: st}, clock: newClock()}, accounts: map[string]string{}}
			id := fmt.Sprint("names", seed)
			p.engine.Now = p.clock.Now
			p.dir = p.engine.Directory(id).Via(store.SourceSCIM).As(provision.Actor{Kind: "scim", ID: "credential"})
			conn := provision.Connection{ID: id, SCIM: true, Policy: policy.Config{ProvisionOnFirstLogin: policy.FirstLoginProvision}}
			if _, err := p.engine.Directory(id).As(tester).UpdateConnection(t.Context(), with(conn)); err != nil {
				t.Fatal(err)
			}
			for range 60 {
				p.step(r.IntN(3), randomName(r))
			}
			p.check()
			if t.Failed() {
				t.Fatalf("seed %d", seed)
			}
		}
	})
}

func (p *people) step(way int, name string) {
	p.t.Helper()
	var err error
	switch way {
	case 0:
		var a *provision.Account
		a, err = p.engine.Directory(p.dir.ID()).Login(p.t.Context(), provision.Identity{UserName: name})
		if err == nil {
			p.is(name, a)
		}
	case 1:
		if hidden(name) {
			return // package schema refuses it
		}
		_, err = p.dir.Create(p.t.Context(), "User", 0, func(d *provision.Draft) error {
			d.Write(content(p.t, "User", fmt.Sprintf(`{"userName":%q}`, name)))
			return nil
		})
	case 2:
		if hidden(name) {
			return
		}
		p.sync(listed{users: named(append(p.synced, name)...)}, provision.SyncOptions{Force: true})
		p.synced = append(p.synced, name)
	}
	var denied *provision.DeniedError
	var conflict *store.ConflictError
	switch {
	case err == nil, errors.As(err, &conflict):
	case errors.As(err, &denied) && denied.Code == policy.DeniedConflict:
		if !p.clashes(name) {
			p.t.Errorf("login of %q: %v, and nobody has a name like it", name, err)
		}
	case errors.As(err, &denied) && denied.Code == policy.DeniedIncomplete && hidden(name):
	default:
		p.t.Fatalf("%q: %v", name, err)
	}
	if err == nil && hidden(name) {
		p.t.Errorf("%q was accepted", name)
	}
}

func hidden(name string) bool { return strings.ContainsAny(name, "\u200b\u202e\a\r\n") }

// is checks that a name leads to one person, for good, whose name it is.
func (p *people) is(name string, a *provision.Account) {
	p.t.Helper()
	if !store.SameName(name, a.UserName) {
		p.t.Errorf("%q opens the account of %q", name, a.UserName)
	}
	if have, ok := p.accounts[name]; ok && have != a.ID {
		p.t.Errorf("%q opens the account %s, and opened %s", name, a.ID, have)
	}
	p.accounts[name] = a.ID
}

func (p *people) clashes(name string) bool {
	for _, a := range p.all() {
		if store.NameKey(a.UserName) == store.NameKey(name) {
			return true
		}
	}
	return false
}

func (p *people) all() []*provision.Account {
	p.t.Helper()
	list, err := p.dir.Accounts(p.t.Context(), store.AccountQuery{})
	if err != nil {
		p.t.Fatal(err)
	}
	return list
}

// check finds two people whose names clash, and people who cannot be found by
// their own name.
func (p *people) check() {
	p.t.Helper()
	keys := map[string]string{}
	for _, a := range p.all() {
		key := store.NameKey(a.UserName)
		if other, ok := keys[key]; ok {
			p.t.Errorf("%q and %q are two people", a.UserName, other)
		}
		keys[key] = a.UserName
		entered, err := p.engine.Directory(p.dir.ID()).Login(p.t.Context(), provision.Identity{UserName: a.UserName})
		if err != nil || entered.ID != a.ID {
			p.t.Errorf("%q does not come to their own account: %v", a.UserName, err)
		}
	}
}

// However many groups have one name, a login finds the others that it asserts, and
// adds nobody to them.
func TestManyGroupsOfOneName(t *testing.T) {
	onEveryStore(t, func(t *testing.T, st store.Store) {
		tn := newTenant(t, st, `{"provisionOnFirstLogin":true,"siteAdminGroups":"Boss"}`)
		conn := provision.Connection{ID: "acme", SCIM: true, Dialect: "rfc", Policy: policy.Config{
			ProvisionOnFirstLogin: policy.FirstLoginProvision, SiteAdminGroups: policy.Patterns{"Boss"},
		}}
		if _, err := tn.engine.Directory("acme").As(tester).UpdateConnection(t.Context(), with(conn)); err != nil {
			t.Fatal(err)
		}
		for range 60 {
			c := content(t, "Group", `{"displayName":"Staff","externalId":"s"}`)
			for i := range c.Keys {
				c.Keys[i].Unique = false
			}
			if _, err := tn.dir.Create(t.Context(), "Group", 0, func(d *provision.Draft) error { d.Write(c); return nil }); err != nil {
				t.Fatal(err)
			}
		}
		tn.group("Boss")
		for _, asserts := range [][]string{{"Staff", "Boss"}, {"s", "Boss"}} {
			a := mustLogin(t, tn, provision.Identity{UserName: "ann", Groups: asserted(asserts...)})
			if a.SiteAdmin || len(a.Groups) != 0 {
				t.Errorf("a login that asserts %q gives %+v", asserts, a.Groups)
			}
		}
	})
}

// Two people may have one e-mail, which is told, unless the connection says that
// e-mails are unique.
func TestSharedEmail(t *testing.T) {
	const mail = `"emails":[{"value":%q,"type":"work"}]}`
	body := func(name, email string) string { return fmt.Sprintf(`{"userName":%q,`+mail, name, email) }
	onEveryStore(t, func(t *testing.T, st store.Store) {
		tn := newTenant(t, st, `{}`)
		tn.user(body("ann", "a@example.com"))
		at := tn.lastEvent()
		second := tn.user(body("bob", "A@example.com"))
		expectSame(t, "events", []store.EventType{store.AccountEmailConflict, store.ConnectionWarning, store.AccountCreated}, tn.events(at))
		at = tn.lastEvent()
		tn.set(second, `{"userName":"bobby",`+fmt.Sprintf(mail, "A@example.com"))
		expectSame(t, "events of the same e-mail", []store.EventType{store.AccountUpdated}, tn.events(at))

		tn.setPolicy(`{"uniqueEmails":true}`)
		at = tn.lastEvent()
		var conflict *store.ConflictError
		create := func(body string) error {
			_, err := tn.dir.Create(t.Context(), "User", 0, func(d *provision.Draft) error {
				d.Write(content(t, "User", body))
				return nil
			})
			return err
		}
		for _, email := range []string{"a@example.com", "\u00c4@example.com ", "\u017f@example.com"} {
			_ = create(body("first"+email, "ä@example.com"))
			_ = create(body("second"+email, "s@example.com"))
			if err := create(body("third", email)); !errors.As(err, &conflict) || conflict.Attribute != "emails.value" {
				t.Errorf("%q: %v, want a conflict of emails.value", email, err)
			}
		}
		// A user name may be the e-mail.
		for _, bodies := range [][2]string{
			{`{"userName":"u@example.com"}`, body("third", "U@example.com ")},
			{body("fourth", "v@example.com"), `{"userName":"V@example.com"}`},
		} {
			if err := create(bodies[0]); err != nil {
				t.Fatal(err)
			}
			if err := create(bodies[1]); !errors.As(err, &conflict) || conflict.Attribute != "emails.value" {
				t.Errorf("%s after %s: %v, want a conflict of emails.value", bodies[1], bodies[0], err)
			}
		}
		if err := create(body("w@example.com", "w2@example.com")); err != nil {
			t.Fatal(err)
		}
		if err := create(body("fifth", "w@example.com")); err != nil {
			t.Errorf("a user name that is not the e-mail: %v", err)
		}
		tn.set(second, `{"userName":"bob",`+fmt.Sprintf(mail, "a@Example.com")) // had it before
		if n := tn.countEvents(at, store.AccountEmailConflict); n != 0 {
			t.Errorf("%d e-mails are told, and they are refused", n)
		}
	})
}
