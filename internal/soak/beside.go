package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"
)

const (
	besideClients = 4
	besidePause   = 2 * time.Millisecond // of a client between two requests: half of the machine is free

	besideFat   = 40     // users of 900 kB
	besideCrowd = 20_000 // users, and members of one group
)

// latencies are how long requests took.
type latencies struct {
	mu   sync.Mutex
	list []time.Duration
}

func (l *latencies) add(d time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.list = append(l.list, d)
}

// take returns the median and the 99th percentile, and forgets them.
func (l *latencies) take() (median, high time.Duration, n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	list := l.list
	l.list = nil
	if len(list) == 0 {
		return 0, 0, 0
	}
	slices.Sort(list)
	return list[len(list)/2], list[len(list)*99/100], len(list)
}

// beside prints how long the requests of a mix take alone and beside each attack, on
// each store. The attacks come from another connection.
func beside(ctx context.Context, o options, out io.Writer) error {
	if _, err := fmt.Fprintf(out, "| store | beside | attacks/s | requests/s | p50 | p99 | of p99 alone |\n| --- | --- | --- | --- | --- | --- | --- |\n"); err != nil {
		return err
	}
	return errors.Join(besideOn(ctx, o, "memory", "", out), besideOn(ctx, o, "sqlite", o.folder, out))
}

func besideOn(ctx context.Context, o options, store, folder string, out io.Writer) error {
	server := newProcess(folder)
	if err := server.start(ctx, besideClients); err != nil {
		return err
	}
	defer func() { _ = server.kill() }()
	a := &attacker{server: server, number: besideClients}
	if err := a.arm(ctx, besideFat, besideCrowd); err != nil {
		return err
	}
	if folder != "" { // where there are consumers
		if err := server.ask(ctx, http.MethodPost, "/calm", nil, nil); err != nil {
			return err
		}
	}
	ctx, cancel := context.WithCancel(ctx)
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel()
	j, took := &journal{}, &latencies{}
	for i := range besideClients {
		c := &client{
			server: server, journal: j, draw: rand.New(rand.NewPCG(o.seed, uint64(i))), pause: &sync.RWMutex{}, //nolint:gosec // to be drawn again
			tenants: []*tenant{{number: i, crews: [2]*crew{{members: map[string]int{}}, {members: map[string]int{}}}}},
			took:    took, rest: besidePause,
		}
		wg.Go(func() { c.run(ctx) })
	}
	row := func(name string, alone time.Duration, attack string) (time.Duration, error) {
		median, high, made, n, err := a.measure(ctx, took, o, attack)
		ratio := "1.0"
		if alone > 0 {
			ratio = fmt.Sprintf("%.1f", float64(high)/float64(alone))
		}
		_, werr := fmt.Fprintf(out, "| %s | %s | %.1f | %.0f | %.1f ms | %.1f ms | %s |\n", store, name,
			float64(made)/o.sample.Seconds(), float64(n)/o.sample.Seconds(), float64(median)/1e6, float64(high)/1e6, ratio)
		return high, errors.Join(err, werr)
	}
	if _, _, _, _, err := a.measure(ctx, took, o, ""); err != nil { // it warms up
		return err
	}
	alone, err := row("nothing", 0, "")
	for _, at := range attacks {
		if err != nil {
			return err
		}
		if !o.only.MatchString(store + ": " + at.name) {
			continue
		}
		_, err = row(at.name, alone, at.name)
	}
	if err == nil { // what the machine did meanwhile
		_, err = row("nothing, again", alone, "")
	}
	if n := j.unanswered.Load(); err == nil && n > 0 && ctx.Err() == nil {
		j.problem("%d requests got no answer", n)
	}
	if err == nil && len(j.problems) > 0 {
		err = errors.New(strings.Join(j.problems, "\n"))
	}
	return err
}

// measure attacks for a while, and then waits for the last attacks to end.
func (a *attacker) measure(ctx context.Context, took *latencies, o options, attack string) (median, high time.Duration, made int64, n int, err error) {
	end := func() (int64, error) { return 0, nil }
	if attack != "" {
		if end, err = a.attackBeside(ctx, attack, o.attackers); err != nil {
			return 0, 0, 0, 0, err
		}
	}
	took.take()
	_ = sleep(ctx, o.sample)
	median, high, n = took.take()
	made, err = end()
	_ = sleep(ctx, time.Second) // what was canceled may still run
	return median, high, made, n, err
}
