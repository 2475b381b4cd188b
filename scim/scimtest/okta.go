package scimtest

import (
	"context"
	"errors"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
)

// Okta is a fake Okta with one app. There are two kinds of apps, which send
// different requests: one that an administrator made (AIW), the default, and one
// of the integration network. Set the fields before the first call. It is safe
// for concurrent use.
type Okta struct {
	// Catalog makes the app one of the integration network (OIN), which changes
	// activation and groups by PATCH. An AIW app reads and writes the whole
	// resource and never sends PATCH.
	Catalog bool

	Client

	mu    sync.Mutex
	names map[string]string // of assigned users by id
}

// NewOkta returns an AIW app that provisions to a SCIM service root such as
// "https://app.example/scim/v2".
func NewOkta(baseURL, token string) *Okta {
	return &Okta{
		Client: Client{
			base:  strings.TrimSuffix(baseURL, "/"),
			token: token,
			headers: map[string]string{
				"User-Agent":     "Okta SCIM Client 1.0.0",
				"Accept":         "application/scim+json",
				"Accept-Charset": "utf-8",
			},
		},
		names: map[string]string{},
	}
}

// TestConnection is what an administrator starts with "Test Connector
// Configuration".
func (o *Okta) TestConnection(ctx context.Context) error {
	_, err := o.do(ctx, http.MethodGet, "/Users?startIndex=1&count=2", nil)
	return err
}

// Assign gives a person the app, and returns the id of the user. A user who is
// there already with the user name is taken over.
func (o *Okta) Assign(ctx context.Context, p Person) (id string, err error) {
	found, err := o.match(ctx, "/Users", "userName", p.UserName)
	if err != nil {
		return "", err
	}
	if found != nil {
		id = found.text("id")
		return id, o.put(ctx, "/Users/"+id, o.profile(p, object{"active": true}))
	}
	body := object{
		"schemas":  []string{userSchema},
		"locale":   "en-US",
		"groups":   []any{},
		"password": "1xy020zz", // a placeholder, sent also without password sync
		"active":   true,
	}
	maps.Copy(body, o.profile(p, nil))
	if p.Department != "" {
		body["schemas"] = []string{userSchema, enterpriseSchema}
	}
	created, err := o.do(ctx, http.MethodPost, "/Users", body)
	if err != nil {
		return "", err
	}
	id = created.text("id")
	o.remember(id, p.UserName)
	return id, nil
}

// UpdateProfile sends the changed profile of an assigned person.
func (o *Okta) UpdateProfile(ctx context.Context, id string, p Person) error {
	return o.put(ctx, "/Users/"+id, o.profile(p, nil))
}

// Deactivate takes the app away from a person, or follows the deactivation of
// the person in Okta. Okta never deletes users.
func (o *Okta) Deactivate(ctx context.Context, id string) error { return o.activate(ctx, id, false) }

// Reactivate gives the app back to a person.
func (o *Okta) Reactivate(ctx context.Context, id string) error { return o.activate(ctx, id, true) }

func (o *Okta) activate(ctx context.Context, id string, active bool) error {
	if o.Catalog {
		return o.patch(ctx, "/Users/"+id, object{"op": "replace", "value": object{"active": active}})
	}
	return o.put(ctx, "/Users/"+id, object{"active": active})
}

// PushGroup pushes a group with the users as its members, and returns the id of
// the group. A group that is there already with the name is taken over.
func (o *Okta) PushGroup(ctx context.Context, name string, users ...string) (id string, err error) {
	group, err := o.match(ctx, "/Groups", "displayName", name)
	if err != nil {
		return "", err
	}
	if group == nil {
		body := object{"schemas": []string{groupSchema}, "displayName": name, "members": []any{}}
		if group, err = o.do(ctx, http.MethodPost, "/Groups", body); err != nil {
			return "", err
		}
	}
	id = group.text("id")
	path := "/Groups/" + id
	if !o.Catalog {
		return id, o.putGroup(ctx, path, name, func([]string) []string { return users })
	}
	if _, err := o.do(ctx, http.MethodGet, path, nil); err != nil {
		return "", err
	}
	return id, o.patch(ctx, path, renameGroup(id, name), object{"op": "replace", "path": "members", "value": o.members(users)})
}

