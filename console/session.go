package console

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"time"
)

const (
	sessionCookie = "provision_console"
	sessionTime   = 12 * time.Hour
)

// SignInByToken is a [Handler.SignIn] that lets whoever gives the token in, as the viewer.
// An empty token lets nobody in.
func SignInByToken(token string, viewer Viewer) func(*http.Request, string) (Viewer, bool) {
	want := sha256.Sum256([]byte(token))
	return func(_ *http.Request, given string) (Viewer, bool) {
		got := sha256.Sum256([]byte(given))
		return viewer, token != "" && subtle.ConstantTimeCompare(got[:], want[:]) == 1
	}
}

// session is what the cookie of a reader says, signed by [Handler.Key]. A session of a
// host's own has only the nonce, which binds forms to the browser that loaded them.
type session struct {
	Viewer  *Viewer   `json:"viewer,omitempty"`
	Portal  string    `json:"portal,omitempty"` // the secret of a session that a portal link began
	For     string    `json:"for,omitempty"`    // the reader whom a session of the host is of
	Nonce   string    `json:"nonce"`
	Expires time.Time `json:"expires"`
}

var errNoSession = errors.New("console: nobody is signed in")

func (h *Handler) prepareKey() error {
	if h.Who == nil && h.SignIn == nil && !h.Portal {
		return errors.New("console: Handler needs Who, SignIn or Portal")
	}
	if h.API == nil {
		return errors.New("console: Handler needs API")
	}
	if len(h.Key) == 0 {
		h.Key = make([]byte, sha256.Size)
		_, _ = rand.Read(h.Key) // it never fails
	}
	if len(h.Key) < sha256.Size {
		return errors.New("console: Handler.Key has less than 32 bytes")
	}
	return nil
}

// mac signs a text for one purpose.
func (h *Handler) mac(purpose, text string) string {
	m := hmac.New(sha256.New, h.Key)
	m.Write([]byte(purpose + "\n" + text))
	return base64.RawURLEncoding.EncodeToString(m.Sum(nil))
}

// read returns the session of a request, or errNoSession.
func (h *Handler) read(r *http.Request) (session, error) {
	cookie, err := r.Cookie(sessionCookie)
	if err != nil {
		return session{}, errNoSession
	}
	text, sum, _ := strings.Cut(cookie.Value, ".")
	if !hmac.Equal([]byte(sum), []byte(h.mac("session", text))) {
		return session{}, errNoSession
	}
	data, err := base64.RawURLEncoding.DecodeString(text)
	if err != nil {
		return session{}, errNoSession
	}
	var s session
	if err := json.Unmarshal(data, &s); err != nil || !h.now().Before(s.Expires) {
		return session{}, errNoSession
	}
	return s, nil
}

// begin gives a reader a new session. What the browser had before counts no more, so
// that nobody can hand a session to somebody else.
func (h *Handler) begin(w http.ResponseWriter, s session) (session, error) {
	s.Nonce, s.Expires = rand.Text(), h.now().Add(sessionTime)
	data, err := json.Marshal(s)
	if err != nil {
		return s, err
	}
	text := base64.RawURLEncoding.EncodeToString(data)
	h.setCookie(w, text+"."+h.mac("session", text), int(sessionTime/time.Second))
	return s, nil
}

func (h *Handler) setCookie(w http.ResponseWriter, value string, age int) {
	http.SetCookie(w, &http.Cookie{
		Name: sessionCookie, Value: value, Path: h.prefix() + "/", MaxAge: age,
		HttpOnly: true, SameSite: http.SameSiteLaxMode, Secure: strings.HasPrefix(h.Base, "https://"),
	})
}

// formToken is what a form carries to show that a page of ours made it, for the same
// reader in the same session.
func (h *Handler) formToken(s session) string { return h.mac("form", s.Nonce) }

// visitor returns who a request is from, with the session that forms belong to. A reader
// whom the host knows gets one of these with the first page.
func (h *Handler) visitor(w http.ResponseWriter, r *http.Request) (Viewer, session, error) {
	s, err := h.read(r)
	if h.Portal {
		if err != nil {
			return Viewer{}, s, err
		}
		viewer, err := h.portalViewer(r, s)
		return viewer, s, err
	}
	if h.Who == nil {
		if err != nil || s.Viewer == nil {
			return Viewer{}, s, errNoSession
		}
		return *s.Viewer, s, nil
	}
	viewer, denied := h.Who(r)
	if denied != nil {
		return viewer, s, &pageError{http.StatusForbidden, "notFound", h.say("notFoundText")}
	}
	reader := h.mac("reader", viewer.Actor.Kind+"\n"+viewer.Actor.ID)
	if err != nil || s.For != reader {
		s, err = h.begin(w, session{For: reader})
	}
	return viewer, s, err
}

func (h *Handler) showSignIn(w http.ResponseWriter, r *http.Request) {
	if h.Who != nil || h.Portal {
		h.notFound(w, r)
		return
	}
	h.write(w, http.StatusOK, "sign-in", &view{Title: h.say("signIn"), Done: saidBefore(r), Next: r.URL.Query().Get("next")})
}

// signIn begins a session. The form needs no token of a session, as there is none yet: a
// stranger who makes a browser send it must know the operator token.
func (h *Handler) signIn(w http.ResponseWriter, r *http.Request) {
	if h.Who != nil || h.Portal {
		h.notFound(w, r)
		return
	}
	r.Body = http.MaxBytesReader(w, r.Body, 1<<14)
	fail := func(status int, text string) {
		h.write(w, status, "sign-in", &view{Title: h.say("signIn"), Error: text, Next: r.PostFormValue("next")})
	}
	viewer, ok := h.SignIn(r, strings.TrimSpace(r.PostFormValue("token")))
	if !ok {
		if wait := h.API.Engine.Plumbing().CountFailure(r.RemoteAddr); wait > 0 {
			fail(http.StatusTooManyRequests, h.say("tokenSlow"))
			return
		}
		fail(http.StatusUnauthorized, h.say("tokenWrong"))
		return
	}
	if _, err := h.begin(w, session{Viewer: &viewer}); err != nil {
		h.showProblem(w, r, nil, err)
		return
	}
	http.Redirect(w, r, h.localTarget(r.PostFormValue("next")), http.StatusSeeOther)
}

// localTarget is where a reader goes on: a page of ours, whatever the form says.
func (h *Handler) localTarget(next string) string {
	home := h.prefix() + "/"
	if !strings.HasPrefix(next, home) || strings.ContainsAny(next, "\\\r\n\t") || strings.Contains(next, "//") || strings.Contains(next, "..") {
		return home
	}
	return next
}

func (h *Handler) signOut(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, 1<<14)
	s, err := h.read(r)
	if err == nil && !hmac.Equal([]byte(r.PostFormValue("form")), []byte(h.formToken(s))) {
		h.showProblem(w, r, nil, &pageError{http.StatusForbidden, "expired", h.say("expiredText")})
		return
	}
	h.setCookie(w, "", -1)
	if h.Portal {
		if err := h.endPortal(r, s); err != nil {
			h.showProblem(w, r, nil, err)
			return
		}
		h.showProblem(w, r, nil, &pageError{http.StatusOK, "signOut", h.say("signedOut")})
		return
	}
	http.Redirect(w, r, h.prefix()+"/"+assets+"/sign-in?done=signedOut", http.StatusSeeOther)
}
