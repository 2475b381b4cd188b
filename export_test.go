package provision

import (
	"context"

	"github.com/scimjit/provision/internal/account"
)

// Work does one batch of a connection's job.
func Work(e *Engine, ctx context.Context, connection string) (bool, error) {
	return e.work(ctx, connection)
}

// DeleteDue deletes the accounts whose days are over.
func DeleteDue(e *Engine, ctx context.Context, connection string) error {
	return e.deleteDue(ctx, connection)
}

// UserContent returns what a login stores of a new person.
func UserContent(id Identity) Content {
	doc := account.Document{}
	id.say(&doc)
	doc.ExternalID = id.ID
	return Content(doc.Content())
}

// GroupContent returns what a login stores of a group.
func GroupContent(value, name string) Content {
	return Content(account.GroupContent(value, name, true))
}

// Lapse withdraws the rights that have lapsed.
func Lapse(e *Engine, ctx context.Context, connection string) error {
	return e.lapse(ctx, connection)
}
