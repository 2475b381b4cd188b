package scim

import (
	"errors"

	"github.com/scimjit/provision"
	"github.com/scimjit/provision/internal/mount"
)

// me answers requests for the authenticated subject (RFC 7644 section 3.11) as
// those for the user that the host says it is.
func (x *exchange) me([]string) (*response, error) {
	if x.handler.Me == nil {
		return nil, refuse(codeNoMe, "this service provider does not know who you are")
	}
	if err := x.confirm(); err != nil {
		return nil, err
	}
	id, err := x.handler.Me(x.request, x.principal)
	if errors.Is(err, provision.ErrNotFound) || (err == nil && id == "") {
		return nil, refuse(codeNotAUser, "you are not a user of this directory")
	}
	if err != nil {
		return nil, err
	}
	t := x.set.Type(provision.TypeUser)
	if t == nil {
		return nil, errNoEndpoint
	}
	resp, err := x.dispatch(mount.Split(t.Endpoint + "/" + id))
	if err != nil {
		return nil, err
	}
	if resp.body != nil {
		resp.location = x.location(t, id)
	}
	return resp, nil
}
