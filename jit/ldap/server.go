package ldap

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"time"

	ber "github.com/go-asn1-ber/asn1-ber"
	goldap "github.com/go-ldap/ldap/v3"

	"github.com/scimjit/provision"
)

// How long things may take, and how many there are.
const (
	connectWithin = 5 * time.Second  // to one server, with TLS
	answerWithin  = 30 * time.Second // one operation
	pageWithin    = 2 * time.Minute  // one page of a sync
	asideFor      = 30 * time.Second // a server that could not be reached
	idleFor       = time.Minute      // a connection that nobody uses
	maxIdle       = 4                // connections of each kind
)

// Names of the secrets of a connection; see [provision.Directory.OpenSecret].
const (
	SecretBindPassword = "ldap.bindPassword"
	SecretClientKey    = "ldap.clientKey"
)

// Options are what a [Server] needs.
type Options struct {
	Connection string // for errors
	Settings   provision.LDAP

	// Secret opens a secret of the connection, by its name. It is asked for each new
	// connection, and nothing keeps what it returns. Nil is good where the settings
	// have none.
	Secret func(ctx context.Context, name string) (string, error)

	// Outbound dials. Its zero value reaches public addresses only.
	Outbound provision.Outbound

	// Now is the time; nil means [time.Now].
	Now func() time.Time

	// Logger gets what was not known at a login; nil means slog.Default().
	Logger *slog.Logger
}

// Server is the directory of one connection: the servers that its settings list, in their
// order. One that cannot be reached is set aside for half a minute, and for as long a
// password of the service account that was refused is not tried again. A Server keeps a few
// connections for a minute; [Server.Close] ends them. It is safe for concurrent use.
type Server struct {
	*settings
	options Options

	mu    sync.Mutex
	aside map[string]time.Time // until when, by address
	idle  map[bool][]*client   // by whether the service account is bound
	sweep *time.Timer          // closes what is idle; nil where nothing is
	ended bool
	blind time.Time // until when nobody looks whether members of groups are seen

	service *refusedAccount
}

// NewServer checks the settings and returns the directory, without asking it anything.
// The error is as for [Validate].
func NewServer(o Options) (*Server, error) {
	s, err := compile(o.Connection, o.Settings)
	if err != nil {
		return nil, err
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	return &Server{settings: s, options: o, aside: map[string]time.Time{}, idle: map[bool][]*client{}, service: newRefusedAccount()}, nil
}

// Close ends the connections that nobody uses, and those in use when they are given back.
func (s *Server) Close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ended = true
	if s.sweep != nil {
		s.sweep.Stop()
	}
	for _, list := range s.idle {
		for _, c := range list {
			c.close()
		}
	}
	clear(s.idle)
}

// client is one connection to a server. One user has it at a time.
type client struct {
	*goldap.Conn
	guard   *guard
	host    host
	service bool // the service account is bound
	used    time.Time

	reused   bool // somebody had it before
	answered bool // since it was taken
}

func (c *client) close() {
	_ = c.guard.Close() // first, so that nothing waits for the server
	go func() { _ = c.Close() }()
}

// do runs one operation. It ends when ctx does or the time is up, by closing the
// connection: the library leaves searches running. An error of the library becomes an
// [*Error].
func (c *client) do(ctx context.Context, within time.Duration, doing string, fn func() error) (err error) {
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	stop := context.AfterFunc(ctx, func() { _ = c.guard.Close() })
	defer stop()
	defer func() {
		if v := recover(); v != nil { // of an answer that the library did not expect
			c.close()
			err = &Error{Code: CodeResult, Server: c.host.address, Reason: fmt.Sprintf("%s: the answer cannot be read: %v", doing, v)}
		}
	}()
	c.guard.allow()
	err = fn()
	if err == nil {
		err = ctx.Err()
	}
	var result *goldap.Error
	if err == nil || errors.As(err, &result) && result.ResultCode < goldap.ErrorNetwork {
		c.answered = true
	}
	return explain(ctx, c.host.address, doing, err)
}

// use lends a connection; see take. Where it is one that somebody had before, and is lost
// before the server has answered anything, another one is tried.
func (s *Server) use(ctx context.Context, service bool, fn func(*client) error) error {
	for {
		c, err := s.take(ctx, service)
		if err != nil {
			return err
		}
		err = fn(c)
		s.give(c, err)
		var known *Error
		lost := errors.As(err, &known) && known.Code == CodeIncomplete
		if !lost || !c.reused || c.answered {
			return err
		}
	}
}

