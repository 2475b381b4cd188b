package ldap

import (
	"encoding/json"
	"errors"
	"fmt"
	"html/template"
	"math"
	"mime"
	"net/http"
	"net/url"
	"strconv"

	"github.com/scimjit/provision/internal/mount"
	"github.com/scimjit/provision/jit"
	"github.com/scimjit/provision/store"
)

// Handler logs people in by the password that they have in the directory of a connection.
// It serves the address ".../{connection}/login" under any router and at any prefix: GET
// is a form, POST takes it (username, password, return) or the same as a JSON object.
// Connections that do not have [provision.LDAP.Login] are not there.
//
// A name or password that is wrong is answered with 403 and the form, whatever is wrong;
// with 429 where one address has too many. A directory that cannot be asked is 503. JSON
// is answered with JSON, unless the host's functions write something else.
//
// Set the fields before the first request and do not change them after. A Handler is safe
// for concurrent use and must not be copied.
type Handler struct {
	// Servers has the directories. It is required.
	Servers *Servers

	// Login ends each login, and each refusal too. It is required. Where its OnDenied is
	// set, it is called instead of showing the form again.
	Login *jit.LoginHandler

	// BaseURL returns the public address of a connection, below which "login" is, such as
	// "https://app.example.com/ldap/corp". It is required.
	BaseURL func(connection string) string

	// Connection says which connection a request is for; nil means the segment of the
	// path before the last, or the path value "connection".
	Connection func(*http.Request) string
}

const maxBody = 16 << 10

// wrongPassword is what everybody reads who is refused.
const wrongPassword = "The user name or the password is not right, or you cannot log in here."

// credentials are what somebody typed.
type credentials struct {
	Username string `json:"username"`
	Password string `json:"password"`
	Return   string `json:"return"`
}

// ServeHTTP implements http.Handler.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	r = jit.As(r, "ldap")
	connection := h.locate(r)
	server, err := h.server(r, connection)
	if err != nil {
		h.fail(w, r, connection, err)
		return
	}
	switch r.Method {
	case http.MethodGet, http.MethodHead:
		writeForm(w, http.StatusOK, formPage{Return: localPath(r.URL.Query().Get("return"))})
	case http.MethodPost:
		h.post(w, r, connection, server)
	default:
		w.Header().Set("Allow", "GET, HEAD, POST")
		http.Error(w, http.StatusText(http.StatusMethodNotAllowed), http.StatusMethodNotAllowed)
	}
}

// locate returns the connection that a request is for. It is empty where router and path
// name different ones, or the address is another one.
func (h *Handler) locate(r *http.Request) string {
	segments := mount.Segments(r.URL)
	n := len(segments)
	if n > 0 && segments[n-1] != "login" {
		return ""
	}
	if h.Connection != nil {
		return h.Connection(r)
	}
	named := r.PathValue("connection")
	switch {
	case n < 2:
		return named
	case named != "" && named != segments[n-2]:
		return ""
	}
	return segments[n-2]
}

// server returns the directory of a connection that people log in by.
func (h *Handler) server(r *http.Request, connection string) (*Server, error) {
	c, err := h.Servers.Engine.Directory(connection).Connection(r.Context())
	if err != nil {
		return nil, err
	}
	if c.LDAP != nil && !c.LDAP.Login {
		c.LDAP = nil
	}
	return h.Servers.Of(c)
}

func localPath(s string) string {
	if jit.LocalPath(s) {
		return s
	}
	return ""
}

// post logs somebody in.
func (h *Handler) post(w http.ResponseWriter, r *http.Request, connection string, server *Server) {
	w.Header().Set("Cache-Control", "no-store")
	typed, err := h.read(w, r, connection)
	if err != nil {
		h.fail(w, r, connection, err)
		return
	}
	known, err := h.known(r, connection)
	if err != nil {
		h.fail(w, r, connection, err)
		return
	}
	t := throttle{plumbing: h.Servers.Engine.Plumbing(), connection: connection, known: known}
	id, err := server.login(r.Context(), attempt{name: typed.Username, password: typed.Password, may: t.may, right: t.right, unasked: t.unasked})
	if isRefusal(err) {
		h.refuse(w, r, connection, localPath(typed.Return), err)
		return
	}
	if err == nil {
		err = h.remember(w, r, connection, known, t.key)
	}
	if err != nil {
		h.fail(w, r, connection, err)
		return
	}
	h.login(w, r).Login(w, r, connection, id, typed.Return)
}

// login returns the end of logins, which answers JSON with JSON.
func (h *Handler) login(w http.ResponseWriter, r *http.Request) *jit.LoginHandler {
	if !isJSON(r) || h.Login.OnDenied != nil {
		return h.Login
	}
	l := *h.Login
	l.OnDenied = func(_ http.ResponseWriter, _ *http.Request, d *jit.Denial) { writeJSON(w, d) }
	return &l
}

func isJSON(r *http.Request) bool {
	media, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	return err == nil && media == "application/json"
}

