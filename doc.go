// Package provision gives an application enterprise user provisioning: identity
// providers create, update, deactivate and group its users.
//
// # Ten names
//
// A host gets along with these; the others are for what it does beyond.
//
//   - [Engine] serves all connections of a [Store]. Store is opened by package
//     store/sqlite or store/memory.
//   - [Connection] is one identity provider of one customer, with its options: a
//     policy.Config.
//   - [Directory] is what can be done in one connection. Get it from
//     [Engine.Directory].
//   - [Actor] says who does it; see [Directory.As].
//   - [Consumer] is the part of the host that hears of changes. Get it from
//     [Engine.Consumer], and give [Consumer.Deliver] a function.
//   - [Delivery] is what this function gets: an [Event], which says what changed,
//     and the account as it is now.
//   - [Account] is what one person may do in the application. The host acts on it.
//   - [DeniedError] says why a login was refused.
//
// A host mounts the http.Handlers of other packages: scim.Handler for SCIM, and
// saml.Handler with a jit.LoginHandler for logins. It runs [Engine.Run] in a
// goroutine. The example of the package shows a host that uses SCIM.
//
// # Facts, policy, accounts
//
// Facts are what an identity provider said: users, groups and memberships. They
// are stored and read back as they were written. A policy (package policy) is a
// pure function of its options and the facts about one person. An account follows
// from both. Nobody edits it, and each change of it is an event, appended in the
// transaction of its cause.
//
// There are two views because memberships arrive after users: when a user is
// created, nobody knows yet whether a required group has them. The request
// succeeds, the account is staged, and the membership admits it later.
//
// # Connections
//
// Everything belongs to one connection, and nothing reaches from one to another.
// [Directory.SaveConnection] compares the version that a form was made from;
// [Directory.UpdateConnection] changes some settings. Wrong settings are refused;
// [Connection.Warnings] lists those that are legal and have no effect. An edit of
// the policy is applied to all accounts; [Directory.Preview] shows before what it
// would do, and [Directory.Explain] why an account is as it is.
// [Directory.DeleteConnection] ends a connection with all its accounts.
//
// # Who acts
//
// A Directory acts as the system. [Directory.As] returns one whose changes are
// recorded as those of an actor. [Directory.Via] returns one that writes facts for
// a source, as SCIM does; otherwise its facts are an operator's.
// [Directory.Forced] returns one past the guard against too many at once.
//
// # Consumers
//
// Every [Consumer] sees every event at least once, those of one account in order,
// on any number of replicas. An event that it refuses is tried again while other
// accounts go on, and after many attempts its account is parked until
// [Consumer.Redrive]. A login that needs what a consumer writes waits with
// [Consumer.Wait].
//
// # Logins
//
// [Directory.Login] finds the person of an [Identity], or creates them, and
// returns their account, or a [*DeniedError]. Package jit makes an Identity from
// an assertion; a host that has verified a login by itself makes one of its own.
// SCIM takes over what only logins have written when it creates the same person
// or group. From then on logins change it no more.
//
// # Sync, import and operators
//
// [Directory.Sync] makes a connection have what a whole directory has.
// [Directory.Import] brings users and groups of another SCIM server with their
// ids. An operator uses [Directory.Disable], [Directory.Enable], [Directory.Edit],
// [Directory.AddGroup], [Directory.RemoveGroup], [Directory.DeleteAccount] and
// [Directory.Unbind]: what they decide is a fact, too.
//
// # Guards
//
// Two guards stand between a decision and an account. The last site admin of a
// connection stays one: a request that takes this very person out is a
// [*GuardError], and after any other cause the account waits until there is
// another admin. A [Guard] tells of admins that the host has by other ways.
//
// When a change, or those of an hour, would take access from more accounts than
// [Limits.Deprovision], and from more than a fifth of the active ones, the accounts
// are held: they stay as they are until [Directory.Release] or [Directory.Keep].
//
// A [Linker] tells of accounts that the host had before, so that nobody gets a
// second one.
//
// # Transactions
//
// Changes of one connection are serial; connections run in parallel. A change
// that touches up to [Limits.Inline] accounts derives them in its own transaction.
// A larger one commits its facts and a job together; until [Engine.Run] has derived
// an account, its field Pending is true.
//
// A change is all in one transaction, or nothing of it is. The one exception are more
// members of a group than [Limits.InlineMembers]: they are staged in several
// transactions, which nobody sees anything of, and the last one makes them seen all at
// once, or deletes the group.
//
// # Errors
//
// An error says what it is about, and there is one type for each cause:
//
//   - [ErrNotFound]: there is no such thing, or no such connection
//   - [ErrVersion]: somebody else has changed it in between
//   - [*store.ConflictError]: a value that must be unique is taken
//   - [*ConnectionError]: a setting of a connection is wrong; of an option of the
//     policy, a [*policy.ConfigError]
//   - [*CredentialError]: a credential is too weak, has ended or is one too many
//   - [*ArgumentError]: an argument of another call is wrong
//   - [*MemberError]: a member of a group is nobody of the connection
//   - [*LimitError]: a documented limit is reached
//   - [*GuardError]: a guard refuses the request
//   - [*DeniedError]: a login, or the creation of somebody, is refused
//   - [ErrUnauthenticated]: a credential does not count; where it is known, as an
//     [*UnauthenticatedError]
//   - [*ParkedError], [*CursorExpiredError]: a consumer does not get its events
//   - [*store.UnavailableError]: the store is busy or away; try again
//
// After an error nothing of the call is stored, unless its comment says that it
// works in batches.
package provision
