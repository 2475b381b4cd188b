package saml

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"github.com/scimjit/provision"
	"github.com/scimjit/provision/internal/mount"
	"github.com/scimjit/provision/jit"
)

// Handler serves the addresses of the service providers of any number of
// connections: those whose path ends in "metadata", "login", "acs", "logout" and
// "test", after the id of the connection. It works under any router and at any prefix,
// whether the router removes the prefix from the path or not.
//
// Set the fields before the first request and do not change them after. A
// Handler is safe for concurrent use and must not be copied.
type Handler struct {
	// Engine has the connections. It is required.
	Engine *provision.Engine

	// Login ends each login, and each refusal too. It is required.
	Login *jit.LoginHandler

	// BaseURL returns the public address of a connection, below which these
	// addresses are, such as "https://app.example.com/saml/okta". It is
	// required, and always the same for a connection: the Host header of a
	// request says nothing about it.
	BaseURL func(connection string) string

	// Connection says which connection a request is for; nil means the segment
	// of the path before the last. Where the router has set the path value
	// "connection" ([http.Request.PathValue]), this must be the same. With a
	// function, only the last segment of a path counts, and the host sends
	// nothing but these addresses here.
	Connection func(*http.Request) string

	// Key and Certificate are those of the service providers: to sign requests
	// and to decrypt assertions. Both or none are set. The key has at least
	// 2,048 bits.
	Key         *rsa.PrivateKey
	Certificate *x509.Certificate

	// SpareKey and SpareCertificate are listed in the metadata beside them and
	// decrypt, too: the pair that comes next, or the one that was before; see
	// [Options].
	SpareKey         *rsa.PrivateKey
	SpareCertificate *x509.Certificate

	// OnTestLogin shows the result of a login that an administrator tried
	// ([Handler.TestLogin]); nil answers with a plain page. It holds what the
	// identity provider asserts of a person.
	OnTestLogin func(w http.ResponseWriter, r *http.Request, result *TestLogin)

	// Limits bounds what is read.
	Limits Limits

	// Logger gets warnings, such as of certificates that expire, and what is to
	// know about a preset, at level Info; nil means slog.Default(). Refusals go
	// to the logger of Login.
	Logger *slog.Logger

	providers sync.Map // of *cached, by connection
}

// Limits bounds what a [Handler] reads. A zero field means its default.
type Limits struct {
	// Body is how many bytes the body of a response may have, with its base64
	// and URL encoding. The default is 256 KiB; more than 1 MiB means 1 MiB.
	Body int64
}

const (
	defaultBody = 256 << 10
	maxBody     = 1 << 20
)

func (l Limits) body() int64 {
	if l.Body <= 0 {
		return defaultBody
	}
	return min(l.Body, maxBody)
}

// warnAgain is how often the warnings of a connection that is in use are logged.
const warnAgain = 24 * time.Hour

// cached is the service provider of one version of a connection.
type cached struct {
	version  int64
	provider *ServiceProvider

	mu     sync.Mutex
	warned time.Time
}

// endpoints are what is at the addresses of a connection, by their last segment.
var endpoints = map[string]struct {
	methods []string
	serve   func(*Handler, http.ResponseWriter, *http.Request, *ServiceProvider)
}{
	"metadata": {[]string{http.MethodGet, http.MethodHead}, (*Handler).metadata},
	"login":    {[]string{http.MethodGet}, (*Handler).login},
	"acs":      {[]string{http.MethodPost}, (*Handler).acs},
	"test":     {[]string{http.MethodGet}, (*Handler).test},
	"logout":   {[]string{http.MethodGet, http.MethodPost}, (*Handler).logout},
}

// ServeHTTP implements http.Handler.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if h.Login == nil {
		h.logger().Error("saml: Handler.Login is not set")
		http.Error(w, http.StatusText(http.StatusInternalServerError), http.StatusInternalServerError)
		return
	}
	r = jit.As(r, "saml")
	connection, address := h.locate(r)
	endpoint, ok := endpoints[address]
	if !ok {
		h.Login.Deny(w, r, connection, http.StatusNotFound, string(CodeConnection), errors.New("saml: no such address"))
		return
	}
	if !allowed(w, r, endpoint.methods) {
		return
	}
	sp, err := h.provider(r, connection)
	if err != nil {
		h.fail(w, r, connection, err)
		return
	}
	endpoint.serve(h, w, r, sp)
}

// locate returns the connection that a request is for, and the last segment of
// its path. It is empty where router and path name different connections: nobody
// could say which one a login is for.
func (h *Handler) locate(r *http.Request) (connection, address string) {
	segments := mount.Segments(r.URL)
	n := len(segments)
	if n > 0 {
		address = segments[n-1]
	}
	if h.Connection != nil {
		return h.Connection(r), address
	}
	connection = r.PathValue("connection")
	switch {
	case n < 2: // the router has removed the rest
		return connection, address
	case connection != "" && connection != segments[n-2]:
		return connection, ""
	}
	return segments[n-2], address
}

