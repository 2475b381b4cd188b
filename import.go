package provision

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/scimjit/provision/internal/records"
	"github.com/scimjit/provision/store"
)

// ErrImported says that the connection has had its import.
var ErrImported = errors.New("provision: this connection has been imported already")

// Import brings the users and groups of another SCIM server with the ids by which
// the identity provider knows them, so that it goes on without noticing. It is
// for the time before the identity provider is pointed here: SCIM is the source of
// what it writes, accounts are derived and events appended as for requests.
//
// Each [SyncUser] and [SyncGroup] has its ID: 1 to 128 letters, digits, "-", "_",
// "." or "~". The members of a group are ids. Users are written as they come, a
// batch in each transaction; groups are kept in memory until all users are there.
// progress, when not nil, is called after each batch.
//
// An import that ended early goes on when it is called again with the same source:
// what is there already with the same content is passed over. One that came to
// its end is not repeated: the error is [ErrImported]. Any other error names the
// type and the id of the object that could not be written; nothing of its batch
// is stored. The error is [ErrNotFound] for an unknown connection.
func (d *Directory) Import(ctx context.Context, src SyncSource, progress func(Progress)) error {
	if src == nil {
		return &ArgumentError{Argument: "src", Reason: "there is no source"}
	}
	i := importing{Directory: d.Via(store.SourceSCIM), progress: progress}
	if done, err := i.done(ctx); err != nil || done {
		return errors.Join(err, errIf(done, ErrImported))
	}
	if err := i.users(ctx, src); err != nil {
		return err
	}
	groups, err := i.groups(ctx, src)
	if err != nil {
		return err
	}
	for _, g := range groups {
		if err := i.members(ctx, &g); err != nil {
			return err
		}
	}
	return i.update(ctx, i.why(), func(c *change) error { return records.Imported.Put(c.tx, "", true) })
}

func errIf(is bool, err error) error {
	if is {
		return err
	}
	return nil
}

// importing is one run of an import.
type importing struct {
	*Directory
	progress func(Progress)
	come     Progress
}

func (i *importing) done(ctx context.Context) (done bool, err error) {
	if _, err := i.engine.connection(ctx, i.connection); err != nil {
		return false, err
	}
	e, err := records.Imported.View(ctx, i.engine.store(), i.connection, "")
	return e.Value, err
}

// imported is what is written of one object.
type imported struct {
	typ, id string
	content *Content
}

// users writes the users of the source.
func (i *importing) users(ctx context.Context, src SyncSource) error {
	var batch []imported
	for u, err := range src.Users(ctx) {
		if err != nil {
			return fmt.Errorf("provision: reading the users to import: %w", err)
		}
		i.come.Total++
		if batch = append(batch, imported{TypeUser, u.ID, &u.Content}); len(batch) < syncBatch {
			continue
		}
		if err := i.write(ctx, batch); err != nil {
			return err
		}
		batch = batch[:0]
	}
	return i.write(ctx, batch)
}

// groups writes the groups of the source, without their members.
func (i *importing) groups(ctx context.Context, src SyncSource) (list []SyncGroup, err error) {
	groups := src.Groups(ctx)
	if groups == nil {
		return nil, nil
	}
	for g, err := range groups {
		if err != nil {
			return nil, fmt.Errorf("provision: reading the groups to import: %w", err)
		}
		i.come.Total++
		list = append(list, g)
	}
	for part := range slices.Chunk(list, syncBatch) {
		batch := make([]imported, len(part))
		for n := range part {
			batch[n] = imported{TypeGroup, part[n].ID, &part[n].Content}
		}
		if err := i.write(ctx, batch); err != nil {
			return nil, err
		}
	}
	return list, nil
}

// write writes a batch in one transaction.
func (i *importing) write(ctx context.Context, batch []imported) error {
	if err := ctx.Err(); err != nil || len(batch) == 0 {
		return err
	}
	err := i.update(ctx, i.why(), func(c *change) error {
		for _, object := range batch {
			if err := object.write(c); err != nil {
				return fmt.Errorf("provision: importing %s %q: %w", object.typ, shorten(object.id), err)
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	i.come.Done += len(batch)
	if i.progress != nil {
		i.progress(i.come)
	}
	return nil
}

// write creates a resource with its id, unless it is there.
func (object imported) write(c *change) error {
	if !isImportID(object.id) {
		return errors.New("the id must be 1 to 128 letters, digits, '-', '_', '.' or '~'")
	}
	if g, err := (hostGroups{c.tx}).group(object.id); err != nil || g != nil {
		return errors.Join(err, errIf(g != nil, errors.New("a group of the host has this id: see Directory.RegisterGroups")))
	}
	old, err := c.tx.Resource("", object.id, 0)
	switch {
	case errors.Is(err, store.ErrNotFound):
	case err != nil:
		return err
	case old.Type == object.typ && bytes.Equal(old.Document, object.content.Document):
		return nil
	default:
		return fmt.Errorf("a %s with this id and other content is there already", old.Type)
	}
	draft := &Draft{change: c, resource: Resource{ID: object.id, Type: object.typ, Created: c.now}}
	draft.Write(*object.content)
	return draft.apply()
}

// isImportID reports whether a text can be an id: what stands in a URL as it is.
func isImportID(id string) bool {
	if id == "" || len(id) > 128 || id == "." || id == ".." {
		return false
	}
	for _, r := range id {
		switch {
		case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9', r == '-', r == '_', r == '.', r == '~':
		default:
			return false
		}
	}
	return true
}

// members adds the members of a group, some in each transaction.
func (i *importing) members(ctx context.Context, g *SyncGroup) error {
	for ids := range slices.Chunk(g.Members, MembersPage) {
		err := i.update(ctx, i.why(), func(c *change) error {
			r, err := c.tx.Resource(TypeGroup, g.ID, 0)
			if err != nil {
				return err
			}
			draft := &Draft{change: c, resource: *r, before: r}
			for _, id := range ids {
				draft.AddMember(id)
			}
			return draft.apply()
		})
		if err != nil {
			return fmt.Errorf("provision: importing the members of group %q: %w", g.ID, err)
		}
	}
	return nil
}
