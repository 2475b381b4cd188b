package main

import (
	"errors"
	"fmt"
	"net/http"

	"github.com/scimjit/provision"
	"github.com/scimjit/provision/policy"
)

// explain answers GET /explain: one account with the reasons of its state.
func (o operator) explain(w http.ResponseWriter, r *http.Request) error {
	d, err := o.directory(r)
	if err != nil {
		return err
	}
	id := r.URL.Query().Get("account")
	if id == "" {
		return &statusError{status: http.StatusBadRequest, text: "the parameter account is missing"}
	}
	explanation, err := d.Explain(r.Context(), id)
	if errors.Is(err, provision.ErrNotFound) {
		return &statusError{status: http.StatusNotFound, text: fmt.Sprintf("there is no account %q", id)}
	}
	if err != nil {
		return err
	}
	writeJSON(w, http.StatusOK, explanation)
	return nil
}

// wrongOption is the answer to a wrong policy.
func wrongOption(e *policy.ConfigError) error {
	return &statusError{status: http.StatusBadRequest, text: e.Error(), code: e.Code}
}

// preview answers POST /preview: a JSON array of the accounts that the policy in
// the body would change.
func (o operator) preview(w http.ResponseWriter, r *http.Request) error {
	d, err := o.directory(r)
	if err != nil {
		return err
	}
	body, err := readBody(w, r)
	if err != nil {
		return err
	}
	config, err := policy.Parse(body)
	var option *policy.ConfigError
	if errors.As(err, &option) {
		return wrongOption(option)
	}
	if err != nil {
		return err
	}
	out := newArray(w)
	for change, err := range d.Preview(r.Context(), config) {
		if errors.As(err, &option) {
			return wrongOption(option)
		}
		if err != nil {
			return out.fail(err)
		}
		out.add(change)
	}
	return out.end()
}
