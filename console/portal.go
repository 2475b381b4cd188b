package console

import (
	"fmt"
	"slices"

	"github.com/scimjit/provision"
)

// IssuedLink is a portal link with what is told of it once.
type IssuedLink struct {
	provision.PortalLink
	provision.PortalSecrets
}

func listPortal(c *call) (any, error) {
	links, err := c.directory.PortalLinks(c.r.Context())
	return append([]provision.PortalLink{}, links...), err
}

// createPortal refuses operations that no customer may have: a link must not promise what
// the API does not keep.
func createPortal(c *call) (any, error) {
	var body provision.NewPortalLink
	if err := c.decode(&body); err != nil {
		return nil, err
	}
	known := CustomerOperations()
	for i, name := range body.Operations {
		if !slices.Contains(known, name) {
			return nil, wrong(codeRole, fmt.Sprintf("operations[%d]", i), "operations: %q is nothing that a customer may be given%s", name, near(name, known))
		}
	}
	if len(body.Operations) > 0 && !slices.Contains(body.Operations, "connection.read") {
		return nil, wrong(codeWrong, "operations", "operations: connection.read is missing, without which no page can be shown")
	}
	secrets, link, err := c.directory.CreatePortalLink(c.r.Context(), body)
	return IssuedLink{link, secrets}, err
}

func revokePortal(c *call) (any, error) {
	id := c.r.PathValue("link")
	return nil, orMissing(c.directory.RevokePortalLink(c.r.Context(), id), "there is no link %q", id)
}
