package watch_test

import (
	"context"
	"errors"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/scimjit/provision/store/internal/watch"
)

func TestBoard(t *testing.T) {
	var (
		b      watch.Board
		others []string
		fail   error
	)
	first := b.Watch(func(context.Context) ([]string, error) { return others, fail })
	second := b.Watch(func(context.Context) ([]string, error) { return nil, nil })
	b.Tell("acme")
	b.Tell("globex")
	b.Tell("acme")
	<-first.C()
	if got := sorted(first.Take()); !cmp.Equal(got, []string{"acme", "globex"}) {
		t.Errorf("Take: %q", got)
	}
	select {
	case <-first.C():
		t.Error("woken twice for the same")
	default:
	}
	b.Tell("acme")
	others = []string{"initech", "acme"}
	fail = errors.New("away")
	if _, err := first.Look(t.Context()); !errors.Is(err, fail) {
		t.Errorf("Look: %v", err)
	}
	fail = nil
	got, err := first.Look(t.Context())
	if diff := cmp.Diff([]string{"acme", "initech"}, sorted(got)); diff != "" || err != nil {
		t.Errorf("Look, %v (-want +got):\n%s", err, diff)
	}
	first.Close()
	b.Tell("hooli")
	if got := first.Take(); len(got) > 0 {
		t.Errorf("Take after Close: %q", got)
	}
	if got := sorted(second.Take()); !cmp.Equal(got, []string{"acme", "globex", "hooli"}) {
		t.Errorf("the other watcher: %q", got)
	}
	failing := watch.Failing(fail)
	defer failing.Close()
	if got := failing.Take(); got != nil {
		t.Errorf("Failing: %q", got)
	}
}

func sorted(list []string) []string {
	slices.Sort(list)
	return list
}
