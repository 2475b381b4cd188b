package provision_test

import (
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"github.com/scimjit/provision"
	"github.com/scimjit/provision/policy"
	"github.com/scimjit/provision/store"
)

// What the random walk says of who is who. Its names clash, its ids are said by SCIM
// and by logins, and whether they are immutable is edited in between.

// name returns the name of one of few people, sometimes as it only clashes.
func (w *randomWalk) name() string {
	name := fmt.Sprintf("kim%d@example.com", w.rng.IntN(5))
	switch w.rng.IntN(12) {
	case 0:
		return strings.ToUpper(name)
	case 1:
		return "\u212a" + name[1:]
	case 2:
		return name + " "
	}
	return name
}

func (w *randomWalk) id() string { return fmt.Sprint("e", w.rng.IntN(6)) }

func (w *randomWalk) userBody() string {
	body := fmt.Sprintf(`{"userName":%q,"active":%t`, w.name(), w.rng.IntN(3) > 0)
	if w.rng.IntN(4) > 0 {
		body += fmt.Sprintf(`,"externalId":%q`, w.id())
	}
	if w.rng.IntN(3) == 0 {
		body += fmt.Sprintf(`,"emails":[{"value":%q}]`, w.name())
	}
	return body + "}"
}

func (w *randomWalk) identity() provision.Identity {
	id := provision.Identity{UserName: w.name(), Evidence: policy.EvidenceAbsent}
	if id.Email = id.UserName; w.rng.IntN(3) == 0 {
		id.Email = w.name()
	}
	if w.rng.IntN(2) == 0 {
		id.ID = w.id()
	}
	if w.rng.IntN(4) == 0 {
		id.NameID = provision.NameID{Value: fmt.Sprint("n", w.rng.IntN(6)), Format: "urn:oasis:names:tc:SAML:2.0:nameid-format:persistent"}
	}
	if w.rng.IntN(2) == 0 {
		id.Evidence, id.Groups = policy.EvidenceKnown, []provision.IdentityGroup{{Value: w.group()}}
	}
	return id
}

func (w *randomWalk) config() policy.Config {
	w.t.Helper()
	conn, err := w.engine.Directory("acme").Connection(w.t.Context())
	if err != nil {
		w.t.Fatal(err)
	}
	return conn.Policy
}

// login logs somebody in, after it was tried. Nobody enters an account that is not
// theirs by an id or a name.
func (w *randomWalk) login() {
	w.t.Helper()
	if w.paused { // by the accounts as they are, of which the names may be those of before
		_, err := w.dir.Login(w.t.Context(), w.identity())
		w.must(err)
		return
	}
	id, before := w.identity(), w.all()
	_, wouldFail := w.dir.TryLogin(w.t.Context(), id)
	a, err := w.dir.Login(w.t.Context(), id)
	w.must(err)
	if denialOf(err) != denialOf(wouldFail) {
		w.t.Fatalf("steps %v: %+v was tried: %v, then %v", w.log, id, wouldFail, err)
	}
	if err != nil {
		return
	}
	if a.Status != policy.StatusActive {
		w.t.Fatalf("steps %v: a login let somebody in who is %s", w.log, a.Status)
	}
	i := slices.IndexFunc(before, func(b *provision.Account) bool { return b.ID == a.ID })
	if i >= 0 && !w.owns(id, before[i]) {
		w.t.Fatalf("steps %v: %+v entered %+v with %v", w.log, id, before[i], keysOf(before[i]))
	}
}

func denialOf(err error) policy.Denial {
	var refused *provision.DeniedError
	if errors.As(err, &refused) {
		return refused.Code
	}
	return ""
}

func keysOf(a *provision.Account) []string {
	if a.Facts.Login == nil {
		return nil
	}
	return a.Facts.Login.Keys
}

func idOf(a *provision.Account) string {
	for _, key := range keysOf(a) {
		if id, is := strings.CutPrefix(key, "id/"); is {
			id, _ = url.QueryUnescape(id)
			return id
		}
	}
	return ""
}

