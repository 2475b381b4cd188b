package scimtest

import (
	"context"
	"net/http"
	"net/url"
	"strings"
)

// Entra is a fake Microsoft Entra ID with one app. Set the fields before the
// first call. It is safe for concurrent use.
type Entra struct {
	// Flag makes it send what a tenant URL with aadOptscim062020 sends: PATCH as
	// RFC 7644 has it. The default is the older shape: capitalized operations,
	// one for each attribute, booleans as text, members to remove in the value.
	Flag bool

	Client
}

// NewEntra returns an app that provisions to a SCIM service root such as
// "https://app.example/scim/v2".
func NewEntra(baseURL, token string) *Entra {
	return &Entra{Client: Client{
		base:    strings.TrimSuffix(baseURL, "/"),
		token:   token,
		headers: map[string]string{"User-Agent": "", "Accept": "application/scim+json"},
	}}
}

// TestConnection is what an administrator starts with "Test connection": nobody
// and no group may be found.
func (e *Entra) TestConnection(ctx context.Context) error {
	const guid = "7b1f6f0e-0a5e-4d53-9a43-6c7a2d4f9b10"
	for _, path := range []string{userPath(guid), groupPath(guid)} {
		found, err := e.find(ctx, path)
		if err != nil {
			return err
		}
		if found != nil {
			return &Error{Method: http.MethodGet, Path: path, Status: http.StatusOK, Detail: "the filter finds what is not there"}
		}
	}
	return nil
}

// Sync is the step of a provisioning cycle for one person in scope, and returns
// the id of the user. It looks for the user name, creates the user, or changes
// the attributes that differ. What a person does not have is not cleared, and
// whether the user is active is left to Disable and Restore.
func (e *Entra) Sync(ctx context.Context, p Person) (id string, err error) {
	found, err := e.find(ctx, userPath(p.UserName))
	if err != nil {
		return "", err
	}
	if found == nil {
		created, err := e.do(ctx, http.MethodPost, "/Users", newUser(p))
		return created.text("id"), err // text of none is empty
	}
	id = found.text("id")
	return id, e.Update(ctx, id, p)
}

// Update changes the attributes in which a user differs from a person. Unlike
// Sync it can change the user name.
func (e *Entra) Update(ctx context.Context, id string, p Person) error {
	user, err := e.do(ctx, http.MethodGet, "/Users/"+id, nil)
	if err != nil {
		return err
	}
	var operations []object
	simple := object{}
	for _, a := range attributes(p) {
		old, want := at(user, a.keys), a.value
		switch {
		case want == "" || want == old:
		case e.Flag && !strings.Contains(a.path, "["):
			simple[a.path] = want
		case old == "":
			operations = append(operations, e.operation("Add", a.path, want))
		default:
			operations = append(operations, e.operation("Replace", a.path, want))
		}
	}
	if len(simple) > 0 {
		operations = append(operations, e.operation("Replace", "", simple))
	}
	if len(operations) == 0 {
		return nil
	}
	return e.patch(ctx, "/Users/"+id, operations...)
}

// Disable deactivates a user: unassigned, out of scope, blocked or deleted in
// the last thirty days.
func (e *Entra) Disable(ctx context.Context, id string) error { return e.activate(ctx, id, false) }

// Restore activates a user again. Entra ID does not send memberships again.
func (e *Entra) Restore(ctx context.Context, id string) error { return e.activate(ctx, id, true) }

func (e *Entra) activate(ctx context.Context, id string, active bool) error {
	var value any = active
	if !e.Flag {
		value = map[bool]string{true: "True", false: "False"}[active]
	}
	return e.patch(ctx, "/Users/"+id, e.operation("Replace", "active", value))
}

// Delete deletes a user for good, as Entra ID does thirty days after the person
// was deleted.
func (e *Entra) Delete(ctx context.Context, id string) error {
	return e.delete(ctx, "/Users/"+id)
}

// SyncGroup is the step of a cycle for one group, without its members, and
// returns its id. It looks for the name and creates the group, or changes the
// external id that differs.
func (e *Entra) SyncGroup(ctx context.Context, externalID, name string) (id string, err error) {
	group, err := e.find(ctx, groupPath(name))
	if err != nil {
		return "", err
	}
	if group == nil {
		group, err = e.do(ctx, http.MethodPost, "/Groups", object{
			"schemas":     []string{groupSchema, "http://schemas.microsoft.com/2006/11/ResourceManagement/ADSCIM/2.0/Group"},
			"externalId":  externalID,
			"displayName": name,
			"meta":        object{"resourceType": "Group"},
		})
		if err != nil {
			return "", err
		}
	}
	id = group.text("id")
	if group, err = e.do(ctx, http.MethodGet, "/Groups/"+id+"?excludedAttributes=members", nil); err != nil {
		return "", err
	}
	if group.text("externalId") == externalID {
		return id, nil
	}
	return id, e.patch(ctx, "/Groups/"+id, e.attribute("externalId", externalID))
}

