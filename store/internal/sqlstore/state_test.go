package sqlstore_test

import (
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/scimjit/provision/store"
	"github.com/scimjit/provision/store/internal/sqlstore"
)

// recorder is an empty database that writes down what is written.
type recorder struct {
	written []string
	gone    bool // there is no row of the scope
}

func (r *recorder) Exec(query string, args ...any) (int64, error) {
	verb, rest, _ := strings.Cut(query, "provision_")
	table := strings.FieldsFunc(rest, func(c rune) bool { return c < 'a' || c > 'z' })[0]
	r.written = append(r.written, fmt.Sprint(verb, table, " ", args[:min(len(args), 4)]))
	if r.gone {
		return 0, nil
	}
	return 1, nil
}

func (r *recorder) Query(string, func(sqlstore.Scanner) error, ...any) error { return nil }

func (r *recorder) Now() (time.Time, error) { return time.Time{}, nil }

func group(id string) *store.Resource {
	return &store.Resource{ID: id, Type: "Group", Version: 1, Document: store.Document(`{}`)}
}

// TestFinish expects that numbers go on from one Tx to the next, and are written once.
func TestFinish(t *testing.T) {
	conn := &recorder{}
	first := sqlstore.NewTx(conn, "acme", sqlstore.State{Position: 7, Sequence: 40, Pruned: 3})
	if err := first.PutResource(group("a")); err != nil {
		t.Fatal(err)
	}
	if err := first.DeleteResource("Group", "a"); err != nil {
		t.Fatal(err)
	}
	if err := first.PutResource(group("b")); err != nil {
		t.Fatal(err)
	}
	second := sqlstore.NewTx(conn, "acme", first.State())
	r, e := group("c"), &store.Event{}
	if err := second.PutResource(r); err != nil {
		t.Fatal(err)
	}
	if err := second.AppendEvent(e); err != nil {
		t.Fatal(err)
	}
	if r.Position != 10 || e.Sequence != 41 {
		t.Errorf("position %d and sequence %d, want 10 and 41", r.Position, e.Sequence)
	}
	conn.written = nil
	for range 2 { // the second time there is nothing left
		if err := second.Finish(); err != nil {
			t.Fatal(err)
		}
	}
	want := []string{"UPDATE scopes [10 41 3 acme]", "INSERT INTO types [acme Group 2 MARK]"} // one was deleted
	mark := regexp.MustCompile(`-?[0-9]{10,}`)
	for i := range conn.written {
		conn.written[i] = mark.ReplaceAllString(conn.written[i], "MARK")
	}
	if diff := cmp.Diff(want, conn.written); diff != "" {
		t.Errorf("written (-want +got):\n%s", diff)
	}
	if s := second.State(); s.Changed() || s.Position != 10 || s.Sequence != 41 || s.Pruned != 3 {
		t.Errorf("the state is %+v", s)
	}
	if s := first.State(); !s.Changed() || s.Position != 9 || s.Sequence != 40 {
		t.Errorf("the state of the first has become %+v", s)
	}
}

// TestFinishNothing expects that a transaction which counts nothing writes nothing.
func TestFinishNothing(t *testing.T) {
	conn := &recorder{}
	tx := sqlstore.NewTx(conn, "acme", sqlstore.State{Sequence: 1})
	if _, err := tx.PruneEvents(0); err != nil {
		t.Fatal(err)
	}
	if _, _, err := tx.EventRange(); err != nil {
		t.Fatal(err)
	}
	if err := tx.Finish(); err != nil || len(conn.written) > 0 {
		t.Errorf("%q was written, %v", conn.written, err)
	}
}

// TestFinishWithoutScope expects an error where there is no row to write to.
func TestFinishWithoutScope(t *testing.T) {
	conn := &recorder{}
	tx := sqlstore.NewTx(conn, "acme", sqlstore.State{})
	if err := tx.AppendEvent(&store.Event{}); err != nil {
		t.Fatal(err)
	}
	conn.gone = true
	if err := tx.Finish(); err == nil || !strings.Contains(err.Error(), "acme is gone") {
		t.Errorf("error %v", err)
	}
}
