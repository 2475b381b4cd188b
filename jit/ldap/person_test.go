package ldap

import (
	"encoding/binary"
	"strings"
	"testing"
	"time"

	goldap "github.com/go-ldap/ldap/v3"
)

// entryOf makes an entry from attributes with one value each; several are joined by "|".
func entryOf(attributes map[string]string) entry {
	e := entry{&goldap.Entry{DN: "uid=x,dc=example"}}
	for name, values := range attributes {
		e.Attributes = append(e.Attributes, goldap.NewEntryAttribute(name, strings.Split(values, "|")))
	}
	return e
}

func TestPeople(t *testing.T) {
	now := time.Date(2026, 12, 1, 12, 0, 0, 0, time.UTC)
	base := map[string]map[string]string{
		"ad":       {"objectGUID": "\x33\x22\x11\x00\x55\x44\x77\x66\x88\x99\xaa\xbb\xcc\xdd\xee\xff", "userPrincipalName": "ada@ad.example"},
		"openldap": {"entryUUID": "u-1", "uid": "ada"},
		"389ds":    {"nsUniqueId": "a1b2c3d4-e5f6a7b8-00000000-11111111", "uid": "ada"},
		"freeipa":  {"ipaUniqueID": "i-1", "uid": "ada"},
		"generic":  {"entryUUID": "u-1", "uid": "ada"},
	}
	tests := []struct {
		name, preset string
		mapping      map[string]string
		with         map[string]string // attributes; "" removes one
		want         string            // of the document, or the problem
	}{
		{"byte order of a GUID", "ad", nil, nil, `"externalId":"00112233-4455-6677-8899-aabbccddeeff"`},
		{"the text of other ids", "389ds", nil, nil, `"externalId":"a1b2c3d4-e5f6a7b8-00000000-11111111"`},
		{"ipaUniqueID", "freeipa", nil, nil, `"externalId":"i-1"`},
		{"mS-DS-ConsistencyGuid", "ad", map[string]string{"ID": "mS-DS-ConsistencyGuid"}, map[string]string{"ms-ds-consistencyguid": "\x00\x00\x00\x01\x00\x02\x00\x03\x04\x05\x06\x07\x08\x09\x0a\x0b"}, `"externalId":"01000000-0200-0300-0405-060708090a0b"`},
		{"a GUID by another preset is no text", "openldap", map[string]string{"id": "objectGUID"}, map[string]string{"objectGUID": "\x33\x22\x11\x00\x55\x44\x77\x66\x88\x99\xaa\xbb\xcc\xdd\xee\xff"}, ProblemNoID},
		{"a GUID of a wrong length", "ad", nil, map[string]string{"objectGUID": "short"}, ProblemNoID},
		{"two ids", "openldap", nil, map[string]string{"entryUUID": "u-1|u-2"}, ProblemNoID},
		{"no id", "openldap", nil, map[string]string{"entryUUID": ""}, ProblemNoID},
		{"no user name", "openldap", nil, map[string]string{"uid": ""}, ProblemName},
		{"a hidden character in the user name", "openldap", nil, map[string]string{"uid": "a\u200bda"}, ProblemName},
		{"the account name without a UPN", "ad", nil, map[string]string{"userPrincipalName": "", "sAMAccountName": "ada"}, `"userName":"ada"`},
		{"a line break in a label", "openldap", nil, map[string]string{"displayName": "Ada\r\n Lovelace"}, `"displayName":"Ada Lovelace"`},
		{"a label that is too long", "openldap", nil, map[string]string{"title": strings.Repeat("é", 200)}, `"title":"` + strings.Repeat("é", 128) + `"`},
		{"the first mail that can be one", "openldap", nil, map[string]string{"mail": "none|ada@example.com|b@example.com"}, `"emails":[{"value":"ada@example.com",`},
		{"names of attributes in any case", "openldap", nil, map[string]string{"GIVENNAME": "Ada"}, `"givenName":"Ada"`},
		{"the base form wins", "openldap", nil, map[string]string{"givenName;lang-de": "Adele", "givenname": "Ada"}, `"givenName":"Ada"`},
		{"an option alone", "openldap", nil, map[string]string{"sn;lang-de": "Lieblich"}, `"familyName":"Lieblich"`},
		{"a mapped path", "generic", map[string]string{"TITLE": "roomNumber"}, map[string]string{"roomNumber": "7"}, `"title":"7"`},
		{"a mapped time zone", "generic", map[string]string{"timezone": "tz"}, map[string]string{"tz": "Europe/Berlin"}, `"timezone":"Europe/Berlin"`},
		{"active", "ad", nil, map[string]string{"userAccountControl": "512"}, `"active":true`},
		{"disabled", "ad", nil, map[string]string{"userAccountControl": "514"}, `"active":false`},
		{"locked out is active", "ad", nil, map[string]string{"userAccountControl": "528", "lockoutTime": "133000000000000000"}, `"active":true`},
		{"no state is active", "ad", nil, nil, `"active":true`},
		{"expires never, 0", "ad", nil, map[string]string{"accountExpires": "0"}, `"active":true`},
		{"expires never", "ad", nil, map[string]string{"accountExpires": "9223372036854775807"}, `"active":true`},
		{"expired now", "ad", nil, map[string]string{"accountExpires": "134406000000000000"}, `"active":false`},
		{"expires a moment later", "ad", nil, map[string]string{"accountExpires": "134406000000000001"}, `"active":true`},
		{"nsAccountLock", "389ds", nil, map[string]string{"nsaccountlock": "TRUE"}, `"active":false`},
		{"nsAccountLock false", "freeipa", nil, map[string]string{"nsAccountLock": "false"}, `"active":true`},
		{"the principal has expired", "freeipa", nil, map[string]string{"krbPrincipalExpiration": "20261201120000Z"}, `"active":false`},
		{"the principal expires", "freeipa", nil, map[string]string{"krbPrincipalExpiration": "20261201120001Z"}, `"active":true`},
		{"shadowExpire", "openldap", nil, map[string]string{"shadowExpire": "20788"}, `"active":false`},
		{"shadowExpire tomorrow", "openldap", nil, map[string]string{"shadowExpire": "20789"}, `"active":true`},
		{"shadowExpire never", "openldap", nil, map[string]string{"shadowExpire": "-1"}, `"active":true`},
		{"a password policy's lock is no state", "openldap", nil, map[string]string{"pwdAccountLockedTime": "20200101000000Z"}, `"active":true`},
	}
	for _, tt := range tests {
		p, _ := presetNamed(tt.preset)
		m, field, reason := p.mapping(tt.mapping)
		if reason != "" {
			t.Errorf("%s: %s: %s", tt.name, field, reason)
			continue
		}
		attributes := map[string]string{}
		for name, value := range base[tt.preset] {
			attributes[name] = value
		}
		for name, value := range tt.with {
			if attributes[name] = value; value == "" {
				delete(attributes, name)
			}
		}
		who := m.person(entryOf(attributes), now)
		s := who.sync()
		if s.Problem != tt.want && !strings.Contains(string(s.Content.Document), tt.want) || s.Problem != "" && s.Problem != tt.want {
			t.Errorf("%s: problem %q, %s, want %s", tt.name, s.Problem, s.Content.Document, tt.want)
		}
	}
}

