package console

import (
	"encoding/csv"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/scimjit/provision"
	"github.com/scimjit/provision/policy"
)

type peopleContent struct {
	paging
	UserName string
	Status   string
	Asked    bool
	Statuses []policy.Status
	Rows     []personRow
	CSV      string
}

type personRow struct {
	ID, UserName, Display, Email, StatusText string
	Rights                                   []string
	Groups                                   int
}

func (v *visit) people() (any, error) {
	query := v.asked("userName", "status")
	content := &peopleContent{UserName: query.Get("userName"), Status: query.Get("status"), Statuses: shownStatuses}
	content.Asked = content.UserName != "" || content.Status != ""
	kept := url.Values{}
	for _, name := range []string{"userName", "status"} {
		if query.Has(name) {
			kept.Set(name, query.Get(name))
		}
	}
	content.CSV = withQuery(v.address("people.csv"), kept)
	rows, next, err := v.peoplePage(query, pageRows)
	content.Rows, content.paging = rows, v.pagesOf(next)
	return content, err
}

// peoplePage reads a page of people, and the parameters of the next.
func (v *visit) peoplePage(query url.Values, limit int) ([]personRow, url.Values, error) {
	query.Set("limit", itoa(limit))
	var list []*provision.Account
	next, err := v.list(&list, query, v.of("accounts")...)
	if err != nil {
		return nil, nil, err
	}
	rows := make([]personRow, 0, len(list))
	for _, a := range list {
		rows = append(rows, personRow{
			ID: a.ID, UserName: orID(a.UserName, a.ID), Display: orID(a.DisplayName, a.Name), Email: a.Email,
			StatusText: v.statusText(a), Rights: v.rights(a), Groups: len(a.Groups),
		})
	}
	return rows, next, nil
}

// orID returns a text, or another one where it is empty.
func orID(text, other string) string {
	if text != "" {
		return text
	}
	return other
}

// statusText is the status of an account in words, with what is to be known about it.
func (v *visit) statusText(a *provision.Account) string {
	text := v.h.say("status." + string(a.Status))
	if a.Held {
		text += ", " + v.h.say("status.held")
	}
	if a.Pending {
		text += ", " + v.h.say("status.pending")
	}
	return text
}

func (v *visit) rights(a *provision.Account) []string {
	var out []string
	if a.SiteAdmin {
		out = append(out, v.h.say("siteAdmin"))
	}
	if a.ReadOnlySiteAdmin {
		out = append(out, v.h.say("readOnlyAdmin"))
	}
	if slices.ContainsFunc(a.Groups, isGroupAdmin) {
		out = append(out, v.h.say("groupAdmin"))
	}
	return append(out, a.Roles...)
}

// csvRows is how many people a download reads at a time.
const csvRows = 500

// peopleCSV writes all people who match, page by page: a table program reads it. Where it
// ends early the connection is cut, so that it does not look whole.
func (h *Handler) peopleCSV(w http.ResponseWriter, r *http.Request) {
	v, err := h.visit(w, r)
	if err != nil {
		h.refuse(w, r, err)
		return
	}
	rows, next, err := v.peoplePage(v.asked("userName", "status"), csvRows)
	if err != nil {
		h.showProblem(w, r, v, err)
		return
	}
	w.Header().Set("Content-Type", "text/csv; charset=utf-8")
	w.Header().Set("Content-Disposition", `attachment; filename="people-`+v.head.ID+`.csv"`)
	out := csv.NewWriter(w)
	_ = out.Write([]string{"userName", "displayName", "email", "status", "rights", "groups", "accountId"}) // Error says it below
	for {
		for _, p := range rows {
			_ = out.Write(harmless(p.UserName, p.Display, p.Email, p.StatusText, strings.Join(p.Rights, "; "), itoa(p.Groups), p.ID)) // likewise
		}
		out.Flush()
		if out.Error() != nil || next == nil {
			return
		}
		if rows, next, err = v.peoplePage(next, csvRows); err != nil {
			h.logger().ErrorContext(r.Context(), "console: a download ended early", "connection", v.head.ID, "error", err)
			panic(http.ErrAbortHandler)
		}
	}
}

// harmless makes a table program take each cell for a text: one that begins like a formula
// gets an apostrophe in front.
func harmless(cells ...string) []string {
	for i, c := range cells {
		if c != "" && strings.ContainsRune("=+-@\t\r", rune(c[0])) {
			cells[i] = "'" + c
		}
	}
	return cells
}