// AddMembers adds users to a pushed group.
func (o *Okta) AddMembers(ctx context.Context, group string, users ...string) error {
	if !o.Catalog {
		return o.putGroup(ctx, "/Groups/"+group, "", func(members []string) []string { return append(members, users...) })
	}
	return o.patch(ctx, "/Groups/"+group, object{"op": "add", "path": "members", "value": o.members(users)})
}

// RemoveMembers removes users from a pushed group.
func (o *Okta) RemoveMembers(ctx context.Context, group string, users ...string) error {
	if !o.Catalog {
		return o.putGroup(ctx, "/Groups/"+group, "", func(members []string) []string {
			return slices.DeleteFunc(members, func(id string) bool { return slices.Contains(users, id) })
		})
	}
	var operations []object
	for _, id := range users {
		operations = append(operations, object{"op": "remove", "path": "members[" + equal("value", id) + "]"})
	}
	return o.patch(ctx, "/Groups/"+group, operations...)
}

// RenameGroup gives a pushed group another name.
func (o *Okta) RenameGroup(ctx context.Context, group, name string) error {
	if !o.Catalog {
		return o.putGroup(ctx, "/Groups/"+group, name, func(members []string) []string { return members })
	}
	return o.patch(ctx, "/Groups/"+group, renameGroup(group, name))
}

// DeleteGroup unlinks a pushed group and deletes it.
func (o *Okta) DeleteGroup(ctx context.Context, group string) error {
	return o.delete(ctx, "/Groups/"+group)
}

// put reads a user and writes it back with changes, whole: also what only the
// server can change.
func (o *Okta) put(ctx context.Context, path string, changes object) error {
	resource, err := o.do(ctx, http.MethodGet, path, nil)
	if err != nil {
		return err
	}
	for name, value := range changes {
		old, isObject := resource[name].(map[string]any)
		part, ok := value.(object)
		if isObject && ok {
			maps.Copy(old, part)
			continue
		}
		resource[name] = value
	}
	resource, err = o.do(ctx, http.MethodPut, path, resource)
	if err != nil {
		return err
	}
	o.remember(resource.text("id"), resource.text("userName"))
	return nil
}

// putGroup reads a group and writes it with the members that change returns. An
// empty name keeps the name.
func (o *Okta) putGroup(ctx context.Context, path, name string, change func([]string) []string) error {
	group, err := o.do(ctx, http.MethodGet, path, nil)
	if err != nil {
		return err
	}
	if name == "" {
		name = group.text("displayName")
	}
	var ids []string
	members, _ := group["members"].([]any)
	for _, m := range members {
		if member, ok := m.(map[string]any); ok {
			ids = append(ids, object(member).text("value"))
		}
	}
	_, err = o.do(ctx, http.MethodPut, path, object{
		"schemas": []string{groupSchema}, "id": group.text("id"), "displayName": name, "members": o.members(change(ids)),
	})
	return err
}

// profile returns the attributes of a person, and more.
func (o *Okta) profile(p Person, more object) object {
	body := object{
		"userName":    p.UserName,
		"externalId":  p.ExternalID,
		"displayName": p.display(),
		"name":        object{"givenName": p.GivenName, "familyName": p.FamilyName},
		"emails":      []object{{"primary": true, "value": p.email(), "type": "work"}},
	}
	if p.Title != "" {
		body["title"] = p.Title
	}
	if p.Department != "" {
		body[enterpriseSchema] = object{"department": p.Department}
	}
	maps.Copy(body, more)
	return body
}

func renameGroup(id, name string) object {
	return object{"op": "replace", "value": object{"id": id, "displayName": name}}
}

func (o *Okta) members(ids []string) []object {
	o.mu.Lock()
	defer o.mu.Unlock()
	list := []object{}
	for _, id := range ids {
		member := object{"value": id}
		if name := o.names[id]; name != "" {
			member["display"] = name
		}
		list = append(list, member)
	}
	return list
}

func (o *Okta) remember(id, userName string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.names[id] = userName
}

// match looks for a resource. 404 is none to Okta too.
func (o *Okta) match(ctx context.Context, endpoint, attribute, value string) (object, error) {
	found, err := o.find(ctx, endpoint+"?filter="+query(equal(attribute, value))+"&startIndex=1&count=100")
	var e *Error
	if errors.As(err, &e) && e.Status == http.StatusNotFound {
		return nil, nil
	}
	return found, err
}
