package jit_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/scimjit/provision"
	"github.com/scimjit/provision/jit"
	"github.com/scimjit/provision/policy"
)

const (
	enterprise   = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:"
	core         = "urn:ietf:params:scim:schemas:core:2.0:User:"
	unspecified  = "urn:oasis:names:tc:SAML:1.1:nameid-format:unspecified"
	emailAddress = "urn:oasis:names:tc:SAML:1.1:nameid-format:emailAddress"
)

func attribute(name string, values ...string) jit.Attribute {
	return jit.Attribute{Name: name, Values: values}
}

// malformed is an attribute with n values that are no text beside those that are.
func malformed(name string, n int, values ...string) jit.Attribute {
	return jit.Attribute{Name: name, Values: values, Malformed: n}
}

func friendly(name, friendlyName string, values ...string) jit.Attribute {
	return jit.Attribute{Name: name, FriendlyName: friendlyName, Values: values}
}

func TestNewMappingErrors(t *testing.T) {
	tests := []struct {
		name      string
		preset    string
		overrides jit.Overrides
		want      jit.MappingError
	}{
		{"misspelled preset", "Oktaa", nil, jit.MappingError{Setting: "preset", Value: "Oktaa", Reason: `there is no such preset; it must be one of okta, entra, onelogin, adfs, google, keycloak, shibboleth, jumpcloud, simplesamlphp, auth0, samlidp, generic; did you mean "okta"?`}},
		{"unknown preset", "nope", nil, jit.MappingError{Setting: "preset", Value: "nope", Reason: "there is no such preset; it must be one of okta, entra, onelogin, adfs, google, keycloak, shibboleth, jumpcloud, simplesamlphp, auth0, samlidp, generic"}},
		{"unknown field", "okta", jit.Overrides{"mail": "mail"}, jit.MappingError{Setting: "mapping", Value: "mail", Reason: `not a field, nor a text attribute of a SCIM user; did you mean "email"?`}},
		{"empty key", "", jit.Overrides{"": "mail"}, jit.MappingError{Setting: "mapping", Reason: "not a field, nor a text attribute of a SCIM user"}},
		{"password", "", jit.Overrides{"password": "p"}, jit.MappingError{Setting: "mapping", Value: "password", Reason: "not a field, nor a text attribute of a SCIM user"}},
		{"NameID", "", jit.Overrides{"NameID": "p"}, jit.MappingError{Setting: "mapping", Value: "NameID", Reason: `not a field, nor a text attribute of a SCIM user; did you mean "name"?`}},
		{"a reference", "", jit.Overrides{"profileUrl": "p"}, jit.MappingError{Setting: "mapping", Value: "profileUrl", Reason: "not a field, nor a text attribute of a SCIM user"}},
		{"a path with sub-attributes", "", jit.Overrides{enterprise + "manager": "m"}, jit.MappingError{Setting: "mapping", Value: enterprise + "manager", Reason: "not a field, nor a text attribute of a SCIM user"}},
		{"enterprise attribute without URN", "", jit.Overrides{"department": "m"}, jit.MappingError{Setting: "mapping", Value: "department", Reason: "not a field, nor a text attribute of a SCIM user; did you mean \"" + enterprise + "department\"?"}},
		{"a path that is a field", "", jit.Overrides{"name.givenName": "g"}, jit.MappingError{Setting: "mapping", Value: "name.givenName", Reason: "this is field givenName"}},
		{"organization", "", jit.Overrides{enterprise + "organization": "o"}, jit.MappingError{Setting: "mapping", Value: enterprise + "organization", Reason: "this is field company"}},
		{"one field twice", "", jit.Overrides{"userName": "a", core + "username": "b"}, jit.MappingError{Setting: "mapping", Value: "userName", Reason: "given twice"}},
		{"one path twice", "", jit.Overrides{"Title": "a", "title": "b"}, jit.MappingError{Setting: "mapping", Value: "title", Reason: "given twice"}},
		{"space around an attribute", "", jit.Overrides{"title": "a "}, jit.MappingError{Setting: "mapping", Value: "title", Reason: badName}},
		{"line break in an attribute", "", jit.Overrides{"groups": "a\nb"}, jit.MappingError{Setting: "mapping", Value: "groups", Reason: badName}},
		{"attribute too long", "", jit.Overrides{"groups": strings.Repeat("a", 1025)}, jit.MappingError{Setting: "mapping", Value: "groups", Reason: badName}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			_, err := jit.NewMapping(test.preset, test.overrides)
			var got *jit.MappingError
			if !errors.As(err, &got) {
				t.Fatalf("error is %v", err)
			}
			if diff := cmp.Diff(&test.want, got); diff != "" {
				t.Errorf("error (-want +got):\n%s", diff)
			}
		})
	}
}

