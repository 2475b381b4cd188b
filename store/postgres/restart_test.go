package postgres_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/scimjit/provision/internal/postgrestest"
)

// TestPostgreSQLRestart stops and starts the server under load, in order and as if it had
// crashed. Each time the answer of a COMMIT is lost. Whoever was told that an
// update is committed finds it, nothing is done twice, and the store goes on by itself.
func TestPostgreSQLRestart(t *testing.T) {
	server := postgrestest.Start(t)
	db := &database{url: server.Database(t)}
	p, url := newProxy(t, db.url)
	for _, partitions := range []int{0, 4} {
		config := db.config()
		config.URL, config.Partitions = url, partitions
		list := replicas(t, config, 2)
		l := newLedger("acme")
		var stops []func()
		for i, s := range list {
			stops = append(stops, l.write(t, s, fmt.Sprint("replica", i), 4))
		}
		for _, mode := range []string{"fast", "immediate"} {
			l.await(t, 20)
			p.silence(true)
			for !p.isSilent() {
				time.Sleep(time.Millisecond) // the load goes on in other goroutines
			}
			server.Stop(t, mode)
			p.silence(false)
			unavailable(t, "a view of a server that has stopped", list[0].Ping(t.Context()))
			server.StartAgain(t)
		}
		l.await(t, 20)
		for _, stop := range stops {
			stop()
		}
		l.check(t, list[0])
		for _, s := range list {
			if err := s.Ping(t.Context()); err != nil {
				t.Errorf("after all that: %v", err)
			}
		}
	}
}
