// Command soak runs a server for a while under everything that it promises to
// survive, and then compares what it acknowledged with what it kept:
//
//	go run ./internal/soak -duration 30m
//
// The server is a process of its own on SQLite with a thousand connections. Clients
// read, write, delete, log in and change groups. Beside them are clients that want to
// make it slow and fat, and consumers that fail, hang, panic and end their goroutines.
// It is killed and started again and again, and its clock jumps by up to three years
// in both directions.
//
// In the end every write that was acknowledged must be there, each consumer must have
// seen every event, those of an account in order, and no account may differ from what
// is derived from its facts. In the last third nothing is killed: memory must end as
// it began there.
//
// With -beside it prints instead what each hostile request costs the others:
//
//	go run ./internal/soak -beside
//
// Everything happens on the loopback interface and in a folder that is removed.
package main
