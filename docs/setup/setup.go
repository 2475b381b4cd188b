// Package setup holds the guides for the administrators of identity providers, one for
// each. They are read as they stand here, and the console shows the same text with the
// values of one connection in it.
package setup

import (
	"embed"
	"slices"
	"strings"
)

//go:embed *.md
var files embed.FS

// Guide is how one identity provider is set up.
type Guide struct {
	ID   string // the name of its file, such as "okta"
	Name string // the heading of its file, such as "Microsoft Entra ID"

	text string
}

// Guides returns all guides in order of name, the one for any other identity provider last.
func Guides() []Guide {
	entries, err := files.ReadDir(".")
	if err != nil {
		panic(err) // they are part of the program
	}
	var out []Guide
	for _, e := range entries {
		text, err := files.ReadFile(e.Name())
		if err != nil {
			panic(err)
		}
		heading, _, _ := strings.Cut(string(text), "\n")
		out = append(out, Guide{ID: strings.TrimSuffix(e.Name(), ".md"), Name: strings.TrimPrefix(heading, "# "), text: string(text)})
	}
	slices.SortFunc(out, func(a, b Guide) int {
		if general := rank(a) - rank(b); general != 0 {
			return general
		}
		return strings.Compare(strings.ToLower(a.Name), strings.ToLower(b.Name))
	})
	return out
}

// rank puts the guide that fits everybody behind the others.
func rank(g Guide) int {
	if g.ID == Generic {
		return 1
	}
	return 0
}

// Generic is the id of the guide for any other identity provider.
const Generic = "generic"

// Find returns the guide with an id, or that for any other identity provider.
func Find(id string) Guide {
	guides := Guides()
	for _, g := range guides {
		if g.ID == id {
			return g
		}
	}
	return guides[len(guides)-1]
}

// Values are what a guide says in the place of its examples.
type Values struct {
	Base       string // the address of the application, without a slash at its end
	Connection string // the id of the connection
	Docs       string // the address of the folder docs, with a slash at its end; empty leaves links as they are
}

// Text returns the guide in Markdown, without its heading, with the values in the place
// of the examples: "https://app.example.com", and ID where an address has it. A value has
// the form of an address or of an id; it is not escaped.
func (g Guide) Text(v Values) string {
	_, body, _ := strings.Cut(g.text, "\n")
	pairs := []string{
		"https://app.example.com/saml/ID/", v.Base + "/saml/" + v.Connection + "/",
		"https://app.example.com/ldap/ID/", v.Base + "/ldap/" + v.Connection + "/",
		"https://app.example.com/scim/ID/", v.Base + "/scim/" + v.Connection + "/",
		"https://app.example.com", v.Base,
		"`ID`", "`" + v.Connection + "`",
	}
	if v.Docs != "" {
		pairs = append(pairs, "](../", "]("+v.Docs)
	}
	return strings.NewReplacer(pairs...).Replace(body)
}
