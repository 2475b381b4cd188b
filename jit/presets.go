package jit

import "github.com/scimjit/provision/internal/preset"

// Name spaces of attribute names.
const (
	claims    = "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/"
	microsoft = "http://schemas.microsoft.com/"
	inetOrg   = "urn:oid:0.9.2342.19200300.100.1."
	x500      = "urn:oid:2.5.4."
	eduPerson = "urn:oid:1.3.6.1.4.1.5923.1.1.1."
	eduMember = "urn:oid:1.3.6.1.4.1.5923.1.5.1.1"
	subject   = "urn:oasis:names:tc:SAML:attribute:"

	pkcs9Email     = "urn:oid:1.2.840.113549.1.9.1"
	inetOrgDisplay = "urn:oid:2.16.840.1.113730.3.1.241"
)

// The formats of a NameID that decide what it is worth (SAML core section 8.3):
// a persistent one is a key, a transient one is never compared with anything.
const (
	NameIDPersistent = "urn:oasis:names:tc:SAML:2.0:nameid-format:persistent"
	NameIDTransient  = "urn:oasis:names:tc:SAML:2.0:nameid-format:transient"
)

// Formats of a NameID that may be a user name (SAML core section 8.3).
const (
	unspecified  = "urn:oasis:names:tc:SAML:1.1:nameid-format:unspecified"
	emailAddress = "urn:oasis:names:tc:SAML:1.1:nameid-format:emailAddress"
)

// names are attribute names by field, and notes what to know by field.
type (
	names = map[string][]string
	notes = map[string]string
)