const badName = "the name of the attribute has spaces around it, control characters, or is too long"

func TestIdentity(t *testing.T) {
	tests := []struct {
		name       string
		preset     string
		overrides  jit.Overrides
		nameID     provision.NameID
		attributes []jit.Attribute
		want       provision.Identity
	}{
		{
			name: "Name before FriendlyName, both before another case", preset: "okta",
			attributes: []jit.Attribute{
				attribute("EMAIL", "case@example.com"), friendly("urn:x", "email", "friendly@example.com"),
				attribute("mail", "second@example.com"), attribute("email", "first@example.com"),
				friendly("urn:y", "firstName", "Friendly"), attribute("FIRSTNAME", "Case"),
				attribute("LASTNAME", "Case"),
			},
			want: provision.Identity{Email: "first@example.com", GivenName: "Friendly", FamilyName: "Case", Evidence: policy.EvidenceAbsent},
		},
		{
			name: "an attribute without a value does not count", preset: "okta",
			attributes: []jit.Attribute{attribute("email", "", " \n"), attribute("mail", "ada@example.com"), attribute("firstName")},
			want:       provision.Identity{Email: "ada@example.com", Evidence: policy.EvidenceAbsent},
		},
		{
			name: "an e-mail has an @", preset: "entra",
			attributes: []jit.Attribute{attribute("emailaddress", "ada", "@", "ada@", "@ada", "ada @example.com"), attribute("name", "ada@example.com")},
			want:       provision.Identity{UserName: "ada@example.com", Email: "ada@example.com", Evidence: policy.EvidenceAbsent},
		},
		{
			name: "the same key twice", preset: "entra",
			attributes: []jit.Attribute{attribute("emailaddress", "Ada@Example.com", "ada@example.com"), attribute("objectidentifier", "a"), attribute("objectidentifier", "a")},
			want:       provision.Identity{ID: "a", Email: "Ada@Example.com", Evidence: policy.EvidenceAbsent},
		},
		{
			name: "the first of several names", preset: "okta",
			attributes: []jit.Attribute{attribute("displayName", "", "Ada", "Augusta"), attribute("displayName", "bad\x00")},
			want:       provision.Identity{DisplayName: "Ada", Evidence: policy.EvidenceAbsent},
		},
		{
			name: "texts are trimmed and normalized, of names only layout goes", preset: "onelogin",
			nameID: provision.NameID{Value: "\r\n  Jose\u0301 ", Format: "\n" + emailAddress},
			attributes: []jit.Attribute{
				attribute("PersonImmutableID", "\te\u0301 "), attribute("User.email", " a@example.com\n\t"), attribute("User.FirstName", "\u00a0Jose\u0301\n"), attribute("memberOf", " Cafe\u0301 ; "),
			},
			want: provision.Identity{
				ID: "e\u0301 ", NameID: provision.NameID{Value: "Jose\u0301 ", Format: emailAddress}, UserName: "Jose\u0301 ", Email: " a@example.com", GivenName: "Jos\u00e9",
				Groups: []provision.IdentityGroup{{Value: "Cafe\u0301", Name: "Caf\u00e9"}},
			},
		},
		{
			name: "the first e-mail of several", preset: "okta",
			attributes: []jit.Attribute{attribute("email", "ada", "", "ada@example.com", "bob@example.com"), attribute("mail", "eve@example.com")},
			want:       provision.Identity{Email: "ada@example.com", Evidence: policy.EvidenceAbsent},
		},
		{
			name: "a guest of Entra without an e-mail has none", preset: "entra",
			attributes: []jit.Attribute{attribute("name", "ada_example.org#EXT#@tenant.onmicrosoft.com")},
			want:       provision.Identity{UserName: "ada_example.org#EXT#@tenant.onmicrosoft.com", Evidence: policy.EvidenceAbsent},
		},
		{
			name: "a guest of Entra with an e-mail", preset: "entra",
			attributes: []jit.Attribute{attribute("emailaddress", "ada@example.org"), attribute("name", "ada_example.org#ext#@tenant.onmicrosoft.com")},
			want:       provision.Identity{UserName: "ada_example.org#ext#@tenant.onmicrosoft.com", Email: "ada@example.org", Evidence: policy.EvidenceAbsent},
		},
		{
			name: "a guest of Entra whose e-mail is the user name", preset: "entra",
			attributes: []jit.Attribute{attribute("emailaddress", "ada_example.org#EXT#@tenant.onmicrosoft.com")},
			want:       provision.Identity{Evidence: policy.EvidenceAbsent},
		},
		{
			name: "long labels are cut at a character", preset: "okta", overrides: jit.Overrides{"title": "title", "company": "company"},
			attributes: []jit.Attribute{
				attribute("displayName", strings.Repeat("a", 300)), attribute("firstName", strings.Repeat("a", 255)+"\u00e9e"),
				attribute("lastName", strings.Repeat("\u6f22", 100)), attribute("title", strings.Repeat("a", 254)+"q\u0323\u0307x"),
				attribute("company", strings.Repeat("a ", 150)),
			},
			want: provision.Identity{
				DisplayName: strings.Repeat("a", 256), GivenName: strings.Repeat("a", 255), FamilyName: strings.Repeat("\u6f22", 85),
				Company: strings.TrimSpace(strings.Repeat("a ", 128)), Attributes: map[string]string{"title": strings.Repeat("a", 254)}, Evidence: policy.EvidenceAbsent,
			},
		},
		{
			name: "a display name may have characters that are not seen", preset: "okta",
			attributes: []jit.Attribute{attribute("displayName", "\u0645\u06cc\u200c\u062e")},
			want:       provision.Identity{DisplayName: "\u0645\u06cc\u200c\u062e", Evidence: policy.EvidenceAbsent},
		},
		{
			name: "an override replaces the names of the preset", preset: "okta",
			overrides:  jit.Overrides{"email": "workMail", "groups": "teams", "id": "oktaId"},
			attributes: []jit.Attribute{attribute("email", "old@example.com"), attribute("workMail", "new@example.com"), attribute("groups", "Old"), attribute("oktaId", "00u1")},
			want:       provision.Identity{ID: "00u1", Email: "new@example.com", Evidence: policy.EvidenceAbsent},
		},
		{
			name: "an empty override maps nothing", preset: "simplesamlphp", overrides: jit.Overrides{"id": "", "groups": "", "title": ""},
			attributes: []jit.Attribute{attribute("uid", "ada"), attribute("groups", "A"), attribute("title", "Countess"), attribute("", "x")},
			want:       provision.Identity{UserName: "ada", Evidence: policy.EvidenceAbsent},
		},
		{
			name: "an overridden user name is never the NameID", preset: "okta", overrides: jit.Overrides{"userName": "login"},
			nameID: provision.NameID{Value: "ada@example.com", Format: unspecified},
			want:   provision.Identity{NameID: provision.NameID{Value: "ada@example.com", Format: unspecified}, Evidence: policy.EvidenceAbsent},
		},
		{
			name: "a NameID without a format is unspecified", preset: "okta", nameID: provision.NameID{Value: "ada"},
			want: provision.Identity{NameID: provision.NameID{Value: "ada"}, UserName: "ada", Evidence: policy.EvidenceAbsent},
		},
		{
			name: "a NameID without a value is none", preset: "okta", nameID: provision.NameID{Value: " ", Format: unspecified, NameQualifier: "q"},
			want: provision.Identity{Evidence: policy.EvidenceAbsent},
		},
		{
			name: "SCIM paths in any case", overrides: jit.Overrides{
				"TITLE": "jobTitle", core + "nickName": "nick", strings.ToUpper(enterprise) + "DEPARTMENT": "dept", "locale": "lang",
			},
			attributes: []jit.Attribute{attribute("jobTitle", " Countess ", "Analyst"), attribute("nick", "AAL"), attribute("dept", "Engines")},
			want: provision.Identity{Evidence: policy.EvidenceAbsent, Attributes: map[string]string{
				"title": "Countess", "nickName": "AAL", enterprise + "department": "Engines",
			}},
		},
		{
			name: "groups of several attributes are one list", preset: "keycloak",
			attributes: []jit.Attribute{attribute("groups", "/A"), attribute("member"), attribute("member", "/B"), attribute("member", "/b", "/C")},
			want: provision.Identity{Groups: []provision.IdentityGroup{
				{Value: "/B", Name: "B"}, {Value: "/C", Name: "C"},
			}},
		},
		{
			name: "a groups attribute without values is a known empty list", preset: "okta",
			attributes: []jit.Attribute{attribute("groups")},
			want:       provision.Identity{Evidence: policy.EvidenceKnown},
		},
		{
			name: "what nobody reads may be malformed", preset: "okta",
			attributes: []jit.Attribute{malformed("photo", 1), attribute("email", "ada@example.com"), malformed("mail", 1)},
			want:       provision.Identity{Email: "ada@example.com", Evidence: policy.EvidenceAbsent},
		},
		{
			name: "groups of one attribute, of which one is malformed, beside an overage marker", preset: "entra",
			attributes: []jit.Attribute{malformed("groups", 1, "A"), attribute("groups.link")},
			want:       provision.Identity{Evidence: policy.EvidenceOverage},
		},
		{
			name: "an overage marker wins", preset: "entra", overrides: jit.Overrides{"groups": "teams"},
			attributes: []jit.Attribute{attribute("teams", "A"), attribute("http://schemas.microsoft.com/claims/groups.link")},
			want:       provision.Identity{Evidence: policy.EvidenceOverage},
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			m := newMapping(t, test.preset, test.overrides)
			got, err := m.Identity(jit.Assertion{NameID: test.nameID, Attributes: test.attributes})
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("identity (-want +got):\n%s", diff)
			}
		})
	}
}