// owns reports whether an identity may enter an account.
func (w *randomWalk) owns(id provision.Identity, a *provision.Account) bool {
	config, immutable := w.config(), w.immutable()
	byNameID := id.NameID.Value != "" && slices.ContainsFunc(keysOf(a), func(key string) bool { return strings.HasSuffix(key, "/"+id.NameID.Value) })
	switch bound := idOf(a); {
	case bound != "" && id.ID != "":
		return bound == id.ID
	case bound != "":
		return byNameID
	case immutable && id.ID != "" && a.ExternalID != "":
		return a.ExternalID == id.ID
	}
	linked := config.Link == policy.LinkEmail && store.SameName(a.Email, id.Email) && !a.SiteAdmin && !a.ReadOnlySiteAdmin
	return byNameID || store.SameName(a.UserName, id.UserName) || linked
}

// said is what the users of the connection say of who they are.
type said struct {
	resource string
	names    []string // the keys of the user name and of the e-mails
	id       string   // externalId
}

func (w *randomWalk) said() (list []said) {
	w.t.Helper()
	page, err := w.dir.Query(w.t.Context(), store.Query{Types: []string{"User"}, Limit: 1000})
	if err != nil {
		w.t.Fatal(err)
	}
	for _, r := range page.Resources {
		text := func(key string) string { v, _ := r.Document.Get(key); return v.Text() }
		s := said{resource: r.ID, names: []string{store.NameKey(text("userName"))}, id: text("externalId")}
		for email := range r.Document.Values("emails", "value") {
			s.names = append(s.names, store.NameKey(email.Text()))
		}
		list = append(list, s)
	}
	return list
}

// checkPeople looks for two users who are one: by the name, by an immutable id.
func (w *randomWalk) checkPeople() {
	w.t.Helper()
	names, ids, shared := map[string]bool{}, map[string]bool{}, map[string]bool{}
	immutable := w.immutable()
	for _, s := range w.said() {
		if names[s.names[0]] {
			w.t.Fatalf("steps %v: two users are named %q", w.log, s.names[0])
		}
		if s.id != "" && ids[s.id] {
			shared[s.id] = true
			if immutable && !w.shared[s.id] {
				w.t.Fatalf("steps %v: two users have the immutable id %q", w.log, s.id)
			}
		}
		names[s.names[0]], ids[s.id] = true, true
	}
	w.shared = shared // before an edit, two may have one id
}

// checkSelves checks that whoever is active comes to their own account, unless the
// policy refuses. Who has the name or the id of somebody else, too, is left out: they
// had it before it was forbidden, or their user was deleted.
func (w *randomWalk) checkSelves() {
	w.t.Helper()
	if w.paused {
		return
	}
	immutable, users, all := w.immutable(), w.said(), w.all()
	for _, a := range all {
		if a.Status != policy.StatusActive || a.Pending {
			continue
		}
		id := provision.Identity{UserName: a.UserName, Email: a.Email, ID: idOf(a), Evidence: policy.EvidenceAbsent}
		switch {
		case id.ID == "" && immutable:
			id.ID = a.ExternalID
		case id.ID != "" && w.met%2 == 0:
			id.UserName = "renamed"
		}
		own := func(name string) bool { return name == store.NameKey(a.UserName) || name == store.NameKey(a.Email) }
		doubtful := slices.ContainsFunc(users, func(s said) bool {
			return s.resource != a.ResourceID && (a.ResourceID == "" && slices.ContainsFunc(s.names, own) || id.ID != "" && s.id == id.ID)
		}) || slices.ContainsFunc(all, func(b *provision.Account) bool {
			return b.ID != a.ID && b.Status != policy.StatusDeleted &&
				(id.ID != "" && (idOf(b) == id.ID || b.ExternalID == id.ID) ||
					a.ResourceID == "" && (own(store.NameKey(b.UserName)) || own(store.NameKey(b.Email))))
		}) || immutable && a.ExternalID != "" && a.ExternalID != id.ID
		if doubtful {
			continue
		}
		w.met++
		entered, err := w.dir.TryLogin(w.t.Context(), id)
		switch code := denialOf(err); {
		case code == policy.DeniedPassword, code == policy.DeniedNotAdmitted:
		case err != nil || entered.ID != a.ID:
			w.t.Fatalf("steps %v: %+v with %v, of resource %q, does not come to their own account: %v", w.log, id, keysOf(a), a.ResourceID, err)
		}
	}
}

func (w *randomWalk) immutable() bool {
	config := w.config()
	return config.ExternalIDImmutable != nil && *config.ExternalIDImmutable
}
