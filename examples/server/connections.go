package main

import (
	"net/http"
	"time"

	"github.com/scimjit/provision"
)

// connectionView is one row of GET /connections.
type connectionView struct {
	provision.Connection
	Version     int64                  `json:"version"`
	Credentials []provision.Credential `json:"credentials"`
	Expired     int                    `json:"expiredCredentials"` // of them
	Warnings    []provision.Warning    `json:"warnings"`
}

// connections answers GET /connections: a JSON array of all connections, or of one,
// with their settings, their credentials and what they should be seen to. A metadata
// document is left out.
func (o operator) connections(w http.ResponseWriter, r *http.Request) error {
	list, err := o.asked(r)
	if err != nil {
		return err
	}
	views := make([]connectionView, 0, len(list))
	for _, c := range list {
		view, err := o.view(r, c)
		if err != nil {
			return err
		}
		views = append(views, view)
	}
	writeJSON(w, http.StatusOK, views)
	return nil
}

// asked returns the connection that a request names, or all.
func (o operator) asked(r *http.Request) ([]provision.Connection, error) {
	if !r.URL.Query().Has("connection") {
		return o.engine.Connections(r.Context())
	}
	d, err := o.directory(r)
	if err != nil {
		return nil, err
	}
	c, err := d.Connection(r.Context())
	return []provision.Connection{c}, err
}

func (o operator) view(r *http.Request, c provision.Connection) (connectionView, error) {
	d := o.engine.Directory(c.ID)
	v := connectionView{Connection: c, Version: c.Version, Warnings: []provision.Warning{}}
	if v.SAML != nil {
		v.SAML.Metadata = ""
	}
	credentials, err := d.Credentials(r.Context())
	if err != nil {
		return v, err
	}
	v.Credentials = append([]provision.Credential{}, credentials...)
	for _, cred := range credentials {
		if !cred.Expires.IsZero() && !time.Now().Before(cred.Expires) {
			v.Expired++
		}
	}
	warnings, err := d.Warnings(r.Context())
	v.Warnings = append(v.Warnings, warnings...)
	return v, err
}
