package console

import (
	"bytes"
	"crypto/hmac"
	"errors"
	"fmt"
	"html/template"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/scimjit/provision"
	"github.com/scimjit/provision/policy"
)

// page is one row of the table of pages.
type page struct {
	pattern string // of a ServeMux, below the prefix
	view    string // the name of its template
	tab     string // its key among the tabs of a connection, which is a key of the words too

	// needs are the operations that the page asks of the API: it is not there for a viewer
	// who may not.
	needs []string

	show func(*visit) (any, error) // what the template shows

	// actions are what its forms do, by the value of their button named "action". An
	// action returns the key of the text that is said on the page it leads to; or content,
	// which is shown at once, of this page.
	actions map[string]func(*visit) (done, error)
}

// done is what came of an action.
type done struct {
	said    string // a key of the words, for the page that follows
	to      string // the page that follows, below the connection; empty is the same page
	content any    // shown at once, instead
	status  int    // of content; 0 is 200
}

// pageTable is the table. The tabs of a connection stand in its order.
func pageTable() []page {
	return []page{
		{pattern: "/{$}", view: "providers", show: (*visit).providers, actions: map[string]func(*visit) (done, error){"create": (*visit).createProvider}},
		{pattern: "/{connection}/overview", view: "overview", tab: "overview", needs: []string{"warnings.list", "accounts.count", "events.list"}, show: (*visit).overview},
		{pattern: "/{connection}/set-up", view: "set-up", tab: "setUp", needs: []string{"credentials.list", "accounts.list", "groups.list"}, show: (*visit).setUp, actions: setUpActions},
		{pattern: "/{connection}/settings", view: "settings", tab: "settings", needs: []string{"warnings.list", "groups.list"}, show: (*visit).settings, actions: settingsActions},
		{pattern: "/{connection}/people", view: "people", tab: "people", needs: []string{"accounts.list"}, show: (*visit).people},
		{pattern: "/{connection}/people/{account}", view: "person", needs: []string{"accounts.explain", "events.list"}, show: (*visit).person, actions: personActions},
		{pattern: "/{connection}/groups", view: "groups", tab: "groups", needs: []string{"groups.list"}, show: (*visit).groups},
		{pattern: "/{connection}/activity", view: "activity", tab: "activity", needs: []string{"activity.read", "requests.list", "traffic.list", "events.list"}, show: (*visit).activity, actions: activityActions},
		{pattern: "/{connection}/decisions", view: "decisions", tab: "decisions", needs: []string{"held.list"}, show: (*visit).decisions, actions: decisionActions},
		{pattern: "/{connection}/go-live", view: "go-live", tab: "goLive", needs: []string{"plan.read", "plan.people"}, show: (*visit).goLivePage, actions: goLiveActions},
	}
}

// visit is one request for a page by a known viewer.
type visit struct {
	h        *Handler
	w        http.ResponseWriter
	r        *http.Request
	viewer   Viewer
	session  session
	head     *connectionHead // of the connection in the address; nil without
	fields   map[string]string
	warnings []provision.Warning // of a page that looks at them
}

// view is what the frame of a page shows around its content.
type view struct {
	Title     string
	Tab       string
	Head      *connectionHead
	Tabs      []tab
	Form      string // the token of forms
	Done      string // a key of the words
	Next      string
	Error     string
	Code      string
	Fields    map[string]string // what is wrong, by the name of a field
	Viewer    *Viewer
	Home      string // where the name of the application leads
	SignOut   bool
	Providers bool // the viewer sees more than one
	Content   any
}

type tab struct {
	Key, Address string
	Current      bool
}

// pageError is an answer other than a page.
type pageError struct {
	status int
	title  string // a key of the words
	text   string
}

func (e *pageError) Error() string { return e.text }

// leadOn says that another page is meant.
type leadOn struct{ to string }

func (e *leadOn) Error() string { return "console: the page is " + e.to }

// page serves GET.
func (h *Handler) page(p page) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		v, err := h.visit(w, r)
		if err == nil && !v.may(p.needs...) {
			err = &pageError{http.StatusForbidden, "notFound", h.say("notFoundText")}
		}
		if err != nil {
			h.refuse(w, r, err)
			return
		}
		content, err := p.show(v)
		if on := (*leadOn)(nil); errors.As(err, &on) {
			http.Redirect(w, r, on.to, http.StatusSeeOther)
			return
		}
		if err != nil {
			h.showProblem(w, r, v, err)
			return
		}
		v.write(http.StatusOK, p, content)
	}
}

