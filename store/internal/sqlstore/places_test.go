package sqlstore_test

import (
	"testing"
	"time"

	"github.com/scimjit/provision/store/internal/sqlstore"
)

// TestPlacesAreBounded remembers more than there is room for: the newest places of a list
// stay, and they grow old.
func TestPlacesAreBounded(t *testing.T) {
	var p sqlstore.Places
	now := time.Now()
	for rank := 100; rank <= 10_000; rank += 100 {
		sqlstore.Note(&p, "acme", 1, rank, now)
		sqlstore.Note(&p, "acme", 1, rank, now) // again
	}
	for _, test := range []struct{ offset, want int }{{10_050, 10_000}, {9_999, 9_900}, {8_500, 8_500}, {8_499, 0}, {0, 0}} {
		if rank, mark := sqlstore.Find(&p, "acme", test.offset, now); rank != test.want || mark != 1 {
			t.Errorf("before %d: %d with mark %d, want %d", test.offset, rank, mark, test.want)
		}
	}
	if rank, _ := sqlstore.Find(&p, "acme", 10_000, now.Add(10*time.Minute)); rank != 0 {
		t.Errorf("after ten minutes: %d", rank)
	}
	sqlstore.Note(&p, "acme", 2, 50, now)
	if rank, mark := sqlstore.Find(&p, "acme", 10_000, now); rank != 50 || mark != 2 {
		t.Errorf("after a deletion: %d with mark %d", rank, mark)
	}
	for scope := range 3000 {
		sqlstore.Note(&p, scope, 1, 100, now)
	}
	if n := sqlstore.Held(&p); n > 1000 {
		t.Errorf("%d lists are known", n)
	}
	if rank, _ := sqlstore.Find(&p, 2999, 100, now); rank != 100 {
		t.Error("the newest list is not known")
	}
}
