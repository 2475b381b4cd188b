// Package jit is just-in-time provisioning: it turns what a verified login
// asserts about a person into an identity, and an identity into an account.
//
// It knows nothing of how a login is verified. Package jit/saml does that for
// SAML 2.0 and uses this one. A host that has verified a login by itself, such
// as with OpenID Connect, calls [provision.Directory.Login] or a [LoginHandler]
// with its own identity.
//
// # Mapping
//
// Identity providers name the same attributes differently. A [Preset] is one
// row of a table of these names, and [Overrides] replace some of them for one
// connection. [NewMapping] puts both together and refuses what it does not
// understand; [Mapping.Warnings] says what an administrator should know before
// anybody logs in. [Mapping.Identity] is a pure function.
//
// An immutable id is worth mapping. Without one, a person whose user name and
// e-mail address change is somebody else, and a new owner of an address looks
// like the old one.
//
// # Groups
//
// That nothing was said about groups is not the same as that there are none.
// An attribute that is there, even without values, is a known list; one that is
// missing is absent evidence; and an identity provider may say that there are
// too many to list. Absent evidence and overage take nothing away from anybody;
// see [policy.Evidence].
//
// The form of a group's name is undone by the preset: "CN=IT,OU=Groups" at one
// identity provider and "/IT" at another are named "IT". The asserted text stays
// the id of the group, and patterns such as id:VALUE match it exactly; those on
// a name may mean several groups where a preset shortens names.
//
// A value that is no text, or a text of a wrong form, refuses the login: to leave
// it out of a list would take something away.
//
// # Logins
//
// A [LoginHandler] ends where the session of the host begins: it calls OnLogin
// with an account that is active, or OnDenied with a [Denial]. A refusal has a
// public text that tells nothing about anybody, and a private cause. A random
// id on the page leads to the line in the log.
package jit
