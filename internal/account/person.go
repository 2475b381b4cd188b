package account

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"

	"github.com/scimjit/provision/store"
)

// EnterpriseUser is the URN of the enterprise extension (RFC 7643 section 4.3).
const EnterpriseUser = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"

// Person is what the engine reads of a user resource.
type Person struct {
	UserName    string
	ExternalID  string
	Email       string
	Name        string
	DisplayName string
	Company     string
	TimeZone    string
	Active      bool // true where the resource does not say
	Attributes  store.Attributes
}

// Read projects the document of a user. E-mail is the primary, else the
// work, else the first e-mail, else a userName with "@"; name is formatted, else
// given and family name; display name is displayName, else the name.
func Read(doc store.Document, attributes []Path) Person {
	p := Person{Active: true}
	for key, value := range doc.Fields() {
		switch string(key) {
		case "userName":
			p.UserName = value.Text()
		case "externalId":
			p.ExternalID = value.Text()
		case "displayName":
			p.DisplayName = value.Text()
		case "name":
			p.Name = personName(value.Document())
		case "emails":
			p.Email = personEmail(value)
		case "active":
			p.Active = value.Bool()
		case "timezone":
			p.TimeZone = value.Text()
		case EnterpriseUser:
			p.Company = Text(value.Document(), "organization")
		}
	}
	if p.Email == "" && strings.Contains(p.UserName, "@") {
		p.Email = p.UserName
	}
	if p.DisplayName == "" {
		p.DisplayName = p.Name
	}
	for _, path := range attributes {
		raw, ok := path.find(doc)
		if !ok {
			continue
		}
		if p.Attributes == nil {
			p.Attributes = make(store.Attributes, len(attributes))
		}
		p.Attributes[path.Name] = json.RawMessage(raw)
	}
	return p
}

// IsActive reports what a user resource says of active.
func IsActive(doc store.Document) bool {
	raw, ok := doc.Get("active")
	return !ok || raw.Bool()
}

// Same reports whether an account is given the same by both, and both are active or not.
func (p Person) Same(q Person) bool {
	var a, b store.Account
	p.WriteTo(&a)
	q.WriteTo(&b)
	return p.Active == q.Active && store.SameFacts(&a, &b) && len(store.Changes(&a, &b)) == 0
}

func personName(name store.Document) string {
	var formatted, given, family string
	for key, value := range name.Fields() {
		switch string(key) {
		case "formatted":
			formatted = value.Text()
		case "givenName":
			given = value.Text()
		case "familyName":
			family = value.Text()
		}
	}
	if formatted != "" {
		return formatted
	}
	return strings.TrimSpace(given + " " + family)
}

func personEmail(emails store.Raw) string {
	var first, work store.Raw // texts are decoded only where they count: there may be many
	for email := range emails.Elements() {
		var value, kind store.Raw
		primary := false
		for key, v := range email.Document().Fields() {
			switch string(key) {
			case "value":
				value = v
			case "type":
				kind = v
			case "primary":
				primary = v.Bool()
			}
		}
		switch {
		case !value.Present() || value[0] != '"':
		case primary:
			return value.Text()
		case work == nil && bytes.EqualFold(kind, []byte(`"work"`)):
			work = value
		case first == nil:
			first = value
		}
	}
	if work != nil {
		return work.Text()
	}
	return first.Text()
}

// Text returns the text at a top-level or nested key, or "".
func Text(doc store.Document, keys ...string) string {
	raw, _ := doc.Get(keys...)
	return raw.Text()
}

// WriteTo sets what an account copies from the person.
func (p Person) WriteTo(a *store.Account) {
	a.UserName, a.ExternalID, a.Email = p.UserName, p.ExternalID, p.Email
	a.Name, a.DisplayName = p.Name, p.DisplayName
	a.Facts.Company, a.Facts.TimeZone = p.Company, p.TimeZone
	a.Attributes = p.Attributes
}

