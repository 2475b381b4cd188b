package mount_test

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/scimjit/provision/internal/mount"
)

func TestSegments(t *testing.T) {
	tests := []struct {
		target string
		strip  string // what a router removes before
		want   []string
	}{
		{target: "/", want: []string{}},
		{target: "//", want: []string{}},
		{target: "/Users", want: []string{"Users"}},
		{target: "/scim/v2/Users/1", want: []string{"scim", "v2", "Users", "1"}},
		{target: "//scim///v2//Users/", want: []string{"scim", "v2", "Users"}},
		{target: "/Users/a%20b", want: []string{"Users", "a b"}},
		{target: "/Users%2F1", want: []string{"Users/1"}},
		{target: "/x%2fUsers/%C3%A9", want: []string{"x/Users", "é"}},
		{target: "/Users/100%25", want: []string{"Users", "100%"}},
		{target: "/../Users/.", want: []string{"..", "Users", "."}},
		{target: "/scim/v2/Users/a%2Fb", strip: "/scim/v2", want: []string{"Users", "a/b"}},
	}
	for _, tt := range tests {
		t.Run(tt.target, func(t *testing.T) {
			var got []string
			handler := http.StripPrefix(tt.strip, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
				got = mount.Segments(r.URL)
			}))
			handler.ServeHTTP(httptest.NewRecorder(), httptest.NewRequestWithContext(t.Context(), http.MethodGet, tt.target, nil))
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}
