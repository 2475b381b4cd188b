package jit

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"runtime/debug"
	"strings"

	"github.com/scimjit/provision"
)

// LoginHandler ends a login: it asks the Engine who the person is and hands the
// answer to the host, where the session begins.
//
// Set the fields before the first login and do not change them after. It is
// safe for concurrent use.
type LoginHandler struct {
	// Engine decides. It is required.
	Engine *provision.Engine

	// OnLogin is called with the account of a person who may log in. It is
	// required. returnTo is where the person wanted to go: a path of this
	// origin, of which [LocalPath] is true, or empty.
	//
	// The account and its events are stored when OnLogin is called. The events may
	// come to a consumer of the host before that, at the same time, or after it:
	// Deliver and OnLogin know nothing of each other. A host whose consumer writes
	// the users table leaves the row of a new person to it, and waits here with
	// [provision.Consumer.Wait] and a ctx of some seconds. Then the consumer has
	// seen the account in the Version that OnLogin is given, or in a later one.
	//
	// A session must end when the account stops being active, and on events of the
	// types login.denied and login.ended, which change no account: a login that is
	// refused, and a logout at the identity provider. [SessionOf] has what the
	// latter names it by.
	OnLogin func(w http.ResponseWriter, r *http.Request, account *provision.Account, returnTo string)

	// OnDenied is called with a refusal; nil answers Denial.Status with a plain
	// page that shows Denial.Public and Denial.ID. The headers Cache-Control
	// and, where it helps, Retry-After are set when it is called. It must not
	// show Code or Cause.
	OnDenied func(w http.ResponseWriter, r *http.Request, denial *Denial)

	// Address returns the IP address of a client, by which refusals are counted
	// ([provision.Plumbing.CountRefusal]); nil takes that of the connection. Set
	// it behind a proxy.
	Address func(*http.Request) string

	// Logger gets the cause of every refusal; nil means slog.Default(). A cause
	// may name the user name and e-mail address that were asserted. It is cut
	// after 1 KiB, and after 16 KiB where the fault is of the server.
	Logger *slog.Logger
}

// Login logs an identity of a connection in and answers the request, with
// OnLogin or OnDenied: it is Admit, and then Enter or Fail. Whoever calls it has
// verified that the identity provider of the connection asserts the identity, just now
// and for this browser, and names in [provision.Identity.Once] what must not log
// anybody in again.
func (h *LoginHandler) Login(w http.ResponseWriter, r *http.Request, connection string, id provision.Identity, returnTo string) {
	account, err := h.Admit(r.Context(), connection, id)
	if err != nil {
		h.Fail(w, r, connection, err)
		return
	}
	h.Enter(w, r, account, id.Session, returnTo)
}

// Enter lets an account in that Admit has returned, and answers the request by OnLogin.
// A returnTo that is no [LocalPath] is dropped. What OnLogin panics with is left to the
// server.
func (h *LoginHandler) Enter(w http.ResponseWriter, r *http.Request, account *provision.Account, session *provision.Session, returnTo string) {
	if !LocalPath(returnTo) {
		returnTo = ""
	}
	if session != nil {
		r = r.WithContext(context.WithValue(r.Context(), sessionKey{}, *session))
	}
	h.OnLogin(w, r, account, returnTo)
}

// sessionKey is that of a session in a context.
type sessionKey struct{}

// SessionOf returns the session at the identity provider that a login belongs to, of
// the request that OnLogin gets. ok is false where the identity provider cannot end
// it. A host that keeps the Index with its own session can end that one alone when the
// event login.ended names it.
func SessionOf(r *http.Request) (s provision.Session, ok bool) {
	s, ok = r.Context().Value(sessionKey{}).(provision.Session)
	return s, ok
}

