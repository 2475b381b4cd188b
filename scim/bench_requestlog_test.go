package scim_test

import (
	"fmt"
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/scimjit/provision/scim"
)

// BenchmarkRequestLog compares requests with the request log and without it, on one server
// in memory: the medians of the processor time of rounds that take turns, storing what was
// noted included. "more-%" is what the log costs.
func BenchmarkRequestLog(b *testing.B) {
	const rounds = 10
	patches := [2][]byte{
		[]byte(patchRequest(`{"op":"replace","path":"active","value":false}`)),
		[]byte(patchRequest(`{"op":"replace","path":"active","value":true}`)),
	}
	for _, method := range []string{http.MethodGet, http.MethodPatch, http.MethodPost} {
		b.Run(method, func(b *testing.B) {
			s := newMemory(b, 2000)
			engine := s.handler.(*scim.Handler).Engine
			c, paths, made := newClient(s.handler, s.token), userPaths(s), 0
			body := make([]byte, 0, 4096)
			send := map[string]func(i int){
				http.MethodGet:   func(i int) { c.do(b, http.StatusOK, method, paths[i%len(paths)], "", nil) },
				http.MethodPatch: func(i int) { c.do(b, http.StatusOK, method, paths[i%len(paths)], "", patches[i/len(paths)%2]) },
				http.MethodPost: func(int) {
					body = appendBenchUser(body[:0], 1_000_000+made, "Pilot")
					made++
					c.do(b, http.StatusCreated, method, "/Users", "", body)
				},
			}[method]
			// A round is a whole number of cycles, so that both kinds do the same work.
			round := func(requests int) time.Duration {
				engine.Limits.Requests = requests
				began := cpuTime()
				for i := range 2 * len(paths) {
					send(i)
					if (i+1)%1000 == 0 { // as Run does
						if err := engine.Plumbing().FlushRequests(b.Context()); err != nil {
							b.Fatal(err)
						}
					}
				}
				return cpuTime() - began
			}
			for b.Loop() {
				var with, without []time.Duration
				round(-1)
				for i := range rounds {
					if i%2 == 0 { // neither always comes first
						with, without = append(with, round(0)), append(without, round(-1))
					} else {
						without, with = append(without, round(-1)), append(with, round(0))
					}
				}
				slices.Sort(with)
				slices.Sort(without)
				one, other := with[rounds/2], without[rounds/2]
				b.ReportMetric(float64(other.Nanoseconds())/float64(2*len(paths)), "cpu-ns/request")
				b.ReportMetric(100*(float64(one)/float64(other)-1), "more-%")
				b.Log(fmt.Sprint(with), fmt.Sprint(without))
			}
		})
	}
}
