package store_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/scimjit/provision/store"
)

// enterpriseUser is a document of 1.7 kB as stores keep it.
const enterpriseUser = `{"externalId":"00u1000001harbor","userName":"ines.1000001@harbor.example",` +
	`"name":{"formatted":"Ms. Ines Maria Okafor 1000001, MSc","familyName":"Okafor 1000001","givenName":"Ines","middleName":"Maria","honorificPrefix":"Ms.","honorificSuffix":"MSc"},` +
	`"displayName":"Ines Okafor 1000001","nickName":"Ina","profileUrl":"https://people.harbor.example/1000001","title":"Tour Guide","userType":"Employee","preferredLanguage":"en-GB","locale":"en-GB","timezone":"Europe/London","active":true,` +
	`"emails":[{"value":"ines.1000001@harbor.example","type":"work","primary":true},{"value":"ines.1000001@quay.example","type":"home"}],` +
	`"phoneNumbers":[{"value":"tel:+44-1255-1000001","type":"work"},{"value":"tel:+44-7700-1000001","type":"mobile"}],` +
	`"ims":[{"value":"ines1000001","type":"xmpp"}],` +
	`"photos":[{"value":"https://photos.harbor.example/1000001/F","type":"photo"},{"value":"https://photos.harbor.example/1000001/T","type":"thumbnail"}],` +
	`"addresses":[{"type":"work","streetAddress":"12 Pier Road","locality":"Harwich","region":"Essex","postalCode":"CO12 3HH","country":"GB","formatted":"12 Pier Road\nHarwich CO12 3HH\nGB","primary":true},` +
	`{"type":"home","streetAddress":"7 Cliff Lane","locality":"Dovercourt","region":"Essex","postalCode":"CO12 4EB","country":"GB","formatted":"7 Cliff Lane\nDovercourt CO12 4EB\nGB"}],` +
	`"urn:ietf:params:scim:schemas:extension:enterprise:2.0:User":{"employeeNumber":"1000001","costCenter":"4130","organization":"Harbor Logistics","division":"Pilotage","department":"Night Operations",` +
	`"manager":{"value":"26118915-6090-4610-87e4-49d8ca9f808d"}}}`

// contains returns an Or of terms that all look for something and find nothing:
// all in title, or each in the next of the attributes.
func contains(terms int, paths ...[]string) store.Filter {
	or := make(store.Or, terms)
	for i := range or {
		path := store.Path{Keys: paths[i%len(paths)], Type: store.String}
		or[i] = store.Compare{Path: path, Op: store.CO, Value: fmt.Sprintf("x%dY", i)}
	}
	return or
}

var manyPaths = [][]string{
	{"title"}, {"userName"}, {"displayName"}, {"nickName"}, {"name", "familyName"}, {"name", "givenName"},
	{"emails", "value"}, {"emails", "type"}, {"phoneNumbers", "value"}, {"addresses", "locality"}, {"addresses", "formatted"},
	{"urn:ietf:params:scim:schemas:extension:enterprise:2.0:User", "department"},
}

// BenchmarkMatch is one row of a scan. The peer walks over the document for each
// term. "once" compiles the filter for one row, as a look-up does.
func BenchmarkMatch(b *testing.B) {
	r := &store.Resource{Document: store.Document(enterpriseUser)}
	for _, paths := range []struct {
		name string
		list [][]string
	}{{"one", manyPaths[:1]}, {"many", manyPaths}} {
		for _, terms := range []int{1, 10, 99} {
			filter := contains(terms, paths.list...)
			compiled := store.Compile(filter)
			for _, peer := range []struct {
				name  string
				match func() (bool, error)
			}{
				{"compiled", func() (bool, error) { return compiled.Match(r, nil) }},
				{"once", func() (bool, error) { return store.Match(filter, r, nil) }},
				{"walk", func() (bool, error) { return store.WalkMatch(filter, r, nil) }},
			} {
				b.Run(fmt.Sprintf("attributes=%s/terms=%d/peer=%s", paths.name, terms, peer.name), func(b *testing.B) {
					b.ReportAllocs()
					for b.Loop() {
						if ok, err := peer.match(); ok || err != nil {
							b.Fatal(ok, err)
						}
					}
				})
			}
		}
	}
}

// BenchmarkMatchKey is the row of a look-up by an indexed attribute.
func BenchmarkMatchKey(b *testing.B) {
	r := &store.Resource{Document: store.Document(enterpriseUser)}
	filter := store.Compare{Path: store.Path{Keys: []string{"userName"}, Type: store.String}, Op: store.EQ, Value: "ines.1000001@harbor.example"}
	b.ReportAllocs()
	for b.Loop() {
		if ok, err := store.Match(filter, r, nil); !ok || err != nil {
			b.Fatal(ok, err)
		}
	}
}

// A document is passed over once, and each value prepared once, however many terms
// ask for them; and no further than the terms need.
func TestMatchWork(t *testing.T) {
	path := func(keys ...string) store.Path { return store.Path{Keys: keys, Type: store.String} }
	element := func(value string) store.Filter {
		return store.Any{Path: path("emails"), Filter: store.And{
			store.Compare{Path: path("type"), Op: store.EQ, Value: "work"},
			store.Compare{Path: path("value"), Op: store.CO, Value: value},
		}}
	}
	elements := make(store.Or, 50)
	for i := range elements {
		elements[i] = element(strings.Repeat("zz", i+1))
	}
	numbers := make(store.Or, 99)
	for i := range numbers {
		numbers[i] = store.Compare{Path: store.Path{Keys: []string{"active"}, Type: store.Number}, Op: store.GT, Value: fmt.Sprint(i)}
	}
	for _, test := range []struct {
		name              string
		filter            store.Filter
		documents, values int
	}{
		{"one term", contains(1, manyPaths[0]), 1, 1},
		{"many terms", contains(99, manyPaths[0]), 1, 1},
		{"many attributes", contains(99, manyPaths...), 1, 12 + 1 + 1 + 1 + 2}, // emails twice, phoneNumbers, addresses twice
		{"elements", elements, 1 + 2, 2 + 1},                                   // two types, and the value of the one that is work
		{"numbers", numbers, 1, 1},
		{"own fields", store.Compare{Path: store.Path{Keys: []string{"id"}, Type: store.Exact}, Op: store.EQ, Value: "x"}, 0, 1},
		{"decided before", store.And{store.MemberOf{Group: "g"}, contains(99, manyPaths...)}, 0, 0},
	} {
		m := store.Compile(test.filter)
		const rows = 10
		for range rows {
			if ok, err := m.Match(&store.Resource{ID: "r", Document: store.Document(enterpriseUser)}, nil); ok || err != nil {
				t.Errorf("%s: %t, %v", test.name, ok, err)
			}
		}
		if m.Documents() != rows*test.documents || m.Values() != rows*test.values {
			t.Errorf("%s: in %d rows %d documents read and %d values prepared, want %d and %d",
				test.name, rows, m.Documents(), m.Values(), rows*test.documents, rows*test.values)
		}
	}
}
