package main

import (
	"os"
	"strings"
	"testing"
)

func TestItIsTheCodeOfTheReadme(t *testing.T) {
	readme, err := os.ReadFile("../../../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	source, err := os.ReadFile("main.go")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(readme), "```go\n"+string(source)+"```\n") {
		t.Fatal("README.md shows something else")
	}
}

func Example() {
	main()
	// Output: tank/db-test
}
