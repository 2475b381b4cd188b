package ldap

import (
	"context"
	"log/slog"
	"sync"

	"github.com/scimjit/provision"
)

// Servers has the directories of any number of connections, each with the connections to
// its servers. Set the fields before the first use. It is safe for concurrent use and must
// not be copied.
type Servers struct {
	// Engine has the connections, their secrets and the dialer. It is required.
	Engine *provision.Engine

	// Logger gets what was not known at a login; nil means slog.Default().
	Logger *slog.Logger

	mu     sync.Mutex
	opened map[string]opened // by connection
}

// opened is the directory of one version of a connection.
type opened struct {
	version int64
	server  *Server
}

// Of returns the directory of a connection. Once the connection is saved, with other
// settings, it is another one. The error is an [*Error] with [CodeConnection] for one that
// is disabled or without LDAP, and otherwise as for [NewServer].
func (s *Servers) Of(c provision.Connection) (*Server, error) {
	if c.LDAP == nil || c.Disabled {
		return nil, &Error{Code: CodeConnection, Reason: "the connection is disabled or without LDAP", Err: provision.ErrNotFound}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	before := s.opened[c.ID]
	if c.Version != 0 && before.version == c.Version {
		return before.server, nil
	}
	server, err := NewServer(Options{
		Connection: c.ID, Settings: *c.LDAP, Secret: s.Engine.Directory(c.ID).OpenSecret,
		Outbound: s.Engine.Outbound, Now: s.Engine.Now, Logger: s.Logger,
	})
	if err != nil || c.Version == 0 {
		return server, err
	}
	if before.server != nil {
		before.server.Close()
	}
	if s.opened == nil {
		s.opened = map[string]opened{}
	}
	s.opened[c.ID] = opened{c.Version, server}
	return server, nil
}

// Source is for [provision.Engine.SyncSource]; see [Server.Source].
func (s *Servers) Source(ctx context.Context, c provision.Connection, since string) (provision.SyncSource, error) {
	server, err := s.Of(c)
	if err != nil {
		return nil, err
	}
	return server.Source(ctx, since)
}

// Close ends all connections to servers that nobody uses.
func (s *Servers) Close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, o := range s.opened {
		o.server.Close()
	}
	clear(s.opened)
}
