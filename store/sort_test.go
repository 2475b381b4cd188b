package store_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/scimjit/provision/store"
)

func TestSort(t *testing.T) {
	at := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	for _, test := range []struct {
		name string
		path store.Path
		docs []string // of the resources a, b, c...
		up   string
		down string
	}{
		{"text", store.Path{Keys: []string{"x"}, Type: store.String}, []string{`{"x":"b"}`, `{"x":"A"}`, `{"x":"a"}`, `{}`}, "bcad", "dabc"},
		{"exact", store.Path{Keys: []string{"x"}, Type: store.Exact}, []string{`{"x":"b"}`, `{"x":"A"}`, `{"x":"a"}`}, "bca", "acb"},
		{"wrong type is absent", store.Path{Keys: []string{"x"}, Type: store.String}, []string{`{"x":1}`, `{"x":""}`, `{"x":"z"}`}, "cab", "abc"},
		{"number", store.Path{Keys: []string{"x"}, Type: store.Number}, []string{`{"x":10}`, `{"x":9}`, `{"x":-1e2}`, `{"x":"1"}`, `{"x":9.0}`}, "cbead", "dabec"},
		{"boolean", store.Path{Keys: []string{"x"}, Type: store.Boolean}, []string{`{"x":true}`, `{}`, `{"x":false}`, `{"x":"false"}`}, "cabd", "bdac"},
		{"instant", store.Path{Keys: []string{"x"}, Type: store.DateTime},
			[]string{`{"x":"2026-01-01T00:00:00Z"}`, `{"x":"2026-01-01T00:30:00+01:00"}`, `{"x":"soon"}`}, "bac", "cab"},
		{"first value", store.Path{Keys: []string{"x", "v"}, Type: store.String},
			[]string{`{"x":[{"v":"b"},{"v":"a"}]}`, `{"x":[{"w":"z"},{"v":"a"}]}`}, "ba", "ab"},
		{"primary value", store.Path{Keys: []string{"x", "v"}, Type: store.String},
			[]string{`{"x":[{"v":"a"},{"v":"c","primary":true}]}`, `{"x":[{"v":"b"}]}`}, "ba", "ab"},
		{"primary without the value", store.Path{Keys: []string{"x", "v"}, Type: store.String},
			[]string{`{"x":[{"v":"c"},{"primary":true}]}`, `{"x":[{"v":"b"}]}`}, "ba", "ab"},
		{"simple values", store.Path{Keys: []string{"x"}, Type: store.String}, []string{`{"x":["b","a"]}`, `{"x":["a","z"]}`}, "ba", "ab"},
		{"created", store.Path{Keys: []string{"meta", "created"}, Type: store.DateTime}, []string{`{}`, `{}`}, "ba", "ab"},
		{"id", store.Path{Keys: []string{"id"}, Type: store.Exact}, []string{`{}`, `{}`}, "ab", "ba"},
		{"no type", store.Path{Keys: []string{"x"}}, []string{`{"x":"b"}`, `{"x":"a"}`}, "ab", "ab"},
	} {
		t.Run(test.name, func(t *testing.T) {
			var resources []*store.Resource
			for i, doc := range test.docs {
				resources = append(resources, &store.Resource{
					ID: string(rune('a' + i)), Position: int64(i + 1), Created: at.Add(-time.Duration(i)), Document: store.Document(doc),
				})
			}
			slices.Reverse(resources)
			for descending, want := range map[bool]string{false: test.up, true: test.down} {
				s := &store.Sort{Path: test.path, Descending: descending}
				slices.SortFunc(resources, func(a, b *store.Resource) int { return s.Compare(s.Key(a), s.Key(b)) })
				var got strings.Builder
				for _, r := range resources {
					got.WriteString(r.ID)
				}
				if got.String() != want {
					t.Errorf("descending %t: %s, want %s", descending, got.String(), want)
				}
			}
		})
	}
}
