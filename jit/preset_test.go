package jit_test

import (
	"encoding/json"
	"errors"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/scimjit/provision"
	"github.com/scimjit/provision/internal/preset"
	"github.com/scimjit/provision/jit"
	"github.com/scimjit/provision/policy"
)

// presetFile is one file of testdata/presets: assertions in the shape of one
// identity provider, and who they are about.
type presetFile struct {
	Preset    string        `json:"preset"`
	Overrides jit.Overrides `json:"overrides"`
	Warnings  []string      `json:"warnings"`
	Cases     []presetCase  `json:"cases"`
}

type presetCase struct {
	Name      string        `json:"name"`
	Assertion assertionJSON `json:"assertion"`
	Identity  *identityJSON `json:"identity"`
	Error     *errorJSON    `json:"error"`
}

type errorJSON struct {
	Field     string      `json:"field"`
	Attribute string      `json:"attribute"`
	Problem   jit.Problem `json:"problem"`
}

type nameIDJSON struct {
	Value           string `json:"value"`
	Format          string `json:"format"`
	NameQualifier   string `json:"nameQualifier"`
	SPNameQualifier string `json:"spNameQualifier"`
}

type assertionJSON struct {
	Issuer     string     `json:"issuer"`
	NameID     nameIDJSON `json:"nameID"`
	Attributes []struct {
		Name         string   `json:"name"`
		FriendlyName string   `json:"friendlyName"`
		Values       []string `json:"values"`
	} `json:"attributes"`
}

func (a assertionJSON) assertion() jit.Assertion {
	out := jit.Assertion{Issuer: a.Issuer, NameID: provision.NameID(a.NameID)}
	for _, attribute := range a.Attributes {
		out.Attributes = append(out.Attributes, friendly(attribute.Name, attribute.FriendlyName, attribute.Values...))
	}
	return out
}

type identityJSON struct {
	ID          string     `json:"id"`
	NameID      nameIDJSON `json:"nameID"`
	UserName    string     `json:"userName"`
	Email       string     `json:"email"`
	GivenName   string     `json:"givenName"`
	FamilyName  string     `json:"familyName"`
	Name        string     `json:"name"`
	DisplayName string     `json:"displayName"`
	Company     string     `json:"company"`
	TimeZone    string     `json:"timeZone"`
	Groups      []struct {
		Value string `json:"value"`
		Name  string `json:"name"`
	} `json:"groups"`
	Evidence   string            `json:"evidence"`
	Attributes map[string]string `json:"attributes"`
}

func (i identityJSON) identity(t *testing.T) provision.Identity {
	t.Helper()
	evidence, ok := map[string]policy.Evidence{"known": policy.EvidenceKnown, "absent": policy.EvidenceAbsent, "overage": policy.EvidenceOverage}[i.Evidence]
	if !ok {
		t.Fatalf("evidence is %q", i.Evidence)
	}
	out := provision.Identity{
		ID: i.ID, NameID: provision.NameID(i.NameID), UserName: i.UserName, Email: i.Email,
		GivenName: i.GivenName, FamilyName: i.FamilyName, Name: i.Name, DisplayName: i.DisplayName,
		Company: i.Company, TimeZone: i.TimeZone, Evidence: evidence, Attributes: i.Attributes,
	}
	for _, g := range i.Groups {
		out.Groups = append(out.Groups, provision.IdentityGroup(g))
	}
	return out
}

// readPresets reads all files strictly: an unknown field is an error, so that a
// misspelled expectation cannot pass.
func readPresets(t testing.TB) []presetFile {
	t.Helper()
	names, err := filepath.Glob("testdata/presets/*.json")
	if err != nil || len(names) == 0 {
		t.Fatal("no files", err)
	}
	var out []presetFile
	for _, name := range names {
		data, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		decoder := json.NewDecoder(strings.NewReader(string(data)))
		decoder.DisallowUnknownFields()
		var file presetFile
		if err := decoder.Decode(&file); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if name != filepath.Join("testdata", "presets", file.Preset+".json") {
			t.Errorf("%s is about preset %q", name, file.Preset)
		}
		out = append(out, file)
	}
	return out
}

func TestPresetFiles(t *testing.T) {
	for _, file := range readPresets(t) {
		m := newMapping(t, file.Preset, file.Overrides)
		if diff := cmp.Diff(file.Warnings, append([]string{}, m.Warnings()...)); diff != "" {
			t.Errorf("%s: warnings (-want +got):\n%s", file.Preset, diff)
		}
		for _, c := range file.Cases {
			t.Run(file.Preset+"/"+c.Name, func(t *testing.T) {
				got, err := m.Identity(c.Assertion.assertion())
				if c.Error != nil {
					checkAttributeError(t, err, jit.AttributeError(*c.Error))
					return
				}
				if err != nil {
					t.Fatal(err)
				}
				if diff := cmp.Diff(c.Identity.identity(t), got); diff != "" {
					t.Errorf("identity (-want +got):\n%s", diff)
				}
			})
		}
	}
}

// The list of presets, which others check names by, and the table have the same
// names, and a name may come in any case.
func TestPresetsAreListed(t *testing.T) {
	rows := slices.Sorted(slices.Values(jit.PresetRows()))
	if diff := cmp.Diff(slices.Sorted(slices.Values(preset.Names())), rows); diff != "" {
		t.Errorf("names (-list +table):\n%s", diff)
	}
	for i, p := range jit.Presets() {
		if diff := cmp.Diff(preset.All()[i], preset.Preset{Name: p.Name, Title: p.Title, HasID: len(p.Attributes["id"]) > 0}); diff != "" {
			t.Errorf("preset %d (-list +published):\n%s", i, diff)
		}
		if _, err := jit.NewMapping(strings.ToUpper(p.Name), nil); err != nil {
			t.Errorf("%s in upper case: %v", p.Name, err)
		}
	}
}

