// Says what net/http understood of each request.
package main

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"strings"
)

func latin1(text string) string {
	runes := make([]rune, 0, len(text))
	for _, b := range []byte(text) {
		runes = append(runes, rune(b))
	}
	return string(runes)
}

func fields(header http.Header) map[string]string {
	joined := map[string]string{}
	for name, values := range header {
		joined[strings.ToLower(name)] = latin1(strings.Join(values, ", "))
	}
	return joined
}

func main() {
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		digest := sha256.Sum256(body)
		said, _ := json.Marshal(map[string]any{
			"method": r.Method, "target": latin1(r.RequestURI), "host": r.Host, "headers": fields(r.Header),
			"trailers": fields(r.Trailer), "length": len(body), "digest": hex.EncodeToString(digest[:]),
		})
		w.Header().Set("Content-Type", "application/json")
		if r.Method == http.MethodConnect {
			w.WriteHeader(http.StatusMethodNotAllowed)
		}
		w.Write(said)
	})
	if err := http.ListenAndServe(":"+os.Args[1], handler); err != nil {
		panic(err)
	}
}
