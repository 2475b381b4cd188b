package outbox_test

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/scimjit/provision/internal/outbox"
)

func TestNews(t *testing.T) {
	var n outbox.News
	n.Send("acme") // nobody listens
	all, acme, globex := n.Listen(""), n.Listen("acme"), n.Listen("globex")
	for range 3 {
		n.Send("acme")
	}
	n.Send("initech")
	expect := func(name string, l *outbox.Listener, want ...string) {
		t.Helper()
		select {
		case <-l.C():
			if len(want) == 0 {
				t.Errorf("%s was woken", name)
			}
		default:
			if len(want) > 0 {
				t.Errorf("%s was not woken", name)
			}
		}
		got := l.Take()
		slices.Sort(got)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s heard (-want +got):\n%s", name, diff)
		}
	}
	expect("all", all, "acme", "initech")
	expect("all", all)
	expect("acme", acme, "acme")
	expect("globex", globex)
	acme.Close()
	n.Send("acme")
	expect("acme, closed", acme)
	expect("all", all, "acme")
	all.Close()
	globex.Close()
}
