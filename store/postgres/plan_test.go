package postgres_test

import (
	"context"
	"encoding/json"
	"fmt"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/scimjit/provision/store"
	"github.com/scimjit/provision/store/postgres"
)

// recorder keeps the statements that stores send, some times each, with their values.
type recorder struct {
	mu   sync.Mutex
	sent map[string][]call // by the text without the schema
}

// call is a statement as it was sent.
type call struct {
	text string
	args []any
}

// callsKept is how often each statement is kept: values may make another plan.
const callsKept = 3

var schemaName = regexp.MustCompile(`"store\d+"\.`)

func (r *recorder) record(text string, args []any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.sent == nil {
		r.sent = map[string][]call{}
	}
	key := schemaName.ReplaceAllString(text, "")
	if len(r.sent[key]) < callsKept {
		r.sent[key] = append(r.sent[key], call{text, args})
	}
}

// manyPartitions are the statements that ask for all scopes, by a part of their text:
// the poll of a watcher is the only one.
var manyPartitions = []string{"SELECT scope, sequence FROM provision_scopes"}

// check plans each statement with the values that it was sent with.
func (r *recorder) check(t *testing.T, db *database) {
	t.Helper()
	conn := db.connect(t)
	planned, exceptions := 0, 0
	for key, calls := range r.sent {
		if !hasPlan(key) {
			continue
		}
		for _, c := range calls {
			partitions := planned1(t, conn, c)
			planned++
			if len(partitions) > 1 && isException(key) {
				exceptions++
			} else if len(partitions) > 1 {
				t.Errorf("planned over partitions %v: %s\n%v", partitions, c.text, c.args)
			}
		}
	}
	if planned < 100 || exceptions == 0 {
		t.Errorf("%d statements planned, %d of them exceptions: the recorder does not see them", planned, exceptions)
	}
	t.Logf("%d different statements", len(r.sent))
}

// hasPlan reports whether a statement is one that reads or writes rows.
func hasPlan(text string) bool {
	for _, verb := range []string{"SELECT", "WITH", "INSERT", "UPDATE", "DELETE"} {
		if strings.HasPrefix(text, verb) {
			return true
		}
	}
	return false
}

func isException(text string) bool {
	for _, part := range manyPartitions {
		if strings.Contains(text, part) {
			return true
		}
	}
	return false
}

var partition = regexp.MustCompile(`_p\d+$`)

// planned1 returns the numbers of the partitions that the plan of a statement has.
func planned1(t *testing.T, conn *pgx.Conn, c call) map[string]bool {
	t.Helper()
	var text string
	args := append([]any{pgx.QueryExecModeExec}, c.args...)
	if err := conn.QueryRow(t.Context(), "EXPLAIN (FORMAT JSON) "+c.text, args...).Scan(&text); err != nil {
		t.Fatalf("%s: %v", c.text, err)
	}
	var plan any
	if err := json.Unmarshal([]byte(text), &plan); err != nil {
		t.Fatal(err)
	}
	found := map[string]bool{}
	relations(plan, func(name string) {
		if number := partition.FindString(name); number != "" {
			found[number] = true
		}
	})
	return found
}

// relations calls fn with the name of every table in a plan.
func relations(node any, fn func(string)) {
	switch node := node.(type) {
	case []any:
		for _, child := range node {
			relations(child, fn)
		}
	case map[string]any:
		if name, ok := node["Relation Name"].(string); ok {
			fn(name)
		}
		for _, child := range node {
			relations(child, fn)
		}
	}
}

// TestPostgreSQLPlans checks that the recorder sees what forgets the scope.
func TestPostgreSQLPlans(t *testing.T) {
	db := newDatabase(t)
	config := db.config()
	config.Partitions = 8
	s := open(t, config)
	if err := s.Update(t.Context(), "acme", appendEvent); err != nil {
		t.Fatal(err)
	}
	conn := db.connect(t)
	for _, test := range []struct {
		query string
		args  []any
		want  int
	}{
		{`SELECT data FROM %s.provision_events WHERE scope = $1 AND sequence > $2`, []any{"acme", int64(0)}, 1},
		{`SELECT data FROM %s.provision_events WHERE sequence > $1`, []any{int64(0)}, 8},
		{`DELETE FROM %s.provision_events WHERE sequence > $1`, []any{int64(0)}, 8},
	} {
		got := planned1(t, conn, call{fmt.Sprintf(test.query, config.Schema), test.args})
		if len(got) != test.want {
			t.Errorf("%s: partitions %v, want %d", test.query, got, test.want)
		}
	}
	err := s.View(t.Context(), "acme", func(_ context.Context, r store.Reader) error {
		_, err := r.Events(0, 0)
		return err
	})
	if err != nil || !postgres.Unnamed(s) {
		t.Errorf("view: %v; unnamed: %t", err, postgres.Unnamed(s))
	}
}
