package main

import (
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/scimjit/provision"
	"github.com/scimjit/provision/scim/scimsync"
)

// truth reads a parameter that is true or false, false when absent.
func truth(r *http.Request, name string) (bool, error) {
	text := r.URL.Query().Get(name)
	if text == "" {
		return false, nil
	}
	b, err := strconv.ParseBool(text)
	if err != nil {
		return false, &statusError{status: http.StatusBadRequest, text: fmt.Sprintf("the parameter %s must be true or false", name)}
	}
	return b, nil
}

// sync answers POST /sync: the body is a whole directory in SCIM JSON lines, the
// answer the report.
func (o operator) sync(w http.ResponseWriter, r *http.Request) error {
	d, err := o.directory(r)
	if err != nil {
		return err
	}
	var options provision.SyncOptions
	if options.DryRun, err = truth(r, "dryRun"); err != nil {
		return err
	}
	if options.Force, err = truth(r, "force"); err != nil {
		return err
	}
	// A directory is larger than a request of an identity provider.
	_ = http.NewResponseController(w).SetReadDeadline(time.Time{})
	report, err := d.Sync(r.Context(), scimsync.JSONLines(r.Body), options)
	var input *scimsync.Error
	switch {
	case errors.Is(err, provision.ErrSyncRunning):
		return &statusError{status: http.StatusConflict, text: "another sync of this connection is running", code: "sync_running"}
	case errors.Is(err, provision.ErrEmptySync):
		return &statusError{status: http.StatusBadRequest, text: err.Error(), code: "sync_empty"}
	case errors.As(err, &input):
		return &statusError{status: http.StatusBadRequest, text: err.Error(), code: "sync_source"}
	case err != nil:
		return err
	}
	writeJSON(w, http.StatusOK, report)
	return nil
}
