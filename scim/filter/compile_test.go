package filter_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	elimity "github.com/elimity-com/scim/schema"
	"github.com/google/go-cmp/cmp"
	ast "github.com/scim2/filter-parser/v2"

	"github.com/scimjit/provision/scim/filter"
	"github.com/scimjit/provision/scim/schema"
	"github.com/scimjit/provision/store"
)

// types returns the resource types of the vectors: those of RFC 7643, and one
// with an attribute of each data type.
func types(t testing.TB) map[string]*schema.ResourceType {
	t.Helper()
	device := schema.Definition{
		Name:       "Device",
		Endpoint:   "/Devices",
		Extensions: []schema.Extension{{Schema: elimity.ExtensionEnterpriseUser(), Required: true}},
	}
	read(t, "device_schema.json", &device.Schema)
	for _, extension := range vectors[elimity.Schema](t, "device_extensions.json") {
		device.Extensions = append(device.Extensions, schema.Extension{Schema: extension})
	}
	custom, err := schema.Compile(device)
	if err != nil {
		t.Fatal(err)
	}
	return map[string]*schema.ResourceType{
		"":       schema.Standard().Type("User"),
		"User":   schema.Standard().Type("User"),
		"Group":  schema.Standard().Type("Group"),
		"Device": custom.Type("Device"),
	}
}

// compiled writes a compiled filter with every part.
func compiled(f store.Filter) string {
	path := func(p store.Path) string { return strings.Join(p.Keys, "/") }
	list := func(name string, filters []store.Filter) string {
		for _, f := range filters {
			name += " " + compiled(f)
		}
		return "(" + name + ")"
	}
	switch f := f.(type) {
	case store.And:
		return list("and", f)
	case store.Or:
		return list("or", f)
	case store.Not:
		return list("not", []store.Filter{f.Filter})
	case store.Present:
		return fmt.Sprintf("(pr %s)", path(f.Path))
	case store.Any:
		return list("in "+path(f.Path), []store.Filter{f.Filter})
	case store.MemberOf:
		return fmt.Sprintf("(memberOf %q)", f.Group)
	case store.HasMember:
		return fmt.Sprintf("(hasMember %q)", f.Member)
	case store.Compare:
		operator := [...]string{store.EQ: "eq", store.NE: "ne", store.CO: "co", store.SW: "sw", store.EW: "ew",
			store.GT: "gt", store.GE: "ge", store.LT: "lt", store.LE: "le"}[f.Op]
		typ := [...]string{store.String: "string", store.Exact: "exact", store.Number: "number",
			store.Boolean: "boolean", store.DateTime: "dateTime"}[f.Path.Type]
		key := ""
		if f.Key != "" || f.Folded != "" {
			key = fmt.Sprintf(" by %s %q", f.Key, f.Folded)
		}
		return fmt.Sprintf("(%s %s:%s %q%s)", operator, path(f.Path), typ, f.Value, key)
	}
	return fmt.Sprintf("(unexpected %T)", f)
}

func TestCompile(t *testing.T) {
	type vector struct {
		Name     string
		Type     string // User when empty
		Loose    bool
		Filter   string
		Compiled string
		Error    string
	}
	types := types(t)
	for _, v := range vectors[vector](t, "compile.json") {
		t.Run(v.Name, func(t *testing.T) {
			e := parse(t, v.Filter)
			f, err := filter.Compile(types[v.Type], e, filter.Options{Loose: v.Loose})
			if v.Error != "" {
				if err == nil {
					t.Fatalf("Compile(%s) = %s, want an error", v.Filter, compiled(f))
				}
				checkError(t, err, -1, v.Error)
				if err.Error() != v.Error {
					t.Errorf("error %s, want %s", err, v.Error)
				}
				return
			}
			if err != nil {
				t.Fatalf("Compile(%s): %v", v.Filter, err)
			}
			if diff := cmp.Diff(v.Compiled, compiled(f)); diff != "" {
				t.Errorf("Compile(%s) (-want +got):\n%s", v.Filter, diff)
			}
		})
	}
}

func TestCompileElement(t *testing.T) {
	type vector struct {
		Name      string
		Type      string // User when empty
		Attribute string
		Loose     bool
		Filter    string
		Compiled  string
		Error     string
		Matches   []json.RawMessage // elements
		Others    []json.RawMessage // elements that do not match
	}
	types := types(t)
	for _, v := range vectors[vector](t, "elements.json") {
		t.Run(v.Name, func(t *testing.T) {
			path, err := filter.ParsePath(v.Attribute, filter.Limits{})
			if err != nil {
				t.Fatal(err)
			}
			a := filter.Resolve(types[v.Type], path.AttributePath, false)
			f, err := filter.CompileElement(a, parse(t, v.Filter), filter.Options{Loose: v.Loose})
			if v.Error != "" {
				if err == nil {
					t.Fatalf("CompileElement(%s) = %s, want an error", v.Filter, compiled(f))
				}
				checkError(t, err, -1, v.Error)
				return
			}
			if err != nil {
				t.Fatalf("CompileElement(%s): %v", v.Filter, err)
			}
			if diff := cmp.Diff(v.Compiled, compiled(f)); diff != "" {
				t.Errorf("CompileElement(%s) (-want +got):\n%s", v.Filter, diff)
			}
			for _, element := range v.Matches {
				if !store.MatchElement(f, store.Document(element)) {
					t.Errorf("%s does not match %s", v.Filter, element)
				}
			}
			for _, element := range v.Others {
				if store.MatchElement(f, store.Document(element)) {
					t.Errorf("%s matches %s", v.Filter, element)
				}
			}
		})
	}
}

