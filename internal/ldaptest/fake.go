package ldaptest

import (
	"net"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/jimlambrt/gldap"
)

// Fake is a directory whose answers a test decides.
type Fake struct {
	URL string // ldap://, through a relay that Cut cuts

	// Search answers searches, and Bind says the result code of a bind. Set them before
	// anybody asks.
	Search func(*gldap.SearchMessage, *Answer)
	Bind   func(dn, password string) int

	Searches, Binds atomic.Int64 // that were asked for

	relay *Relay
}

// NewFake starts one. It ends with the test.
func NewFake(t testing.TB) *Fake {
	t.Helper()
	server, err := gldap.NewServer(gldap.WithLogger(hclog.NewNullLogger()))
	if err != nil {
		t.Fatal(err)
	}
	f := &Fake{}
	mux, err := gldap.NewMux()
	if err != nil {
		t.Fatal(err)
	}
	register := func(err error) {
		if err != nil {
			t.Fatal(err)
		}
	}
	register(mux.Search(func(w *gldap.ResponseWriter, r *gldap.Request) {
		f.Searches.Add(1)
		m, err := r.GetSearchMessage()
		if err != nil {
			return
		}
		f.Search(m, &Answer{fake: f, w: w, r: r})
	}))
	register(mux.Bind(func(w *gldap.ResponseWriter, r *gldap.Request) {
		f.Binds.Add(1)
		code := gldap.ResultProtocolError
		if m, err := r.GetSimpleBindMessage(); err == nil {
			if code = gldap.ResultSuccess; f.Bind != nil {
				code = f.Bind(m.UserName, string(m.Password))
			}
		}
		_ = w.Write(r.NewBindResponse(gldap.WithResponseCode(code)))
	}))
	register(server.Router(mux))
	address := freeAddress(t)
	go func() { _ = server.Run(address) }()
	t.Cleanup(func() { _ = server.Stop() })
	for deadline := time.Now().Add(startWithin); !server.Ready(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("the fake does not start")
		}
	}
	f.relay = NewRelay(t, address)
	f.URL = "ldap://" + f.relay.Address
	return f
}

// Cut ends all connections.
func (f *Fake) Cut() { f.relay.Cut() }

// Answer is what goes back to one search.
type Answer struct {
	fake *Fake
	w    *gldap.ResponseWriter
	r    *gldap.Request
}

// Entry sends an entry.
func (a *Answer) Entry(dn string, attributes map[string][]string) {
	_ = a.w.Write(a.r.NewSearchResponseEntry(dn, gldap.WithAttributes(attributes)))
}

// Done ends the answer with a result code, without a control.
func (a *Answer) Done(code int) {
	_ = a.w.Write(a.r.NewSearchDoneResponse(gldap.WithResponseCode(code)))
}

// Page ends a page: the next one has the cookie, and "" means that there is none.
func (a *Answer) Page(cookie string) {
	done := a.r.NewSearchDoneResponse(gldap.WithResponseCode(gldap.ResultSuccess))
	control, _ := gldap.NewControlPaging(0) // it does not fail
	control.SetCookie([]byte(cookie))
	done.SetControls(control)
	_ = a.w.Write(done)
}

// Cut cuts the connection in the middle of the answer, when what was sent has arrived.
func (a *Answer) Cut() {
	time.Sleep(20 * time.Millisecond)
	a.fake.Cut()
}

// Cookie returns the cookie of a request for a page.
func Cookie(m *gldap.SearchMessage) (cookie string, paged bool) {
	for _, c := range m.Controls {
		if p, ok := c.(*gldap.ControlPaging); ok {
			return string(p.Cookie), true
		}
	}
	return "", false
}

// Person is what a fake has of the person uidN.
func Person(n int) (dn string, attributes map[string][]string) {
	name := "uid" + strconv.Itoa(n)
	return "uid=" + name + ",ou=people,dc=example,dc=com", map[string][]string{
		"uid": {name}, "cn": {"Person " + name}, "sn": {name}, "mail": {name + "@example.com"},
		"entryUUID": {"00000000-0000-0000-0000-" + strconv.Itoa(100000000000+n)},
	}
}

// Relay passes bytes between clients and a server.
type Relay struct {
	Address string

	mu      sync.Mutex
	open    map[net.Conn]bool
	refused bool
	silent  atomic.Bool
}

// NewRelay starts a relay to an address.
func NewRelay(t testing.TB, to string) *Relay {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // it listens at once
	if err != nil {
		t.Fatal(err)
	}
	r := &Relay{Address: l.Addr().String(), open: map[net.Conn]bool{}}
	t.Cleanup(func() { _ = l.Close(); r.Cut() })
	go func() {
		for {
			client, err := l.Accept()
			if err != nil {
				return
			}
			go r.pass(client, to)
		}
	}()
	return r
}

func (r *Relay) pass(client net.Conn, to string) {
	server, err := net.Dial("tcp", to) //nolint:noctx // of this machine
	if err != nil || !r.keep(client, server) {
		_ = client.Close()
		return
	}
	go r.copy(server, client)
	r.copy(client, server)
}

func (r *Relay) keep(conns ...net.Conn) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, c := range conns {
		r.open[c] = true
	}
	return !r.refused
}

func (r *Relay) copy(to, from net.Conn) {
	defer func() { _, _ = to.Close(), from.Close() }()
	buffer := make([]byte, 4096)
	for {
		n, err := from.Read(buffer)
		if err != nil {
			return
		}
		if r.silent.Load() {
			continue
		}
		if _, err := to.Write(buffer[:n]); err != nil {
			return
		}
	}
}

// Cut ends all connections that are open.
func (r *Relay) Cut() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for c := range r.open {
		_ = c.Close()
	}
	clear(r.open)
}

// Silence swallows what comes, or passes it on again: the connections stay.
func (r *Relay) Silence(silent bool) { r.silent.Store(silent) }
