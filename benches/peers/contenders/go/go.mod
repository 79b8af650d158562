module github.com/zfsvol/zfsvol/benches/peers/contenders/go

go 1.25

require (
	github.com/mistifyio/go-zfs/v4 v4.0.0
	github.com/zfsvol/zfsvol/bindings/go v0.0.0
)

require github.com/google/uuid v1.2.0 // indirect

replace github.com/zfsvol/zfsvol/bindings/go => ../../../../bindings/go
