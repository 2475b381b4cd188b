// Package console is the JSON interface of administrators: connections with their
// settings and credentials, the people and groups of each, what happened, what waits for
// a decision. A host mounts an [API] and says who asks by [API.Who]; scripts and pages use
// the same.
//
//	api := &console.API{Engine: engine, Who: whoIsThis}
//	mux.Handle("/admin/", http.StripPrefix("/admin", api))
//
// # Who may do what
//
// A [Viewer] has one of three roles. An operator may do everything, support may read
// everything, and a customer may do what was chosen for them in one connection, of what a
// customer may do at all. The table behind [Operations] says which operation is for whom;
// [SettingFor] says the same of the settings of a connection. Another connection than the
// customer's is not there for them. What is refused changes nothing.
//
// # Requests and answers
//
// Bodies and answers are JSON, and an error is a problem document of RFC 9457, see
// [Problem]. Unknown keys and parameters are refused. A list is a JSON array; where more
// follows, the header Link names the next page with rel="next". A connection has an ETag,
// and is changed and deleted with If-Match: 428 says that it is missing, 412 that somebody
// else was faster. Secrets are written and never read: settings say {"set": true}, and the
// answer to an issued credential is the only place that has it.
//
// GET /openapi.json describes all of it, made from the same table.
//
// # What else may change a connection
//
// A connection with a [provision.Connection.ManagedBy] belongs to something else, such as
// a configuration file: here it is shown, and its settings and credentials are not
// changed (409, code managed_by_file).
package console
