package jit_test

import (
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/text/unicode/norm"

	"github.com/scimjit/provision"
	"github.com/scimjit/provision/jit"
	"github.com/scimjit/provision/policy"
)

// FuzzIdentity asserts whatever it likes under the names of a preset. What
// comes out is of the form that an Identity promises and says no more about
// groups than was asserted. Its groups are the same when they are asserted again.
func FuzzIdentity(f *testing.F) {
	f.Add(uint8(0), "email", "", "ada@example.com", "groups", "CN=Sales\\, EMEA,OU=x", "ada")
	f.Add(uint8(2), "User.email", "x", "e\u0301@x", "memberOf", "A;B\\;C;;a", " n ")
	f.Add(uint8(5), "x", "member", "/a/b", "", "", "\xff")
	f.Add(uint8(11), "http://schemas.microsoft.com/claims/groups.link", "", "", "memberOf", `D\g`, "\u0958")
	presets := jit.Presets()
	f.Fuzz(func(t *testing.T, row uint8, name1, friendly1, value1, name2, value2, nameID string) {
		preset := presets[int(row)%len(presets)]
		m := newMapping(t, preset.Name, jit.Overrides{"title": "jobTitle"})
		attributes := []jit.Attribute{
			friendly(name1, friendly1, value1, value2), attribute(name2, value2), attribute("jobTitle", value1),
		}
		for _, names := range preset.Attributes {
			attributes = append(attributes, friendly("", names[len(names)-1], value1))
		}
		// Half of the inputs say nothing about groups but by the fuzzed names.
		if row >= 128 {
			attributes = attributes[:3]
		}
		assertion := jit.Assertion{NameID: provision.NameID{Value: nameID, Format: name1}, Attributes: attributes}
		id, err := m.Identity(assertion)
		if err != nil {
			return
		}
		checkTexts(t, id)
		checkEvidence(t, preset, attributes, id)
		if id.Evidence == policy.EvidenceKnown {
			var values []string
			for _, g := range id.Groups {
				values = append(values, g.Value)
			}
			again, err := m.Identity(jit.Assertion{Attributes: []jit.Attribute{attribute(preset.Attributes["groups"][0], values...)}})
			if diff := cmp.Diff(id.Groups, again.Groups); err != nil || diff != "" {
				t.Errorf("error %v, groups asserted again:\n%s", err, diff)
			}
		}
	})
}

func checkTexts(t *testing.T, id provision.Identity) {
	t.Helper()
	names := []string{id.UserName, id.Email, id.ID, id.NameID.Value, id.NameID.Format, id.NameID.NameQualifier, id.NameID.SPNameQualifier}
	texts := []string{id.GivenName, id.FamilyName, id.Name, id.DisplayName, id.Company, id.TimeZone}
	for _, text := range id.Attributes {
		texts = append(texts, text)
	}
	var trimmed []string
	seen := map[string]bool{}
	for _, g := range id.Groups {
		trimmed, texts = append(trimmed, g.Value), append(texts, g.Name)
		key := policy.Fold(g.Value)
		if g.Value == "" || g.Name == "" || seen[key] {
			t.Errorf("group %q, named %q: empty or twice", g.Value, g.Name)
		}
		seen[key] = true
	}
	for _, text := range texts {
		if !norm.NFC.IsNormalString(text) {
			t.Errorf("%q is not NFC", text)
		}
	}
	for _, text := range names {
		if !utf8.ValidString(text) || text != "" && strings.TrimSpace(text) == "" || len(text) > provision.MaxIdentityText || strings.ContainsFunc(text, unicode.IsControl) || strings.ContainsFunc(text, func(r rune) bool { return unicode.Is(unicode.Cf, r) }) {
			t.Errorf("%q is not a valid and visible name", text)
		}
	}
	for _, text := range append(texts, trimmed...) {
		if !utf8.ValidString(text) || text != strings.TrimSpace(text) || len(text) > provision.MaxIdentityText || strings.ContainsFunc(text, unicode.IsControl) {
			t.Errorf("%q is not valid, trimmed and bounded", text)
		}
	}
	if id.Email != "" && !strings.Contains(id.Email, "@") {
		t.Errorf("e-mail is %q", id.Email)
	}
	if len(id.Groups) > provision.MaxIdentityGroups {
		t.Errorf("%d groups", len(id.Groups))
	}
}

func checkEvidence(t *testing.T, preset jit.Preset, attributes []jit.Attribute, id provision.Identity) {
	t.Helper()
	asserted := func(names []string) bool {
		for _, name := range names {
			for _, a := range attributes {
				if a.FriendlyName == name || policy.Fold(a.Name) == policy.Fold(name) {
					return true
				}
			}
		}
		return false
	}
	want := policy.EvidenceAbsent
	switch {
	case asserted(preset.Overage):
		want = policy.EvidenceOverage
	case asserted(preset.Attributes["groups"]):
		want = policy.EvidenceKnown
	}
	if id.Evidence != want || want != policy.EvidenceKnown && len(id.Groups) > 0 {
		t.Errorf("evidence is %v with %d groups, want %v", id.Evidence, len(id.Groups), want)
	}
}