// TestForeignTree compiles what the library's own parser gives: numbers as int
// and float64.
func TestForeignTree(t *testing.T) {
	device := types(t)["Device"]
	for _, v := range []struct {
		name string
		e    ast.Expression
		want string // starts with ! for an error
	}{
		{"int", comparison("serial", ast.EQ, 5), `(eq serial:number "5" by serial "5")`},
		{"float64", comparison("weight", ast.LT, 1.5), `(lt weight:number "1.5")`},
		{"unknown value", comparison("weight", ast.LT, []int{}), `!"weight" is compared with a number`},
		{"unknown operator", comparison("weight", "is", 5), `!unknown operator "is"`},
		{"operator in upper case", comparison("weight", "EQ", 5), `!unknown operator "EQ"`},
		{"no expression", nil, "!empty filter"},
		{"negation of none", &ast.NotExpression{}, "!empty filter"},
		{"unknown logic", &ast.LogicalExpression{Left: comparison("weight", ast.PR, nil), Right: comparison("weight", ast.PR, nil), Operator: "xor"}, `!unknown operator "xor"`},
	} {
		t.Run(v.name, func(t *testing.T) {
			f, err := filter.Compile(device, v.e, filter.Options{})
			if message, ok := strings.CutPrefix(v.want, "!"); ok {
				if err == nil {
					t.Fatalf("got %s, want an error", compiled(f))
				}
				checkError(t, err, -1, message)
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(v.want, compiled(f)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func comparison(name string, o ast.CompareOperator, value any) ast.Expression {
	return &ast.AttributeExpression{AttributePath: ast.AttributePath{AttributeName: name}, Operator: o, CompareValue: value}
}

// world is what the filters of match.json are evaluated on.
type world struct {
	Resources []struct {
		ID, Type          string
		Version           int64
		Created, Modified time.Time
		Document          json.RawMessage
	}
	Members map[string][]string // by group
}

// IsMember implements store.Relations.
func (w *world) IsMember(group, member string) (bool, error) {
	for g, members := range w.Members {
		for _, m := range members {
			if (group == "" || group == g) && (member == "" || member == m) {
				return true, nil
			}
		}
	}
	return false, nil
}

// TestMatch says which resources a filter finds, and that narrowing it by the
// keys of the schema loses none of them.
func TestMatch(t *testing.T) {
	type vector struct {
		Name    string
		Type    string // User when empty
		Loose   bool
		Filter  string
		Matches []string
	}
	var w world
	read(t, "world.json", &w)
	types := types(t)
	for _, v := range vectors[vector](t, "match.json") {
		t.Run(v.Name, func(t *testing.T) {
			f, err := filter.Compile(types[v.Type], parse(t, v.Filter), filter.Options{Loose: v.Loose})
			if err != nil {
				t.Fatal(err)
			}
			terms, narrowed := store.Narrow(f)
			var got []string
			for i := range w.Resources {
				r := &store.Resource{ID: w.Resources[i].ID, Type: w.Resources[i].Type, Version: w.Resources[i].Version,
					Created: w.Resources[i].Created, Modified: w.Resources[i].Modified}
				if types[r.Type] != types[v.Type] {
					continue
				}
				object, err := types[r.Type].Document(store.Document(w.Resources[i].Document))
				if err != nil {
					t.Fatal(err)
				}
				r.Document, r.Keys = object.AppendJSON(nil), types[r.Type].Keys(object)
				ok, err := store.Match(f, r, &w)
				if err != nil {
					t.Fatal(err)
				}
				if !ok {
					continue
				}
				got = append(got, r.ID)
				if narrowed && !w.found(terms, r) {
					t.Errorf("%s is not found by %v", r.ID, terms)
				}
			}
			if diff := cmp.Diff(v.Matches, got); diff != "" {
				t.Errorf("%s (-want +got):\n%s", v.Filter, diff)
			}
		})
	}
}

// found reports whether one of the terms of a filter finds a resource.
func (w *world) found(terms []store.Term, r *store.Resource) bool {
	for _, term := range terms {
		found := false
		switch term.Kind {
		case store.ByID:
			found = term.Value == r.ID
		case store.ByGroup:
			found, _ = w.IsMember(term.Value, r.ID)
		case store.ByMember:
			found, _ = w.IsMember(r.ID, term.Value)
		case store.ByKey:
			for _, key := range r.Keys {
				found = found || key.Attribute == term.Attribute && key.Value == term.Value
			}
		}
		if found {
			return true
		}
	}
	return false
}

func parse(t testing.TB, text string) ast.Expression {
	t.Helper()
	e, err := filter.Parse(text, filter.Limits{})
	if err != nil {
		t.Fatalf("Parse(%s): %v", text, err)
	}
	return e
}
