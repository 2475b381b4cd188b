//go:build !unix

package main

func giveWay() {}
