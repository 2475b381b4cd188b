// Package provision gives an application enterprise user provisioning: identity
// providers create, update, deactivate and group its users.
//
// # Facts, policy, accounts
//
// Facts are what the identity provider said: SCIM resources and memberships.
// They are stored and echoed as written. A policy (package policy) is a pure
// function of its options and the facts about one person. Accounts are what the
// application should do. They are derived, never edited, and each change of an
// account is an [Event], appended in the transaction that caused it.
//
// Two views are needed because memberships arrive after users: a gate such as
// "only users in these groups" cannot be decided when a user is created. The
// request succeeds, the account is staged, and a later membership admits it.
//
// # Using it
//
// Make an [Engine] with a store, save a [Connection] for each identity
// provider, and give it a credential with [Engine.SetCredential]. Mount
// scim.Handler for the identity providers. Run [Engine.Run] in a goroutine for
// background work, and [Consumer.Deliver] of an [Engine.Consumer] to keep the
// application's own tables right.
//
// A [Directory] is the operations of one connection. Everything belongs to one
// connection, and nothing reaches from one to another.
//
// # Logins
//
// The second way in is a login that the identity provider vouches for:
// [Directory.Login] finds the person of an [Identity], or creates them, and
// returns their account, or a [*DeniedError]. Package jit makes an Identity from
// the attributes of an assertion, and package jit/saml is the service provider
// for SAML 2.0. What only logins have written, SCIM takes over when it creates
// the same person or group; from then on SCIM knows better. A host that had
// accounts before tells of them through a [Linker].
//
// # Operators and guards
//
// An operator acts through the same Directory: [Directory.Disable] and
// [Directory.Enable], [Directory.Edit], [Directory.RemoveGroup],
// [Directory.DeleteAccount], [Directory.MarkLoggedIn]. What it decides is a fact
// like the identity provider's. Requests that are refused are counted outside the
// events: see [Engine.Refusals].
//
// Two guards stand between facts and accounts. The last site admin of a connection
// stays one: a request that takes this very person out is a [*GuardError], any
// other cause waits until there is another admin. And when one change, or one
// hour, would deprovision more accounts than [Limits.Deprovision] and a fifth of
// the active ones, they are held: they stay as they are until
// [Directory.Release] or [Directory.Keep].
//
// # Transactions
//
// Changes of one connection are serial, connections run in parallel. A change
// that touches up to [Limits.Inline] accounts derives them in its own
// transaction. A larger one commits the fact and a durable job together; until
// [Engine.Run] has derived an account, it says so in its field Pending.
package provision