func TestMappingRefuses(t *testing.T) {
	p, _ := presetNamed("")
	for _, overrides := range []map[string]string{
		{"emial": "mail"}, {"email": "mail", "EMAIL": "mail"}, {"id": ""}, {"email": "mail;lang-de"}, {"email": "a)(b"}, {"userName": ""},
	} {
		if _, field, reason := p.mapping(overrides); reason == "" || field == "" {
			t.Errorf("%v is accepted", overrides)
		}
	}
}

func TestPresetsAreWhole(t *testing.T) {
	for _, p := range presets {
		for _, field := range []string{fieldID, fieldUserName, fieldEmail, fieldLogin, fieldGroupID, fieldGroupName} {
			if len(p.fields[field]) == 0 {
				t.Errorf("%s: nothing for %s", p.name, field)
			}
		}
		for _, filter := range []string{p.people, p.groups} {
			if reason := wrongFilter(filter); reason != "" {
				t.Errorf("%s: %s: %s", p.name, filter, reason)
			}
		}
	}
}

func TestGroups(t *testing.T) {
	p, _ := presetNamed("openldap")
	m, _, _ := p.mapping(nil)
	for _, tt := range []struct {
		name    string
		with    map[string]string
		problem string
		members int
	}{
		{"members", map[string]string{"member": "uid=a,dc=x|uid=b,dc=x"}, "", 2},
		{"of both kinds", map[string]string{"uniqueMember": "uid=a,dc=x#'01'B", "memberUid": "b|c"}, "", 3},
		{"none, and it may have none", map[string]string{"objectClass": "posixGroup"}, "", 0},
		{"none, and it must have some", map[string]string{"objectClass": "top|GROUPOFNAMES"}, ProblemMembers, 0},
		{"no id", map[string]string{"entryUUID": ""}, ProblemNoID, 0},
		{"no name", map[string]string{"cn": " "}, ProblemName, 0},
	} {
		attributes := map[string]string{"entryUUID": "g-1", "cn": "Staff"}
		for name, value := range tt.with {
			if attributes[name] = value; value == "" {
				delete(attributes, name)
			}
		}
		g := m.group(entryOf(attributes))
		if g.problem != tt.problem || len(g.members)+len(g.names) != tt.members {
			t.Errorf("%s: problem %q, members %q, names %q", tt.name, g.problem, g.members, g.names)
		}
		if len(g.members) > 0 && strings.Contains(g.members[0], "#") {
			t.Errorf("%s: %q", tt.name, g.members)
		}
	}
}

func TestSiblingSID(t *testing.T) {
	sid := "\x01\x02\x00\x00\x00\x00\x00\x05" + strings.Repeat("\x07\x00\x00\x00", 2)
	got := siblingSID([]byte(sid), "513")
	if len(got) != 16 || binary.LittleEndian.Uint32([]byte(got[12:])) != 513 || got[:12] != sid[:12] {
		t.Errorf("%x", got)
	}
	for _, wrong := range []struct{ sid, rid string }{{"", "513"}, {sid[:14], "513"}, {sid, ""}, {sid, "-1"}, {sid, "4294967296"}} {
		if got := siblingSID([]byte(wrong.sid), wrong.rid); got != "" {
			t.Errorf("%q with %q is %x", wrong.sid, wrong.rid, got)
		}
	}
}
