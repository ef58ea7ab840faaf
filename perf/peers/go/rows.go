package main

import (
	"bytes"
	"os"
	"runtime"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
)

func together(count int, fn func()) {
	var done sync.WaitGroup
	done.Add(count)
	for i := 0; i < count; i++ {
		go func() {
			fn()
			done.Done()
		}()
	}
	done.Wait()
}

func perOp(ops float64, fn func()) {
	begin, used := time.Now(), cpuTime()
	fn()
	out("ns_per_op", float64(time.Since(begin).Nanoseconds())/ops)
	out("cpu_ns_per_op", (cpuTime()-used)*1e9/ops)
}

func yield() {
	tasks, yields := 10, 1000000
	if variant, _ := argument("variant"); variant == "wide" {
		tasks, yields = 200, 100000
		runtime.GOMAXPROCS(number("workers", 2))
	} else {
		runtime.GOMAXPROCS(number("workers", 1))
	}
	tasks, yields = number("tasks", tasks), number("yields", yields)
	perOp(float64(tasks*yields), func() {
		together(tasks, func() {
			for i := 0; i < yields; i++ {
				runtime.Gosched()
			}
		})
	})
}

// One by one a channel tells of the end; in batches a WaitGroup: the fastest of Go's ways for each.
func spawn() {
	count := number("count", 1000000)
	if variant, _ := argument("variant"); variant == "batch" {
		batch := number("batch", 10000)
		perOp(float64(count), func() {
			for done := 0; done < count; done += batch {
				together(batch, func() {})
			}
		})
		return
	}
	ended := make(chan struct{})
	perOp(float64(count), func() {
		for i := 0; i < count; i++ {
			go func() { ended <- struct{}{} }()
			<-ended
		}
	})
}

func timers() {
	n, span := number("n", 1000000), time.Duration(number("seconds", 10))*time.Second
	begin, used := time.Now(), cpuTime()
	first := begin.Add(time.Duration(number("lead", 4)) * time.Second)
	late := make([]time.Duration, 0, n)
	var lock sync.Mutex
	all := make([]*time.Timer, n)
	for i := range all {
		until := first.Add(span * time.Duration(i*7919%n) / time.Duration(n))
		all[i] = time.AfterFunc(time.Until(until), func() {
			by := time.Since(until)
			lock.Lock()
			late = append(late, by)
			lock.Unlock()
		})
	}
	armed, armedCPU := time.Now(), cpuTime()
	cancelled := 0
	for i := range all {
		if i%10 != 0 && all[i].Stop() {
			cancelled++
		}
	}
	ended, endedCPU := time.Now(), cpuTime()
	out("ns_per_arm", float64(armed.Sub(begin).Nanoseconds())/float64(n))
	out("ns_per_cancel", float64(ended.Sub(armed).Nanoseconds())/float64(cancelled))
	out("cpu_ns_per_arm", (armedCPU-used)*1e9/float64(n))
	out("cpu_ns_per_cancel", (endedCPU-armedCPU)*1e9/float64(cancelled))
	time.Sleep(time.Until(first.Add(span + 200*time.Millisecond)))
	lock.Lock()
	expect(ended.Before(first) && cancelled+len(late) == n, "timers are missing")
	outSamples("lateness", late)
}

// A field of a file in /proc: "VmRSS:" of /proc/self/status.
func proc(file, field string) int {
	text, err := os.ReadFile(file)
	check(err)
	for _, line := range bytes.Split(text, []byte("\n")) {
		if bytes.HasPrefix(line, []byte(field)) {
			value, err := strconv.Atoi(string(bytes.Fields(line)[1]))
			check(err)
			return value
		}
	}
	panic(field)
}

func idle() {
	n := number("n", 1000000)
	before := proc("/proc/self/smaps_rollup", "Rss:")
	until := time.Now().Add(time.Duration(number("hold", 30)) * time.Second)
	var started atomic.Int64
	var done sync.WaitGroup
	done.Add(n)
	for i := 0; i < n; i++ {
		go func() {
			started.Add(1)
			time.Sleep(time.Until(until))
			done.Done()
		}()
	}
	for started.Load() < int64(n) {
		time.Sleep(5 * time.Millisecond)
	}
	time.Sleep(200 * time.Millisecond)
	after := proc("/proc/self/smaps_rollup", "Rss:")
	out("bytes_each", float64(after-before)*1024/float64(n))
	done.Wait()
	out("last_lateness_ms", float64(time.Since(until).Microseconds())/1e3)
}

func cpu() {
	tasks, bursts := number("tasks", 100), number("bursts", 20)
	iterations := number("burst_iters", 250000)
	begin, used := time.Now(), cpuTime()
	together(tasks, func() {
		x := uint64(1)
		for i := 0; i < bursts; i++ {
			x = work(x, iterations)
			runtime.Gosched()
		}
	})
	wall := time.Since(begin).Seconds()
	out("bursts_per_s", float64(tasks*bursts)/wall)
	out("cpu_s", cpuTime()-used)
	out("wall_s", wall)
}