// RenameGroup gives a group another name.
func (e *Entra) RenameGroup(ctx context.Context, group, name string) error {
	return e.patch(ctx, "/Groups/"+group, e.attribute("displayName", name))
}

// AddMembers adds users or groups to a group.
func (e *Entra) AddMembers(ctx context.Context, group string, members ...string) error {
	return e.patch(ctx, "/Groups/"+group, e.operation("Add", "members", e.members(members)))
}

// RemoveMembers removes users or groups from a group.
func (e *Entra) RemoveMembers(ctx context.Context, group string, members ...string) error {
	if !e.Flag {
		return e.patch(ctx, "/Groups/"+group, e.operation("Remove", "members", e.members(members)))
	}
	var operations []object
	for _, id := range members {
		operations = append(operations, e.operation("Remove", "members["+equal("value", id)+"]", nil))
	}
	return e.patch(ctx, "/Groups/"+group, operations...)
}

// DeleteGroup deletes a group.
func (e *Entra) DeleteGroup(ctx context.Context, group string) error {
	return e.delete(ctx, "/Groups/"+group)
}

func newUser(p Person) object {
	body := object{
		"schemas":     []string{userSchema, enterpriseSchema},
		"externalId":  p.ExternalID,
		"userName":    p.UserName,
		"active":      true,
		"displayName": p.display(),
		"emails":      []object{{"primary": true, "type": "work", "value": p.email()}},
		"meta":        object{"resourceType": "User"},
		"name":        object{"formatted": p.display(), "familyName": p.FamilyName, "givenName": p.GivenName},
		"roles":       []any{},
	}
	if p.Title != "" {
		body["title"] = p.Title
	}
	if p.Department != "" {
		body[enterpriseSchema] = object{"department": p.Department}
	}
	return body
}

// mapping is an attribute that an app maps: its PATCH path, its place in a
// resource, and its value for a person.
type mapping struct {
	path  string
	keys  []string
	value string
}

func attributes(p Person) []mapping {
	return []mapping{
		{"userName", []string{"userName"}, p.UserName},
		{"displayName", []string{"displayName"}, p.display()},
		{`emails[type eq "work"].value`, []string{"emails", "value"}, p.email()},
		{"name.formatted", []string{"name", "formatted"}, p.display()},
		{"name.givenName", []string{"name", "givenName"}, p.GivenName},
		{"name.familyName", []string{"name", "familyName"}, p.FamilyName},
		{"externalId", []string{"externalId"}, p.ExternalID},
		{"title", []string{"title"}, p.Title},
		{enterpriseSchema + ":department", []string{enterpriseSchema, "department"}, p.Department},
	}
}

// at returns the text at a place; of a list, in the element of type work.
func at(v any, keys []string) string {
	for _, key := range keys {
		if list, ok := v.([]any); ok {
			v = nil
			for _, element := range list {
				if m, ok := element.(map[string]any); ok && m["type"] == "work" {
					v = m
				}
			}
		}
		switch m := v.(type) {
		case object:
			v = m[key]
		case map[string]any:
			v = m[key]
		default:
			return ""
		}
	}
	text, _ := v.(string)
	return text
}

// operation returns a PATCH operation in the spelling of the dialect.
func (e *Entra) operation(op, path string, value any) object {
	if e.Flag {
		op = strings.ToLower(op)
	}
	o := object{"op": op}
	if path != "" {
		o["path"] = path
	}
	if value != nil {
		o["value"] = value
	}
	return o
}

// attribute returns the operation that replaces a simple attribute.
func (e *Entra) attribute(name, value string) object {
	if e.Flag {
		return e.operation("Replace", "", object{name: value})
	}
	return e.operation("Replace", name, value)
}

func (e *Entra) members(ids []string) []object {
	list := []object{}
	for _, id := range ids {
		member := object{"value": id}
		if !e.Flag {
			member["$ref"] = nil
		}
		list = append(list, member)
	}
	return list
}

func userPath(userName string) string {
	return "/Users?filter=" + url.QueryEscape(equal("userName", userName))
}

func groupPath(name string) string {
	return "/Groups?excludedAttributes=members&filter=" + url.QueryEscape(equal("displayName", name))
}