// Every preset has a file, and the files cover every name of its row.
func TestPresetsAreCovered(t *testing.T) {
	asserted := map[string]map[string]bool{}
	issuers := map[string][]string{}
	for _, file := range readPresets(t) {
		seen := map[string]bool{}
		for _, c := range file.Cases {
			issuers[file.Preset] = append(issuers[file.Preset], c.Assertion.Issuer)
			for _, a := range c.Assertion.Attributes {
				seen[a.Name] = true
			}
		}
		asserted[file.Preset] = seen
	}
	for _, p := range jit.Presets() {
		seen, ok := asserted[p.Name]
		if !ok {
			t.Errorf("preset %q has no file", p.Name)
			continue
		}
		for _, issuer := range issuers[p.Name] {
			if p.Issuer != "" && !issuerPattern(p.Issuer).MatchString(issuer) {
				t.Errorf("preset %q: issuer %q does not look like %q", p.Name, issuer, p.Issuer)
			}
		}
		if p.Name == "generic" {
			continue // its names are those of the others
		}
		for field, names := range p.Attributes {
			for _, name := range names {
				if !seen[name] {
					t.Errorf("preset %q: no case asserts %q (%s)", p.Name, name, field)
				}
			}
		}
	}
}

func issuerPattern(hint string) *regexp.Regexp {
	return regexp.MustCompile("^" + strings.ReplaceAll(regexp.QuoteMeta(hint), `\*`, ".+") + "$")
}

// generic knows the names of every other preset, but for those that mean
// something else at another identity provider.
func TestGenericKnowsAll(t *testing.T) {
	const claims = "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/"
	const eduPerson = "urn:oid:1.3.6.1.4.1.5923.1.1.1."
	not := map[string][]string{
		"id":       {"uid", "urn:oid:0.9.2342.19200300.100.1.1", claims + "nameidentifier"},
		"userName": {"uid", "urn:oid:0.9.2342.19200300.100.1.1", claims + "name", "name"},
		"email":    {claims + "name", "name", claims + "upn", eduPerson + "6"},
		"name":     {claims + "name"},
		"groups":   {"http://schemas.microsoft.com/ws/2008/06/identity/claims/role", "role", "Role", eduPerson + "7", eduPerson + "1"},
	}
	presets := jit.Presets()
	generic := presets[len(presets)-1]
	if generic.Name != "generic" {
		t.Fatalf("the last preset is %q", generic.Name)
	}
	for _, p := range presets {
		for field, names := range p.Attributes {
			for _, name := range names {
				known := slices.Contains(generic.Attributes[field], name)
				if excluded := slices.Contains(not[field], name); known == excluded {
					t.Errorf("%s of preset %q: %q is known to generic: %v, excluded: %v", field, p.Name, name, known, excluded)
				}
			}
		}
		for _, marker := range p.Overage {
			if !slices.Contains(generic.Overage, marker) {
				t.Errorf("generic does not know the overage marker %q", marker)
			}
		}
	}
}

// The rows use only known fields and known forms, and nobody can change them.
func TestPresetsAreCopies(t *testing.T) {
	fields := []string{"id", "userName", "email", "givenName", "familyName", "name", "displayName", "company", "timeZone", "groups"}
	for _, p := range jit.Presets() {
		for field, names := range p.Attributes {
			if !slices.Contains(fields, field) || len(names) == 0 {
				t.Errorf("preset %q has names %q for %q", p.Name, names, field)
			}
			for i, name := range names {
				if slices.Contains(names[:i], name) {
					t.Errorf("preset %q lists %q twice", p.Name, name)
				}
			}
		}
		for field := range maps.Keys(p.Notes) {
			if field != "id" && field != "NameID" && field != "groups" {
				t.Errorf("preset %q has a note on %q, which nobody reads", p.Name, field)
			}
		}
		if slices.Contains(p.UserNameFormats, jit.NameIDPersistent) || slices.Contains(p.UserNameFormats, jit.NameIDTransient) {
			t.Errorf("preset %q takes a persistent or transient NameID for a user name", p.Name)
		}
	}
	changed := jit.Presets()
	changed[0].Attributes["email"][0] = "evil"
	changed[0].Attributes["id"] = []string{"evil"}
	changed[0].UserNameFormats[0] = "evil"
	changed[0].Notes["id"] = "evil"
	changed[1].Overage[0], changed[1].GroupForms[0] = "evil", "evil"
	for i, p := range jit.Presets()[:2] {
		if data, err := json.Marshal(p); err != nil || strings.Contains(string(data), "evil") {
			t.Errorf("preset %d was changed from outside: %s %v", i, data, err)
		}
	}
	newMapping(t, "okta", jit.Overrides{"email": "evil"})
	if got := jit.Presets()[0].Attributes["email"]; !slices.Equal(got, []string{"email", "mail"}) {
		t.Errorf("an override changed the preset: %q", got)
	}
}

func newMapping(t testing.TB, preset string, overrides jit.Overrides) *jit.Mapping {
	t.Helper()
	m, err := jit.NewMapping(preset, overrides)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func checkAttributeError(t *testing.T, err error, want jit.AttributeError) {
	t.Helper()
	var got *jit.AttributeError
	if !errors.As(err, &got) {
		t.Fatalf("error is %v, want %v", err, &want)
	}
	if diff := cmp.Diff(&want, got); diff != "" {
		t.Errorf("error (-want +got):\n%s", diff)
	}
}
