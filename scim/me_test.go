package scim_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/scimjit/provision/scim"
)

// A subject is the user who has that name, and nobody whose name only clashes.
func TestMeBySubject(t *testing.T) {
	for name, open := range stores {
		t.Run(name, func(t *testing.T) {
			s := newService(t, open(t), "auto")
			h := &scim.Handler{Engine: s.engine}
			h.Authenticate = func(r *http.Request) (scim.Principal, error) {
				return scim.Principal{Connection: "acme", Credential: "test", Subject: r.Header.Get("Authorization")}, nil
			}
			h.Me = func(r *http.Request, p scim.Principal) (string, error) {
				user, err := s.engine.Directory(p.Connection).UserNamed(r.Context(), p.Subject)
				if err != nil {
					return "", err
				}
				return user.ID, nil
			}
			for _, user := range []string{"sam", "Jose\u0301"} {
				r := httptest.NewRequest(http.MethodPost, "https://sp.example/Users", strings.NewReader(`{`+coreUser+`"userName":"`+user+`"}`))
				w := httptest.NewRecorder()
				if h.ServeHTTP(w, r); w.Code != http.StatusCreated {
					t.Fatalf("%d %s", w.Code, w.Body)
				}
			}
			const padded = "sam "
			for subject, want := range map[string]int{
				"sam": 200, "SAM": 200, "\u017fam": 404, padded: 404, "JOS\u00c9": 200, "nobody": 404, "": 404,
			} {
				r := httptest.NewRequest(http.MethodGet, "https://sp.example/Me", nil)
				r.Header.Set("Authorization", subject)
				w := httptest.NewRecorder()
				if h.ServeHTTP(w, r); w.Code != want {
					t.Errorf("%q: %d %s, want %d", subject, w.Code, w.Body, want)
				}
			}
		})
	}
}
