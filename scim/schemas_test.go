package scim_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/scimjit/provision/scim/schema"
	"github.com/scimjit/provision/store/memory"
)

// TestSchemasSayWhatIsDone reads /Schemas as a client does, and does with every
// attribute what its characteristics promise or exclude (RFC 7643 section 7).
func TestSchemasSayWhatIsDone(t *testing.T) {
	for _, dialect := range []string{"rfc", "auto"} {
		s := newService(t, memory.New(), dialect)
		var list struct{ Resources []schema.Published }
		if err := json.Unmarshal([]byte(s.do("GET", "/Schemas", acmeToken, "").body), &list); err != nil {
			t.Fatal(err)
		}
		for _, published := range list.Resources {
			for _, a := range published.Attributes {
				if a.Name == "members" {
					continue // TestScripts: they name resources
				}
				subs := a.Sub
				if subs == nil {
					subs = []schema.PublishedAttribute{a}
				}
				for _, sub := range subs {
					p := promise{service: s, urn: published.ID, attribute: a, sub: sub}
					t.Run(dialect+"/"+p.path(), p.check)
				}
			}
		}
	}
}

// promise is what /Schemas says of one simple attribute.
type promise struct {
	*service
	urn       string
	attribute schema.PublishedAttribute
	sub       schema.PublishedAttribute // itself where it is not complex
}

func (p promise) path() string {
	path := p.attribute.Name
	if p.attribute.Sub != nil {
		path += "." + p.sub.Name
	}
	if p.urn == schema.EnterpriseURN {
		path = p.urn + ":" + path
	}
	return path
}

func (p promise) endpoint() string {
	if p.urn == schema.GroupURN {
		return "/Groups"
	}
	return "/Users"
}

// body is a resource with a value of the attribute.
func (p promise) body(name string, value any) string {
	inner := value
	if p.attribute.Sub != nil {
		element := map[string]any{p.sub.Name: value}
		for _, sub := range p.attribute.Sub {
			switch {
			case sub.Name == p.sub.Name || sub.Name != "value" && sub.Name != "locality":
			case sub.Type == "binary":
				element[sub.Name] = "QUJD"
			default:
				element[sub.Name] = "other" // an element says more than its type
			}
		}
		if inner = element; p.attribute.MultiValued {
			inner = []any{element}
		}
	}
	core := schema.UserURN
	resource := map[string]any{"userName": name}
	if p.urn == schema.GroupURN {
		core, resource = schema.GroupURN, map[string]any{"displayName": name}
	}
	schemas := []string{core}
	if p.urn == schema.EnterpriseURN {
		schemas = append(schemas, p.urn)
		resource[p.urn] = map[string]any{p.attribute.Name: inner}
	} else {
		resource[p.attribute.Name] = inner
	}
	resource["schemas"] = schemas
	data, err := json.Marshal(resource)
	if err != nil {
		panic(err)
	}
	return string(data)
}

// value is a value of the attribute, in one spelling or the other.
func (p promise) value(upper bool) any {
	switch p.sub.Type {
	case "boolean":
		return true
	case "binary":
		return "QUJDabcd"
	}
	text := "https://x.example/a-" + strings.ToLower(strings.NewReplacer(":", "", ".", "").Replace(p.path()))
	if upper {
		return strings.ToUpper(text)
	}
	return text
}

func (p promise) check(t *testing.T) {
	value, other := p.value(false), p.value(true)
	created := p.do("POST", p.endpoint(), acmeToken, p.body("n1-"+p.path(), value))
	if created.status != http.StatusCreated {
		t.Fatalf("POST: %d %s", created.status, created.body)
	}
	id, _ := created.json(t)["id"].(string)
	defer p.do("DELETE", p.endpoint()+"/"+id, acmeToken, "")
	text := fmt.Sprint(value)
	has := func(body string) bool { return strings.Contains(body, text) }
	if p.sub.Type == "boolean" {
		has = func(body string) bool { return strings.Contains(body, `"`+p.sub.Name+`":true`) }
	}
	kept := p.sub.Mutability == "readWrite"
	if got := has(created.body); got != (kept && p.sub.Returned == "default") {
		t.Errorf("mutability %s, returned %s, and in the answer to POST: %t", p.sub.Mutability, p.sub.Returned, got)
	}
	without := p.do("GET", p.endpoint()+"/"+id+"?excludedAttributes="+url.QueryEscape(p.path()), acmeToken, "").body
	if p.sub.Returned == "default" && has(without) {
		t.Errorf("returned default, and there although excluded: %s", without)
	}
	patch := fmt.Sprintf(`{"schemas":[%q],"Operations":[{"op":"replace","path":%q,"value":%s}]}`,
		"urn:ietf:params:scim:api:messages:2.0:PatchOp", p.path(), mustMarshal(other))
	changed := p.do("PATCH", p.endpoint()+"/"+id, acmeToken, patch)
	if p.sub.Mutability == "readOnly" {
		if changed.status < 400 && strings.Contains(changed.body, fmt.Sprint(other)) {
			t.Errorf("readOnly, and a PATCH is %d: %s", changed.status, changed.body)
		}
		return
	}
	if changed.status >= 300 {
		t.Errorf("mutability %s, and a PATCH is %d: %s", p.sub.Mutability, changed.status, changed.body)
	}
	if !kept || p.sub.Type != "string" && p.sub.Type != "reference" {
		return
	}
	filter := fmt.Sprintf("%s eq %q", p.path(), text) // the PATCH has written it in upper case
	found := p.do("GET", p.endpoint()+"?filter="+url.QueryEscape(filter), acmeToken, "").json(t)["totalResults"] == 1.0
	if found == *p.sub.CaseExact {
		t.Errorf("caseExact %t, and found in other case: %t", *p.sub.CaseExact, found)
	}
	name := "n2-" + p.path()
	if p.attribute.Name == "userName" || p.urn == schema.GroupURN {
		name = text
	}
	second := p.do("POST", p.endpoint(), acmeToken, p.body(name, value))
	if unique := second.status == http.StatusConflict; unique != (p.sub.Uniqueness == "server") {
		t.Errorf("uniqueness %s, and a second one in other case is %d", p.sub.Uniqueness, second.status)
	}
	if id, ok := second.json(t)["id"].(string); ok {
		p.do("DELETE", p.endpoint()+"/"+id, acmeToken, "")
	}
}

func mustMarshal(v any) []byte {
	data, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return data
}
