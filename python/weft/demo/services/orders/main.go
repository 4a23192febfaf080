// Orders takes orders for cloth: it asks Prices what they cost and Stock to set the cloth aside.
// A plain grpc-go server and client. When Stock is away the order is taken all the same, to be woven.
package main

import (
	"context"
	"log"
	"net"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"

	"loom/orders/loompb"
)

const (
	callTimeout = time.Second
	remembered  = 5
)

type orders struct {
	loompb.UnimplementedOrdersServer
	replica string
	prices  loompb.PricesClient
	stock   loompb.StockClient

	mu     sync.Mutex
	number uint64
	recent []*loompb.Order // the newest last, at most `remembered`
}

func (o *orders) Place(ctx context.Context, request *loompb.PlaceRequest) (*loompb.Order, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	price, err := o.prices.Quote(ctx, &loompb.QuoteRequest{Cloth: request.Cloth, Yards: request.Yards})
	if err != nil {
		return nil, err
	}
	_, err = o.stock.Reserve(ctx, &loompb.ReserveRequest{Cloth: request.Cloth, Yards: request.Yards})
	if err != nil && status.Code(err) != codes.Unavailable && status.Code(err) != codes.ResourceExhausted {
		return nil, err
	}
	return o.remember(&loompb.Order{
		Cloth: request.Cloth, Yards: request.Yards, Cents: price.Cents, ToBeWoven: err != nil, ServedBy: o.replica,
	}), nil
}

func (o *orders) Recent(context.Context, *loompb.RecentRequest) (*loompb.RecentOrders, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return &loompb.RecentOrders{Orders: append([]*loompb.Order(nil), o.recent...)}, nil
}

func (o *orders) remember(order *loompb.Order) *loompb.Order {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.number++
	order.Number = o.number
	o.recent = append(o.recent, order)
	if len(o.recent) > remembered {
		o.recent = o.recent[1:]
	}
	return order
}

func env(name, otherwise string) string {
	if value := os.Getenv(name); value != "" {
		return value
	}
	return otherwise
}

func dial(address string) *grpc.ClientConn {
	connection, err := grpc.NewClient(address, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		log.Fatalf("%s: %v", address, err)
	}
	return connection
}

func main() {
	hostname, _ := os.Hostname()
	server := grpc.NewServer()
	loompb.RegisterOrdersServer(server, &orders{
		replica: env("HOSTNAME", hostname),
		prices:  loompb.NewPricesClient(dial(env("PRICES_ADDR", "prices:8080"))),
		stock:   loompb.NewStockClient(dial(env("STOCK_ADDR", "stock:8080"))),
	})
	listener, err := net.Listen("tcp4", ":"+env("PORT", "8080"))
	if err != nil {
		log.Fatal(err)
	}
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, syscall.SIGTERM, syscall.SIGINT)
	go func() {
		<-stop
		server.GracefulStop()
	}()
	if err := server.Serve(listener); err != nil {
		log.Fatal(err)
	}
}
