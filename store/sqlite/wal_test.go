package sqlite_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/scimjit/provision/store"
	"github.com/scimjit/provision/store/sqlite"
)

// Views that overlap without a gap do not let the write-ahead log grow without end,
// and read what was there when they began.
func TestWALIsBounded(t *testing.T) {
	const limit, writes, size = 1 << 20, 400, 64 << 10
	path := filepath.Join(t.TempDir(), "test.db")
	st, err := sqlite.Open(t.Context(), sqlite.Config{Path: path, WALLimit: limit, Readers: 4, Synchronous: sqlite.Normal})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = st.Close() }()
	ctx, stop := context.WithCancel(t.Context())
	var readers sync.WaitGroup
	defer readers.Wait()
	defer stop()
	write := func(i int) {
		t.Helper()
		doc := fmt.Sprintf(`{"userName":"u","title":%q}`, strings.Repeat(string(rune('a'+i%26)), size))
		err := st.Update(t.Context(), "acme", func(_ context.Context, tx store.Tx) error {
			return tx.PutResource(&store.Resource{
				ID: "1", Type: "User", Version: int64(i + 1), Created: time.Unix(0, 0).UTC(), Modified: time.Unix(0, 0).UTC(),
				Document: store.Document(doc), Keys: []store.Key{},
			})
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	write(0)
	began := make(chan struct{}, 4)
	for range 4 {
		readers.Go(func() {
			for ctx.Err() == nil {
				err := st.View(t.Context(), "acme", func(_ context.Context, r store.Reader) error {
					before, err := r.Resource("User", "1", 0)
					if err != nil {
						return err
					}
					select {
					case began <- struct{}{}:
					default:
					}
					<-time.After(5 * time.Millisecond)
					after, err := r.Resource("User", "1", 0)
					if err == nil && after.Version != before.Version {
						t.Errorf("a view read version %d, and %d later", before.Version, after.Version)
					}
					return err
				})
				if err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	<-began
	most := int64(0)
	for i := range writes {
		write(i + 1)
		if info, err := os.Stat(path + "-wal"); err == nil {
			most = max(most, info.Size())
		}
		if i%20 == 0 {
			<-began // the views go on meanwhile
		}
		if i%40 == 39 {
			<-time.After(walLook)
		}
	}
	if most > 16*limit { // all that was written is 25 MiB and more
		t.Errorf("the log had up to %d bytes, with a limit of %d", most, limit)
	}
	if most <= limit {
		t.Errorf("the log had at most %d bytes: the test shows nothing", most)
	}
}

const walLook = 110 * time.Millisecond
