package ldap

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	kinds "github.com/scimjit/provision/internal/preset"
	"github.com/scimjit/provision/policy"
)

// Fields of a person or a group that attributes are mapped to. The others are SCIM paths.
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
	fieldLogin       = "login" // what people type
	fieldGroupID     = "groupId"
	fieldGroupName   = "groupName"
)

// accountName is the attribute that memberUid names people by (RFC 2307 section 5.3),
// whatever their userName is.
const accountName = "uid"

const (
	enterpriseUser = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"

	pathNickName       = "nickName"
	pathTitle          = "title"
	pathUserType       = "userType"
	pathLanguage       = "preferredLanguage"
	pathLocale         = "locale"
	pathEmployeeNumber = enterpriseUser + ":employeeNumber"
	pathCostCenter     = enterpriseUser + ":costCenter"
	pathDivision       = enterpriseUser + ":division"
	pathDepartment     = enterpriseUser + ":department"
)

var fields = []string{
	fieldID, fieldUserName, fieldEmail, fieldGivenName, fieldFamilyName, fieldName, fieldDisplayName, fieldCompany,
	fieldTimeZone, fieldLogin, fieldGroupID, fieldGroupName, pathNickName, pathTitle, pathUserType, pathLanguage, pathLocale,
	pathEmployeeNumber, pathCostCenter, pathDivision, pathDepartment,
}

// A preset is what one kind of directory is like.
type preset struct {
	name           string // as package preset lists it
	people, groups string // filters

	// fields are attributes by field; of several the first that has a value counts.
	fields map[string][]string

	// ids are the forms of binary ids; every other attribute is text.
	ids map[string]idForm

	disabled []stateRule

	// members are the attributes of groups that hold DNs, and memberNames those that
	// hold user names.
	members, memberNames []string

	// filled are the object classes of groups that cannot be without members: where
	// one has none, they may not be read.
	filled []string

	// primary says that the primary group of a person is not among their groups
	// otherwise: primaryGroupID.
	primary bool

	// chain is a matching rule that follows nested groups, or empty.
	chain string

	delta deltaWay
}

// A deltaWay is how a kind of directory says what has changed.
type deltaWay int

const (
	byModifyTimestamp deltaWay = iota
	byUSN                      // uSNChanged, which counts on one server (MS-ADTS section 3.1.1.1.9)
)

// inetOrg are the attributes of RFC 2798 and RFC 4519.
var inetOrg = map[string][]string{
	fieldUserName:      {"uid"},
	fieldEmail:         {"mail"},
	fieldGivenName:     {"givenName"},
	fieldFamilyName:    {"sn"},
	fieldName:          {"cn"},
	fieldDisplayName:   {"displayName", "cn"},
	fieldCompany:       {"o"},
	fieldLogin:         {"uid"},
	fieldGroupName:     {"cn"},
	pathTitle:          {"title"},
	pathEmployeeNumber: {"employeeNumber"},
	pathDepartment:     {"departmentNumber"},
	pathLanguage:       {"preferredLanguage"},
}

// with returns the attributes with others in their place.
func with(base, others map[string][]string) map[string][]string {
	out := maps.Clone(base)
	maps.Copy(out, others)
	return out
}

var (
	shadow = stateRule{"shadowExpire", shadowExpired}
	nsLock = stateRule{"nsAccountLock", isTrue}
)

const (
	inetOrgPeople = "(objectClass=inetOrgPerson)"
	namedGroups   = "(|(objectClass=groupOfNames)(objectClass=groupOfUniqueNames)(objectClass=posixGroup))"
)

// presets is the table.
var presets = []preset{
	{
		name: "ad",
		// objectCategory leaves out computers, which are of class user, too.
		people: "(&(objectCategory=person)(objectClass=user))",
		groups: "(objectCategory=group)",
		fields: map[string][]string{
			fieldID:            {"objectGUID"},
			fieldUserName:      {"userPrincipalName", "sAMAccountName"},
			fieldEmail:         {"mail"},
			fieldGivenName:     {"givenName"},
			fieldFamilyName:    {"sn"},
			fieldDisplayName:   {"displayName", "cn"},
			fieldCompany:       {"company"},
			fieldLogin:         {"sAMAccountName", "userPrincipalName"},
			fieldGroupID:       {"objectGUID"},
			fieldGroupName:     {"cn"},
			pathTitle:          {"title"},
			pathEmployeeNumber: {"employeeID", "employeeNumber"},
			pathDepartment:     {"department"},
			pathDivision:       {"division"},
			pathLanguage:       {"preferredLanguage"},
		},
		ids:      map[string]idForm{"objectguid": guidID, "ms-ds-consistencyguid": guidID},
		disabled: []stateRule{{"userAccountControl", accountDisabled}, {"accountExpires", accountExpired}},
		members:  []string{"member"},
		primary:  true,
		chain:    "1.2.840.113556.1.4.1941",
		delta:    byUSN,
	},
	{
		name:   "openldap",
		people: inetOrgPeople, groups: namedGroups,
		fields:      with(inetOrg, map[string][]string{fieldID: {"entryUUID"}, fieldGroupID: {"entryUUID"}}),
		disabled:    []stateRule{shadow},
		members:     []string{"member", "uniqueMember"},
		memberNames: []string{"memberUid"},
		filled:      []string{"groupOfNames", "groupOfUniqueNames"},
	},
	{
		name:   "389ds",
		people: inetOrgPeople, groups: namedGroups,
		fields:      with(inetOrg, map[string][]string{fieldID: {"nsUniqueId"}, fieldGroupID: {"nsUniqueId"}}),
		disabled:    []stateRule{nsLock, shadow},
		members:     []string{"member", "uniqueMember"},
		memberNames: []string{"memberUid"},
	},
	{
		name:   "freeipa",
		people: "(&(objectClass=inetOrgPerson)(objectClass=ipaObject))", groups: "(objectClass=ipaUserGroup)",
		fields:   with(inetOrg, map[string][]string{fieldID: {"ipaUniqueID"}, fieldGroupID: {"ipaUniqueID"}}),
		disabled: []stateRule{nsLock, {"krbPrincipalExpiration", timePassed}},
		members:  []string{"member"},
	},
	{
		name:   "generic",
		people: "(&(objectClass=person)(!(objectClass=computer)))", groups: namedGroups,
		fields:      with(inetOrg, map[string][]string{fieldID: {"entryUUID"}, fieldGroupID: {"entryUUID"}}),
		disabled:    []stateRule{nsLock, shadow},
		members:     []string{"member", "uniqueMember"},
		memberNames: []string{"memberUid"},
	},
}

