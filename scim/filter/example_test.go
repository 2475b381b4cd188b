package filter_test

import (
	"fmt"
	"log"

	"github.com/scimjit/provision/scim/filter"
	"github.com/scimjit/provision/scim/schema"
	"github.com/scimjit/provision/store"
)

// A filter is parsed, compiled with the schema of users, and evaluated.
func Example() {
	e, err := filter.Parse(`userName sw "BJ" and not (emails[type eq "home"])`, filter.Limits{})
	if err != nil {
		log.Fatal(err)
	}
	f, err := filter.Compile(schema.Standard().Type("User"), e, filter.Options{})
	if err != nil {
		log.Fatal(err)
	}
	user := &store.Resource{Document: store.Document(`{"userName":"bjensen","emails":[{"value":"b@example.com","type":"work"}]}`)}
	ok, err := store.Match(f, user, nil)
	fmt.Println(ok, err)
	// Output: true <nil>
}

func ExampleParse_error() {
	_, err := filter.Parse(`userName eq bjensen`, filter.Limits{})
	fmt.Println(err)
	// Output: expected a value (text in double quotes, a number, true, false or null) at offset 12
}

func ExampleFormat() {
	e, err := filter.Parse(`((Title PR)) AND emails[type EQ "work"].value co "@example.com"`, filter.Limits{})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(filter.Format(e))
	// Output: Title pr and emails[type eq "work" and value co "@example.com"]
}

func ExampleParsePath() {
	p, err := filter.ParsePath(`addresses[type eq "work"].streetAddress`, filter.Limits{})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(p.AttributePath.AttributeName, filter.Format(p.ValueExpression), p.SubAttributeName())
	// Output: addresses type eq "work" streetAddress
}
