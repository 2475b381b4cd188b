package sqlstore

import (
	"strings"
	"sync"
	"time"
)

// Places remember where pages of lists ended, so that a walk by offset goes on from there
// and does not count again what it has passed. They belong to one process, and are safe
// for concurrent use. The zero value remembers nothing yet.
//
// A place says that the first so many resources of some types end at a position. That is
// true until one of them is deleted: what is inserted comes behind all others. So it is
// used only where the mark of the types is the one of then, which changes with each
// deletion, and a page is what OFFSET would have returned in the same snapshot. A snapshot
// that is older has the same mark only if it has the same beginning.
//
// None of this is true of a database that goes back while the process runs on: restored
// from a backup, or promoted without the last commits. A place is forgotten after ten
// minutes, and with a deletion.
type Places struct {
	mu sync.Mutex
	of map[listed]*walked
}

const (
	mostLists  = 1000             // that Places know
	mostPlaces = 16               // that they know of each
	placeLife  = 10 * time.Minute // after which a place counts no more
)

// listed is what is listed.
type listed struct {
	scope any
	types string
}

// walked are the places of a list.
type walked struct {
	mark   int64
	places []place // the newest is last
}

type place struct {
	rank     int // how many resources end at the position
	position int64
	noted    time.Time
}

// find returns the last place before an offset, and the mark with which it is true.
func (p *Places) find(list listed, offset int, now time.Time) (best place, mark int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	known := p.of[list]
	if known == nil {
		return place{}, 0
	}
	for _, at := range known.places {
		if at.rank <= offset && at.rank > best.rank && now.Sub(at.noted) < placeLife {
			best = at
		}
	}
	return best, known.mark
}

// note remembers a place.
func (p *Places) note(list listed, mark int64, at place) {
	p.mu.Lock()
	defer p.mu.Unlock()
	known := p.of[list]
	if known == nil || known.mark != mark {
		known = &walked{mark: mark}
		if p.of == nil {
			p.of = map[listed]*walked{}
		}
		for old := range p.of {
			if len(p.of) < mostLists {
				break
			}
			delete(p.of, old) // any
		}
		p.of[list] = known
	}
	for i, old := range known.places {
		if old.rank == at.rank {
			known.places[i] = at
			return
		}
	}
	if len(known.places) == mostPlaces {
		copy(known.places, known.places[1:])
		known.places = known.places[:mostPlaces-1]
	}
	known.places = append(known.places, at)
}

// Remember makes a reader of a snapshot use places.
func (r *Reader) Remember(p *Places) { r.places = p }

// selectAtOffset reads the page at the offset of a query without a filter, from the last
// place before it that is known. The mark is that of the types.
func (r *Reader) selectAtOffset(s *selection, mark int64) error {
	q := s.query
	if r.places == nil || q.NoTotal || q.After > 0 {
		return r.resources(q.Types, q.After, int64(q.Limit), int64(q.Offset), s.take)
	}
	list, now := listed{r.scope, strings.Join(q.Types, "\x00")}, time.Now()
	from, then := r.places.find(list, q.Offset, now)
	_, announces := r.conn.(expecting) // without a result: as the mark was, it mostly is
	if then != mark && !announces {
		from = place{}
	}
	err := r.resources(q.Types, from.position, int64(q.Limit), int64(q.Offset-from.rank), s.take)
	if n := len(s.page.Resources); err == nil && n > 0 {
		r.places.note(list, mark, place{max(q.Offset, 0) + n, s.page.Resources[n-1].Position, now})
	}
	return err
}
