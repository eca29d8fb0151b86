package main

import (
	"bufio"
	"net"
	"os"
	"runtime"
)

var version = "unknown"

func main() {
	listener, err := net.Listen("tcp", ":"+os.Getenv("PORT"))
	if err != nil {
		panic(err)
	}
	for {
		connection, err := listener.Accept()
		if err != nil {
			panic(err)
		}
		go answer(connection)
	}
}

func answer(connection net.Conn) {
	defer connection.Close()
	head := bufio.NewReader(connection)
	for {
		line, err := head.ReadString('\n')
		if err != nil {
			return
		}
		if line == "\r\n" {
			break
		}
	}
	connection.Write([]byte("HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nVersion " + version + " on " + runtime.Version() + "\n"))
}