// Path is a SCIM attribute that a connection maps for the host.
type Path struct {
	Name           string // as configured; the key in the account
	urn, attr, sub string
}

// ParsePath splits "title", "name.givenName" or
// "urn:...:2.0:User:department". Core attributes may carry the core URN.
func ParsePath(s string) (Path, bool) {
	p := Path{Name: s, attr: s}
	if i := strings.LastIndexByte(s, ':'); i >= 0 {
		p.urn, p.attr = s[:i], s[i+1:]
		if strings.EqualFold(p.urn, "urn:ietf:params:scim:schemas:core:2.0:User") {
			p.urn = ""
		}
	}
	p.attr, p.sub, _ = strings.Cut(p.attr, ".")
	if p.attr == "" || strings.ContainsAny(p.attr+p.sub, " .[]\"") || strings.HasSuffix(s, ".") {
		return p, false
	}
	if p.urn == "" && strings.EqualFold(p.attr, "password") {
		return p, false
	}
	return p, true
}

// find returns the first value at the path, whose names match in any case (RFC
// 7643 section 2.1).
func (p Path) find(doc store.Document) (store.Raw, bool) {
	value := store.Raw(doc)
	for _, name := range []string{p.urn, p.attr, p.sub} {
		if name == "" {
			continue
		}
		next, found := store.Raw(nil), false
		for element := range value.Elements() {
			for key, v := range element.Document().Fields() {
				if found = strings.EqualFold(string(key), name); found {
					next = v
					break
				}
			}
			if found {
				break
			}
		}
		if !found {
			return nil, false
		}
		value = next
	}
	return value, true
}

// userAttributes are the attributes of a user that a connection may map for the
// host (RFC 7643 sections 4.1 and 4.3), of the extension without its URN.
var userAttributes = []string{
	"userName", "externalId", "displayName", "nickName", "profileUrl", "title", "userType", "preferredLanguage", "locale",
	"timezone", "active",
	"name", "name.formatted", "name.familyName", "name.givenName", "name.middleName", "name.honorificPrefix", "name.honorificSuffix",
	"emails", "phoneNumbers", "ims", "photos", "addresses", "entitlements", "roles", "x509Certificates",
	"addresses.formatted", "addresses.streetAddress", "addresses.locality", "addresses.region", "addresses.postalCode", "addresses.country",
}

// valued are the multi-valued attributes whose elements have a value.
var valued = []string{"emails", "phoneNumbers", "ims", "photos", "entitlements", "roles", "x509Certificates"}

var enterpriseAttributes = []string{
	"employeeNumber", "costCenter", "organization", "division", "department",
	"manager", "manager.value", "manager.displayName", "manager.$ref",
}

// UserAttributes returns the paths of the standard attributes of a user.
func UserAttributes() []string {
	list := slices.Clone(userAttributes)
	for _, name := range valued {
		list = append(list, name+".value")
	}
	for _, name := range enterpriseAttributes {
		list = append(list, EnterpriseUser+":"+name)
	}
	return list
}

// IsUserAttribute reports whether a path may be an attribute of a user: a
// standard one, or one of an extension that is not standard.
func IsUserAttribute(p Path) bool {
	is := func(name string) bool { return strings.EqualFold(name, joined(p.attr, p.sub)) }
	switch {
	case p.urn == "":
		parts := []string{"value", "type", "primary", "display"}
		part := func(name string) bool { return strings.EqualFold(name, p.sub) }
		return slices.ContainsFunc(userAttributes, is) ||
			slices.ContainsFunc(valued, func(name string) bool { return strings.EqualFold(name, p.attr) }) && slices.ContainsFunc(parts, part)
	case strings.EqualFold(p.urn, EnterpriseUser):
		return slices.ContainsFunc(enterpriseAttributes, is)
	}
	return strings.HasPrefix(strings.ToLower(p.urn), "urn:")
}

func joined(attr, sub string) string {
	if sub == "" {
		return attr
	}
	return attr + "." + sub
}