// read reads the form. One that another site has sent could log somebody in as somebody
// else.
func (h *Handler) read(w http.ResponseWriter, r *http.Request, connection string) (c credentials, err error) {
	own, err := url.Parse(h.BaseURL(connection))
	if err != nil {
		return c, fmt.Errorf("ldap: Handler.BaseURL: %w", err)
	}
	protection := http.NewCrossOriginProtection()
	if err := protection.AddTrustedOrigin(own.Scheme + "://" + own.Host); err != nil {
		return c, fmt.Errorf("ldap: Handler.BaseURL: %w", err)
	}
	if err := protection.Check(r); err != nil {
		return c, &Error{Code: CodeOrigin, Reason: "the form comes from another site", Err: err}
	}
	r.Body = http.MaxBytesReader(w, r.Body, maxBody)
	if isJSON(r) {
		d := json.NewDecoder(r.Body)
		d.DisallowUnknownFields()
		if err := d.Decode(&c); err != nil || d.More() {
			return c, wrong(CodeRequest, "the body is not one JSON object with username, password and return") // the cause may quote the password
		}
		return c, nil
	}
	media, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil || media != "application/x-www-form-urlencoded" {
		return c, wrong(CodeRequest, "the content type is %q", plain(media))
	}
	if r.ParseForm() != nil {
		return c, wrong(CodeRequest, "the form cannot be read")
	}
	for name, to := range map[string]*string{"username": &c.Username, "password": &c.Password, "return": &c.Return} {
		switch values := r.PostForm[name]; len(values) {
		case 0:
		case 1:
			*to = values[0]
		default:
			return c, wrong(CodeRequest, "%s is there %d times", name, len(values))
		}
	}
	return c, nil
}

// refuse answers who may not log in. All of them read the same.
func (h *Handler) refuse(w http.ResponseWriter, r *http.Request, connection, returnTo string, err error) {
	address := r.RemoteAddr
	if h.Login.Address != nil {
		address = h.Login.Address(r)
	}
	status := http.StatusForbidden
	if wait := h.Servers.Engine.Plumbing().CountFailure(address); wait > 0 {
		status = http.StatusTooManyRequests
		w.Header().Set("Retry-After", strconv.Itoa(int(math.Ceil(wait.Seconds()))))
	}
	var known *Error
	errors.As(err, &known) // isRefusal has seen it
	denial := h.Login.Refuse(r, connection, status, string(known.Code), err)
	denial.Public = wrongPassword
	switch {
	case h.Login.OnDenied != nil:
		h.Login.OnDenied(w, r, denial)
	case isJSON(r):
		writeJSON(w, denial)
	default:
		writeForm(w, status, formPage{Refused: denial.Public, ID: denial.ID, Return: returnTo})
	}
}

// fail answers what is no refusal of a person.
func (h *Handler) fail(w http.ResponseWriter, r *http.Request, connection string, err error) {
	var known *Error
	if !errors.As(err, &known) {
		h.login(w, r).Fail(w, r, connection, err)
		return
	}
	status := http.StatusServiceUnavailable
	switch known.Code {
	case CodeConnection:
		status = http.StatusNotFound
	case CodeRequest, CodeOrigin:
		status = http.StatusBadRequest
	case CodeSetting:
		status = http.StatusInternalServerError
	default:
		err = errors.Join(err, &store.UnavailableError{RetryAfter: asideFor}) // for Retry-After
	}
	h.login(w, r).Deny(w, r, connection, status, string(known.Code), err)
}

func writeJSON(w http.ResponseWriter, d *jit.Denial) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(d.Status)
	_ = json.NewEncoder(w).Encode(map[string]string{"error": d.Public, "id": d.ID}) // the client may be gone
}

type formPage struct{ Refused, ID, Return string }

var formTemplate = template.Must(template.New("form").Parse(`<!DOCTYPE html>
<html lang="en">
<head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1"><meta name="color-scheme" content="light dark"><title>Log in</title></head>
<body>
<h1>Log in</h1>
{{if .Refused}}<p role="alert">{{.Refused}}</p>
<p>If you ask for help, quote this code: <code>{{.ID}}</code></p>
{{end}}<form method="post">
<p><label>User name <input name="username" autocomplete="username" autocapitalize="none" spellcheck="false" required autofocus></label></p>
<p><label>Password <input name="password" type="password" autocomplete="current-password" required></label></p>
<input type="hidden" name="return" value="{{.Return}}">
<p><button>Log in</button></p>
</form>
</body>
</html>
`))

func writeForm(w http.ResponseWriter, status int, p formPage) {
	header := w.Header()
	header.Set("Content-Type", "text/html; charset=utf-8")
	header.Set("Cache-Control", "no-store")
	header.Set("X-Content-Type-Options", "nosniff")
	header.Set("Referrer-Policy", "same-origin")
	header.Set("Content-Security-Policy", "default-src 'none'; base-uri 'none'; frame-ancestors 'none'")
	w.WriteHeader(status)
	_ = formTemplate.Execute(w, p) // the client may be gone
}
