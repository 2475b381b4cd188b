package filter_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	ast "github.com/scim2/filter-parser/v2"
)

// vectors reads a data file with a list of vectors.
func vectors[V any](t testing.TB, file string) []V {
	t.Helper()
	var list []V
	read(t, file, &list)
	return list
}

// read reads a data file. A field that v does not have is an error, so that no
// rule is in the file but not tested.
func read(t testing.TB, file string, v any) {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("testdata", file))
	if err != nil {
		t.Fatal(err)
	}
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(v); err != nil {
		t.Fatalf("%s: %v", file, err)
	}
}

// tree writes a syntax tree with every part apart, independent of Format.
func tree(e ast.Expression) string {
	switch e := e.(type) {
	case *ast.LogicalExpression:
		return fmt.Sprintf("(%s %s %s)", e.Operator, tree(e.Left), tree(e.Right))
	case *ast.NotExpression:
		return fmt.Sprintf("(not %s)", tree(e.Expression))
	case *ast.ValuePath:
		return fmt.Sprintf("(in %s %s)", attribute(e.AttributePath), tree(e.ValueFilter))
	case *ast.AttributeExpression:
		if e.Operator == ast.PR {
			return fmt.Sprintf("(pr %s)", attribute(e.AttributePath))
		}
		return fmt.Sprintf("(%s %s %s)", e.Operator, attribute(e.AttributePath), value(e.CompareValue))
	}
	return fmt.Sprintf("(unexpected %T)", e)
}

func pathTree(p ast.Path) string {
	s := attribute(p.AttributePath)
	if p.ValueExpression != nil {
		s += " " + tree(p.ValueExpression)
	}
	if p.SubAttribute != nil {
		s += " ." + *p.SubAttribute
	}
	return s
}

func attribute(p ast.AttributePath) string {
	s := p.AttributeName
	if p.URIPrefix != nil {
		s = "<" + *p.URIPrefix + ">" + s
	}
	if p.SubAttribute != nil {
		s += "." + *p.SubAttribute
	}
	return s
}

func value(v any) string {
	switch v := v.(type) {
	case nil:
		return "null"
	case string:
		return fmt.Sprintf("%q", v)
	default:
		return fmt.Sprint(v)
	}
}
