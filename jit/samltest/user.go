package samltest

import (
	"cmp"
	"crypto/rand"
	"maps"
	"slices"
	"time"

	crewjam "github.com/crewjam/saml"
)

// Names of attributes that the library has no field for.
const (
	basicName  = "urn:oasis:names:tc:SAML:2.0:attrname-format:basic"
	uriName    = "urn:oasis:names:tc:SAML:2.0:attrname-format:uri"
	isMemberOf = "urn:oid:1.3.6.1.4.1.5923.1.5.1.1"
)

// User is what the identity provider says of a person. What is empty is not
// asserted, but for what a comment says.
type User struct {
	// ID never changes. Empty means UserName.
	ID string

	// UserName is what the person logs in with. Empty means Email.
	UserName string

	Email      string
	GivenName  string
	FamilyName string
	Name       string // the whole name

	// Groups are names of groups. Nil says nothing about groups; an empty list
	// says that the person is in none.
	Groups []string

	// Attributes are further ones, by name. One may be without values.
	Attributes map[string][]string

	// NameID is the subject, in the format NameIDFormat. Empty means ID, as a
	// persistent one. An empty NameIDFormat means "unspecified".
	NameID, NameIDFormat string
}

// session returns what the library asserts the person by.
func (u User) session(now time.Time) *crewjam.Session {
	u.UserName = cmp.Or(u.UserName, u.Email)
	u.ID = cmp.Or(u.ID, u.UserName)
	s := &crewjam.Session{
		CreateTime:             now,
		Index:                  rand.Text(),
		NameID:                 u.NameID,
		NameIDFormat:           cmp.Or(u.NameIDFormat, string(crewjam.UnspecifiedNameIDFormat)),
		SubjectID:              u.ID,
		EduPersonPrincipalName: u.UserName,
		UserEmail:              u.Email,
		UserGivenName:          u.GivenName,
		UserSurname:            u.FamilyName,
		UserCommonName:         u.Name,
	}
	if u.NameID == "" {
		s.NameID, s.NameIDFormat = u.ID, string(crewjam.PersistentNameIDFormat)
	}
	if u.Groups != nil {
		s.CustomAttributes = append(s.CustomAttributes, attribute(isMemberOf, uriName, u.Groups))
	}
	for _, name := range slices.Sorted(maps.Keys(u.Attributes)) {
		s.CustomAttributes = append(s.CustomAttributes, attribute(name, basicName, u.Attributes[name]))
	}
	return s
}

func attribute(name, format string, values []string) crewjam.Attribute {
	a := crewjam.Attribute{Name: name, NameFormat: format}
	for _, v := range values {
		a.Values = append(a.Values, crewjam.AttributeValue{Type: "xs:string", Value: v})
	}
	return a
}