// act serves POST: it changes something, and leads back to a page.
func (h *Handler) act(p page) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		r.Body = http.MaxBytesReader(w, r.Body, 1<<20)
		v, err := h.visit(w, r)
		if err != nil {
			h.refuse(w, r, err)
			return
		}
		if err := r.ParseForm(); err != nil || !hmac.Equal([]byte(r.PostForm.Get("form")), []byte(h.formToken(v.session))) {
			h.showProblem(w, r, v, &pageError{http.StatusForbidden, "expired", h.say("expiredText")})
			return
		}
		action, ok := p.actions[r.PostForm.Get("action")]
		if !ok {
			h.showProblem(w, r, v, &pageError{http.StatusBadRequest, "problem", h.say("notFoundText")})
			return
		}
		d, err := action(v)
		switch {
		case err != nil:
			h.showProblem(w, r, v, err)
		case d.content != nil:
			v.write(max(d.status, http.StatusOK), p, d.content)
		default:
			to := h.prefix() + r.URL.EscapedPath()
			if d.to != "" {
				to = v.address(d.to)
			}
			http.Redirect(w, r, to+"?"+url.Values{"done": {d.said}}.Encode(), http.StatusSeeOther)
		}
	}
}

// visit finds out who asks, and about which connection.
func (h *Handler) visit(w http.ResponseWriter, r *http.Request) (*visit, error) {
	viewer, s, err := h.visitor(w, r)
	if err != nil {
		return nil, err
	}
	v := &visit{h: h, w: w, r: r, viewer: viewer, session: s}
	if id := r.PathValue("connection"); id != "" {
		v.head, err = v.loadHead(id)
	}
	return v, err
}

// saidBefore returns the key of the text that an action has left for the page that follows.
func saidBefore(r *http.Request) string {
	key := r.URL.Query().Get("done")
	if !slices.Contains([]string{"saved", "done", "signedOut", "plan.asked", "plan.decided", "mode.changed"}, key) {
		return ""
	}
	return key
}

// may reports whether the viewer may do all of some operations of the API.
func (v *visit) may(names ...string) bool {
	rows := v.h.API.rows
	for _, name := range names {
		i := slices.IndexFunc(rows, func(r route) bool { return r.name == name })
		if i < 0 || !v.viewer.may(&rows[i]) {
			return false
		}
	}
	return true
}

// home is the first page: that of all providers, or the first of the only one that the viewer
// sees.
func (v *visit) home() string {
	if v.viewer.Role != RoleCustomer {
		return v.h.prefix() + "/"
	}
	for _, p := range pageTable() {
		if p.tab != "" && v.may(p.needs...) {
			return v.h.path(v.viewer.Connection) + p.pattern[strings.LastIndex(p.pattern, "/"):]
		}
	}
	return v.h.path(v.viewer.Connection, "overview")
}

// refuse sends who is not signed in to do that, and everybody else away.
func (h *Handler) refuse(w http.ResponseWriter, r *http.Request, err error) {
	if errors.Is(err, errNoSession) && h.Portal {
		err = &pageError{http.StatusForbidden, "portal.over", h.say("portal.overText")}
	}
	if !errors.Is(err, errNoSession) {
		h.showProblem(w, r, nil, err)
		return
	}
	next := withQuery(h.prefix()+r.URL.EscapedPath(), r.URL.Query())
	if r.Method != http.MethodGet {
		next = ""
	}
	http.Redirect(w, r, h.prefix()+"/"+assets+"/sign-in?"+url.Values{"next": {next}}.Encode(), http.StatusSeeOther)
}

// address is that of a page of the connection.
func (v *visit) address(rest string) string {
	return v.h.prefix() + "/" + url.PathEscape(v.head.ID) + "/" + rest
}

func (v *visit) write(status int, p page, content any) {
	title := ""
	if p.tab != "" {
		title = v.h.say(p.tab)
	}
	if named, ok := content.(interface{ title() string }); ok {
		title = named.title()
	}
	v.h.write(v.w, status, p.view, v.frame(title, p.tab, content))
}

