package postgres_test

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"regexp"
	"sync"
	"testing"

	"github.com/scimjit/provision/internal/postgrestest"
)

// cut is where a proxy loses a connection.
type cut int

const (
	never        cut = iota
	beforeCommit     // nothing of the message arrives
	inCommit         // a part of it does
	afterCommit      // all of it does, and the answer is lost
	withCommit       // all of it does, and the connection is lost before the answer: both may be
	inStatement      // the INSERT of an event is lost
)

// proxy stands between a store and the server, and cuts a connection once when it is
// told to.
type proxy struct {
	target string

	mu      sync.Mutex
	cut     cut
	refuses bool
	silent  bool // from the next COMMIT on
	commits int  // since then
	cuts    int
	open    map[net.Conn]bool
}

var hostOf = regexp.MustCompile(`host=(\S+)`)

// newProxy returns a proxy before a database, and the connection string through it.
func newProxy(t *testing.T, url string) (*proxy, string) {
	t.Helper()
	p := &proxy{target: postgrestest.SocketOf(url), open: map[net.Conn]bool{}}
	t.Cleanup(p.lose) // when nothing is accepted any more
	return p, postgrestest.Accept(t, url, p.serve)
}

// arm makes the proxy cut the next connection that gets there.
func (p *proxy) arm(where cut) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.cut, p.cuts = where, 0
}

// refuse makes the proxy refuse connections, from the next cut on, or accept them.
func (p *proxy) refuse(refuses bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.refuses = refuses
}

// silence makes the proxy keep all answers for itself, from the next COMMIT on, or give
// them on.
func (p *proxy) silence(silent bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.silent, p.commits = silent, 0
}

// isSilent reports whether nobody hears an answer now.
func (p *proxy) isSilent() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.silent && p.commits > 0
}

// lose cuts all connections.
func (p *proxy) lose() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for c := range p.open {
		_ = c.Close()
	}
}

// lead makes the proxy lead to another server, and cuts what leads elsewhere.
func (p *proxy) lead(directory string) {
	p.mu.Lock()
	p.target = postgrestest.SocketOf("host=" + directory)
	p.mu.Unlock()
	p.lose()
}

func (p *proxy) happened() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.cuts
}

func (p *proxy) serve(client net.Conn) {
	p.mu.Lock()
	refused, target := p.refuses && (p.cut == never || p.cuts > 0), p.target
	p.mu.Unlock()
	if refused {
		return
	}
	server, err := net.Dial("unix", target)
	if err != nil {
		return
	}
	defer func() { _ = server.Close() }()
	p.mu.Lock()
	p.open[client] = true
	p.mu.Unlock()
	defer func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		delete(p.open, client)
	}()
	quiet, answered := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(answered)
		_, _ = io.Copy(answers{client, quiet, p}, server)
		_ = client.Close()
	}()
	buffer := make([]byte, 1<<20)
	for {
		n, err := client.Read(buffer)
		if err != nil {
			return
		}
		send, lost, waits := p.pass(buffer[:n])
		if lost {
			close(quiet)
		}
		if _, err := server.Write(send); err != nil {
			return
		}
		if lost {
			if waits {
				<-answered
			}
			return
		}
	}
}

// pass returns how much of a message goes on, whether the connection is lost then, and
// whether not before the answer.
func (p *proxy) pass(message []byte) (send []byte, lost, waits bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	marker := []byte("COMMIT\x00")
	if p.cut == inStatement {
		marker = []byte("account.updated")
	}
	at := bytes.Index(message, marker)
	if p.silent && at >= 0 {
		p.commits++
	}
	if p.cut == never || p.cuts > 0 || at < 0 {
		return message, false, false
	}
	p.cuts++
	switch p.cut {
	case beforeCommit, inStatement:
		return nil, true, false
	case inCommit:
		return message[:at+3], true, false
	}
	return message, true, p.cut == afterCommit
}

// answers are what a client hears, until a channel is closed.
type answers struct {
	io.Writer

	closed chan struct{}
	proxy  *proxy
}

// Write implements io.Writer.
func (a answers) Write(b []byte) (int, error) {
	select {
	case <-a.closed:
		return 0, fmt.Errorf("cut")
	default:
	}
	if a.proxy.isSilent() {
		return len(b), nil
	}
	return a.Writer.Write(b)
}
