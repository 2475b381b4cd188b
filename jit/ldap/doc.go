// Package ldap brings people and groups from a directory, Active Directory or any other
// that speaks LDAP, and logs people in by the password that they have there.
//
// [Servers] has the directories of the connections of an engine, as their setting
// [provision.LDAP] describes them. Its Source is for [provision.Engine.SyncSource], which
// syncs them by the clock and on request. A [Handler] is the login. A host needs three
// lines:
//
//	servers := &ldap.Servers{Engine: engine}
//	engine.SyncSource = servers.Source
//	mux.Handle("/ldap/", &ldap.Handler{Servers: servers, Login: login, BaseURL: base})
//
// # Who is who
//
// A person is the immutable id of an entry, which becomes the externalId: objectGUID as
// the text that Microsoft Entra ID and Windows write, entryUUID, nsUniqueId or ipaUniqueID.
// People who are renamed or moved stay who they are, and a name that is given to somebody
// else inherits nothing. A DN is only the way from a group to its members; two are compared
// as RFC 4518 says, in any case and with any escapes.
//
// # What a sync believes
//
// Nobody is absent unless the server said, for each base DN, that the answer is whole. A
// result code other than 0, an answer without the paging control, a page that comes twice,
// a lost connection, a base DN that cannot be read or has nobody: each of them fails the
// sync, with an [*Error] in the words of an administrator, and everything stays. References
// to other servers in an answer are left out, and a referral in the place of an answer is an
// error: nothing is ever sent to a server that the settings do not name.
//
// An entry that cannot be written, such as one without an id, is there all the same; the
// report of the sync says what is wrong with it.
//
// # Logins
//
// Who logs in is searched by the service account, with the filter of syncs; the search
// must find exactly one. The password is tried by a bind as that entry, on a connection of
// its own kind, and is kept nowhere. An empty password, which many directories accept as
// an anonymous bind, is refused before anybody is asked.
//
// Directories lock people who type too many wrong passwords. At most three within half an
// hour reach the directory for one person, in all processes together; a browser in which
// the person has logged in before has three of its own, so that a stranger cannot keep them
// out. Whoever is refused reads the same and costs the same, whatever the reason; the log
// has it.
//
// # Servers
//
// The servers of a connection are tried in their order, each for five seconds; one that
// cannot be reached is tried last for half a minute. TLS is required unless the settings
// say otherwise in a loud name. Messages are read whole and measured before they are
// decoded: at most 32 MiB and 24 levels each, and 128 MiB for one page.
package ldap
