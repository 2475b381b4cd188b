package schema_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	elimity "github.com/elimity-com/scim/schema"
	"github.com/google/go-cmp/cmp"

	"github.com/scimjit/provision/scim/schema"
	"github.com/scimjit/provision/store"
)

// loadSchema reads a schema in the form of RFC 7643 section 7.
func loadSchema(t testing.TB, data []byte) elimity.Schema {
	t.Helper()
	var s elimity.Schema
	if err := json.Unmarshal(data, &s); err != nil {
		t.Fatal(err)
	}
	return s
}

// publishedJSON returns a schema as a resource.
func publishedJSON(t testing.TB, s schema.Published) []byte {
	t.Helper()
	data, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// testSet is the standard set with a resource type that has an attribute of
// each type.
func testSet(t testing.TB) *schema.Set {
	t.Helper()
	set, err := schema.Compile(
		schema.Definition{Name: "User", Endpoint: "/Users", Schema: elimity.CoreUserSchema(),
			Extensions: []schema.Extension{{Schema: elimity.ExtensionEnterpriseUser()}},
			Index:      []string{"externalId", "displayName", "emails.value", "manager.value"}},
		schema.Definition{Name: "Group", Endpoint: "/Groups", Schema: elimity.CoreGroupSchema(),
			Index: []string{"externalId"}, Unique: []string{"urn:ietf:params:scim:schemas:core:2.0:group:DISPLAYNAME"}},
		schema.Definition{Name: "Badge", Endpoint: "/Badges", Schema: loadSchema(t, readFile(t, "testdata/badge.json")),
			Extensions: []schema.Extension{{Schema: elimity.ExtensionEnterpriseUser(), Required: true}}},
	)
	if err != nil {
		t.Fatal(err)
	}
	return set
}

// describe writes one line for each attribute: what clients and stores see.
func describe(b *strings.Builder, a *schema.Attribute) {
	for _, sub := range a.Sub {
		flags := ""
		for _, f := range []struct {
			name string
			set  bool
		}{
			{"multiValued", sub.MultiValued}, {"required", sub.Required}, {"caseExact", sub.CaseExact},
			{"indexed", sub.Indexed}, {"extension", sub.IsExtension()},
		} {
			if f.set {
				flags += " " + f.name
			}
		}
		kept := []string{"document", "server", "members", "nowhere"}[sub.Kept]
		fmt.Fprintf(b, "%s %s %s %s %s %s%s\n", sub, sub.Type, sub.Mutability, sub.Returned, sub.Uniqueness, kept, flags)
		describe(b, sub)
	}
}

// TestStandard compares the compiled standard set with a list that was checked
// against RFC 7643 section 8.7.1 by hand.
func TestStandard(t *testing.T) {
	for _, resource := range schema.Standard().Types() {
		var b strings.Builder
		describe(&b, resource.Root)
		want := string(readFile(t, "testdata/"+strings.ToLower(resource.Name)+".txt"))
		if diff := cmp.Diff(want, b.String()); diff != "" {
			t.Errorf("%s (-want +got):\n%s", resource.Name, diff)
		}
	}
	if first, second := schema.Standard(), schema.Standard(); first != second {
		t.Error("Standard returns different sets, whose attributes cannot be compared")
	}
}

// TestCompileLoaded compares the definitions of elimity with those of RFC 7643
// as JSON: once compiled and corrected, they must mean the same.
func TestCompileLoaded(t *testing.T) {
	set := testSet(t)
	var b strings.Builder
	describe(&b, set.Type("Badge").Root)
	if diff := cmp.Diff(string(readFile(t, "testdata/badge.txt")), b.String()); diff != "" {
		t.Errorf("badge (-want +got):\n%s", diff)
	}
	defs := make([]schema.Definition, 0, 2)
	for _, resource := range schema.Standard().Types() {
		def := schema.Definition{Name: resource.Name, Endpoint: resource.Endpoint}
		for _, s := range schema.Standard().Published() {
			switch s.ID {
			case resource.Schema:
				def.Schema = loadSchema(t, publishedJSON(t, s))
			case schema.EnterpriseURN:
				if resource.Name == "User" {
					def.Extensions = []schema.Extension{{Schema: loadSchema(t, publishedJSON(t, s))}}
				}
			}
		}
		defs = append(defs, def)
	}
	// The extension from its JSON and that of elimity are not two.
	defs = append(defs, schema.Definition{
		Name: "Other", Endpoint: "/Others", Schema: elimity.Schema{ID: "urn:example:Other"},
		Extensions: []schema.Extension{{Schema: elimity.ExtensionEnterpriseUser()}},
	})
	loaded, err := schema.Compile(defs...)
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range schema.Standard().Published() {
		if diff := cmp.Diff(want, loaded.Published()[i]); diff != "" {
			t.Errorf("%s loaded from its own JSON (-want +got):\n%s", want.ID, diff)
		}
	}
}

// TestCorrections compiles the schemas of RFC 7643 with characteristics that
// are wrong.
func TestCorrections(t *testing.T) {
	var schemas []elimity.Schema
	readVectors(t, "wrong.json", &schemas)
	set, err := schema.Compile(
		schema.Definition{Name: "User", Endpoint: "/Users", Schema: schemas[0], Extensions: []schema.Extension{{Schema: schemas[2]}}},
		schema.Definition{Name: "Group", Endpoint: "/Groups", Schema: schemas[1]},
	)
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	for _, resource := range set.Types() {
		root := *resource.Root
		root.Sub = root.Sub[4:] // without the common attributes
		describe(&b, &root)
	}
	if diff := cmp.Diff(string(readFile(t, "testdata/wrong.txt")), b.String()); diff != "" {
		t.Errorf("corrected (-want +got):\n%s", diff)
	}
}

// TestPublished checks the resources of the /Schemas endpoint against the
// compiled attributes.
func TestPublished(t *testing.T) {
	type attribute struct {
		Name            string      `json:"name"`
		Type            string      `json:"type"`
		MultiValued     *bool       `json:"multiValued"`
		Description     *string     `json:"description"`
		Required        *bool       `json:"required"`
		CaseExact       *bool       `json:"caseExact"`
		Mutability      string      `json:"mutability"`
		Returned        string      `json:"returned"`
		Uniqueness      string      `json:"uniqueness"`
		CanonicalValues []string    `json:"canonicalValues"`
		ReferenceTypes  []string    `json:"referenceTypes"`
		SubAttributes   []attribute `json:"subAttributes"`
	}
	var compare func(path string, compiled []*schema.Attribute, published []attribute)
	compare = func(path string, compiled []*schema.Attribute, published []attribute) {
		if len(compiled) != len(published) {
			t.Fatalf("%s: %d attributes, want %d", path, len(published), len(compiled))
		}
		for i, a := range compiled {
			p := published[i]
			simple := a.Type != schema.Complex
			if p.MultiValued == nil || p.Description == nil || p.Required == nil || (p.CaseExact != nil) != simple {
				t.Fatalf("%s %s: a characteristic is missing", path, a.Name)
			}
			want := attribute{Name: a.Name, Type: a.Type.String(), MultiValued: &a.MultiValued, Description: &a.Description, Required: &a.Required,
				Mutability: a.Mutability.String(), Returned: a.Returned.String(), Uniqueness: a.Uniqueness.String(),
				CanonicalValues: a.CanonicalValues, ReferenceTypes: a.ReferenceTypes, SubAttributes: p.SubAttributes}
			if simple {
				want.CaseExact = &a.CaseExact
			}
			if diff := cmp.Diff(want, p); diff != "" {
				t.Errorf("%s (-compiled +published):\n%s", a, diff)
			}
			compare(path+" "+a.Name, a.Sub, p.SubAttributes)
		}
	}
	set := testSet(t)
	user, group, badge := set.Type("User"), set.Type("Group"), set.Type("Badge")
	want := []struct {
		id, name   string
		attributes []*schema.Attribute
	}{
		{schema.UserURN, "User", user.Root.Sub[4 : len(user.Root.Sub)-1]},
		{schema.EnterpriseURN, "Enterprise User", user.Extensions[0].Sub},
		{schema.GroupURN, "Group", group.Root.Sub[4:]},
		{"urn:example:schemas:2.0:Badge", "Badge", badge.Root.Sub[4 : len(badge.Root.Sub)-1]},
	}
	published := set.Published()
	if len(published) != len(want) {
		t.Fatalf("%d schemas, want %d", len(published), len(want))
	}
	for i, w := range want {
		var got struct {
			Schemas     []string    `json:"schemas"`
			ID          string      `json:"id"`
			Name        string      `json:"name"`
			Description string      `json:"description"`
			Attributes  []attribute `json:"attributes"`
		}
		decoder := json.NewDecoder(bytes.NewReader(publishedJSON(t, published[i])))
		decoder.DisallowUnknownFields()
		if err := decoder.Decode(&got); err != nil {
			t.Fatal(err)
		}
		if published[i].ID != w.id || got.ID != w.id || got.Name != w.name || got.Description == "" {
			t.Errorf("schema %d is %q, %q, %q, %q", i, published[i].ID, got.ID, got.Name, got.Description)
		}
		if diff := cmp.Diff([]string{"urn:ietf:params:scim:schemas:core:2.0:Schema"}, got.Schemas); diff != "" {
			t.Errorf("schemas (-want +got):\n%s", diff)
		}
		if bytes.Contains(publishedJSON(t, published[i]), []byte("null")) {
			t.Errorf("%s has a null", w.id)
		}
		compare(w.name, w.attributes, got.Attributes)
	}
}

func TestSet(t *testing.T) {
	set := schema.Standard()
	user := set.Type("User")
	if user == nil || set.Endpoint("/Users") != user || set.Types()[0] != user {
		t.Error("User is not found by name, endpoint and position")
	}
	if set.Type("user") != nil || set.Endpoint("/users") != nil || set.Endpoint("Users") != nil {
		t.Error("names and endpoints must match exactly")
	}
	for a := range attributes(user.Root) {
		if a.Parent.Sub[a.Order] != a {
			t.Errorf("%s is not at position %d of its parent", a, a.Order)
		}
		if a.Parent.Lookup(strings.ToUpper(a.Name)) != a {
			t.Errorf("%s is not found by its name", a)
		}
	}
}

// attributes iterates over the attributes below one.
func attributes(a *schema.Attribute) func(yield func(*schema.Attribute) bool) {
	return func(yield func(*schema.Attribute) bool) {
		for _, sub := range a.Sub {
			if !yield(sub) {
				return
			}
			for inner := range attributes(sub) {
				if !yield(inner) {
					return
				}
			}
		}
	}
}

func TestPath(t *testing.T) {
	set := testSet(t)
	tests := []struct {
		resource, name, sub string
		want                store.Path
	}{
		{"User", "userName", "", store.Path{Keys: []string{"userName"}, Type: store.String}},
		{"User", "externalId", "", store.Path{Keys: []string{"externalId"}, Type: store.Exact}},
		{"User", "emails", "", store.Path{Keys: []string{"emails"}}},
		{"User", "emails", "value", store.Path{Keys: []string{"emails", "value"}, Type: store.String}},
		{"User", "emails", "primary", store.Path{Keys: []string{"emails", "primary"}, Type: store.Boolean}},
		{"User", "photos", "value", store.Path{Keys: []string{"photos", "value"}, Type: store.Exact}},
		{"User", "meta", "created", store.Path{Keys: []string{"meta", "created"}, Type: store.DateTime}},
		{"User", "manager", "value", store.Path{Keys: []string{schema.EnterpriseURN, "manager", "value"}, Type: store.Exact}},
		{"Badge", "serial", "", store.Path{Keys: []string{"serial"}, Type: store.Number}},
		{"Badge", "weight", "", store.Path{Keys: []string{"weight"}, Type: store.Number}},
		{"Badge", "chip", "", store.Path{Keys: []string{"chip"}, Type: store.Exact}},
	}
	for _, test := range tests {
		a := set.Type(test.resource).Resolve("", test.name, test.sub, true)
		if diff := cmp.Diff(test.want, a.Path()); diff != "" {
			t.Errorf("%s (-want +got):\n%s", a, diff)
		}
	}
}

func TestResolve(t *testing.T) {
	var vectors []struct {
		URN   string `json:"urn"`
		Name  string `json:"name"`
		Sub   string `json:"sub"`
		Loose bool   `json:"loose"`
		Want  string `json:"want"` // empty: not found
	}
	readVectors(t, "resolve.json", &vectors)
	user := schema.Standard().Type("User")
	for _, v := range vectors {
		got := ""
		if a := user.Resolve(v.URN, v.Name, v.Sub, v.Loose); a != nil {
			got = a.String()
		}
		if got != v.Want {
			t.Errorf("Resolve(%q, %q, %q, %t) = %q, want %q", v.URN, v.Name, v.Sub, v.Loose, got, v.Want)
		}
	}
}

// TestResolveAmbiguous looks up a name that two extensions have.
func TestResolveAmbiguous(t *testing.T) {
	other := elimity.ExtensionEnterpriseUser()
	other.ID = "urn:example:other"
	set, err := schema.Compile(schema.Definition{Name: "User", Endpoint: "/Users", Schema: elimity.CoreUserSchema(),
		Extensions: []schema.Extension{{Schema: elimity.ExtensionEnterpriseUser()}, {Schema: other}}})
	if err != nil {
		t.Fatal(err)
	}
	if a := set.Type("User").Resolve("", "department", "", true); a != nil {
		t.Errorf("department of two extensions is %s", a)
	}
	if a := set.Type("User").Resolve("urn:example:other", "department", "", true); a == nil {
		t.Error("department is not found by the URN of its extension")
	}
}