// take returns a connection with the service account bound, or without for logins, one
// that was used before where there is one. Give it back.
func (s *Server) take(ctx context.Context, service bool) (*client, error) {
	if c := s.takeIdle(service); c != nil {
		return c, nil
	}
	if service && s.service.remembers() { // nobody connects for what is known
		password, err := s.password(ctx)
		if err != nil {
			return nil, err
		}
		if err := s.service.refusal(password); err != nil {
			return nil, err
		}
	}
	var failed []error
	for _, h := range s.order() {
		c, err := s.connect(ctx, h, service)
		if err == nil {
			return c, nil
		}
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		failed = append(failed, err)
		var known *Error
		if errors.As(err, &known) && known.Code == CodeBind {
			break // another server would count a wrong password, too
		}
		s.setAside(h)
	}
	if len(failed) == 1 {
		return nil, failed[0]
	}
	code := CodeConnect
	var known *Error
	if errors.As(failed[len(failed)-1], &known) {
		code = known.Code
	}
	return nil, &Error{Code: code, Reason: "no server can be used", Err: errors.Join(failed...)}
}

func (s *Server) takeIdle(service bool) *client {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	for list := s.idle[service]; len(list) > 0; {
		c := list[len(list)-1]
		list = list[:len(list)-1]
		s.idle[service] = list
		if !c.IsClosing() && now.Sub(c.used) < idleFor {
			c.reused, c.answered = true, false
			return c
		}
		c.close()
	}
	return nil
}

// give gives a connection back. After an error it is closed unless the server answered.
func (s *Server) give(c *client, err error) {
	var result *goldap.Error
	answered := err == nil || errors.As(err, &result) && result.ResultCode < goldap.ErrorNetwork
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ended || !answered || c.IsClosing() || len(s.idle[c.service]) >= maxIdle {
		c.close()
		return
	}
	c.used = time.Now()
	s.idle[c.service] = append(s.idle[c.service], c)
	if s.sweep == nil {
		s.sweep = time.AfterFunc(idleFor, func() { s.closeIdle(time.Now()) })
	}
}

// closeIdle closes the connections that nobody has used for a while, and comes again while
// there are others: servers have only so many, and a firewall forgets them.
func (s *Server) closeIdle(now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	left := 0
	for kind, list := range s.idle {
		kept := list[:0]
		for _, c := range list {
			if now.Sub(c.used) < idleFor {
				kept = append(kept, c)
			} else {
				c.close()
			}
		}
		clear(list[len(kept):])
		s.idle[kind] = kept
		left += len(kept)
	}
	if s.sweep != nil {
		s.sweep.Stop()
		s.sweep = nil
	}
	if left > 0 && !s.ended {
		s.sweep = time.AfterFunc(idleFor, func() { s.closeIdle(time.Now()) })
	}
}

// order returns the servers in the order in which to try them: those that are set aside
// come last.
func (s *Server) order() []host {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	var good, bad []host
	for _, h := range s.hosts {
		if until, ok := s.aside[h.address]; ok && now.Before(until) {
			bad = append(bad, h)
		} else {
			good = append(good, h)
		}
	}
	return append(good, bad...)
}

func (s *Server) setAside(h host) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.aside[h.address] = time.Now().Add(asideFor)
}

// connect connects to a server, and binds the service account.
func (s *Server) connect(ctx context.Context, h host, service bool) (*client, error) {
	conn, err := s.dial(ctx, h)
	if err != nil {
		return nil, err
	}
	g := newGuard(conn)
	c := &client{guard: g, host: h, service: service, Conn: goldap.NewConn(g, h.tls || h.startTLS)}
	c.Start()
	if service {
		if err := s.bindService(ctx, c); err != nil {
			c.close()
			return nil, err
		}
	}
	return c, nil
}

// dial connects to a server, with TLS as the settings say.
func (s *Server) dial(ctx context.Context, h host) (net.Conn, error) {
	within, cancel := context.WithTimeout(ctx, connectWithin)
	defer cancel()
	conn, err := s.options.Outbound.DialContext(within, "tcp", h.address)
	if err != nil {
		return nil, &Error{Code: CodeConnect, Server: h.address, Reason: "the server cannot be reached", Err: err}
	}
	if !h.tls && !h.startTLS {
		return conn, nil
	}
	secure, err := s.secure(within, conn, h)
	if err != nil {
		_ = conn.Close()
		return nil, err
	}
	return secure, nil
}

