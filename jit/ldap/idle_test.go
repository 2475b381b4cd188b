package ldap

import (
	"net"
	"testing"
	"time"

	goldap "github.com/go-ldap/ldap/v3"
)

// Connections that nobody uses are closed, also where nobody asks for one again.
func TestIdleConnectionsAreClosed(t *testing.T) {
	now := time.Now()
	s := &Server{idle: map[bool][]*client{}}
	peers := map[string]net.Conn{}
	for name, used := range map[string]time.Time{"old": now.Add(-idleFor), "new": now.Add(-idleFor / 2)} {
		here, there := net.Pipe()
		g := newGuard(here)
		s.idle[true] = append(s.idle[true], &client{Conn: goldap.NewConn(g, false), guard: g, used: used})
		s.idle[true][len(s.idle[true])-1].Start()
		peers[name] = there
	}
	t.Cleanup(s.Close)
	s.closeIdle(now)
	if len(s.idle[true]) != 1 || s.sweep == nil {
		t.Errorf("%d are left, and somebody looks again: %t", len(s.idle[true]), s.sweep != nil)
	}
	if _, err := peers["old"].Read(make([]byte, 1)); err == nil {
		t.Error("the old one is open")
	}
	s.closeIdle(now.Add(idleFor))
	if _, err := peers["new"].Read(make([]byte, 1)); err == nil || len(s.idle[true]) != 0 || s.sweep != nil {
		t.Errorf("later: %v, %d are left", err, len(s.idle[true]))
	}
}
