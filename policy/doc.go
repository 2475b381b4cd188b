// Package policy decides what a person gets in an application, from what an
// identity provider says about them and from the options that an administrator
// has set. It imports the standard library only and can be used by itself.
//
// # Deciding
//
// A [Config] holds the options. [Config.Compile] checks it and makes a [Policy].
// [Policy.Decide] takes the [Facts] about one person and returns a [Decision]:
// the status of the account, what it may do, and the reasons. It is a pure
// function. There is no clock, no store and no error: whoever calls it keeps
// what must be remembered, such as that an account was active before, and passes
// it in again.
//
// # Options
//
// In JSON the options are one object, whose keys are in the comments of Config.
// The zero Config and the object {} are the defaults, so that both name only what
// differs. What is unknown, doubled or wrong is a [*ConfigError], never a silent
// default.
//
// [Options] describes every option as data, for a settings form: label, help,
// kind, right values, default, and who may set it. [JSONSchema] is made of the
// same table.
//
// Some options are carried for the caller, as they concern what Decide does not
// see: a first login, default groups, linking, the age of evidence. Policy has
// methods for those that a login asks.
//
// # Groups
//
// Options select groups by [Patterns]: names with wildcards, without regard to
// case as [Lower] defines it, or exact ids. A gate, roles and admin rights look
// at the groups that the identity provider reported. Which of them the account
// carries is another question, with its own options.
//
// # Evidence
//
// That nothing is known of a person's groups does not mean that they have none.
// [Evidence] tells these apart; missing evidence removes and revokes nothing
// unless the administrator says so.
package policy
