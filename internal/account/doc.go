// Package account is the core of the engine: given what is known of one person
// and a policy, what should the account be? Values come in and values go out. It
// reads no store and no clock, draws no randomness and logs nothing.
//
// # From a document to an account
//
// [Read] projects the document of a user to a [Person], who is written into an
// account together with the facts of the change. [Decide] says what the policy
// gives, whatever a guard would say: previews, explanations, counts and the gate
// of a login stop there. [Decision.Open] lists what the guards must know, which
// is nothing for most. [Decision.Settle] takes the answers and returns the
// account after, what changed, and which events tell of it.
//
//	document -> Person -> facts -> Decision -> Output
//
// Whoever calls reads only what is asked, and stores the Output.
package account