func TestAttributeErrors(t *testing.T) {
	long := strings.Repeat("x", provision.MaxIdentityText)
	tests := []struct {
		name      string
		nameID    provision.NameID
		attribute jit.Attribute
		want      jit.AttributeError
	}{
		{name: "two ids", attribute: attribute("objectidentifier", "a", "A"), want: jit.AttributeError{Field: "id", Attribute: "objectidentifier", Problem: jit.Ambiguous}},
		{name: "two user names", attribute: attribute("userName", "ada", "bob"), want: jit.AttributeError{Field: "userName", Attribute: "userName", Problem: jit.Ambiguous}},
		{name: "user names that differ in a space", attribute: attribute("userName", "ada", "ada "), want: jit.AttributeError{Field: "userName", Attribute: "userName", Problem: jit.Ambiguous}},
		{name: "invisible character in an e-mail", attribute: attribute("mail", "ada\u200b@example.com"), want: jit.AttributeError{Field: "email", Attribute: "mail", Problem: jit.FormatCharacter}},
		{name: "invisible character in a user name", attribute: attribute("userName", "ad\u00ada"), want: jit.AttributeError{Field: "userName", Attribute: "userName", Problem: jit.FormatCharacter}},
		{name: "invisible character in an id", attribute: attribute("objectidentifier", "1\u202e2"), want: jit.AttributeError{Field: "id", Attribute: "objectidentifier", Problem: jit.FormatCharacter}},
		{name: "invisible character in a NameID", nameID: provision.NameID{Value: "\ufeffada"}, want: jit.AttributeError{Field: "NameID", Attribute: "NameID", Problem: jit.FormatCharacter}},
		{name: "zero byte in an id", attribute: attribute("objectidentifier", "1\x002"), want: jit.AttributeError{Field: "id", Attribute: "objectidentifier", Problem: jit.ControlCharacter}},
		{name: "control character", attribute: attribute("displayName", "Ada\x1bL"), want: jit.AttributeError{Field: "displayName", Attribute: "displayName", Problem: jit.ControlCharacter}},
		{name: "line break", attribute: attribute("mail", "ada@example.com\r\nbob@example.com"), want: jit.AttributeError{Field: "email", Attribute: "mail", Problem: jit.ControlCharacter}},
		{name: "line separator", attribute: attribute("company", "a\u2028b"), want: jit.AttributeError{Field: "company", Attribute: "company", Problem: jit.ControlCharacter}},
		{name: "invalid UTF-8", attribute: attribute("timeZone", "a\xff"), want: jit.AttributeError{Field: "timeZone", Attribute: "timeZone", Problem: jit.InvalidUTF8}},
		{name: "text too long", attribute: attribute("timeZone", long+"x"), want: jit.AttributeError{Field: "timeZone", Attribute: "timeZone", Problem: jit.TooLong}},
		{name: "user name too long", attribute: attribute("userName", long+"x"), want: jit.AttributeError{Field: "userName", Attribute: "userName", Problem: jit.TooLong}},
		{name: "too long when normalized", attribute: attribute("timeZone", strings.Repeat("\u0958", 64)), want: jit.AttributeError{Field: "timeZone", Attribute: "timeZone", Problem: jit.TooLong}},
		{name: "group too long", attribute: attribute("groups", "a", long+"x"), want: jit.AttributeError{Field: "groups", Attribute: "groups", Problem: jit.TooLong}},
		{name: "group with a control character", attribute: attribute("groups", "a\x00b"), want: jit.AttributeError{Field: "groups", Attribute: "groups", Problem: jit.ControlCharacter}},
		{name: "NameID too long", nameID: provision.NameID{Value: long + "x"}, want: jit.AttributeError{Field: "NameID", Attribute: "NameID", Problem: jit.TooLong}},
		{name: "NameID with a control character", nameID: provision.NameID{Value: "a\x7fb", Format: jit.NameIDPersistent}, want: jit.AttributeError{Field: "NameID", Attribute: "NameID", Problem: jit.ControlCharacter}},
		{name: "qualifier", nameID: provision.NameID{Value: "a", SPNameQualifier: "\xff"}, want: jit.AttributeError{Field: "NameID", Attribute: "NameID", Problem: jit.InvalidUTF8}},
		{name: "no text beside text", attribute: malformed("groups", 1, "a", "b"), want: jit.AttributeError{Field: "groups", Attribute: "groups", Problem: jit.NotText}},
		{name: "nothing but what is no text", attribute: malformed("groups", 2), want: jit.AttributeError{Field: "groups", Attribute: "groups", Problem: jit.NotText}},
		{name: "an id that is no text", attribute: malformed("objectidentifier", 1), want: jit.AttributeError{Field: "id", Attribute: "objectidentifier", Problem: jit.NotText}},
		{name: "no text beside a name", attribute: malformed("displayName", 1, "Ada"), want: jit.AttributeError{Field: "displayName", Attribute: "displayName", Problem: jit.NotText}},
		{name: "a title that is no text", attribute: malformed("jobTitle", 1), want: jit.AttributeError{Field: "title", Attribute: "jobTitle", Problem: jit.NotText}},
		{name: "a title", attribute: attribute("jobTitle", "a\nb"), want: jit.AttributeError{Field: "title", Attribute: "jobTitle", Problem: jit.ControlCharacter}},
	}
	m := newMapping(t, "generic", jit.Overrides{"title": "jobTitle"})
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			id, err := m.Identity(jit.Assertion{NameID: test.nameID, Attributes: []jit.Attribute{test.attribute}})
			checkAttributeError(t, err, test.want)
			if diff := cmp.Diff(provision.Identity{}, id); diff != "" {
				t.Errorf("the identity is not empty:\n%s", diff)
			}
			for _, value := range test.attribute.Values {
				if value != "" && strings.Contains(err.Error(), "\""+value+"\"") {
					t.Errorf("the error shows a value: %v", err)
				}
			}
		})
	}
	if _, err := m.Identity(jit.Assertion{Attributes: []jit.Attribute{attribute("givenName", " "+long+" ")}}); err != nil {
		t.Errorf("%d bytes are allowed: %v", provision.MaxIdentityText, err)
	}
}

