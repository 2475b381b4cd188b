package ldap

import (
	"context"
	"log/slog"
	"reflect"
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

	mu       sync.Mutex
	opened   map[string]opened // by connection
	checking map[string]bool   // connections
}

// opened is the directory of one version of a connection.
type opened struct {
	version  int64
	settings provision.LDAP
	server   *Server
}

// Of returns the directory of a connection that is saved, as it was loaded. Once it is saved
// with other settings, it is another one. The error is an [*Error] with [CodeConnection]
// for a connection that is disabled or without LDAP, and otherwise as for [NewServer].
func (s *Servers) Of(c provision.Connection) (*Server, error) {
	if c.LDAP == nil || c.Disabled {
		return nil, &Error{Code: CodeConnection, Reason: "the connection is disabled or without LDAP", Err: provision.ErrNotFound}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	before := s.opened[c.ID]
	if before.server != nil && before.version == c.Version && reflect.DeepEqual(before.settings, *c.LDAP) {
		return before.server, nil
	}
	server, err := s.Open(c)
	if err != nil {
		return nil, err
	}
	if before.server != nil {
		before.server.Close()
	}
	if s.opened == nil {
		s.opened = map[string]opened{}
	}
	s.opened[c.ID] = opened{c.Version, server.LDAP, server}
	return server, nil
}

// Open returns a directory that is nobody else's, of settings that need not be saved, such
// as for [Server.Check] before they are. Their secrets are those that are new in them, and
// those that are stored where [provision.Directory.OpenSecret] opens these for them. Close
// it. The error is as for [NewServer]; the connection must have LDAP.
func (s *Servers) Open(c provision.Connection) (*Server, error) {
	if c.LDAP == nil {
		return nil, &Error{Code: CodeConnection, Reason: "the connection is without LDAP", Err: provision.ErrNotFound}
	}
	c = c.Clone()
	d := s.Engine.Directory(c.ID)
	return NewServer(Options{
		Connection: c.ID, Settings: *c.LDAP,
		Secret:   func(ctx context.Context, name string) (string, error) { return d.OpenSecret(ctx, name, c) },
		Outbound: s.Engine.Outbound, Now: s.Engine.Now, Logger: s.Logger,
	})
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
