package scim_test

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/scimjit/provision"
	"github.com/scimjit/provision/scim"
	"github.com/scimjit/provision/store"
	"github.com/scimjit/provision/store/memory"
)

// written is a store that counts the updates which have written something.
type written struct {
	store.Store
	updates, records atomic.Int64
	err              error
}

func (s *written) Update(ctx context.Context, scope string, fn func(context.Context, store.Tx) error) error {
	s.updates.Add(1)
	if s.err != nil {
		return s.err
	}
	return s.Store.Update(ctx, scope, func(ctx context.Context, tx store.Tx) error { return fn(ctx, writtenTx{tx, s}) })
}

type writtenTx struct {
	store.Tx
	of *written
}

func (t writtenTx) PutRecord(r *store.Record) error {
	t.of.records.Add(1)
	return t.Tx.PutRecord(r)
}

// processes returns services of several processes on one store.
func processes(t *testing.T, n int, perSecond float64) (list []*service, st *written) {
	t.Helper()
	st = &written{Store: memory.New()}
	first := newService(t, st, "")
	for range n {
		s := *first
		s.engine = &provision.Engine{Store: st}
		s.handler = &scim.Handler{Engine: s.engine, Limits: scim.Limits{Rate: perSecond}}
		list = append(list, &s)
	}
	st.updates.Store(0)
	st.records.Store(0)
	return list, st
}

// sendInTurn sends requests in turn to all processes and returns how many are served.
func sendInTurn(list []*service, n int) (served int) {
	for i := range n {
		if a := list[i%len(list)].do(http.MethodGet, "/Users?count=0", acmeToken, ""); a.status != http.StatusTooManyRequests {
			served++
		}
	}
	return served
}

// Several processes serve as much together as one may, and at most a second's worth more
// for each.
func TestRateOfProcesses(t *testing.T) {
	for _, n := range []int{1, 2, 5} {
		t.Run(fmt.Sprint(n, " processes"), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				const perSecond, burst, more = 20, 100, 30 // seconds after the burst
				list, st := processes(t, n, perSecond)
				served := sendInTurn(list, 400)
				if most := burst + n*perSecond; served < burst || served > most {
					t.Errorf("of a burst %d are served, want %d to %d", served, burst, most)
				}
				for range more * 2 {
					time.Sleep(time.Second / 2)
					served += sendInTurn(list, 100)
				}
				if least, most := burst+(more-1)*perSecond, burst+(more+n)*perSecond; served < least || served > most {
					t.Errorf("in %d seconds %d are served, want %d to %d", more, served, least, most)
				}
				// A process asks when it has used up what it took, and four times a second at most.
				if asked, wrote := int(st.updates.Load()), int(st.records.Load()); asked > n*(4*more+burst/perSecond+1) || wrote > asked {
					t.Errorf("%d questions, %d writes", asked, wrote)
				}
			})
		})
	}
}

// A process alone asks the store once in a second's worth of requests, and never for
// those that it refuses by itself.
func TestRateAsksRarely(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		list, st := processes(t, 1, 0)
		for range 100 {
			sendInTurn(list, 25)
			time.Sleep(time.Second)
		}
		if n := st.updates.Load(); n > 100*25/200 {
			t.Errorf("%d questions in 2,500 requests, want one in 200", n)
		}
		before := st.updates.Load()
		sendInTurn(list, 20_000)
		if n := st.updates.Load() - before; n > 6 {
			t.Errorf("%d questions in 20,000 requests at one moment, want one for each 200 of 1,000", n)
		}
		before = st.updates.Load()
		for range 1000 {
			list[0].do(http.MethodGet, "/Users", "a made-up token", "")
		}
		if n := st.updates.Load() - before; n != 0 {
			t.Errorf("%d updates for requests that nobody has authenticated", n)
		}
	})
}

// Where the store cannot be written, each process counts for itself, and with a single
// one the store is never asked.
func TestRateAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		list, st := processes(t, 2, 20)
		st.err = &store.UnavailableError{}
		if served := sendInTurn(list, 1000); served != 2*100 {
			t.Errorf("%d are served by two processes without a store, want twice 100", served)
		}
		list, st = processes(t, 1, 20)
		list[0].engine.SingleProcess = true
		if served := sendInTurn(list, 1000); served != 100 || st.updates.Load() != 0 {
			t.Errorf("%d are served by a single process with %d questions, want 100 and none", served, st.updates.Load())
		}
	})
}

// byToken authenticates tokens that name a connection and a credential.
func byToken(r *http.Request) (scim.Principal, error) {
	connection, credential, _ := strings.Cut(strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer "), "/")
	return scim.Principal{Connection: connection, Credential: credential}, nil
}

// sendAs sends requests in turn to all processes, with tokens in turn.
func sendAs(list []*service, n int, tokens ...string) (served int) {
	for i := range n {
		if a := list[i%len(list)].do(http.MethodGet, "/Users?count=0", tokens[i%len(tokens)], ""); a.status != http.StatusTooManyRequests {
			served++
		}
	}
	return served
}

// All credentials of a connection may send no more than the connection may, in all
// processes together.
func TestConnectionRate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		list, _ := processes(t, 2, 20) // 100 at once
		for _, s := range list {
			h := s.handler.(*scim.Handler)
			h.Limits.ConnectionRate, h.Authenticate = 10, byToken
		}
		if served := sendAs(list, 600, "acme/1", "acme/2", "acme/3"); served < 50 || served > 50+2*10 {
			t.Errorf("of a burst by three credentials %d are served, want 50 to 70", served)
		}
		if served := sendAs(list, 40, "other/1"); served != 40 {
			t.Errorf("of another connection %d are served, want 40", served)
		}
		time.Sleep(5 * time.Second) // the credential alone may send all of these
		if served := sendAs(list, 100, "acme/1"); served < 50 || served > 50+2*10 {
			t.Errorf("later %d are served, want 50 to 70", served)
		}
	})
}

// What the connection refuses is not taken from the credential.
func TestConnectionRateGivesBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		list, _ := processes(t, 1, 5) // 25 at once
		h := list[0].handler.(*scim.Handler)
		h.Limits.ConnectionRate, h.Authenticate = 10, byToken
		list[0].engine.SingleProcess = true
		if served := sendAs(list, 50, "acme/1", "acme/2"); served != 50 {
			t.Errorf("%d are served at first, want 50", served)
		}
		if served := sendAs(list, 25, "acme/3"); served != 0 {
			t.Errorf("%d are served then, want none", served)
		}
		time.Sleep(2 * time.Second)
		if served := sendAs(list, 25, "acme/3"); served != 20 {
			t.Errorf("%d are served two seconds later, want the 20 of the connection", served)
		}
	})
}
