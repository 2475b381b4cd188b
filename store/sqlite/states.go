package sqlite

import "github.com/scimjit/provision/store/internal/sqlstore"

// states are what scopes count, as the open transaction left them, or the last one.
// They are true as long as nobody else writes, which SQLite tells.
type states struct {
	of      map[int64]sqlstore.State // by the number of the scope
	unsaved []int64                  // those that the open transaction changed
	version int64                    // of the database, when they were true
	looked  bool                     // whether version is that of the open transaction
}

// forget is called when writes are undone: those that are kept may be among them.
func (s *states) forget() {
	clear(s.of)
	s.unsaved = s.unsaved[:0]
}

// state returns what a scope counts, in the open transaction.
func (w *writer) state(scope int64) (sqlstore.State, error) {
	if !w.states.looked {
		version, err := w.dataVersion()
		if err != nil {
			return sqlstore.State{}, err
		}
		if version != w.states.version {
			clear(w.states.of)
		}
		w.states.version, w.states.looked = version, true
	}
	if state, ok := w.states.of[scope]; ok {
		return state, nil
	}
	return sqlstore.ReadState(w.session, scope)
}

// keep takes what a scope counts after an update that succeeded. It is saved with the
// commit, once for all updates of a batch.
func (w *writer) keep(scope int64, state sqlstore.State) {
	if !state.Changed() {
		return
	}
	if !w.states.of[scope].Changed() {
		w.states.unsaved = append(w.states.unsaved, scope)
	}
	if w.states.of == nil {
		w.states.of = make(map[int64]sqlstore.State)
	}
	w.states.of[scope] = state
}

// saveStates writes what the open transaction has changed.
func (w *writer) saveStates() error {
	for _, scope := range w.states.unsaved {
		state, err := w.states.of[scope].Save(w.session, scope)
		if err != nil {
			return err
		}
		w.states.of[scope] = state
	}
	w.states.unsaved = w.states.unsaved[:0]
	return nil
}

// dataVersion returns a number that changes when another connection commits: another
// process, or the host where the database is its own. Commits of w do not count.
func (w *writer) dataVersion() (version int64, err error) {
	err = w.Query(`PRAGMA data_version`, func(row sqlstore.Scanner) error { return row.Scan(&version) })
	return version, err
}
