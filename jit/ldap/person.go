package ldap

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/scimjit/provision"
	"github.com/scimjit/provision/internal/ldapdn"
	"github.com/scimjit/provision/scim/schema"
	"github.com/scimjit/provision/store"
)

// The codes of what is wrong with one entry. It is left as it was; see
// [provision.SyncProblem].
const (
	ProblemNoID      = "ldap_no_id"         // its immutable id is missing, cannot be read, or is no text
	ProblemSameID    = "ldap_id_not_unique" // another entry has the same id
	ProblemName      = "ldap_name"          // its user name or name is missing, or has characters that nobody sees
	ProblemMembers   = "ldap_members"       // its members cannot be read
	ProblemAttribute = "ldap_attribute"     // an attribute is not accepted
)

// person is somebody as an entry says.
type person struct {
	entry    entry
	id       string
	userName string
	email    string
	emails   []string // all that can be one, in their order
	active   bool
	problem  string // why nothing is written of them, or ""
	mailed   bool   // an attribute is for e-mails
	texts    map[string]string
}

// person reads the entry of a person. What is only shown is made fit; what names somebody
// is taken as it is, or not at all.
func (m *mapping) person(e entry, now time.Time) person {
	p := person{entry: e, active: true, mailed: len(m.fields[fieldEmail]) > 0, texts: map[string]string{}}
	id, ok := m.id(e, fieldID)
	p.id = id
	p.userName = e.name(m.fields[fieldUserName])
	switch {
	case !ok:
		p.id, p.problem = "", ProblemNoID
	case p.userName == "", wrongName(p.userName) != "":
		p.problem = ProblemName
	}
	for _, name := range m.fields[fieldEmail] {
		for _, value := range e.values(name) {
			if isAddress(string(value)) {
				p.emails = append(p.emails, string(value))
			}
		}
	}
	if len(p.emails) > 0 {
		p.email = p.emails[0]
	}
	for field, names := range m.fields {
		switch field {
		case fieldID, fieldUserName, fieldEmail, fieldLogin, fieldGroupID, fieldGroupName:
		default:
			if text := e.label(names); text != "" {
				p.texts[field] = text
			}
		}
	}
	for _, rule := range m.disabled {
		for _, value := range e.values(rule.attribute) {
			if rule.disabled(string(value), now) {
				p.active = false
			}
		}
	}
	return p
}

// accountName is how memberUid of a group names the person.
func (p *person) accountName() string { return cmp.Or(p.entry.name([]string{accountName}), p.userName) }

// user is a SCIM user (RFC 7643 section 4.1), in the order of the schema.
type user struct {
	ExternalID  string      `json:"externalId,omitempty"`
	UserName    string      `json:"userName,omitempty"`
	Name        userName    `json:"name,omitzero"`
	DisplayName string      `json:"displayName,omitempty"`
	NickName    string      `json:"nickName,omitempty"`
	Title       string      `json:"title,omitempty"`
	UserType    string      `json:"userType,omitempty"`
	Language    string      `json:"preferredLanguage,omitempty"`
	Locale      string      `json:"locale,omitempty"`
	TimeZone    string      `json:"timezone,omitempty"`
	Active      bool        `json:"active"`
	Emails      []userEmail `json:"emails,omitempty"`
	Enterprise  enterprise  `json:"urn:ietf:params:scim:schemas:extension:enterprise:2.0:User,omitzero"`
}

type userName struct {
	Formatted  string `json:"formatted,omitempty"`
	FamilyName string `json:"familyName,omitempty"`
	GivenName  string `json:"givenName,omitempty"`
}

type userEmail struct {
	Value   string `json:"value"`
	Type    string `json:"type"`
	Primary bool   `json:"primary"`
}

type enterprise struct {
	EmployeeNumber string `json:"employeeNumber,omitempty"`
	CostCenter     string `json:"costCenter,omitempty"`
	Organization   string `json:"organization,omitempty"`
	Division       string `json:"division,omitempty"`
	Department     string `json:"department,omitempty"`
}

