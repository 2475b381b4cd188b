package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"regexp"
	"time"
)

func main() {
	if isChild() {
		return
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	err := run(ctx, os.Args[1:], os.Stdout)
	stop()
	if err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "soak:", err)
		os.Exit(1)
	}
}

// isChild reports whether the command was one of its own children, which has ended then.
func isChild() bool {
	var err error
	switch role := os.Getenv(childEnv); role {
	case "":
		return false
	case attackRole:
		err = attackWhile(os.Stdin, os.Stdout)
	default:
		err = serve(context.Background(), os.Args[1:], os.Stdout)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "soak child:", err)
		os.Exit(1)
	}
	return true
}

// options are what a run is made of.
type options struct {
	duration    time.Duration
	seed        uint64
	connections int
	clients     int
	kills       int
	folder      string
	beside      bool
	sample      time.Duration
	only        *regexp.Regexp // the rows of -beside that are made, by store and name
	attackers   int
	fat, crowd  int           // what hostile clients have: large users, and members of a group
	settling    time.Duration // until leases of the dead have ended, and clients that do not read are cut off
}

func run(ctx context.Context, args []string, out io.Writer) error {
	o := options{settling: 15 * time.Second, fat: 10, crowd: 3000}
	fs := flag.NewFlagSet("soak", flag.ContinueOnError)
	fs.DurationVar(&o.duration, "duration", 30*time.Second, "how long the load lasts; the documented run is 30m")
	fs.Uint64Var(&o.seed, "seed", 1, "seed of all that is drawn; the times at which things meet differ nevertheless")
	fs.IntVar(&o.connections, "connections", 1000, "connections of identity providers")
	fs.IntVar(&o.clients, "clients", 16, "clients at once; each has connections of its own")
	fs.IntVar(&o.kills, "kills", 0, "how often the server is killed; 0 is about once for each 15 seconds of the first two thirds, at most 60")
	fs.StringVar(&o.folder, "folder", "", "where the store and the logs of the consumers stay; empty is a folder that is removed")
	fs.BoolVar(&o.beside, "beside", false, "print the latency of a mixed load beside each hostile request, and nothing else")
	fs.DurationVar(&o.sample, "sample", 5*time.Second, "how long each row of -beside is measured")
	only := fs.String("only", "", "make only those rows of -beside whose store and name this matches, as \"sqlite: GET\"")
	fs.IntVar(&o.attackers, "attackers", 1, "how many requests -beside sends at once")
	if err := fs.Parse(args); err != nil {
		return err
	}
	var err error
	if o.only, err = regexp.Compile(*only); err != nil {
		return err
	}
	if o.clients < 1 || o.attackers < 1 || o.connections < o.clients || o.duration <= 0 {
		return errors.New("there must be a client, an attacker, a connection for each of them, and a duration")
	}
	if o.folder == "" {
		folder, err := os.MkdirTemp("", "soak")
		if err != nil {
			return err
		}
		defer func() { _ = os.RemoveAll(folder) }()
		o.folder = folder
	}
	if o.beside {
		return beside(ctx, o, out)
	}
	return soak(ctx, o, out)
}
