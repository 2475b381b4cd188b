package ldap

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/scimjit/provision"
)

// Directories count wrong passwords, and lock who has too many. They forget them when the
// last one is older than some time, half an hour as a rule. Three from strangers and three
// from a browser that knows the person are fewer than leastThreshold.
const (
	wrongPasswords = 3
	leastThreshold = 2*wrongPasswords + 1
	countedFor     = 30 * time.Minute

	// wrongWithin is longer: the directory counts from when it answers.
	wrongWithin = countedFor + time.Minute
)

// throttle counts the attempts of one login, so that a stranger cannot lock somebody out
// of their directory.
type throttle struct {
	plumbing   provision.Plumbing
	connection string
	known      knownPeople

	key   string // of the person
	taken string // the attempt
}

// may takes an attempt before the directory is asked. A browser in which the person has
// logged in before has attempts of its own.
func (t *throttle) may(ctx context.Context, key string) (bool, error) {
	t.key, t.taken = key, "ldap login\x00"+key
	ok, err := t.plumbing.TakeAttempt(ctx, t.connection, t.taken, wrongPasswords, wrongWithin)
	if err != nil || ok || !slices.Contains(t.known.People, personKey(key)) {
		return ok, err
	}
	t.taken += "\x00" + t.known.Browser
	return t.plumbing.TakeAttempt(ctx, t.connection, t.taken, wrongPasswords, wrongWithin)
}

// right gives all attempts back: directories count anew after the right password, too.
func (t *throttle) right(ctx context.Context, _ string) error {
	return t.plumbing.ReturnAttempts(ctx, t.connection, t.taken, wrongPasswords)
}

func (t *throttle) unasked(ctx context.Context, _ string) error {
	return t.plumbing.ReturnAttempts(ctx, t.connection, t.taken, 1)
}

// knownPeople are those who have logged in with one browser. They are kept in a cookie of
// it, signed.
type knownPeople struct {
	Browser string   `json:"b"`
	People  []string `json:"p"` // the latest last
	Expires int64    `json:"e"` // Unix time
}

const (
	knownFor  = 90 * 24 * time.Hour
	mostKnown = 5
)

func personKey(key string) string {
	sum := hash(key)
	return hex.EncodeToString(sum[:])
}

func cookieName(connection string) string { return "ldap_known_" + connection }

// purpose keeps the cookies of one connection from counting for another.
func purpose(connection string) string { return "jit/ldap known " + connection }

// known reads the cookie. One that is of no use is none.
func (h *Handler) known(r *http.Request, connection string) (k knownPeople, err error) {
	c, err := r.Cookie(cookieName(connection))
	if err != nil {
		return k, nil
	}
	signed, err := base64.RawURLEncoding.DecodeString(c.Value)
	if err != nil {
		return k, nil
	}
	payload, ok, err := h.Servers.Engine.Plumbing().Verify(r.Context(), purpose(connection), signed)
	if err != nil || !ok || json.Unmarshal(payload, &k) != nil || !time.Unix(k.Expires, 0).After(h.now()) {
		return knownPeople{}, err
	}
	return k, nil
}

// remember writes the cookie of a browser in which somebody has logged in.
func (h *Handler) remember(w http.ResponseWriter, r *http.Request, connection string, k knownPeople, key string) error {
	person := personKey(key)
	k.People = append(slices.DeleteFunc(slices.Clone(k.People), func(p string) bool { return p == person }), person)
	k.People = k.People[max(0, len(k.People)-mostKnown):]
	if k.Browser == "" {
		k.Browser = rand.Text()
	}
	k.Expires = h.now().Add(knownFor).Unix()
	payload, err := json.Marshal(k)
	if err != nil {
		return err
	}
	signed, err := h.Servers.Engine.Plumbing().Sign(r.Context(), purpose(connection), payload)
	if err != nil {
		return err
	}
	own, err := url.Parse(h.BaseURL(connection))
	if err != nil {
		return err
	}
	http.SetCookie(w, &http.Cookie{
		Name: cookieName(connection), Value: base64.RawURLEncoding.EncodeToString(signed), Path: strings.TrimSuffix(own.Path, "/") + "/",
		MaxAge: int(knownFor / time.Second), HttpOnly: true, Secure: own.Scheme == "https", SameSite: http.SameSiteLaxMode,
	})
	return nil
}

func (h *Handler) now() time.Time {
	if now := h.Servers.Engine.Now; now != nil {
		return now()
	}
	return time.Now()
}