func presetNamed(name string) (*preset, bool) {
	name, _ = kinds.CanonicalDirectory(name)
	for i := range presets {
		if presets[i].name == name {
			return &presets[i], true
		}
	}
	return nil, false
}

// mapping is a preset with what a connection has in its place.
type mapping struct {
	*preset
	fields map[string][]string

	// own says that the id is not the one of the preset. Nobody guarantees that it is
	// unique.
	own bool

	personAttributes, groupAttributes []string // to ask for
}

// mapping puts a preset and the mapping of a connection together. Where that is wrong it
// says which field is, and why.
func (p *preset) mapping(overrides map[string]string) (m *mapping, field, reason string) {
	m = &mapping{preset: p, fields: maps.Clone(p.fields)}
	seen := map[string]bool{}
	for _, key := range slices.Sorted(maps.Keys(overrides)) {
		i := slices.IndexFunc(fields, func(f string) bool { return strings.EqualFold(f, key) })
		if i < 0 {
			reason = "it is no field"
			if near := policy.Nearest(key, fields); near != "" {
				reason += fmt.Sprintf("; did you mean %q?", near)
			}
			return nil, key, reason
		}
		name := fields[i]
		if seen[name] {
			return nil, key, "it is given twice"
		}
		seen[name] = true
		attribute := overrides[key]
		switch {
		case attribute == "" && (name == fieldID || name == fieldUserName || name == fieldLogin || name == fieldGroupID || name == fieldGroupName):
			return nil, key, "it cannot be without an attribute"
		case attribute == "":
			delete(m.fields, name)
			continue
		case !isAttribute(attribute):
			return nil, key, "it must be the name of an attribute, without options"
		}
		m.fields[name] = []string{attribute}
		if name == fieldID && !strings.EqualFold(attribute, p.fields[fieldID][0]) {
			m.own = true
		}
	}
	m.personAttributes, m.groupAttributes = m.attributes()
	return m, "", ""
}

// attributes are those to ask for, by name: what is operational does not come otherwise.
func (m *mapping) attributes() (person, group []string) {
	add := func(list *[]string, names ...string) {
		for _, name := range names {
			if !slices.ContainsFunc(*list, func(have string) bool { return strings.EqualFold(have, name) }) {
				*list = append(*list, name)
			}
		}
	}
	for _, field := range fields {
		if field == fieldGroupID || field == fieldGroupName {
			add(&group, m.fields[field]...)
		} else {
			add(&person, m.fields[field]...)
		}
	}
	for _, rule := range m.disabled {
		add(&person, rule.attribute)
	}
	add(&group, m.members...)
	add(&group, m.memberNames...)
	add(&group, "objectClass")
	if len(m.memberNames) > 0 {
		add(&person, accountName)
	}
	if m.primary {
		add(&person, "objectSid", "primaryGroupID")
		add(&group, "objectSid")
	}
	if m.delta == byModifyTimestamp {
		add(&person, "modifyTimestamp")
		add(&group, "modifyTimestamp")
	}
	return person, group
}

// isAttribute reports whether a text is the name or the OID of an attribute (RFC 4512
// section 1.4).
func isAttribute(text string) bool {
	return text != "" && len(text) <= 200 && !strings.ContainsFunc(text, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && r != '-' && r != '.'
	})
}

// id reads the immutable id of an entry.
func (m *mapping) id(e entry, field string) (string, bool) {
	for _, name := range m.fields[field] {
		values := e.values(name)
		if len(values) == 0 {
			continue
		}
		if len(values) > 1 {
			return "", false // either could be meant
		}
		read := m.ids[strings.ToLower(name)]
		if read == nil {
			read = textID
		}
		return read(values[0])
	}
	return "", false
}
