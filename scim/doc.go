// Package scim is a SCIM 2.0 service provider (RFC 7643, RFC 7644) on a
// provision.Engine.
//
// # Mounting
//
// A [Handler] answers Users, Groups, ServiceProviderConfig, ResourceTypes and
// Schemas below the path it is mounted at:
//
//	http.Handle("/scim/v2/", http.StripPrefix("/scim/v2", &scim.Handler{Engine: engine}))
//
// The credential of a request selects the connection, and with it the
// directory, the policy and the [Dialect]. An application that gives every
// connection its own address mounts the same handler with wildcards of these
// names; a credential of another connection is then answered with 404:
//
//	http.Handle("/scim/{connection}/v2/{resource...}", handler)
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