// presets is the table, by the names that package preset lists. Of the names of
// an attribute, those that the identity provider fixes come first, then those that
// administrators usually choose. The bare twin of a name with a name space is for
// administrators who drop it.
var presets = map[string]Preset{
	"okta": {
		// Nothing is asserted until the administrator maps it, so every name is
		// a custom. There is none for the id, the user name, the company and
		// the time zone; the user name is the NameID.
		Issuer: "http://www.okta.com/*",
		Attributes: names{
			fieldEmail:       {"email", "mail"},
			fieldGivenName:   {"firstName"},
			fieldFamilyName:  {"lastName"},
			fieldDisplayName: {"displayName"},
			fieldGroups:      {"groups"},
		},
		UserNameFormats: []string{unspecified, emailAddress},
		Notes: notes{
			fieldID:     `assert user.getInternalProperty("id") and map its name`,
			fieldGroups: "only the groups that the filter of the group attribute statement lets through are asserted",
		},
	},
	"entra": {
		// The company is a custom claim of user.companyname. Nothing is usual
		// for the time zone. App roles are no groups: where no groups come,
		// nothing is known of them. Override "groups" to go by app roles.
		Issuer: "https://sts.windows.net/*/",
		Attributes: names{
			fieldID:          {microsoft + "identity/claims/objectidentifier", "objectidentifier"},
			fieldUserName:    {claims + "name", "name"},
			fieldEmail:       {claims + "emailaddress", "emailaddress", claims + "name", "name"},
			fieldGivenName:   {claims + "givenname", "givenname"},
			fieldFamilyName:  {claims + "surname", "surname"},
			fieldDisplayName: {microsoft + "identity/claims/displayname", "displayname"},
			fieldCompany:     {"companyname"},
			fieldGroups:      {microsoft + "ws/2008/06/identity/claims/groups", "groups"},
		},
		Overage:         []string{microsoft + "claims/groups.link", "groups.link"},
		GroupForms:      []GroupForm{DomainName},
		UserNameFormats: []string{unspecified, emailAddress},
		Notes: notes{
			fieldGroups: "groups are asserted as object ids unless the claim says otherwise: write patterns as id:OBJECT-ID; beyond 150 groups none is asserted",
		},
	},
	"onelogin": {
		// Nothing is usual for display name, company and time zone.
		Issuer: "https://app.onelogin.com/saml/metadata/*",
		Attributes: names{
			fieldID:         {"PersonImmutableID"},
			fieldEmail:      {"User.email"},
			fieldGivenName:  {"User.FirstName"},
			fieldFamilyName: {"User.LastName"},
			fieldGroups:     {"memberOf"},
		},
		GroupForms:      []GroupForm{Joined, DistinguishedName},
		UserNameFormats: []string{unspecified, emailAddress},
	},
	"adfs": {
		// The id exists only where a claim rule sends it. Nothing is usual for
		// company and time zone.
		Issuer: "http://*/adfs/services/trust",
		Attributes: names{
			fieldID:         {"objectGUID", microsoft + "ws/2008/06/identity/claims/primarysid"},
			fieldUserName:   {claims + "upn"},
			fieldEmail:      {claims + "emailaddress", claims + "upn"},
			fieldName:       {claims + "name", "http://schemas.xmlsoap.org/claims/CommonName"},
			fieldGivenName:  {claims + "givenname"},
			fieldFamilyName: {claims + "surname"},
			fieldGroups:     {"http://schemas.xmlsoap.org/claims/Group", microsoft + "ws/2008/06/identity/claims/role"},
		},
		GroupForms:      []GroupForm{DistinguishedName, DomainName},
		UserNameFormats: []string{unspecified, emailAddress},
		Notes: notes{
			fieldID:     "objectGUID or primarysid is asserted only where a claim rule sends it",
			fieldNameID: "there is none without a claim rule",
		},
	},
	"google": {
		// Every name is the administrator's. There is no immutable id to map,
		// and nothing usual for display name, company and time zone.
		Issuer: "https://accounts.google.com/o/saml2?idpid=*",
		Attributes: names{
			fieldEmail:      {"email"},
			fieldGivenName:  {"firstName"},
			fieldFamilyName: {"lastName"},
			fieldGroups:     {"groups"},
		},
		UserNameFormats: []string{unspecified, emailAddress},
		Notes: notes{
			fieldGroups: "at most 75 groups can be mapped; only these are asserted",
		},
	},
	"keycloak": {
		// The id is the persistent NameID; otherwise the NameID is the user
		// name. Nothing is usual for display name, company and time zone. Realm
		// roles are no groups.
		Issuer: "*/realms/*",
		Attributes: names{
			fieldEmail:      {pkcs9Email, "email"},
			fieldGivenName:  {x500 + "42"},
			fieldFamilyName: {x500 + "4"},
			fieldGroups:     {"member", "groups"},
		},
		GroupForms:      []GroupForm{LeadingSlash},
		UserNameFormats: []string{unspecified, emailAddress},
		Notes: notes{
			fieldID: "choose the persistent NameID format, which is immutable",
		},
	},
	"shibboleth": {
		// Nothing is usual for the time zone. Entitlements and affiliations are
		// no groups.
		Attributes: names{
			fieldID:          {subject + "subject-id", subject + "pairwise-id", eduPerson + "13", eduPerson + "10"},
			fieldUserName:    {eduPerson + "6"},
			fieldEmail:       {inetOrg + "3"},
			fieldGivenName:   {x500 + "42"},
			fieldFamilyName:  {x500 + "4"},
			fieldName:        {x500 + "3"},
			fieldDisplayName: {inetOrgDisplay},
			fieldCompany:     {x500 + "10"},
			fieldGroups:      {eduMember},
		},
		GroupForms: []GroupForm{DistinguishedName},
		Notes: notes{
			fieldNameID: "transient by default, which recognizes nobody: release an id or the principal name",
		},
	},
	"jumpcloud": {
		// Nothing is usual for user name, display name, company and time zone.
		Attributes: names{
			fieldEmail:      {"email"},
			fieldGivenName:  {"firstname"},
			fieldFamilyName: {"lastname"},
			fieldGroups:     {"memberOf"},
		},
		UserNameFormats: []string{unspecified, emailAddress},
	},
	"simplesamlphp": {
		// Bare names, or those that core:AttributeMap name2oid makes of them.
		// Nothing is usual for company and time zone. The uid is both what
		// people log in with and the only id.
		Attributes: names{
			fieldID:          {"uid", inetOrg + "1"},
			fieldUserName:    {"uid", inetOrg + "1"},
			fieldEmail:       {"mail", inetOrg + "3"},
			fieldGivenName:   {"givenName", x500 + "42"},
			fieldFamilyName:  {"sn", x500 + "4"},
			fieldDisplayName: {"displayName", inetOrgDisplay},
			fieldGroups:      {"groups"},
		},
		GroupForms: []GroupForm{DistinguishedName},
		Notes: notes{
			fieldID:     "the uid must never be given to another person",
			fieldNameID: "transient by default, which recognizes nobody",
		},
	},
	"auth0": {
		// The unspecified NameID is the id again, such as "auth0|5f7c", and not
		// a user name. Nothing is usual for user name, company and time zone.
		Issuer: "urn:*",
		Attributes: names{
			fieldID:         {claims + "nameidentifier"},
			fieldEmail:      {claims + "emailaddress"},
			fieldGivenName:  {claims + "givenname"},
			fieldFamilyName: {claims + "surname"},
			fieldName:       {claims + "name"},
			fieldGroups:     {"http://schemas.passportjs.com/groups"},
		},
		UserNameFormats: []string{emailAddress},
	},
	"samlidp": {
		// The identity provider of crewjam/saml, for tests. Nothing is usual
		// for display name, company and time zone.
		Attributes: names{
			fieldID:         {inetOrg + "1"},
			fieldUserName:   {inetOrg + "1"},
			fieldEmail:      {inetOrg + "3", eduPerson + "6"},
			fieldGivenName:  {x500 + "42"},
			fieldFamilyName: {x500 + "4"},
			fieldName:       {x500 + "3"},
			fieldGroups:     {eduPerson + "1"},
		},
		Notes: notes{
			fieldID:     "the uid must never be given to another person",
			fieldNameID: "transient by default, which recognizes nobody",
		},
	},
	preset.Generic: {
		// The names of all of the above that mean the same thing everywhere,
		// and SCIM's own. Left out are those that are something else at another
		// identity provider: a uid or nameidentifier need not be immutable,
		// claims/name is a user name here and a person's name there, roles and
		// affiliations of other applications are not groups. Names with a name
		// space come before bare ones.
		//
		// Of the forms of groups, none that shortens or splits a value: what
		// tells two groups of an unknown identity provider apart is not known,
		// and ";" can be part of a name. A slash at the begin is not worth a
		// pattern of its own.
		Attributes: names{
			fieldID: {
				microsoft + "identity/claims/objectidentifier",
				subject + "subject-id", subject + "pairwise-id", eduPerson + "13", eduPerson + "10",
				microsoft + "ws/2008/06/identity/claims/primarysid",
				"objectidentifier", "objectGUID", "PersonImmutableID",
			},
			fieldUserName:    {claims + "upn", eduPerson + "6", "userName", "username"},
			fieldEmail:       {claims + "emailaddress", inetOrg + "3", pkcs9Email, "email", "mail", "emailaddress", "User.email"},
			fieldGivenName:   {claims + "givenname", x500 + "42", "givenName", "firstName", "firstname", "givenname", "User.FirstName"},
			fieldFamilyName:  {claims + "surname", x500 + "4", "familyName", "lastName", "lastname", "surname", "sn", "User.LastName"},
			fieldName:        {"http://schemas.xmlsoap.org/claims/CommonName", x500 + "3"},
			fieldDisplayName: {microsoft + "identity/claims/displayname", inetOrgDisplay, "displayName", "displayname"},
			fieldCompany:     {x500 + "10", "company", "companyname"},
			fieldTimeZone:    {"timeZone", "timezone"},
			fieldGroups: {
				microsoft + "ws/2008/06/identity/claims/groups", "http://schemas.xmlsoap.org/claims/Group",
				"http://schemas.passportjs.com/groups", eduMember,
				"groups", "memberOf", "member",
			},
		},
		Overage:         []string{microsoft + "claims/groups.link", "groups.link"},
		GroupForms:      []GroupForm{LeadingSlash},
		UserNameFormats: []string{unspecified, emailAddress},
	},
}