// secure begins TLS.
func (s *Server) secure(ctx context.Context, conn net.Conn, h host) (net.Conn, error) {
	config := &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: s.roots, ServerName: h.name}
	if s.ClientCertificate != "" {
		key, err := s.secret(ctx, SecretClientKey)
		if err != nil {
			return nil, err
		}
		pair, err := s.clientCertificate(key)
		if err != nil {
			return nil, &Error{Code: CodeSetting, Reason: "the client certificate and its key do not fit", Err: errors.New("they are no pair in PEM")}
		}
		config.Certificates = []tls.Certificate{pair}
	}
	if h.startTLS {
		if err := startTLS(ctx, conn, h); err != nil {
			return nil, err
		}
	}
	secure := tls.Client(conn, config)
	if err := secure.HandshakeContext(ctx); err != nil {
		reason := "TLS cannot be begun"
		var certificate *tls.CertificateVerificationError
		if errors.As(err, &certificate) {
			reason = fmt.Sprintf("the certificate is not accepted for %q", h.name)
		}
		return nil, &Error{Code: CodeTLS, Server: h.address, Reason: reason, Err: err}
	}
	return secure, nil
}

// startTLSRequest is the extended request with message id 1 (RFC 4511 section 4.14.1).
const startTLSRequest = "\x30\x1d\x02\x01\x01\x77\x18\x80\x161.3.6.1.4.1.1466.20037"

// startTLS asks the server to begin TLS. It is done before the library has the connection,
// since a deadline of that one does not bound the handshake. Nothing may come between the
// answer and the handshake: somebody in the middle could have sent it.
func startTLS(ctx context.Context, conn net.Conn, h host) error {
	stop := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	fail := func(err error) error {
		return &Error{Code: CodeTLS, Server: h.address, Reason: "the server does not begin TLS (StartTLS)", Err: err}
	}
	if _, err := conn.Write([]byte(startTLSRequest)); err != nil {
		return fail(err)
	}
	g := newGuard(conn)
	message, err := g.message()
	if err != nil {
		return fail(err)
	}
	packet, err := ber.DecodePacketErr(message)
	if err != nil {
		return fail(err)
	}
	if err := goldap.GetLDAPError(packet); err != nil {
		return fail(err)
	}
	if g.in.Buffered() > 0 {
		return fail(errors.New("it sent more than its answer"))
	}
	return nil
}

// bindService binds the service account: by its password, or by the client certificate,
// which names it (SASL EXTERNAL, RFC 4513 section 5.2.3). Without either the connection
// stays anonymous.
func (s *Server) bindService(ctx context.Context, c *client) error {
	if s.anonymous() {
		return nil
	}
	password, err := s.password(ctx)
	if err != nil {
		return err
	}
	done, err := s.service.begin(ctx, password)
	if err != nil {
		return err
	}
	defer done()
	switch {
	case !s.BindPassword.Set():
		err = c.do(ctx, answerWithin, "the bind by the client certificate", c.ExternalBind)
		var lost *Error
		if errors.As(err, &lost) && lost.Code == CodeIncomplete { // TLS 1.3 refuses when the handshake is over
			lost.Code, lost.Reason = CodeTLS, "the server ended the connection at the client certificate: it may not know who signed that"
		}
	case password == "": // which would be an anonymous bind
		return wrong(CodeBind, "the password of the service account is empty")
	default:
		err = c.do(ctx, answerWithin, "the bind of the service account", func() error { return c.Bind(s.BindDN, password) })
	}
	s.service.note(password, err)
	return err
}

// anonymous reports whether there is no service account.
func (s *settings) anonymous() bool { return s.BindDN == "" && s.ClientCertificate == "" }

// password opens that of the service account, or "" where it has none.
func (s *Server) password(ctx context.Context) (string, error) {
	if s.BindDN == "" || !s.BindPassword.Set() {
		return "", nil
	}
	return s.secret(ctx, SecretBindPassword)
}

func (s *Server) secret(ctx context.Context, name string) (string, error) {
	if s.options.Secret == nil {
		return "", wrong(CodeSetting, "the secret %s cannot be opened", name)
	}
	text, err := s.options.Secret(ctx, name)
	if errors.Is(err, provision.ErrSecretPlace) {
		e := wrong(CodeSetting, "the secret %s was given for other servers or another account: the settings were changed meanwhile, or it must be given again", name)
		e.Err = err
		return "", e
	}
	return text, err
}
