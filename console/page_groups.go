package console

import (
	"io"
	"net/http"
	"net/url"
	"strings"

	"github.com/scimjit/provision/policy"
)

type groupsContent struct {
	paging
	Query string
	Rows  []groupRow
	Roles []roleRow
}

type groupRow struct {
	Name    string
	Members int
	Options []optionLink
}

type optionLink struct{ Key, Label string }

type roleRow struct{ Groups, Role string }

func (v *visit) groups() (any, error) {
	query := v.asked("name")
	content := &groupsContent{Query: query.Get("name")}
	query.Set("limit", itoa(pageRows))
	var list []Group
	next, err := v.list(&list, query, v.of("groups")...)
	if err != nil {
		return nil, err
	}
	for _, g := range list {
		row := groupRow{Name: orID(g.Name, g.ID), Members: g.MemberCount}
		for _, o := range policy.Options() {
			if o.Kind == policy.KindPatterns && selects(o.Text(v.head.Policy), g) {
				row.Options = append(row.Options, optionLink{o.Key, o.Label})
			}
		}
		content.Rows = append(content.Rows, row)
	}
	for _, r := range v.head.Policy.Roles {
		content.Roles = append(content.Roles, roleRow{r.Groups.String(), r.Role})
	}
	content.paging = v.pagesOf(next)
	return content, nil
}

// selects reports whether the text of a list of patterns selects a group.
func selects(text string, g Group) bool {
	patterns, err := policy.ParsePatterns(text)
	if err != nil || len(patterns) == 0 {
		return false
	}
	return patterns.Covers(literal(g.Name)) || patterns.Covers("id:"+g.ID) || g.ExternalID != "" && patterns.Covers("id:"+g.ExternalID)
}

// literal is a pattern that matches a name alone.
var literalReplacer = strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`)

func literal(name string) string { return literalReplacer.Replace(name) }

// groupNames are groups that the form tells about patterns.
type groupNames []Group

// formGroups is how many groups the form looks at, and shownMatches how many it names.
const (
	formGroups   = 1000
	shownMatches = 5
)

func (v *visit) groupNames() (groupNames, error) {
	var list groupNames
	err := v.get(&list, url.Values{"limit": {itoa(formGroups)}}, v.of("groups")...)
	return list, err
}

// matches says which groups a list of patterns matches.
func (v *visit) matches(text string, groups groupNames) string {
	if strings.TrimSpace(text) == "" || len(groups) == 0 {
		return ""
	}
	var names []string
	n := 0
	for _, g := range groups {
		if !selects(text, g) {
			continue
		}
		if n++; n <= shownMatches {
			names = append(names, orID(g.Name, g.ID))
		}
	}
	list := strings.Join(names, ", ")
	switch {
	case n == 0:
		return v.h.say("matchesNone", len(groups))
	case n > shownMatches:
		list = v.h.say("matchesMore", list, n-shownMatches)
	}
	return v.h.say("matches", list)
}

// showMatches says which groups a text of the form matches, to its script.
func (h *Handler) showMatches(w http.ResponseWriter, r *http.Request) {
	v, err := h.visit(w, r)
	if err != nil {
		h.refuse(w, r, err)
		return
	}
	groups, err := v.groupNames()
	if err != nil {
		h.showProblem(w, r, v, err)
		return
	}
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	_, _ = io.WriteString(w, v.matches(r.URL.Query().Get("text"), groups)) // the reader is gone: there is nobody to tell
}
