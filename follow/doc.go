// Package follow keeps the tables of an application right by events, when they
// are in another database than the provisioning store. It is what an application
// would otherwise write around [provision.Consumer.Deliver]:
//
//	users := follow.New(engine, "users-table", follow.SQL(db, follow.PostgreSQL), writeUser)
//	if err := users.Create(ctx); err != nil { ... }
//	go users.Deliver(ctx, provision.DeliveryOptions{})
//
// Here writeUser is the application's own function, a [Func]: it writes one
// delivery by the transaction that it is given.
//
// # Exactly once
//
// Deliver brings an event at least once. A [Follower] remembers in the same
// transaction which event an account has got, so what Func writes by that
// transaction happens exactly once for each event, wherever the process dies. The
// sequence is kept for each account and not for the connection: an account that
// was parked and redriven gets events that are older than those of the others.
//
// It also keeps the greatest [provision.Delivery.Fence] of each connection, and
// refuses smaller ones with [ErrFenced]. A process that was cut off and writes late
// changes nothing.
//
// What Func does beside the transaction, such as a mail, may happen again.
//
// # Ids of the application
//
// Func returns the id that the application has for the account, and a Follower
// tells it to [provision.Directory.Link] after the commit. When the process dies
// in between, the event comes again: it is passed over, and linked. In the
// meantime, Func finds in Account.HostID what it has returned, also where the
// event was read before the link. An account that is deleted before it could be
// linked has no link, but Func is given the id all the same.
//
// # Deleted connections
//
// Event connection.deleted comes after those of its accounts, which end as by
// DELETE. Accounts that the policy only disables stay, and so do their rows, until
// the application removes them at this event:
//
//	case store.ConnectionDeleted:
//		_, err := tx.ExecContext(ctx, `DELETE FROM users WHERE connection = $1`, d.Event.Connection)
//
// Only the events of an account that is parked may come later, by Redrive. The rows
// of a Follower stay, as a connection with the same id would go on from them. They
// hold ids and numbers.
//
// # Falling behind
//
// When [provision.Engine.Retention] has removed events that the application has not
// seen, a Follower reads the accounts again and goes on: see [Follower.Resync].
//
// # Restoring a backup
//
// When the provisioning store goes back to a backup, its numbers do, too. Stop the
// processes, empty both tables of the Follower, start, and call Resync for each
// connection. When the application's database goes back, Resync is enough.
package follow
