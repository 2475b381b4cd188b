package sqlstore_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/scimjit/provision/store/internal/sqlstore"
)

// The exceptions, by the names of the constants.
var (
	// unscoped ask every scope at once, or a table that has none.
	unscoped = []string{"LastEvents", "LastEventsByName", "SelectVersion"}

	// cannotClash insert what nobody else can have inserted: a sequence is counted
	// under the lock of the scope.
	cannotClash = []string{"appendEvent"}

	// parts are no statements yet.
	parts = []string{"insertKeysHead"}
)

// TestStatements looks at every statement of the package: each is to mean the same in
// every database, and to bind the scope.
func TestStatements(t *testing.T) {
	statements := constants(t)
	for name, list := range sqlstore.Composed() {
		for i, text := range list {
			statements[name+" "+strconv.Itoa(i)] = text
		}
	}
	seen := 0
	for _, name := range slices.Sorted(maps.Keys(statements)) {
		text := strings.TrimPrefix(strings.TrimSpace(statements[name]), "UNION ALL ")
		if !begins.MatchString(text) || slices.Contains(parts, name) {
			if list.MatchString(text) || number.MatchString(text) || flag.MatchString(text) {
				t.Errorf("%s is part of no statement for every database: %s", name, text)
			}
			continue
		}
		seen++
		for _, fault := range faults(text, slices.Contains(cannotClash, name)) {
			if fault == faultScope && slices.Contains(unscoped, name) {
				continue
			}
			t.Errorf("%s: %s:\n%s", name, fault, text)
		}
	}
	if seen < 60 {
		t.Errorf("only %d statements were found", seen)
	}
	for _, name := range slices.Concat(unscoped, cannotClash, parts) {
		if statements[name] == "" {
			t.Errorf("there is no exception %s", name)
		}
	}
}

// TestFaults expects that the rules find what they are to find.
func TestFaults(t *testing.T) {
	for _, test := range []struct{ statement, want string }{
		{`SELECT id FROM provision_resources r WHERE r.position = ?`, faultScope},
		{`SELECT id FROM provision_resources WHERE position = ?`, faultScope},
		{`SELECT r.id FROM provision_keys k JOIN provision_resources r ON r.position = k.position WHERE k.scope = ?`, faultScope},
		{`SELECT 1 FROM provision_keys WHERE scope = ? UNION ALL SELECT 1 FROM provision_members WHERE group_id = ?`, faultScope},
		{`WITH RECURSIVE above (id) AS (SELECT m.group_id FROM provision_members m WHERE m.scope = ?
			UNION SELECT m.group_id FROM above a JOIN provision_members m ON m.member_id = a.id) SELECT id FROM above`, faultScope},
		{`UPDATE provision_resources SET version = ? WHERE position = ?`, faultScope},
		{`DELETE FROM provision_resources WHERE position = ?`, faultScope},
		{`INSERT INTO provision_keys (value, scope) VALUES (?, ?) ON CONFLICT DO NOTHING`, faultScope},
		{`INSERT INTO provision_keys (scope, value) SELECT ?, ? WHERE NOT EXISTS (SELECT 1 FROM provision_keys WHERE value = ?) ON CONFLICT DO NOTHING`, faultScope},
		{`INSERT INTO provision_keys (scope, value) VALUES (?, ?)`, faultClash},
		{`SELECT id FROM provision_resources WHERE scope = ? AND id IN (SELECT value FROM json_each(?))`, faultList},
		{`SELECT id FROM provision_resources WHERE scope = ? AND (? = '[]' OR type = ANY (?))`, faultList},
		{`SELECT id FROM provision_resources WHERE scope = ? AND id IN (?)`, faultList},
		{`SELECT max(sequence) FROM provision_events WHERE scope = ?`, faultNumber},
		{`INSERT INTO provision_resources (scope) VALUES (?) ON CONFLICT DO NOTHING RETURNING position`, faultNumber},
		{`SELECT sum(count) FROM provision_types WHERE scope = ?`, faultCast},
		{`SELECT id FROM provision_resources WHERE scope = ? LIMIT ?`, faultCast},
		{`SELECT id FROM provision_accounts WHERE scope = ? AND site_admin = 1`, faultFlag},
	} {
		if got := faults(test.statement, false); !slices.Equal(got, []string{test.want}) {
			t.Errorf("%q, want %q, in\n%s", got, test.want, test.statement)
		}
	}
}

