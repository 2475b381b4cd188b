package main

import (
	"bytes"
	"os"
	"strings"
	"testing"
	"time"
)

func TestMain(m *testing.M) {
	if isChild() {
		return
	}
	os.Exit(m.Run())
}

// A soak of seconds: what it looks for takes minutes, but it must not rot.
func TestSoak(t *testing.T) {
	if testing.Short() {
		t.Skip("it runs servers for half a minute")
	}
	var out bytes.Buffer
	o := options{duration: 6 * time.Second, seed: 1, connections: 8, clients: 2, kills: 2, folder: t.TempDir(), settling: 4 * time.Second, fat: 2, crowd: 300}
	if err := soak(t.Context(), o, &out); err != nil || !strings.Contains(out.String(), "nothing was lost") {
		t.Errorf("%v\n%s", err, &out)
	}
}

// What is compared in the end is seen.
func TestInOrder(t *testing.T) {
	for _, test := range []struct {
		name         string
		events, seen []int64
		want         string
	}{
		{"all", []int64{1, 4, 9}, []int64{1, 4, 9}, ""},
		{"again", []int64{1, 4, 9}, []int64{1, 4, 1, 4, 9, 9}, ""},
		{"not the last", []int64{1, 4, 9}, []int64{1, 4}, "never saw event 9"},
		{"not one in between", []int64{1, 4, 9}, []int64{1, 9}, "saw event 9 before 4"},
		{"out of order", []int64{1, 4, 9}, []int64{4, 1, 9}, "saw event 4 before 1"},
		{"of somebody else", []int64{1, 4, 9}, []int64{1, 2, 4, 9}, "saw 2"},
	} {
		err := inOrder(test.events, test.seen)
		if test.want == "" && err != nil || test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want)) {
			t.Errorf("%s: %v, want %q", test.name, err, test.want)
		}
	}
}
