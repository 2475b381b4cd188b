package postgres_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/scimjit/provision/policy"
	"github.com/scimjit/provision/store"
	"github.com/scimjit/provision/store/postgres"
)

// injected are the errors of each statement: two that the server gives where transactions
// get in the way of each other, and a lost connection.
var injected = []string{"40001", "40P01", ""}

// everyStatement runs an operation again and again, and each time a later statement of it
// fails, until it has no more. What is there then is the same each time as with none.
// The operation is prepared in a scope of its own; where it says that the store is away it
// is called once more. It returns how often that was.
func everyStatement(t *testing.T, p *injector, codes []string, prepare func(scope string) (operation func() error, result func() string)) (refused int) {
	t.Helper()
	want, runs := "", 0
	for _, code := range codes {
		for n := 0; ; n++ {
			scope := fmt.Sprint("scope", runs, "x")
			runs++
			operation, result := prepare(scope)
			p.arm(n, code)
			err := operation()
			if away := new(store.UnavailableError); errors.As(err, &away) && away.RetryAfter >= time.Second {
				refused++
				err = operation()
			}
			seen, failed := p.arm(0, "")
			if err != nil {
				t.Fatalf("statement %d, code %q: %v", n, code, err)
			}
			got := strings.ReplaceAll(result(), scope, "SCOPE")
			if want == "" {
				want = got
			}
			if got != want {
				t.Fatalf("statement %d, code %q:\n%s\nwant:\n%s", n, code, got, want)
			}
			if n > 0 && !failed {
				if n < 5 {
					t.Errorf("only %d statements were seen", seen)
				}
				break
			}
		}
	}
	t.Logf("%d runs, %d of them were refused first", runs, refused)
	return refused
}

// openInjected returns a new store behind an injector.
func openInjected(t *testing.T, db *database) (*injector, *postgres.Store) {
	t.Helper()
	config := db.config()
	p, url := newInjector(t, db.url)
	config.URL, config.AcquireTimeout = url, time.Minute // a busy machine fails nobody
	return p, open(t, config)
}

// TestPostgreSQLEveryStatement fails each statement of the operations of a store.
func TestPostgreSQLEveryStatement(t *testing.T) {
	db := newDatabase(t)
	user := func(id string, version int64) *store.Resource {
		return &store.Resource{
			Type: "User", ID: id, Version: version, Document: store.Document(`{"userName":"ann"}`),
			Keys: []store.Key{{Attribute: "userName", Value: id, Unique: true}},
		}
	}
	write := func(version int64) func(store.Tx) error {
		return func(tx store.Tx) error {
			if err := tx.PutResource(user("u", version)); err != nil {
				return err
			}
			if err := tx.PutAccount(&store.Account{ID: "a", ResourceID: "u", Version: version, Status: policy.StatusActive}); err != nil {
				return err
			}
			if err := tx.AppendLog(&store.LogEntry{Number: version, Keys: []string{"a", "b"}, Data: []byte("{}")}); err != nil {
				return err
			}
			return entry(fmt.Sprint("entry", version))(t.Context(), tx)
		}
	}
	for _, test := range []struct {
		name      string
		before    func(tx store.Tx) error
		operation func(tx store.Tx) error
	}{
		{"creates", nil, write(1)},
		{"replaces", write(1), write(2)},
		{"deletes", write(1), func(tx store.Tx) error {
			if _, err := tx.DeleteMembership("g", "entry1", ""); err != nil {
				return err
			}
			if err := tx.DeleteRecord("once", "entry1", 1); err != nil {
				return err
			}
			if _, err := tx.PruneEvents(1); err != nil {
				return err
			}
			if _, err := tx.PruneLog(store.LogBounds{From: 2}, 1); err != nil {
				return err
			}
			return tx.DeleteResource("User", "u")
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel() // they wait most of the time
			p, s := openInjected(t, db)
			update := func(scope string, fn func(tx store.Tx) error) error {
				return s.Update(t.Context(), scope, func(_ context.Context, tx store.Tx) error { return fn(tx) })
			}
			refused := everyStatement(t, p, injected, func(scope string) (func() error, func() string) {
				if test.before != nil {
					if err := update(scope, test.before); err != nil {
						t.Fatal(err)
					}
				}
				return func() error { return update(scope, test.operation) }, func() string { return contents(t, s, scope) }
			})
			if refused > 0 {
				t.Errorf("an update was refused %d times, and not run again", refused)
			}
		})
	}
	t.Run("reads", func(t *testing.T) {
		t.Parallel()
		p, s := openInjected(t, db)
		everyStatement(t, p, injected, func(scope string) (func() error, func() string) {
			err := s.Update(t.Context(), scope, func(_ context.Context, tx store.Tx) error { return write(1)(tx) })
			if err != nil {
				t.Fatal(err)
			}
			read := ""
			return func() error {
				read = ""
				return s.View(t.Context(), scope, func(_ context.Context, r store.Reader) (err error) {
					read, err = readAll(r)
					return err
				})
			}, func() string { return read }
		})
	})
}

// contents returns all that a scope holds, but for the values of records.
func contents(t *testing.T, s store.Store, scope string) (text string) {
	t.Helper()
	err := s.View(t.Context(), scope, func(_ context.Context, r store.Reader) (err error) {
		text, err = readAll(r)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func readAll(r store.Reader) (string, error) {
	var b strings.Builder
	page, err := r.Query(store.Query{Limit: 1000})
	if err != nil {
		return "", err
	}
	groups := []string{"g"}
	for _, res := range page.Resources {
		groups = append(groups, res.ID)
		fmt.Fprintln(&b, res.Type, res.ID, res.Version, res.Source, res.Position, string(res.Document))
	}
	for _, group := range groups {
		members, err := r.Memberships(group, "", 0)
		if err != nil {
			return "", err
		}
		for _, m := range members {
			fmt.Fprintln(&b, m)
		}
	}
	accounts, err := r.Accounts(store.AccountQuery{Limit: 1000})
	if err != nil {
		return "", err
	}
	slices.SortFunc(accounts, func(a, b *store.Account) int { return strings.Compare(a.UserName, b.UserName) })
	for _, a := range accounts {
		text, _ := json.Marshal(a)
		fmt.Fprintln(&b, string(text))
	}
	events, err := r.Events(0, 0)
	if err != nil {
		return "", err
	}
	for _, e := range events {
		text, _ := json.Marshal(e)
		fmt.Fprintln(&b, string(text))
	}
	logged, err := r.LogEntries(store.LogQuery{})
	if err != nil {
		return "", err
	}
	for _, e := range logged {
		fmt.Fprintln(&b, e.Number, e.Keys, string(e.Data))
	}
	records, err := r.Records("once", "", 0)
	if err != nil {
		return "", err
	}
	for _, record := range records {
		fmt.Fprintln(&b, record.Kind, record.Key, record.Version)
	}
	numbers := map[string]string{} // ids are random
	return randomID.ReplaceAllStringFunc(b.String(), func(id string) string {
		if numbers[id] == "" {
			numbers[id] = fmt.Sprint("id", len(numbers))
		}
		return numbers[id]
	}), nil
}

var randomID = regexp.MustCompile(`\b[a-z2-7]{26}\b`)
