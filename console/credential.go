package console

import (
	"time"

	"github.com/scimjit/provision"
)

// CredentialRequest says which credential to make.
type CredentialRequest struct {
	// Method is "token" for a bearer token, or "basic" for a user name and a password.
	Method string `json:"method"`

	// Expires is when it ends; without it in 365 days.
	Expires time.Time `json:"expires,omitzero"`

	// Activate says whether it counts at once, as it does without this. One that does not is
	// pending for an hour: it counts, and credentials of the other method are revoked, when
	// it is activated.
	Activate *bool `json:"activate,omitempty"`
}

// IssuedCredential is a credential with its secret, which nobody can read again.
type IssuedCredential struct {
	provision.Credential
	Token    string `json:"token,omitempty"`
	Password string `json:"password,omitempty"`
}

// Expiry is when a credential ends.
type Expiry struct {
	// Expires is the time; without it it is in 365 days.
	Expires time.Time `json:"expires,omitzero"`
}

func listCredentials(c *call) (any, error) {
	credentials, err := c.directory.Credentials(c.r.Context())
	return append([]provision.Credential{}, credentials...), err
}

func issueCredential(c *call) (any, error) {
	var body CredentialRequest
	if err := c.decode(&body); err != nil {
		return nil, err
	}
	var (
		out    IssuedCredential
		secret provision.Secret
		err    error
	)
	switch body.Method {
	case "token", "basic":
	default:
		return nil, wrong(codeType, "method", `method: %q is not one of "token", "basic"%s`, body.Method, near(body.Method, []string{"token", "basic"}))
	}
	pending := body.Activate != nil && !*body.Activate
	secret, out.Credential, err = c.directory.IssueCredential(c.r.Context(), provision.NewCredential{Method: body.Method, Expires: body.Expires, Pending: pending})
	out.Token, out.Password = secret.Token, secret.Password
	return out, err
}

func activateCredential(c *call) (any, error) {
	id := c.r.PathValue("credential")
	credential, err := c.directory.ActivateCredential(c.r.Context(), id)
	return credential, orMissing(err, "there is no credential %q", id)
}

func extendCredential(c *call) (any, error) {
	var body Expiry
	if err := c.decode(&body); err != nil {
		return nil, err
	}
	id := c.r.PathValue("credential")
	credential, err := c.directory.ExtendCredential(c.r.Context(), id, body.Expires)
	return credential, orMissing(err, "there is no credential %q", id)
}

func revokeCredential(c *call) (any, error) {
	id := c.r.PathValue("credential")
	return nil, orMissing(c.directory.RevokeCredential(c.r.Context(), id), "there is no credential %q", id)
}
