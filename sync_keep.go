package provision

import (
	"context"
	"crypto/sha256"
	"errors"
	"slices"

	"github.com/scimjit/provision/internal/naming"
	"github.com/scimjit/provision/store"
)

// keptUser is a user whom a sync left e-mails that the source has no longer.
type keptUser struct {
	write  userWrite // what the source says
	emails []string  // keys of those that were left
	same   bool      // nothing was written, and the report says so
}

// maxKept is how many of them a sync knows. The e-mails of further ones are given to nobody
// else before the next sync.
const maxKept = 20_000

// keepStored asks the source what to write beside what is stored, and returns the writes
// that are left; see SyncUser.Keeping.
func (s *syncing) keepStored(ctx context.Context, list []userWrite) ([]userWrite, error) {
	asks := func(w userWrite) bool { return w.id != "" && w.content != nil && w.keeping != nil }
	if !slices.ContainsFunc(list, asks) {
		return list, nil
	}
	contents := make([]*Content, len(list))
	err := s.view(ctx, func(r store.Reader) error {
		for i, w := range list {
			if !asks(w) {
				continue
			}
			stored, err := r.Resource(TypeUser, w.id, 0)
			if errors.Is(err, ErrNotFound) {
				continue // which the write will see
			}
			if err != nil {
				return err
			}
			c := w.keeping(stored.Document)
			contents[i] = &c
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	var out []userWrite
	for i, w := range list {
		if contents[i] == nil || s.keepUser(&w, contents[i]) {
			out = append(out, w)
		}
	}
	return out, nil
}

// keepUser has a user written with another content than that of the source, and reports
// whether there is something to write.
func (s *syncing) keepUser(w *userWrite, content *Content) bool {
	said, old, entry := *w, s.users.entries[w.id], *w.entry
	said.keeping, w.keeping = nil, nil
	entry.sum, w.entry, w.content = sha256.Sum256(content.Document), &entry, content
	same := false
	if old != nil && old.sum == entry.sum {
		w.content = nil
		same = old.mark == entry.state() && !w.returns && !w.turns
	}
	has := emailKeys(said.content.Document)
	left := slices.DeleteFunc(emailKeys(content.Document), func(key string) bool { return slices.Contains(has, key) })
	if len(left) > 0 && len(s.kept) < maxKept {
		s.kept = append(s.kept, keptUser{said, left, same})
	}
	if same {
		s.report.Users.Unchanged++
	}
	return !same
}

// emailKeys returns the keys of the e-mails of a user, without the user name.
func emailKeys(user store.Document) (keys []string) {
	for email := range user.Values("emails", "value") {
		keys = append(keys, naming.Key(email.Text()))
	}
	return keys
}

// releaseEmails takes e-mails that users were left from those whose e-mails others have by
// now, or are to have: the source says that they have them no longer.
func (s *syncing) releaseEmails(ctx context.Context) error {
	kept := s.kept
	s.kept = nil
	refusing := map[string]bool{}
	for _, w := range s.again {
		if w.refused != nil && w.refused.Attribute == "emails.value" {
			refusing[w.refused.ID] = true
		}
	}
	for part := range slices.Chunk(kept, syncBatch) {
		err := s.view(ctx, func(r store.Reader) error {
			s.batch = s.batch[:0]
			for _, k := range part {
				found, err := finder{tx: r}.withEmails(k.emails)
				if err != nil {
					return err
				}
				if !refusing[k.write.id] && !slices.ContainsFunc(found, func(other *Resource) bool { return other.ID != k.write.id }) {
					continue
				}
				s.batch = append(s.batch, k.write)
			}
			return nil
		})
		if err != nil {
			return err
		}
		for _, k := range part {
			if k.same && slices.ContainsFunc(s.batch, func(w userWrite) bool { return w.id == k.write.id }) {
				s.report.Users.Unchanged-- // it is counted as updated
			}
		}
		if err := s.flush(ctx); err != nil {
			return err
		}
	}
	return nil
}
