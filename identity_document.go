package provision

import (
	"cmp"
	"strings"

	"github.com/scimjit/provision/policy"
	"github.com/scimjit/provision/store"
)

// userTexts are the attributes of a user that a login writes, in the order of
// the schema (RFC 7643 section 4.1). All but active, which is true, are texts. Package scim has a test that its schema
// agrees.
var userTexts = []string{
	"externalId", "userName", "name.formatted", "name.familyName", "name.givenName", "displayName",
	"nickName", "title", "userType", "preferredLanguage", "locale", "timezone", "active", "emails.value",
	enterpriseUser + ":employeeNumber", enterpriseUser + ":costCenter", enterpriseUser + ":organization",
	enterpriseUser + ":division", enterpriseUser + ":department",
}

// mappedTexts are those of userTexts that Identity.Attributes may hold.
var mappedTexts = map[string]bool{
	"nickName": true, "title": true, "userType": true, "preferredLanguage": true, "locale": true,
	enterpriseUser + ":employeeNumber": true, enterpriseUser + ":costCenter": true,
	enterpriseUser + ":division": true, enterpriseUser + ":department": true,
}

// userDocument is a user resource that only logins have written, as texts by
// attribute path.
type userDocument map[string]string

// readUserDocument reads what writeTo wrote.
func readUserDocument(doc store.Document) userDocument {
	u := userDocument{}
	for _, path := range userTexts {
		switch parent, name, nested := cutPath(path); {
		case path == "active": // always true, see content
		case path == "emails.value":
			emails, _ := doc.Get("emails")
			u[path] = personEmail(emails)
		case nested:
			u[path] = documentText(doc, parent, name)
		default:
			u[path] = documentText(doc, path)
		}
	}
	return u
}

// cutPath splits the path of a sub-attribute.
func cutPath(path string) (parent, name string, nested bool) {
	if name, ok := strings.CutPrefix(path, enterpriseUser+":"); ok {
		return enterpriseUser, name, true
	}
	return strings.Cut(path, ".")
}

// say writes what an identity says. What it does not say stays.
func (u userDocument) say(id *Identity) {
	set := func(path, text string) {
		if text != "" {
			u[path] = text
		}
	}
	set("userName", id.UserName)
	if u["userName"] == "" {
		set("userName", id.Email)
	}
	set("emails.value", id.Email)
	set("name.formatted", id.Name)
	set("name.givenName", id.GivenName)
	set("name.familyName", id.FamilyName)
	set("displayName", id.DisplayName)
	set("timezone", id.TimeZone)
	set(enterpriseUser+":organization", id.Company)
	for path, text := range id.Attributes {
		set(path, text)
	}
}

// content returns the resource in the form of a store.
func (u userDocument) content() Content {
	c := Content{Keys: []store.Key{}, Display: cmp.Or(u["displayName"], u["userName"])}
	w := objectWriter{out: []byte{'{'}}
	for _, path := range userTexts {
		text := u[path]
		switch parent, name, nested := cutPath(path); {
		case path == "active":
			w.leave()
			w.key(path)
			w.out = append(w.out, "true"...)
		case text == "":
		case path == "emails.value":
			w.leave()
			w.key("emails")
			w.out = append(append(append(w.out, `[{"value":`...), jsonText(text)...), `,"type":"work","primary":true}]`...)
		case nested:
			w.enter(parent)
			w.text(name, text)
		default:
			w.leave()
			w.text(path, text)
		}
	}
	w.leave()
	w.out = append(w.out, '}')
	c.Document = w.out
	for _, path := range []string{"userName", "externalId", "displayName", "emails.value"} {
		if u[path] == "" {
			continue
		}
		key := store.Key{Attribute: path, Value: policy.Fold(u[path]), Unique: path == "userName"}
		if path == "externalId" {
			key.Value = u[path]
		}
		c.Keys = append(c.Keys, key)
	}
	return c
}

// objectWriter writes a JSON object whose members are texts, or objects of
// texts.
type objectWriter struct {
	out  []byte
	open string // the member whose object is being written
}

func (w *objectWriter) key(name string) {
	if last := w.out[len(w.out)-1]; last != '{' {
		w.out = append(w.out, ',')
	}
	w.out = append(append(append(w.out, '"'), name...), '"', ':')
}

func (w *objectWriter) text(name, text string) {
	w.key(name)
	w.out = append(w.out, jsonText(text)...)
}

func (w *objectWriter) enter(name string) {
	if w.open == name {
		return
	}
	w.leave()
	w.key(name)
	w.out, w.open = append(w.out, '{'), name
}

func (w *objectWriter) leave() {
	if w.open != "" {
		w.out, w.open = append(w.out, '}'), ""
	}
}

// groupContent returns a group that a login asserts.
func groupContent(value, name string, unique bool) Content {
	w := objectWriter{out: []byte{'{'}}
	w.text("externalId", value)
	w.text("displayName", name)
	w.out = append(w.out, '}')
	return Content{
		Document: w.out, Display: name,
		Keys: []store.Key{
			{Attribute: "displayName", Value: policy.Fold(name), Unique: unique},
			{Attribute: "externalId", Value: value},
		},
	}
}

// jsonText quotes a text that has no control characters: see
// [Identity.normalized].
func jsonText(text string) string {
	return `"` + strings.ReplaceAll(strings.ReplaceAll(text, `\`, `\\`), `"`, `\"`) + `"`
}
