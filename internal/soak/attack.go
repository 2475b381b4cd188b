package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"sync"
	"sync/atomic"
)

// attackRole makes a child attack.
const attackRole = "attack"

// attackOrder says what a process attacks, and with what.
type attackOrder struct {
	Front      string
	Number     int
	Fat, Group string
	Attack     string
	Attackers  int
}

// attackBeside attacks from a process of its own, which gives way to all others: hostile
// clients have machines of their own, and what they compute must not be counted as what
// they do to a server. The function that it returns ends the attack and tells how often
// it was made.
func (a *attacker) attackBeside(ctx context.Context, attack string, attackers int) (end func() (int64, error), err error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	front, _ := a.server.front.Load().(string)
	cmd := exec.CommandContext(ctx, self)
	cmd.Env, cmd.Stderr = append(os.Environ(), childEnv+"="+attackRole), os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	err = json.NewEncoder(in).Encode(attackOrder{front, a.number, a.fat, a.group, attack, attackers})
	return func() (made int64, _ error) {
		err = errors.Join(err, in.Close())
		_, scanErr := fmt.Fscan(out, &made)
		return made, errors.Join(err, scanErr, cmd.Wait())
	}, nil
}

// attackWhile is the process that attacks: it reads an order, attacks until its input
// ends, and writes how often it did.
func attackWhile(in io.Reader, out io.Writer) error {
	giveWay()
	var o attackOrder
	decoder := json.NewDecoder(in)
	if err := decoder.Decode(&o); err != nil {
		return err
	}
	at := slices.IndexFunc(attacks, func(a attack) bool { return a.name == o.Attack })
	if at < 0 {
		return fmt.Errorf("there is no attack %q", o.Attack)
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	a := &attacker{server: newProcess(""), number: o.Number, fat: o.Fat, group: o.Group}
	a.server.front.Store(o.Front)
	var (
		wg     sync.WaitGroup
		count  atomic.Int64
		failed = make(chan error, o.Attackers)
	)
	for range o.Attackers {
		wg.Go(func() {
			for ctx.Err() == nil {
				if err := attacks[at].do(ctx, a); err != nil && ctx.Err() == nil {
					failed <- err
					return
				}
				count.Add(1)
			}
		})
	}
	_, _ = io.Copy(io.Discard, io.MultiReader(decoder.Buffered(), in)) // until it ends
	cancel()
	wg.Wait()
	select {
	case err := <-failed:
		return err
	default:
	}
	_, err := fmt.Fprintln(out, count.Load())
	return err
}
