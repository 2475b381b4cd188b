package postgres_test

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"io"
	"net"
	"sync"
	"testing"

	"github.com/scimjit/provision/internal/postgrestest"
)

// injector stands between a store and the server, and fails one statement: in place of it
// the server gets one that it cannot read, which undoes the transaction as any error does,
// and the error comes back with another code.
type injector struct {
	mu   sync.Mutex
	code string // none: the connection is lost
	left int    // until the statement that fails; 0: none does
	seen int    // statements since the last call of arm
}

// unreadable is the code of the error of a statement that the server cannot read.
const unreadable = "42601"

// newInjector returns an injector before a database, and the connection string through it.
func newInjector(t *testing.T, url string) (*injector, string) {
	t.Helper()
	p := &injector{}
	return p, postgrestest.Between(t, url, p.serve)
}

// arm lets the nth statement from now on fail. It returns how many there were since the
// last call, and whether one has failed.
func (p *injector) arm(n int, code string) (seen int, failed bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	seen, failed = p.seen, p.left < 0
	p.left, p.code, p.seen = n, code, 0
	return seen, failed
}

// fails reports whether the next statement fails, and how.
func (p *injector) fails() (code string, fails bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.seen++
	if p.left <= 0 {
		return "", false
	}
	if p.left--; p.left > 0 {
		return "", false
	}
	p.left = -1
	return p.code, true
}

func (p *injector) serve(client, server net.Conn) {
	codes := make(chan string, 1) // of an error that is to come
	go func() {
		defer func() { _ = client.Close() }()
		from := bufio.NewReader(server)
		for {
			m, err := readMessage(from, 1)
			if err != nil {
				return
			}
			if m[0] == 'E' {
				select {
				case code := <-codes:
					m = bytes.Replace(m, []byte("C"+unreadable), []byte("C"+code), 1)
				default:
				}
			}
			if _, err := client.Write(m); err != nil {
				return
			}
		}
	}()
	from := bufio.NewReader(client)
	for kind := 0; ; kind = 1 { // the first message has no type
		m, err := readMessage(from, kind)
		if err != nil {
			return
		}
		if kind == 1 && bytes.IndexByte([]byte("PBQ"), m[0]) >= 0 { // Parse, Bind, Query
			if code, fails := p.fails(); fails && code == "" {
				return
			} else if fails {
				codes <- code
				m = append([]byte("P\x00\x00\x00\x10\x00unreadable\x00\x00\x00"), m...)
				binary.BigEndian.PutUint32(m[1:], 4+1+11+2)
			}
		}
		if _, err := server.Write(m); err != nil {
			return
		}
	}
}

// readMessage reads a message, which begins with some bytes for its type and four for how
// long the rest is with them.
func readMessage(r io.Reader, kind int) ([]byte, error) {
	head := make([]byte, kind+4)
	if _, err := io.ReadFull(r, head); err != nil {
		return nil, err
	}
	m := make([]byte, kind+int(binary.BigEndian.Uint32(head[kind:])))
	copy(m, head)
	_, err := io.ReadFull(r, m[len(head):])
	return m, err
}
