package provision

import "context"

func (e *Engine) Connection(ctx context.Context, id string) (Connection, error) {
	return e.Directory(id).Connection(ctx)
}

func (e *Engine) SaveConnection(ctx context.Context, c Connection, actor Actor) (bool, error) {
	return e.save(ctx, e.Directory(c.ID).As(actor), c)
}

func (e *Engine) ForceConnection(ctx context.Context, c Connection, actor Actor) (bool, error) {
	return e.save(ctx, e.Directory(c.ID).As(actor).Forced(), c)
}

func (e *Engine) save(ctx context.Context, d *Directory, c Connection) (bool, error) {
	version := int64(0)
	saved, err := d.UpdateConnection(ctx, func(stored *Connection) error {
		version = stored.Version
		*stored = c
		return nil
	})
	return err == nil && saved.Version != version, err
}
