package failures

import (
	"fmt"
	"testing"
	"time"
)

// The tenth failure within a minute waits until the first of them is a minute old,
// whatever the port; other addresses do not.
func TestAdd(t *testing.T) {
	var c Counts
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	for i := range 9 {
		if wait := c.Add(fmt.Sprintf("192.0.2.1:%d", i), now.Add(time.Duration(i)*time.Second)); wait != 0 {
			t.Errorf("failure %d waits %s", i+1, wait)
		}
	}
	now = now.Add(9 * time.Second)
	for _, test := range []struct {
		address string
		want    time.Duration
	}{
		{"192.0.2.1:99", 51 * time.Second},
		{"192.0.2.1", 52 * time.Second},
		{"::ffff:192.0.2.1", 53 * time.Second},
		{"192.0.2.2:99", 0},
		{"[2001:db8::1]:99", 0},
		{"@", 0},
		{"", 0},
	} {
		if got := c.Add(test.address, now); got != test.want {
			t.Errorf("%q waits %s, want %s", test.address, got, test.want)
		}
	}
}

// A flood of addresses takes bounded memory, which is given back after a minute.
func TestFlood(t *testing.T) {
	var c Counts
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	for i := range 2 * maxAddresses {
		c.Add(fmt.Sprintf("10.%d.%d.%d:1", i>>16, i>>8&255, i&255), now)
	}
	if n := len(c.m); n != maxAddresses {
		t.Errorf("%d addresses are kept, want %d", n, maxAddresses)
	}
	c.Add("192.0.2.9", now.Add(time.Minute))
	if n := len(c.m); n != 1 || len(c.fresh) != 1 {
		t.Errorf("%d addresses are kept a minute after the flood, %d of them to be taken", n, len(c.fresh))
	}
}
