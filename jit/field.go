package jit

import (
	"fmt"
	"strings"

	"github.com/scimjit/provision"
	"github.com/scimjit/provision/internal/naming"
	"github.com/scimjit/provision/policy"
)

// The fields of an identity that a [Mapping] fills.
const (
	fieldID          = "id"
	fieldUserName    = "userName"
	fieldEmail       = "email"
	fieldGivenName   = "givenName"
	fieldFamilyName  = "familyName"
	fieldName        = "name"
	fieldDisplayName = "displayName"
	fieldCompany     = "company"
	fieldTimeZone    = "timeZone"
	fieldGroups      = "groups"
	fieldNameID      = "NameID" // in errors and notes; it cannot be mapped
)

// field is one text of an identity.
type field struct {
	name string
	text func(*provision.Identity) *string

	// same is set for what identifies a person: two values that are not the
	// same are refused. Of other fields the first value counts.
	same func(a, b string) bool

	// clean returns a value in the form in which it is kept.
	clean func(string) (string, fault)

	// fits, where set, passes over values that cannot be meant.
	fits func(string) bool
}

var fields = []field{
	{name: fieldID, text: func(id *provision.Identity) *string { return &id.ID }, clean: cleanName, same: equal},
	{name: fieldUserName, text: func(id *provision.Identity) *string { return &id.UserName }, clean: cleanName, same: naming.Match},
	{name: fieldEmail, text: func(id *provision.Identity) *string { return &id.Email }, clean: cleanName, fits: isAddress},
	{name: fieldGivenName, text: func(id *provision.Identity) *string { return &id.GivenName }, clean: cleanLabel},
	{name: fieldFamilyName, text: func(id *provision.Identity) *string { return &id.FamilyName }, clean: cleanLabel},
	{name: fieldName, text: func(id *provision.Identity) *string { return &id.Name }, clean: cleanLabel},
	{name: fieldDisplayName, text: func(id *provision.Identity) *string { return &id.DisplayName }, clean: cleanLabel},
	{name: fieldCompany, text: func(id *provision.Identity) *string { return &id.Company }, clean: cleanLabel},
	{name: fieldTimeZone, text: func(id *provision.Identity) *string { return &id.TimeZone }, clean: cleanText},
}

func equal(a, b string) bool { return a == b }

// isAddress reports whether a text can be an e-mail address at all. Some
// identity providers send a user name or a person's name by the same attribute,
// and Entra the user name of a guest, which has "#EXT#" in it and reaches nobody.
func isAddress(s string) bool {
	s = strings.TrimSpace(s)
	at := strings.LastIndexByte(s, '@')
	return at > 0 && at < len(s)-1 && !strings.ContainsAny(s, " \t") && !strings.Contains(strings.ToUpper(s), "#EXT#")
}

const (
	coreUser       = "urn:ietf:params:scim:schemas:core:2.0:User:"
	enterpriseUser = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:"
)

// paths are the SCIM attributes that go to Identity.Attributes: the texts of
// RFC 7643 sections 4.1.1 and 4.3 that are no field.
var paths = []string{
	"nickName", "title", "userType", "preferredLanguage", "locale",
	enterpriseUser + "employeeNumber", enterpriseUser + "costCenter",
	enterpriseUser + "division", enterpriseUser + "department",
}

// labels are the paths that are only shown, so that a long value is cut. The others
// mean something else when they are.
var labels = map[string]bool{
	"nickName": true, "title": true, "userType": true,
	enterpriseUser + "division": true, enterpriseUser + "department": true,
}

// pathField is the field of a path.
func pathField(path string) field {
	if labels[path] {
		return field{name: path, clean: cleanLabel}
	}
	return field{name: path, clean: cleanText}
}

// fieldOfPath are SCIM attributes that have a field of their own.
var fieldOfPath = map[string]string{
	"externalid":      fieldID,
	"emails":          fieldEmail,
	"emails.value":    fieldEmail,
	"name.givenname":  fieldGivenName,
	"name.familyname": fieldFamilyName,
	"name.formatted":  fieldName,
	strings.ToLower(enterpriseUser + "organization"): fieldCompany,
}

// target finds the field or path that the key of an override means. Names of
// SCIM attributes match in any case (RFC 7643 section 2.1).
func target(key string) (name string, isField bool, reason string) {
	bare := key
	if len(key) > len(coreUser) && strings.EqualFold(key[:len(coreUser)], coreUser) {
		bare = key[len(coreUser):]
	}
	for _, f := range fields {
		if strings.EqualFold(bare, f.name) {
			return f.name, true, ""
		}
	}
	if strings.EqualFold(bare, fieldGroups) {
		return fieldGroups, true, ""
	}
	for _, path := range paths {
		if strings.EqualFold(bare, path) {
			return path, false, ""
		}
	}
	if instead, ok := fieldOfPath[strings.ToLower(bare)]; ok {
		return "", false, "this is field " + instead
	}
	return "", false, "not a field, nor a text attribute of a SCIM user" + nearField(bare)
}

// nearField says which field or path somebody may mean, as the end of a reason.
func nearField(key string) string {
	words := []string{fieldGroups}
	for _, f := range fields {
		words = append(words, f.name)
	}
	words = append(words, paths...)
	near := policy.Nearest(key, words)
	for _, path := range paths {
		if key != "" && strings.HasSuffix(strings.ToLower(path), ":"+strings.ToLower(key)) {
			near = path
		}
	}
	if near == "" {
		return ""
	}
	return fmt.Sprintf("; did you mean %q?", near)
}
