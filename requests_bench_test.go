package provision_test

import (
	"fmt"
	"testing"

	"github.com/scimjit/provision"
	"github.com/scimjit/provision/store/memory"
)

// BenchmarkNoteRequest notes a write and stores it with a thousand others, as Run does.
func BenchmarkNoteRequest(b *testing.B) {
	engine := &provision.Engine{Store: memory.New(), SingleProcess: true}
	_, err := engine.Directory("acme").As(tester).UpdateConnection(b.Context(), with(provision.Connection{ID: "acme", SCIM: true}))
	if err != nil {
		b.Fatal(err)
	}
	paths := make([]string, 1000)
	for i := range paths {
		paths[i] = fmt.Sprintf("%026d", i)
	}
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		id := paths[i%1000]
		engine.Plumbing().NoteRequest("acme", provision.Request{
			Protocol: "scim", Credential: "kq3vs5u7akcbeuh2ewhplcinya", Method: "PATCH", Path: "/Users/" + id, Status: 200, Resource: id, Microseconds: 123,
		})
		if i%1000 == 999 {
			if err := engine.Plumbing().FlushRequests(b.Context()); err != nil {
				b.Fatal(err)
			}
		}
	}
}
