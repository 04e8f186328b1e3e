#!/bin/sh
# Builds build/generate with Debian's packages alone, without a module proxy:
# golang-go protobuf-compiler protoc-gen-go-1-5 protoc-gen-go-grpc golang-google-grpc-dev golang-github-golang-protobuf-1-5-dev
set -eu
cd "$(dirname "$0")"
sh stubs.sh
source=build/gopath/src/stillcue.example/generate
rm -rf build/gopath
mkdir -p "$source"
cp -r ./*.go stubs "$source"
export GO111MODULE=off GOPATH="$PWD/build/gopath:/usr/share/gocode"
go vet stillcue.example/generate
go build -o build/generate stillcue.example/generate
