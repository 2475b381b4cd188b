package patch

import (
	"fmt"
	"strings"

	"github.com/scimjit/provision/scim/schema"
	"github.com/scimjit/provision/store"
)

// Place returns where the request names a member, for the text of an error: such
// as "members[3].value", with the operation before it where there are several. It
// is empty where it cannot be told.
func (r *Request) Place(id string) string {
	for i := range r.Operations {
		o := &r.Operations[i]
		place := o.place(id)
		if place == "" {
			continue
		}
		if len(r.Operations) > 1 {
			place = fmt.Sprintf("Operations[%d]: %s", i, place)
		}
		return place
	}
	return ""
}

func (o *Operation) place(id string) string {
	if o.Path != "" {
		if place := listed(o.Path, o.Value, id); place != "" || !strings.Contains(o.Path, id) {
			return place
		}
		return "path " + schema.QuotedText(o.Path) + ":"
	}
	for key, value := range store.Document(o.Value).Fields() {
		if place := listed(string(key), value, id); place != "" {
			return place
		}
	}
	return ""
}

// listed returns the place of an id in the list of members at a path.
func listed(path string, list store.Raw, id string) string {
	i := 0
	for element := range list.Elements() {
		if element.Text() == id {
			return fmt.Sprintf("%s[%d]", path, i)
		}
		for key, value := range element.Document().Fields() {
			if strings.EqualFold(string(key), "value") && value.Text() == id {
				return fmt.Sprintf("%s[%d].value", path, i)
			}
		}
		i++
	}
	return ""
}
