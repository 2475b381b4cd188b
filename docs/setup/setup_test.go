package setup_test

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/scimjit/provision/docs/setup"
)

// sections are what every guide has, in this order.
var sections = []string{
	"What you need", "Steps", "Values to copy", "Mapping", "First requests",
	"You know that it works when", "Usual mistakes", "How to remove it",
}

func TestGuides(t *testing.T) {
	guides := setup.Guides()
	if len(guides) != 12 || guides[len(guides)-1].ID != setup.Generic {
		t.Errorf("%d guides, the last is %q", len(guides), guides[len(guides)-1].ID)
	}
	values := setup.Values{Base: "https://directory.acme.test", Connection: "c1", Docs: "https://docs.acme.test/"}
	for _, g := range guides {
		t.Run(g.ID, func(t *testing.T) {
			text := g.Text(values)
			rest := text
			for _, s := range sections {
				_, after, found := strings.Cut(rest, "\n## "+s+"\n")
				if !found {
					t.Fatalf("no section %q after the ones before it", s)
				}
				rest = after
			}
			for _, left := range []string{"app.example.com", "/ID/", "`ID`", "](../", "# " + g.Name + "\n"} {
				if strings.Contains(text, left) {
					t.Errorf("the text has %q still", left)
				}
			}
			if g.Name == "" || strings.HasPrefix(g.Name, "#") {
				t.Errorf("name %q", g.Name)
			}
		})
	}
}

func TestFind(t *testing.T) {
	for id, want := range map[string]string{"okta": "okta", "": setup.Generic, "unheard-of": setup.Generic} {
		if got := setup.Find(id).ID; got != want {
			t.Errorf("Find(%q) is %q, want %q", id, got, want)
		}
	}
}

// Every file is a guide: none is forgotten.
func TestFiles(t *testing.T) {
	entries, err := os.ReadDir(".")
	if err != nil {
		t.Fatal(err)
	}
	var n int
	for _, e := range entries {
		if strings.HasSuffix(e.Name(), ".md") {
			n++
		}
	}
	if guides := setup.Guides(); len(guides) != n {
		t.Errorf("%d guides of %d files", len(guides), n)
	}
}

func ExampleGuide_Text() {
	text := setup.Find("okta").Text(setup.Values{Base: "https://people.acme.test", Connection: "acme"})
	for line := range strings.Lines(text) {
		if strings.Contains(line, "| Single sign-on URL |") {
			fmt.Print(line)
		}
	}
	// Output: | Single sign-on URL | `https://people.acme.test/saml/acme/acs` |
}
