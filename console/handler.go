package console

import (
	"bytes"
	"cmp"
	"embed"
	"errors"
	"fmt"
	"html/template"
	"io/fs"
	"log/slog"
	"maps"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"time"
)

// Handler is the console: the pages on which an operator of the application, or the
// administrator of a customer, looks after connections. Everything that a page shows or
// changes goes through API, as one of its clients, with the rights of the viewer.
//
// The pages work without script, load nothing from elsewhere, and set no cookie but that of
// their own session. Mount the handler at Prefix:
//
//	mux.Handle("/console/", &console.Handler{API: api, Who: who})
//
// A Handler must not be changed after its first request. It is safe for concurrent use.
type Handler struct {
	// API answers the pages. It is required.
	API *API

	// Prefix is where the handler is mounted, without a slash at its end. Empty means
	// "/console", or "/portal" with Portal.
	Prefix string

	// Who says who a request is from, by a session of the host. An error sends the reader
	// away with 403. Where Who is nil, SignIn must be set.
	Who func(*http.Request) (Viewer, error)

	// SignIn says whom a token lets in, on the page that asks for one. Its session ends
	// after twelve hours. It is not asked where Who is set. Wrong tokens are slowed down
	// by address, as wrong credentials are.
	SignIn func(r *http.Request, token string) (Viewer, bool)

	// Portal makes the handler that of the administrators of customers: whoever brings the
	// code of a portal link and its proof sees the pages of that connection, as far as the
	// link lets them ([provision.Directory.CreatePortalLink]). The address of a link is
	// Prefix, a slash and its code. Who and SignIn are not asked.
	Portal bool

	// Key signs sessions and forms, 32 bytes. Replicas need the same. Empty means one of
	// this process, with which its sessions end. A change of Key ends all sessions.
	Key []byte

	// Base is the address of the application below which SCIM, SAML and LDAP are mounted,
	// as in "https://app.example.com". The pages show the addresses below it. Cookies are
	// for https alone where it begins with that.
	Base string

	// Docs is the address of the folder docs of this project, with a slash at its end;
	// empty means that of its repository.
	Docs string

	// Brand is how the pages look like part of the application.
	Brand Brand

	// Words replaces texts of the pages, by key: see [Words].
	Words map[string]string

	// Logger is told what goes wrong here; nil means slog.Default.
	Logger *slog.Logger

	// Now is the clock; nil means time.Now.
	Now func() time.Time

	once  sync.Once
	fault error
	mux   *http.ServeMux
	views map[string]*template.Template
	style []byte
	guard *http.CrossOriginProtection
}

// Brand is how the pages look like part of the application.
type Brand struct {
	Name string // of the application; empty means "Provisioning"
	Logo string // the address of a picture, on the host's own site

	// Colors are CSS colors by what they are for: accent, on-accent, back, card, text, soft,
	// line, good, warn, bad, tint. They count in light and dark.
	Colors map[string]string

	// Language is that of Words, as in "de"; empty means "en".
	Language string
}

// Words returns all texts of the pages by key, to be translated for [Handler.Words]. The
// verbs in a text stand for values, in their order.
func Words() map[string]string {
	return maps.Clone(texts)
}

//go:embed templates/*.html style.css script.js
var files embed.FS

// color is what a value of Brand.Colors may be: a name, a hex color, or a function of
// numbers. Nothing else gets into the style.
var color = regexp.MustCompile(`^(#[0-9a-fA-F]{3,8}|[a-zA-Z]+|[a-z]+\([0-9a-z.,%/ ]+\))$`)

// assets is below which the style, the script and the sign-in are. No connection has this
// name.
const assets = "~"

func (h *Handler) prepare() {
	h.fault = errors.Join(h.prepareStyle(), h.prepareViews(), h.prepareKey())
	if h.fault != nil {
		return
	}
	h.API.once.Do(h.API.build) // the pages ask its table who may do what
	h.guard = http.NewCrossOriginProtection()
	if base, err := url.Parse(h.Base); err == nil && base.Host != "" { // a proxy may change the header Host
		h.fault = errors.Join(h.fault, h.guard.AddTrustedOrigin(base.Scheme+"://"+base.Host))
	}
	h.mux = http.NewServeMux()
	for pattern, handle := range map[string]http.HandlerFunc{
		"GET /" + assets + "/style.css": h.asset("text/css; charset=utf-8", h.style),
		"GET /" + assets + "/script.js": h.asset("text/javascript; charset=utf-8", mustRead("script.js")),
		"GET /" + assets + "/sign-in":   h.showSignIn,
		"POST /" + assets + "/sign-in":  h.signIn,
		"POST /" + assets + "/sign-out": h.signOut,
	} {
		h.mux.HandleFunc(pattern, handle)
	}
	if h.Portal {
		h.mux.HandleFunc("GET /{code}", h.showLink)
		h.mux.HandleFunc("POST /{code}", h.redeem)
	}
	h.mux.HandleFunc("GET /{connection}/people.csv", h.peopleCSV)
	h.mux.HandleFunc("GET /{connection}/settings/matches", h.showMatches)
	for _, p := range pageTable() {
		h.mux.HandleFunc("GET "+p.pattern, h.page(p))
		if p.actions != nil {
			h.mux.HandleFunc("POST "+p.pattern, h.act(p))
		}
	}
}

