package provision_test

import (
	"cmp"
	"encoding/json"
	"fmt"
	"net/http/httptest"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

const sameToken = "token-of-acme-0123456789abcdef-0123456789"

// What the requests of FuzzStores are made of.
var (
	sameTexts   = []string{"ann", "ANN", "Straße", "STRASSE", "%", "a_b", "U\u0308nal", "ünal", "\u212aim", "kim0@example.com", "KIM1@example.com", " ann", "", "true", "7", `q"u\o`}
	sameTimes   = []string{"2030-01-02T03:04:20Z", "2030-01-02T04:04:20+01:00", "2030-01-02T03:04:05.001Z", "2030-01-05T00:00:00Z", "never"}
	sameStrings = []string{"userName", "displayName", "externalId", "title", "nickName", "name.givenName", "name.familyName", "emails.value", "emails.type", "emails", "phoneNumbers.value",
		"urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:department", "urn:ietf:params:scim:schemas:core:2.0:User:userName", "USERNAME", "groups.display", "members.value", "groups.value", "meta.version", "meta.resourceType", "id", "nothing"}
	sameOrders  = []string{"userName", "displayName", "externalId", "title", "name.familyName", "emails.value", "active", "meta.created", "meta.lastModified", "id", "nothing"}
	sameFlags   = []string{"active", "emails.primary"}
	sameTests   = []string{"eq", "ne", "co", "sw", "ew", "gt", "ge", "lt", "le"}
	sameMembers = []string{"members", "groups"}
)

// cursorText is what a cursor is: of a store, as it has the position.
var cursorText = regexp.MustCompile(`"(next|previous)Cursor":"[^"]*"`)

// ask sends a request and remembers its answer. It returns the body.
func (w *sameWalk) ask(method, path, body string, headers ...string) string {
	w.t.Helper()
	r := httptest.NewRequest(method, path, strings.NewReader(body))
	r.Header.Set("Authorization", "Bearer "+sameToken)
	if body != "" {
		r.Header.Set("Content-Type", "application/scim+json")
	}
	for i := 0; i+1 < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	answer := httptest.NewRecorder()
	w.handler.ServeHTTP(answer, r)
	if answer.Code >= 500 && answer.Code != 501 {
		w.t.Fatalf("%s %s %s: %d %s", method, path, body, answer.Code, answer.Body)
	}
	shown := cursorText.ReplaceAllString(answer.Body.String(), `"${1}Cursor":""`)
	w.results = append(w.results, fmt.Sprint(method, " ", path, " ", body, headers, " ", answer.Code, " ", answer.Header().Get("ETag"), " ", answer.Header().Get("Location"), "\n", shown))
	return answer.Body.String()
}

// request sends something about one resource.
func (w *sameWalk) request() {
	w.t.Helper()
	kind := w.one("User", "User", "Group")
	id := w.one(w.users...)
	if kind == "Group" {
		id = w.one(w.groups...)
	}
	path := "/" + kind + "s/" + id
	switch w.rng.IntN(8) {
	case 0:
		w.ask("GET", path+"?"+w.parts().Encode(), "", "If-None-Match", w.one("", "*", `W/"1"`, `W/"2"`))
	case 1, 2:
		w.created(kind, w.ask("POST", "/"+kind+"s", w.document(kind)))
	case 3:
		w.ask("PUT", path, w.document(kind), "If-Match", w.one("", "", "", `W/"1"`))
	case 4:
		w.ask("DELETE", path, "", "If-Match", w.one("", "", `W/"2"`))
	case 5:
		w.ask("POST", "/Bulk", w.bulk(path))
	default:
		w.ask("PATCH", path, w.patch())
	}
}

// list asks for a list in one of the ways.
func (w *sameWalk) list() {
	w.t.Helper()
	switch w.rng.IntN(6) {
	case 0:
		w.walkPages()
	case 1:
		w.ask("POST", w.one("/Users/.search", "/Groups/.search", "/.search"), w.search())
	default:
		w.ask("GET", "/"+w.one("Users", "Users", "Groups", "")+"?"+w.query().Encode(), "")
	}
}

// created remembers the resource of an answer.
func (w *sameWalk) created(kind, answer string) {
	var made struct{ ID string }
	if json.Unmarshal([]byte(answer), &made) != nil || made.ID == "" {
		return
	}
	if kind == "User" {
		w.users = append(w.users, made.ID)
	} else {
		w.groups = append(w.groups, made.ID)
	}
}

// query returns the parameters of a list.
func (w *sameWalk) query() url.Values {
	v := w.parts()
	if w.rng.IntN(4) > 0 {
		v.Set("filter", w.filter(2))
	}
	if w.rng.IntN(2) == 0 {
		v.Set("sortBy", w.one(sameOrders...))
		v.Set("sortOrder", w.one("ascending", "descending"))
	}
	if w.rng.IntN(2) == 0 {
		v.Set("startIndex", strconv.Itoa(w.rng.IntN(6)))
	}
	if w.rng.IntN(2) == 0 {
		v.Set("count", strconv.Itoa(w.rng.IntN(5)))
	}
	return v
}

// parts returns the parameters that choose attributes.
func (w *sameWalk) parts() url.Values {
	v := url.Values{}
	switch w.rng.IntN(5) {
	case 0:
		v.Set("attributes", w.one(sameStrings...)+","+w.one(sameMembers...))
	case 1:
		v.Set("excludedAttributes", w.one(sameMembers...)+","+w.one(sameStrings...))
	}
	return v
}

// walkPages follows the cursors of a list to its end, and one back.
func (w *sameWalk) walkPages() {
	v := w.query()
	v.Del("startIndex")
	v.Set("count", strconv.Itoa(1+w.rng.IntN(4)))
	root, next, back := w.one("/Users", "/Groups", "/"), "", ""
	for range 20 {
		v.Set("cursor", next)
		var page struct{ NextCursor, PreviousCursor string }
		if json.Unmarshal([]byte(w.askPage(root, v)), &page) != nil {
			break
		}
		if next, back = page.NextCursor, page.PreviousCursor; next == "" {
			break
		}
	}
	if back != "" {
		v.Set("cursor", back)
		w.askPage(root, v)
	}
}

// askPage asks for a page. What is remembered of the request has no cursor, as that is
// the store's.
func (w *sameWalk) askPage(root string, v url.Values) string {
	answer := w.ask("GET", root+"?"+v.Encode(), "")
	last := &w.results[len(w.results)-1]
	*last = strings.Replace(*last, url.QueryEscape(v.Get("cursor")), "", 1)
	return answer
}

func (w *sameWalk) search() string {
	body := map[string]any{"schemas": []string{"urn:ietf:params:scim:api:messages:2.0:SearchRequest"}}
	for name, values := range w.query() { // in any order
		body[name] = values[0]
		if n, err := strconv.Atoi(values[0]); err == nil {
			body[name] = n
		} else if strings.HasSuffix(name, "ttributes") {
			body[name] = strings.Split(values[0], ",")
		}
	}
	return w.json(body)
}

func (w *sameWalk) json(value any) string {
	text, err := json.Marshal(value)
	if err != nil {
		w.t.Fatal(err)
	}
	return string(text)
}

// filter returns a filter of some depth, not always a valid one.
func (w *sameWalk) filter(depth int) string {
	if depth > 0 {
		switch w.rng.IntN(8) {
		case 0, 1:
			return "(" + w.filter(depth-1) + w.one(" and ", " or ") + w.filter(depth-1) + ")"
		case 2:
			return "not (" + w.filter(depth-1) + ")"
		case 3:
			return fmt.Sprintf("emails[type %s %q and value %s %q]", w.one("eq", "ne"), w.one("work", "home"), w.one(sameTests...), w.text())
		}
	}
	switch w.rng.IntN(9) {
	case 0:
		return w.one(slices.Concat(sameStrings, sameFlags)...) + " pr"
	case 1:
		return fmt.Sprintf("%s %s %q", w.one("meta.created", "meta.lastModified"), w.one(sameTests...), w.one(sameTimes...))
	case 2:
		return fmt.Sprintf("%s %s %t", w.one(sameFlags...), w.one("eq", "ne"), w.rng.IntN(2) == 0)
	case 3:
		return fmt.Sprintf("%s eq %q", w.one("members.value", "members", "id"), w.one(w.users...))
	case 4:
		return fmt.Sprintf("%s eq %q", w.one("groups.value", "groups", "id"), w.one(w.groups...))
	case 5: // what stores have an index for
		attribute := w.one("userName", "displayName", "externalId", "emails.value", "emails")
		value := map[string]string{"displayName": w.group(), "externalId": w.id()}[attribute]
		return fmt.Sprintf("%s eq %s", attribute, w.json(cmp.Or(value, w.name())))
	case 6:
		return fmt.Sprintf("%s eq %s", w.one("userName", "displayName", "externalId", "emails.value", "emails"), w.json(w.text()))
	}
	return fmt.Sprintf("%s %s %s", w.one(sameStrings...), w.one(sameTests...), w.json(w.text()))
}

// text returns a text that the walk uses in other places, too.
func (w *sameWalk) text() string {
	switch w.rng.IntN(3) {
	case 0:
		return w.name()
	case 1:
		return w.one(w.id(), w.group())
	}
	return w.one(sameTexts...)
}

// document returns a user or a group with much in it.
func (w *sameWalk) document(kind string) string {
	d := map[string]any{"schemas": []string{"urn:ietf:params:scim:schemas:core:2.0:" + kind}}
	if w.rng.IntN(3) > 0 {
		d["externalId"] = w.id()
	}
	if kind == "Group" {
		d["displayName"] = w.group()
		var members []any
		for range w.rng.IntN(4) {
			members = append(members, map[string]any{"value": w.one(slices.Concat(w.users, w.groups)...)})
		}
		if w.rng.IntN(4) > 0 {
			d["members"] = members
		}
		return w.json(d)
	}
	d["userName"] = w.name()
	for _, name := range []string{"displayName", "title", "nickName"} {
		if w.rng.IntN(2) == 0 {
			d[name] = w.text()
		}
	}
	if w.rng.IntN(2) == 0 {
		d["active"] = w.rng.IntN(3) > 0
	}
	if w.rng.IntN(2) == 0 {
		d["name"] = map[string]any{"givenName": w.text(), "familyName": w.text()}
	}
	if w.rng.IntN(2) == 0 {
		d["emails"] = []any{
			map[string]any{"value": w.name(), "type": w.one("work", "home"), "primary": w.rng.IntN(2) == 0},
			map[string]any{"value": w.text(), "type": w.one("work", "other")},
		}
	}
	if w.rng.IntN(3) == 0 {
		d["urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"] = map[string]any{"department": w.text()}
	}
	return w.json(d)
}

// patch returns some operations.
func (w *sameWalk) patch() string {
	var list []any
	for range 1 + w.rng.IntN(3) {
		list = append(list, w.operation())
	}
	return w.json(map[string]any{"schemas": []string{"urn:ietf:params:scim:api:messages:2.0:PatchOp"}, "Operations": list})
}

func (w *sameWalk) operation() map[string]any {
	op := map[string]any{"op": w.one("add", "replace", "remove", "Replace")}
	member := []any{map[string]any{"value": w.one(slices.Concat(w.users, w.groups)...)}}
	switch w.rng.IntN(10) {
	case 0, 1:
		op["path"], op["value"] = "members", member
	case 2:
		op["path"] = fmt.Sprintf("members[value eq %q]", w.one(w.users...))
	case 3:
		op["path"], op["value"] = "active", w.rng.IntN(3) > 0
	case 4:
		op["path"], op["value"] = fmt.Sprintf("emails[type eq %q].value", w.one("work", "home")), w.text()
	case 5:
		op["path"], op["value"] = "emails", []any{map[string]any{"value": w.name(), "type": w.one("work", "home"), "primary": true}}
	case 6:
		op["value"] = map[string]any{"displayName": w.text(), "title": w.text()}
	case 7:
		op["path"], op["value"] = "displayName", w.group()
	case 8:
		op["path"], op["value"] = "userName", w.name()
	default:
		op["path"], op["value"] = w.one(sameStrings...), w.text()
	}
	if op["op"] == "remove" && w.rng.IntN(4) > 0 {
		delete(op, "value")
	}
	return op
}

// bulk returns some requests, the later ones about what the first one makes.
func (w *sameWalk) bulk(path string) string {
	read := func(text string) (value map[string]any) {
		if err := json.Unmarshal([]byte(text), &value); err != nil {
			w.t.Fatal(err)
		}
		return value
	}
	user, group, patch := read(w.document("User")), read(w.document("Group")), read(w.patch())
	group["members"] = []any{map[string]any{"value": "bulkId:u"}}
	return w.json(map[string]any{
		"schemas":      []string{"urn:ietf:params:scim:api:messages:2.0:BulkRequest"},
		"failOnErrors": 1 + w.rng.IntN(3),
		"Operations": []any{
			map[string]any{"method": "POST", "path": "/Users", "bulkId": "u", "data": user},
			map[string]any{"method": "POST", "path": "/Groups", "bulkId": "g", "data": group},
			map[string]any{"method": w.one("PATCH", "DELETE"), "path": path, "data": patch},
		},
	})
}