// document returns the person as a SCIM user.
func (p *person) document() user {
	t := p.texts
	u := user{
		ExternalID: p.id, UserName: p.userName, Active: p.active,
		Name:        userName{Formatted: t[fieldName], FamilyName: t[fieldFamilyName], GivenName: t[fieldGivenName]},
		DisplayName: t[fieldDisplayName], NickName: t[pathNickName], Title: t[pathTitle], UserType: t[pathUserType],
		Language: t[pathLanguage], Locale: t[pathLocale], TimeZone: t[fieldTimeZone],
		Enterprise: enterprise{
			EmployeeNumber: t[pathEmployeeNumber], CostCenter: t[pathCostCenter], Organization: t[fieldCompany],
			Division: t[pathDivision], Department: t[pathDepartment],
		},
	}
	if p.email != "" {
		u.Emails = []userEmail{{Value: p.email, Type: "work", Primary: true}}
	}
	return u
}

// sync returns the person for a sync. What cannot be written is there all the same.
func (p *person) sync() provision.SyncUser {
	s := provision.SyncUser{Key: ldapdn.Key(p.entry.DN), Problem: p.problem}
	if s.Problem == "" {
		var err error
		if s.Content, err = content(provision.TypeUser, p.document()); err == nil {
			if p.mailed && len(p.emails) != 1 {
				s.Keeping = p.keeping(s.Content)
			}
			return s
		}
		s.Problem = ProblemAttribute
	}
	s.Content = bare(struct {
		ExternalID string `json:"externalId,omitempty"`
		UserName   string `json:"userName,omitempty"`
	}{p.id, strings.ToValidUTF8(p.userName, "")})
	return s
}

// keeping returns the content with the e-mail that is stored: where the entry has it among
// others, and where it has none, as the attribute may not be seen for a time.
func (p person) keeping(said provision.Content) func(store.Document) provision.Content {
	p.entry = entry{} // which is not needed any more
	return func(stored store.Document) provision.Content {
		for v := range stored.Values("emails", "value") {
			email := v.Text()
			if email == p.email {
				break
			}
			if email == "" || len(p.emails) > 0 && !slices.Contains(p.emails, email) {
				continue
			}
			with := p
			with.email = email
			if c, err := content(provision.TypeUser, with.document()); err == nil {
				return c
			}
		}
		return said
	}
}

// bare returns a content that is only good to find somebody by.
func bare(v any) provision.Content {
	data, err := json.Marshal(v)
	if err != nil {
		panic(fmt.Sprintf("ldap: encoding %T: %v", v, err)) // texts do not fail
	}
	return provision.Content{Document: data}
}

// content makes what a request of a SCIM client would have made of a resource.
func content(typ string, v any) (provision.Content, error) {
	data, err := json.Marshal(v)
	if err != nil {
		return provision.Content{}, err
	}
	t := schema.Standard().Type(typ)
	d := schema.Decoder{Allow: schema.LooseSchemas}
	doc, err := d.Resource(t, data)
	if err != nil {
		return provision.Content{}, err
	}
	if err := t.Validate(doc); err != nil {
		return provision.Content{}, err
	}
	keys := t.Keys(doc)
	if keys == nil {
		keys = []store.Key{}
	}
	return provision.Content{Document: doc.AppendJSON(nil), Keys: keys, Display: t.Display(doc)}, nil
}

// identity returns the person for a login, without groups.
func (p *person) identity() provision.Identity {
	t := p.texts
	id := provision.Identity{
		ID: p.id, UserName: p.userName, Email: p.email,
		GivenName: t[fieldGivenName], FamilyName: t[fieldFamilyName], Name: t[fieldName], DisplayName: t[fieldDisplayName],
		Company: t[fieldCompany], TimeZone: t[fieldTimeZone],
	}
	for _, path := range []string{pathNickName, pathTitle, pathUserType, pathLanguage, pathLocale, pathEmployeeNumber, pathCostCenter, pathDivision, pathDepartment} {
		if text := t[path]; text != "" {
			if id.Attributes == nil {
				id.Attributes = map[string]string{}
			}
			id.Attributes[path] = text
		}
	}
	return id
}
