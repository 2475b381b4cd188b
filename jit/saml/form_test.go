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

// A RelayState of a login that the identity provider began may be a whole URL of
// this origin. Of it the path and the query count.
func TestDeepLink(t *testing.T) {
	tests := map[string]string{
		"https://app.example.com/deep/link?a=1&b=%2F": "/deep/link?a=1&b=%2F",
		"https://app.example.com/deep#part":           "/deep",
		"https://APP.example.com:443/deep":            "/deep",
		"HTTPS://app.example.com/a%20b":               "/a%20b",
		"https://app.example.com":                     "/",
		"https://app.example.com/":                    "/",
		"https://app.example.com?a=1":                 "/?a=1",
		"/deep?a=1#part":                              "/deep?a=1#part",

		"http://app.example.com/deep":                          "",
		"https://app.example.com:8443/deep":                    "",
		"https://app.example.com./deep":                        "",
		"https://app.example.com.evil.example/deep":            "",
		"https://evil.example/https://app.example.com":         "",
		"https://app.example.com@evil.example/deep":            "",
		"https://user@app.example.com/deep":                    "",
		"https://app.example.com\\@evil.example/":              "",
		"https://app.example.com/\\evil.example":               "",
		"https://app.example.com//evil.example":                "",
		"https://app.example.com/a//b":                         "",
		"https:app.example.com/deep":                           "",
		"https:///app.example.com/deep":                        "",
		"//app.example.com/deep":                               "",
		"https://app.example.com/a\r\nb":                       "",
		"\thttps://app.example.com/deep":                       "",
		"javascript://app.example.com/%0aalert(1)":             "",
		"app.example.com/deep":                                 "",
		"https://app.example.com/" + strings.Repeat("a", 2048): "",
	}
	for relayState, want := range tests {
		s := newSite(t, memory.New(), unsolicited)
		s.post(shape{assertion: unanswered, response: unanswered}.make(t), relayState)
		if len(s.accounts) != 1 || s.accounts[0] != "jane@example.com "+want {
			t.Errorf("%q: logins %q, want %q\n%s", relayState, s.accounts, want, s.log.String())
		}
	}
}
