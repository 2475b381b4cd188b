// Package docs holds the guide for trouble as a program reads it: the engine says of a
// refusal what the page says, so that there is one text.
package docs

import (
	_ "embed" // the page
	"strings"
	"sync"
)

//go:embed troubleshooting.md
var troubleshooting string

// Row is a row of docs/troubleshooting.md.
type Row struct {
	Code  string
	Cause string // what happened
	Who   string // who mends it, as the page has it, such as "IA, OP"
	How   string
	Guide string // file and section, such as "docs/troubleshooting.md#scim"
}

// sections are where the rows of a protocol stand, the first ones first.
var sections = map[string][]string{
	"scim": {"scim", "credentials"},
	"saml": {"logins"},
	"ldap": {"directories", "logins"},
	"sync": {"full-syncs", "directories"},
}

// rows are the rows of all codes, in the order of the page.
var rows = sync.OnceValue(func() (list []Row) {
	section := ""
	for line := range strings.Lines(troubleshooting) {
		line = strings.TrimSpace(line)
		if heading, ok := strings.CutPrefix(strings.TrimLeft(line, "#"), " "); ok && strings.HasPrefix(line, "##") {
			section = strings.ReplaceAll(strings.ToLower(strings.ReplaceAll(heading, "'", "")), " ", "-")
		}
		cells := strings.Split(strings.Trim(line, "| "), " | ")
		if !strings.HasPrefix(line, "| `") || len(cells) != 4 {
			continue
		}
		for code := range strings.SplitSeq(cells[0], ", ") {
			list = append(list, Row{strings.Trim(code, "`"), cells[1], cells[2], cells[3], "docs/troubleshooting.md#" + section})
		}
	}
	return list
})

// Find returns the row of a code, of the section of a protocol where there are several.
func Find(protocol, code string) (found Row, ok bool) {
	for _, section := range append(sections[protocol], "") {
		for _, row := range rows() {
			if row.Code == code && strings.HasSuffix(row.Guide, "#"+section) || section == "" && row.Code == code {
				return row, true
			}
		}
	}
	return Row{}, false
}
