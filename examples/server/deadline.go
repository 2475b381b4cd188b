package main

import (
	"net/http"
	"time"
)

const (
	// readingTime is how long a client may take to read a piece of an answer.
	readingTime = 30 * time.Second

	// pieceSize is how much of an answer is written at once.
	pieceSize = 64 << 10
)

// newServer returns a server that closes the connections of clients that do not
// send their request, or do not read its answer. A WriteTimeout would count the time
// that the answer takes to be made, and end long answers that are read.
func newServer(handler http.Handler, reading time.Duration) *http.Server {
	return &http.Server{
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			d := &deadlineWriter{ResponseWriter: w, control: http.NewResponseController(w), reading: reading}
			handler.ServeHTTP(d, r)
			d.extend() // for what is buffered
		}),
		ReadHeaderTimeout: 10 * time.Second,
		ReadTimeout:       time.Minute,
		IdleTimeout:       2 * time.Minute,
	}
}

// deadlineWriter gives each piece of an answer a time to be read in.
type deadlineWriter struct {
	http.ResponseWriter
	control *http.ResponseController
	reading time.Duration
}

// Unwrap is for [http.ResponseController].
func (d *deadlineWriter) Unwrap() http.ResponseWriter { return d.ResponseWriter }

func (d *deadlineWriter) extend() {
	_ = d.control.SetWriteDeadline(time.Now().Add(d.reading)) // a connection that is closed needs none
}

func (d *deadlineWriter) WriteHeader(status int) {
	d.extend()
	d.ResponseWriter.WriteHeader(status)
}

func (d *deadlineWriter) Write(p []byte) (written int, err error) {
	for {
		d.extend()
		n, err := d.ResponseWriter.Write(p[:min(len(p), pieceSize)])
		written += n
		if p = p[n:]; err != nil || len(p) == 0 {
			return written, err
		}
	}
}
