package saml_test

import (
	"encoding/base64"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/scimjit/provision/store/memory"
)

// White space in base64 is layout, wherever it is (XML Schema part 2 section
// 3.2.16).
func TestLayoutOfForm(t *testing.T) {
	for name, layout := range map[string]func(string) string{
		"lines of 76":  func(s string) string { return lines(s, 76, "\r\n") },
		"tabs":         func(s string) string { return "\t" + lines(s, 64, "\n\t\t") + "\n" },
		"spaces":       func(s string) string { return lines(s, 64, "  ") },
		"none":         func(s string) string { return s },
		"inside of 4s": func(s string) string { return lines(s, 3, "\t") },
	} {
		s := newSite(t, memory.New(), unsolicited)
		encoded := base64.StdEncoding.EncodeToString([]byte(shape{assertion: unanswered, response: unanswered}.make(t)))
		answer := s.postForm(url.Values{"SAMLResponse": {layout(encoded)}}.Encode())
		if answer.StatusCode != http.StatusNoContent {
			t.Errorf("%s: status %d\n%s", name, answer.StatusCode, s.log.String())
		}
	}
}

func lines(s string, n int, end string) string {
	var out strings.Builder
	for ; len(s) > n; s = s[n:] {
		out.WriteString(s[:n] + end)
	}
	return out.String() + s
}