const shortNames = "groups: several groups can have one short name: write patterns for admins as id:VALUE"

func TestWarnings(t *testing.T) {
	tests := []struct {
		name      string
		preset    string
		overrides jit.Overrides
		want      []string
	}{
		{"an id is mapped", "jumpcloud", jit.Overrides{"id": "employeeId"}, nil},
		{"the id is unmapped", "onelogin", jit.Overrides{"id": ""}, []string{
			"id: without an immutable id, renames cannot be seen, unless the NameID is persistent",
			shortNames,
		}},
		{"no groups", "onelogin", jit.Overrides{"groups": ""}, []string{
			"groups: not mapped, so that nothing is known of anybody's groups",
		}},
		{"a note on what is overridden is left out", "entra", jit.Overrides{"groups": "teams"}, []string{shortNames}},
		{"names of groups are not shortened", "generic", nil, nil},
		{"nothing gives a user name", "samlidp", jit.Overrides{"userName": "", "id": "x"}, []string{
			"userName: nothing gives it",
			"NameID: transient by default, which recognizes nobody",
		}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if diff := cmp.Diff(test.want, newMapping(t, test.preset, test.overrides).Warnings()); diff != "" {
				t.Errorf("warnings (-want +got):\n%s", diff)
			}
		})
	}
}

