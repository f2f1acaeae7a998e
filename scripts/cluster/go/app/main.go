// The sample application of the embedded cluster: one static program that plays a well-behaved or a broken workload,
// and the client that talks to it.
//
//	app                serve (settings from the environment)
//	app get URL        print the body; exit 1 unless the status is 2xx
//	app client URL     send requests at CLIENT_RATE a second until stopped, then print the count of failed ones
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/signal"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

func main() {
	if len(os.Args) < 2 || os.Args[1] == "serve" {
		serve()
		return
	}
	if len(os.Args) == 3 && os.Args[1] == "get" {
		get(os.Args[2])
		return
	}
	if len(os.Args) == 3 && os.Args[1] == "client" {
		client(os.Args[2])
		return
	}
	fmt.Fprintln(os.Stderr, "usage: app [serve] | app get URL | app client URL")
	os.Exit(2)
}

func text(name, fallback string) string {
	if value := os.Getenv(name); value != "" {
		return value
	}
	return fallback
}

func number(name string, fallback float64) float64 {
	value := os.Getenv(name)
	if value == "" {
		return fallback
	}
	parsed, err := strconv.ParseFloat(value, 64)
	if err != nil {
		fmt.Fprintf(os.Stderr, "%s is %q; a number is expected\n", name, value)
		os.Exit(2)
	}
	return parsed
}

func seconds(name string, fallback float64) time.Duration {
	return time.Duration(number(name, fallback) * float64(time.Second))
}

// serve answers on PORT [8080]:
//
//	/         VERSION [v1] and the host name
//	/readyz   503 until READY_AFTER seconds [0] have passed; always with READY=never; also while stopping
//	/healthz  503 with LIVE=never
//
// EXIT_AFTER seconds: log EXIT_MESSAGE and leave with EXIT_CODE [1]. START_AFTER: listen only then. HOG_MIB: take that
// much memory at once. On SIGTERM it goes on serving for DRAIN seconds [0] and then finishes what is under way.
func serve() {
	started := time.Now()
	version := text("VERSION", "v1")
	var stopping atomic.Bool
	host, _ := os.Hostname()

	if mebibytes := int(number("HOG_MIB", 0)); mebibytes > 0 {
		hog(mebibytes)
	}
	if after := seconds("EXIT_AFTER", -1); after >= 0 {
		time.AfterFunc(after, func() {
			fmt.Println(text("EXIT_MESSAGE", "fatal: the sample application was told to exit"))
			os.Exit(int(number("EXIT_CODE", 1)))
		})
	}
	if after := seconds("START_AFTER", 0); after > 0 {
		time.Sleep(after)
	}

	ready := func() bool {
		return os.Getenv("READY") != "never" && !stopping.Load() && time.Since(started) >= seconds("READY_AFTER", 0)
	}
	answer := func(ok func() bool) http.HandlerFunc {
		return func(response http.ResponseWriter, _ *http.Request) {
			if !ok() {
				http.Error(response, "not ok", http.StatusServiceUnavailable)
				return
			}
			fmt.Fprintln(response, "ok")
		}
	}
	mux := http.NewServeMux()
	mux.HandleFunc("/readyz", answer(ready))
	mux.HandleFunc("/healthz", answer(func() bool { return os.Getenv("LIVE") != "never" }))
	mux.HandleFunc("/", func(response http.ResponseWriter, _ *http.Request) {
		fmt.Fprintf(response, "%s %s\n", version, host)
	})

	server := &http.Server{Addr: ":" + text("PORT", "8080"), Handler: mux, ReadHeaderTimeout: 10 * time.Second}
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGINT)
	done := make(chan struct{})
	go func() {
		<-signals
		stopping.Store(true)
		fmt.Println("stopping")
		time.Sleep(seconds("DRAIN", 0))
		_ = server.Shutdown(context.Background())
		close(done)
	}()

	fmt.Printf("sample application %s listens on %s\n", version, server.Addr)
	if err := server.ListenAndServe(); !errors.Is(err, http.ErrServerClosed) {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	<-done
}

var hogged [][]byte

// hog touches every page, so that the memory counts against the container's limit.
func hog(mebibytes int) {
	fmt.Printf("taking %d MiB of memory\n", mebibytes)
	for i := 0; i < mebibytes; i++ {
		block := make([]byte, 1<<20)
		for offset := 0; offset < len(block); offset += 4096 {
			block[offset] = 1
		}
		hogged = append(hogged, block)
	}
}

func fetch(caller *http.Client, url string) (string, error) {
	response, err := caller.Get(url)
	if err != nil {
		return "", err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		return "", err
	}
	if response.StatusCode < 200 || response.StatusCode > 299 {
		return string(body), fmt.Errorf("%s: %s", url, response.Status)
	}
	return string(body), nil
}

func get(url string) {
	body, err := fetch(&http.Client{Timeout: seconds("CLIENT_TIMEOUT", 5)}, url)
	fmt.Print(body)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// client opens a new connection for every request, so that each one is balanced anew by the Service. A request without an
// answer within CLIENT_TIMEOUT seconds [5] has failed.
func client(url string) {
	caller := &http.Client{
		Timeout:   seconds("CLIENT_TIMEOUT", 5),
		Transport: &http.Transport{DisableKeepAlives: true},
	}
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGINT)
	ticker := time.NewTicker(time.Duration(float64(time.Second) / number("CLIENT_RATE", 20)))
	var underWay sync.WaitGroup
	var sent, failed atomic.Int64
	for {
		select {
		case <-signals:
			underWay.Wait()
			fmt.Printf("{\"sent\":%d,\"failed\":%d}\n", sent.Load(), failed.Load())
			return
		case <-ticker.C:
			sent.Add(1)
			underWay.Add(1)
			go func() {
				defer underWay.Done()
				if _, err := fetch(caller, url); err != nil {
					failed.Add(1)
					fmt.Fprintf(os.Stderr, "%s %v\n", time.Now().UTC().Format(time.RFC3339Nano), err)
				}
			}()
		}
	}
}
