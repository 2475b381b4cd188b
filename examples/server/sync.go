package main

import (
	"errors"
	"fmt"
	"mime"
	"net/http"
	"strconv"
	"time"

	"github.com/scimjit/provision"
	"github.com/scimjit/provision/jit/ldap"
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

// syncFrom syncs from the body of a request: SCIM JSON lines, or CSV where the request
// says so. Without a body it is from the directory of the connection.
func syncFrom(d *provision.Directory, r *http.Request, options provision.SyncOptions) (provision.SyncReport, error) {
	if r.ContentLength == 0 {
		return d.SyncNow(r.Context(), options)
	}
	source := scimsync.JSONLines(r.Body)
	if kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err == nil && kind == "text/csv" {
		source = scimsync.CSV(r.Body)
	}
	return d.Sync(r.Context(), source, options)
}

// sync answers POST /sync: the body is a whole directory, or there is none for that of the
// connection, and the answer is the report.
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
	report, err := syncFrom(d, r, options)
	var input *scimsync.Error
	var setting *provision.ConnectionError
	var directory *ldap.Error
	switch {
	case errors.As(err, &directory):
		return &statusError{status: http.StatusBadGateway, text: err.Error(), code: string(directory.Code)}
	case errors.As(err, &setting) && setting.Field == "ldap":
		return &statusError{status: http.StatusBadRequest, text: "there is no body, and no directory to read: " + setting.Reason, code: "sync_empty"}
	case errors.Is(err, provision.ErrSyncGroups):
		return &statusError{status: http.StatusBadRequest, text: err.Error(), code: "sync_no_groups"}
	case errors.Is(err, provision.ErrSyncMembers):
		return &statusError{status: http.StatusBadRequest, text: err.Error(), code: "sync_no_members"}
	case errors.Is(err, provision.ErrSyncUnidentified):
		return &statusError{status: http.StatusBadRequest, text: err.Error(), code: "sync_unidentified"}
	case errors.Is(err, provision.ErrSyncIDs):
		return &statusError{status: http.StatusBadRequest, text: err.Error(), code: "sync_ids_changed"}
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
