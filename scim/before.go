package scim

import (
	"errors"
)

// Operation is a write that a client asks for: what [Handler.Before] is asked
// about.
//
// Before is called once for each POST, PUT, PATCH and DELETE of a resource, /Me
// and every operation of a bulk request included, with the context of the
// request. The client is authenticated and its rate is allowed, but nothing else
// is checked: the body may be wrong, and ID may name nothing, or nothing of this
// connection. It is called outside the transaction, so that it may take its time
// and may ask the Engine, but what it finds may have changed when the write
// happens. It is called concurrently.
//
// When Before returns an error, the write does not happen. An [*Error] is the
// answer as it is, and must have a Status. When the context has ended, the answer
// is 503. Any other error is answered with 403 and a text that does not tell the
// cause, which is logged: to make the client try again later, return an *Error
// with status 503.
type Operation struct {
	Connection string // id of the connection whose directory the request sees
	Credential string // id of the credential, as in [Principal]
	Method     string // POST, PUT, PATCH or DELETE
	Type       string // name of the resource type, such as "User"
	ID         string // of the resource; empty for POST
}

// write returns the answer to a write, which Handler.Before may refuse. Each row
// of the table of endpoints that writes goes through it.
func write(serve func(*exchange, []string) (*response, error)) func(*exchange, []string) (*response, error) {
	return func(x *exchange, segments []string) (*response, error) {
		if err := x.before(segments); err != nil {
			return nil, err
		}
		return serve(x, segments)
	}
}

// before asks Handler.Before about the operation at a path.
func (x *exchange) before(segments []string) error {
	if x.handler.Before == nil || x.allowed {
		return nil
	}
	if err := x.confirm(); err != nil {
		return err
	}
	t, err := x.resourceTypeOf(segments)
	if err != nil {
		return err
	}
	op := Operation{Connection: x.principal.Connection, Credential: x.principal.Credential, Method: x.method, Type: t.Name}
	if len(segments) > 1 {
		op.ID = segments[1]
	}
	ctx := x.request.Context()
	err = x.handler.Before(ctx, op)
	if err == nil {
		return nil
	}
	if refusal := (*Error)(nil); errors.As(err, &refusal) {
		return refusal
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	x.handler.logger().Warn("scim operation refused", "connection", op.Connection, "credential", op.Credential,
		"method", op.Method, "type", op.Type, "resource", op.ID, "error", err)
	return refuse(codeForbidden, "this service does not allow the operation").because(err)
}