const (
	faultScope  = "a table is used without its scope"
	faultClash  = "an insertion relies on an error to find a conflict"
	faultList   = "a list is not = ANY (?)"
	faultNumber = "the database is asked for a number that Go counts"
	faultCast   = "a number is not cast to BIGINT"
	faultFlag   = "a flag is compared with a number"
)

var (
	begins = regexp.MustCompile(`^(WITH|SELECT|INSERT|UPDATE|DELETE) `)

	// A table, with what it is called in the statement.
	table   = regexp.MustCompile(`(FROM|JOIN|UPDATE) provision_\w+( (?:[a-z]\b))?`)
	inserts = regexp.MustCompile(`^INSERT INTO provision_\w+( AS t)?\s+\(scope\b`)
	list    = regexp.MustCompile(`json_each|'\[\]'|IN \((SELECT|\?)`)
	number  = regexp.MustCompile(`(?i)\bmax\(|RETURNING|AUTOINCREMENT`)
	flag    = regexp.MustCompile(`site_admin =(\s*)(1|0|\?)\s*(AND|$)`)
	limit   = regexp.MustCompile(`LIMIT \?|(^|[^(])\b(sum|count)\(|[^T]\(coalesce\(sum`)
)

// faults returns what is wrong with a statement.
func faults(text string, cannotClash bool) (found []string) {
	add := func(wrong bool, fault string) {
		if wrong {
			found = append(found, fault)
		}
	}
	insert := strings.HasPrefix(text, "INSERT")
	add(!scoped(text) || insert && !inserts.MatchString(text), faultScope)
	add(insert && !cannotClash && !strings.Contains(text, "ON CONFLICT"), faultClash)
	add(list.MatchString(text), faultList)
	add(number.MatchString(text), faultNumber)
	add(limit.MatchString(text), faultCast)
	add(flag.MatchString(text), faultFlag)
	return found
}

// scoped reports whether each use of a table names its scope: in a condition, or in a
// join with one that does.
func scoped(text string) bool {
	uses := map[string]int{}
	for _, m := range table.FindAllStringSubmatch(text, -1) {
		uses[strings.TrimSpace(m[2])]++
	}
	for name, n := range uses {
		bound := `(^|[^.\w])scope = \?`
		if name != "" {
			bound = `\b` + name + `\.scope = (\?|\w\.scope)`
		}
		if len(regexp.MustCompile(bound).FindAllString(text, -1)) < n {
			return false
		}
	}
	return true
}

// constants returns the text constants of the package.
func constants(t *testing.T) map[string]string {
	t.Helper()
	files, err := os.ReadDir(".")
	if err != nil {
		t.Fatal(err)
	}
	values := map[string]ast.Expr{}
	for _, file := range files {
		if !strings.HasSuffix(file.Name(), ".go") || strings.HasSuffix(file.Name(), "_test.go") {
			continue
		}
		parsed, err := parser.ParseFile(token.NewFileSet(), file.Name(), nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(parsed, func(n ast.Node) bool {
			if spec, ok := n.(*ast.ValueSpec); ok && len(spec.Values) == len(spec.Names) {
				for i, name := range spec.Names {
					values[name.Name] = spec.Values[i]
				}
			}
			return true
		})
	}
	texts := map[string]string{}
	for name, value := range values {
		if text, ok := textOf(value, values); ok {
			texts[name] = text
		}
	}
	return texts
}

// textOf returns the value of a constant expression, if it is a text.
func textOf(e ast.Expr, values map[string]ast.Expr) (string, bool) {
	switch e := e.(type) {
	case *ast.BasicLit:
		text, err := strconv.Unquote(e.Value)
		return text, err == nil && e.Kind == token.STRING
	case *ast.Ident:
		value, ok := values[e.Name]
		if !ok {
			return "", false
		}
		return textOf(value, values)
	case *ast.BinaryExpr:
		left, ok := textOf(e.X, values)
		right, also := textOf(e.Y, values)
		return left + right, ok && also && e.Op == token.ADD
	}
	return "", false
}
