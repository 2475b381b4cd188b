package provision_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/scimjit/provision"
	"github.com/scimjit/provision/store/memory"
)

// BenchmarkAuthenticate shows that a credential costs the same among ten
// thousand connections as alone: remembered, looked up, and refused.
func BenchmarkAuthenticate(b *testing.B) {
	for _, connections := range []int{1, 10_000} {
		c := newClock()
		e := &provision.Engine{Store: memory.New(), Now: c.Now}
		secret := provision.Secret{}
		for i := range connections {
			id := fmt.Sprintf("c%d", i)
			if _, err := e.SaveConnection(b.Context(), provision.Connection{ID: id}, tester); err != nil {
				b.Fatal(err)
			}
			token, _, err := e.IssueToken(b.Context(), id, time.Time{}, tester)
			if err != nil {
				b.Fatal(err)
			}
			secret.Token = token
		}
		name := fmt.Sprintf("connections=%d/", connections)
		b.Run(name+"remembered", func(b *testing.B) {
			for b.Loop() {
				if _, _, err := e.Authenticate(b.Context(), secret); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run(name+"remembered, exclusive", func(b *testing.B) {
			e.Exclusive = true
			defer func() { e.Exclusive = false }()
			for b.Loop() {
				if _, _, err := e.Authenticate(b.Context(), secret); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run(name+"looked up", func(b *testing.B) {
			for b.Loop() {
				c.add(time.Second)
				if _, _, err := e.Authenticate(b.Context(), secret); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run(name+"refused", func(b *testing.B) {
			for b.Loop() {
				if _, _, err := e.Authenticate(b.Context(), provision.Secret{Token: "wrong"}); err == nil {
					b.Fatal("accepted")
				}
			}
		})
	}
}