// allowed answers a request with a wrong method.
func allowed(w http.ResponseWriter, r *http.Request, methods []string) bool {
	for _, m := range methods {
		if r.Method == m {
			return true
		}
	}
	for _, m := range methods {
		w.Header().Add("Allow", m)
	}
	http.Error(w, http.StatusText(http.StatusMethodNotAllowed), http.StatusMethodNotAllowed)
	return false
}

// provider returns the service provider of a connection. One that is unknown,
// disabled or without SAML is the same to the browser.
func (h *Handler) provider(r *http.Request, connection string) (*ServiceProvider, error) {
	c, err := h.Engine.Directory(connection).Connection(r.Context())
	switch {
	case err != nil:
		return nil, err
	case c.Disabled || c.SAML == nil:
		return nil, &Error{Code: CodeConnection, Reason: "disabled or without SAML", Err: provision.ErrNotFound}
	}
	if v, ok := h.providers.Load(connection); ok && v.(*cached).version == c.Version {
		h.warn(v.(*cached))
		return v.(*cached).provider, nil
	}
	sp, err := h.compile(c)
	if err != nil {
		return nil, &Error{Code: CodeConfiguration, Err: err}
	}
	entry := &cached{version: c.Version, provider: sp}
	h.providers.Store(connection, entry)
	for _, text := range sp.mapping.Warnings() {
		h.logger().Info("saml: "+text, "connection", connection)
	}
	h.warn(entry)
	return sp, nil
}

func (h *Handler) compile(c provision.Connection) (*ServiceProvider, error) {
	if h.BaseURL == nil {
		return nil, errors.New("saml: Handler.BaseURL is not set")
	}
	return NewServiceProvider(Options{
		Connection:  c.ID,
		Settings:    *c.SAML,
		BaseURL:     h.BaseURL(c.ID),
		Key:         h.Key,
		Certificate: h.Certificate,

		SpareKey:         h.SpareKey,
		SpareCertificate: h.SpareCertificate,
	})
}

// Check checks the SAML settings of a connection before it is saved. Warnings
// are for the administrator, such as of a certificate that expires within 30
// days. The error is as for [NewServiceProvider], but metadata that has not been
// fetched from its address yet is a warning. A connection without SAML has neither.
func (h *Handler) Check(c provision.Connection) (warnings []string, err error) {
	if c.SAML == nil {
		return nil, nil
	}
	sp, err := h.compile(c)
	var wrong *provision.ConnectionError
	switch {
	case errors.As(err, &wrong) && wrong.Field == fieldMetadata && wrong.Reason == errNotFetched.Error():
		return []string{wrong.Reason}, nil
	case err != nil:
		return nil, err
	}
	return sp.Warnings(h.now()), nil
}

// warn logs the warnings of a connection once a day. What its preset makes one
// know is no news after the first time.
func (h *Handler) warn(c *cached) {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := h.now()
	if since := now.Sub(c.warned); since >= 0 && since < warnAgain { // else the clock has been set back
		return
	}
	c.warned = now
	for _, text := range c.provider.pressing(now) {
		h.logger().Warn("saml: "+text, "connection", c.provider.connection)
	}
}

func (h *Handler) logger() *slog.Logger {
	if h.Logger == nil {
		return slog.Default()
	}
	return h.Logger
}

// fail answers a refusal. The status says no more than what kind it is.
func (h *Handler) fail(w http.ResponseWriter, r *http.Request, connection string, err error) {
	var refused *Error
	if !errors.As(err, &refused) {
		h.Login.Fail(w, r, connection, err)
		return
	}
	status := http.StatusBadRequest
	switch refused.Code {
	case CodeConnection:
		status = http.StatusNotFound
	case CodeInternal, CodeConfiguration:
		status = http.StatusInternalServerError
	}
	h.Login.Deny(w, r, connection, status, string(refused.Code), err)
}

// metadata answers with the metadata of the service provider.
func (h *Handler) metadata(w http.ResponseWriter, r *http.Request, sp *ServiceProvider) {
	data, err := sp.Metadata()
	if err != nil {
		h.fail(w, r, sp.connection, &Error{Code: CodeInternal, Err: err})
		return
	}
	w.Header().Set("Content-Type", "application/samlmetadata+xml")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	_, _ = w.Write(data) // the client may be gone
}

func (h *Handler) now() time.Time {
	if h.Engine != nil && h.Engine.Now != nil {
		return h.Engine.Now()
	}
	return time.Now()
}

// random returns a text of n random bytes.
func (h *Handler) random(n int) (string, error) {
	source := h.Engine.Rand
	if source == nil {
		source = rand.Reader
	}
	b := make([]byte, n)
	_, err := io.ReadFull(source, b)
	return hex.EncodeToString(b), err
}
