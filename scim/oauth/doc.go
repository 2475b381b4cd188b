// Package oauth lets identity providers call a SCIM service with OAuth 2.0 access
// tokens (client credentials, RFC 6749 section 4.4) in place of a token that the
// service keeps. It accepts JWTs (RFC 9068) that an authorization server signed;
// it issues none.
//
// # Use
//
// Describe each authorization server with a [Verifier]: the connection whose
// directory its tokens open, its issuer, the audience and where its keys are.
// Give them to [New], and put [Authenticator.Authenticate] into
// [scim.Handler.Authenticate]. Set [Authenticator.Otherwise] to
// [scim.Credentials] to accept the credentials of the store at the same handler.
//
// # What is accepted
//
// A token counts when all of this holds:
//
//   - it is a signed JWT of at most [MaxToken] bytes, of type "at+jwt", "JWT" or
//     none, signed with RSA (RS256 to RS512, PS256 to PS512), ECDSA (ES256 to
//     ES512) or Ed25519 (EdDSA). Algorithm "none" and those with a shared secret
//     never count, whatever the keys are, nor do encrypted tokens and tokens
//     with critical extensions ("crit");
//   - its issuer ("iss") and audience ("aud") are those of exactly one verifier;
//   - a key of that verifier's source made the signature. Keys inside the token
//     and addresses of keys in it are ignored;
//   - it has an expiry ("exp") that has not come; "nbf" and "iat" are not in the
//     future. [Verifier.Leeway] is allowed for differences of clocks;
//   - "scope" or "scp" has the scope, "scim" where the verifier does not say
//     otherwise;
//   - it is not bound to a key of its sender ("cnf", RFC 7800), which nobody here
//     would check;
//   - it names its client ("client_id", or what servers used before RFC 9068),
//     which requests are counted and recorded by;
//   - the connection exists and is not disabled.
//
// Revocation before the expiry is not checked: let tokens live for minutes. To
// shut a client out at once, disable the connection.
//
// # Refusals
//
// A refused token is a 401 with the challenge that RFC 6750 section 3 describes,
// which does not say what is wrong. That goes to the log, never with the token in
// it. Where the keys cannot be had, the answer is 503: the identity provider
// tries again.
package oauth
