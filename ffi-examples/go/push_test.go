package wspoll

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/gorilla/websocket"
)

func TestPushesAreCounted(t *testing.T) {
	var mu sync.Mutex
	var ids []ConnID
	server := start(t, Config{Shards: 2, PushMerge: time.Millisecond, Handler: HandlerFuncs{
		Open: func(c Conn) {
			if err := c.Join("red"); err != nil {
				t.Error(err)
			}
			mu.Lock()
			ids = append(ids, c.ID())
			mu.Unlock()
		},
	}})
	var conns []*websocket.Conn
	for i := range 5 {
		conns = append(conns, dial(t, server))
		eventually(t, "it is open", func() bool {
			mu.Lock()
			defer mu.Unlock()
			return len(ids) == i+1
		})
	}
	ctx := context.Background()
	eventually(t, "all have joined", func() bool {
		members, err := server.RoomMembers(ctx, "red")
		if err != nil {
			t.Fatal(err)
		}
		return members == 5
	})
	for _, c := range []struct {
		target Target
		want   Pushed
	}{
		{Target{}, Pushed{Delivered: 5}},
		{Target{Except: ids[0]}, Pushed{Delivered: 4}},
		{Target{Room: "red"}, Pushed{Delivered: 5}},
		{Target{Room: "red", Except: ids[0]}, Pushed{Delivered: 4}},
		{Target{Room: "blue"}, Pushed{Unknown: 1}},
		{Target{Conns: []ConnID{ids[1], 77, ids[2]}}, Pushed{Delivered: 2, Unknown: 1}},
		{Target{Conns: []ConnID{}}, Pushed{}},
	} {
		pushed, err := server.Push(ctx, c.target, TextMessage, []byte("hello"))
		if err != nil || pushed != c.want {
			t.Fatalf("%v: %v, %v", c.target, pushed, err)
		}
	}
	if err := server.PublishExcept("red", ids[3], TextMessage, []byte("not four")); err != nil {
		t.Fatal(err)
	}
	if err := server.BroadcastExcept(ids[4], TextMessage, []byte("not five")); err != nil {
		t.Fatal(err)
	}
	for i, conn := range conns {
		for range []int{2, 5, 5, 4, 4}[i] {
			expect(t, conn, TextMessage, "hello")
		}
		if i != 3 {
			expect(t, conn, TextMessage, "not four")
		}
		if i != 4 {
			expect(t, conn, TextMessage, "not five")
		}
	}
	stats := server.Stats()
	if stats.PushedAll != 3 || stats.PushedRooms != 4 || stats.PushedConns != 2 {
		t.Errorf("%+v", stats)
	}
	if err := server.SetRoomPolicy("red", PolicyDropOld); err != nil {
		t.Error(err)
	}
	if err := server.SetRoomPolicy("red", 7); !errors.Is(err, ErrInvalidArgument) {
		t.Error(err)
	}
	if err := server.ClearRoomPolicy("red"); err != nil {
		t.Error(err)
	}
}

func TestInlineHandlersDoNotWaitForThemselves(t *testing.T) {
	answers := make(chan error, 2)
	var server *Server
	ready := make(chan struct{})
	server = start(t, Config{Inline: true, Shards: 1, Handler: HandlerFuncs{
		Message: func(c Conn, kind int, payload []byte) {
			<-ready
			_, err := server.Push(context.Background(), Target{}, kind, payload)
			answers <- err
			_, err = server.RoomMembers(context.Background(), "red")
			answers <- err
		},
	}})
	close(ready)
	send(t, dial(t, server), TextMessage, "hello")
	for range 2 {
		if err := <-answers; !errors.Is(err, ErrInvalidArgument) {
			t.Error(err)
		}
	}
}
