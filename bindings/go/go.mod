module github.com/zfsvol/zfsvol/bindings/go

go 1.24
