package saml

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/scimjit/provision"
)

const (
	cookiePrefix  = "saml_login_"  // of logins
	logoutPrefix  = "saml_logout_" // of logouts
	pendingFor    = 10 * time.Minute
	maxPending    = 5
	maxCookieSize = 4096 // of the name and the value: browsers drop larger ones
)

// pending is a login that a browser was sent away for. It is kept in a cookie of
// that browser, signed, so that a response counts only in the browser that asked
// for it, and on every replica.
type pending struct {
	Nonce     string `json:"n"` // names the cookie; also the RelayState
	RequestID string `json:"i"` // of the AuthnRequest
	ReturnTo  string `json:"r,omitempty"`
	Expires   int64  `json:"e"`           // Unix time
	Test      bool   `json:"t,omitempty"` // of a login that is only tried
}

// purpose keeps the cookies of one connection from counting for another, and those
// of logouts for logins.
func (sp *ServiceProvider) purpose(prefix string) string {
	return "jit/saml " + prefix + " " + sp.connection
}

// cookie returns the cookie of a pending login. Each has a name of its own, so
// that two tabs do not disturb each other.
//
// A path to return to that makes the cookie too large is left out: escaping can
// make it several times as long.
//
// The response comes as a POST from another site, for which SameSite must be
// None; without TLS, on a loopback address, browsers do not keep such a cookie.
func (h *Handler) cookie(ctx context.Context, sp *ServiceProvider, prefix string, p pending) (*http.Cookie, error) {
	payload, err := json.Marshal(p)
	if err != nil {
		return nil, err
	}
	signed, err := h.Engine.Plumbing().Sign(ctx, sp.purpose(prefix), payload)
	if err != nil {
		return nil, err
	}
	c := sp.bareCookie(prefix + p.Nonce)
	c.Value = base64.RawURLEncoding.EncodeToString(signed)
	c.MaxAge = int(pendingFor / time.Second)
	if len(c.Name)+len(c.Value) > maxCookieSize && p.ReturnTo != "" {
		p.ReturnTo = ""
		return h.cookie(ctx, sp, prefix, p)
	}
	return c, nil
}

func (sp *ServiceProvider) bareCookie(name string) *http.Cookie {
	c := &http.Cookie{Name: name, Path: sp.path, HttpOnly: true, Secure: sp.secure, SameSite: http.SameSiteLaxMode, MaxAge: -1}
	if sp.secure {
		c.SameSite = http.SameSiteNoneMode
	}
	return c
}

// isOpen reports whether what was begun until a Unix time can still be ended. A time
// further ahead than a clock that differs a little makes it was written by one that
// was wrong: the person begins again, rather than that a login stays open for years.
func isOpen(expires int64, now time.Time) bool {
	left := time.Unix(expires, 0).Sub(now.Truncate(time.Second))
	return left > 0 && left <= 2*pendingFor
}

// keyOfRequest uses up a request, for as long as [isOpen] may say that it is open.
func keyOfRequest(id string, now time.Time) provision.OnceKey {
	return provision.OnceKey{Text: "saml request\x00" + id, Until: now.Add(2*pendingFor + time.Second)}
}

// pendingOf returns the pending logins of a browser, the oldest first, and the
// names of cookies that are of no use.
func (h *Handler) pendingOf(r *http.Request, sp *ServiceProvider, prefix string) (open []pending, stale []string, err error) {
	now := h.now()
	for _, c := range r.Cookies() {
		nonce, ok := strings.CutPrefix(c.Name, prefix)
		if !ok {
			continue
		}
		signed, decodeErr := base64.RawURLEncoding.DecodeString(c.Value)
		if decodeErr != nil || len(c.Value) > maxCookieSize {
			stale = append(stale, c.Name)
			continue
		}
		payload, ok, err := h.Engine.Plumbing().Verify(r.Context(), sp.purpose(prefix), signed)
		var p pending
		switch {
		case err != nil:
			return nil, nil, err
		case !ok, json.Unmarshal(payload, &p) != nil || p.Nonce != nonce || !isOpen(p.Expires, now):
			stale = append(stale, c.Name)
		default:
			open = append(open, p)
		}
	}
	slices.SortStableFunc(open, func(a, b pending) int { return int(a.Expires - b.Expires) })
	return open, stale, nil
}

// drop tells the browser to forget cookies.
func (sp *ServiceProvider) drop(w http.ResponseWriter, names ...string) {
	for _, name := range names {
		http.SetCookie(w, sp.bareCookie(name))
	}
}
