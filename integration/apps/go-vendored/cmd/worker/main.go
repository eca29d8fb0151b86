package main

import (
	"log"
	"time"

	"example.com/greeting"
)

func main() {
	for {
		log.Println(greeting.Of("the worker"))
		time.Sleep(time.Minute)
	}
}