func (v *visit) frame(title, current string, content any) *view {
	out := &view{
		Title: title, Tab: current, Head: v.head, Form: v.h.formToken(v.session),
		Fields: v.fields, Viewer: &v.viewer, SignOut: v.h.Who == nil, Home: v.home(), Providers: v.viewer.Role != RoleCustomer, Content: content,
	}
	if v.r.Method == http.MethodGet {
		out.Done = saidBefore(v.r)
	}
	if v.head == nil {
		return out
	}
	for _, p := range pageTable() {
		if p.tab == "" || !v.may(p.needs...) {
			continue
		}
		path := p.pattern[strings.LastIndex(p.pattern, "/")+1:]
		out.Tabs = append(out.Tabs, tab{p.tab, v.address(path), p.tab == current})
	}
	return out
}

func (h *Handler) write(w http.ResponseWriter, status int, name string, content *view) {
	var b bytes.Buffer
	if err := h.views[name].ExecuteTemplate(&b, "frame.html", content); err != nil {
		h.logger().Error("console: a page could not be made", "page", name, "error", err)
		http.Error(w, http.StatusText(http.StatusInternalServerError), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(status)
	_, _ = b.WriteTo(w) // the reader is gone: there is nobody to tell
}

func (h *Handler) notFound(w http.ResponseWriter, r *http.Request) {
	h.showProblem(w, r, nil, &pageError{http.StatusNotFound, "notFound", h.say("notFoundText")})
}

// showProblem is the page of an error.
func (h *Handler) showProblem(w http.ResponseWriter, r *http.Request, v *visit, err error) {
	status, title, text, code := h.describe(err)
	out := &view{Providers: !h.Portal}
	if v != nil {
		out = v.frame(title, "", nil)
	}
	out.Title, out.Error, out.Code, out.Done = title, text, code, ""
	if status == http.StatusInternalServerError {
		h.logger().ErrorContext(r.Context(), "console: a request failed", "method", r.Method, "page", r.Pattern, "error", err)
	}
	h.write(w, status, "problem", out)
}

// functions are what templates call beside their data.
func (h *Handler) functions() template.FuncMap {
	return template.FuncMap{
		"say":     h.say,
		"prefix":  h.prefix,
		"brand":   func() Brand { return h.Brand },
		"appName": h.appName,
		"path":    func(parts ...string) string { return h.path(parts...) },
		"moment":  moment,
		"isoTime": func(t time.Time) string { return t.UTC().Format(time.RFC3339) },
		"status":  func(s policy.Status) string { return h.say("status." + string(s)) },
		"effect":  func(e policy.Effect) string { return e.Text() },
		"label":   h.fieldLabel,
		"value":   showValue,
		"join":    strings.Join,
		"actor":   showActor,
		"lang": func() string {
			if h.Brand.Language != "" {
				return h.Brand.Language
			}
			return "en"
		},
	}
}

func (h *Handler) appName() string {
	if h.Brand.Name != "" {
		return h.Brand.Name
	}
	return "Provisioning"
}

// path is an address below the prefix; each part is one segment.
func (h *Handler) path(parts ...string) string {
	var b strings.Builder
	b.WriteString(h.prefix())
	for _, p := range parts {
		b.WriteString("/" + url.PathEscape(p))
	}
	return b.String()
}

// moment is a time as it is without script: in UTC.
func moment(t time.Time) string { return t.UTC().Format("2006-01-02 15:04") + " UTC" }

var optionLabels = func() map[string]string {
	out := map[string]string{}
	for _, o := range policy.Options() {
		out[o.Key] = o.Label
	}
	return out
}()

// fieldLabel is the label of a field of a form, or of an option.
func (h *Handler) fieldLabel(key string) string {
	if _, known := texts["field."+key]; known {
		return h.say("field." + key)
	}
	return optionLabel(key)
}

// optionLabel is the label of an option, or the name of what else gave a reason.
func optionLabel(key string) string {
	if label, ok := optionLabels[key]; ok {
		return label
	}
	return key
}

// showValue writes a value of a change as people read it.
func showValue(value any) string {
	switch x := value.(type) {
	case nil:
		return ""
	case string:
		return x
	case bool:
		if x {
			return "yes"
		}
		return "no"
	case []any:
		var parts []string
		for _, one := range x {
			parts = append(parts, showValue(one))
		}
		return strings.Join(parts, ", ")
	case map[string]any:
		if name, ok := x["name"].(string); ok {
			return name
		}
		var parts []string
		for key, one := range x {
			parts = append(parts, key+": "+showValue(one))
		}
		return strings.Join(parts, ", ")
	}
	return fmt.Sprint(value)
}

func showActor(a provision.Actor) string {
	if a.ID == "" {
		return a.Kind
	}
	return a.Kind + " " + a.ID
}
