package main

import (
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"
)

// A client that does not read its answer loses its connection, and the handler ends.
func TestClientThatDoesNotRead(t *testing.T) {
	failed := make(chan error, 1)
	handler := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		piece := make([]byte, 8<<20)
		for {
			if _, err := w.Write(piece); err != nil {
				failed <- err
				return
			}
		}
	})
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := newServer(handler, 100*time.Millisecond)
	go func() { _ = server.Serve(listener) }()
	t.Cleanup(func() { _ = server.Close() })

	conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	if _, err := io.WriteString(conn, "GET / HTTP/1.1\r\nHost: x\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	select {
	case <-failed:
	case <-time.After(30 * time.Second):
		t.Fatal("the handler writes to a client that does not read")
	}
}

// deadlines notes when an answer was given more time.
type deadlines struct {
	*httptest.ResponseRecorder
	times []time.Time
	sizes []int
}

func (d *deadlines) SetWriteDeadline(at time.Time) error {
	d.times = append(d.times, at)
	return nil
}

func (d *deadlines) Write(p []byte) (int, error) {
	d.sizes = append(d.sizes, len(p))
	return d.ResponseRecorder.Write(p)
}

// Every piece of an answer, its status and its end have a deadline of their own, so
// that a client that reads slowly gets all of it.
func TestDeadlineOfEachPiece(t *testing.T) {
	for _, test := range []struct {
		name   string
		handle http.HandlerFunc
		pieces int
		times  int
	}{
		{"nothing", func(http.ResponseWriter, *http.Request) {}, 0, 1},
		{"a status", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) }, 0, 2},
		{"an empty body", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(nil) }, 1, 2},
		{"a small body", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(make([]byte, pieceSize)) }, 1, 2},
		{"a large body", func(w http.ResponseWriter, _ *http.Request) {
			if n, err := w.Write(make([]byte, 3*pieceSize+1)); n != 3*pieceSize+1 || err != nil {
				t.Errorf("%d bytes are written, %v", n, err)
			}
		}, 4, 5},
	} {
		w := &deadlines{ResponseRecorder: httptest.NewRecorder()}
		newServer(test.handle, time.Hour).Handler.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil))
		if len(w.times) != test.times || len(w.sizes) != test.pieces {
			t.Errorf("%s: %d deadlines, want %d; pieces %v", test.name, len(w.times), test.times, w.sizes)
		}
	}
}
