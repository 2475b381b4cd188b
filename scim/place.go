package scim

import (
	"errors"
	"fmt"

	"github.com/scimjit/provision"
	"github.com/scimjit/provision/scim/schema"
	"github.com/scimjit/provision/store"
)

// placed gives an error that the engine found in a write the place and the value
// of the request that it is about. Member returns the place of a member, or "".
func (x *exchange) placed(t *schema.ResourceType, err error, member func(id string) string) error {
	var (
		refusal  *Error
		unknown  *provision.MemberError
		limit    *provision.LimitError
		conflict *store.ConflictError
	)
	switch {
	case errors.As(err, &refusal):
	case errors.As(err, &unknown):
		if place := member(unknown.ID); place != "" {
			return refuse(codeUnknownMember, "%s %s is no user or group of this connection", place, schema.QuotedText(unknown.ID))
		}
	case errors.As(err, &limit) && limit.Member != "":
		if place := member(limit.Member); place != "" {
			return refuse(codeTooDeepGroups, "%s %s", place, nestedTooDeep(limit))
		}
	case errors.As(err, &conflict):
		if values := texts(x.written, conflict.Attribute); len(values) == 1 {
			return refuse(codeNotUnique, "%s %s is already in use by another %s", conflict.Attribute, schema.QuotedText(values[0]), t.Name)
		}
	}
	return err
}

// nestedTooDeep says of a member that it is a group too much.
func nestedTooDeep(limit *provision.LimitError) string {
	return fmt.Sprintf("%s: groups would be nested in more than %d levels", schema.QuotedText(limit.Member), limit.Max)
}

// listedMember returns the place of a member in the list of a POST or PUT.
func listedMember(members []string, id string) string {
	for i, member := range members {
		if member == id {
			return fmt.Sprintf("members[%d].value", i)
		}
	}
	return ""
}

// texts returns the values of an attribute, by its notation, in a document.
func texts(o schema.Object, notation string) []string {
	var list []string
	for _, f := range o {
		if f.Attribute.String() == notation {
			list = append(list, f.Value.Text)
		}
		list = append(list, texts(f.Value.Object, notation)...)
		for _, e := range f.Value.Array {
			list = append(list, texts(e.Object, notation)...)
		}
	}
	return list
}
