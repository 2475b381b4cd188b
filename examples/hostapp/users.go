package main

import (
	"cmp"
	"context"
	"crypto/rand"
	"database/sql"
	"log"
	"net/http"
	"strconv"
	"time"

	"github.com/scimjit/provision"
	"github.com/scimjit/provision/policy"
	"github.com/scimjit/provision/store"
)

// writeUser makes a row be what the account is. Sessions end with the account, when
// the identity provider no longer lets the person in, and with a logout there.
func writeUser(ctx context.Context, tx *sql.Tx, d provision.Delivery) (hostID string, err error) {
	u := d.Account
	if u == nil {
		return "", nil // about a group, a credential or the connection, which this application never deletes
	}
	id, active := int64(0), u.Status == policy.StatusActive
	err = tx.QueryRowContext(ctx, `INSERT INTO users (account, name, email, active) VALUES (?, ?, ?, ?)
		ON CONFLICT (account) DO UPDATE SET name = excluded.name, email = excluded.email, active = excluded.active
		RETURNING id`, u.ID, u.UserName, u.Email, active).Scan(&id)
	if err == nil && (!active || d.Event.Denial().EndsSessions() || d.Event.Type == store.LoginEnded) {
		_, err = tx.ExecContext(ctx, `DELETE FROM sessions WHERE user = ?`, id)
	}
	if err == nil {
		_, err = tx.ExecContext(ctx, `INSERT INTO history (user, event) VALUES (?, ?)`, id, d.Event.Type)
	}
	return strconv.FormatInt(id, 10), err
}

// beginSession waits for the row of the person, whose first login it may be.
func (a *app) beginSession(w http.ResponseWriter, r *http.Request, account *provision.Account, returnTo string) {
	ctx, cancel := context.WithTimeout(r.Context(), 5*time.Second)
	defer cancel()
	token := rand.Text()
	err := a.users.Consumer().Wait(ctx, account.Connection, account.ID)
	if err == nil {
		_, err = a.db.ExecContext(ctx, `INSERT INTO sessions SELECT ?, id FROM users WHERE account = ? AND active`, token, account.ID)
	}
	if err != nil {
		log.Printf("a session of account %s could not begin: %v", account.ID, err)
		http.Error(w, "Please try again in a minute.", http.StatusServiceUnavailable)
		return
	}
	http.SetCookie(w, &http.Cookie{Name: "session", Value: token, Path: "/", HttpOnly: true, SameSite: http.SameSiteLaxMode})
	http.Redirect(w, r, cmp.Or(returnTo, "/"), http.StatusSeeOther)
}

// home greets the person of the session.
func (a *app) home(w http.ResponseWriter, r *http.Request) {
	name := ""
	if cookie, err := r.Cookie("session"); err == nil {
		_ = a.db.QueryRowContext(r.Context(), `SELECT name FROM users JOIN sessions ON user = id WHERE token = ? AND active`,
			cookie.Value).Scan(&name) // or there is no session
	}
	_ = pages.ExecuteTemplate(w, "home", name) // or the reader is gone
}
