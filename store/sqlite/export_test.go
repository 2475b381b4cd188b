package sqlite

import (
	"time"

	"github.com/scimjit/provision/store/internal/sqlstore"
)

// BatchTime sets how long the updates of a batch may take. Call it before the store is
// used.
func BatchTime(s *Store, d time.Duration) {
	s.queue = sqlstore.NewQueue(s.writer, sqlstore.QueueLimits{Size: batchSize, Rows: batchRows, Time: d})
}

// OpenWith is Open with other migrations.
var OpenWith = open

// OpenOn is OpenWith on a disk with so much room.
var OpenOn = openOn
