//go:build windows

// Starts a program as the Azure Pipelines agent for Windows starts a task, and cancels it as that does: for tests of the
// packaged task under Wine.
//
// Usage: agent.exe PROGRAM [ARGUMENT ...]
//
// The program gets a console of its own without a window, no input, and pipes for its output, which is passed on. Each line
// of the standard input is an order: "cancel", or "kill" for the program alone, as somebody with a task manager would.
package main

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"strconv"
	"syscall"
	"time"
	"unsafe"
)

const (
	sendOption     = "--send"
	createNoWindow = 0x08000000
	ctrlC          = 0
	ctrlBreak      = 1
	// The agent's own times (ProcessInvoker).
	afterCtrlC     = 7500 * time.Millisecond
	afterCtrlBreak = 2500 * time.Millisecond
)

var (
	kernel32          = syscall.NewLazyDLL("kernel32.dll")
	freeConsole       = kernel32.NewProc("FreeConsole")
	attachConsole     = kernel32.NewProc("AttachConsole")
	generateCtrlEvent = kernel32.NewProc("GenerateConsoleCtrlEvent")
)

func main() {
	if len(os.Args) < 2 {
		fail("usage: agent.exe PROGRAM [ARGUMENT ...]")
	}
	if len(os.Args) == 4 && os.Args[1] == sendOption {
		send(os.Args[2], os.Args[3])
		return
	}
	command := exec.Command(os.Args[1], os.Args[2:]...)
	command.SysProcAttr = &syscall.SysProcAttr{CreationFlags: createNoWindow}
	stdout, err := command.StdoutPipe()
	check("making a pipe", err)
	stderr, err := command.StderrPipe()
	check("making a pipe", err)
	check("starting "+os.Args[1], command.Start())

	ended := make(chan struct{})
	go obey(command.Process, ended)
	read := make(chan struct{}, 2)
	for _, stream := range []struct {
		to   io.Writer
		from io.Reader
	}{{os.Stdout, stdout}, {os.Stderr, stderr}} {
		go func() {
			_, _ = io.Copy(stream.to, stream.from)
			read <- struct{}{}
		}()
	}
	<-read
	<-read
	_ = command.Wait()
	close(ended)
	os.Exit(command.ProcessState.ExitCode())
}

func obey(process *os.Process, ended <-chan struct{}) {
	orders := bufio.NewScanner(os.Stdin)
	for orders.Scan() {
		switch orders.Text() {
		case "cancel":
			cancel(process, ended)
		case "kill":
			_ = process.Kill()
		default:
			fail("there is no order " + orders.Text())
		}
	}
}

func cancel(process *os.Process, ended <-chan struct{}) {
	if isEndedBy(ctrlC, process, ended, afterCtrlC) || isEndedBy(ctrlBreak, process, ended, afterCtrlBreak) {
		return
	}
	fmt.Fprintln(os.Stderr, "agent.exe: neither CTRL_C nor CTRL_BREAK ended it: its tree is killed")
	killTree(uint32(process.Pid))
}

func isEndedBy(event int, process *os.Process, ended <-chan struct{}, wait time.Duration) bool {
	self, err := os.Executable()
	check("finding myself", err)
	// A process can attach to another's console only once under Wine.
	sender := exec.Command(self, sendOption, strconv.Itoa(process.Pid), strconv.Itoa(event))
	if said, err := sender.CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "%s\n", said)
		return false
	}
	select {
	case <-ended:
		return true
	case <-time.After(wait):
		return false
	}
}

// Sends a console event to all processes of another process's console, of which this one is one for that moment.
func send(pid, event string) {
	id, err := strconv.Atoi(pid)
	check("reading the process id", err)
	number, err := strconv.Atoi(event)
	check("reading the event", err)
	// Both events come as this one.
	signal.Notify(make(chan os.Signal, 1), os.Interrupt)
	_, _, _ = freeConsole.Call()
	done, _, err := attachConsole.Call(uintptr(id))
	checkCall("AttachConsole", done, err)
	done, _, err = generateCtrlEvent.Call(uintptr(number), 0)
	checkCall("GenerateConsoleCtrlEvent", done, err)
}

// Children first.
func killTree(pid uint32) {
	for _, child := range childrenOf(pid) {
		killTree(child)
	}
	if process, err := os.FindProcess(int(pid)); err == nil {
		_ = process.Kill()
	}
}

func childrenOf(pid uint32) (children []uint32) {
	snapshot, err := syscall.CreateToolhelp32Snapshot(syscall.TH32CS_SNAPPROCESS, 0)
	if err != nil {
		return nil
	}
	defer func() { _ = syscall.CloseHandle(snapshot) }()
	entry := syscall.ProcessEntry32{}
	entry.Size = uint32(unsafe.Sizeof(entry))
	for err = syscall.Process32First(snapshot, &entry); err == nil; err = syscall.Process32Next(snapshot, &entry) {
		if entry.ParentProcessID == pid {
			children = append(children, entry.ProcessID)
		}
	}
	return children
}

func check(what string, err error) {
	if err != nil {
		fail(what + ": " + err.Error())
	}
}

func checkCall(name string, done uintptr, err error) {
	if done == 0 {
		fail(name + ": " + err.Error())
	}
}

func fail(message string) {
	fmt.Fprintln(os.Stderr, "agent.exe: "+message)
	os.Exit(2)
}
