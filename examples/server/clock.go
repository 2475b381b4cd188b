package main

import (
	"net/http"
	"time"
)

// clockView is the answer of GET /clock.
type clockView struct {
	Now    time.Time `json:"now"`
	Jumped time.Time `json:"jumped,omitzero"` // since when work waits
}

// clock answers GET /clock: the time of the server, and whether work waits because it
// has jumped.
func (o operator) clock(w http.ResponseWriter, r *http.Request) error {
	at, err := o.engine.ClockJumped(r.Context())
	if err != nil {
		return err
	}
	writeJSON(w, http.StatusOK, clockView{Now: time.Now().UTC().Truncate(time.Millisecond), Jumped: at})
	return nil
}

// confirmClock answers POST /clock/confirm: the clock is right, and what waits goes on.
func (o operator) confirmClock(w http.ResponseWriter, r *http.Request) error {
	if err := o.engine.ConfirmClock(r.Context()); err != nil {
		return err
	}
	return o.clock(w, r)
}
