package failures

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"
)

// Two processes that tell each other of every failure answer as one does.
func TestMergeIsAsOne(t *testing.T) {
	for seed := range uint64(200) {
		random := rand.New(rand.NewPCG(seed, 1))
		now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
		var one Counts
		var several [2]Counts
		type failure struct {
			key uint64
			at  time.Time
		}
		var stored []failure
		for step := range 60 {
			now = now.Add(time.Duration(random.IntN(4000)) * time.Millisecond)
			address := fmt.Sprintf("192.0.2.%d:1", random.IntN(2))
			at := random.IntN(2)
			all := Ages{}
			for _, f := range stored {
				all.Add(f.key, now.Sub(f.at))
			}
			several[at].Merge(all, now)
			want, got := one.Add(address, now), several[at].Add(address, now)
			if got != want {
				t.Fatalf("seed %d, failure %d waits %v, want %v", seed, step, got, want)
			}
			taken := several[at].Take(now)
			if random.IntN(3) == 0 { // storing failed the first time
				several[at].GiveBack(taken)
				taken = several[at].Take(now)
			}
			for key, ages := range taken {
				for _, age := range ages {
					stored = append(stored, failure{key, now.Add(-age)})
				}
			}
		}
	}
}

// What is added while others are asked stays.
func TestMergeKeepsFresh(t *testing.T) {
	var c Counts
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	c.Add("192.0.2.1", now)
	taken := c.Take(now)
	for range 4 {
		c.Add("192.0.2.1", now.Add(time.Second))
	}
	for key := range taken {
		taken.Add(key, time.Second, time.Second, 2*time.Second, 2*time.Minute, -time.Second) // others, as old then
	}
	c.Merge(taken, now.Add(time.Second))
	if n := len(c.Take(now.Add(time.Second))); n != 1 {
		t.Errorf("failures of %d addresses are to be taken, want 1", n)
	}
	if wait := c.Add("192.0.2.1", now.Add(2*time.Second)); wait != 0 {
		t.Errorf("the ninth failure waits %v", wait)
	}
	if wait := c.Add("192.0.2.1", now.Add(2*time.Second)); wait != 57*time.Second {
		t.Errorf("the tenth failure waits %v, want until the first of others is a minute old", wait)
	}
}

// Of a flood of addresses those with the most failures are told.
func TestCut(t *testing.T) {
	var c Counts
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	for i := range 20 * mostShared {
		c.Add(fmt.Sprintf("10.0.%d.%d:1", i>>8, i&255), now)
	}
	for range 5 {
		c.Add("192.0.2.1", now)
	}
	taken := c.Take(now)
	if n := len(taken[keyOf("192.0.2.1")]); n != 5 || len(taken) != mostShared {
		t.Errorf("%d failures of the guesser among %d addresses, want 5 among %d", n, len(taken), mostShared)
	}
	if len(c.Take(now)) != 0 {
		t.Error("the others come later")
	}
}