// The character that a name may not have is named.
func TestCharacterIsNamed(t *testing.T) {
	m := newMapping(t, "okta", nil)
	for value, want := range map[string]string{
		"a\u200b@example.com": `jit: email: attribute "mail": invisible character U+200B`,
		"a\x00@example.com":   `jit: email: attribute "mail": control character U+0000`,
		"a\u2028@example.com": `jit: email: attribute "mail": control character U+2028`,
	} {
		_, err := m.Identity(jit.Assertion{Attributes: []jit.Attribute{attribute("mail", value)}})
		if err == nil || err.Error() != want {
			t.Errorf("%q: %v, want %s", value, err, want)
		}
	}
}

func TestWithGroups(t *testing.T) {
	group := func(names ...string) (out []provision.IdentityGroup) {
		for _, n := range names {
			out = append(out, provision.IdentityGroup{Value: n, Name: n})
		}
		return out
	}
	tests := []struct {
		name       string
		preset     string
		attributes []string
		separator  string
		asserted   []jit.Attribute
		want       []provision.IdentityGroup
		evidence   policy.Evidence
	}{
		{name: "several attributes", attributes: []string{"teams", "roles"}, asserted: []jit.Attribute{attribute("roles", "R", "a"), attribute("teams", "A", "B"), attribute("groups", "G")}, want: group("A", "B", "R")},
		{name: "one of them is missing", attributes: []string{"teams", "roles"}, asserted: []jit.Attribute{attribute("roles", "R")}, want: group("R")},
		{name: "one of them has no values", attributes: []string{"teams", "roles"}, asserted: []jit.Attribute{attribute("roles")}},
		{name: "all are missing", attributes: []string{"teams", "roles"}, asserted: []jit.Attribute{attribute("groups", "G")}, evidence: policy.EvidenceAbsent},
		{name: "by friendly name and case", attributes: []string{"teams", "roles"}, asserted: []jit.Attribute{friendly("urn:x", "teams", "A"), attribute("ROLES", "R")}, want: group("A", "R")},
		{name: "comma", separator: ",", asserted: []jit.Attribute{attribute("groups", "A, B ,,C")}, want: group("A", "B", "C")},
		{name: "comma by name", separator: "comma", asserted: []jit.Attribute{attribute("groups", "A,B", "C")}, want: group("A", "B", "C")},
		{name: "semicolon by name", separator: "semicolon", asserted: []jit.Attribute{attribute("groups", "A;B,C")}, want: group("A", "B,C")},
		{name: "of its own", separator: " | ", asserted: []jit.Attribute{attribute("groups", "A | B|C | D")}, want: group("A", "B|C", "D")},
		{name: "in the place of that of the preset", preset: "onelogin", separator: ",", asserted: []jit.Attribute{attribute("memberOf", "A;B,C")}, want: group("A;B", "C")},
		{name: "that of the preset", preset: "onelogin", attributes: []string{"x", "y"}, asserted: []jit.Attribute{attribute("x", "A;B"), attribute("y", "C")}, want: group("A", "B", "C")},
		{name: "escaped", separator: ",", asserted: []jit.Attribute{attribute("groups", `A\,B,C\`)}, want: group(`A\,B`, `C\`)},
		{name: "overage wins", preset: "entra", attributes: []string{"teams"}, asserted: []jit.Attribute{attribute("teams", "A"), attribute("groups.link")}, evidence: policy.EvidenceOverage},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if tt.preset == "" {
				tt.preset = "okta"
			}
			m, err := newMapping(t, tt.preset, nil).WithGroups(tt.attributes, tt.separator)
			if err != nil {
				t.Fatal(err)
			}
			got, err := m.Identity(jit.Assertion{Attributes: tt.asserted})
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, got.Groups); diff != "" || got.Evidence != tt.evidence {
				t.Errorf("evidence %v, groups (-want +got):\n%s", got.Evidence, diff)
			}
		})
	}
	m, err := newMapping(t, "okta", nil).WithGroups([]string{"teams", "roles"}, "")
	if err != nil {
		t.Fatal(err)
	}
	_, err = m.Identity(jit.Assertion{Attributes: []jit.Attribute{attribute("teams", "A"), malformed("roles", 1)}})
	checkAttributeError(t, err, jit.AttributeError{Field: "groups", Attribute: "roles", Problem: jit.NotText})
}

func TestWithGroupsErrors(t *testing.T) {
	tests := []struct {
		name       string
		overrides  jit.Overrides
		attributes []string
		separator  string
		setting    string
	}{
		{name: "long separator", separator: "123456789", setting: "groupSeparator"},
		{name: "backslash", separator: `\`, setting: "groupSeparator"},
		{name: "line break", separator: "\n", setting: "groupSeparator"},
		{name: "empty attribute", attributes: []string{"a", ""}, setting: "groups"},
		{name: "padded attribute", attributes: []string{" a"}, setting: "groups"},
		{name: "twice", attributes: []string{"a", "b", "a"}, setting: "groups"},
		{name: "mapped, too", overrides: jit.Overrides{"groups": "x"}, attributes: []string{"a"}, setting: "groups"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := newMapping(t, "okta", tt.overrides).WithGroups(tt.attributes, tt.separator)
			var wrong *jit.MappingError
			if !errors.As(err, &wrong) || wrong.Setting != tt.setting {
				t.Errorf("got %v", err)
			}
		})
	}
}
