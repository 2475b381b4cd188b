//go:build unix

package postgrestest

import (
	"context"
	"encoding/json"
	"fmt"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5/pgxpool"
)

// manyPartitions are the statements that may read all scopes, by a part of their text: the
// poll of a watcher is the only one.
var manyPartitions = []string{"SELECT scope, sequence FROM provision_scopes"}

// plansKept is how often each statement is planned: values may make another plan.
const plansKept = 3

// plans are the statements that were sent to partitions, some times each.
type plans struct {
	mu   sync.Mutex
	seen map[string]int // by the text without the schema
	next []statement    // not planned yet
}

// schemaName stands before the tables of a store.
var schemaName = regexp.MustCompile(`"test_\d+_\d+"\.`)

// record keeps a statement that names tables of a store.
func (p *plans) record(s statement) {
	key := schemaName.ReplaceAllString(s.text, "")
	if key == s.text || !readsRows(key) {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.seen == nil {
		p.seen = map[string]int{}
	}
	if p.seen[key]++; p.seen[key] <= plansKept {
		p.next = append(p.next, s)
	}
}

// readsRows reports whether a statement is one that has a plan.
func readsRows(text string) bool {
	for _, verb := range []string{"SELECT", "WITH", "INSERT", "UPDATE", "DELETE"} {
		if strings.HasPrefix(text, verb) {
			return true
		}
	}
	return false
}

// check plans what was recorded since it was called last. It also fails the test where
// nothing was: then nobody sees what is sent.
func (p *plans) check(ctx context.Context, t testing.TB, pool *pgxpool.Pool) {
	t.Helper()
	p.mu.Lock()
	list, seen := p.next, len(p.seen)
	p.next = nil
	p.mu.Unlock()
	if seen == 0 {
		t.Error("no statement was recorded")
	}
	for _, s := range list {
		partitions, err := s.plan(ctx, pool)
		if err != nil {
			t.Errorf("%s: %v", s.text, err)
		}
		if len(partitions) > 1 && !mayReadMany(s.text) {
			t.Errorf("planned over partitions %v: %s", partitions, s.text)
		}
	}
}

func mayReadMany(text string) bool {
	text = schemaName.ReplaceAllString(text, "")
	for _, part := range manyPartitions {
		if strings.Contains(text, part) {
			return true
		}
	}
	return false
}

var partition = regexp.MustCompile(`_p\d+$`)

// plan returns the partitions that the plan of a statement reads or writes, for the values
// that it was sent with.
func (s statement) plan(ctx context.Context, pool *pgxpool.Pool) (map[string]bool, error) {
	conn, err := pool.Acquire(ctx)
	if err != nil {
		return nil, err
	}
	defer conn.Release()
	result := conn.Conn().PgConn().ExecParams(ctx, "EXPLAIN (FORMAT JSON) "+s.text, s.values, s.types, s.formats, nil).Read()
	if result.Err != nil {
		return nil, result.Err
	}
	var plan any
	if len(result.Rows) != 1 {
		return nil, fmt.Errorf("%d rows", len(result.Rows))
	}
	if err := json.Unmarshal(result.Rows[0][0], &plan); err != nil {
		return nil, err
	}
	found := map[string]bool{}
	relations(plan, func(name string) {
		if number := partition.FindString(name); number != "" {
			found[number] = true
		}
	})
	return found, nil
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
