package provision

import (
	"github.com/scimjit/provision/internal/records"
	"github.com/scimjit/provision/store"
)

// factsTx is a transaction on a connection that is not live. It notes whether anything is
// written by which a plan could become another one.
type factsTx struct {
	store.Tx
	changed bool
}

// plannedBy are the kinds of records that a plan depends on.
var plannedBy = map[string]bool{
	records.Waiting.Row().Name:       true,
	records.Synced.Row().Name:        true,
	records.HostGroup.Row().Name:     true,
	records.HostGroupName.Row().Name: true,
	records.HostAccount.Row().Name:   true,
}

func (tx *factsTx) PutResource(r *store.Resource) error {
	tx.changed = true
	return tx.Tx.PutResource(r)
}

func (tx *factsTx) DeleteResource(typ, id string) error {
	tx.changed = true
	return tx.Tx.DeleteResource(typ, id)
}

func (tx *factsTx) PutMembership(m store.Membership) (bool, error) {
	tx.changed = true
	return tx.Tx.PutMembership(m)
}

func (tx *factsTx) DeleteMembership(group, member string, source store.Source) (bool, error) {
	tx.changed = true
	return tx.Tx.DeleteMembership(group, member, source)
}

func (tx *factsTx) ShowStage(stage int64) error {
	tx.changed = true
	return tx.Tx.ShowStage(stage)
}

func (tx *factsTx) DeleteStaged(typ, id string, stage int64) error {
	tx.changed = true
	return tx.Tx.DeleteStaged(typ, id, stage)
}

func (tx *factsTx) PutAccount(a *store.Account) error {
	tx.changed = true
	return tx.Tx.PutAccount(a)
}

func (tx *factsTx) PutRecord(r *store.Record) error {
	tx.changed = tx.changed || plannedBy[r.Kind]
	return tx.Tx.PutRecord(r)
}

func (tx *factsTx) DeleteRecord(kind, key string, version int64) error {
	tx.changed = tx.changed || plannedBy[kind]
	return tx.Tx.DeleteRecord(kind, key, version)
}

// watchFacts makes the transaction note whether facts change, where accounts wait.
func (c *change) watchFacts() {
	if c.conn.Mode == "" {
		return
	}
	c.facts = &factsTx{Tx: c.tx}
	c.tx = c.facts
}

// countFacts counts the transaction if facts have changed.
func (c *change) countFacts() error {
	if c.facts == nil || !c.facts.changed {
		return nil
	}
	count, err := records.FactsChanged.Load(c.facts.Tx, "")
	if err != nil {
		return err
	}
	count.Value++
	return records.FactsChanged.Save(c.facts.Tx, &count)
}
