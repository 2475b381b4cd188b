package scim_test

import (
	"fmt"
	"net/http"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/elimity-com/scim/optional"
	elimity "github.com/elimity-com/scim/schema"
	"github.com/google/go-cmp/cmp"

	"github.com/scimjit/provision/scim"
	"github.com/scimjit/provision/scim/schema"
	"github.com/scimjit/provision/store/memory"
)

// made is what differs each time: ids and cursors.
var made = regexp.MustCompile(`[a-z2-7]{26}|[A-Za-z0-9_-]{100,}`)

// TestAnswers compares answers byte for byte with testdata/answers.txt: what
// clients discover, bulk responses, errors, and the envelopes of lists. A request
// is a line with the dialect, the method, the path and perhaps a body; its answer
// is the line below, behind a tab. Run with -update to write the answers anew.
func TestAnswers(t *testing.T) {
	const file = "testdata/answers.txt"
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	services := map[string]*service{}
	var got strings.Builder
	for line := range strings.Lines(string(data)) {
		if line[0] == '\t' {
			continue // the answer of the last time
		}
		got.WriteString(line)
		if line[0] == '#' || line[0] == '\n' {
			continue
		}
		request := strings.SplitN(strings.TrimSuffix(line, "\n")+" ", " ", 4)
		s := services[request[0]]
		if s == nil {
			s = newAnswerService(t, request[0])
			services[request[0]] = s
		}
		a := s.do(request[1], request[2], acmeToken, strings.TrimSpace(request[3]))
		fmt.Fprintf(&got, "\t%d %s\n", a.status, made.ReplaceAllString(a.body, "..."))
	}
	if *updateConversations {
		if err := os.WriteFile(file, []byte(got.String()), 0o600); err != nil {
			t.Fatal(err)
		}
		return
	}
	if diff := cmp.Diff(strings.Split(string(data), "\n"), strings.Split(got.String(), "\n")); diff != "" {
		t.Errorf("answers (-want +got):\n%s", diff)
	}
}

// newAnswerService returns a service with limits that its answers tell, at an
// address with a letter that JSON libraries like to escape. It keeps cards too.
func newAnswerService(t *testing.T, dialect string) *service {
	t.Helper()
	s := newService(t, memory.New(), dialect)
	s.engine.Now = func() time.Time { return time.Date(2030, 1, 2, 3, 4, 5, 0, time.UTC) }
	badge := elimity.Schema{ID: "urn:example:Badge", Name: optional.NewString("Badge"), Description: optional.NewString(`<b> & "ü"`), Attributes: elimity.Attributes{
		elimity.SimpleCoreAttribute(elimity.SimpleStringParams(elimity.StringParams{Name: "number", Required: true, CanonicalValues: []string{"1<2", "&"}})),
		elimity.SimpleCoreAttribute(elimity.SimpleReferenceParams(elimity.ReferenceParams{Name: "door", ReferenceTypes: []elimity.AttributeReferenceType{"Door", "Gate"}})),
	}}
	card := elimity.Schema{ID: "urn:example:Card", Attributes: elimity.Attributes{
		elimity.SimpleCoreAttribute(elimity.SimpleStringParams(elimity.StringParams{Name: "label", Uniqueness: elimity.AttributeUniquenessGlobal()})),
	}}
	set, err := schema.Compile(append(schema.StandardDefinitions(), schema.Definition{
		Name: "Card", Endpoint: "/Cards", Description: "<i>", Schema: card, Extensions: []schema.Extension{{Schema: badge, Required: true}},
	})...)
	if err != nil {
		t.Fatal(err)
	}
	h := s.handler.(*scim.Handler)
	h.BaseURL = func(*http.Request, string) string { return "https://sp.example/a&b" }
	h.Limits = scim.Limits{Depth: 5, String: 100, Count: 20, PageSize: 2, BulkOperations: 7, BulkBody: 4000, Cursor: 90 * time.Second}
	h.Schemas = func(string) *schema.Set { return set }
	return s
}
