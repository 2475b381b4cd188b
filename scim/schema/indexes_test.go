package schema_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/scimjit/provision/scim/schema"
	"github.com/scimjit/provision/store"
)

// TestIndexesGiveKeys expects that the keys which an engine finds by Set.Indexes in what
// is stored are those which ResourceType.Keys makes of a resource.
func TestIndexesGiveKeys(t *testing.T) {
	definitions := schema.StandardDefinitions()
	definitions[0].Index = append(definitions[0].Index, "title", "name.familyName", "phoneNumbers.value", "photos.value", "emails.type", schema.EnterpriseURN+":department")
	set, err := schema.Compile(definitions...)
	if err != nil {
		t.Fatal(err)
	}
	user := set.Type("User")
	bodies := []string{
		`{"userName":"A","title":" Straße ","name":{"familyName":"O'Néil"},"emails":[{"value":"A@b","type":"work"},{"value":"a@B","type":"home"},{"value":"c@d"}],
			"phoneNumbers":[{"value":"tel:1"},{"value":""}],"photos":[{"value":"https://x/A"},{"value":"https://x/a"}],
			"urn:ietf:params:scim:schemas:extension:enterprise:2.0:User":{"department":"R\u0026D\\","manager":{"value":"M1"}}}`,
		`{"userName":"A","title":"\u0130stanbul \ud83d\ude00"}`, `{"userName":"b"}`,
	}
	for _, body := range bodies {
		d := schema.Decoder{Allow: schema.LooseSchemas}
		o, err := d.Resource(user, []byte(body))
		if err != nil {
			t.Fatal(err)
		}
		want := user.Keys(o)
		var got []store.Key
		for _, x := range set.Indexes() {
			if x.Type == "User" {
				got = x.Keys(got, o.AppendJSON(nil))
			}
		}
		for i := range want {
			want[i].Unique = false
		}
		for _, list := range [][]store.Key{got, want} {
			slices.SortFunc(list, func(a, b store.Key) int {
				return strings.Compare(a.Attribute+"\x00"+a.Value, b.Attribute+"\x00"+b.Value)
			})
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s:\n%+v, want\n%+v", body, got, want)
		}
	}
}
