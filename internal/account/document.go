package account

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"

	"github.com/scimjit/provision/internal/naming"
	"github.com/scimjit/provision/store"
)

// Document is a user resource that only logins have written, in the order of the
// schema (RFC 7643 section 4.1), which a test compares.
type Document struct {
	ExternalID        string      `json:"externalId,omitempty"`
	UserName          string      `json:"userName,omitempty"`
	Name              Name        `json:"name,omitzero"`
	DisplayName       string      `json:"displayName,omitempty"`
	NickName          string      `json:"nickName,omitempty"`
	Title             string      `json:"title,omitempty"`
	UserType          string      `json:"userType,omitempty"`
	PreferredLanguage string      `json:"preferredLanguage,omitempty"`
	Locale            string      `json:"locale,omitempty"`
	TimeZone          string      `json:"timezone,omitempty"`
	Active            bool        `json:"active"`
	Emails            []WorkEmail `json:"emails,omitempty"`
	Enterprise        Enterprise  `json:"urn:ietf:params:scim:schemas:extension:enterprise:2.0:User,omitzero"`
}

// Name is the name of a [Document].
type Name struct {
	Formatted  string `json:"formatted,omitempty"`
	FamilyName string `json:"familyName,omitempty"`
	GivenName  string `json:"givenName,omitempty"`
}

// WorkEmail is the one e-mail of a [Document].
type WorkEmail struct {
	Value   string `json:"value"`
	Type    string `json:"type"`
	Primary bool   `json:"primary"`
}

// Enterprise is the enterprise extension of a [Document] (RFC 7643 section 4.3).
type Enterprise struct {
	EmployeeNumber string `json:"employeeNumber,omitempty"`
	CostCenter     string `json:"costCenter,omitempty"`
	Organization   string `json:"organization,omitempty"`
	Division       string `json:"division,omitempty"`
	Department     string `json:"department,omitempty"`
}

// ReadDocument reads what [Document.Content] wrote. Where an operator has written
// since, it takes what fits: of several e-mails the one that [Read] takes.
func ReadDocument(doc store.Document) (Document, error) {
	d := Document{}
	if err := json.Unmarshal(doc, &d); err != nil {
		return d, fmt.Errorf("provision: stored user of a login: %w", err)
	}
	emails, _ := doc.Get("emails")
	d.SetEmail(personEmail(emails))
	return d, nil
}

// Email returns the e-mail, or "".
func (d *Document) Email() string {
	if len(d.Emails) == 0 {
		return ""
	}
	return d.Emails[0].Value
}

// SetEmail sets the e-mail; "" removes it.
func (d *Document) SetEmail(address string) {
	if d.Emails = nil; address != "" {
		d.Emails = []WorkEmail{{Value: address, Type: "work", Primary: true}}
	}
}

// Say sets a text unless what is said is empty: what a login does not say stays.
func Say(field *string, text string) {
	if text != "" {
		*field = text
	}
}

// Mapped returns the text attribute with a path that a login may set besides the
// fields of an identity, or nil.
func (d *Document) Mapped(path string) *string {
	switch path {
	case "nickName":
		return &d.NickName
	case "title":
		return &d.Title
	case "userType":
		return &d.UserType
	case "preferredLanguage":
		return &d.PreferredLanguage
	case "locale":
		return &d.Locale
	case EnterpriseUser + ":employeeNumber":
		return &d.Enterprise.EmployeeNumber
	case EnterpriseUser + ":costCenter":
		return &d.Enterprise.CostCenter
	case EnterpriseUser + ":division":
		return &d.Enterprise.Division
	case EnterpriseUser + ":department":
		return &d.Enterprise.Department
	}
	return nil
}

// Content is a resource in the form of a store.
type Content struct {
	Document store.Document
	Keys     []store.Key
	Display  string
}

// Content returns the user as a store keeps it.
func (d Document) Content() Content {
	d.Active = true // whoever logs in is
	keys := []store.Key{}
	add := func(attribute, value string, unique bool) {
		if value != "" {
			keys = append(keys, store.Key{Attribute: attribute, Value: value, Unique: unique})
		}
	}
	add("userName", naming.Key(d.UserName), true)
	add("externalId", d.ExternalID, false)
	add("displayName", naming.Key(d.DisplayName), false)
	add("emails.value", naming.Key(d.Email()), false)
	return Content{Document: encode(d), Keys: keys, Display: cmp.Or(d.DisplayName, d.UserName)}
}

// GroupContent returns a group that a login asserts.
func GroupContent(value, name string, unique bool) Content {
	return Content{
		Document: encode(struct {
			ExternalID  string `json:"externalId"`
			DisplayName string `json:"displayName"`
		}{value, name}),
		Display: name,
		Keys: []store.Key{
			{Attribute: "displayName", Value: naming.Key(name), Unique: unique},
			{Attribute: "externalId", Value: value},
		},
	}
}

// encode writes the canonical JSON of a document, in which texts are escaped only
// where they must be.
func encode(v any) store.Document {
	var buf bytes.Buffer
	encoder := json.NewEncoder(&buf)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(v); err != nil {
		panic(fmt.Sprintf("account: encoding %T: %v", v, err)) // texts and a boolean do not fail
	}
	return bytes.TrimSuffix(buf.Bytes(), []byte("\n"))
}
