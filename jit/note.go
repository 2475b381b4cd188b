package jit

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/scimjit/provision"
)

// As says by which protocol a request logs in, such as "saml", for the request log of its
// connection ([provision.Directory.Requests]). A package of a protocol calls it as the
// request comes, and passes the request that it returns on.
func As(r *http.Request, protocol string) *http.Request {
	return r.WithContext(context.WithValue(r.Context(), askedKey{}, asked{protocol, time.Now()}))
}

type askedKey struct{}

// asked is how and when a request came.
type asked struct {
	protocol string
	began    time.Time
}

// otherProtocol is that of a request of which As was not told.
const otherProtocol = "login"

// note tells the request log of a refusal. Whoever is not verified to be a person of the
// identity provider is a stranger, and so is what was wrong with a message: anybody can send
// one.
func (h *LoginHandler) note(r *http.Request, connection string, d *Denial) {
	e := provision.Request{
		Protocol: otherProtocol, Method: r.Method, Path: addressOf(r), Status: d.Status, Code: d.Code, Refusal: d.ID, Stranger: true,
	}
	if a, ok := r.Context().Value(askedKey{}).(asked); ok {
		e.Protocol, e.Microseconds = a.protocol, time.Since(a.began).Microseconds()
	}
	var (
		denied    *provision.DeniedError
		replay    *provision.ReplayError
		attribute *AttributeError
	)
	switch {
	case errors.As(d.Cause, &denied):
		e.Stranger, e.Detail, e.Account, e.ExternalID, e.UserName = false, denied.Cause, denied.Account, denied.ID, denied.UserName
	case errors.As(d.Cause, &attribute):
		e.Stranger, e.Detail = false, attribute.Error()
	case errors.As(d.Cause, &replay):
		e.Stranger = false
	}
	h.Engine.Plumbing().NoteRequest(connection, e)
}

// addressOf returns the last segment of a path, if it is an address of a login: a client
// may send any.
func addressOf(r *http.Request) string {
	last := r.URL.Path[strings.LastIndexByte(r.URL.Path, '/')+1:]
	for _, known := range []string{"acs", "login", "logout", "metadata", "test"} {
		if last == known {
			return "/" + known
		}
	}
	return "/…"
}
