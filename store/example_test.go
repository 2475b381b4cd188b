package store_test

import (
	"fmt"
	"slices"

	"github.com/scimjit/provision/store"
)

func ExampleDocument_Fields() {
	doc := store.Document(`{"userName":"ann","emails":[{"value":"a@example.com"},{"value":"b@example.com","primary":true}]}`)
	for key, value := range doc.Fields() {
		switch string(key) {
		case "userName":
			fmt.Println("user name", value.Text())
		case "emails":
			for email := range value.Elements() {
				address, _ := email.Document().Get("value")
				primary, _ := email.Document().Get("primary")
				fmt.Println("e-mail", address.Text(), primary.Bool())
			}
		}
	}
	// Output:
	// user name ann
	// e-mail a@example.com false
	// e-mail b@example.com true
}

func ExampleMatch() {
	ann := &store.Resource{ID: "1", Document: store.Document(`{"userName":"Ann","active":true}`)}
	filter := store.And{
		store.Compare{Path: store.Path{Keys: []string{"userName"}, Type: store.String}, Op: store.SW, Value: "AN"},
		store.Not{Filter: store.Compare{Path: store.Path{Keys: []string{"active"}, Type: store.Boolean}, Op: store.EQ, Value: "false"}},
	}
	fmt.Println(store.Match(filter, ann, nil))
	// Output: true <nil>
}

func ExampleNarrow() {
	terms, ok := store.Narrow(store.And{
		store.MemberOf{Group: "staff"},
		store.Compare{Path: store.Path{Keys: []string{"userName"}, Type: store.String}, Op: store.EQ, Value: "Ann", Key: "userName", Folded: "ann"},
	})
	fmt.Println(terms[0].Attribute, terms[0].Value, ok)
	// Output: userName ann true
}

func ExampleSort() {
	people := []*store.Resource{
		{ID: "1", Position: 1, Document: store.Document(`{"userName":"bob"}`)},
		{ID: "2", Position: 2, Document: store.Document(`{"title":"has no user name"}`)},
		{ID: "3", Position: 3, Document: store.Document(`{"userName":"Ann"}`)},
	}
	sort := &store.Sort{Path: store.Path{Keys: []string{"userName"}, Type: store.String}}
	slices.SortFunc(people, func(a, b *store.Resource) int { return sort.Compare(sort.Key(a), sort.Key(b)) })
	for _, r := range people {
		fmt.Println(r.ID)
	}
	// Output:
	// 3
	// 1
	// 2
}