// Admit asks the Engine who the person is, without answering the request: for a
// protocol that has something to set before the answer. The errors are those of
// [provision.Directory.Login]; see [Decided].
//
// It turns a panic of the Engine or its store into an error, so that it has
// an id and says nothing to the browser. A request that is being aborted stays
// aborted.
func (h *LoginHandler) Admit(ctx context.Context, connection string, id provision.Identity) (account *provision.Account, err error) {
	defer func() {
		v := recover()
		if v == nil {
			return
		}
		if v == http.ErrAbortHandler { //nolint:errorlint // the value net/http documents for panic
			panic(v)
		}
		err = fmt.Errorf("panic: %v\n%s", v, debug.Stack())
	}()
	if h.OnLogin == nil {
		return nil, errors.New("jit: LoginHandler.OnLogin is not set")
	}
	if account, err = h.Engine.Directory(connection).Login(ctx, id); err == nil {
		h.Engine.Plumbing().CountLogin(connection)
	}
	return account, err
}

// Fail answers the request with the refusal that an error means:
//
//   - a [*provision.ReplayError], of what was used before: 400
//   - a [*provision.DeniedError]: 403
//   - an [*AttributeError]: 403, as the message was valid
//   - [provision.ErrNotFound], which is an unknown connection: 404
//   - a [*store.UnavailableError] or a canceled request: 503 with Retry-After
//   - anything else: 500
func (h *LoginHandler) Fail(w http.ResponseWriter, r *http.Request, connection string, err error) {
	status, code := classify(err)
	h.Deny(w, r, connection, status, code, err)
}

// Deny answers the request with a refusal that has been found before anybody
// was recognized, such as a message that is not valid. The code and the cause
// are logged; the browser gets the text that the status has. A cause that says
// when to try again sets Retry-After.
func (h *LoginHandler) Deny(w http.ResponseWriter, r *http.Request, connection string, status int, code string, cause error) {
	denial := h.Refuse(r, connection, status, code, cause)
	header := w.Header()
	header.Set("Cache-Control", "no-store")
	if seconds := retryAfter(denial); seconds != "" {
		header.Set("Retry-After", seconds)
	}
	if h.OnDenied != nil {
		h.OnDenied(w, r, denial)
		return
	}
	denial.writePage(w)
}

// Refuse logs, notes and counts a refusal as [LoginHandler.Deny] does, and leaves the answer to
// the caller, such as a form that can be filled in again.
func (h *LoginHandler) Refuse(r *http.Request, connection string, status int, code string, cause error) *Denial {
	denial := newDenial(status, code, cause)
	h.log(r.Context(), connection, denial)
	h.count(r, connection, denial)
	return denial
}

func (h *LoginHandler) count(r *http.Request, connection string, d *Denial) {
	if h.Engine == nil {
		return
	}
	address := r.RemoteAddr
	if h.Address != nil {
		address = h.Address(r)
	}
	h.Engine.Plumbing().CountRefusal(connection, address, "login."+d.Code)
	h.note(r, connection, d)
}

// How many bytes of a cause are logged. Whoever sends a message decides how long
// the cause of its refusal is; a fault of the server may have a stack.
const (
	maxLoggedCause = 1 << 10
	maxLoggedFault = 16 << 10
)

// logged returns the text of a cause for the log, or nil without one.
func logged(d *Denial) any {
	if d.Cause == nil {
		return nil
	}
	limit := maxLoggedCause
	if d.Status >= http.StatusInternalServerError {
		limit = maxLoggedFault
	}
	text := d.Cause.Error()
	if len(text) <= limit {
		return text
	}
	return strings.ToValidUTF8(text[:limit], "") + "..."
}

func (h *LoginHandler) log(ctx context.Context, connection string, d *Denial) {
	logger := h.Logger
	if logger == nil {
		logger = slog.Default()
	}
	level := slog.LevelWarn
	if d.Status >= http.StatusInternalServerError {
		level = slog.LevelError
	}
	logger.Log(ctx, level, "login denied", "id", d.ID, "connection", connection,
		"status", d.Status, "code", d.Code, "cause", logged(d))
}
