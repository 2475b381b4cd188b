package sqlstore

import (
	"errors"
	"strings"

	"github.com/scimjit/provision/store"
)

// accountColumns are the columns that accounts are found by.
type accountColumns struct {
	resourceID, userName, externalID, email string
	siteAdmin                               bool
}

func columnsOf(a *store.Account) accountColumns {
	return accountColumns{
		resourceID: a.ResourceID,
		userName:   store.NameKey(a.UserName),
		externalID: a.ExternalID,
		email:      store.NameKey(a.Email),
		siteAdmin:  a.SiteAdmin,
	}
}

// Account implements [store.AccountReader].
func (r *Reader) Account(id string) (*store.Account, error) {
	return r.account(store.KindAccount, decodeAccount, accountByID, id)
}

// AccountOf implements [store.AccountReader].
func (r *Reader) AccountOf(resource string) (*store.Account, error) {
	a, err := r.account(store.KindAccountOf, decodeAccount, accountByResource, resource)
	return r.unlinked(resource, a, err)
}

// BareAccountOf implements [store.AccountReader].
func (r *Reader) BareAccountOf(resource string) (*store.Account, error) {
	a, err := r.account(store.KindAccountOf, decodeBareAccount, accountByResource, resource)
	return r.unlinked(resource, a, err)
}

// unlinked remembers that no account is linked to a resource, where it was not found.
func (r *Reader) unlinked(resource string, a *store.Account, err error) (*store.Account, error) {
	if r.memory != nil && errors.Is(err, store.ErrNotFound) {
		r.memory.putLink(resource, "")
	}
	return a, err
}

// decoder reads an account from its stored form.
type decoder func(data string) (*store.Account, error)

func (r *Reader) account(kind string, decode decoder, query, id string) (*store.Account, error) {
	found, err := r.accounts(decode, query, r.scope, id)
	if err != nil {
		return nil, err
	}
	if len(found) == 0 {
		return nil, &store.NotFoundError{Kind: kind, ID: id}
	}
	return found[0], nil
}

// Accounts implements [store.AccountReader].
func (r *Reader) Accounts(q store.AccountQuery) ([]*store.Account, error) {
	var query strings.Builder
	args := []any{r.scope, q.After}
	where := func(wanted bool, condition string, arg ...any) {
		if wanted {
			query.WriteString(condition)
			args = append(args, arg...)
		}
	}
	query.WriteString(accountsWhere)
	where(q.UserName != "", accountUserName, store.NameKey(q.UserName))
	where(q.ExternalID != "", accountExternalID, q.ExternalID)
	where(q.Email != "", accountEmail, store.NameKey(q.Email))
	where(len(q.Statuses) > 0, accountStatuses, q.Statuses)
	where(q.SiteAdmin, accountSiteAdmin)
	where(q.Unlinked, accountUnlinked)
	where(true, accountsOrder, rowLimit(q.Limit))
	return r.accounts(decodeAccount, query.String(), args...)
}

func (r *Reader) accounts(decode decoder, query string, args ...any) (found []*store.Account, err error) {
	var data string
	err = r.conn.Query(query, func(row Scanner) error {
		if err := row.Scan(&data); err != nil {
			return err
		}
		a, err := decode(data)
		if err != nil {
			return err
		}
		if r.memory != nil {
			r.memory.putAccount(a.ID, columnsOf(a))
		}
		found = append(found, a)
		return nil
	}, args...)
	return found, err
}

// PutAccount implements [store.AccountWriter]. An account that this transaction
// has read and whose searchable columns stay as they are is written without
// touching the indexes.
func (t *Tx) PutAccount(a *store.Account) error {
	data, err := encodeAccount(a)
	if err != nil {
		return err
	}
	columns := columnsOf(a)
	if known, ok := t.memory.accounts[a.ID]; ok && known == columns {
		t.didPut(a)
		return t.write(1, updateAccount, string(a.Status), data, t.scope, a.ID)
	}
	args := []any{
		t.scope, a.ID,
		orNull(columns.resourceID), orNull(columns.userName), orNull(columns.externalID), orNull(columns.email),
		string(a.Status), columns.siteAdmin, data,
	}
	conflict := &store.ConflictError{Attribute: "resourceId", ID: a.ResourceID}
	if t.pipeline != nil {
		if holder, err := t.linked(columns.resourceID); err != nil {
			return err
		} else if holder != "" && holder != a.ID {
			return conflict
		}
		if err := t.write(AnyRows, putAsked, args...); err != nil {
			return err
		}
	} else if n, err := t.conn.Exec(putAccount, append(args, t.scope, orNull(columns.resourceID), a.ID)...); err != nil {
		return err
	} else if n == 0 {
		return conflict
	}
	if known, ok := t.memory.accounts[a.ID]; ok && known.resourceID != "" {
		t.memory.putLink(known.resourceID, "")
	}
	t.memory.putAccount(a.ID, columns)
	t.didPut(a)
	return nil
}

// linked returns the id of the account that is linked to a resource, or "".
func (t *Tx) linked(resource string) (string, error) {
	if resource == "" {
		return "", nil
	}
	if account, known := t.memory.links[resource]; known {
		return account, nil
	}
	a, err := t.AccountOf(resource)
	if errors.Is(err, store.ErrNotFound) {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	return a.ID, nil
}

// orNull returns the argument for a text that is null where it is empty.
func orNull(text string) any {
	if text == "" {
		return nil
	}
	return text
}
