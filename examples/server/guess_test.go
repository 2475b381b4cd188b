package main

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"

	"github.com/scimjit/provision/store/memory"
)

// A weak operator token stops the server, with a reason and a code that tell nothing
// of it.
func TestWeakOperatorToken(t *testing.T) {
	for _, test := range []struct{ name, token, want string }{
		{"one letter", "a", "flag -operator-token: it must have at least 32 characters, and has 1 [credential_too_short]"},
		{"31 letters", strings.Repeat("k", 31), "and has 31 [credential_too_short]"},
		{"white space around it", " " + operatorToken, "[credential_white_space]"},
		{"white space alone", strings.Repeat(" ", 40), "[credential_white_space]"},
	} {
		_, err := parseFlags([]string{"-operator-token", test.token}, &bytes.Buffer{})
		if err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: error %v, want %q", test.name, err, test.want)
		} else if text := strings.TrimSpace(test.token); len(text) > 1 && strings.Contains(err.Error(), text) {
			t.Errorf("%s: the error %q tells the token", test.name, err)
		}
	}
	for _, token := range []string{"", strings.Repeat("k", 32), operatorToken} {
		if _, err := parseFlags([]string{"-operator-token", token}, &bytes.Buffer{}); err != nil {
			t.Errorf("a token of %d characters: %v", len(token), err)
		}
	}
}

// From the tenth wrong operator token in a minute an address waits, at every
// endpoint and together with wrong credentials of SCIM. The right one is served, so
// is every other address, and a request without a token is a plain 401.
func TestGuessedOperatorTokens(t *testing.T) {
	m := mount(t, memory.New())
	token := m.connect("gate", `{}`)
	from := func(address, path, authorization string) *httptest.ResponseRecorder {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, path, nil)
		if r.RemoteAddr = address; authorization != "" {
			r.Header.Set("Authorization", authorization)
		}
		w := httptest.NewRecorder()
		m.handler.ServeHTTP(w, r)
		return w
	}
	const here, there = "192.0.2.1:1000", "192.0.2.2:1000"
	paths := []string{"/accounts?connection=gate", "/connections", "/scim/v2/Users"}
	for i := range 9 {
		if w := from(here, paths[i%3], "Bearer wrong"+strconv.Itoa(i)); w.Code != http.StatusUnauthorized {
			t.Errorf("wrong token %d: %d", i+1, w.Code)
		}
	}
	for range 200 {
		w := from("192.0.2.1:2000", paths[0], "Bearer "+operatorToken[1:])
		wait, err := strconv.Atoi(w.Header().Get("Retry-After"))
		if w.Code != http.StatusTooManyRequests || err != nil || wait < 1 || wait > 60 || !strings.Contains(w.Body.String(), `"code":"too_many_failures"`) {
			t.Fatalf("one too many: %d %v %s", w.Code, w.Header(), w.Body)
		}
	}
	for _, test := range []struct {
		name, address, path, authorization string
		want                               int
	}{
		{"the right token", here, paths[0], "Bearer " + operatorToken, 200},
		{"a right credential", here, paths[2], "Bearer " + token, 200},
		{"a wrong credential", here, paths[2], "Bearer wrong", 429},
		{"no token", here, paths[0], "", 401},
		{"another scheme", here, paths[0], "Basic d3Jvbmc6d3Jvbmc=", 429},
		{"another address", there, paths[0], "Bearer wrong", 401},
		{"/healthz", here, "/healthz", "Bearer wrong", 200},
	} {
		if w := from(test.address, test.path, test.authorization); w.Code != test.want {
			t.Errorf("%s: %d, want %d", test.name, w.Code, test.want)
		}
	}
}
