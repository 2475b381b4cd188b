// Package scim is a SCIM 2.0 service provider (RFC 7643, RFC 7644) on a
// provision.Engine.
//
// # Mounting
//
// A [Handler] finds its addresses by itself, under any router, at any prefix,
// whether the router removes the prefix or not:
//
//	http.Handle("/scim/v2/", handler)              // net/http
//	r.Mount("/scim/v2", handler)                   // chi
//	r.Any("/scim/v2/*path", gin.WrapH(handler))    // gin
//	e.Any("/scim/v2/*", echo.WrapHandler(handler)) // echo
//
// The credential of a request selects the connection, and with it the
// directory, the policy and the [Dialect]. An application that gives every
// connection its own address says so in [Handler.Prefix], or by a wildcard of
// this name where the router sets path values; a credential of another
// connection is then answered with 404:
//
//	http.Handle("/scim/{connection}/v2/", handler)
//
// Any number of slashes counts as one, and every answer is SCIM's JSON. That
// holds for what comes to the handler: an [http.ServeMux] answers a path with two
// slashes itself, by a redirect in HTML that identity providers do not follow, so
// ask the handler before the ServeMux. docs/mounting.md shows that, and each
// router.
//
// # Dialects
//
// Identity providers deviate from the RFCs, each in its own way. What a
// connection tolerates is a row of the table that [Dialects] returns. A
// tolerance that a request needed is recorded in the events of its change.
//
// # Errors
//
// Every refusal is a SCIM error (RFC 7644 section 3.12) with a text for the
// client. What is not the client's business is logged under the id that a 500
// carries.
package scim