func (h *Handler) prepareStyle() error {
	var b bytes.Buffer
	b.Write(mustRead("style.css"))
	for name, value := range h.Brand.Colors {
		if !color.MatchString(value) || strings.Trim(name, "abcdefghijklmnopqrstuvwxyz-") != "" {
			return fmt.Errorf("console: %q is no color for %q", value, name)
		}
		fmt.Fprintf(&b, ":root { --%s: %s; }\n", name, value)
	}
	h.style = b.Bytes()
	return nil
}

// prepareViews parses the templates: each file but the frame is a page.
func (h *Handler) prepareViews() error {
	h.views = map[string]*template.Template{}
	frame, err := template.New("frame").Funcs(h.functions()).ParseFS(files, "templates/frame.html")
	if err != nil {
		return fmt.Errorf("console: %w", err)
	}
	names, err := fs.Glob(files, "templates/*.html")
	if err != nil {
		return err
	}
	for _, name := range names {
		page, err := frame.Clone()
		if err == nil {
			_, err = page.ParseFS(files, name)
		}
		if err != nil {
			return fmt.Errorf("console: %w", err)
		}
		h.views[strings.TrimSuffix(strings.TrimPrefix(name, "templates/"), ".html")] = page
	}
	return nil
}

func mustRead(name string) []byte {
	data, err := files.ReadFile(name)
	if err != nil {
		panic(err) // it is part of the program
	}
	return data
}

// ServeHTTP serves the pages below Prefix.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h.once.Do(h.prepare)
	if h.fault != nil {
		h.logger().Error("console", "error", h.fault)
		http.Error(w, http.StatusText(http.StatusInternalServerError), http.StatusInternalServerError)
		return
	}
	h.protect(w.Header())
	if err := h.guard.Check(r); err != nil {
		h.showProblem(w, r, nil, &pageError{http.StatusForbidden, "expired", h.say("expiredText")})
		return
	}
	path, below := strings.CutPrefix(r.URL.EscapedPath(), h.prefix())
	if !below || path != "" && path[0] != '/' {
		h.notFound(w, r)
		return
	}
	r2 := r.WithContext(r.Context())
	target := *r.URL
	decoded, err := url.PathUnescape(path)
	if err != nil {
		h.notFound(w, r)
		return
	}
	target.Path, target.RawPath = cmp.Or(decoded, "/"), path
	r2.URL = &target
	if _, pattern := h.mux.Handler(r2); pattern == "" {
		h.notFound(w, r)
		return
	}
	h.mux.ServeHTTP(w, r2)
}

// protect sets what every answer has: nothing is loaded from elsewhere, framed, guessed or
// kept, and no address of a page is told to other sites.
func (h *Handler) protect(header http.Header) {
	header.Set("Content-Security-Policy", "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self'; "+
		"form-action 'self'; base-uri 'none'; frame-ancestors 'none'")
	header.Set("X-Frame-Options", "DENY") // for browsers that do not know frame-ancestors
	header.Set("X-Content-Type-Options", "nosniff")
	header.Set("Referrer-Policy", "no-referrer")
	header.Set("Cross-Origin-Opener-Policy", "same-origin")
	header.Set("Cache-Control", "no-store")
}

func (h *Handler) asset(contentType string, data []byte) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", contentType)
		w.Header().Set("Cache-Control", "private, max-age=300")
		_, _ = w.Write(data) // the reader is gone: there is nobody to tell
	}
}

func (h *Handler) prefix() string {
	if h.Portal {
		return cmp.Or(h.Prefix, "/portal")
	}
	return cmp.Or(h.Prefix, "/console")
}

func (h *Handler) logger() *slog.Logger {
	if h.Logger != nil {
		return h.Logger
	}
	return slog.Default()
}

func (h *Handler) now() time.Time {
	if h.Now != nil {
		return h.Now()
	}
	return time.Now()
}
