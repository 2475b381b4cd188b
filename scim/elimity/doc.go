// Package elimity keeps the resources of a github.com/elimity-com/scim server in
// a provision.Engine, for applications that have mounted such a server already.
// An application without one mounts scim.Handler instead, which accepts more.
//
// # Mounting
//
// A [Handler] is the callbacks of one resource type, so an application changes
// one field of each of its resource types and puts [Guard] around its server:
//
//	provider := &provisionscim.Handler{Engine: engine} // of this module's package scim
//	users := scim.ResourceType{Name: "User", Endpoint: "/Users", Schema: schema.CoreUserSchema()}
//	users.Handler = elimity.New(provider, users)
//	server, err := scim.NewServer(&scim.ServerArgs{ResourceTypes: []scim.ResourceType{users}, ...})
//	http.Handle("/scim/", http.StripPrefix("/scim", elimity.Guard(server)))
//
// The scim.Handler decides all that happens behind that server: the connection
// and its dialect, by its field Authenticate, the schemas, the limits and the
// log. A callback is the same request to it, so a resource is stored, checked,
// versioned and evented alike on both ways.
//
// # Guard
//
// The server parses filters and PATCH paths before a callback sees the request,
// so also for clients without a credential. 100,000 parentheses end the process,
// and a path of a megabyte takes seconds. [Guard] must stand in front of it.
//
// Guard does not authenticate. The callbacks do, by the scim.Handler; discovery
// endpoints and the server's own checks are open to everybody unless the
// application puts its authentication in front.
//
// # What that server refuses
//
// These requests are accepted by scim.Handler in the dialects of identity
// providers, and refused by the server before a callback sees them. A star marks
// those that occur in the recorded conversations, all of Microsoft Entra ID:
//
//   - Text booleans, in a body and in a PATCH (*): "active":"False". Without its
//     tenant flag aadOptscim062020, Entra ID cannot deactivate anybody.
//   - Numbers where the schema has text.
//   - A filter behind brackets (*): emails[type eq "work"].value eq "x". So Entra
//     ID cannot match by e-mail.
//   - A filter that joins core and extension attributes, such as the check of a
//     manager (*): id eq "1" and manager eq "2".
//   - More than two terms inside brackets, escapes such as \u00e9 with lower-case
//     digits, and the attribute name "email".
//   - An extension attribute without its URN as a PATCH path (*): manager.
//   - Text (*) or a list (*) as the value of a single complex attribute.
//   - A PATCH path or key of an unknown attribute, "meta" in a PATCH value, and
//     null as a PATCH value.
//   - A resource or PATCH whose "schemas" lack the one of SCIM 2.0.
//
// The recorded conversations of Okta, JumpCloud and Google pass whole, with
// capitalized operations, unknown schemas, explicit nulls, one object for a list
// and keys that are paths. For text booleans elimity-com/scim has a switch,
// schema.SetAllowStringValues, for the whole process.
//
// # Where answers differ
//
// The server writes the answers. It lists every extension in "schemas", gives
// the asked count as itemsPerPage, and times in whole seconds. It has no bulk,
// no /Me, and its ServiceProviderConfig says that sorting and ETags are not
// supported, although If-Match, sortBy, attributes and excludedAttributes work.
// It answers no status that it does not expect: a busy store and too many
// requests are 500 instead of 503 and 429, and a PATCH or PUT that is too large
// 400 instead of 413. It rounds integers above 2^53 in filters.
package elimity
