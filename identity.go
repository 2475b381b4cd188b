package provision

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/scimjit/provision/internal/account"
	"github.com/scimjit/provision/internal/naming"
	"github.com/scimjit/provision/policy"
)

// Identity is what a verified login says about one person. Its maker has checked
// that the identity provider of the connection said so; afterwards only its form is
// checked.
//
// Each text holds at most [MaxIdentityText] bytes and no control characters.
// Ids and names of the person keep their white space, which tells one from
// another; [Directory.Login] trims the others and brings them to Unicode
// normalization form C.
type Identity struct {
	// ID is the identity provider's immutable id of the person, such as an
	// objectidentifier, or empty where none is mapped. It is compared byte for
	// byte. Without it a person who is renamed cannot be recognized.
	ID string

	// NameID is the subject of a SAML assertion. Only a persistent one is a
	// key; a transient one is never compared with anything.
	NameID NameID

	// Session is the session at the identity provider, where that may end the login
	// later ([Directory.EndLogin]); nil where it may not.
	Session *Session

	// Once are the keys that the login uses: what must not log anybody in again, such as
	// the id of the assertion and that of the request which it answers.
	Once []OnceKey

	// UserName and Email are written as they are. They match those of a person
	// as [store.SameName] says; a login by one that clashes without matching
	// is refused.
	UserName string
	Email    string

	GivenName   string
	FamilyName  string
	Name        string // formatted; given and family name where it is empty
	DisplayName string
	Company     string
	TimeZone    string

	// Groups is what was said about groups. Evidence says how much that is
	// worth; its zero value is [policy.EvidenceKnown]: an empty list is then a
	// person without groups.
	Groups   []IdentityGroup
	Evidence policy.Evidence

	// Attributes are further SCIM attributes of the person, by path, such as
	// "title" or
	// "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:department".
	// A path must be a text attribute of the user or of the enterprise
	// extension, without sub-attributes.
	Attributes map[string]string
}

// Limits of an [Identity].
const (
	// MaxIdentityText is the most bytes that one text may have.
	MaxIdentityText = 256

	// MaxIdentityGroups is the most groups that an identity may have.
	MaxIdentityGroups = 1000
)

// IdentityGroup is one group of an [Identity].
type IdentityGroup struct {
	// Value is the group as it was asserted: a name, a DN or an id. It is the
	// externalId of the group.
	Value string

	// Name is the name by which people and policies know the group; Value
	// where it is empty.
	Name string
}

// NameID is the subject of a SAML assertion (SAML core section 2.2.3).
type NameID struct {
	Value           string
	Format          string // URN, or empty
	NameQualifier   string
	SPNameQualifier string
}

// The formats of a NameID that matter here (SAML core section 8.3). Package jit
// publishes them.
const (
	nameIDPersistent = "urn:oasis:names:tc:SAML:2.0:nameid-format:persistent"
	nameIDTransient  = "urn:oasis:names:tc:SAML:2.0:nameid-format:transient"
)

// DeniedError says that a login or an adoption was refused. Nothing was created
// or changed.
//
// Error is for the log: it may name the values that were compared. Public is
// for the person in front of the browser.
type DeniedError struct {
	Code policy.Denial

	// Cause is for administrators: it names the option and the values that
	// decided.
	Cause string

	// Account is the account that the identity resembles or is, if any.
	Account string

	// Reasons are those of the policy, where it was asked.
	Reasons []policy.Reason

	// ID and UserName are what the identity says, by which an administrator finds the
	// refusal ([Plumbing.NoteRequest]).
	ID, UserName string
}

// Error implements error.
func (e *DeniedError) Error() string {
	return fmt.Sprintf("provision: denied (%s): %s", e.Code, e.Cause)
}

// Public returns one text that says nothing about anybody's account.
func (e *DeniedError) Public() string {
	return "You cannot be logged in to this application. Please ask your administrator."
}

func denied(code policy.Denial, format string, args ...any) *DeniedError {
	return &DeniedError{Code: code, Cause: fmt.Sprintf(format, args...)}
}

// userName is the name by which the person is known.
func (id *Identity) userName() string { return cmp.Or(id.UserName, id.Email) }

// key is the persistent NameID as a key, or "".
func (n NameID) key() string {
	if n.Format != nameIDPersistent || n.Value == "" {
		return ""
	}
	return n.Value
}

// normalized returns a copy whose texts that are no keys are trimmed and
// NFC-normalized, or says which text is wrong.
func (id Identity) normalized() (Identity, *DeniedError) {
	var wrong *DeniedError
	check := func(field, text string, key bool) string {
		if !key {
			text = naming.Normal(text)
		} else if strings.TrimSpace(text) == "" {
			return ""
		}
		reason := textProblem(text)
		if at, r := naming.Hidden(text); reason == "" && key && at >= 0 {
			reason = fmt.Sprintf("has the invisible character %U at byte %d", r, at)
		}
		if reason != "" && wrong == nil {
			wrong = denied(policy.DeniedIncomplete, "%s %q %s", field, shorten(text), reason)
		}
		return text
	}
	for _, f := range []struct {
		name string
		text *string
		key  bool
	}{
		{"the immutable id", &id.ID, true},
		{"the NameID", &id.NameID.Value, true},
		{"the NameQualifier", &id.NameID.NameQualifier, true},
		{"the SPNameQualifier", &id.NameID.SPNameQualifier, true},
		{"the user name", &id.UserName, true},
		{"the e-mail", &id.Email, true},
		{"the given name", &id.GivenName, false},
		{"the family name", &id.FamilyName, false},
		{"the name", &id.Name, false},
		{"the display name", &id.DisplayName, false},
		{"the company", &id.Company, false},
		{"the time zone", &id.TimeZone, false},
	} {
		*f.text = check(f.name, *f.text, f.key)
	}
	id.Attributes = maps.Clone(id.Attributes)
	for _, path := range slices.Sorted(maps.Keys(id.Attributes)) {
		if (&account.Document{}).Mapped(path) == nil && wrong == nil {
			wrong = denied(policy.DeniedIncomplete, "attribute %q is not a text attribute of a user", path)
		}
		id.Attributes[path] = check("attribute "+path, id.Attributes[path], false)
	}
	if len(id.Groups) > MaxIdentityGroups && wrong == nil {
		wrong = denied(policy.DeniedIncomplete, "%d groups, and at most %d are allowed", len(id.Groups), MaxIdentityGroups)
	}
	groups := make([]IdentityGroup, 0, len(id.Groups))
	for _, g := range id.Groups {
		g.Value = check("the group", g.Value, true)
		g.Name = cmp.Or(check("the group name", g.Name, false), naming.Normal(g.Value))
		if g.Value != "" {
			groups = append(groups, g)
		}
	}
	id.Groups = groups
	return id, wrong
}

// textProblem says what is wrong with the form of a text, or "".
func textProblem(text string) string {
	switch {
	case len(text) > MaxIdentityText:
		return fmt.Sprintf("has %d bytes, and at most %d are allowed", len(text), MaxIdentityText)
	case !utf8.ValidString(text):
		return "is not valid UTF-8"
	}
	if at := strings.IndexFunc(text, naming.Control); at >= 0 {
		r, _ := utf8.DecodeRuneInString(text[at:])
		return fmt.Sprintf("has the control character %U at byte %d", r, at)
	}
	return ""
}

func shorten(text string) string {
	if len(text) <= 64 {
		return text
	}
	return strings.ToValidUTF8(text[:64], "") + "..."
}
