package sqlstore_test

import (
	"fmt"
	"testing"

	"github.com/scimjit/provision/store/internal/sqlstore"
)

func TestRewrite(t *testing.T) {
	const query = `SELECT id FROM provision_scopes s, provision_events e`
	for _, test := range []struct{ name, prefix, want string }{
		{"default", sqlstore.DefaultPrefix, query},
		{"other", "app_", `SELECT id FROM app_scopes s, app_events e`},
	} {
		t.Run(test.name, func(t *testing.T) {
			if got := sqlstore.Rewrite(query, test.prefix); got != test.want {
				t.Errorf("got %s", got)
			}
		})
	}
}

func ExampleRewrite() {
	fmt.Println(sqlstore.Rewrite("DELETE FROM provision_events", "app_"))
	// Output: DELETE FROM app_events
}
