package main

import (
	"fmt"
	"log"

	"github.com/zfsvol/zfsvol/bindings/go"
)

func main() {
	zfs, err := zfsvol.Open("embedded:")
	if err != nil {
		log.Fatal(err)
	}
	defer zfs.Close()
	disk, err := zfs.CreateZvol("tank/db", 10<<30, zfsvol.Settings{"compression": "zstd"}, nil)
	if err != nil {
		log.Fatal(err)
	}
	empty, err := disk.TakeSnapshot("empty")
	if err != nil {
		log.Fatal(err)
	}
	test, err := empty.Clone("tank/db-test", nil)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(test.Name())
}
