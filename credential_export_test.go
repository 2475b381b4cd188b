package provision

import "context"

// ExpireCredentials sends the notices of expiry that are due, and writes when
// credentials were last used.
func ExpireCredentials(e *Engine, ctx context.Context, connection string) error {
	return e.expireCredentials(ctx, connection)
}
