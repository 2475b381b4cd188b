package sqlstore

import "github.com/scimjit/provision/store"

// EncodeAccount returns the stored form of an account.
func EncodeAccount(a *store.Account) (string, error) { return encodeAccount(a) }

// DecodeAccount reads the stored form of an account.
func DecodeAccount(data string) (*store.Account, error) { return decodeAccount(data) }
